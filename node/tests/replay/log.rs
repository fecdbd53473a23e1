//! Logs to be replayed: few users, few ids and few tokens, so that everything meets everything, and stamps that no honest clock would give.

use curfew_node::command::{
    Command, Expire, Extend, Init, Patch, Reap, Request, ResetRoot, RetireNode, Revoke, Selector, Start, Touch, Trim, UserSelector,
};
use curfew_node::domain::{
    ClusterId, CommandId, Factor, KeyHash, Keyring, LimitMode, LogIndex, Moment, Policy, SessionId, SessionLimit, StoreUuid, TokenHash,
};
use curfew_node::state::State;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// One entry of a log; without a request it is blank.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) index: LogIndex,
    /// What the leader stamped; may lie before an earlier one.
    pub(super) at: Moment,
    pub(super) request: Option<Request>,
}

/// Applies one entry, and says what it came to.
pub(super) fn apply(state: &mut State, entry: &Entry) -> Option<curfew_node::state::Applied> {
    match &entry.request {
        Some(request) => Some(state.apply(entry.index, entry.at, request.clone())),
        None => {
            state.skip(entry.index);
            None
        }
    }
}

/// The state that a log comes to.
pub(super) fn replay(entries: &[Entry]) -> State {
    let mut state = State::default();
    for entry in entries {
        apply(&mut state, entry);
    }
    state
}

/// A log of up to `max` entries after the first command.
pub(super) fn logs(max: usize) -> impl Strategy<Value = Vec<Entry>> {
    (policies(), vec((stamps(), recipes()), 1..max)).prop_map(|(policy, steps)| {
        let mut scribe = Scribe::new(policy);
        for (stamp, recipe) in steps {
            scribe.write(stamp, &recipe);
        }
        scribe.entries
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let limits = prop_oneof![
        2 => Just(None),
        2 => (1u64..4).prop_map(|max| Some(SessionLimit { max, mode: LimitMode::EvictOldest(()) })),
        1 => (1u64..4).prop_map(|max| Some(SessionLimit { max, mode: LimitMode::Refuse(()) })),
    ];
    let totals = prop_oneof![3 => Just(1_000u64), 1 => 2u64..8];
    let retentions = prop_oneof![Just(0u64), Just(90_000), Just(86_400_000)];
    let caps = prop_oneof![2 => Just(None), 1 => Just(Some(40_000u64))];
    (limits, totals, retentions, caps).prop_map(|(sessions_per_user, sessions_max, tombstone_retention_ms, idle_timeout_max_ms)| Policy {
        session_ttl_max_ms: 600_000,
        jwt_ttl_seconds: 10,
        leeway_seconds: 1,
        max_staleness_ms: 1_000,
        sessions_per_user,
        sessions_max,
        tombstone_retention_ms,
        idle_timeout_max_ms,
        ..Policy::default()
    })
}

/// How far the leader's stamp lies from the state's time, milliseconds.
fn stamps() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => Just(1i64),
        4 => 0i64..3_000,
        3 => 3_000i64..40_000,
        2 => 40_000i64..120_000,
        1 => Just(100_000_000),
        3 => -60_000i64..0,
        1 => Just(i64::MIN),
    ]
}

/// What the next command is to be; the scribe fills in what it finds in the state.
#[derive(Clone, Debug)]
enum Recipe {
    Blank,
    Start {
        user: u8,
        id: u8,
        token: u8,
        ttl_ms: u64,
        idle_ms: Option<u64>,
    },
    Patch {
        pick: Index,
        stale: bool,
        token: Option<u8>,
        factor: bool,
    },
    Extend {
        pick: Index,
        ttl_ms: u64,
    },
    Touch {
        picks: Vec<Index>,
        ago_ms: i64,
    },
    Expire {
        ahead_ms: u64,
        max: usize,
    },
    /// What was due when an expiry was written last: its deadlines may have moved.
    ExpireAgain,
    RevokeOne {
        pick: Index,
        by_token: bool,
    },
    RevokeUser {
        user: u8,
        except: Option<Index>,
    },
    Reap {
        max: u64,
    },
    Trim {
        max: u64,
    },
    Retire {
        node: u64,
    },
    Reset {
        byte: u8,
    },
    /// A request that was sent before.
    Again {
        pick: Index,
    },
    InitAgain,
}

