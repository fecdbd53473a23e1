//! The published keys, for whoever verifies JWTs.

use super::call::{Answer, Call};
use super::jwt;
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderMap, IF_NONE_MATCH};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long the published keys may be kept, as `Cache-Control` says it.
const CACHED: &str = "public, max-age=300";
/// As long as they may be kept when they come from a node that is not fresh: a key may have been withdrawn unseen.
const CACHED_STALE: &str = "public, max-age=0";

/// `GET /.well-known/jwks.json`
pub(crate) async fn jwks(call: Call) -> Answer {
    let fresh = call.shared.cluster.freshness().fresh;
    let keys = jwt::keys(&call.shared)?;
    let body = keys.jwks();
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, body.as_bytes())));
    let known = matches(call.headers(), &etag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((CACHE_CONTROL, if fresh { CACHED } else { CACHED_STALE }));
    if !fresh {
        response.insert_header(("Curfew-Stale", "true"));
    }
    response.insert_header((ETAG, etag));
    Ok(if known { response.finish() } else { response.content_type("application/json").body(body.to_owned()) })
}

/// Whether `If-None-Match` names the tag, compared weakly (RFC 9110, section 13.1.2).
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let named = |value: &str| value.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag);
    headers.get_all(IF_NONE_MATCH).any(|value| value.to_str().is_ok_and(named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn a_tag_is_found_in_every_form_that_caches_send() {
        let sent = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
            matches(&headers, "\"abc\"")
        };
        assert!(sent("\"abc\"") && sent("W/\"abc\"") && sent("\"x\", \"abc\"") && sent("*"));
        assert!(!sent("\"abcd\"") && !sent("abc") && !sent(""));
        assert!(!matches(&HeaderMap::new(), "\"abc\""));
    }
}
