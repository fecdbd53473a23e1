//! A client that answers done, refused or unknown, and writes down what it saw.

use crate::clock::now_us;
use crate::history::{Ending, Line, Operation, Recorder};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a request may take before its client gives up: longer than a node forwards a write (10 s).
const GIVE_UP: Duration = Duration::from_secs(12);

/// The code of a refusal that came from no node.
const NOTHING_LISTENS: &str = "nothing_listens";

/// Where a node listens.
#[derive(Debug, Clone)]
pub struct Address {
    /// Which node.
    pub id: u64,
    /// Its `api` listener.
    pub api: SocketAddr,
    /// Its `admin` listener.
    pub admin: SocketAddr,
}

/// Whatever a node answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as it came.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// The header `Curfew-Position`.
    pub position: Option<String>,
}

impl Answer {
    /// The problem's code, or the status when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.body["code"].as_str().map_or_else(|| format!("status_{}", self.status), str::to_owned)
    }

    /// The index within the position `<cluster>.<index>`.
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        self.position.as_deref().or_else(|| self.body["position"].as_str()).and_then(index_of)
    }
}

/// The log index of a position.
#[must_use]
pub fn index_of(position: &str) -> Option<u64> {
    position.rsplit_once('.')?.1.parse().ok()
}

/// Why there was no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nothing listens there: certainly nothing was done.
    Refused(String),
    /// Sent, perhaps read, perhaps done.
    Lost(String),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Lost(why) => write!(f, "lost: {why}"),
        }
    }
}

/// The three honest endings of a write.
#[derive(Debug, Clone)]
pub enum Write<T> {
    /// Acknowledged.
    Done(T),
    /// Certainly not done, with the problem's code.
    Refused(String),
    /// Perhaps done, with what is known.
    Unknown(String),
}

impl<T> Write<T> {
    /// What was acknowledged, if it was.
    pub fn ok(self) -> Option<T> {
        match self {
            Self::Done(it) => Some(it),
            Self::Refused(_) | Self::Unknown(_) => None,
        }
    }

    /// What was acknowledged.
    ///
    /// # Panics
    /// When it was not; the message says how it ended.
    #[track_caller]
    pub fn done(self, what: &str) -> T {
        match self {
            Self::Done(it) => it,
            Self::Refused(code) => panic!("{what}: refused with {code}"),
            Self::Unknown(why) => panic!("{what}: unknown ending: {why}"),
        }
    }
}

/// What a read says of a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Active.
    Active(Value),
    /// A refusal that is an answer: `session_revoked`, `session_not_found` and the like.
    No(String),
    /// The node cannot say: 503 with its code, or nothing listens.
    NotNow(String),
    /// No answer came.
    Silence(String),
}

impl Seen {
    /// Whether the session was accepted.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Active(_))
    }

    /// Whether the node refused with this code.
    #[must_use]
    pub fn is_no(&self, code: &str) -> bool {
        matches!(self, Self::No(it) if it == code)
    }
}

/// A read level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What a fresh node knows.
    Local,
    /// Linearizable with every acknowledged revocation.
    Strict,
}

impl Level {
    /// The word of the HTTP contract.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Strict => "strict",
        }
    }
}

/// A session that was started.
#[derive(Debug, Clone)]
pub struct Started {
    /// Its id.
    pub session: String,
    /// Whose.
    pub user: String,
    /// The session token.
    pub token: String,
    /// The first JWT.
    pub jwt: String,
    /// Where its start stands in the log.
    pub index: u64,
    /// The position that the answer named.
    pub position: String,
}

/// A revocation that was done.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// How many sessions it ended.
    pub count: u64,
    /// Where it stands in the log.
    pub index: u64,
    /// When the request began, microseconds.
    pub t0: u64,
    /// When the acknowledgement had come, microseconds.
    pub t1: u64,
}

/// Asks nodes, one request at a time.
#[derive(Debug, Clone)]
pub struct Client {
    name: String,
    nodes: Vec<Address>,
    key: String,
    agent: ureq::Agent,
    recorder: Recorder,
}

