//! Server-sent events: bytes to events as they come, and events to bytes (WHATWG HTML, section 9.2).

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The event's name; empty when it has none.
    pub name: String,
    /// The data lines, joined with line feeds.
    pub data: String,
}

/// Collects events from bytes that may be cut anywhere, also inside a character or a line end.
///
/// Comments, `id` and `retry` are skipped. Bytes that are not UTF-8 are replaced, as the standard says; a decoder of
/// JSON then finds whatever is wrong with them. The caller bounds how many bytes come.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    started: bool,
    name: String,
    data: String,
    has_data: bool,
}

impl Parser {
    /// Takes the next bytes and appends the events that they complete to `events`.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(rest);
                return;
            };
            self.line.extend_from_slice(&rest[..end]);
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.end_line(events);
        }
    }

    /// Takes the end of the stream: an event whose blank line is missing is appended all the same, because some
    /// servers leave the last one out and the decoder above knows whether it was whole.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        if !self.line.is_empty() {
            self.end_line(events);
        }
        self.dispatch(events);
    }

    fn end_line(&mut self, events: &mut Vec<Event>) {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let line = if std::mem::replace(&mut self.started, true) {
            text.as_ref()
        } else {
            text.strip_prefix('\u{feff}').unwrap_or(&text)
        };
        if line.is_empty() {
            self.dispatch(events);
        } else {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.name = value.to_owned(),
                "data" => {
                    if std::mem::replace(&mut self.has_data, true) {
                        self.data.push('\n');
                    }
                    self.data.push_str(value);
                }
                _ => {}
            }
        }
        // The buffer is kept for the next line, so that a stream of short lines allocates once.
        self.line = bytes;
        self.line.clear();
    }

    fn dispatch(&mut self, events: &mut Vec<Event>) {
        let name = std::mem::take(&mut self.name);
        if std::mem::take(&mut self.has_data) {
            events.push(Event { name, data: std::mem::take(&mut self.data) });
        }
    }
}

/// Appends an event to `out`; `name` is left out when it is empty. `data` is one line of JSON or a word.
pub fn write(out: &mut Vec<u8>, name: &str, data: &str) {
    if !name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    for line in data.split('\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<Event> {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for chunk in chunks {
            parser.feed(chunk, &mut events);
        }
        parser.finish(&mut events);
        events
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let text = "\u{feff}: hello\r\nevent: a\r\ndata: {\"ü\":1}\r\nid: 7\r\n\r\ndata: x\ndata:y\n\ndata: \u{1F30A}\r\rdata: last";
        let whole = parse(&[text.as_bytes()]);
        let datas: Vec<&str> = whole.iter().map(|event| event.data.as_str()).collect();
        assert_eq!(datas, ["{\"ü\":1}", "x\ny", "\u{1F30A}", "last"]);
        assert_eq!(whole[0].name, "a");
        for cut in 0..text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            assert_eq!(parse(&[head, tail]), whole, "cut at byte {cut}");
        }
        let singles: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(parse(&singles), whole);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = Vec::new();
        write(&mut out, "ping", "a\nb");
        write(&mut out, "", "[DONE]");
        let events = parse(&[&out]);
        assert_eq!(events[0], Event { name: "ping".into(), data: "a\nb".into() });
        assert_eq!(events[1], Event { name: String::new(), data: "[DONE]".into() });
    }
}