fn recipes() -> impl Strategy<Value = Recipe> {
    let ttl = prop_oneof![Just(0u64), Just(1_000), 1_000u64..600_000, Just(600_001)];
    let idle = prop_oneof![2 => Just(None), 3 => (1_000u64..60_000).prop_map(Some)];
    prop_oneof![
        1 => Just(Recipe::Blank),
        10 => (0u8..3, 0u8..40, 0u8..40, ttl, idle).prop_map(|(user, id, token, ttl_ms, idle_ms)| Recipe::Start { user, id, token, ttl_ms, idle_ms }),
        3 => (any::<Index>(), prop::bool::weighted(0.2), prop::option::of(0u8..40), any::<bool>())
            .prop_map(|(pick, stale, token, factor)| Recipe::Patch { pick, stale, token, factor }),
        2 => (any::<Index>(), 0u64..650_000).prop_map(|(pick, ttl_ms)| Recipe::Extend { pick, ttl_ms }),
        4 => (vec(any::<Index>(), 0..4), -5_000i64..30_000).prop_map(|(picks, ago_ms)| Recipe::Touch { picks, ago_ms }),
        3 => (0u64..5_000, 1usize..5).prop_map(|(ahead_ms, max)| Recipe::Expire { ahead_ms, max }),
        1 => Just(Recipe::ExpireAgain),
        3 => (any::<Index>(), any::<bool>()).prop_map(|(pick, by_token)| Recipe::RevokeOne { pick, by_token }),
        4 => (0u8..3, prop::option::of(any::<Index>())).prop_map(|(user, except)| Recipe::RevokeUser { user, except }),
        3 => (0u64..4).prop_map(|max| Recipe::Reap { max }),
        3 => prop_oneof![0u64..3, Just(u64::MAX)].prop_map(|max| Recipe::Trim { max }),
        1 => (1u64..4).prop_map(|node| Recipe::Retire { node }),
        1 => any::<u8>().prop_map(|byte| Recipe::Reset { byte }),
        3 => any::<Index>().prop_map(|pick| Recipe::Again { pick }),
        1 => Just(Recipe::InitAgain),
    ]
}

/// Writes a log while it looks at the state that the log comes to, as the nodes of a cluster do.
struct Scribe {
    state: State,
    entries: Vec<Entry>,
    due: Vec<(LogIndex, Moment)>,
    policy: Policy,
}

impl Scribe {
    fn new(policy: Policy) -> Self {
        let entries = vec![Entry { index: 1, at: Moment(0), request: None }];
        let mut scribe = Self { state: State::default(), entries, due: Vec::new(), policy: policy.clone() };
        scribe.state.skip(1);
        scribe.append(Moment(1_000_000), Some(Command::Init(init(policy))));
        scribe
    }

    fn write(&mut self, stamp: i64, recipe: &Recipe) {
        let at = Moment(self.state.last_at().0.saturating_add_signed(stamp));
        if let Recipe::Again { pick } = recipe {
            let sent: Vec<&Request> = self.entries.iter().filter_map(|it| it.request.as_ref()).collect();
            let request = (*pick.get(&sent)).clone();
            return self.push(at, Some(request));
        }
        let command = self.command(at.max(self.state.last_at()), recipe);
        self.append(at, command);
    }

    fn append(&mut self, at: Moment, command: Option<Command>) {
        let id = CommandId(u128::from(self.state.last_applied()).to_be_bytes());
        let drawn_at = self.state.last_at().max(at);
        self.push(at, command.map(|command| Request { id, drawn_at, command }));
    }

    fn push(&mut self, at: Moment, request: Option<Request>) {
        let entry = Entry { index: self.state.last_applied() + 1, at, request };
        apply(&mut self.state, &entry);
        self.entries.push(entry);
    }

    /// A session that was started at some time, if any; also one that is forgotten by now.
    fn started(&self, pick: &Index) -> Option<&Start> {
        let starts: Vec<&Start> =
            self.entries.iter().filter_map(|it| if let Command::Start(it) = &it.request.as_ref()?.command { Some(it) } else { None }).collect();
        (!starts.is_empty()).then(|| *pick.get(&starts))
    }

