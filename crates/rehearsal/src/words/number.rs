//! Numbers in digits and in words.

use super::Token;

/// A number that a text names.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// The value, without the percent sign applied.
    pub value: f64,
    /// Whether it was written with a decimal point or exponent.
    pub decimal: bool,
    /// Whether it is a percentage.
    pub percent: bool,
    /// Whether it was written with a sign of money.
    pub money: bool,
    /// Whether it is an ordinal (third, 3rd).
    pub ordinal: bool,
    /// The unit written directly after the digits (`6cm`).
    pub unit: Option<String>,
    /// First and last token, inclusive.
    pub tokens: (usize, usize),
    /// Whether it is written in words.
    pub worded: bool,
}

impl Number {
    /// Returns the value with a percentage divided by 100.
    #[must_use]
    pub fn scaled(&self) -> f64 {
        if self.percent { round_if_close(self.value / 100.0) } else { self.value }
    }
}

/// Reads all numbers of a text, in order.
#[must_use]
pub fn numbers(tokens: &[Token]) -> Vec<Number> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match digits(tokens, at).or_else(|| worded(tokens, at)).or_else(|| implied(tokens, at)) {
            Some(number) => {
                at = number.tokens.1 + 1;
                out.push(number);
            }
            None => at += 1,
        }
    }
    out
}

/// Returns a value in the shortest usual writing: no point for whole numbers.
#[must_use]
pub fn show(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value}") }
}

/// Returns the value without the noise of binary fractions where that does not lose small values.
#[must_use]
pub fn round_if_close(value: f64) -> f64 {
    if value.abs() >= 1e-6 { round(value) } else { value }
}

/// Removes the noise that binary fractions leave behind.
#[must_use]
pub fn round(value: f64) -> f64 {
    format!("{value:.12}").parse().unwrap_or(value)
}

fn digits(tokens: &[Token], at: usize) -> Option<Number> {
    let token = &tokens[at];
    if !token.digit() || token.text.matches('-').count() > usize::from(token.text.contains(['e', 'E'])) {
        return None;
    }
    let plain: String = token.text.chars().filter(|c| *c != ',').collect();
    let end =
        plain.char_indices().find(|(_, c)| !c.is_ascii_digit() && *c != '.').map_or(plain.len(), |(index, _)| index);
    let (mut head, mut tail) = (&plain[..end], &plain[end..]);
    if head.matches('.').count() > 1 || tail.contains(':') {
        return None;
    }
    if let Some(rest) = tail.strip_prefix(['e', 'E']) {
        // 1e-9, 2E5: only when nothing but an exponent follows.
        if !rest.is_empty() && rest.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) {
            head = &plain;
            tail = "";
        }
    }
    let mut value: f64 = head.trim_end_matches('.').parse().ok()?;
    let mut number = Number {
        value,
        decimal: head.contains(['.', 'e', 'E']),
        percent: false,
        money: false,
        ordinal: false,
        unit: None,
        tokens: (at, at),
        worded: false,
    };
    match tail.to_lowercase().as_str() {
        "" => {}
        "st" | "nd" | "rd" | "th" => number.ordinal = true,
        "k" => value *= 1e3,
        "m" if tail == "M" => value *= 1e6,
        "bn" => value *= 1e9,
        unit if unit.chars().all(char::is_alphabetic) && unit.chars().count() <= 8 => {
            number.unit = Some(unit.to_owned())
        }
        _ => return None,
    }
    let before = at.checked_sub(1).map(|i| &tokens[i]);
    if let Some(mark) = before.filter(|mark| mark.end == token.start) {
        number.money = matches!(mark.text.as_str(), "$" | "€" | "£" | "¥");
        let outer = at.checked_sub(2).map(|i| &tokens[i]);
        let sign = matches!(mark.text.as_str(), "-" | "−")
            && outer.is_none_or(|outer| outer.end < mark.start || !(outer.word || outer.text == ")"));
        if sign {
            value = -value;
            number.tokens.0 = at - 1;
        }
    }
    let mut last = at;
    if let Some(next) = tokens.get(at + 1) {
        match next.lower.as_str() {
            "%" | "percent" | "pct" => {
                number.percent = true;
                last = at + 1;
            }
            "per" if tokens.get(at + 2).is_some_and(|t| t.lower == "cent") => {
                number.percent = true;
                last = at + 2;
            }
            "hundred" | "thousand" | "million" | "billion" | "trillion" => {
                value *= scale(&next.lower).unwrap_or(1.0);
                last = at + 1;
            }
            "dollars" | "dollar" | "usd" | "euros" | "eur" | "bucks" => number.money = true,
            word if number.unit.is_none() && super::units::is_unit(word) => number.unit = Some(unit_at(tokens, at + 1)),
            _ => {}
        }
    }
    number.value = value;
    number.tokens.1 = last;
    Some(number)
}

/// Returns a unit as it stands in a text, with the part after a stroke (`m/s`).
fn unit_at(tokens: &[Token], at: usize) -> String {
    let mut unit = tokens[at].lower.clone();
    if let (Some(stroke), Some(under)) = (tokens.get(at + 1), tokens.get(at + 2))
        && stroke.text == "/"
        && stroke.start == tokens[at].end
        && under.start == stroke.end
    {
        unit.push('/');
        unit.push_str(&under.lower);
    }
    unit
}

