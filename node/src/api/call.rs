//! One request on its way through the door: named, admitted, answered, noted.
//!
//! Every route goes through [`enter`], so that no handler can forget the key, the query string, the body's bounds or the log line.

use super::Shared;
use super::auth::{self, Caller, Known};
use super::error::{Kind, Problem};
use super::json::{self, Fields};
use super::position;
use super::query::{self, Query};
use super::routes::{Access, Effect, Place, Route};
use super::scope::Scope;
use super::trace::{REQUEST_ID, Trace};
use crate::clock::BootTime;
use crate::telemetry::names;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpRequest, HttpResponse, web};
use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use std::time::Duration;
use tracing::Instrument as _;

/// How long a body may take to arrive.
const BODY_WAIT_MAX: Duration = Duration::from_secs(10);

/// What a handler comes to.
pub(crate) type Answer = Result<HttpResponse, Problem>;

/// What answers a route.
pub(crate) type Handler = fn(Call) -> LocalBoxFuture<'static, Answer>;

/// An admitted request.
pub(crate) struct Call {
    pub(crate) shared: web::Data<Shared>,
    pub(crate) caller: Caller,
    pub(crate) query: Query,
    /// When it came in.
    pub(crate) started: BootTime,
    route: &'static Route,
    request: HttpRequest,
    payload: web::Payload,
}

impl Call {
    /// Whether only the head of the answer is wanted.
    pub(crate) fn is_head(&self) -> bool {
        self.request.method() == Method::HEAD
    }

    /// The headers as they were sent.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The one value of a header, if there.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when it is there twice or is not visible ASCII.
    pub(crate) fn header(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        one_header(self.headers(), name)
    }

    /// A part of the path by its name in the pattern, decoded.
    ///
    /// # Errors
    /// A field error when it is not percent-encoded UTF-8.
    pub(crate) fn part(&self, name: &str) -> Result<String, Problem> {
        // From the raw path: what the router offers is decoded already, and lossily.
        let parts = self.route.pattern.split('/').zip(self.request.uri().path().split('/'));
        let wanted = |pattern: &str| pattern.strip_prefix('{').and_then(|p| p.strip_suffix('}')) == Some(name);
        let raw = parts.into_iter().find(|(pattern, _)| wanted(pattern)).map(|(_, raw)| raw);
        raw.and_then(|raw| query::decode(raw, false)).ok_or_else(|| Problem::field(format!("{name} is not percent-encoded UTF-8")))
    }

    /// The body, which must be a JSON object.
    ///
    /// # Errors
    /// For another type, too many bytes, too long a wait, and what is not one strict object.
    pub(crate) async fn body(&mut self) -> Result<Fields, Problem> {
        self.body_of_type(&["application/json"]).await
    }

    /// The body, which must be a JSON object of one of these types.
    ///
    /// # Errors
    /// As [`Self::body`].
    pub(crate) async fn body_of_type(&mut self, types: &[&str]) -> Result<Fields, Problem> {
        check_type(self.headers(), types)?;
        json::parse_object(&self.bytes().await?)
    }

    /// The body, which may be left out.
    ///
    /// # Errors
    /// As [`Self::body`].
    pub(crate) async fn optional_body(&mut self) -> Result<Fields, Problem> {
        if has_body(self.headers()) { self.body().await } else { Ok(Fields::none()) }
    }

    async fn bytes(&mut self) -> Result<Vec<u8>, Problem> {
        let max = self.shared.settings.body_max_bytes;
        let announced = self.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > max) {
            return Err(too_large(max));
        }
        let slow = |_| Problem::new(Kind::BodyTimeout, format!("the body did not arrive within {} s", BODY_WAIT_MAX.as_secs()));
        tokio::time::timeout(BODY_WAIT_MAX, collect(&mut self.payload, max)).await.map_err(slow)?
    }
}