    fn command(&mut self, now: Moment, recipe: &Recipe) -> Option<Command> {
        let by = "root".to_owned();
        Some(match recipe {
            Recipe::Blank | Recipe::Again { .. } => return None,
            Recipe::Start { user, id, token, ttl_ms, idle_ms } => Command::Start(start(*user, *id, *token, *ttl_ms, *idle_ms)),
            Recipe::Patch { pick, stale, token, factor } => Command::Patch(self.patch(self.started(pick)?.session_id, *stale, *token, *factor)),
            Recipe::Extend { pick, ttl_ms } => Command::Extend(Extend { session_id: self.started(pick)?.session_id, ttl_ms: *ttl_ms }),
            Recipe::Touch { picks, ago_ms } => {
                let seen = Moment(now.0.saturating_add_signed(-ago_ms));
                let revs = picks.iter().filter_map(|pick| self.started(pick)).filter_map(|it| self.state.session(&it.session_id));
                Command::Touch(Touch { seen: revs.map(|it| (it.rev, seen)).chain([(999_999, seen)]).collect() })
            }
            Recipe::Expire { ahead_ms, max } => {
                self.due = self.state.due(now.plus_ms(*ahead_ms), *max);
                Command::Expire(Expire { due: self.due.clone() })
            }
            Recipe::ExpireAgain => Command::Expire(Expire { due: self.due.clone() }),
            Recipe::RevokeOne { pick, by_token } => {
                let session = self.started(pick)?;
                let selector = if *by_token { Selector::Token(session.token) } else { Selector::SessionId(session.session_id) };
                Command::Revoke(Revoke { selector, reason: None, by })
            }
            Recipe::RevokeUser { user, except } => {
                let except_session_id = except.and_then(|pick| self.started(&pick)).map(|it| it.session_id);
                let selector = Selector::User(UserSelector { user_id: user_id(*user), except_session_id });
                Command::Revoke(Revoke { selector, reason: Some("all".to_owned()), by })
            }
            Recipe::Reap { max } => Command::Reap(Reap { max: *max }),
            Recipe::Trim { max } => Command::Trim(Trim { max: *max }),
            Recipe::Retire { node } => Command::RetireNode(RetireNode { node_id: *node, store_uuid: StoreUuid([*node as u8; 16]) }),
            Recipe::Reset { byte } => Command::ResetRoot(ResetRoot { root_key: KeyHash([*byte; 32]) }),
            Recipe::InitAgain => Command::Init(init(self.policy.clone())),
        })
    }

    fn patch(&self, session_id: SessionId, stale: bool, token: Option<u8>, factor: bool) -> Patch {
        let version = self.state.session(&session_id).map_or(1, |it| it.version);
        Patch {
            session_id,
            expected_version: if stale { version - 1 } else { version },
            attributes: factor.then(|| r#"{"step":"up"}"#.to_owned()),
            claims: None,
            add_factor: factor.then(|| Factor { method: "otp".to_owned(), at: Moment(7) }),
            token: token.map(|byte| TokenHash([byte; 32])),
        }
    }
}

pub(super) fn user_id(user: u8) -> String {
    format!("user-{user}")
}

fn init(policy: Policy) -> Init {
    Init {
        cluster_id: ClusterId(0x7f3a_c210),
        issuer: "https://curfew.test".to_owned(),
        default_audience: "curfew".to_owned(),
        format_level: 1,
        policy,
        keyring: Keyring::default(),
        root_key: KeyHash([7; 32]),
    }
}

fn start(user: u8, id: u8, token: u8, ttl_ms: u64, idle_timeout_ms: Option<u64>) -> Start {
    Start {
        session_id: SessionId([id; 16]),
        token: TokenHash([token; 32]),
        user_id: user_id(user),
        client_id: "shop".to_owned(),
        ttl_ms,
        idle_timeout_ms,
        attributes: "{}".to_owned(),
        claims: "{}".to_owned(),
        factors: Vec::new(),
        audience: vec!["curfew".to_owned()],
    }
}
