//! Text as tokens: what the rest of the crate reads instead of characters.

pub mod date;
pub mod number;
pub mod places;
pub mod stem;
pub mod stop;
pub mod superlative;
pub mod synonyms;
pub mod units;

pub use stem::stem;

/// How many bytes of a text are read; the rest is ignored, so that a reply's time is bounded.
pub const MAX_TEXT: usize = 5_000;

/// A word, number or punctuation mark of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
    /// The characters as written.
    pub text: String,
    /// The characters in lower case.
    pub lower: String,
    /// The stem, see [`stem`].
    pub stem: String,
    /// The groups of like words that the stem belongs to, see [`synonyms`].
    pub groups: &'static [usize],
    /// The stems of its parts: `well-known` has two.
    pub parts: Vec<String>,
    /// Whether it is made of letters or digits.
    pub word: bool,
}

impl Token {
    /// Returns whether the first letter is a capital.
    #[must_use]
    pub fn capital(&self) -> bool {
        self.text.chars().next().is_some_and(char::is_uppercase)
    }

    /// Returns whether it begins with a digit.
    #[must_use]
    pub fn digit(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }
}

/// Splits a text into tokens. Hyphens, apostrophes, dots and commas stay inside a word when both neighbours are letters
/// or digits (a comma or dot only between digits, a dot also between letters without a space).
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let text = clip(text);
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (start, c) = chars[at];
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let mut next = at + 1;
        if is_word(c) {
            while next < chars.len() && (is_word(chars[next].1) || joins(&chars, next)) {
                next += 1;
            }
        }
        let end = chars.get(next).map_or(text.len(), |(index, _)| *index);
        out.push(token(&text[start..end], start));
        at = next;
    }
    out
}

/// Returns the first [`MAX_TEXT`] bytes of a text, cut between characters.
#[must_use]
pub fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns the stems of the words of a text, with identifiers split at case changes, `_`, `-` and `.`.
#[must_use]
pub fn stems(text: &str) -> Vec<String> {
    spaced(text).split_whitespace().map(|word| stem(&word.to_lowercase())).collect()
}

/// Returns the words of a text with spaces between them, with identifiers split at case changes, `_`, `-` and `.`.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in clip(text).chars() {
        if c.is_uppercase() && before.is_lowercase() {
            spaced.push(' ');
        }
        spaced.push(if is_word(c) && c != '_' { c } else { ' ' });
        before = c;
    }
    spaced
}

/// Returns the lower-case words of a text or identifier, each also without the plural's "s".
#[must_use]
pub fn bare_words(text: &str) -> Vec<String> {
    let spoken = crate::schema::spoken(clip(text));
    let mut out = Vec::new();
    for word in spoken.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()) {
        let lower = word.to_lowercase();
        let digits = lower.trim_end_matches(|c: char| c.is_ascii_digit());
        if !digits.is_empty() && digits.len() < lower.len() {
            out.push(digits.to_owned());
        }
        if let Some(one) = lower.strip_suffix('s').filter(|one| one.len() > 2) {
            out.push(one.to_owned());
        }
        out.push(lower);
    }
    out
}

/// Returns the stems that carry meaning: without function words.
#[must_use]
pub fn content_stems(text: &str) -> Vec<String> {
    spaced(text)
        .split_whitespace()
        .map(str::to_lowercase)
        .filter(|word| !stop::is_stop(word) && word.chars().count() > 1)
        .map(|word| stem(&word))
        .collect()
}

fn token(text: &str, start: usize) -> Token {
    let lower = text.to_lowercase();
    let bare = lower.strip_suffix("'s").or_else(|| lower.strip_suffix("’s")).unwrap_or(&lower);
    Token {
        start,
        end: start + text.len(),
        text: text.to_owned(),
        parts: if text.contains(['-', '_', '.']) || text.chars().skip(1).any(char::is_uppercase) {
            stems(text)
        } else {
            vec![stem(bare)]
        },
        groups: synonyms::groups(&stem(bare)),
        stem: stem(bare),
        word: text.starts_with(is_word),
        lower,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn joins(chars: &[(usize, char)], at: usize) -> bool {
    let (Some(before), Some(after)) = (at.checked_sub(1).map(|i| chars[i].1), chars.get(at + 1).map(|pair| pair.1))
    else {
        return false;
    };
    match chars[at].1 {
        '-' | '\'' | '’' => before.is_alphanumeric() && after.is_alphanumeric(),
        '.' => (before.is_ascii_digit() && after.is_ascii_digit()) || (before.is_alphabetic() && after.is_alphabetic()),
        ',' => {
            // "1,000" is one number, "5,10 and 15" and "[200,300]" are lists: a group has exactly three digits.
            let group = chars[at + 1..].iter().take_while(|pair| pair.1.is_ascii_digit()).count();
            let head: Vec<char> =
                chars[..at].iter().rev().map(|pair| pair.1).take_while(|c| c.is_ascii_digit() || *c == ',').collect();
            let first = head.iter().rev().take_while(|c| c.is_ascii_digit()).count();
            let opener = chars[..at].iter().rev().map(|pair| pair.1).find(|c| !(c.is_ascii_digit() || *c == ','));
            let listed = matches!(opener, Some('[' | '('))
                || first == 3
                    && chars.get(at + 4).is_some_and(|pair| pair.1 == ',')
                    && chars.get(at + 5).is_some_and(|pair| pair.1.is_ascii_digit());
            before.is_ascii_digit() && group == 3 && (1..=3).contains(&first) && head.len() <= 11 && !listed
        }
        ':' => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => false,
    }
}
