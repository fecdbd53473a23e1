//! Commands against a server that plays a part: what is asked, what is printed, how it ends.

use super::*;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread::JoinHandle;

/// A request as the server saw it.
#[derive(Debug)]
struct Seen {
    line: String,
    headers: Vec<String>,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|header| {
            let (key, value) = header.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Answers one connection with each of the texts, in their order, and tells what it was asked.
fn server(answers: Vec<String>) -> (String, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let played = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|answer| {
                let (stream, _) = listener.accept().unwrap();
                let seen = read_request(&stream);
                (&stream).write_all(answer.as_bytes()).unwrap();
                seen
            })
            .collect()
    });
    (url, played)
}

fn read_request(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut seen = Seen { line: head.remove(0), headers: head, body: Value::Null };
    if let Some(length) = seen.header("content-length").map(|length| length.parse().unwrap()) {
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        seen.body = serde_json::from_slice(&body).unwrap();
    }
    seen
}

fn answer(status: u16, body: &Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn stream(frames: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{frames}")
}

/// What a command said, and how it ended.
#[derive(Debug)]
struct Ran {
    code: u8,
    out: String,
    err: String,
}

fn curfew_with(args: &[&str], input: &str, serve: impl FnOnce(Config) -> ExitCode) -> Ran {
    let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), input.as_bytes());
    let args = std::iter::once("curfew").chain(args.iter().copied()).map(OsString::from);
    let ended = run_on(&mut Console { out: &mut out, err: &mut err, input: &mut input }, args, serve);
    let code = (0..=u8::MAX).find(|code| format!("{:?}", ExitCode::from(*code)) == format!("{ended:?}")).unwrap();
    Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn curfew(args: &[&str]) -> Ran {
    curfew_with(args, "", |_| panic!("nothing was to be served"))
}

/// A directory with a key in it, and the flag that names it.
struct Keyed {
    dir: tempfile::TempDir,
}

impl Keyed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), "the-api-key\n").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, url: &str, args: &[&str], input: &str) -> Ran {
        let key = self.path("key");
        let flags = ["--url", url, "--admin-url", url, "--key-file", key.to_str().unwrap()];
        curfew_with(&[args, &flags].concat(), input, |_| panic!("nothing was to be served"))
    }
}

#[test]
fn serving_is_what_happens_without_a_subcommand() {
    for args in [&["--data-dir", "/x"][..], &["serve", "--data-dir", "/x"]] {
        let mut served = None;
        let ran = curfew_with(args, "", |config| {
            served = Some(config.node.data_dir);
            ExitCode::from(7)
        });
        assert_eq!((ran.code, served), (7, Some(PathBuf::from("/x"))), "{args:?}");
    }
}

#[test]
fn what_cannot_work_ends_with_2_and_says_why() {
    let keyed = Keyed::new();
    let missing = keyed.path("missing.toml").display().to_string();
    for (args, needle) in [
        (&["--config", &missing][..], "missing.toml): cannot be read"),
        (&["config", "check", "--config", &missing], "missing.toml): cannot be read"),
        (&["--data-dir", "x", "cluster", "status"], "behind the subcommand"),
        (&["session", "revoke"], "required"),
        (&["session", "revoke", "ses_x", "--user", "u"], "cannot be used with"),
        (&["session", "authenticate", "--token", "cft_x"], "unexpected argument"),
        (&["session", "list", "u", "--limit", "1001"], "1..=1000"),
        (&["session", "start", "u", "--claims", "[]", "--key-file", keyed.path("key").to_str().unwrap()], "--claims is not a JSON object"),
        (&["cluster", "status", "--key-file", &missing], "missing.toml"),
        (&["cluster", "status", "--admin-url", "https://x"], "plain HTTP only"),
        (&["revocations", "follow", "--after", "here"], "a position is a cluster id, a dot"),
        (&["nonsense"], "nonsense"),
    ] {
        let ran = curfew(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.err.contains(needle) && ran.out.is_empty(), "{args:?}: {ran:?} lacks {needle:?}");
    }
}

#[test]
fn help_is_an_answer() {
    let ran = curfew(&["--help"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("Exit codes"), "{ran:?}");
}

#[test]
fn a_configuration_is_checked_without_starting_anything() {
    let keyed = Keyed::new();
    let data_dir = keyed.path("data");
    let ran = curfew(&["config", "check", "--data-dir", data_dir.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("a cluster of its own") && ran.out.contains("127.0.0.1:7400"), "{ran:?}");
    assert!(!data_dir.exists());
    let json = curfew(&["config", "check", "--json"]);
    assert_eq!(serde_json::from_str::<Config>(&json.out).unwrap(), Config::default());
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_flag_that_changes_it() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let ran = Keyed::new().run(&url, &["cluster", "status"], "");
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with(&format!("error: {url} cannot be reached")) && ran.err.contains("--admin-url"), "{ran:?}");
    let ran = Keyed::new().run(&url, &["revocations", "follow"], "");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("--url gives another address"), "{ran:?}");
}

