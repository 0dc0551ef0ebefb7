//! The spans of a text.

use super::{formula, names};
use crate::words::{
    Token,
    date::{self, Day},
    number::{self, Number},
    stop, units,
};
use bedplate_core::time::Timestamp;

/// A part of a text that may be a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// First and last token, inclusive.
    pub tokens: (usize, usize),
    /// The words as written, without quotes.
    pub text: String,
    /// What it is.
    pub what: What,
}

/// What a span is.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A number.
    Number(Number),
    /// A day.
    Day(Day),
    /// A time of day: hour and minute.
    Time(i64, i64),
    /// Something in quotation marks.
    Quoted,
    /// An e-mail address.
    Email,
    /// A web address.
    Url,
    /// A word of letters and digits (`MA-10023`).
    Code,
    /// A formula with a variable.
    Formula,
    /// A house number and street.
    Address,
    /// A unit of measure.
    Unit,
    /// Capitalised words.
    Name,
    /// Other words that carry meaning.
    Phrase,
}

impl Span {
    /// Returns the number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<&Number> {
        match &self.what {
            What::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns whether both are things of the same kind, so that they can stand in one list.
    #[must_use]
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.what) == std::mem::discriminant(&other.what)
    }
}

/// Reads the spans of a text, in order.
#[must_use]
pub fn spans(text: &str, tokens: &[Token], now: Timestamp) -> Vec<Span> {
    let mut taken = vec![false; tokens.len()];
    let mut out = Vec::new();
    let mut add = |first: usize, last: usize, text: String, what: What, taken: &mut Vec<bool>| {
        if taken[first..=last].iter().any(|is| *is) || text.is_empty() {
            return;
        }
        taken[first..=last].fill(true);
        out.push(Span { tokens: (first, last), text, what });
    };
    for (start, end) in quotes(text) {
        if let Some((first, last)) = cover(tokens, start, end) {
            add(first, last, text[start..end].trim().to_owned(), What::Quoted, &mut taken);
        }
    }
    for (start, end) in addresses(text) {
        if let Some((first, last)) = cover(tokens, start, end) {
            let part = &text[start..end];
            add(
                first,
                last,
                part.to_owned(),
                if part.contains("://") || part.starts_with("www.") || part.starts_with("git@") {
                    What::Url
                } else {
                    What::Email
                },
                &mut taken,
            );
        }
    }
    for (start, end) in formula::formulas(text) {
        if let Some((first, last)) = cover(tokens, start, end) {
            add(first, last, text[start..end].to_owned(), What::Formula, &mut taken);
        }
    }
    for mention in date::dates(tokens, now) {
        let (first, last) = mention.tokens;
        add(first, last, text[tokens[first].start..tokens[last].end].to_owned(), What::Day(mention.day), &mut taken);
    }
    for mention in date::times(tokens) {
        let (first, last) = mention.tokens;
        add(
            first,
            last,
            text[tokens[first].start..tokens[last].end].to_owned(),
            What::Time(mention.hour, mention.minute),
            &mut taken,
        );
    }
    for (first, last) in streets(tokens, &taken) {
        add(first, last, text[tokens[first].start..tokens[last].end].to_owned(), What::Address, &mut taken);
    }
    let mut numbers_ends = Vec::new();
    for number in number::numbers(tokens) {
        let (first, last) = number.tokens;
        numbers_ends.push(last);
        let pronoun = number.worded
            && first == last
            && tokens[first].lower == "one"
            && !tokens.get(first + 1).is_some_and(|t| t.word && !stop::is_stop(&t.lower));
        if !pronoun && !counts(tokens, &number) {
            add(first, last, text[tokens[first].start..tokens[last].end].to_owned(), What::Number(number), &mut taken);
        }
    }
    for (at, token) in tokens.iter().enumerate() {
        let mixed = token.text.bytes().any(|byte| byte.is_ascii_digit())
            && token.text.chars().any(|c| c.is_alphabetic() || c == '-');
        if mixed && token.text.len() >= 3 || token.text.contains('_') {
            add(at, at, token.text.clone(), What::Code, &mut taken);
        }
    }
    for (at, token) in tokens.iter().enumerate() {
        // "in Celsius" is no name.
        if token.capital()
            && at > 0
            && tokens[at - 1].lower == "in"
            && matches!(token.lower.as_str(), "celsius" | "fahrenheit" | "kelvin")
        {
            add(at, at, token.text.clone(), What::Unit, &mut taken);
        }
    }
    for (first, last) in names::names(tokens, &taken) {
        let written = &text[tokens[first].start..tokens[last].end];
        let bare = written.strip_suffix("'s").or_else(|| written.strip_suffix("’s")).unwrap_or(written);
        // "Washington D.C." ends with a dot of its own.
        let dotted = bare.ends_with(".C") || bare.ends_with(" Jr") || bare.ends_with(" Ltd") || bare.ends_with(" Inc");
        let bare =
            if dotted && text[tokens[last].end..].starts_with('.') { format!("{bare}.") } else { bare.to_owned() };
        add(first, last, bare, What::Name, &mut taken);
    }
    for (at, token) in tokens.iter().enumerate() {
        let after_number = at > 0 && (tokens[at - 1].digit() || out_ends_number(&numbers_ends, at));
        let asked = at > 0
            && matches!(tokens[at - 1].lower.as_str(), "in" | "to" | "as" | "from" | "into")
            && units::is_unit(&token.lower)
            && token.lower.len() > 1;
        if !taken[at] && (asked || after_number && units::is_unit(&token.lower)) {
            let stroke = tokens.get(at + 1).is_some_and(|t| t.text == "/" && t.start == token.end);
            let last = if stroke && tokens.get(at + 2).is_some_and(|t| t.word) { at + 2 } else { at };
            add(at, last, text[token.start..tokens[last].end].to_owned(), What::Unit, &mut taken);
        }
    }
    for (first, last) in phrases(tokens, &taken) {
        add(first, last, text[tokens[first].start..tokens[last].end].to_owned(), What::Phrase, &mut taken);
    }
    out.sort_by_key(|span| span.tokens);
    out
}

