//! Intrinsic functions: how they are written.

use super::{Env, Path, Problem, functions::Function};
use serde_json::Value;
use std::{borrow::Cow, sync::Arc};

/// How deep calls may lie within each other.
const MAX_DEPTH: usize = 10;

/// A call of an intrinsic function, ready to be made.
#[derive(Debug)]
pub struct Intrinsic {
    text: Arc<str>,
    function: Function,
    arguments: Vec<Argument>,
}

#[derive(Debug)]
enum Argument {
    Literal(Value),
    Path(Path),
    Call(Intrinsic),
}

impl Intrinsic {
    /// Returns the call that `text` says; none when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { text, at: 0 };
        let call = parser.call(0)?;
        parser.blanks();
        (parser.at == text.len()).then_some(call)
    }

    /// Returns what the function gives; `field` is the name in messages of where the call stands.
    ///
    /// # Errors
    /// [`Problem`] when an argument is not there, or the function cannot do with it.
    pub fn call(&self, env: &Env<'_>, field: &str) -> Result<Value, Problem> {
        let mut values = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            values.push(match argument {
                Argument::Literal(value) => Cow::Borrowed(value),
                Argument::Path(path) => match path.find(env) {
                    Ok(value) => value,
                    Err(_) => {
                        // The words are those of a template's path.
                        path.field(env, field)?;
                        continue;
                    }
                },
                Argument::Call(call) => Cow::Owned(call.call(env, field)?),
            });
        }
        self.function.call(&values, env).map_err(|message| {
            Problem::intrinsic(format_args!("The function '{}' had the following error: {message}", self.text))
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn blanks(&mut self) {
        while self.rest().starts_with([' ', '\t', '\n', '\r']) {
            self.at += 1;
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn call(&mut self, depth: usize) -> Option<Intrinsic> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blanks();
        let begin = self.at;
        let end = self.rest().find('(')?;
        let function = Function::parse(self.rest()[..end].trim())?;
        self.at += end + 1;
        let mut arguments = Vec::new();
        if !self.eat(")") {
            loop {
                arguments.push(self.argument(depth, function == Function::Format)?);
                if self.eat(")") {
                    break;
                }
                if !self.eat(",") {
                    return None;
                }
            }
        }
        Some(Intrinsic { text: self.text[begin..self.at].into(), function, arguments })
    }

    /// Reads an argument; `format` keeps the escapes of braces, which `States.Format` reads itself.
    fn argument(&mut self, depth: usize, format: bool) -> Option<Argument> {
        self.blanks();
        match self.rest().chars().next()? {
            '\'' => self.string(format).map(|text| Argument::Literal(Value::String(text))),
            '$' => {
                let end = self.path_end();
                let path = Path::parse(self.rest()[..end].trim_end())?;
                self.at += end;
                Some(Argument::Path(path))
            }
            'S' => self.call(depth + 1).map(Argument::Call),
            _ => {
                let end = self.rest().find([',', ')'])?;
                let value = serde_json::from_str::<Value>(self.rest()[..end].trim()).ok()?;
                if matches!(value, Value::Array(_) | Value::Object(_) | Value::String(_)) {
                    return None;
                }
                self.at += end;
                Some(Argument::Literal(value))
            }
        }
    }

    fn string(&mut self, format: bool) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest()[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    self.at += at + 2;
                    return Some(text);
                }
                '\\' => match chars.next()?.1 {
                    escaped @ ('\'' | '{' | '}' | '\\') => {
                        if format && escaped != '\'' {
                            text.push('\\');
                        }
                        text.push(escaped);
                    }
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    other => text.extend(['\\', other]),
                },
                c => text.push(c),
            }
        }
        None
    }

    /// Returns where the path ends: at a comma or bracket that is not inside its own.
    fn path_end(&self) -> usize {
        let rest = self.rest();
        let mut depth = 0usize;
        let mut quote = None;
        for (at, c) in rest.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '[' | '(') => depth += 1,
                (None, ',' | ')') if depth == 0 => return at,
                (None, ']' | ')') => depth = depth.saturating_sub(1),
                (None, _) => {}
            }
        }
        rest.len()
    }
}
