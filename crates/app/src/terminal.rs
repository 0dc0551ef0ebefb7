//! Writing to the terminal: tables, JSON, complaints.

use crate::error::Error;
use serde::Serialize;
use std::io::Write;

/// Writes an error to standard error.
pub fn complain(error: &Error) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{error}");
}

/// Writes a remark to standard error, so that standard output holds only what a program wants to read.
pub fn remark(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a line to standard output.
pub fn say(line: impl std::fmt::Display) {
    // A reader that went away (`| head`) is no failure of the command.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes text without a line break and shows it at once.
pub fn stream(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes `value` as indented JSON.
pub fn json<T: Serialize>(value: &T) {
    // What the commands show is plain data, which always encodes.
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Writes a table: a head and rows, columns aligned, the last one as long as it is.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(&head.map(str::to_owned), &widths);
    for row in rows {
        line(row, &widths);
    }
}

fn line<const N: usize>(cells: &[String; N], widths: &[usize; N]) {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let pad = width.saturating_sub(cell.chars().count()) + 2;
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', pad));
    }
    say(text.trim_end());
}

/// Returns `text` on one line of at most `limit` characters, control characters removed: what a model or user wrote
/// must not drive the terminal.
pub fn one_line(text: &str, limit: usize) -> String {
    let mut clean: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.len() > limit {
        clean.truncate(limit.saturating_sub(1));
        clean.push('…');
    }
    clean.into_iter().collect()
}

/// Returns `text` with every control character but line break and tab removed.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Returns an RFC 3339 time to the second, for a column.
pub fn short_time(time: &str) -> String {
    time.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}
