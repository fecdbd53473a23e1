//! How a request is called in logs and answers: its request id, and the trace that it belongs to.

use crate::dice;
use actix_web::http::header::HeaderMap;

/// The header of the request id, in and out.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The longest request id that is taken over, characters.
const REQUEST_ID_MAX: usize = 128;

/// The names of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trace {
    /// Taken over if it is 1 to 128 visible ASCII characters, else drawn.
    pub(crate) request_id: String,
    /// The trace id of `traceparent` (W3C Trace Context), if there is a well-formed one.
    pub(crate) trace_id: Option<String>,
}

impl Trace {
    /// Reads the names from the headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let sent = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = sent(REQUEST_ID).filter(|id| is_request_id(id)).map_or_else(dice::request_id, ToOwned::to_owned);
        Self { request_id, trace_id: sent("traceparent").and_then(trace_id).map(ToOwned::to_owned) }
    }
}

fn is_request_id(text: &str) -> bool {
    (1..=REQUEST_ID_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The trace id of a `traceparent`; later versions may have more parts, version `ff` is forbidden.
fn trace_id(text: &str) -> Option<&str> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let well_formed = lower_hex(version, 2) && version != "ff" && lower_hex(trace, 32) && lower_hex(parent, 16) && lower_hex(flags, 2);
    let nonzero = |part: &str| part.bytes().any(|b| b != b'0');
    (well_formed && nonzero(trace) && nonzero(parent) && (version != "00" || parts.next().is_none())).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn trace(name: &'static str, value: &[u8]) -> Trace {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a header value"));
        Trace::of(&headers)
    }

    #[test]
    fn a_request_id_is_taken_over_only_if_a_log_can_bear_it() {
        assert_eq!(trace(REQUEST_ID, b"req-42").request_id, "req-42");
        assert_eq!(trace(REQUEST_ID, "x".repeat(128).as_bytes()).request_id.len(), 128);
        for replaced in [&b""[..], b"two words", b"tab\there", b"\xc3\xa9", "x".repeat(129).as_bytes()] {
            let made = trace(REQUEST_ID, replaced).request_id;
            assert!(is_request_id(&made) && made.as_bytes() != replaced);
        }
    }

    #[test]
    fn a_trace_is_honoured_when_it_is_well_formed() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = format!("00-{id}-00f067aa0ba902b7-01");
        assert_eq!(trace("traceparent", good.as_bytes()).trace_id.as_deref(), Some(id));
        let zero = "0".repeat(32);
        for wrong in [format!("{good}-x"), good.to_uppercase(), good.replacen("00", "ff", 1), good.replace(id, &zero), "00".to_owned(), String::new()]
        {
            assert_eq!(trace("traceparent", wrong.as_bytes()).trace_id, None, "{wrong}");
        }
    }
}
