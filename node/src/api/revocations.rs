//! The feed over HTTP: the list that a verifier begins with, the stream that it follows, the acknowledgement.
//!
//! What is told, in which order and how fresh it is are the hub's; this file carries it.

use super::call::{Answer, Call};
use super::cursor::{self, List};
use super::endings;
use super::error::Problem;
use super::json::{Fields, required};
use super::level::Level;
use super::page::page;
use super::query::Query;
use crate::domain::{LogIndex, Position};
use crate::feed::{ListedRevocation, Pulse, StaleMode, Stream, Subscription};
use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use bytes::Bytes;
use futures::stream;
use serde::Serialize;
use std::convert::Infallible;

/// The longest nonce, characters.
const NONCE_MAX: usize = 128;
/// The longest time that a verifier may declare to go on accepting while it is not fresh, seconds.
const ACCEPT_SECONDS_MAX: u64 = 86_400;
/// The longest subscriber id that is looked at, characters.
const SUBSCRIBER_MAX: usize = 128;

#[derive(Serialize)]
struct Listed {
    revocations: Vec<ListedRevocation>,
    position: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(flatten)]
    pulse: Pulse,
    next_cursor: Option<String>,
}

/// `GET /v1/revocations`: answered by a node that is not fresh too, which says so.
pub(crate) async fn list(call: Call) -> Answer {
    let (limit, cursor) = page(&call.query, List::Revocations)?;
    let after = position(call.query.get("after"), "after")?;
    let nonce = nonce(call.query.get("nonce"))?;
    if Level::parse(call.query.get("consistency"), Level::Local)? == Level::Strict {
        Level::Strict.ready(&call.shared).await?;
    }
    let own = call.shared.cluster.cluster_id();
    let after = cursor.or(after.filter(|after| Some(after.cluster) == own).map(|after| after.index));
    let page = call.shared.hub.list(after, limit).ok_or_else(endings::not_formed)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Listed {
        revocations: page.revocations,
        position: page.position.to_string(),
        nonce,
        pulse: page.pulse,
        next_cursor: page.next_after.map(|after| cursor::write(List::Revocations, after)),
    }))
}

/// `GET /v1/revocations/stream`: Server-Sent Events, with or without a leader.
pub(crate) async fn stream(call: Call) -> Answer {
    let resumed = call.header("last-event-id")?;
    let (after, name) = if resumed.is_some() { (resumed, "Last-Event-ID") } else { (call.query.get("after"), "after") };
    let subscription = Subscription {
        after: position(after, name)?,
        key_name: call.caller.name.to_owned(),
        verifier: verifier(&call.query)?,
        nonce: nonce(call.query.get("nonce"))?,
    };
    let mut head = HttpResponse::Ok();
    head.content_type("text/event-stream").insert_header((CACHE_CONTROL, "no-store")).insert_header(("X-Accel-Buffering", "no"));
    if call.is_head() {
        return Ok(head.finish());
    }
    let events = call.shared.hub.subscribe(subscription).map_err(Problem::from)?;
    Ok(head.streaming(stream::unfold(events, next)))
}

/// The body ends when the hub ends the stream; dropping the body unsubscribes.
async fn next(mut events: Stream) -> Option<(Result<Bytes, Infallible>, Stream)> {
    events.next().await.map(|bytes| (Ok(bytes), events))
}

