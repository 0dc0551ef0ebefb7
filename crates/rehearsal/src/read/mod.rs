//! A text as things that can be said of a parameter: numbers, dates, names, quotes, ids, phrases.

pub mod facts;
pub mod formula;
pub mod names;
pub mod spans;

use crate::words::{self, Token, date::Day};
use bedplate_core::time::Timestamp;

pub use spans::{Span, What};

/// A text that was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The text, clipped.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Its spans, in order of their start.
    pub spans: Vec<Span>,
    /// Runs of neighbouring spans of one kind that the text lists ("a, b and c"), as indices into `spans`.
    pub lists: Vec<Vec<usize>>,
    /// The day of the reading.
    pub today: Day,
}

impl Reading {
    /// Reads a text.
    #[must_use]
    pub fn new(text: &str, now: Timestamp) -> Self {
        let text = words::clip(text).to_owned();
        let tokens = words::tokens(&text);
        let spans = spans::spans(&text, &tokens, now);
        let lists = spans::lists(&tokens, &spans);
        Self { text, tokens, spans, lists, today: Day::of(now) }
    }

    /// Returns the text between two tokens, inclusive.
    #[must_use]
    pub fn slice(&self, first: usize, last: usize) -> &str {
        match (self.tokens.get(first), self.tokens.get(last)) {
            (Some(a), Some(b)) if a.start <= b.end => &self.text[a.start..b.end],
            _ => "",
        }
    }

    /// Returns the lower-case token at an index, or an empty text.
    #[must_use]
    pub fn lower(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.lower.as_str())
    }
}
