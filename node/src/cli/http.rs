//! One question to one listener, and what its answer means.

use super::error::CliError;
use super::show::clean;
use super::target::Server;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body};

/// How long an answer may take; the server itself gives up after 10 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, bytes.
const ANSWER_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A way to ask one listener.
pub(super) struct Client {
    agent: Agent,
    server: Server,
    api_key: String,
}

/// What came back when all went well.
pub(super) struct Answer {
    /// As it came.
    pub(super) text: String,
    /// The same, read.
    pub(super) json: Value,
}

/// The members of an error that a user wants to see (RFC 9457).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    code: String,
    request_id: String,
}

impl Client {
    pub(super) fn new(server: Server, api_key: String) -> Self {
        let config = base_config().timeout_global(Some(ANSWER_TIMEOUT)).build();
        Self { agent: config.new_agent(), server, api_key }
    }

    pub(super) fn get(&self, path: &str) -> Result<Answer, CliError> {
        let request = self.agent.get(format!("{}{path}", self.server.url)).header("Authorization", format!("Bearer {}", self.api_key));
        self.read(request.call())
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        let request = self.agent.post(format!("{}{path}", self.server.url)).header("Authorization", format!("Bearer {}", self.api_key));
        self.read(request.send_json(body))
    }

    fn read(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Answer, CliError> {
        let mut answer = answer.map_err(|error| unreachable(&self.server, &error))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_string();
        let text = body.map_err(|error| unreachable(&self.server, &error))?;
        if !(200..300).contains(&status) {
            return Err(refusal(&self.server, status, &text));
        }
        match serde_json::from_str(&text) {
            Ok(json) => Ok(Answer { text, json }),
            Err(_) => {
                Err(CliError::Failed(format!("{} does not answer like a Curfew node; {} gives another address", self.server.url, self.server.flag)))
            }
        }
    }
}

/// What all our agents have in common: no proxy and no redirect ever sees the API key, and a status is an answer.
pub(super) fn base_config() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .user_agent(concat!("curfew-cli/", env!("CARGO_PKG_VERSION")))
}

/// The error that says which address does not answer.
pub(super) fn unreachable(server: &Server, error: &ureq::Error) -> CliError {
    let what = match error {
        ureq::Error::Timeout(_) => "takes too long to answer".to_owned(),
        ureq::Error::Io(error) => format!("cannot be reached: {error}"),
        other => format!("cannot be reached: {other}"),
    };
    CliError::Failed(format!("{} {what}; {} gives another address", server.url, server.flag))
}

/// The error that repeats what a server said.
pub(super) fn refusal(server: &Server, status: u16, text: &str) -> CliError {
    let problem: Problem = serde_json::from_str(text).unwrap_or_default();
    let said = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
    if said.is_empty() {
        return CliError::Refused(format!("{} answers {status}, and not like a Curfew node; {} gives another address", server.url, server.flag));
    }
    let code = if problem.code.is_empty() { status.to_string() } else { problem.code };
    let request = if problem.request_id.is_empty() { String::new() } else { format!(", request {}", problem.request_id) };
    CliError::Refused(clean(&format!("{said} ({code}{request})")))
}

/// A path segment that means `text` and nothing else.
pub(super) fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    // A segment of dots alone would be read as a step in the path.
    if segment == "." || segment == ".." { segment.replace('.', "%2E") } else { segment }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_means_what_was_written() {
        assert_eq!(segment("user-1_a.b~c"), "user-1_a.b~c");
        assert_eq!(segment("a/b?c#d e%"), "a%2Fb%3Fc%23d%20e%25");
        assert_eq!(segment("ü"), "%C3%BC");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn a_refusal_repeats_the_server_in_one_clean_line() {
        let server = Server { url: "http://127.0.0.1:7400".to_owned(), flag: "--url" };
        let said = |text: &str| refusal(&server, 409, text).to_string();
        let problem = r#"{"title":"Conflict","detail":"the user has 5 sessions","code":"session_limit_reached","request_id":"r-1"}"#;
        assert_eq!(said(problem), "the user has 5 sessions (session_limit_reached, request r-1)");
        assert_eq!(said(r#"{"title":"Conf\u001b[2Jlict"}"#), "Conf\u{fffd}[2Jlict (409)");
        assert!(said("<html>").contains("answers 409, and not like a Curfew node; --url"));
    }
}
