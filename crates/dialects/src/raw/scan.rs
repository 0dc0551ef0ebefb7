//! A reader of JSON objects that finds the fields of the outermost level and skips everything else.
//!
//! It holds brackets and strings to their form and nothing more: whoever gets the bytes reads them whole. It never
//! descends, so depth costs no stack.

use memchr::memchr2;
use std::{borrow::Cow, ops::Range};

/// A field: its name, and where its value stands.
pub(crate) struct Field<'a> {
    pub(crate) name: Cow<'a, [u8]>,
    pub(crate) value: Range<usize>,
}

/// The bytes are not one JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAnObject;

/// Iterates over the fields of an object. After an error it ends.
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Within,
    Over,
}

/// Returns the fields of the object that is all of `bytes`.
pub(crate) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { bytes, at: 0, state: State::Begin }
}

/// Returns the value of the last field called `name`, for bytes that an upstream sent; none when there is none.
pub(crate) fn field<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    for field in fields(bytes) {
        let field = field.ok()?;
        if field.name == name {
            found = bytes.get(field.value);
        }
    }
    found
}

impl<'a> Fields<'a> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn take(&mut self, wanted: u8) -> Result<(), NotAnObject> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            Ok(())
        } else {
            Err(NotAnObject)
        }
    }

    /// Skips a string, whose opening quote is at hand, and returns whether it holds escapes.
    fn string(&mut self) -> Result<bool, NotAnObject> {
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).ok_or(NotAnObject)?;
            let found = memchr2(b'"', b'\\', rest).ok_or(NotAnObject)?;
            self.at += found + 1;
            if rest[found] == b'"' {
                return Ok(escaped);
            }
            escaped = true;
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Range<usize>, NotAnObject> {
        let first = self.peek().ok_or(NotAnObject)?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match self.bytes.get(self.at).ok_or(NotAnObject)? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            b',' | b'}' | b']' | b':' => return Err(NotAnObject),
            _ => {
                let plain = |byte: &u8| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b'"');
                self.at += self.bytes[start..].iter().take_while(|byte| plain(byte)).count();
            }
        }
        Ok(start..self.at)
    }

    fn step(&mut self) -> Result<Option<Field<'a>>, NotAnObject> {
        if self.state == State::Begin {
            self.take(b'{')?;
        }
        if self.peek() == Some(b'}') {
            self.at += 1;
            return if self.peek().is_none() { Ok(None) } else { Err(NotAnObject) };
        }
        if self.state == State::Within {
            self.take(b',')?;
        }
        self.state = State::Within;
        if self.peek() != Some(b'"') {
            return Err(NotAnObject);
        }
        let start = self.at;
        let escaped = self.string()?;
        let quoted = &self.bytes[start..self.at];
        // An escaped name may be one that must be known: `"mod\u0065l"` is `model` to whoever reads it.
        let name = match escaped {
            false => Cow::Borrowed(&quoted[1..quoted.len() - 1]),
            true => {
                let name: String = serde_json::from_slice(quoted).map_err(|_| NotAnObject)?;
                Cow::Owned(name.into_bytes())
            }
        };
        self.take(b':')?;
        let value = self.value()?;
        Ok(Some(Field { name, value }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, NotAnObject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let item = self.step().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Over;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, &str)>, NotAnObject> {
        fields(text.as_bytes())
            .map(|field| field.map(|field| (String::from_utf8_lossy(&field.name).into_owned(), &text[field.value])))
            .collect()
    }

    #[test]
    fn the_outermost_fields_are_found_and_what_is_in_them_is_not_taken_for_one() {
        let text = r#" { "a" : "x\"}", "b":[{"a":"]}"},2], "mod\u0065l":"m" ,"c":-1.5e3,"d":null,"e":{"f":{}} } "#;
        let read = read(text).unwrap();
        let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "model", "c", "d", "e"]);
        let values: Vec<&str> = read.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [r#""x\"}""#, r#"[{"a":"]}"},2]"#, r#""m""#, "-1.5e3", "null", r#"{"f":{}}"#]);
        assert_eq!(field(b"{\"a\":1,\"a\":2}", b"a"), Some(&b"2"[..]));
    }

    #[test]
    fn what_is_no_object_is_refused_and_never_panics() {
        for text in
            ["", "[]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":\"", "{\"a\":\"\\", "{\"a\":[", "{}}", "{,}"]
        {
            assert_eq!(read(text), Err(NotAnObject), "{text}");
        }
        for text in ["{\"a\":]", "{\"a\":1 2}", "{a:1}", "{\"a\":1}x", "{\"\\u12\":1}", "{\"a\":1,}"] {
            assert_eq!(read(text), Err(NotAnObject), "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert!(read(&deep).is_err());
        assert_eq!(read("{}"), Ok(vec![]));
    }
}
