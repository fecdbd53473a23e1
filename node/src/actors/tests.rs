//! Stories of the actors over a real state and a road that leads nowhere but into it.

use super::*;
use crate::command::{Command, Event, Extend, Init, Outcome, Patch, Request, Revoke, Selector, Start, UserSelector};
use crate::domain::{ClusterId, CommandId, KeyHash, LogIndex, Moment, Policy, Session, SessionId, TokenHash};
use crate::propose::{Done, NotDone, ProposeError};
use crate::secret::{ClusterSecret, SecretRing};
use crate::state::{State, View};
use crate::tokens::{Keys, Minted, first_keyring};
use arc_swap::ArcSwapOption;
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

const BEGINNING: Moment = Moment(1_767_261_600_000);
const SETTINGS: Settings = Settings { live_max: 1_000, dormant_after: Duration::from_secs(60), mailbox_max: 512 };

/// A cluster of one, in memory: every command is applied as soon as it is let through.
struct InMemory {
    view: View,
    now: Mutex<Moment>,
    /// The latest time that others stand behind.
    vouched: Mutex<Moment>,
    leads: Mutex<bool>,
    fails: Mutex<Option<ProposeError>>,
    /// Applied before the next patch, as if by another node.
    first: Mutex<Vec<Command>>,
    /// How many commands may pass.
    gate: Arc<Semaphore>,
    commands: watch::Sender<Vec<Command>>,
    actors: Mutex<Option<Actors>>,
}

impl InMemory {
    fn apply(&self, command: Command) -> Done {
        let mut state = self.view.write();
        let index = state.last_applied() + 1;
        let at = *self.now.lock().unwrap();
        let applied = state.apply(index, at, Request { id: CommandId(u128::from(index).to_be_bytes()), drawn_at: at, command });
        drop(state);
        self.tell(&applied.events);
        Done { index, outcome: applied.outcome }
    }

    fn apply_after_others(&self, command: Command) -> Done {
        if matches!(command, Command::Patch(_)) {
            let first = std::mem::take(&mut *self.first.lock().unwrap());
            first.into_iter().for_each(|command| drop(self.apply(command)));
        }
        self.apply(command)
    }

    fn tell(&self, events: &[Event]) {
        if let Some(actors) = &*self.actors.lock().unwrap() {
            actors.told(events);
        }
    }
}

struct Shortcut(Arc<InMemory>);

impl Road for Shortcut {
    fn propose(&self, _: CommandId, command: Command) -> BoxFuture<'static, Result<Done, ProposeError>> {
        let road = self.0.clone();
        async move {
            road.gate.acquire().await.unwrap().forget();
            // A command is to be seen only when what came of it is to be seen too.
            let fails = *road.fails.lock().unwrap();
            let ending = fails.map_or_else(|| Ok(road.apply_after_others(command.clone())), Err);
            road.commands.send_modify(|commands| commands.push(command));
            ending
        }
        .boxed()
    }

    fn now(&self) -> Moment {
        *self.0.now.lock().unwrap()
    }

    fn vouched(&self) -> Moment {
        *self.0.vouched.lock().unwrap()
    }

    fn view(&self) -> &View {
        &self.0.view
    }

    fn is_leader(&self) -> bool {
        *self.0.leads.lock().unwrap()
    }
}

struct House {
    road: Arc<InMemory>,
    keys: Arc<ArcSwapOption<Keys>>,
    ring: SecretRing,
    actors: Actors,
}

