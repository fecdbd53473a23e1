//! Golden bytes: what is persisted or crosses the log is a promise. A line that changes here would make nodes of two releases misread each
//! other, or a new release misread its own disk.

use curfew_node::codec;
use curfew_node::command::*;
use curfew_node::domain::*;
use curfew_node::state::{Loader, State};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::path::Path;
use std::sync::Arc;

/// Compares with the fixture; when they differ, says what would be the new one.
fn assert_golden(name: &str, lines: &[(String, Vec<u8>)]) {
    let mut text = String::new();
    for (what, bytes) in lines {
        writeln!(text, "{what} = {}", hex(bytes)).expect("a string takes all");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{} does not hold any more; the bytes are now:\n{text}", path.display());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn line<T: Serialize + DeserializeOwned + PartialEq + Debug>(what: &str, value: &T) -> (String, Vec<u8>) {
    let bytes = codec::encode(value);
    let back: T = codec::decode(&bytes).expect("what was encoded is decoded");
    assert_eq!(&back, value);
    (what.to_owned(), bytes)
}

/// That the samples show every variant: their tags run from 1 on, and the one after the last is unknown.
fn assert_complete<T: DeserializeOwned>(what: &str, tags: impl IntoIterator<Item = u8>) {
    let tags: BTreeSet<u8> = tags.into_iter().collect();
    let last = *tags.last().expect("there are samples");
    assert!(tags.iter().copied().eq(1..=last), "a {what} is missing among {tags:?}");
    let error = codec::decode::<T>(&[codec::VERSION, last + 1]).err().expect("the tag after the last is unknown").to_string();
    assert!(error.contains("unknown tag"), "the samples lack a {what}: {error}");
}

fn session(ended: Option<Ending>) -> Session {
    Session {
        id: SessionId([1; 16]),
        rev: 4711,
        user_id: "user-123".to_owned(),
        token: TokenHash([2; 32]),
        client_id: "shop".to_owned(),
        started_at: Moment(1_767_261_600_000),
        last_seen_at: Moment(1_767_261_660_000),
        expires_at: Moment(1_769_853_600_000),
        idle_timeout_ms: Some(1_800_000),
        attributes: r#"{"ip":"203.0.113.9"}"#.to_owned(),
        claims: r#"{"role":"admin"}"#.to_owned(),
        factors: vec![Factor { method: "pwd".to_owned(), at: Moment(1_767_261_600_000) }],
        audience: vec!["billing".to_owned()],
        version: 3,
        ended,
    }
}

fn endings() -> Vec<Ending> {
    let causes = [
        Cause::Revoked(Revoked { by: "root".to_owned(), reason: Some("logout".to_owned()) }),
        Cause::Expired(Expired { idle: true }),
        Cause::Evicted(Evicted { by: SessionId([3; 16]) }),
    ];
    causes.into_iter().map(|cause| Ending { at: Moment(1_767_261_700_000), index: 4712, cause }).collect()
}

fn policies() -> Vec<Policy> {
    let limit = |mode| Some(SessionLimit { max: 5, mode });
    let aal2 = Policy::preset(Preset::Aal2);
    vec![
        Policy::default(),
        Policy { refresh_by_expired_jwt: RefreshByExpiredJwt::Off(()), sessions_per_user: limit(LimitMode::EvictOldest(())), ..aal2.clone() },
        Policy { refresh_by_expired_jwt: RefreshByExpiredJwt::On(()), sessions_per_user: limit(LimitMode::Refuse(())), ..aal2 },
    ]
}

fn keyring() -> Keyring {
    let states = [KeyState::Signing(()), KeyState::Next(()), KeyState::Verifying(()), KeyState::Retired(()), KeyState::Withdrawn(())];
    let key = |state: KeyState| KeyRecord {
        kid: format!("kid-{}", state.tag()),
        alg: Alg::Es256(()),
        state,
        created_at: Moment(1_767_261_600_000),
        signs_from: Some(Moment(1_767_261_600_001)),
        signed_until: None,
        retires_at: None,
        max_jwt_ttl_seconds: 300,
        public: vec![4; 65],
        wrapped: WrappedKey { secret_id: [5; 8], nonce: [6; 12], ciphertext: vec![7; 9] },
    };
    Keyring { generation: 2, keys: states.into_iter().map(key).collect() }
}

fn init() -> Init {
    Init {
        cluster_id: ClusterId(0x7f3a_c210),
        issuer: "https://curfew.example".to_owned(),
        default_audience: "curfew".to_owned(),
        format_level: 1,
        policy: Policy::default(),
        keyring: keyring(),
        root_key: KeyHash([8; 32]),
    }
}

fn start(n: u8, user: &str) -> Start {
    Start {
        session_id: SessionId([n; 16]),
        token: TokenHash([n; 32]),
        user_id: user.to_owned(),
        client_id: "shop".to_owned(),
        ttl_ms: 86_400_000,
        idle_timeout_ms: Some(1_800_000),
        attributes: "{}".to_owned(),
        claims: "{}".to_owned(),
        factors: vec![Factor { method: "pwd".to_owned(), at: Moment(1_767_261_600_000) }],
        audience: vec!["curfew".to_owned()],
    }
}

fn selectors() -> Vec<Selector> {
    vec![
        Selector::SessionId(SessionId([1; 16])),
        Selector::Token(TokenHash([2; 32])),
        Selector::User(UserSelector { user_id: "ann".to_owned(), except_session_id: Some(SessionId([3; 16])) }),
    ]
}

fn commands() -> Vec<Command> {
    let mut commands = vec![
        Command::Init(init()),
        Command::Start(start(1, "ann")),
        Command::Patch(Patch {
            session_id: SessionId([1; 16]),
            expected_version: 3,
            attributes: None,
            claims: Some(r#"{"role":"admin"}"#.to_owned()),
            add_factor: Some(Factor { method: "otp".to_owned(), at: Moment(1_767_261_600_000) }),
            token: Some(TokenHash([2; 32])),
        }),
        Command::Extend(Extend { session_id: SessionId([1; 16]), ttl_ms: 3_600_000 }),
        Command::Touch(Touch { seen: vec![(4711, Moment(1_767_261_600_000))] }),
        Command::Expire(Expire { due: vec![(4711, Moment(1_767_261_600_000))] }),
        Command::Reap(Reap { max: REAP_MAX }),
        Command::Trim(Trim { max: REAP_MAX }),
        Command::RetireNode(RetireNode { node_id: 2, store_uuid: StoreUuid([9; 16]) }),
        Command::ResetRoot(ResetRoot { root_key: KeyHash([8; 32]) }),
    ];
    let revoke = |selector| Command::Revoke(Revoke { selector, reason: Some("logout".to_owned()), by: "root".to_owned() });
    commands.extend(selectors().into_iter().map(revoke));
    commands
}

#[test]
fn every_command_has_its_golden_bytes() {
    let commands = commands();
    let lines: Vec<_> = commands.iter().map(|command| line(&format!("command {}", command.tag()), command)).collect();
    let request = Request { id: CommandId([1; 16]), drawn_at: Moment(1_767_261_600_000), command: Command::Reap(Reap { max: 7 }) };
    let policies = policies().into_iter().map(|policy| line("policy", &policy));
    assert_golden("commands.txt", &lines.into_iter().chain([line("request", &request)]).chain(policies).collect::<Vec<_>>());
    assert_complete::<Command>("command", commands.iter().map(Command::tag));
    assert_complete::<Selector>("selector", selectors().iter().map(Selector::tag));
    assert_complete::<KeyState>("key state", keyring().keys.iter().map(|key| key.state.tag()));
    assert_complete::<Alg>("algorithm", [Alg::Es256(()).tag()]);
    assert_complete::<RefreshByExpiredJwt>("refresh rule", self::policies().iter().map(|it| it.refresh_by_expired_jwt.tag()));
    assert_complete::<LimitMode>("limit mode", self::policies().iter().filter_map(|it| it.sessions_per_user).map(|it| it.mode.tag()));
}

#[test]
fn every_outcome_has_its_golden_bytes() {
    let ended = Arc::new(session(endings().into_iter().next()));
    let refusals = [
        Refusal::SessionNotFound(()),
        Refusal::SessionEnded(ended),
        Refusal::VersionConflict(7),
        Refusal::SessionLimit(5),
        Refusal::Overloaded("sessions_max".to_owned()),
        Refusal::CommandTooOld(()),
        Refusal::WrongPhase(()),
        Refusal::AboveCap(86_400_000),
        Refusal::Taken(()),
    ];
    let done = [Outcome::Done(()), Outcome::Session(Arc::new(session(None))), Outcome::Count(3)];
    let outcomes: Vec<Outcome> = done.into_iter().chain(refusals.iter().cloned().map(Outcome::Refused)).collect();
    let lines: Vec<_> = outcomes.iter().map(|outcome| line(&format!("outcome {}", outcome.tag()), outcome)).collect();
    assert_golden("outcomes.txt", &lines);
    assert_complete::<Outcome>("outcome", outcomes.iter().map(Outcome::tag));
    assert_complete::<Refusal>("refusal", refusals.iter().map(Refusal::tag));
}

#[test]
fn every_part_of_a_row_has_its_golden_bytes() {
    let scopes = [
        Scope::Session(SessionScope { session_id: SessionId([1; 16]), user_id: "ann".to_owned() }),
        Scope::User(UserScope { user_id: "ann".to_owned(), rev_below: 4711, except_session_id: Some(SessionId([3; 16])) }),
        Scope::All(AllScope { rev_below: 4711 }),
        Scope::Key(KeyScope { kid: "kid-1".to_owned() }),
    ];
    let endings = endings();
    let lines = endings.iter().map(|ending| line(&format!("session ended {}", ending.cause.tag()), &session(Some(ending.clone()))));
    let scopes_lines = scopes.iter().map(|scope| line(&format!("scope {}", scope.tag()), scope));
    assert_golden("parts.txt", &lines.chain(scopes_lines).collect::<Vec<_>>());
    assert_complete::<Scope>("scope", scopes.iter().map(Scope::tag));
    assert_complete::<Cause>("cause", endings.iter().map(|ending| ending.cause.tag()));
}

/// A short life of a cluster, after which a row of each kind is there.
fn eventful() -> State {
    let mut state = State::default();
    let mut at = Moment(1_767_261_600_000);
    let revoke = |selector| Command::Revoke(Revoke { selector, reason: Some("logout".to_owned()), by: "root".to_owned() });
    let retained = Policy::default().revocation_retention_ms() + 2 * Policy::default().max_staleness_ms;
    let user = UserSelector { user_id: "ann".to_owned(), except_session_id: Some(SessionId([2; 16])) };
    let story = [
        (0, Command::Init(init())),
        (1, Command::Start(start(1, "bob"))),
        (1, revoke(Selector::SessionId(SessionId([1; 16])))),
        (retained, Command::Trim(Trim { max: REAP_MAX })),
        (1, Command::Start(start(2, "ann"))),
        (1, Command::Start(start(3, "ann"))),
        (1, Command::Extend(Extend { session_id: SessionId([2; 16]), ttl_ms: 3_600_000 })),
        (1, Command::RetireNode(RetireNode { node_id: 2, store_uuid: StoreUuid([9; 16]) })),
        (1, revoke(Selector::User(user))),
    ];
    for (index, (later_ms, command)) in (1..).zip(story) {
        at = at.plus_ms(later_ms);
        state.apply(index, at, Request { id: CommandId([index as u8; 16]), drawn_at: at, command });
    }
    state
}

#[test]
fn every_kind_of_row_has_its_golden_bytes() {
    let state = eventful();
    let rows: Vec<_> = state.rows().collect();
    let kinds: BTreeSet<u8> = rows.iter().map(|(key, _)| key[0]).collect();
    assert!(kinds.iter().copied().eq(1..=11), "a kind of row is missing: {kinds:?}");
    assert!(Loader::new().row(&[12], &[]).is_err(), "there is a kind of row that this test does not know");

    let mut lines: Vec<_> = rows.into_iter().map(|(key, value)| (format!("row {}", hex(&key)), value)).collect();
    lines.push(("digest".to_owned(), state.digest().to_vec()));
    assert_golden("rows.txt", &lines);
}
