//! Arithmetic said in words or signs, as an expression that a calculator reads.

use super::Scope;
use crate::{
    read::Reading,
    schema::Param,
    words::{
        Token,
        number::{self, Number, show},
        units,
    },
};

/// Returns whether a parameter asks for an arithmetic expression.
#[must_use]
pub fn wanted(param: &Param) -> bool {
    let name = param.named(&["expression", "expr", "formula", "calculation", "equation", "arithmetic", "math"]);
    let about = param.description.to_lowercase();
    let told = [
        "arithmetic expression",
        "mathematical expression",
        "math expression",
        "expression to evaluate",
        "expression to calculate",
    ]
    .iter()
    .any(|part| about.contains(part));
    name && !about.contains("with respect") || told
}

/// Returns the expression of a clause and its tokens; none when it holds fewer than one operation.
#[must_use]
pub fn read(scope: &Scope<'_>, param: &Param) -> Option<(String, (usize, usize))> {
    arithmetic(scope.reading, scope.window, &param.description)
}

/// Returns the arithmetic between two tokens; `style` is a description that may show how a power is written.
#[must_use]
pub fn arithmetic(reading: &Reading, window: (usize, usize), style: &str) -> Option<(String, (usize, usize))> {
    if let Some(found) = conversion(reading, window) {
        return Some(found);
    }
    let mut parts = pieces(reading, window);
    // Only the stretch from the first to the last number or bracket counts.
    while parts.first().is_some_and(|part| !part.opens()) {
        parts.remove(0);
    }
    while parts.last().is_some_and(|part| !part.closes()) {
        parts.pop();
    }
    let operations = parts.iter().filter(|part| part.operates()).count();
    if operations == 0 {
        return None;
    }
    let tokens = (parts.first()?.at().0, parts.last()?.at().1);
    let text = write(&parts, style)?;
    Some((text, tokens))
}

/// Reads "how many seconds are in 3 hours" as the sum that it is.
fn conversion(reading: &Reading, window: (usize, usize)) -> Option<(String, (usize, usize))> {
    let last = window.1.min(reading.tokens.len().checked_sub(1)?);
    let word = |at: usize| reading.lower(at);
    let many = (window.0..last).find(|at| word(*at) == "how" && word(*at + 1) == "many")?;
    let (kind, small) = units::scale(word(many + 2))?;
    let link = (many + 3..=last).take(4).find(|at| word(*at) == "in")?;
    let number = number::numbers(&reading.tokens).into_iter().find(|number| number.tokens.0 > link);
    let (amount, unit) = match &number {
        Some(number) if number.tokens.0 == link + 1 => (number.value, number.tokens.1 + 1),
        _ if matches!(word(link + 1), "a" | "an" | "one") => (1.0, link + 2),
        _ => return None,
    };
    let (other, large) = units::scale(word(unit)).or_else(|| units::scale(word(unit.checked_sub(1)?)))?;
    if kind != other {
        return None;
    }
    let text = if large >= small {
        format!("{} * {}", show(amount), show(large / small))
    } else {
        format!("{} / {}", show(amount), show(small / large))
    };
    Some((text, (many, unit.min(last))))
}