impl House {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: Settings) -> Self {
        let ring = SecretRing::new(vec![ClusterSecret::from_bytes(&[7; 32]).unwrap()]).unwrap();
        let policy = Policy { idle_timeout_max_ms: None, ..Policy::default() };
        let keyring = first_keyring(&ring, BEGINNING, &policy, [[1; 12], [2; 12]]);
        let keys = Arc::new(ArcSwapOption::from_pointee(Keys::open(&keyring, &ring).unwrap()));
        let road = Arc::new(InMemory {
            view: View::new(State::default()),
            now: Mutex::new(BEGINNING),
            vouched: Mutex::new(Moment(u64::MAX)),
            leads: Mutex::new(false),
            fails: Mutex::new(None),
            first: Mutex::default(),
            gate: Arc::new(Semaphore::new(100_000)),
            commands: watch::Sender::new(Vec::new()),
            actors: Mutex::new(None),
        });
        road.apply(Command::Init(Init {
            cluster_id: ClusterId(9),
            issuer: "http://127.0.0.1:7400".into(),
            default_audience: "curfew".into(),
            format_level: 1,
            policy,
            keyring,
            root_key: KeyHash([0; 32]),
        }));
        let actors = Actors::with_rounds(Arc::new(Shortcut(road.clone())), keys.clone(), settings, false);
        *road.actors.lock().unwrap() = Some(actors.clone());
        Self { road, keys, ring, actors }
    }

    /// As a caller that has just found the session active.
    async fn jwt(&self, session: &Arc<Session>) -> Result<Minted, ActError> {
        let now = *self.road.now.lock().unwrap();
        self.actors.jwt(session, now).await
    }

    fn started(&self) -> Arc<Session> {
        self.started_with(None)
    }

    fn started_with(&self, idle_timeout_ms: Option<u64>) -> Arc<Session> {
        let number = self.road.view.read().last_applied() + 1;
        let done = self.road.apply(Command::Start(start(number, idle_timeout_ms)));
        let Outcome::Session(session) = done.outcome else { panic!("not started: {:?}", done.outcome) };
        session
    }

    fn pass(&self, ms: u64) -> Moment {
        let mut now = self.road.now.lock().unwrap();
        *now = now.plus_ms(ms);
        *now
    }

    fn now(&self) -> Moment {
        self.pass(0)
    }

    fn at_present(&self, rev: LogIndex) -> Arc<Session> {
        self.road.view.read().session_by_rev(rev).unwrap().clone()
    }

    /// Waits until the road has seen commands that `enough` is content with.
    async fn commands(&self, enough: impl Fn(&[Command]) -> bool) -> Vec<Command> {
        self.road.commands.subscribe().wait_for(|commands| enough(commands)).await.unwrap().clone()
    }

    fn touches(&self) -> Vec<Vec<LogIndex>> {
        let of = |command: &Command| match command {
            Command::Touch(touch) => Some(touch.seen.iter().map(|(rev, _)| *rev).collect()),
            _ => None,
        };
        self.road.commands.borrow().iter().filter_map(of).collect()
    }
}

fn start(number: u64, idle_timeout_ms: Option<u64>) -> Start {
    let mut token = [0; 32];
    token[..8].copy_from_slice(&number.to_be_bytes());
    Start {
        session_id: SessionId(u128::from(number).to_be_bytes()),
        token: TokenHash(token),
        user_id: "user".into(),
        client_id: "app".into(),
        ttl_ms: 86_400_000,
        idle_timeout_ms,
        attributes: "{}".into(),
        claims: "{}".into(),
        factors: vec![],
        audience: vec!["curfew".into()],
    }
}

/// A wish that appends one letter to the session's only claim.
fn longer(present: &Session) -> Result<Patch, String> {
    let claims: serde_json::Value = serde_json::from_str(&present.claims).unwrap();
    let text = format!("{}x", claims["a"].as_str().unwrap_or_default());
    Ok(Patch {
        session_id: present.id,
        expected_version: present.version,
        attributes: None,
        claims: Some(serde_json::json!({ "a": text }).to_string()),
        add_factor: None,
        token: None,
    })
}

type Held<'a> = futures::future::LocalBoxFuture<'a, Result<Done, PatchError<()>>>;

/// A change that holds the thread of the session actors, from when this returns until it is released.
fn hold<'a>(house: &'a House, session: &'a Arc<Session>) -> (Held<'a>, std::sync::mpsc::Sender<()>) {
    let (holds, is_held) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let wish = move |_: &Session| {
        holds.send(()).unwrap();
        released.recv().unwrap();
        Err(())
    };
    let mut held = house.actors.patch(session, wish).boxed_local();
    assert!(held.as_mut().now_or_never().is_none());
    is_held.recv().unwrap();
    (held, release)
}

#[actix_rt::test]
async fn all_who_wait_for_a_jwt_get_the_one_that_is_minted() {
    let house = House::new();
    let (session, other) = (house.started(), house.started());
    // While the actors' thread is held, everybody waits.
    let (held, release) = hold(&house, &other);
    let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(house.jwt(&session))).collect();
    assert!(waiting.iter_mut().all(|jwt| jwt.as_mut().now_or_never().is_none()));
    assert_eq!(house.actors.observe().mailbox_depth, 100);
    release.send(()).unwrap();
    let minted = join_all(waiting).await;
    let first = minted[0].as_ref().unwrap().jwt.clone();
    assert!(minted.iter().all(|minted| minted.as_ref().unwrap().jwt == first));
    let seen = house.actors.observe();
    assert_eq!((seen.minted, seen.shared, seen.woken, seen.live), (1, 99, 2, 2));
    assert_eq!((seen.mailbox_depth, seen.mailbox_depth_max), (0, 100));
    assert_eq!(held.await, Err(PatchError::Unwanted(())));
}

