//! As much HTTP/1.1 as the load needs: one connection that is kept, bodies with a length, and streams that are held.

use std::{
    fmt,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the load cannot go on.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// Returns an error that says `message`.
    pub fn of(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Returns the error of an input or output.
    pub fn io(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A connection to the server that is used again and again.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

impl Connection {
    /// Connects to `address`.
    pub fn open(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).map_err(Error::io)?;
        stream.set_nodelay(true).map_err(Error::io)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(Error::io)?;
        Ok(Self { stream, buffer: Vec::new(), request: Vec::new() })
    }

    /// Posts `body` to `path` and returns the body of the answer, which must be a 200.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Result<&[u8], Error> {
        self.request.clear();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .map_err(Error::io)?;
        self.request.extend_from_slice(body);
        self.exchange()
    }

    /// Gets `path` and returns the body of the answer, which must be a 200.
    pub fn get(&mut self, path: &str) -> Result<&[u8], Error> {
        self.request.clear();
        write!(self.request, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").map_err(Error::io)?;
        self.exchange()
    }

    /// Opens a stream of events at `path` and reads it until `mark` has come; the connection then holds it.
    pub fn follow(&mut self, path: &str, mark: &[u8]) -> Result<(), Error> {
        self.request.clear();
        write!(self.request, "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")
            .map_err(Error::io)?;
        self.stream.write_all(&self.request).map_err(Error::io)?;
        self.buffer.clear();
        while !contains(&self.buffer, mark) {
            self.read_more()?;
        }
        // What was read is not needed any more; 5,000 of them would be.
        self.buffer = Vec::new();
        self.request = Vec::new();
        Ok(())
    }

    fn exchange(&mut self) -> Result<&[u8], Error> {
        self.stream.write_all(&self.request).map_err(Error::io)?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more()?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let length = length.ok_or_else(|| Error::of(format!("an answer without a length: {text}")))?;
        let is_good = text.starts_with("http/1.1 200");
        while self.buffer.len() < head + length {
            self.read_more()?;
        }
        if !is_good {
            return Err(Error::of(String::from_utf8_lossy(&self.buffer).into_owned()));
        }
        Ok(&self.buffer[head..head + length])
    }

    fn read_more(&mut self) -> Result<(), Error> {
        let mut chunk = [0_u8; 16 * 1024];
        match self.stream.read(&mut chunk).map_err(Error::io)? {
            0 => Err(Error::of("the server closed the connection")),
            count => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

/// Returns whether `needle` stands in `text`.
pub fn contains(text: &[u8], needle: &[u8]) -> bool {
    find(text, needle).is_some()
}

/// Returns the text value of a field of a JSON object, taken as the server writes it.
pub fn field<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let start = find(json, format!("\"{name}\":\"").as_bytes())? + name.len() + 4;
    let length = json[start..].iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&json[start..start + length]).ok()
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}
