//! What is wrong with a project folder, each with its place and a hint.

use serde::Serialize;
use std::{cell::RefCell, fmt};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The project cannot be used.
    Error,
    /// The project works, but probably not as its author thinks.
    Warning,
}

/// Something that is wrong with a project folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, relative to the folder, with `/` between its parts.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What kind of problem, a stable word such as `unknown_key`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

/// Writes `file:line:column: error[code]: message`, with the hint on a second line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Self { file, line, column, code, message, .. } = self;
        write!(f, "{file}:{line}:{column}: {word}[{code}]: {message}")?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A place in a file: line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    /// The start of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Returns the place of the byte at `offset` in `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line: clamp(line), column: clamp(column) }
    }

    /// Returns the start of the line `lines` below this one, or this place when that is 0.
    pub fn below(self, lines: usize) -> Self {
        if lines == 0 { self } else { Self { line: self.line.saturating_add(clamp(lines)), column: 1 } }
    }
}

pub fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Collects the problems of all files.
#[derive(Default)]
pub struct Report {
    problems: RefCell<Vec<Problem>>,
}

impl Report {
    /// Returns all problems in the order of files and places.
    pub fn finish(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        problems.dedup();
        problems
    }

    /// Adds a problem that is written out.
    pub fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Returns whether anything found so far keeps the project from being used.
    pub fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// A file and where its problems go.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub report: &'a Report,
    pub file: &'a str,
}

impl Source<'_> {
    /// Reports an error.
    pub fn error(&self, place: Place, code: &'static str, message: impl Into<String>) {
        self.add(place, code, message.into(), None, Severity::Error);
    }

    /// Reports an error with a hint.
    pub fn error_with(&self, place: Place, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(place, code, message.into(), Some(hint.into()), Severity::Error);
    }

    /// Reports a warning.
    pub fn warning(&self, place: Place, code: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(place, code, message.into(), Some(hint.into()), Severity::Warning);
    }

    /// Reports that `name` is no `what`, with what it may have been meant to be.
    pub fn unknown<'n>(
        &self,
        place: Place,
        code: &'static str,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let hint = match nearest(name, &known) {
            Some(near) => Some(format!("did you mean {near:?}?")),
            None if known.is_empty() => None,
            None => Some(format!("there are: {}", known.join(", "))),
        };
        self.add(place, code, format!("there is no {what} {name:?}"), hint, Severity::Error);
    }

    fn add(&self, place: Place, code: &'static str, message: String, hint: Option<String>, severity: Severity) {
        let Place { line, column } = place;
        let problem = Problem { file: self.file.to_owned(), line, column, code, message, hint, severity };
        self.report.problems.borrow_mut().push(problem);
    }
}

/// Returns the name that `name` most probably stands for.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &str| strsim::damerau_levenshtein(name, other);
    let limit = (name.chars().count() / 3).max(1);
    let starts = |other: &&&str| name.len() > 2 && (other.starts_with(name) || name.starts_with(**other));
    if let Some(begun) = known.iter().find(starts).filter(|other| other.len() > 2) {
        return Some(begun);
    }
    let best = known.iter().copied().min_by_key(|other| distance(other))?;
    let same = best.replace(['-', '_'], "").eq_ignore_ascii_case(&name.replace(['-', '_'], ""));
    (same || distance(best) <= limit).then_some(best)
}