impl Client {
    pub(crate) fn new(name: &str, nodes: Vec<Address>, key: &str, recorder: Recorder) -> Self {
        // One connection per request: a kept one that a killed node has left behind would turn a certain refusal into an unknown.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(GIVE_UP))
            .http_status_as_error(false)
            .max_idle_connections(0)
            .max_redirects(0)
            .proxy(None)
            .allow_non_standard_methods(true);
        Self { name: name.to_owned(), nodes, key: key.to_owned(), agent: config.build().new_agent(), recorder }
    }

    /// The same client, which gives up sooner.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        let config = self.agent.config().clone();
        let config = ureq::config::Config::builder()
            .timeout_global(Some(patience))
            .http_status_as_error(config.http_status_as_error())
            .max_idle_connections(0)
            .max_redirects(0)
            .proxy(None)
            .allow_non_standard_methods(true);
        self.agent = config.build().new_agent();
        self
    }

    /// Starts a session of `user` with the policy's lifetimes.
    pub fn start(&self, node: u64, user: &str) -> Write<Started> {
        self.start_with(node, user, json!({}))
    }

    /// Starts a session of `user` with more members in the body.
    pub fn start_with(&self, node: u64, user: &str, mut body: Value) -> Write<Started> {
        body["user_id"] = json!(user);
        let t0 = now_us();
        let write = self.write(node, "POST", "/v1/sessions", Some(&body)).map(|answer| Started {
            session: text(&answer.body["session"]["session_id"]),
            user: user.to_owned(),
            token: text(&answer.body["session_token"]),
            jwt: text(&answer.body["session_jwt"]),
            index: answer.index().unwrap_or_else(|| panic!("a start was acknowledged without a position: {answer:?}")),
            position: answer.position.unwrap_or_default(),
        });
        let session = match &write {
            Write::Done(it) => Some(it.session.clone()),
            Write::Refused(_) | Write::Unknown(_) => None,
        };
        self.note(node, Operation::Start { user: user.to_owned(), session }, t0, ending(&write, |it| it.index));
        write
    }

    /// Starts a session, again until it is acknowledged.
    #[track_caller]
    pub fn start_surely(&self, node: u64, user: &str) -> Started {
        crate::facts::wait_until(&format!("an acknowledged start at node {node}"), crate::cluster::PATIENCE, || match self.start(node, user) {
            Write::Done(it) => Ok(it),
            other => Err(format!("{other:?}")),
        })
    }

    /// Authenticates with the session token.
    pub fn authenticate(&self, node: u64, session: &Started, level: Level) -> Seen {
        self.authenticate_by(node, session, level, &json!({"session_token": session.token, "consistency": level.word()}))
    }

    /// Authenticates with the first JWT.
    pub fn authenticate_jwt(&self, node: u64, session: &Started, level: Level) -> Seen {
        self.authenticate_by(node, session, level, &json!({"session_jwt": session.jwt, "consistency": level.word()}))
    }

    fn authenticate_by(&self, node: u64, session: &Started, level: Level, credential: &Value) -> Seen {
        self.read(node, &session.session, level, "POST", "/v1/sessions/authenticate", credential)
    }

    /// Authenticates with the session token, in two steps: when this returns, the request has been handed to the node's kernel.
    ///
    /// # Panics
    /// When the node's kernel does not take it.
    #[must_use]
    pub fn authenticate_held(&self, node: u64, session: &Started, level: Level) -> Held {
        let body = json!({"session_token": session.token, "consistency": level.word()}).to_string();
        let (t0, to) = (now_us(), self.address(node).api);
        let mut socket = TcpStream::connect_timeout(&to, Duration::from_secs(2)).expect("the kernel of a paused node still takes connections");
        let head = format!("POST /v1/sessions/authenticate HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {}\r\nConnection: close", self.key);
        write!(socket, "{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .expect("a request fits its buffer");
        Held { client: self.clone(), node, session: session.session.clone(), level, t0, socket }
    }

    /// Looks at a session's record; says whether it is active.
    ///
    /// # Errors
    /// When the node cannot say now, or does not answer.
    pub fn look(&self, node: u64, session: &str, level: Level) -> Result<bool, String> {
        let t0 = now_us();
        let path = format!("/v1/sessions/{session}?consistency={}", level.word());
        let answer = self.ask(node, "GET", &path, None).map_err(|e| e.to_string())?;
        let ending = match (answer.status, answer.body["session"]["status"].as_str()) {
            (200, Some("active")) => Ending::Accepted,
            (200, Some(ended)) => Ending::Refused { code: format!("session_{ended}") },
            (404, _) => Ending::Refused { code: answer.code() },
            _ => return Err(format!("{answer:?}")),
        };
        let active = ending == Ending::Accepted;
        self.note(node, Operation::Read { session: session.to_owned(), strict: level == Level::Strict }, t0, ending);
        Ok(active)
    }

    /// Ends one session.
    pub fn revoke(&self, node: u64, session: &Started) -> Write<Revoked> {
        let operation = Operation::RevokeSession { session: session.session.clone() };
        self.revoke_by(node, &json!({"session_id": session.session, "reason": "story"}), operation)
    }

    /// Ends all sessions of a user, but perhaps one.
    pub fn revoke_user(&self, node: u64, user: &str, except: Option<&Started>) -> Write<Revoked> {
        let mut body = json!({"user_id": user, "reason": "story"});
        if let Some(except) = except {
            body["except_session_id"] = json!(except.session);
        }
        self.revoke_by(node, &body, Operation::RevokeUser { user: user.to_owned(), except: except.map(|it| it.session.clone()) })
    }

    /// Ends one session, again until it is acknowledged.
    #[track_caller]
    pub fn revoke_surely(&self, node: u64, session: &Started) -> Revoked {
        crate::facts::wait_until(&format!("an acknowledged revocation at node {node}"), crate::cluster::PATIENCE, || {
            match self.revoke(node, session) {
                Write::Done(it) => Ok(it),
                other => Err(format!("{other:?}")),
            }
        })
    }

    /// Any request to a node's `api` listener, with the root key; not part of the history.
    ///
    /// # Errors
    /// When no answer came.
    pub fn ask(&self, node: u64, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, NoAnswer> {
        self.send(self.address(node).api, method, path, body, &[])
    }

    /// Like [`Client::ask`], with more headers.
    ///
    /// # Errors
    /// When no answer came.
    pub fn ask_with(&self, node: u64, method: &str, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Result<Answer, NoAnswer> {
        self.send(self.address(node).api, method, path, body, headers)
    }

    /// Any request to a node's `admin` listener, with the root key.
    ///
    /// # Errors
    /// When no answer came.
    pub fn ask_admin(&self, node: u64, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, NoAnswer> {
        self.send(self.address(node).admin, method, path, body, &[])
    }

    /// A write on the `admin` listener.
    pub fn admin(&self, node: u64, method: &str, path: &str, body: Option<&Value>) -> Write<Answer> {
        write_ending(self.ask_admin(node, method, path, body))
    }

    fn revoke_by(&self, node: u64, body: &Value, operation: Operation) -> Write<Revoked> {
        let t0 = now_us();
        let write = self.write(node, "POST", "/v1/sessions/revoke", Some(body)).map(|answer| Revoked {
            count: answer.body["revoked"].as_u64().unwrap_or_else(|| panic!("a revocation without its count: {answer:?}")),
            index: answer.index().unwrap_or_else(|| panic!("a revocation was acknowledged without a position: {answer:?}")),
            t0,
            t1: now_us(),
        });
        self.note(node, operation, t0, ending(&write, |it| it.index));
        write
    }

    fn write(&self, node: u64, method: &str, path: &str, body: Option<&Value>) -> Write<Answer> {
        write_ending(self.ask(node, method, path, body))
    }

    fn read(&self, node: u64, session: &str, level: Level, method: &str, path: &str, body: &Value) -> Seen {
        let t0 = now_us();
        let seen = seen(self.ask(node, method, path, Some(body)));
        self.note_read(node, session, level, t0, &seen);
        seen
    }

    fn note_read(&self, node: u64, session: &str, level: Level, t0: u64, seen: &Seen) {
        let ending = match seen {
            Seen::Active(_) => Ending::Accepted,
            Seen::No(code) | Seen::NotNow(code) => Ending::Refused { code: code.clone() },
            Seen::Silence(_) => Ending::Unknown,
        };
        self.note(node, Operation::Read { session: session.to_owned(), strict: level == Level::Strict }, t0, ending);
    }

    fn note(&self, node: u64, operation: Operation, t0: u64, ending: Ending) {
        self.recorder.add(Line { client: self.name.clone(), node, operation, t0, t1: now_us(), ending });
    }

    fn address(&self, node: u64) -> &Address {
        self.nodes.iter().find(|it| it.id == node).unwrap_or_else(|| panic!("there is no node {node}"))
    }

    fn send(&self, to: SocketAddr, method: &str, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Result<Answer, NoAnswer> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{to}{path}"));
        request = request.header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let sent = match body {
            Some(_) => self.agent.run(request.body(text).expect("a well-formed request")),
            None => self.agent.run(request.body(()).expect("a well-formed request")),
        };
        let mut response = sent.map_err(no_answer)?;
        let position = response.headers().get("curfew-position").and_then(|it| it.to_str().ok()).map(str::to_owned);
        let text = response.body_mut().read_to_string().map_err(|e| NoAnswer::Lost(e.to_string()))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status: response.status().as_u16(), text, body, position })
    }
}

impl<T> Write<T> {
    fn map<U>(self, f: impl FnOnce(T) -> U) -> Write<U> {
        match self {
            Self::Done(it) => Write::Done(f(it)),
            Self::Refused(code) => Write::Refused(code),
            Self::Unknown(why) => Write::Unknown(why),
        }
    }
}

/// A request that has been sent, and whose answer is still to come.
#[derive(Debug)]
pub struct Held {
    client: Client,
    node: u64,
    session: String,
    level: Level,
    t0: u64,
    socket: TcpStream,
}

impl Held {
    /// Waits for the answer, and writes it into the history.
    #[must_use]
    pub fn answer(mut self) -> Seen {
        let mut text = String::new();
        let read = self.socket.set_read_timeout(Some(GIVE_UP)).and_then(|()| self.socket.read_to_string(&mut text));
        let seen = seen(match read {
            Ok(_) => parse(&text).ok_or_else(|| NoAnswer::Lost(format!("no whole answer: {text}"))),
            Err(e) => Err(NoAnswer::Lost(e.to_string())),
        });
        self.client.note_read(self.node, &self.session, self.level, self.t0, &seen);
        seen
    }
}

/// An answer with a `Content-Length`, as it stands on the wire.
fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, text: body.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null), position: None })
}

