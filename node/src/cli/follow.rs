//! `curfew revocations follow`: prints each revocation once, across nodes that come and go.

use super::Console;
use super::args::{RevocationsArgs, RevocationsVerb};
use super::error::CliError;
use super::http::{base_config, refusal, unreachable};
use super::show::{clean, word};
use super::sse::{EVENT_MAX_BYTES, Event, Parser};
use super::target::Server;
use crate::domain::Position;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read as _};
use std::time::Duration;
use ureq::Agent;

/// A stream that is silent for so long is dead: heartbeats are at most 10 s apart.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// The first pause before a stream is asked for again; it doubles up to [`PAUSE_MAX`] while no node answers.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The largest answer that refuses a stream, bytes.
const REFUSAL_MAX_BYTES: u64 = 64 * 1024;

pub(super) fn run(console: &mut Console<'_>, args: RevocationsArgs) -> Result<(), CliError> {
    let RevocationsVerb::Follow { after } = args.verb;
    if let Some(after) = &after {
        after.parse::<Position>().map_err(|error| CliError::Usage(format!("--after {after:?}: {error}")))?;
    }
    let agent = base_config().timeout_recv_response(Some(SILENCE_MAX)).timeout_per_read(Some(SILENCE_MAX)).build().new_agent();
    let mut follower = Follower {
        agent,
        servers: args.target.api()?,
        api_key: args.target.api_key()?,
        json: args.target.json,
        after,
        parser: Parser::default(),
        fresh: true,
    };
    follower.follow(console)
}

struct Follower {
    agent: Agent,
    servers: Vec<Server>,
    api_key: String,
    json: bool,
    after: Option<String>,
    parser: Parser,
    /// Whether the last heartbeat said so.
    fresh: bool,
}

/// How a stream ended.
enum Ended {
    /// Another try, at another node, may help: why.
    Lost(String),
    /// It will not: the command is over.
    Over(CliError),
}

impl Follower {
    /// Goes from node to node until nobody reads any more, no node lets us in, or none answered from the beginning on.
    fn follow(&mut self, console: &mut Console<'_>) -> Result<(), CliError> {
        let mut pause = PAUSE_MIN;
        let mut failed_in_a_row = 0;
        let mut connected = false;
        for server in self.servers.clone().into_iter().cycle() {
            let (reached, ended) = self.stream(console, &server, connected);
            let why = match ended {
                Ended::Over(error) => return Err(error),
                Ended::Lost(why) => why,
            };
            connected |= reached;
            failed_in_a_row = if reached { 0 } else { failed_in_a_row + 1 };
            if !connected && failed_in_a_row >= self.servers.len() {
                return Err(CliError::Failed(why));
            }
            console.note(&format!("lost: {why}"));
            pause = if reached { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            std::thread::sleep(pause);
        }
        Err(CliError::Usage("--url names no node".to_owned()))
    }

    /// One stream of one node, to its end; whether the node let us in, and how it ended.
    fn stream(&mut self, console: &mut Console<'_>, server: &Server, again: bool) -> (bool, Ended) {
        let mut request = self.agent.get(format!("{}/v1/revocations/stream", server.url)).header("Authorization", format!("Bearer {}", self.api_key));
        request = request.header("Accept", "text/event-stream");
        let from = self.parser.last_id().map(str::to_owned).or_else(|| self.after.clone());
        if let Some(from) = &from {
            request = request.header("Last-Event-ID", from);
        }
        let mut answer = match request.call() {
            Ok(answer) => answer,
            Err(error) => return (false, Ended::Lost(unreachable(server, &error).to_string())),
        };
        let status = answer.status().as_u16();
        if status != 200 {
            let text = answer.body_mut().with_config().limit(REFUSAL_MAX_BYTES).read_to_string().unwrap_or_default();
            let error = refusal(server, status, &text);
            // 429 and 5xx pass; whoever is not let in for another reason will not be let in later.
            let passes = status == 429 || status >= 500;
            return (false, if passes { Ended::Lost(error.to_string()) } else { Ended::Over(error) });
        }
        let from = from.map_or_else(|| "now".to_owned(), |from| format!("behind {}", clean(&from)));
        console.note(&format!("{} {} from {from}", if again { "reconnected to" } else { "following" }, server.url));
        let reader = BufReader::new(answer.into_body().into_with_config().limit(u64::MAX).reader());
        (true, self.read(console, server, reader))
    }

    fn read(&mut self, console: &mut Console<'_>, server: &Server, mut reader: impl BufRead) -> Ended {
        let lost = |why: &str| Ended::Lost(format!("{} {why}", server.url));
        let ended = loop {
            let event = match next_line(&mut reader) {
                Ok(Some(line)) => self.parser.line(&line),
                Ok(None) => break lost("ended the stream"),
                Err(error) => break lost(&format!("stopped: {error}")),
            };
            match event {
                Ok(None) => {}
                Ok(Some(event)) => {
                    if let Err(error) = self.event(console, &event) {
                        break Ended::Over(error);
                    }
                }
                Err(_) => break lost("sends an event without end"),
            }
        };
        self.parser.interrupted();
        ended
    }

    fn event(&mut self, console: &mut Console<'_>, event: &Event) -> Result<(), CliError> {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        match event.name.as_str() {
            "revocation" if self.json => console.print(&event.data),
            "revocation" => self.revocations(console, &data),
            "resync" => {
                console.note("resync: the position asked for is older than the backlog, or another cluster's; revocations may have been missed, the list has them (GET /v1/revocations)");
                Ok(())
            }
            // Not `hello`: on a stream that resumes it says `fresh` only when nothing is left to be told.
            "heartbeat" => {
                self.freshness(console, &data["fresh"]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn revocations(&self, console: &mut Console<'_>, data: &Value) -> Result<(), CliError> {
        let position = self.parser.last_id().unwrap_or("-").to_owned();
        let revocations = data["revocations"].as_array().into_iter().flatten();
        revocations.into_iter().try_for_each(|revocation| console.print(&line(&position, revocation)))
    }

    fn freshness(&mut self, console: &mut Console<'_>, fresh: &Value) {
        let fresh = *fresh == Value::Bool(true);
        if fresh != self.fresh {
            console.note(if fresh { "the node is fresh again" } else { "the node is not fresh: it cannot say whether there are newer revocations" });
        }
        self.fresh = fresh;
    }
}

/// One revocation in one line: when, where in the log, what it covers, why.
fn line(position: &str, revocation: &Value) -> String {
    let member = |key: &str| word(&revocation[key]);
    let what = match revocation["scope"].as_str() {
        Some("session") => format!("session {} of {}", member("session_id"), member("user_id")),
        Some("user") if revocation["except_session_id"].is_string() => {
            format!("all sessions of {} started before index {} but {}", member("user_id"), member("rev_below"), member("except_session_id"))
        }
        Some("user") => format!("all sessions of {} started before index {}", member("user_id"), member("rev_below")),
        Some("all") => format!("all sessions started before index {}", member("rev_below")),
        Some("key") => format!("key {}", member("kid")),
        _ => clean(&revocation.to_string()),
    };
    let reason = revocation["reason"].as_str().map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
    format!("{} {} {what}{reason}", member("at"), clean(position))
}

/// The next line without its end; `None` at the end of the stream. A line that is longer than any event is an error.
fn next_line(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(EVENT_MAX_BYTES).unwrap_or(u64::MAX) + 1;
    if reader.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return if bytes.len() < EVENT_MAX_BYTES { Ok(None) } else { Err(std::io::Error::other("a line without end")) };
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
