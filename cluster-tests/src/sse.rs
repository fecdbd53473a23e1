//! Server-Sent Events over a bare socket: a request, the head, chunks, events. Nothing more than the feed needs.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One event as the stream shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: String,
}

/// An open stream of events.
#[derive(Debug)]
pub(crate) struct Stream {
    lines: BufReader<Chunks>,
}

impl Stream {
    /// Asks for `target` and reads the head of the answer. The socket is handed out too, so that another thread can close it.
    pub(crate) fn open(to: SocketAddr, target: &str, key: &str, last_event_id: Option<&str>) -> Result<(Self, TcpStream)> {
        let mut socket = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
        // Longer than any pause that a story makes; a heartbeat comes every 250 ms.
        socket.set_read_timeout(Some(Duration::from_secs(15)))?;
        let resume = last_event_id.map_or_else(String::new, |it| format!("Last-Event-ID: {it}\r\n"));
        write!(socket, "GET {target} HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n{resume}\r\n")?;
        let mut reader = BufReader::new(socket.try_clone()?);
        let chunked = read_head(&mut reader)?;
        Ok((Self { lines: BufReader::new(Chunks { from: reader, chunked, left: 0 }) }, socket))
    }

    /// The next event; none at the end of the stream. Comments and `retry` are passed over.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        next_event(&mut self.lines)
    }
}

fn next_event(lines: &mut impl BufRead) -> Result<Option<Event>> {
    let mut event = Event::default();
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let text = line.trim_end_matches(['\r', '\n']);
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if text.is_empty() && event.name.is_empty() && event.data.is_empty() => event = Event::default(),
            "" if text.is_empty() => return Ok(Some(event)),
            "id" => event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut event.name),
            "data" if event.data.is_empty() => value.clone_into(&mut event.data),
            "data" => event.data = format!("{}\n{value}", event.data),
            _ => {}
        }
    }
}

/// Whether the body comes in chunks; an error when the status is not 200.
fn read_head(from: &mut impl BufRead) -> Result<bool> {
    let mut status = String::new();
    from.read_line(&mut status)?;
    let mut chunked = false;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(Error::other("the answer ended within its head"));
        }
        let line = line.trim_end().to_ascii_lowercase();
        chunked |= line == "transfer-encoding: chunked";
        if line.is_empty() {
            break;
        }
    }
    if status.split(' ').nth(1) == Some("200") { Ok(chunked) } else { Err(Error::other(format!("the feed answered {}", status.trim_end()))) }
}

/// The body without its chunk heads.
#[derive(Debug)]
struct Chunks {
    from: BufReader<TcpStream>,
    chunked: bool,
    left: u64,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if !self.chunked {
            return self.from.read(buffer);
        }
        if self.left == 0 {
            self.left = self.next_chunk()?;
        }
        let length = self.from.by_ref().take(self.left).read(buffer)?;
        self.left -= length as u64;
        if self.left == 0 && length > 0 {
            self.from.read_line(&mut String::new())?;
        }
        Ok(length)
    }
}

impl Chunks {
    fn next_chunk(&mut self) -> Result<u64> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        let digits = line.trim_end().split(';').next().unwrap_or_default();
        if digits.is_empty() {
            return Err(Error::other("the connection ended within the body"));
        }
        u64::from_str_radix(digits, 16).map_err(Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_the_standard_says() {
        let text = ": hello\nretry: 1000\n\nid: a.1\nevent: revocation\ndata: {\"index\":1}\n\nevent:heartbeat\ndata:x\ndata: y\n\nid: cut";
        let mut lines = BufReader::new(text.as_bytes());
        let first = next_event(&mut lines).expect("readable").expect("an event");
        assert_eq!(first, Event { id: Some("a.1".to_owned()), name: "revocation".to_owned(), data: "{\"index\":1}".to_owned() });
        let second = next_event(&mut lines).expect("readable").expect("an event");
        assert_eq!(second, Event { id: None, name: "heartbeat".to_owned(), data: "x\ny".to_owned() });
        assert_eq!(next_event(&mut lines).expect("readable"), None, "an event that was cut is no event");
    }
}