#[derive(Serialize)]
struct Acknowledged {
    #[serde(flatten)]
    pulse: Pulse,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

/// `POST /v1/revocations/ack`: what a verifier has applied, and a new anchor for its clock.
pub(crate) async fn ack(mut call: Call) -> Answer {
    let ack = Ack::read(call.body().await?)?;
    let acked = call.shared.cluster.ack(ack.subscriber, call.caller.name.to_owned(), ack.index).await;
    Ok(HttpResponse::Ok().json(Acknowledged { pulse: acked.map_err(Problem::from)?, nonce: ack.nonce }))
}

struct Ack {
    subscriber: String,
    index: LogIndex,
    nonce: Option<String>,
}

impl Ack {
    fn read(mut body: Fields) -> Result<Self, Problem> {
        let ack = Self {
            subscriber: required("subscriber", body.text("subscriber")?)?,
            index: required("index", body.number("index")?)?,
            nonce: nonce(body.text("nonce")?.as_deref())?,
        };
        body.finish()?;
        if ack.subscriber.len() > SUBSCRIBER_MAX {
            return Err(Problem::field(format!("subscriber may have at most {SUBSCRIBER_MAX} characters")));
        }
        Ok(ack)
    }
}

fn position(text: Option<&str>, name: &str) -> Result<Option<Position>, Problem> {
    text.map(str::parse).transpose().map_err(|error| Problem::field(format!("{name}: {error}")))
}

fn nonce(text: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let well_formed = (1..=NONCE_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if well_formed { Ok(Some(text.to_owned())) } else { Err(Problem::field(format!("nonce must be 1 to {NONCE_MAX} visible ASCII characters"))) }
}

/// What a verifier declares about itself; a subscriber that does not acknowledge is none.
fn verifier(query: &Query) -> Result<Option<StaleMode>, Problem> {
    let accept_seconds = query.number("accept_seconds", 1..=ACCEPT_SECONDS_MAX)?;
    let mode = match (query.get("stale"), accept_seconds) {
        (Some("accept"), Some(seconds)) => Some(StaleMode::Accept { seconds }),
        (Some("accept"), None) => return Err(Problem::field("stale=accept needs accept_seconds: for how long")),
        (_, Some(_)) => return Err(Problem::field("accept_seconds goes with stale=accept only")),
        (Some("fail_closed"), None) => Some(StaleMode::FailClosed),
        (Some("ask"), None) => Some(StaleMode::Ask),
        (Some(_), None) => return Err(Problem::field("stale must be fail_closed, ask or accept")),
        (None, None) => None,
    };
    match (query.get("ack"), mode) {
        (Some("1"), mode) => Ok(Some(mode.unwrap_or(StaleMode::FailClosed))),
        (None | Some("0"), None) => Ok(None),
        (None | Some("0"), Some(_)) => Err(Problem::field("stale is for verifiers, which say ack=1")),
        (Some(_), _) => Err(Problem::field("ack must be 0 or 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::json;

    fn declared(text: &str) -> Result<Option<StaleMode>, Problem> {
        verifier(&Query::parse(text, &["ack", "stale", "accept_seconds"])?)
    }

    #[test]
    fn a_verifier_declares_what_it_does_when_stale() {
        for (text, mode) in [
            ("", None),
            ("ack=0", None),
            ("ack=1", Some(StaleMode::FailClosed)),
            ("ack=1&stale=fail_closed", Some(StaleMode::FailClosed)),
            ("ack=1&stale=ask", Some(StaleMode::Ask)),
            ("ack=1&stale=accept&accept_seconds=30", Some(StaleMode::Accept { seconds: 30 })),
        ] {
            assert_eq!(declared(text).expect("a declaration"), mode, "{text}");
        }
    }

    #[test]
    fn a_declaration_that_contradicts_itself_names_the_parameter() {
        for (text, names) in [
            ("ack=2", "ack"),
            ("stale=ask", "stale"),
            ("ack=0&stale=ask", "stale"),
            ("ack=1&stale=open", "stale"),
            ("ack=1&stale=accept", "accept_seconds"),
            ("ack=1&stale=accept&accept_seconds=0", "accept_seconds"),
            ("ack=1&stale=accept&accept_seconds=86401", "86400"),
            ("ack=1&stale=ask&accept_seconds=30", "accept_seconds"),
            ("ack=1&accept_seconds=30", "accept_seconds"),
        ] {
            assert!(declared(text).expect_err(text).detail().contains(names), "{text}");
        }
    }

    #[test]
    fn positions_and_nonces_are_read_strictly() {
        assert_eq!(position(None, "after").expect("none"), None);
        assert!(position(Some("7f3ac210.4711"), "after").expect("a position").is_some());
        assert!(position(Some("4711"), "Last-Event-ID").expect_err("no position").detail().starts_with("Last-Event-ID"));
        assert_eq!(nonce(Some("abc")).expect("a nonce").as_deref(), Some("abc"));
        for wrong in ["", "a b", "a\nb", "é", &"x".repeat(NONCE_MAX + 1)] {
            assert!(nonce(Some(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_acknowledgement_says_who_and_how_far() {
        let read = |body: &str| Ack::read(json::parse_object(body.as_bytes()).expect("an object"));
        let ack = read(r#"{"subscriber":"s","index":4711,"nonce":"n"}"#).expect("all of it");
        assert_eq!((ack.subscriber.as_str(), ack.index, ack.nonce.as_deref()), ("s", 4711, Some("n")));
        for (body, names) in [(r#"{"index":1}"#, "subscriber"), (r#"{"subscriber":"s"}"#, "index"), (r#"{"subscriber":"s","index":1,"x":1}"#, "x")] {
            assert!(read(body).err().is_some_and(|problem| problem.detail().contains(names)), "{body}");
        }
    }
}