/// Finds house numbers with their streets: "12 Elm Street", "221B Baker Street".
fn streets(tokens: &[Token], taken: &[bool]) -> Vec<(usize, usize)> {
    const KINDS: &[&str] = &[
        "street",
        "st",
        "road",
        "rd",
        "avenue",
        "ave",
        "lane",
        "ln",
        "drive",
        "dr",
        "boulevard",
        "blvd",
        "way",
        "court",
        "place",
        "square",
        "terrace",
        "highway",
        "close",
        "crescent",
    ];
    (0..tokens.len())
        .filter(|at| tokens[*at].digit() && !taken[*at])
        .filter_map(|at| {
            let last = (at + 2..tokens.len().min(at + 6)).find(|end| KINDS.contains(&tokens[*end].lower.as_str()))?;
            tokens[at + 1..=last]
                .iter()
                .all(|token| token.word && (token.capital() || KINDS.contains(&token.lower.as_str())))
                .then_some((at, last))
        })
        .collect()
}

fn out_ends_number(ends: &[usize], at: usize) -> bool {
    ends.iter().any(|end| end + 1 == at)
}

/// Finds neighbouring spans of one kind that a text lists.
#[must_use]
pub fn lists(tokens: &[Token], spans: &[Span]) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = Vec::new();
    let mut run: Vec<usize> = Vec::new();
    for index in 0..spans.len() {
        let joined = run.last().is_some_and(|before: &usize| {
            let between = &tokens[spans[*before].tokens.1 + 1..spans[index].tokens.0];
            let glue = between.iter().any(|t| matches!(t.lower.as_str(), "," | "and" | "&" | "or" | "/" | ";"));
            spans[*before].same_kind(&spans[index])
                && glue
                && between.len() <= 4
                && between.iter().all(|t| {
                    matches!(
                        t.lower.as_str(),
                        "," | "and"
                            | "&"
                            | "or"
                            | "the"
                            | "also"
                            | "/"
                            | "a"
                            | "an"
                            | "'"
                            | "\""
                            | "”"
                            | "“"
                            | "then"
                            | "as"
                            | "well"
                            | ";"
                            | "in"
                    )
                })
        });
        if !joined && run.len() > 1 {
            out.push(std::mem::take(&mut run));
        }
        if !joined {
            run.clear();
        }
        run.push(index);
    }
    if run.len() > 1 {
        out.push(run);
    }
    out
}

