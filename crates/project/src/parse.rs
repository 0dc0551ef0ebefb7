//! TOML and YAML text to trees with places.

use crate::{
    node::{Data, Entry, Node},
    problem::{Place, Source, clamp},
};
use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// How deep values may nest.
const MAX_DEPTH: usize = 32;

/// Returns the table that a TOML text says; every syntax error is reported, and what could be read is returned.
pub fn toml(source: Source<'_>, text: &str) -> Node {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = error.span().map_or(Place::START, |span| Place::of(text, span.start));
        source.error(place, "syntax", format!("this is not valid TOML: {}", error.message()));
    }
    let entries = toml_entries(source, text, table.get_ref());
    Node { place: Place::START, text: Place::START, data: Data::Table(entries) }
}

fn toml_entries(source: Source<'_>, text: &str, table: &DeTable<'_>) -> Vec<Entry> {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        place: Place::of(text, key.span().start),
        node: toml_node(source, text, value),
    });
    entries.collect()
}

fn toml_node(source: Source<'_>, text: &str, value: &Spanned<DeValue<'_>>) -> Node {
    let start = value.span().start;
    let place = Place::of(text, start);
    let raw = text.get(start..).unwrap_or_default();
    let long = ["'''", "\"\"\""]
        .iter()
        .filter_map(|quotes| raw.strip_prefix(quotes))
        .any(|rest| rest.starts_with(['\n', '\r']));
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Data::Integer(number),
            Err(_) => {
                source.error(place, "invalid_value", "this number is too large");
                Data::Null
            }
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Data::Float(number),
            _ => {
                source.error(place, "invalid_value", "this is not a finite number");
                Data::Null
            }
        },
        DeValue::Boolean(value) => Data::Boolean(*value),
        DeValue::Datetime(date) => Data::Date(date.to_string()),
        DeValue::Array(items) => Data::List(items.iter().map(|item| toml_node(source, text, item)).collect()),
        DeValue::Table(table) => Data::Table(toml_entries(source, text, table)),
    };
    Node { place, text: place.below(usize::from(long)), data }
}

/// Returns the mapping that a YAML text says, whose first line is line `first_line` of its file; none, reported, when it
/// says none. Aliases and tags are refused: front matter needs neither, and both hide what a file says.
pub fn yaml(source: Source<'_>, text: &str, first_line: u32) -> Option<Node> {
    let mut reader = Yaml { source, parser: Parser::new_from_str(text), first_line };
    match reader.document() {
        Ok(node) => node,
        Err((place, message)) => {
            source.error(place, "syntax", format!("this is not valid YAML: {message}"));
            None
        }
    }
}

struct Yaml<'a, P> {
    source: Source<'a>,
    parser: P,
    first_line: u32,
}

type Failure = (Place, String);

impl<'t> Yaml<'_, Parser<'t, granit_parser::StrInput<'t>>> {
    fn next(&mut self) -> Result<(Event<'t>, Place), Failure> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let place = self.place(span);
                Ok((event, place))
            }
            Some(Err(error)) => {
                // The parser has no words for what is not closed.
                let info = Some(error.info()).filter(|info| !info.is_empty());
                let info = info.unwrap_or_else(|| "a bracket or quote is not closed".to_owned());
                Err((self.at(*error.marker()), info))
            }
            None => Ok((Event::StreamEnd, Place { line: self.first_line, column: 1 })),
        }
    }

    fn place(&self, span: Span) -> Place {
        self.at(span.start)
    }

    fn at(&self, marker: Marker) -> Place {
        Place { line: clamp(marker.line()).saturating_add(self.first_line) - 1, column: clamp(marker.col()) + 1 }
    }

    fn document(&mut self) -> Result<Option<Node>, Failure> {
        let mut found = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                _ if found.is_some() => return Err((place, "there is more than one document".to_owned())),
                event => found = Some(self.node(event, place, 0)?),
            }
        }
        let start = Place { line: self.first_line, column: 1 };
        let empty = || Node { place: start, text: start, data: Data::Table(Vec::new()) };
        match found {
            None => Ok(Some(empty())),
            Some(node) => match node.data {
                Data::Table(_) => Ok(Some(node)),
                Data::Null => Ok(Some(empty())),
                _ => Err((node.place, format!("a mapping of keys to values is needed, not {}", node.kind()))),
            },
        }
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<Node, Failure> {
        if depth > MAX_DEPTH {
            return Err((place, "it nests too deep".to_owned()));
        }
        if event.tag().is_some() || event.is_alias() || event.anchor_id().is_some_and(|anchor| anchor > 0) {
            return Err((place, "tags, anchors and aliases are not allowed".to_owned()));
        }
        let mut text = place;
        let data = match event {
            Event::Scalar(value, style, ..) => {
                text = place.below(usize::from(matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)));
                match style {
                    ScalarStyle::Plain => plain(&value),
                    _ => Data::Text(value.into_owned()),
                }
            }
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.table(depth)?,
            _ => return Err((place, "a value is needed".to_owned())),
        };
        Ok(Node { place, text, data })
    }

    fn list(&mut self, depth: usize) -> Result<Data, Failure> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Data::List(items)),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn table(&mut self, depth: usize) -> Result<Data, Failure> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Data::Table(entries)),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err((place, "a key must be a plain word".to_owned())),
            };
            let (event, value_place) = self.next()?;
            let node = self.node(event, value_place, depth + 1)?;
            if entries.iter().any(|entry| entry.key == key) {
                self.source.error(place, "duplicate", format!("the key {key:?} appears twice"));
            } else {
                entries.push(Entry { key, place, node });
            }
        }
    }
}

/// Reads an unquoted scalar as YAML 1.2's core schema does; `yes` and `off` are texts.
fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Boolean(true),
        "false" | "False" | "FALSE" => return Data::Boolean(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Data::Integer(number);
    }
    let numeric = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => Data::Float(number),
        _ => Data::Text(text.to_owned()),
    }
}
