//! Stories, one per promise that `apply` keeps. The laws that hold for every log are in `tests/replay.rs`.

mod change;
mod load;
mod memory;
mod revoke;
mod start;
mod sweep;
mod time;

use super::{Applied, State};
use crate::command::{
    Command, Event, Expire, Init, Outcome, Patch, REAP_MAX, Reap, Refusal, Request, Revoke, Selector, Start, Touch, Trim, UserSelector,
};
use crate::domain::{ClusterId, CommandId, Ending, KeyHash, Keyring, LogIndex, Moment, Policy, Revocation, Session, SessionId, Standing, TokenHash};
use std::sync::Arc;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A formed cluster of one state, its log and its time.
struct World {
    state: State,
    index: LogIndex,
    now: Moment,
}

impl World {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        let mut world = Self::unformed();
        assert_eq!(world.run(init(policy)), Outcome::Done(()));
        world
    }

    fn unformed() -> Self {
        Self { state: State::default(), index: 0, now: Moment(DAY) }
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    fn request(&self, command: Command) -> Request {
        Request { id: CommandId(u128::from(self.index).to_be_bytes()), drawn_at: self.now.max(self.state.last_at()), command }
    }

    fn apply(&mut self, command: Command) -> Applied {
        self.apply_request(self.request(command))
    }

    fn apply_request(&mut self, request: Request) -> Applied {
        self.index += 1;
        self.state.apply(self.index, self.now, request)
    }

    fn run(&mut self, command: Command) -> Outcome {
        self.apply(command).outcome
    }

    /// Starts session `n` of a user.
    fn start(&mut self, user: &str, n: u8) -> Arc<Session> {
        match self.run(Command::Start(start(user, n))) {
            Outcome::Session(session) => session,
            other => panic!("the start came to {other:?}"),
        }
    }

    fn session(&self, n: u8) -> &Arc<Session> {
        self.state.session(&id(n)).expect("the session is known")
    }

    fn standing(&self, n: u8) -> Standing {
        self.state.standing(self.session(n), self.now)
    }

    fn is_active(&self, n: u8) -> bool {
        self.standing(n) == Standing::Active
    }

    /// How the session ended, by its record.
    fn ending(&self, n: u8) -> Ending {
        self.session(n).ended.clone().expect("the record says how the session ended")
    }

    fn revoke_user(&mut self, user: &str, except: Option<u8>) -> Applied {
        self.apply(revoke_user(user, except))
    }

    fn trim(&mut self) -> Outcome {
        self.run(Command::Trim(Trim { max: REAP_MAX }))
    }

    fn reap(&mut self, max: u64) -> Outcome {
        self.run(Command::Reap(Reap { max }))
    }

    fn expire_due(&mut self) -> Outcome {
        let due = self.state.due(self.now, REAP_MAX as usize);
        self.run(Command::Expire(Expire { due }))
    }

    fn touch(&mut self, n: u8, at: Moment) -> Outcome {
        let rev = self.session(n).rev;
        self.run(Command::Touch(Touch { seen: vec![(rev, at)] }))
    }
}

fn id(n: u8) -> SessionId {
    SessionId([n; 16])
}

fn token(n: u8) -> TokenHash {
    TokenHash([n; 32])
}

fn init(policy: Policy) -> Command {
    Command::Init(Init {
        cluster_id: ClusterId(0x7f3a_c210),
        issuer: "https://curfew.test".to_owned(),
        default_audience: "curfew".to_owned(),
        format_level: 1,
        policy,
        keyring: Keyring::default(),
        root_key: KeyHash([7; 32]),
    })
}

fn start(user: &str, n: u8) -> Start {
    Start {
        session_id: id(n),
        token: token(n),
        user_id: user.to_owned(),
        client_id: "shop".to_owned(),
        ttl_ms: HOUR,
        idle_timeout_ms: None,
        attributes: "{}".to_owned(),
        claims: "{}".to_owned(),
        factors: Vec::new(),
        audience: vec!["curfew".to_owned()],
    }
}

fn revoke(selector: Selector) -> Command {
    Command::Revoke(Revoke { selector, reason: Some("logout".to_owned()), by: "root".to_owned() })
}

fn revoke_user(user: &str, except: Option<u8>) -> Command {
    revoke(Selector::User(UserSelector { user_id: user.to_owned(), except_session_id: except.map(id) }))
}

fn patch(session: &Session) -> Patch {
    Patch { session_id: session.id, expected_version: session.version, attributes: None, claims: None, add_factor: None, token: None }
}

/// What the feed was told by this entry.
fn told(applied: &Applied) -> Vec<Revocation> {
    let entries = applied.events.iter().filter_map(|event| if let Event::Revoked(entry) = event { Some(entry) } else { None });
    entries.flat_map(|entry| entry.revocations.clone()).collect()
}

fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("was not refused, but came to {other:?}"),
    }
}