#[actix_rt::test]
async fn a_jwt_serves_until_half_of_its_life_is_over() {
    let house = House::new();
    let session = house.started();
    let first = house.jwt(&session).await.unwrap();
    house.pass(149_000);
    let again = house.jwt(&session).now_or_never().expect("a reader does not hop").unwrap();
    assert_eq!(first.jwt, again.jwt);
    house.pass(1_000);
    assert_ne!(house.jwt(&session).await.unwrap().jwt, first.jwt);
}

/// A node looks, is paused, and wakes: its state does not know yet what was revoked meanwhile, and the JWT must not outlive that revocation's
/// retention.
#[actix_rt::test]
async fn g5_the_life_of_a_jwt_begins_with_the_look_and_not_with_the_waking() {
    let house = House::new();
    let session = house.started();
    let looked = *house.road.now.lock().unwrap();
    house.pass(200_000);
    let minted = house.actors.jwt(&session, looked).await.unwrap();
    assert_eq!((minted.issued_at, minted.expires_at), (looked, looked.plus_ms(300_000)));
    let other = house.started();
    *house.road.vouched.lock().unwrap() = BEGINNING;
    assert_eq!(house.jwt(&other).await.unwrap().issued_at, BEGINNING, "nor with a time that this node alone believes in");
}

#[actix_rt::test]
async fn a_changed_record_gets_another_jwt() {
    let house = House::new();
    let session = house.started();
    let first = house.jwt(&session).await.unwrap();
    house.actors.patch(&session, longer).await.unwrap();
    let changed = house.at_present(session.rev);
    let second = house.jwt(&changed).await.unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    house.pass(1_000);
    house.actors.extend(Extend { session_id: session.id, ttl_ms: 100_000_000 }).await.unwrap();
    let extended = house.at_present(session.rev);
    assert_ne!(house.jwt(&extended).await.unwrap().jwt, second.jwt, "the slot was emptied");
}

#[actix_rt::test]
async fn another_signer_gets_another_jwt() {
    let house = House::new();
    let session = house.started();
    let first = house.jwt(&session).await.unwrap();
    let other = first_keyring(&house.ring, BEGINNING, &Policy::default(), [[3; 12], [4; 12]]);
    house.keys.store(Some(Arc::new(Keys::open(&other, &house.ring).unwrap())));
    let second = house.jwt(&session).await.unwrap();
    assert_ne!(first.kid, second.kid);
    house.actors.told(&[Event::Keys]);
    assert_ne!(house.jwt(&session).await.unwrap().jwt, second.jwt, "the slot was emptied");
    house.keys.store(None);
    assert_eq!(house.jwt(&session).await.err(), Some(ActError::NoKeys));
}

#[actix_rt::test]
async fn an_actor_ends_with_its_session() {
    let house = House::new();
    let (one, two) = (house.started(), house.started());
    house.jwt(&one).await.unwrap();
    house.jwt(&two).await.unwrap();
    let revoke = |selector| Revoke { selector, reason: None, by: "app".into() };
    house.actors.end(revoke(Selector::SessionId(one.id))).await.unwrap();
    assert_eq!(house.actors.observe().live, 1);
    let user = UserSelector { user_id: "user".into(), except_session_id: None };
    house.actors.end(revoke(Selector::User(user))).await.unwrap();
    house.actors.registry_round(house.now()).await;
    let seen = house.actors.observe();
    assert_eq!((seen.live, seen.ended, seen.slept), (0, 2, 0));
}

#[actix_rt::test]
async fn an_actor_sleeps_when_its_session_is_not_in_use() {
    let house = House::new();
    let (used, unused) = (house.started(), house.started());
    house.jwt(&used).await.unwrap();
    house.jwt(&unused).await.unwrap();
    house.pass(59_999);
    house.jwt(&used).await.unwrap();
    house.actors.registry_round(house.now()).await;
    assert_eq!(house.actors.observe().slept, 0);
    house.actors.registry_round(house.pass(1)).await;
    let seen = house.actors.observe();
    assert_eq!((seen.live, seen.slept), (1, 1));
    house.jwt(&unused).await.unwrap();
    assert_eq!(house.actors.observe().woken, 3);
}

