//! A client that says exactly what it is told to, well-formed or not.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything that a node may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Reply {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The code of a problem document.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    /// The sentence of a problem document.
    pub(crate) fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or("")
    }

    /// A member of the body that must be a text.
    #[track_caller]
    pub(crate) fn text_of(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {self:?}")).to_owned()
    }

    /// This very status, and this code where it is a problem.
    #[track_caller]
    pub(crate) fn expect(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        self
    }
}

/// Sends these bytes on a connection of their own and reads until the end.
pub(crate) fn send_raw(to: SocketAddr, bytes: &[u8]) -> Reply {
    let mut socket = TcpStream::connect(to).expect("the node listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // The node may answer before it has read everything.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    parse(&answer)
}

/// Sends a request with these headers.
pub(crate) fn send(to: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    send_raw(to, &bytes)
}

fn parse(answer: &[u8]) -> Reply {
    let end =
        answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    let chunked = headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked");
    let rest = &answer[end + 4..];
    let body = if chunked { unchunk(rest) } else { rest.to_vec() };
    let text = String::from_utf8_lossy(&body).into_owned();
    Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..line]), 16).unwrap_or(0);
        let (from, to) = (line + 2, (line + 2 + size).min(rest.len()));
        body.extend_from_slice(&rest[from.min(to)..to]);
        rest = rest.get(to + 2..).unwrap_or(&[]);
        if size == 0 {
            break;
        }
    }
    body
}