/// What the answer to an authentication says.
#[track_caller]
fn seen(answer: Result<Answer, NoAnswer>) -> Seen {
    match answer {
        Ok(answer) if answer.status == 200 => Seen::Active(answer.body),
        Ok(answer) if answer.status == 401 => Seen::No(answer.code()),
        Ok(answer) if matches!(answer.status, 503 | 429) => Seen::NotNow(answer.code()),
        Ok(answer) => panic!("a read was answered with what the contract does not know: {answer:?}"),
        Err(NoAnswer::Refused(_)) => Seen::NotNow(NOTHING_LISTENS.to_owned()),
        Err(why @ NoAnswer::Lost(_)) => Seen::Silence(why.to_string()),
    }
}

/// What may be concluded of a write: 503 and every 4xx say that it was certainly not done; 504 and silence say nothing.
fn write_ending(answer: Result<Answer, NoAnswer>) -> Write<Answer> {
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => Write::Done(answer),
        Ok(answer) if answer.status == 503 || (400..500).contains(&answer.status) => Write::Refused(answer.code()),
        Ok(answer) if answer.status == 504 => Write::Unknown(answer.code()),
        Ok(answer) => panic!("a write was answered with what the contract does not know: {answer:?}"),
        Err(NoAnswer::Refused(_)) => Write::Refused(NOTHING_LISTENS.to_owned()),
        Err(NoAnswer::Lost(why)) => Write::Unknown(why),
    }
}

fn no_answer(error: ureq::Error) -> NoAnswer {
    match error {
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => NoAnswer::Refused(e.to_string()),
        ureq::Error::ConnectionFailed => NoAnswer::Refused("connection failed".to_owned()),
        other => NoAnswer::Lost(other.to_string()),
    }
}

fn ending<T>(write: &Write<T>, index: impl Fn(&T) -> u64) -> Ending {
    match write {
        Write::Done(it) => Ending::Done { index: index(it) },
        Write::Refused(code) => Ending::Refused { code: code.clone() },
        Write::Unknown(_) => Ending::Unknown,
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text was expected, not {value}")).to_owned()
}