#[actix_rt::test]
async fn a_snapshot_ends_all_actors_and_they_wake_again() {
    let house = House::new();
    let session = house.started();
    house.jwt(&session).await.unwrap();
    house.actors.installed();
    assert_eq!(house.actors.observe().live, 0);
    house.jwt(&session).await.unwrap();
    assert_eq!(house.actors.observe().woken, 2);
}

#[actix_rt::test]
async fn at_the_bound_the_longest_idle_makes_room_and_else_one_acts_alone() {
    let house = House::with(Settings { live_max: 2, ..SETTINGS });
    let [one, two, three, four] = [(); 4].map(|()| house.started());
    house.jwt(&one).await.unwrap();
    house.pass(10);
    house.jwt(&two).await.unwrap();
    house.jwt(&three).await.unwrap();
    house.actors.patch(&three, longer).await.unwrap();
    let seen = house.actors.observe();
    assert_eq!((seen.live, seen.alone, seen.minted), (2, 2, 3));
    house.actors.registry_round(house.pass(5_000)).await;
    house.jwt(&one).await.unwrap();
    house.jwt(&four).await.unwrap();
    let seen = house.actors.observe();
    assert_eq!((seen.live, seen.slept, seen.alone), (2, 1, 2));
    house.jwt(&one).now_or_never().expect("it was used, so it was not put to sleep").unwrap();
}

#[actix_rt::test]
async fn changes_of_one_session_take_turns() {
    let house = House::new();
    let session = house.started();
    let done = join_all((0..50).map(|_| house.actors.patch(&session, longer))).await;
    assert!(done.iter().all(|done| matches!(done.as_ref().unwrap().outcome, Outcome::Session(_))));
    assert_eq!(house.road.commands.borrow().len(), 50, "none was computed in vain");
    let present = house.at_present(session.rev);
    assert_eq!((present.version, present.claims.clone()), (51, format!("{{\"a\":\"{}\"}}", "x".repeat(50))));
}

#[actix_rt::test]
async fn a_change_that_another_nodes_overtook_is_computed_again() {
    let house = House::new();
    let session = house.started();
    house.road.first.lock().unwrap().push(Command::Patch(longer(&session).unwrap()));
    let done = house.actors.patch(&session, longer).await.unwrap();
    assert!(matches!(done.outcome, Outcome::Session(_)));
    assert_eq!((house.road.commands.borrow().len(), house.at_present(session.rev).version), (2, 3));
    let only_first = |present: &Session| if present.version == 1 { longer(present) } else { Err("another version".to_owned()) };
    let refused = house.actors.patch(&session, only_first).await;
    assert_eq!(refused, Err(PatchError::Unwanted("another version".to_owned())));
}

#[actix_rt::test]
async fn the_turns_of_a_session_are_bounded_and_what_was_refused_was_not_done() {
    let house = House::new();
    house.road.gate.forget_permits(usize::MAX);
    let session = house.started();
    let mut all: Vec<_> = (0..66).map(|_| Box::pin(house.actors.patch(&session, longer))).collect();
    let last = join_all(all.drain(65..)).boxed_local();
    let others = join_all(all).boxed_local();
    let (refused, others) = match futures::future::select(others, last).await {
        futures::future::Either::Right((refused, others)) => (refused, others),
        futures::future::Either::Left(_) => panic!("the gate is closed"),
    };
    assert_eq!(refused, [Err(PatchError::Propose(NotDone::Overloaded("turns_max").into()))]);
    house.road.gate.add_permits(100);
    assert!(others.await.iter().all(Result::is_ok));
    assert_eq!(house.at_present(session.rev).version, 66);
}

#[actix_rt::test]
async fn a_full_mailbox_is_said() {
    let house = House::with(Settings { mailbox_max: 4, ..SETTINGS });
    let (session, other) = (house.started(), house.started());
    let (held, release) = hold(&house, &session);
    let mut asked: Vec<_> = (0..10).map(|_| Box::pin(house.jwt(&other))).collect();
    let full: Vec<_> = asked.iter_mut().filter_map(|jwt| jwt.as_mut().now_or_never()).collect();
    assert!(!full.is_empty() && full.len() < 10, "{} of 10 were refused", full.len());
    assert!(full.iter().all(|refused| matches!(refused, Err(ActError::Propose(ProposeError::NotDone(NotDone::Overloaded("mailbox")))))));
    release.send(()).unwrap();
    assert_eq!(held.await, Err(PatchError::Unwanted(())));
}