/// A piece of an arithmetic sentence.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Number(f64, (usize, usize)),
    Sign(&'static str, (usize, usize)),
    /// A function before its number.
    Function(&'static str, (usize, usize)),
    /// "squared" and "cubed".
    Power(u32, (usize, usize)),
    /// "percent of"; the number before it is a share.
    Share((usize, usize)),
    /// "percent off": the share is taken from the number after it.
    Off((usize, usize)),
    /// "the square of": the number after it is raised.
    Raise(f64, (usize, usize)),
    /// "5 factorial".
    Factorial((usize, usize)),
    /// "the factorial of 5".
    FactorialOf((usize, usize)),
    /// "then": what came before is one number.
    Then((usize, usize)),
    /// "add 5 to 7" and "subtract 5 from 7" and "multiply 5 by 7": the verb says what joins the two numbers.
    Verb(&'static str, (usize, usize)),
}

impl Piece {
    fn at(&self) -> (usize, usize) {
        match self {
            Self::Number(_, at)
            | Self::Sign(_, at)
            | Self::Function(_, at)
            | Self::Power(_, at)
            | Self::Share(at)
            | Self::Then(at)
            | Self::Off(at)
            | Self::Factorial(at)
            | Self::FactorialOf(at)
            | Self::Raise(_, at)
            | Self::Verb(_, at) => *at,
        }
    }

    fn opens(&self) -> bool {
        matches!(
            self,
            Self::Number(..)
                | Self::Function(..)
                | Self::Raise(..)
                | Self::FactorialOf(_)
                | Self::Sign("(" | "0.5*" | "2*", _)
                | Self::Verb(..)
        )
    }

    fn closes(&self) -> bool {
        matches!(self, Self::Number(..) | Self::Power(..) | Self::Factorial(_) | Self::Sign(")", _))
    }

    fn operates(&self) -> bool {
        matches!(
            self,
            Self::Function(..)
                | Self::Power(..)
                | Self::Share(_)
                | Self::Off(_)
                | Self::Raise(..)
                | Self::Factorial(_)
                | Self::FactorialOf(_)
                | Self::Verb(..)
        ) || matches!(self, Self::Sign(sign, _) if *sign != "(" && *sign != ")")
    }
}

fn pieces(reading: &Reading, window: (usize, usize)) -> Vec<Piece> {
    let tokens = &reading.tokens;
    let numbers = number::numbers(tokens);
    let mut out: Vec<Piece> = Vec::new();
    let mut at = window.0;
    let word = |at: usize| tokens.get(at).map_or("", |t| t.lower.as_str());
    while at <= window.1 && at < tokens.len() {
        if let Some(share) = fraction(word(at)).filter(|_| word(at + 1) == "of") {
            out.extend([
                Piece::Number(1.0, (at, at)),
                Piece::Sign("/", (at, at)),
                Piece::Number(share, (at, at)),
                Piece::Sign("*", (at, at + 1)),
            ]);
            at += 2;
            continue;
        }
        if let Some(number) = numbers.iter().find(|number| number.tokens.0 == at && !number.ordinal) {
            // "5-3" and "10 -3" between numbers are differences.
            let after_number = out.last().is_some_and(Piece::closes);
            if number.value < 0.0 && after_number && tokens[at].text == "-" {
                out.push(Piece::Sign("-", (at, at)));
                out.push(Piece::Number(-number.value, number.tokens));
            } else {
                out.push(Piece::Number(number.value, number.tokens));
            }
            if number.percent {
                let at = (number.tokens.1, number.tokens.1);
                out.push(if word(number.tokens.1 + 1) == "off" { Piece::Off(at) } else { Piece::Share(at) });
            }
            at = number.tokens.1 + 1;
            continue;
        }
        if let Some((left, right)) = glued(&tokens[at].lower) {
            out.extend([Piece::Number(left, (at, at)), Piece::Sign("-", (at, at)), Piece::Number(right, (at, at))]);
            at += 1;
            continue;
        }
        if let Some((left, right)) =
            tokens[at].lower.split_once('x').and_then(|(l, r)| Some((l.parse::<f64>().ok()?, r.parse::<f64>().ok()?)))
        {
            out.extend([Piece::Number(left, (at, at)), Piece::Sign("*", (at, at)), Piece::Number(right, (at, at))]);
            at += 1;
            continue;
        }
        let two = word(at + 1);
        let here = word(at);
        let (piece, width) = match here {
            "+" | "plus" => (Some(Piece::Sign("+", (at, at))), 1),
            "-" | "−" | "–" | "minus" => (Some(Piece::Sign("-", (at, at))), 1),
            "*" if two == "*" => (Some(Piece::Sign("^", (at, at + 1))), 2),
            "*" | "×" | "times" | "·" => (Some(Piece::Sign("*", (at, at))), 1),
            "x" if out.last().is_some_and(Piece::closes) => (Some(Piece::Sign("*", (at, at))), 1),
            "/" | "÷" | "over" => (Some(Piece::Sign("/", (at, at))), 1),
            "^" => (Some(Piece::Sign("^", (at, at))), 1),
            "(" => (Some(Piece::Sign("(", (at, at))), 1),
            ")" => (Some(Piece::Sign(")", (at, at))), 1),
            "multiplied" => (Some(Piece::Sign("*", (at, at + 1))), 1 + usize::from(two == "by")),
            "divided" => (Some(Piece::Sign("/", (at, at + 1))), 1 + usize::from(two == "by")),
            "doubled" => (multiply(&mut out, 2.0, at), 1),
            "tripled" => (multiply(&mut out, 3.0, at), 1),
            "halved" => (multiply(&mut out, 0.5, at), 1),
            "double" | "twice" if backwards(two) => (multiply(&mut out, 2.0, at), 2),
            "triple" if backwards(two) => (multiply(&mut out, 3.0, at), 2),
            "halve" | "half" if backwards(two) => (multiply(&mut out, 0.5, at), 2),
            "square" if backwards(two) && out.iter().any(Piece::closes) => {
                out.push(Piece::Then((at, at)));
                (Some(Piece::Power(2, (at, at + 1))), 2)
            }
            "mod" | "modulo" => (Some(Piece::Sign("%", (at, at))), 1),
            "square" if two == "of" => (Some(Piece::Raise(2.0, (at, at + 1))), 2),
            "cube" if two == "of" => (Some(Piece::Raise(3.0, (at, at + 1))), 2),
            "factorial" => {
                let before = out.last().is_some_and(|part| matches!(part, Piece::Number(..)));
                (Some(if before { Piece::Factorial((at, at)) } else { Piece::FactorialOf((at, at)) }), 1)
            }
            "!" if out.last().is_some_and(
                |part| matches!(part, Piece::Number(_, span) if tokens[span.1].end == tokens[at].start),
            ) && at < window.1 =>
            {
                (Some(Piece::Factorial((at, at))), 1)
            }
            "average" | "mean" => (Some(Piece::Verb("mean", (at, at))), 1),
            "squared" => (Some(Piece::Power(2, (at, at))), 1),
            "cubed" => (Some(Piece::Power(3, (at, at))), 1),
            "power" => {
                let from = out.last().map_or(at, |part| part.at().1 + 1);
                (Some(Piece::Sign("^", (from.min(at), at))), 1 + usize::from(two == "of"))
            }
            "root" if word(at.wrapping_sub(1)) != "cube" => {
                (Some(Piece::Function("sqrt", (at.saturating_sub(1), at))), 1)
            }
            "sqrt" => (Some(Piece::Function("sqrt", (at, at))), 1),
            "half" if matches!(two, "of" | "the") => (Some(Piece::Sign("0.5*", (at, at))), 1),
            "twice" | "double" => (Some(Piece::Sign("2*", (at, at))), 1),
            "multiply" => (Some(Piece::Verb("*", (at, at))), 1),
            "divide" => (Some(Piece::Verb("/", (at, at))), 1),
            "add" | "adding" => (Some(Piece::Verb("+", (at, at))), 1),
            "subtract" | "subtracting" => (Some(Piece::Verb("-", (at, at))), 1),
            // "Multiply the sum by 2": what was computed before, and no new operation.
            "sum" | "product" | "difference" | "total" | "result" | "quotient"
                if two != "of" && out.iter().any(Piece::closes) =>
            {
                (None, 1)
            }
            // "3 copies at 12.99 each".
            "at" | "for" | "@" if out.last().is_some_and(Piece::closes) && is_price_of_one(tokens, &numbers, at) => {
                (Some(Piece::Sign("*", (at, at))), 1)
            }
            "sum" => (Some(Piece::Verb("+", (at, at))), 1),
            "product" => (Some(Piece::Verb("*", (at, at))), 1),
            "difference" => (Some(Piece::Verb("less", (at, at))), 1),
            "then" | ";" | "." => (Some(Piece::Then((at, at))), 1),
            "," if two == "and" || two == "then" => (Some(Piece::Then((at, at))), 1),
            _ => (None, 1),
        };
        out.extend(piece);
        at += width;
    }
    out
}

/// Returns whether what follows a word is the price of each thing: "at 12.99 each", "for 5 dollars apiece".
fn is_price_of_one(tokens: &[Token], numbers: &[Number], at: usize) -> bool {
    let Some(price) = numbers.iter().find(|number| (at + 1..=at + 2).contains(&number.tokens.0)) else { return false };
    let each =
        |at: usize| tokens.get(at).is_some_and(|token| matches!(token.lower.as_str(), "each" | "apiece" | "per"));
    (1..=2).any(|step| each(price.tokens.1 + step))
}

/// Returns whether a word points at what was computed before.
fn backwards(word: &str) -> bool {
    matches!(word, "it" | "that" | "this" | "them" | "everything")
}

/// Multiplies what was read so far; the factor itself is returned as the next piece.
fn multiply(out: &mut Vec<Piece>, factor: f64, at: usize) -> Option<Piece> {
    if !out.iter().any(Piece::closes) {
        return None;
    }
    out.push(Piece::Then((at, at)));
    out.push(Piece::Sign("*", (at, at)));
    Some(Piece::Number(factor, (at, at)))
}

fn fraction(word: &str) -> Option<f64> {
    Some(match word {
        "half" => 2.0,
        "third" => 3.0,
        "quarter" | "fourth" => 4.0,
        "fifth" => 5.0,
        "tenth" => 10.0,
        _ => return None,
    })
}

/// Writes a factorial as its product, which every calculator reads.
fn factorial(number: f64) -> Option<String> {
    (number.fract() == 0.0 && (1.0..=20.0).contains(&number)).then(|| {
        let mut factors = Vec::new();
        let mut factor = 1.0;
        while factor <= number {
            factors.push(show(factor));
            factor += 1.0;
        }
        if factors.len() == 1 { "1 * 1".into() } else { factors.join(" * ") }
    })
}

/// Reads `5-3`, which is one token.
fn glued(word: &str) -> Option<(f64, f64)> {
    let (left, right) = word.split_once('-')?;
    Some((left.parse().ok()?, right.parse().ok()?))
}

fn write(parts: &[Piece], style: &str) -> Option<String> {
    let mut out = String::new();
    let mut verb: Option<&'static str> = None;
    let mut fresh = true;
    let mut counted = 1;
    let mut started = false;
    let mut index = 0;
    while index < parts.len() {
        match &parts[index] {
            Piece::Number(value, _) => {
                if let (Some(sign), true) = (verb, started && ends_value(&out)) {
                    if sign == "-" && fresh {
                        // "subtract 5 from 7" turns around, "the difference of 7 and 5" does not; the former has "from".
                        out = format!("{} - {}", show(*value), out);
                    } else {
                        let sign = match sign {
                            "mean" => "+",
                            "less" => "-",
                            sign => sign,
                        };
                        counted += 1;
                        out.push_str(&format!(" {sign} {}", show(*value)));
                    }
                } else if started && ends_value(&out) {
                    return (index + 1 >= parts.len() || parts.len() > 2)
                        .then_some(out)
                        .filter(|text| balanced(text) && text.contains(' '));
                } else {
                    out.push_str(&show(*value));
                }
                started = true;
                if let Some(open) = out
                    .find("sqrt(")
                    .filter(|_| out.matches('(').count() > out.matches(')').count() && out.ends_with(&show(*value)))
                {
                    let _ = open;
                    out.push(')');
                }
            }
            Piece::Sign("(", _) => out.push('('),
            Piece::Sign(")", _) => out.push(')'),
            Piece::Sign(sign @ ("0.5*" | "2*"), _) => out.push_str(&format!("{} * ", sign.trim_end_matches('*'))),
            Piece::Sign("^", _) => match (parts.get(index + 1), last_number(&out)) {
                (Some(Piece::Number(exponent, _)), Some(base)) => {
                    let cut = out.len() - base.len();
                    let power = power(&base, *exponent, style);
                    out.truncate(cut);
                    out.push_str(&power);
                    index += 1;
                }
                _ => return None,
            },
            Piece::Sign(sign, _) => {
                if !out.is_empty() && !ends_value(&out) && *sign != "-" {
                    index += 1;
                    continue;
                }
                out.push_str(&format!(" {sign} "));
            }
            Piece::Function(name, _) => {
                if style.contains("**") && !style.contains("sqrt") {
                    if let Some(Piece::Number(value, _)) = parts.get(index + 1) {
                        out.push_str(&format!("{} ** 0.5", show(*value)));
                        index += 1;
                    }
                } else {
                    out.push_str(&format!("{name}("));
                }
            }
            Piece::Power(exponent, _) => {
                let base = last_number(&out)?;
                let cut = out.len() - base.len();
                let power = power(&base, f64::from(*exponent), style);
                out.truncate(cut);
                out.push_str(&power);
            }
            Piece::Off(_) => match (parts.get(index + 1), last_number(&out)) {
                (Some(Piece::Number(whole, _)), Some(share)) => {
                    out.truncate(out.len() - share.len());
                    out.push_str(&format!("{} - {share} / 100 * {}", show(*whole), show(*whole)));
                    index += 1;
                }
                _ => return None,
            },
            Piece::Raise(exponent, _) => match parts.get(index + 1) {
                Some(Piece::Number(base, _)) => {
                    out.push_str(&power(&show(*base), *exponent, style));
                    started = true;
                    index += 1;
                }
                _ => return None,
            },
            Piece::FactorialOf(_) => match parts.get(index + 1) {
                Some(Piece::Number(number, _)) => {
                    out.push_str(&factorial(*number)?);
                    started = true;
                    index += 1;
                }
                _ => return None,
            },
            Piece::Factorial(_) => {
                let base = last_number(&out)?;
                let product = factorial(base.parse().ok()?)?;
                out.truncate(out.len() - base.len());
                out.push_str(&product);
            }
            Piece::Share(_) => {
                // "15% of 80" is a product, "200 + 10%" a share of what stands before.
                match parts.get(index + 1) {
                    Some(Piece::Number(..)) | Some(Piece::Function(..)) => out.push_str(" / 100 * "),
                    _ => out.push_str(" / 100"),
                }
            }
            Piece::Then(_) => {
                let rest = &parts[index + 1..];
                if started && rest.iter().any(Piece::operates) {
                    if out.contains([' '])
                        && !(out.starts_with('(') && out.ends_with(')') && out.matches('(').count() == 1)
                    {
                        out = format!("({out})");
                    }
                    verb = None;
                    fresh = false;
                }
            }
            Piece::Verb(sign, _) => {
                if started && ends_value(&out) {
                    // "… then multiply that by 3" goes on with what came before.
                    if out.contains(' ') && !out.ends_with(')') {
                        out = format!("({out})");
                    }
                    fresh = false;
                }
                verb = Some(sign);
            }
        }
        index += 1;
    }
    let text = if verb == Some("mean") { format!("({}) / {counted}", out.trim()) } else { out.trim().to_owned() };
    (balanced(&text) && ends_value(&text) && text.bytes().any(|byte| b"+-*/(%^".contains(&byte))).then_some(text)
}

fn power(base: &str, exponent: f64, style: &str) -> String {
    let known = if style.contains("**") {
        Some("**")
    } else if style.contains('^') {
        Some("^")
    } else {
        None
    };
    match known {
        Some(sign) => format!("{base} {sign} {}", show(exponent)),
        // A product is read by every calculator.
        None if exponent.fract() == 0.0 && (1.0..=16.0).contains(&exponent) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be whole and small"
            )]
            let count = exponent as usize;
            vec![base; count].join(" * ")
        }
        None => format!("{base} ^ {}", show(exponent)),
    }
}

fn ends_value(text: &str) -> bool {
    text.trim_end().ends_with(|c: char| c.is_ascii_digit() || c == ')')
}

fn last_number(text: &str) -> Option<String> {
    if text.ends_with(')') {
        return Some(text.to_owned());
    }
    let start = text.rfind(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(0, |at| at + 1);
    (start < text.len()).then(|| text[start..].to_owned())
}

fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for c in text.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}
