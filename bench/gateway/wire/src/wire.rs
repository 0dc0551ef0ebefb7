//! As much HTTP/1.1 as both sides need: one connection that is kept; bodies with a length, in chunks, or to the end.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// How long a peer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One side of a connection.
pub struct Connection {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    /// Where what is not yet taken begins.
    at: usize,
}

/// A message: its first line and headers in small letters, and its body.
pub struct Message {
    pub head: String,
    pub body: Vec<u8>,
    /// When the first byte of the body was there.
    pub first_byte: Option<Instant>,
}

impl Connection {
    pub fn of(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), at: 0 })
    }

    pub fn open(address: &str) -> io::Result<Self> {
        Self::of(TcpStream::connect(address)?)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads the next message; none when the other side closed in order.
    pub fn message(&mut self) -> io::Result<Option<Message>> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if !self.more()? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(cut()) };
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        self.at = end;
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let mut first_byte = None;
        let body = if header("transfer-encoding:") == Some("chunked") {
            self.chunks(&mut first_byte)?
        } else if let Some(length) = header("content-length:").and_then(|length| length.parse::<usize>().ok()) {
            while self.buffer.len() < self.at + length {
                if !self.more()? {
                    return Err(cut());
                }
            }
            first_byte = Some(Instant::now());
            let body = self.buffer[self.at..self.at + length].to_vec();
            self.at += length;
            body
        } else if head.starts_with("http/") {
            while self.more()? {
                first_byte.get_or_insert_with(Instant::now);
            }
            self.buffer.split_off(self.at)
        } else {
            Vec::new()
        };
        Ok(Some(Message { head, body, first_byte }))
    }

    fn chunks(&mut self, first_byte: &mut Option<Instant>) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = find(&self.buffer[self.at..], b"\r\n") {
                    break end;
                }
                if !self.more()? {
                    return Err(cut());
                }
            };
            let text = String::from_utf8_lossy(&self.buffer[self.at..self.at + line]).into_owned();
            let size = text.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| io::Error::other("a chunk without a size"))?;
            self.at += line + 2;
            while self.buffer.len() < self.at + size + 2 {
                if !self.more()? {
                    return Err(cut());
                }
            }
            if size == 0 {
                self.at += 2;
                return Ok(body);
            }
            first_byte.get_or_insert_with(Instant::now);
            body.extend_from_slice(&self.buffer[self.at..self.at + size]);
            self.at += size + 2;
        }
    }

    fn more(&mut self) -> io::Result<bool> {
        let mut piece = [0_u8; 16 * 1024];
        let count = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count > 0)
    }
}

fn cut() -> io::Error {
    io::Error::other("the connection was closed in the middle of a message")
}

/// Returns where `needle` begins in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// Returns how often `needle` stands in `bytes`.
pub fn count(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).filter(|window| *window == needle).count()
}