#[actix_rt::test]
async fn what_was_seen_is_reported_in_one_entry() {
    let house = House::new();
    let sessions: Vec<_> = (0..5).map(|_| house.started()).collect();
    let fresh = house.pass(599_999);
    for session in &sessions {
        house.actors.seen(session, fresh).await.unwrap();
    }
    house.actors.keeper_round().await;
    assert_eq!(house.actors.observe().touches_pending, 0, "nothing was due");
    let due = house.pass(1);
    for session in sessions.iter().chain(&sessions) {
        house.jwt(session).await.unwrap();
        house.actors.seen(session, due).await.unwrap();
        house.actors.seen(session, due.plus_ms(5)).await.unwrap();
    }
    house.actors.keeper_round().await;
    house.commands(|commands| !commands.is_empty()).await;
    assert_eq!(house.touches(), [sessions.iter().map(|session| session.rev).collect::<Vec<_>>()]);
    let present = house.at_present(sessions[0].rev);
    assert_eq!(present.last_seen_at, due);
}

#[actix_rt::test]
async fn near_its_idle_expiry_a_session_is_seen_only_when_that_is_committed() {
    let house = House::new();
    let session = house.started_with(Some(600_000));
    let near = house.pass(480_000);
    let seen = join_all((0..20).map(|_| house.actors.seen(&session, near))).await;
    assert!(seen.iter().all(|seen| seen.as_ref().unwrap().last_seen_at == near));
    assert!(house.touches().len() <= 2, "those who wait share an entry: {:?}", house.touches());

    *house.road.fails.lock().unwrap() = Some(NotDone::NoLeader.into());
    let session = house.at_present(session.rev);
    let near = house.pass(500_000);
    assert_eq!(house.actors.seen(&session, near).await, Err(NotDone::NoLeader.into()));
    *house.road.fails.lock().unwrap() = None;

    house.road.apply(Command::Revoke(Revoke { selector: Selector::SessionId(session.id), reason: None, by: "app".into() }));
    assert_eq!(house.actors.seen(&session, near).await, Err(ActError::Ended));
}

#[actix_rt::test]
async fn what_could_not_be_reported_is_reported_later() {
    let house = House::new();
    let session = house.started();
    let due = house.pass(600_000);
    house.actors.seen(&session, due).await.unwrap();
    *house.road.fails.lock().unwrap() = Some(ProposeError::Unknown);
    house.actors.keeper_round().await;
    house.commands(|commands| commands.len() == 1).await;
    *house.road.fails.lock().unwrap() = None;
    // The first answer may not have come home yet; a round while it is on the road sends nothing.
    while house.touches().len() < 2 {
        house.actors.keeper_round().await;
    }
    house.commands(|commands| commands.len() == 2).await;
    assert_eq!(house.at_present(session.rev).last_seen_at, due);
}

#[actix_rt::test]
async fn only_a_leader_ends_what_is_due_and_forgets_what_is_old() {
    let house = House::new();
    let session = house.started();
    house.road.apply(Command::Revoke(Revoke { selector: Selector::SessionId(house.started().id), reason: None, by: "app".into() }));
    house.pass(86_400_000 * 3);
    house.actors.keeper_round().await;
    assert!(house.road.commands.borrow().is_empty());
    *house.road.leads.lock().unwrap() = true;
    house.actors.keeper_round().await;
    let is_trim = |command: &Command| matches!(command, Command::Trim(_));
    let commands = house.commands(|commands| commands.iter().any(is_trim)).await;
    assert!(matches!(&commands[0], Command::Expire(expire) if expire.due == [(session.rev, session.expires_at)]), "{:?}", commands[0]);
    assert!(house.road.view.read().revocations_floor() > 0);
}

#[actix_rt::test]
async fn a_keeper_that_fails_rests() {
    let house = House::new();
    house.started();
    house.pass(86_400_000 * 3);
    *house.road.leads.lock().unwrap() = true;
    *house.road.fails.lock().unwrap() = Some(NotDone::NoLeader.into());
    for _ in 0..40 {
        house.actors.keeper_round().await;
        // A round that began ends within the next message, because this road answers at once.
        house.actors.registry_round(house.now()).await;
    }
    let tried = house.road.commands.borrow().len();
    assert!((2..=10).contains(&tried), "{tried} tries in 40 rounds");
}