#[test]
fn a_refusal_is_repeated_with_code_and_request() {
    let problem =
        json!({"title": "Not Found", "status": 404, "detail": "there is no such session", "code": "session_not_found", "request_id": "r-9"});
    let (url, played) = server(vec![answer(404, &problem)]);
    let ran = Keyed::new().run(&url, &["session", "show", "ses/../x"], "");
    assert_eq!((ran.code, ran.err.as_str()), (1, "error: there is no such session (session_not_found, request r-9)\n"));
    let seen = played.join().unwrap();
    assert_eq!(seen[0].line, "GET /v1/sessions/ses%2F..%2Fx HTTP/1.1");
    assert_eq!(seen[0].header("authorization"), Some("Bearer the-api-key"));
}

#[test]
fn a_started_session_shows_its_token_once() {
    let started = json!({"session": {"session_id": "ses_1", "user_id": "u", "status": "active", "audience": ["billing"], "idle_expires_at": null},
        "session_token": "cft_secret", "session_jwt": "eyJ", "jwt_expires_at": "2026-01-01T10:05:00.000Z"});
    let (url, played) = server(vec![answer(201, &started), answer(201, &started)]);
    let keyed = Keyed::new();
    let args = ["session", "start", "u", "--ttl-seconds", "60", "--audience", "billing", "--claims", r#"{"role":"admin"}"#];
    let ran = keyed.run(&url, &args, "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("session token  cft_secret\n") && ran.out.contains("idle until     -\n"), "{ran:?}");
    assert!(ran.err.contains("shown this once"), "{ran:?}");
    let raw = keyed.run(&url, &["session", "start", "u", "--json"], "");
    assert_eq!(serde_json::from_str::<Value>(&raw.out).unwrap(), started);
    let seen = played.join().unwrap();
    assert_eq!(seen[0].body, json!({"user_id": "u", "ttl_seconds": 60, "audience": ["billing"], "claims": {"role": "admin"}}));
    assert_eq!(seen[1].body, json!({"user_id": "u"}));
}

#[test]
fn credentials_come_from_files_or_standard_input() {
    let session = json!({"session": {"session_id": "ses_1", "status": "active"}, "session_jwt": "eyJ", "jwt_expires_at": "x"});
    let revoked = json!({"revoked": 1, "index": 7, "position": "7f3ac210.7", "elapsed_ms": 2});
    let (url, played) = server(vec![answer(200, &session), answer(200, &session), answer(200, &revoked)]);
    let keyed = Keyed::new();
    std::fs::write(keyed.path("jwt"), "eyJ.x.y").unwrap();
    let jwt = keyed.path("jwt").display().to_string();
    assert_eq!(keyed.run(&url, &["session", "authenticate", "--token-file", "-", "--strict"], "cft_1\n").code, 0);
    assert_eq!(keyed.run(&url, &["session", "authenticate", "--jwt-file", &jwt], "").code, 0);
    let ran = keyed.run(&url, &["session", "revoke", "--token-file", "-", "--reason", "lost laptop"], "cft_2");
    assert_eq!(ran.out, "1 session revoked at position 7f3ac210.7 in 2 ms\n");
    let bodies: Vec<_> = played.join().unwrap().into_iter().map(|seen| seen.body).collect();
    assert_eq!(
        bodies,
        [
            json!({"session_token": "cft_1", "consistency": "strict"}),
            json!({"session_jwt": "eyJ.x.y"}),
            json!({"session_token": "cft_2", "reason": "lost laptop"})
        ]
    );
}

#[test]
fn revoking_says_how_many_and_never_succeeds_in_silence() {
    let revoked = |n: u64| json!({"revoked": n, "index": 7, "position": "7f3ac210.7", "elapsed_ms": 2});
    let (url, played) = server(vec![answer(200, &revoked(0)), answer(200, &revoked(12))]);
    let keyed = Keyed::new();
    assert_eq!(
        keyed.run(&url, &["session", "revoke", "ses_1"], "").out,
        "0 sessions revoked at position 7f3ac210.7 in 2 ms: nothing active matched\n"
    );
    let args = ["session", "revoke", "--user", "u", "--except", "ses_1", "--dry-run"];
    assert_eq!(keyed.run(&url, &args, "").out, "12 sessions would be revoked; nothing was changed\n");
    let seen = played.join().unwrap();
    assert_eq!(seen[0].body, json!({"session_id": "ses_1"}));
    assert_eq!(seen[1].body, json!({"user_id": "u", "except_session_id": "ses_1", "dry_run": true}));
}

#[test]
fn an_ended_session_says_who_ended_it() {
    let session = json!({"session_id": "ses_1", "status": "revoked", "ended_at": "t", "revoked": {"at": "t", "by": "billing", "index": 4, "reason": "lost laptop"}});
    let (url, _) = server(vec![answer(200, &session)]);
    let ran = Keyed::new().run(&url, &["session", "show", "ses_1"], "");
    assert!(ran.out.contains("revoked  by billing, index 4: lost laptop\n"), "{ran:?}");
}

#[test]
fn lists_are_pages() {
    let page = json!({"sessions": [{"session_id": "ses_1", "status": "active", "started_at": "t"}], "next_cursor": "c2"});
    let (url, played) = server(vec![answer(200, &page)]);
    let ran = Keyed::new().run(&url, &["session", "list", "a/b", "--all", "--limit", "1", "--cursor", "c1"], "");
    assert!(ran.out.contains("ses_1") && ran.err.contains("--cursor c2"), "{ran:?}");
    assert_eq!(played.join().unwrap()[0].line, "GET /v1/users/a%2Fb/sessions?status=all&limit=1&cursor=c1 HTTP/1.1");
}

#[test]
fn the_status_of_a_cluster_fits_on_a_screen() {
    let status = json!({"cluster_id": "7f3ac210", "position": "7f3ac210.4711", "node_id": 2, "leader": {"node_id": 1, "api": "127.0.0.1:7410"}, "term": 3,
        "members": [{"node_id": 1, "role": "leader", "voter": true, "peer": "127.0.0.1:7412", "api": "127.0.0.1:7410", "reachable": true,
            "matched_index": 4711, "lag_ms": 2, "clock_offset_ms": null, "version": "0.1.0"}],
        "node": {"role": "follower", "committed_index": 4711, "applied_index": 4710, "fresh": true, "staleness_ms": 12, "version": "0.1.0"}});
    let (url, played) = server(vec![answer(200, &status)]);
    let ran = Keyed::new().run(&url, &["cluster", "status"], "");
    assert_eq!(ran.code, 0, "{ran:?}");
    for needle in ["leader         node 1 at 127.0.0.1:7410", "2 (follower, fresh, 12 ms)", "4710 of 4711", "1     leader  yes"] {
        assert!(ran.out.contains(needle), "{:?} lacks {needle:?}", ran.out);
    }
    assert_eq!(played.join().unwrap()[0].line, "GET /admin/v1/cluster HTTP/1.1");
}

/// The steps:
///
/// 1. A first node tells one revocation and half of another, and dies.
/// 2. A second node is asked from the last whole one on, sends the other and says that it is not fresh.
/// 3. The first node is back and says `resync`.
/// 4. The key has been withdrawn: the command ends.
#[test]
fn the_feed_is_followed_from_node_to_node_without_a_gap() {
    let beat = |fresh: bool| format!("event: heartbeat\ndata: {{\"fresh\":{fresh}}}\n\n");
    let told = |index: u64, body: &str| format!("id: 7f3ac210.{index}\nevent: revocation\ndata: {{\"index\":{index},\"revocations\":[{body}]}}\n\n");
    let one = told(5, r#"{"scope":"session","session_id":"ses_1","user_id":"u","reason":"logout","at":"t5"}"#);
    let two = told(6, r#"{"scope":"user","user_id":"v","rev_below":6,"at":"t6"},{"scope":"all","rev_below":6,"at":"t6"}"#);
    let refused = json!({"detail": "the API key is not known", "code": "unauthorized"});
    let (first, first_played) = server(vec![
        stream(&format!("retry: 1000\nid: 7f3ac210.4\nevent: hello\ndata: {{\"fresh\":false}}\n\n{one}{}", &two[..two.len() - 1])),
        stream("event: resync\ndata: {\"position\":\"7f3ac210.9\"}\n\n"),
    ]);
    let (second, second_played) = server(vec![stream(&format!("{two}{}{}{}", beat(false), beat(false), beat(true))), answer(401, &refused)]);
    let ran = Keyed::new().run(&second, &["revocations", "follow", "--url", &first, "--after", "7f3ac210.3"], "");
    assert_eq!(
        ran.out,
        "t5 7f3ac210.5 session ses_1 of u: logout\nt6 7f3ac210.6 all sessions of v started before index 6\nt6 7f3ac210.6 all sessions started before index 6\n"
    );
    let resumed: Vec<_> = first_played
        .join()
        .unwrap()
        .iter()
        .chain(&second_played.join().unwrap())
        .map(|seen| seen.header("last-event-id").map(str::to_owned))
        .collect();
    assert_eq!(resumed, ["7f3ac210.3", "7f3ac210.6", "7f3ac210.5", "7f3ac210.6"].map(|position| Some(position.to_owned())));
    assert_eq!(ran.code, 1);
    for needle in ["reconnected to", "resync:", "error: the API key is not known (unauthorized)"] {
        assert!(ran.err.contains(needle), "{:?} lacks {needle:?}", ran.err);
    }
    assert_eq!(ran.err.matches("the node is not fresh").count(), 1, "{:?}", ran.err);
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut err = Vec::new();
    let mut console = Console { out: &mut Closed, err: &mut err, input: &mut io::empty() };
    let ended = run_on(&mut console, ["curfew", "config", "check", "--json"].map(OsString::from), |_| ExitCode::FAILURE);
    assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::SUCCESS));
    assert!(err.is_empty());
}
