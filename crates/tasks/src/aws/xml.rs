//! As much XML as services of AWS answer: elements and texts.

use serde_json::{Map, Value};

/// How deep elements may nest.
const MAX_DEPTH: usize = 32;

/// An element.
#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    /// The text in it, when it holds no elements.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// Returns the first element at `path` below this one.
    pub fn find(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        self.children.iter().find(|child| child.name == *first)?.find(rest)
    }

    /// Returns all elements called `name` right below this one.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Returns the element as JSON: its text, a list where its elements are `member`s, else an object.
    pub fn value(&self) -> Value {
        if self.children.is_empty() {
            return Value::String(self.text.clone());
        }
        if self.children.iter().all(|child| child.name == "member") {
            return self.children.iter().map(Self::value).collect();
        }
        Value::Object(self.children.iter().map(|child| (child.name.clone(), child.value())).collect::<Map<_, _>>())
    }
}

/// Returns the root element of a document; none when it is not well formed.
pub fn parse(text: &str) -> Option<Element> {
    let mut open: Vec<Element> = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        if let Some(element) = open.last_mut() {
            element.text.push_str(&unescaped(before));
        }
        if let Some(after) = after.strip_prefix("!--") {
            rest = after.split_once("-->")?.1;
            continue;
        }
        let (tag, after) = after.split_once('>')?;
        rest = after;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().filter(|element| element.name == name.trim())?;
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Some(element),
            }
            continue;
        }
        let name = tag.split([' ', '\t', '\n', '\r', '/']).next().unwrap_or_default();
        let element = Element { name: name.to_owned(), ..Element::default() };
        if tag.ends_with('/') {
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Some(element),
            }
        } else if open.len() < MAX_DEPTH {
            open.push(element);
        } else {
            return None;
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let Some((entity, after)) = after.split_once(';') else {
            plain.push('&');
            rest = after;
            continue;
        };
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let letter = match entity {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match entity.strip_prefix('#') {
                Some(digits) => {
                    digits.strip_prefix('x').map_or_else(|| number(digits, 10), |digits| number(digits, 16))
                }
                None => None,
            },
        };
        plain.extend(letter);
        rest = after;
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_a_broken_one_is_none() {
        let root = parse(
            "<?xml version=\"1.0\"?>\n<R xmlns=\"x\"><!-- <no/> --><A>a &lt;&amp;&#x41;</A><E/><L><member>1</member><member>2</member></L></R>",
        );
        let root = root.expect("well formed");
        assert_eq!(root.value(), serde_json::json!({"A": "a <&A", "E": "", "L": ["1", "2"]}));
        for broken in ["", "<a>", "<a></b>", "</a>", "<a", "<a><!-- </a>", &"<a>".repeat(100), "text"] {
            assert!(parse(broken).is_none(), "{broken}");
        }
    }
}
