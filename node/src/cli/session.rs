//! `curfew session start|show|list|authenticate|revoke`.

use super::Console;
use super::args::{CredentialArgs, ListArgs, RevokeArgs, SessionArgs, SessionVerb, StartArgs};
use super::error::CliError;
use super::http::{Answer, Client, segment};
use super::show::{self, word};
use super::target::read_credential;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) fn run(console: &mut Console<'_>, args: SessionArgs) -> Result<(), CliError> {
    let client = Client::new(args.target.first_api()?, args.target.api_key()?);
    let answer = match &args.verb {
        SessionVerb::Start(args) => client.post("/v1/sessions", &start_body(args)?)?,
        SessionVerb::Show { session_id } => client.get(&format!("/v1/sessions/{}", segment(session_id)))?,
        SessionVerb::List(args) => client.get(&list_path(args))?,
        SessionVerb::Authenticate { credential, strict } => {
            client.post("/v1/sessions/authenticate", &authenticate_body(console, credential, *strict)?)?
        }
        SessionVerb::Revoke(args) => client.post("/v1/sessions/revoke", &revoke_body(console, args)?)?,
    };
    if args.target.json {
        return console.print(&answer.text);
    }
    match &args.verb {
        SessionVerb::List(_) => show_list(console, &answer),
        SessionVerb::Revoke(args) => show_revoked(console, &answer, args.dry_run),
        _ => show_session(console, &answer.json),
    }
}

fn start_body(args: &StartArgs) -> Result<Value, CliError> {
    let mut body = Map::from_iter([("user_id".to_owned(), json!(args.user_id))]);
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("ttl_seconds", args.ttl_seconds.map(Value::from));
    put("idle_timeout_seconds", args.idle_timeout_seconds.map(Value::from));
    put("audience", (!args.audience.is_empty()).then(|| json!(args.audience)));
    put("attributes", args.attributes.as_deref().map(|text| object("--attributes", text)).transpose()?);
    put("claims", args.claims.as_deref().map(|text| object("--claims", text)).transpose()?);
    Ok(Value::Object(body))
}

fn object(flag: &str, text: &str) -> Result<Value, CliError> {
    let object = serde_json::from_str::<Map<String, Value>>(text);
    object.map(Value::Object).map_err(|error| CliError::Usage(format!("{flag} is not a JSON object: {error}")))
}

fn list_path(args: &ListArgs) -> String {
    let status = if args.all { "all" } else { "active" };
    let cursor = args.cursor.as_deref().map(|cursor| format!("&cursor={}", segment(cursor))).unwrap_or_default();
    format!("/v1/users/{}/sessions?status={status}&limit={}{cursor}", segment(&args.user_id), args.limit)
}

fn authenticate_body(console: &mut Console<'_>, args: &CredentialArgs, strict: bool) -> Result<Value, CliError> {
    let mut body = credential(console, args.token_file.as_deref(), args.jwt_file.as_deref())?;
    if strict {
        body.insert("consistency".to_owned(), json!("strict"));
    }
    Ok(Value::Object(body))
}

/// The body that names a session by one of its credentials; empty without a file.
fn credential(console: &mut Console<'_>, token_file: Option<&Path>, jwt_file: Option<&Path>) -> Result<Map<String, Value>, CliError> {
    let mut body = Map::new();
    for (name, file) in [("session_token", token_file), ("session_jwt", jwt_file)] {
        if let Some(file) = file {
            body.insert(name.to_owned(), json!(read_credential(console, file)?));
        }
    }
    Ok(body)
}

fn revoke_body(console: &mut Console<'_>, args: &RevokeArgs) -> Result<Value, CliError> {
    let which = &args.which;
    let mut body = credential(console, which.token_file.as_deref(), which.jwt_file.as_deref())?;
    let named = [("session_id", &which.session_id), ("user_id", &which.user), ("except_session_id", &args.except), ("reason", &args.reason)];
    body.extend(named.into_iter().filter_map(|(name, value)| value.as_ref().map(|value| (name.to_owned(), json!(value)))));
    if args.dry_run {
        body.insert("dry_run".to_owned(), json!(true));
    }
    Ok(Value::Object(body))
}

/// Shows a session, alone or with the credentials that came with it.
fn show_session(console: &mut Console<'_>, answer: &Value) -> Result<(), CliError> {
    let session = answer.get("session").unwrap_or(answer);
    let keys = [
        ("session", "session_id"),
        ("user", "user_id"),
        ("status", "status"),
        ("started", "started_at"),
        ("last seen", "last_seen_at"),
        ("expires", "expires_at"),
        ("idle until", "idle_expires_at"),
        ("ended", "ended_at"),
        ("audience", "audience"),
        ("factors", "factors"),
        ("attributes", "attributes"),
        ("claims", "claims"),
        ("version", "version"),
    ];
    let credentials = [("JWT until", "jwt_expires_at"), ("JWT", "session_jwt"), ("session token", "session_token")];
    let of_session = keys.into_iter().map(|(name, key)| (name, session.get(key).map(word)));
    let of_answer = credentials.into_iter().map(|(name, key)| (name, answer.get(key).map(word)));
    let revoked = ("revoked", session.get("revoked").filter(|revoked| revoked.is_object()).map(revoked_by));
    let present = of_session.chain([revoked]).chain(of_answer).filter_map(|(name, value)| value.map(|value| (name, value)));
    let text = show::text(&show::facts(present));
    console.print(&text)?;
    if answer.get("session_token").is_some() {
        console.note("the session token is shown this once; it is stored only as a hash");
    }
    Ok(())
}

fn revoked_by(revoked: &Value) -> String {
    let reason = revoked["reason"].as_str().map(|reason| format!(": {}", show::clean(reason))).unwrap_or_default();
    format!("by {}, index {}{reason}", word(&revoked["by"]), word(&revoked["index"]))
}

fn show_list(console: &mut Console<'_>, answer: &Answer) -> Result<(), CliError> {
    let mut table = show::table(&["session", "status", "started", "last seen", "expires", "idle until"]);
    for session in answer.json["sessions"].as_array().into_iter().flatten() {
        let keys = ["session_id", "status", "started_at", "last_seen_at", "expires_at", "idle_expires_at"];
        table.add_row(keys.map(|key| word(&session[key])));
    }
    console.print(&show::text(&table))?;
    if let Some(cursor) = answer.json["next_cursor"].as_str() {
        console.note(&format!("there are more: go on with --cursor {}", show::clean(cursor)));
    }
    Ok(())
}

fn show_revoked(console: &mut Console<'_>, answer: &Answer, dry_run: bool) -> Result<(), CliError> {
    let revoked = &answer.json["revoked"];
    let number = if *revoked == json!(1) { "1 session".to_owned() } else { format!("{} sessions", word(revoked)) };
    if dry_run {
        return console.print(&format!("{number} would be revoked; nothing was changed"));
    }
    let hint = if *revoked == json!(0) { ": nothing active matched" } else { "" };
    console.print(&format!("{number} revoked at position {} in {} ms{hint}", word(&answer.json["position"]), word(&answer.json["elapsed_ms"])))
}