/// Returns whether a number only says how many things follow: "two numbers, say 36 and 48", "the two cities of …".
fn counts(tokens: &[Token], number: &Number) -> bool {
    if !number.worded || number.unit.is_some() || number.ordinal || !(2.0..=5.0).contains(&number.value) {
        return false;
    }
    let after = &tokens[number.tokens.1 + 1..];
    let plural = after.iter().take(4).take_while(|t| t.word && !t.digit()).any(|t| {
        t.lower.ends_with('s') && t.lower.len() > 3 && !super::super::words::units::is_unit(&t.lower)
            || matches!(t.lower.as_str(), "people" | "children")
    });
    let sentence: Vec<&Token> =
        after.iter().take_while(|t| !matches!(t.text.as_str(), "?" | "!" | ";")).take(24).collect();
    let digits = sentence.iter().filter(|t| t.digit()).count();
    let names = sentence.iter().filter(|t| t.capital() && t.word).count();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let enough = digits as f64 >= number.value || names as f64 >= number.value;
    plural && enough
}

fn cover(tokens: &[Token], start: usize, end: usize) -> Option<(usize, usize)> {
    let first = tokens.iter().position(|t| t.start >= start || t.end > start)?;
    let last = tokens.iter().rposition(|t| t.start < end)?;
    (first <= last && tokens[first].start < end).then_some((first, last))
}

fn quotes(text: &str) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut open: Option<(char, usize)> = None;
    let mut before = ' ';
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    for (index, (at, c)) in chars.iter().enumerate() {
        let after = chars.get(index + 1).map_or(' ', |pair| pair.1);
        match (open, c) {
            (Some((close, start)), c) if *c == close && !(close == '\'' && after.is_alphanumeric()) => {
                if *at > start && at - start <= 2_000 {
                    out.push((start, *at));
                }
                open = None;
            }
            (None, '"') => open = Some(('"', at + 1)),
            (None, '“') => open = Some(('”', at + '“'.len_utf8())),
            (None, '‘') => open = Some(('’', at + '‘'.len_utf8())),
            (None, '`') => open = Some(('`', at + 1)),
            (None, '\'') if !before.is_alphanumeric() && !after.is_whitespace() => open = Some(('\'', at + 1)),
            _ => {}
        }
        before = *c;
    }
    // A question that is quoted as a whole quotes nothing.
    let trimmed = text.trim();
    out.retain(|(start, end)| end - start + 4 < trimmed.len() || trimmed.len() < 40);
    out
}

fn addresses(text: &str) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut at = 0;
    for piece in text.split_inclusive(char::is_whitespace) {
        let start = at;
        at += piece.len();
        let word = piece.trim();
        let inner = word.trim_matches(|c: char| {
            matches!(c, '.' | ',' | '?' | '!' | ';' | ':' | '(' | ')' | '<' | '>' | '\'' | '"')
        });
        let mail = inner
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.starts_with('.'));
        if mail || inner.contains("://") || inner.starts_with("www.") {
            let offset = start + piece.find(inner).unwrap_or(0);
            out.push((offset, offset + inner.len()));
        }
    }
    out
}

fn phrases(tokens: &[Token], taken: &[bool]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut start: Option<usize> = None;
    for at in 0..tokens.len() + 1 {
        let free = taken.get(at).is_some_and(|taken| !taken);
        let fits = tokens.get(at).is_some_and(|t| {
            let opens = start.is_none() && (stop::is_command(&t.lower) || stop::is_question(&t.lower));
            free && t.word && !stop::is_stop(&t.lower) && !opens && t.lower.len() > 1
        });
        match (start, fits) {
            (None, true) => start = Some(at),
            (Some(first), false) => {
                out.push((first, at - 1));
                start = None;
            }
            (Some(first), true) if at - first >= 5 => {
                out.push((first, at - 1));
                start = Some(at);
            }
            _ => {}
        }
    }
    out
}