/// Takes a request through the door and out again.
pub(crate) async fn enter(shared: web::Data<Shared>, place: &Place, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let started = shared.clock.boot();
    let trace = Trace::of(request.headers());
    let method = request.method().clone();
    let span = tracing::info_span!("request", request_id = %trace.request_id, trace_id = trace.trace_id);
    let work = async {
        let answer = admit(shared.clone(), place, request, payload, started).await;
        let mut response = answer.unwrap_or_else(|problem| {
            note(&problem);
            problem.response(&trace.request_id)
        });
        seal(&mut response, &trace.request_id);
        if shared.draining() {
            // Whoever keeps connections open is to look for another node with the next request.
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        let (status, elapsed_us) = (response.status().as_u16(), shared.clock.boot().us_since(started));
        let about = response.extensions().get::<About>().map(|About(tag)| tag.clone());
        say(place, &method, status, elapsed_us, about.as_deref());
        count(place, &method, status, elapsed_us);
        response
    };
    work.instrument(span).await
}

/// Answers a path that is none.
pub(crate) fn no_route() -> Problem {
    Problem::new(Kind::NoRoute, "there is no such resource on this listener; see the HTTP contract for the routes of each")
}

/// What a request was about, as a keyed hash: noted in the log line in place of the id.
#[derive(Clone)]
struct About(String);

/// Says in the log which session or user the answer concerns, without naming it.
pub(crate) fn about(shared: &Shared, response: &mut HttpResponse, id: &[u8]) {
    response.extensions_mut().insert(About(shared.log_key.tag(id)));
}

async fn admit(shared: web::Data<Shared>, place: &Place, request: HttpRequest, payload: web::Payload, started: BootTime) -> Answer {
    if place.routes.is_empty() {
        return Err(no_route());
    }
    let route = place.route(request.method()).ok_or_else(|| Problem::method(place.allow()))?;
    let query = Query::parse(request.query_string(), route.parameters)?;
    let caller = identify(&shared, route, request.headers())?;
    check_headers(route, request.headers())?;
    if route.effect == Effect::Read {
        position::wait(&shared, request.headers()).await?;
    }
    (route.handler)(Call { shared, caller, query, started, route, request, payload }).await
}

fn identify(shared: &Shared, route: &Route, headers: &HeaderMap) -> Result<Caller, Problem> {
    let scope = match route.access {
        Access::Open => return Ok(Caller::NOBODY),
        Access::Metrics if shared.settings.metrics_public => return Ok(Caller::NOBODY),
        Access::Metrics => Scope::AdminRead,
        Access::Scope(scope) => scope,
    };
    let caller = Known::of(&shared.cluster, shared.own_root).identify(auth::bearer(headers)?)?;
    caller.need(scope).map(|()| caller)
}

fn check_headers(route: &Route, headers: &HeaderMap) -> Result<(), Problem> {
    if route.effect == Effect::Write {
        refuse_idempotency_key(headers)?;
    }
    let takes_body = !matches!(route.method, Method::GET | Method::DELETE);
    if !takes_body && has_body(headers) {
        return Err(Problem::new(Kind::InvalidRequest, "this request takes no body; nothing in it would be read"));
    }
    Ok(())
}

/// A client that sends the key counts on a promise that this release does not give.
///
/// # Errors
/// [`Kind::NotImplemented`] if the header is there.
pub(crate) fn refuse_idempotency_key(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key("idempotency-key") {
        return Err(Problem::new(Kind::NotImplemented, "Idempotency-Key is not supported by this release; nothing was done"));
    }
    Ok(())
}

/// The one value of a header, if there.
///
/// # Errors
/// [`Kind::InvalidRequest`] when it is there twice or is not visible ASCII.
pub(crate) fn one_header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut sent = headers.get_all(name);
    let Some(value) = sent.next() else { return Ok(None) };
    if sent.next().is_some() {
        return Err(Problem::new(Kind::InvalidRequest, format!("the header {name} is there twice; send one")));
    }
    value.to_str().map(Some).map_err(|_| Problem::new(Kind::InvalidRequest, format!("the header {name} must be visible ASCII")))
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let refuse = |what: &str| Err(Problem::new(Kind::UnsupportedMediaType, format!("{what}; send {}", types.join(" or "))));
    let Some(sent) = one_header(headers, "content-type")? else { return refuse("the header Content-Type is missing") };
    let (essence, parameters) = sent.split_once(';').unwrap_or((sent, ""));
    if !types.iter().any(|known| essence.trim().eq_ignore_ascii_case(known)) {
        return refuse("the body has another type");
    }
    let parameters = parameters.trim().to_ascii_lowercase();
    if !matches!(parameters.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"") {
        return refuse("only charset=utf-8 is known as a parameter of the type");
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return refuse("compressed bodies are not read");
    }
    Ok(())
}

async fn collect(payload: &mut web::Payload, max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::new(Kind::InvalidRequest, "the body ended before it was complete"))?;
        if bytes.len() + chunk.len() > max {
            return Err(too_large(max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(max: usize) -> Problem {
    Problem::new(Kind::BodyTooLarge, format!("a body may have at most {max} bytes"))
}

/// What every answer carries.
fn seal(response: &mut HttpResponse, request_id: &str) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static(REQUEST_ID), value);
    }
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    debug_assert!(response.status().as_u16() == 304 || response.headers().contains_key(CONTENT_TYPE));
}

/// The operator's line on a request that was not answered as asked: only what is the node's fault or an attack is worth more than the access line.
fn note(problem: &Problem) {
    let (code, detail) = (problem.kind().code(), problem.detail());
    match problem.kind().status() {
        500 => tracing::error!(code, detail, "request failed"),
        501.. => tracing::debug!(code, detail, "request not answered"),
        _ => tracing::debug!(code, detail, "request refused"),
    }
}

/// The access line. What wrote, and what failed by a bug or with an unknown outcome, is a fact that an operator looks for; the many reads
/// and probes are for whoever turns `debug` on, and in the metrics anyway.
fn say(place: &Place, method: &Method, status: u16, elapsed_us: u64, about: Option<&str>) {
    let writes = place.route(method).is_some_and(|route| route.effect == Effect::Write);
    if writes || matches!(status, 500 | 504) {
        tracing::info!(listener = place.listener.name(), %method, route = place.pattern, status, elapsed_us, about, "request");
    } else {
        tracing::debug!(listener = place.listener.name(), %method, route = place.pattern, status, elapsed_us, about, "request");
    }
}

fn count(place: &Place, method: &Method, status: u16, elapsed_us: u64) {
    let (listener, route, method) = (place.listener.name(), place.pattern, known_method(method));
    metrics::counter!(names::HTTP_REQUESTS_TOTAL, "listener" => listener, "route" => route, "method" => method, "status" => status.to_string())
        .increment(1);
    let seconds = Duration::from_micros(elapsed_us).as_secs_f64();
    metrics::histogram!(names::HTTP_REQUEST_DURATION_SECONDS, "listener" => listener, "route" => route, "method" => method).record(seconds);
}

/// A label for a method; whatever a client makes up is one of them.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
