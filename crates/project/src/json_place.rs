//! Where in a JSON text something stands that a pointer names.

use crate::problem::Place;

/// Returns the place of what `pointer` names in the JSON `text`: of the name of a field, or of an item of a list. Where
/// the text has no such thing (a field that is missing), it is the place of what is there on the way to it.
///
/// The pointer is of the form `/States/A/Retry[0]/MaxAttempts`; nothing in it is escaped, so that names are matched
/// against those of the text, the longest first.
pub fn place_of(text: &str, pointer: &str) -> Place {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0 };
    scanner.blank();
    let offset = scanner.find(pointer).unwrap_or_default();
    Place::of(text, offset)
}

/// Reads JSON that a parser has accepted; on anything else it stops where it is.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Passes `byte`, with the blanks around it.
    fn pass(&mut self, byte: u8) -> bool {
        self.blank();
        let is_there = self.peek() == Some(byte);
        if is_there {
            self.at += 1;
            self.blank();
        }
        is_there
    }

    /// Returns the offset of what `pointer` names, seen from the value that stands here; none when the way ends before.
    fn find(&mut self, pointer: &str) -> Option<usize> {
        let here = self.at;
        if pointer.is_empty() || pointer == "/" {
            return Some(here);
        }
        match self.peek()? {
            b'{' => self.find_field(pointer.strip_prefix('/')?),
            b'[' => self.find_item(pointer.strip_prefix('[')?),
            _ => None,
        }
        .or(Some(here))
    }

    /// Looks for the field whose name begins `rest`; of several the longest is meant.
    fn find_field(&mut self, rest: &str) -> Option<usize> {
        let mut best: Option<(usize, usize, usize)> = None;
        self.at += 1;
        self.blank();
        while self.peek() == Some(b'"') {
            let key_at = self.at;
            let key = self.string()?;
            if !self.pass(b':') {
                break;
            }
            let value_at = self.at;
            let fits =
                rest.strip_prefix(key.as_str()).is_some_and(|more| more.is_empty() || more.starts_with(['/', '[']));
            if fits && best.is_none_or(|(length, ..)| key.len() >= length) {
                best = Some((key.len(), key_at, value_at));
            }
            self.skip()?;
            if !self.pass(b',') {
                break;
            }
        }
        let (length, key_at, value_at) = best?;
        let more = &rest[length..];
        if more.is_empty() {
            return Some(key_at);
        }
        self.at = value_at;
        // What is missing in a field's value is told at the field.
        match self.find(more)? {
            found if found == value_at => Some(key_at),
            found => Some(found),
        }
    }

    fn find_item(&mut self, rest: &str) -> Option<usize> {
        let (index, more) = rest.split_once(']')?;
        let index: usize = index.parse().ok()?;
        self.at += 1;
        self.blank();
        for _ in 0..index {
            self.skip()?;
            if !self.pass(b',') {
                return None;
            }
        }
        self.find(more)
    }

    /// Passes a string and returns what it says.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += match byte {
                b'\\' => 2,
                _ => 1,
            };
            if byte == b'"' {
                return serde_json::from_slice(self.text.get(start..self.at)?).ok();
            }
        }
        None
    }

    /// Passes a whole value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => {
                    while self.peek().is_some_and(|byte| !byte.is_ascii_whitespace() && !b",:]}".contains(&byte)) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "StartAt": "A",
  "States": {
    "A": {"Type": "Pass", "Next": "B/C"},
    "B/C": {
      "Type": "Task", "Retry": [{"ErrorEquals": ["x"]}, {"MaxAttempts": "2"}], "End": true
    },
    "B": {"Type": "Succeed"}, "ä\u0020b": {"Type": "Nonsense"}
  }
}"#;

    fn at(pointer: &str) -> (u32, u32) {
        let place = place_of(TEXT, pointer);
        (place.line, place.column)
    }

    #[test]
    fn a_pointer_leads_to_its_line_and_column() {
        assert_eq!(at("/"), (1, 1));
        assert_eq!(at("/StartAt"), (2, 3));
        assert_eq!(at("/States/A/Next"), (4, 27));
        assert_eq!(at("/States/B/C/Retry[1]/MaxAttempts"), (6, 58));
        assert_eq!(at("/States/B/C/Retry[1]"), (6, 57));
        assert_eq!(at("/States/B/Type"), (8, 11));
        assert_eq!(at("/States/ä b/Type"), (8, 44));
    }

    #[test]
    fn what_is_missing_is_told_where_it_should_be() {
        assert_eq!(at("/States/A/Resource"), (4, 5));
        assert_eq!(at("/States/B/C/Retry[7]"), (6, 23));
        assert_eq!(at("/Nonsense"), (1, 1));
        assert_eq!(at("States"), (1, 1));
    }

    #[test]
    fn a_text_that_is_no_json_has_places_all_the_same() {
        for text in ["", "{", "[1,", "{\"a\"", "{\"a\":", "{\"a\":]", "{\"a\\", "}", "{\"a\":{\"b\":1,,}"] {
            for pointer in ["/a/b", "/", "[3]", "/a[1]"] {
                assert_eq!(place_of(text, pointer).line, 1, "{text} {pointer}");
            }
        }
    }
}
