//! Markdown files with YAML front matter.

use crate::problem::{Place, clamp};

/// A file's two parts.
pub struct Document<'a> {
    /// What stands between the two `---` lines; none when the first line is no `---` or no second one follows.
    pub front: Option<&'a str>,
    /// The rest; the whole file when there is no front matter.
    pub body: &'a str,
    /// Where the rest begins.
    pub body_place: Place,
}

impl<'a> Document<'a> {
    /// Splits the text of a file; empty lines before the rest belong to neither part.
    pub fn split(text: &'a str) -> Self {
        let whole = text.strip_prefix('\u{feff}').unwrap_or(text);
        let none = Self { front: None, body: whole, body_place: Place::START };
        let Some(rest) =
            whole.strip_prefix("---").and_then(|rest| rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n")))
        else {
            return none;
        };
        let mut offset = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim_end() == "---" {
                let after = &rest[offset + line.len()..];
                let blank: usize =
                    after.split_inclusive('\n').take_while(|line| line.trim().is_empty()).map(str::len).sum();
                let body = &after[blank..];
                let lines = whole[..whole.len() - body.len()].matches('\n').count();
                return Self {
                    front: Some(&rest[..offset]),
                    body,
                    body_place: Place { line: clamp(lines + 1), column: 1 },
                };
            }
            offset += line.len();
        }
        none
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_knows_its_first_line() {
        let document = Document::split("---\na: 1\n---\n\nHello\n---\nthere");
        assert_eq!((document.front, document.body, document.body_place.line), (Some("a: 1\n"), "Hello\n---\nthere", 5));
        assert_eq!(Document::split("---\r\na: 1\r\n---\r\nHi").front, Some("a: 1\r\n"));
        assert!(Document::split("---\na: 1\n").front.is_none());
        assert!(Document::split("Hello").front.is_none());
        assert_eq!(Document::split("---\n---\n").front, Some(""));
    }
}