/// Reads "monthly" as twelve times a year, "next week" as seven days and "from rest" as zero; each carries a unit that
/// only fitting parameters take.
fn implied(tokens: &[Token], at: usize) -> Option<Number> {
    let lower = tokens[at].lower.as_str();
    let before = at.checked_sub(1).map_or("", |index| tokens[index].lower.as_str());
    let (value, unit) = match lower {
        "annually" | "yearly" => (1.0, TIMES_A_YEAR),
        "semiannually" | "semi-annually" | "biannually" => (2.0, TIMES_A_YEAR),
        "quarterly" => (4.0, TIMES_A_YEAR),
        "monthly" => (12.0, TIMES_A_YEAR),
        "weekly" => (52.0, TIMES_A_YEAR),
        "daily" => (365.0, TIMES_A_YEAR),
        "week" if matches!(before, "next" | "upcoming" | "coming" | "a" | "one" | "following") => (7.0, SPAN_OF_DAYS),
        "fortnight" => (14.0, SPAN_OF_DAYS),
        "month" if matches!(before, "next" | "upcoming" | "coming" | "following") => (30.0, SPAN_OF_DAYS),
        "rest" if matches!(before, "from" | "at") => (0.0, AT_REST),
        _ => return None,
    };
    Some(Number {
        value,
        decimal: false,
        percent: false,
        money: false,
        ordinal: false,
        unit: Some(unit.into()),
        tokens: (at, at),
        worded: true,
    })
}

/// The unit of numbers that say how often something happens in a year.
pub const TIMES_A_YEAR: &str = "times a year";
/// The unit of numbers that say how many days are meant.
pub const SPAN_OF_DAYS: &str = "span of days";
/// The unit of the speed of what does not move.
pub const AT_REST: &str = "at rest";

fn worded(tokens: &[Token], at: usize) -> Option<Number> {
    let mut total = 0.0;
    let mut current = 0.0;
    let mut any = false;
    let mut ordinal = false;
    let mut next = at;
    let mut last_unit = false;
    while next < tokens.len() && !ordinal {
        let lower = tokens[next].lower.as_str();
        let parts: Vec<&str> = lower.split('-').collect();
        if parts.iter().all(|part| small(part).is_some() || scale(part).is_some()) {
            for part in parts {
                if let Some(value) = small(part) {
                    // "two three" are two numbers, "twenty three" is one.
                    if any && last_unit && current % 100.0 != 0.0 && (current % 10.0 != 0.0 || value >= 10.0) {
                        return finish(total + current, at, next - 1, false, tokens);
                    }
                    current += value;
                    last_unit = true;
                } else if let Some(factor) = scale(part) {
                    current = if current == 0.0 { 1.0 } else { current } * factor;
                    if factor >= 1000.0 {
                        total += current;
                        current = 0.0;
                    }
                    last_unit = false;
                }
                any = true;
            }
            next += 1;
        } else if any
            && lower == "and"
            && !last_unit
            && tokens.get(next + 1).is_some_and(|t| small(t.lower.split('-').next().unwrap_or("")).is_some())
        {
            next += 1;
        } else if let Some(value) = ordinal_word(lower).filter(|_| !any || last_unit && current % 10.0 == 0.0) {
            current += value;
            any = true;
            ordinal = true;
            next += 1;
        } else {
            break;
        }
    }
    if !any {
        return None;
    }
    finish(total + current, at, next - 1, ordinal, tokens)
}

fn finish(value: f64, first: usize, mut last: usize, ordinal: bool, tokens: &[Token]) -> Option<Number> {
    let percent = tokens.get(last + 1).is_some_and(|t| matches!(t.lower.as_str(), "%" | "percent"));
    let money =
        tokens.get(last + 1).is_some_and(|t| matches!(t.lower.as_str(), "dollars" | "dollar" | "euros" | "bucks"));
    if percent {
        last += 1;
    }
    let unit = tokens.get(last + 1).filter(|t| super::units::is_unit(&t.lower)).map(|_| unit_at(tokens, last + 1));
    Some(Number { value, decimal: false, percent, money, ordinal, unit, tokens: (first, last), worded: true })
}

fn small(word: &str) -> Option<f64> {
    Some(match word {
        "zero" => 0.0,
        "one" => 1.0,
        "two" => 2.0,
        "three" => 3.0,
        "four" => 4.0,
        "five" => 5.0,
        "six" => 6.0,
        "seven" => 7.0,
        "eight" => 8.0,
        "nine" => 9.0,
        "ten" => 10.0,
        "eleven" => 11.0,
        "twelve" => 12.0,
        "thirteen" => 13.0,
        "fourteen" => 14.0,
        "fifteen" => 15.0,
        "sixteen" => 16.0,
        "seventeen" => 17.0,
        "eighteen" => 18.0,
        "nineteen" => 19.0,
        "twenty" => 20.0,
        "thirty" => 30.0,
        "forty" => 40.0,
        "fifty" => 50.0,
        "sixty" => 60.0,
        "seventy" => 70.0,
        "eighty" => 80.0,
        "ninety" => 90.0,
        _ => return None,
    })
}

fn scale(word: &str) -> Option<f64> {
    Some(match word {
        "hundred" => 100.0,
        "thousand" => 1e3,
        "million" => 1e6,
        "billion" => 1e9,
        "trillion" => 1e12,
        "dozen" => 12.0,
        _ => return None,
    })
}

fn ordinal_word(word: &str) -> Option<f64> {
    ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
        .iter()
        .position(|name| *name == word)
        .filter(|index| *index != 1)
        .and_then(|index| u32::try_from(index + 1).ok())
        .map(f64::from)
}
