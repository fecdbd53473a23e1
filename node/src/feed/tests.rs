//! Stories of the feed over a real state: nothing missed, nothing twice, nothing told before its time.

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::command::{Command, Event, Init, Outcome, Request, Revoke, Selector, Start, Trim};
use crate::domain::{ClusterId, CommandId, KeyHash, Keyring, LogIndex, Moment, Policy, Position, SessionId, TokenHash};
use crate::state::{State, View};
use futures::FutureExt as _;
use proptest::prelude::*;

const CLUSTER: ClusterId = ClusterId(0x7f3a_c210);
const BEGINNING: Moment = Moment(1_767_261_600_000);
const SETTINGS: Settings = Settings { node_id: 1, heartbeat_ms: 250, subscriber_queue_max: 64, subscribers_max: 100, streams_per_key_max: 50 };

/// A node in small: a state, its hub, and a log that is written by hand.
struct Node {
    view: View,
    hub: Hub,
    clock: Clock,
    hands: ManualClock,
    at: Moment,
}

impl Node {
    fn formed() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: Settings) -> Self {
        let view = View::new(State::default());
        let (clock, hands) = Clock::manual();
        let hub = Hub::new(view.clone(), clock.clone(), settings);
        let mut node = Self { view, hub, clock, hands, at: BEGINNING };
        let init = Init {
            cluster_id: CLUSTER,
            issuer: "i".into(),
            default_audience: "a".into(),
            format_level: 1,
            policy: Policy::default(),
            keyring: Keyring::default(),
            root_key: KeyHash([0; 32]),
        };
        node.told(Command::Init(init));
        node
    }

    /// Applies a command without telling it: the view is ahead of the hub, as between the two steps of the state machine.
    fn applied(&mut self, command: Command) -> (LogIndex, Outcome, Vec<Event>) {
        let mut state = self.view.write();
        let index = state.last_applied() + 1;
        let request = Request { id: CommandId(u128::from(index).to_be_bytes()), drawn_at: self.at, command };
        let applied = state.apply(index, self.at, request);
        (index, applied.outcome, applied.events)
    }

    fn told(&mut self, command: Command) -> LogIndex {
        let (index, _, events) = self.applied(command);
        self.hub.publish(index, &events);
        index
    }

    fn started(&mut self) -> SessionId {
        let session_id = session_of(self.view.read().last_applied() + 1);
        self.told(start(session_id));
        session_id
    }

    /// A session that starts and is revoked; the index of the revocation.
    fn revoked(&mut self) -> LogIndex {
        let session = self.started();
        self.told(revoke(session))
    }

    fn beat(&self) {
        let reading = self.clock.reading();
        self.hub.beat(HeartbeatFacts { reading, fresh: true, staleness_ms: 3, max_staleness_ms: 2_000, now: self.at });
    }

    /// Lets the revocations so far be forgotten.
    fn trimmed(&mut self) {
        self.at = self.at.plus_ms(3_600_000);
        self.hands.advance_ms(3_600_000);
        self.told(Command::Trim(Trim { max: 1_000 }));
        assert!(self.view.read().revocations_floor() > 0, "nothing was trimmed");
    }

    fn follow(&self, after: Option<LogIndex>) -> Reader {
        self.follow_at(after.map(|index| Position { cluster: CLUSTER, index }))
    }

    fn follow_at(&self, after: Option<Position>) -> Reader {
        Reader::new(self.hub.subscribe(asked(after)).unwrap())
    }
}

fn asked(after: Option<Position>) -> Subscription {
    Subscription { after, key_name: "app".into(), verifier: None, nonce: None }
}

fn session_of(index: LogIndex) -> SessionId {
    SessionId(u128::from(index).to_be_bytes())
}

fn start(session_id: SessionId) -> Command {
    let mut token = [0; 32];
    token[..16].copy_from_slice(&session_id.0);
    Command::Start(Start {
        session_id,
        token: TokenHash(token),
        user_id: format!("user-{}", session_id.0[15] % 8),
        client_id: "c".into(),
        ttl_ms: 86_400_000,
        idle_timeout_ms: None,
        attributes: "{}".into(),
        claims: "{}".into(),
        factors: vec![],
        audience: vec!["a".into()],
    })
}

fn revoke(session: SessionId) -> Command {
    Command::Revoke(Revoke { selector: Selector::SessionId(session), reason: Some("logout".into()), by: "app".into() })
}

/// What a client understands of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Heard {
    event: String,
    id: Option<LogIndex>,
    data: serde_json::Value,
}

/// A client: reads frames and holds the feed to its word.
struct Reader {
    stream: Stream,
    last_id: LogIndex,
}

impl Reader {
    fn new(stream: Stream) -> Self {
        Self { stream, last_id: 0 }
    }

    fn heard(&mut self, frame: &[u8]) -> Heard {
        let text = std::str::from_utf8(frame).unwrap();
        assert!(text.ends_with("\n\n") && !text.trim_end().contains("\n\n"), "not one event: {text:?}");
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        let id = field("id").map(|id| id.parse::<Position>().unwrap().index);
        if let Some(id) = id {
            assert!(id >= self.last_id, "the id went back from {} to {id}", self.last_id);
            self.last_id = id;
        }
        Heard { event: field("event").unwrap().to_owned(), id, data: serde_json::from_str(field("data").unwrap()).unwrap() }
    }

    /// Everything that can be had without waiting.
    fn now(&mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        while let Some(Some(frame)) = self.stream.next().now_or_never() {
            all.push(self.heard(&frame));
        }
        all
    }

    async fn next(&mut self) -> Option<Heard> {
        let frame = self.stream.next().await?;
        Some(self.heard(&frame))
    }
}

fn events(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|heard| heard.event.as_str()).collect()
}

fn revocations(heard: &[Heard]) -> Vec<LogIndex> {
    heard.iter().filter(|heard| heard.event == "revocation").map(|heard| heard.data["index"].as_u64().unwrap()).collect()
}

#[test]
fn a_stream_begins_with_hello_and_tells_what_comes_after() {
    let mut node = Node::formed();
    node.revoked();
    let told = node.hub.told();
    node.beat();
    let subscription = Subscription { nonce: Some("n".into()), ..asked(None) };
    let mut reader = Reader::new(node.hub.subscribe(subscription).unwrap());
    let hello = reader.now();
    assert_eq!(events(&hello), ["hello"]);
    assert_eq!(hello[0].id, Some(told));
    let data = &hello[0].data;
    assert_eq!((data["nonce"].as_str(), data["cluster"].as_str(), data["heartbeat_ms"].as_u64()), (Some("n"), Some("7f3ac210"), Some(250)));
    assert_eq!((data["index"].as_u64(), data["fresh"].as_bool()), (Some(told), Some(true)));
    let index = node.revoked();
    node.beat();
    let heard = reader.now();
    assert_eq!(events(&heard), ["revocation", "heartbeat"]);
    assert_eq!((heard[0].id, heard[1].id), (Some(index), Some(index)));
    assert_eq!(heard[0].data["revocations"][0]["reason"], "logout");
}

#[test]
fn resuming_at_any_index_gives_exactly_the_rest() {
    let mut node = Node::formed();
    let all: Vec<LogIndex> = (0..20).map(|_| node.revoked()).collect();
    for after in 0..=node.hub.told() {
        let rest: Vec<LogIndex> = all.iter().copied().filter(|index| *index > after).collect();
        let mut reader = node.follow(Some(after));
        let heard = reader.now();
        assert_eq!(revocations(&heard), rest, "after {after}");
        assert_eq!(heard[0].id, Some(after));
        assert_eq!(heard[0].data["fresh"].as_bool(), Some(false), "no heartbeat has come yet");
    }
}

#[test]
fn hello_is_not_fresh_while_a_backlog_is_to_come() {
    let mut node = Node::formed();
    let first = node.revoked();
    node.revoked();
    node.beat();
    let hello = node.follow(Some(first)).now().remove(0);
    assert_eq!((hello.data["fresh"].as_bool(), hello.data["index"].as_u64()), (Some(false), Some(first)));
    let hello = node.follow(Some(node.hub.told())).now().remove(0);
    assert_eq!(hello.data["fresh"].as_bool(), Some(true));
}

#[test]
fn what_is_applied_but_not_yet_told_is_told_once() {
    let mut node = Node::formed();
    let session = node.started();
    let (index, _, said) = node.applied(revoke(session));
    let mut reader = node.follow(Some(1));
    node.beat();
    assert_eq!(events(&reader.now()), ["hello", "heartbeat"]);
    assert!(reader.last_id < index, "a heartbeat came before what it covers");
    node.hub.publish(index, &said);
    node.beat();
    let heard = reader.now();
    assert_eq!(revocations(&heard), [index]);
    assert_eq!(heard[1].id, Some(index));
}

#[test]
fn a_long_backlog_comes_in_pages_and_before_the_next_heartbeat() {
    let mut node = Node::formed();
    let all: Vec<LogIndex> = (0..stream::PAGE_ENTRIES * 2 + 3).map(|_| node.revoked()).collect();
    let mut reader = node.follow(Some(1));
    node.beat();
    let heard = reader.now();
    assert_eq!(revocations(&heard), all);
    assert_eq!(heard.last().map(|last| (last.event.as_str(), last.id)), Some(("heartbeat", all.last().copied())));
}

#[test]
fn a_position_older_than_the_backlog_or_of_another_cluster_is_resync() {
    let mut node = Node::formed();
    let old = node.revoked();
    node.trimmed();
    let foreign = Position { cluster: ClusterId(9), index: node.hub.told() };
    for after in [Position { cluster: CLUSTER, index: old - 1 }, foreign] {
        let told = node.hub.told();
        let mut reader = node.follow_at(Some(after));
        let heard = reader.now();
        assert_eq!(events(&heard), ["hello", "resync", "keys"]);
        assert_eq!(heard[0].id, None, "a client cut off now must come back from where it was");
        assert_eq!(heard[1].data["position"], format!("7f3ac210.{told}"));
        let index = node.revoked();
        assert_eq!(revocations(&reader.now()), [index]);
    }
    assert_eq!(node.hub.stats().resyncs_total, 2);
}

#[test]
fn a_backlog_that_is_trimmed_while_it_is_read_ends_in_resync() {
    let mut node = Node::formed();
    for _ in 0..stream::PAGE_ENTRIES + 1 {
        node.revoked();
    }
    let mut reader = node.follow(Some(1));
    for _ in 0..10 {
        reader.stream.next().now_or_never().unwrap().unwrap();
    }
    node.at = node.at.plus_ms(3_600_000);
    while node.view.read().trimmable(node.at) {
        node.told(Command::Trim(Trim { max: 1_000 }));
    }
    assert!(events(&reader.now()).contains(&"resync"));
}

#[test]
fn a_client_ahead_of_this_node_waits_and_is_not_moved_back() {
    let mut node = Node::formed();
    let ahead = node.hub.told() + 2;
    let mut reader = node.follow(Some(ahead));
    node.beat();
    let heard = reader.now();
    assert_eq!(events(&heard), ["hello", "heartbeat"]);
    assert_eq!((heard[0].id, heard[1].id), (Some(ahead), None));
    assert_eq!(node.revoked(), ahead, "the story needs the client to know this one");
    let next = node.revoked();
    node.beat();
    let heard = reader.now();
    assert_eq!(revocations(&heard), [next]);
    assert_eq!(heard.last().and_then(|last| last.id), Some(next));
}

#[test]
fn a_client_that_stays_ahead_is_told_to_resync() {
    let node = Node::formed();
    let mut reader = node.follow(Some(1_000));
    for _ in 0..19 {
        node.beat();
    }
    assert!(!events(&reader.now()).contains(&"resync"));
    node.beat();
    let heard = reader.now();
    assert_eq!(events(&heard), ["heartbeat", "resync", "keys"]);
    assert_eq!(heard[1].data["position"], format!("7f3ac210.{}", node.hub.told()));
}

#[test]
fn who_does_not_read_is_overtaken_misses_nothing_and_delays_nobody() {
    let mut node = Node::formed();
    let mut slow = node.follow(Some(node.hub.told()));
    let mut quick = node.follow(Some(node.hub.told()));
    let all: Vec<LogIndex> = (0..3 * SETTINGS.subscriber_queue_max)
        .map(|_| {
            let index = node.revoked();
            assert_eq!(revocations(&quick.now()), [index]);
            index
        })
        .collect();
    node.beat();
    let heard = slow.now();
    assert_eq!(revocations(&heard), all);
    assert!(events(&heard).contains(&"keys"), "what has no place in the backlog may have been passed over");
    assert_eq!(node.hub.stats().dropped_total, 1);
    let next = node.revoked();
    assert_eq!((revocations(&slow.now()), revocations(&quick.now())), (vec![next], vec![next]));
}

#[test]
fn who_was_overtaken_and_whose_past_is_forgotten_is_told_to_resync() {
    let mut node = Node::formed();
    let mut reader = node.follow(Some(node.hub.told()));
    for _ in 0..SETTINGS.subscriber_queue_max + 1 {
        node.revoked();
    }
    node.trimmed();
    assert!(events(&reader.now()).contains(&"resync"));
}

/// Two nodes with the same log; the second is cut off, and then takes the first one's state by snapshot.
fn cut_off(others: impl FnOnce(&mut Node)) -> (Node, Reader) {
    let mut ahead = Node::formed();
    ahead.revoked();
    let behind = Node::formed();
    *behind.view.write() = ahead.view.read().clone();
    behind.hub.installed(ahead.hub.told());
    let mut reader = behind.follow(Some(behind.hub.told()));
    reader.now();
    others(&mut ahead);
    *behind.view.write() = ahead.view.read().clone();
    behind.beat();
    let heard = reader.now();
    assert_eq!(events(&heard), ["heartbeat"], "nothing is installed yet as far as the hub knows");
    behind.hub.installed(ahead.hub.told());
    behind.beat();
    (behind, reader)
}

#[test]
fn after_a_snapshot_install_each_stream_gets_what_it_missed_before_a_heartbeat() {
    let mut missed = Vec::new();
    let (node, mut reader) = cut_off(|ahead| missed = (0..700).map(|_| ahead.revoked()).collect());
    let heard = reader.now();
    assert_eq!(revocations(&heard), missed);
    assert_eq!(events(&heard)[missed.len()..], ["keys", "heartbeat"]);
    assert_eq!(heard.last().and_then(|last| last.id), Some(node.hub.told()));
}

#[test]
fn after_a_snapshot_install_without_the_past_each_stream_is_told_to_resync() {
    let (node, mut reader) = cut_off(|ahead| {
        ahead.revoked();
        ahead.trimmed();
    });
    let heard = reader.now();
    assert_eq!(events(&heard)[0], "resync");
    assert_eq!(heard[0].data["position"], format!("7f3ac210.{}", node.hub.told()));
}

#[test]
fn replaying_the_log_after_a_restart_tells_only_what_is_new() {
    let mut node = Node::formed();
    let session = node.started();
    let (index, _, said) = node.applied(revoke(session));
    let restarted = Hub::new(node.view.clone(), node.clock.clone(), SETTINGS);
    let mut reader = Reader::new(restarted.subscribe(asked(None)).unwrap());
    restarted.publish(index, &said);
    assert_eq!(events(&reader.now()), ["hello"]);
    assert_eq!(restarted.told(), index);
}

#[test]
fn the_roll_is_bounded_and_leaving_makes_room() {
    let settings = Settings { subscribers_max: 3, streams_per_key_max: 2, ..SETTINGS };
    let node = Node::with(settings);
    let of = |key: &str| node.hub.subscribe(Subscription { key_name: key.into(), ..asked(None) });
    let first = of("a").unwrap();
    let _second = of("a").unwrap();
    assert_eq!(of("a").err(), Some(SubscribeError::TooManyOfKey(2)));
    let _third = of("b").unwrap();
    assert_eq!(of("b").err(), Some(SubscribeError::TooMany(3)));
    drop(first);
    assert!(of("a").is_ok());
}

#[test]
fn only_the_key_that_opened_a_stream_can_acknowledge_for_it() {
    let mut node = Node::formed();
    node.revoked();
    let verifier = Some(StaleMode::Accept { seconds: 60 });
    let stream = node.hub.subscribe(Subscription { verifier, ..asked(None) }).unwrap();
    let (id, told) = (stream.subscriber().to_owned(), node.hub.told());
    let before = node.hub.stats();
    assert_eq!((before.verifiers, before.unbounded, before.ack_lag_max), (1, 1, told));
    assert_eq!(node.hub.ack(&id, "other", 1), Err(AckError::NotHere));
    assert_eq!(node.hub.ack("nobody", "app", 1), Err(AckError::NotHere));
    assert_eq!(node.hub.ack(&id, "app", told + 1), Err(AckError::Ahead { acked: told + 1, told }));
    assert_eq!(node.hub.ack(&id, "app", told), Ok(()));
    assert_eq!(node.hub.stats().ack_lag_max, 0);
    drop(stream);
    assert_eq!(node.hub.ack(&id, "app", told), Err(AckError::NotHere));
}

#[test]
fn a_node_that_stops_ends_its_streams_and_opens_no_more() {
    let node = Node::formed();
    let mut reader = node.follow(None);
    reader.now();
    node.hub.close_all();
    assert_eq!(reader.stream.next().now_or_never(), Some(None));
    assert_eq!(node.hub.subscribe(asked(None)).err(), Some(SubscribeError::Draining));
}

#[test]
fn before_the_cluster_has_formed_there_is_nothing_to_follow() {
    let (clock, _) = Clock::manual();
    let hub = Hub::new(View::new(State::default()), clock, SETTINGS);
    assert_eq!(hub.subscribe(asked(None)).err(), Some(SubscribeError::NotFormed));
    assert_eq!(hub.list(None, 10), None);
}

#[test]
fn the_pages_of_the_list_hold_everything_that_must_still_be_known() {
    let mut node = Node::formed();
    node.revoked();
    node.at = node.at.plus_ms(3_600_000);
    node.hands.advance_ms(3_600_000);
    let all: Vec<LogIndex> = (0..7).map(|_| node.revoked()).collect();
    node.beat();
    let (mut listed, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = node.hub.list(after, 3).unwrap();
        assert_eq!(page.position, Position { cluster: CLUSTER, index: node.hub.told() });
        assert!(page.pulse.fresh);
        listed.extend(page.revocations.iter().map(ListedRevocation::index));
        pages += 1;
        let Some(next) = page.next_after else { break };
        after = Some(next);
    }
    assert_eq!((listed, pages), (all, 3), "in order, without the one that is past its until");
    assert_eq!(node.hub.list(None, 0).unwrap().revocations.len(), 1, "every page brings the reader on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_concurrent_telling_every_stream_hears_everything_once_and_in_order() {
    const REVOCATIONS: usize = 400;
    let mut node = Node::formed();
    let hub = node.hub.clone();
    let writer = tokio::task::spawn_blocking(move || {
        let all: Vec<LogIndex> = (0..REVOCATIONS)
            .map(|_| {
                let index = node.revoked();
                node.beat();
                index
            })
            .collect();
        (node, all)
    });
    let read_all = |hub: Hub| async move {
        let after = Some(Position { cluster: CLUSTER, index: 1 });
        let mut reader = Reader::new(hub.subscribe(asked(after)).unwrap());
        let mut heard = Vec::new();
        // The last entry of the story is the 400th revocation, two entries each after the first.
        while reader.last_id < 1 + 2 * REVOCATIONS as u64 {
            let one = reader.next().await.unwrap();
            if one.event == "heartbeat" {
                assert!(heard.last().is_none_or(|last| *last <= one.data["index"].as_u64().unwrap()));
            }
            heard.extend(revocations(&[one]));
        }
        heard
    };
    let readers: Vec<_> = (0..32)
        .map(|_| {
            let hub = hub.clone();
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                read_all(hub).await
            })
        })
        .collect();
    let (_node, all) = writer.await.unwrap();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), all);
    }
}

/// What may happen to a node and its readers.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Revoked,
    Started,
    Beat,
    /// So many revocations come by snapshot.
    Installed(u8),
    Trimmed,
    /// Somebody subscribes so many entries back.
    Follows(u8),
    /// One of the readers reads so many frames.
    Reads(u8, u8),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => Just(Happens::Revoked),
        2 => Just(Happens::Started),
        3 => Just(Happens::Beat),
        1 => (1u8..9).prop_map(Happens::Installed),
        1 => Just(Happens::Trimmed),
        3 => any::<u8>().prop_map(Happens::Follows),
        6 => (any::<u8>(), 0u8..6).prop_map(|(who, frames)| Happens::Reads(who, frames)),
    ]
}

/// A reader that remembers what it has heard since its beginning, or since it was told to resync.
struct Witness {
    reader: Reader,
    since: LogIndex,
    heard: Vec<LogIndex>,
}

impl Witness {
    /// Reads a frame, if there is one, and holds a heartbeat to its word.
    fn read(&mut self, all: &[LogIndex]) -> bool {
        let Some(Some(frame)) = self.reader.stream.next().now_or_never() else { return false };
        let heard = self.reader.heard(&frame);
        match heard.event.as_str() {
            "revocation" => self.heard.push(heard.data["index"].as_u64().unwrap()),
            "resync" => {
                self.since = heard.data["position"].as_str().unwrap().parse::<Position>().unwrap().index;
                self.heard.clear();
            }
            "heartbeat" => assert_eq!(self.heard, due(all, self.since, heard.data["index"].as_u64().unwrap())),
            _ => {}
        }
        true
    }
}

fn due(all: &[LogIndex], since: LogIndex, upto: LogIndex) -> Vec<LogIndex> {
    all.iter().copied().filter(|index| *index > since && *index <= upto).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_nothing_is_missed_or_heard_twice_or_out_of_order(story in prop::collection::vec(happens(), 1..80)) {
        let mut node = Node::with(Settings { subscriber_queue_max: 4, ..SETTINGS });
        let (mut all, mut witnesses) = (Vec::new(), Vec::<Witness>::new());
        for event in story {
            match event {
                Happens::Revoked => all.push(node.revoked()),
                Happens::Started => _ = node.started(),
                Happens::Beat => node.beat(),
                Happens::Installed(revocations) => {
                    for _ in 0..revocations {
                        let session_id = session_of(node.view.read().last_applied() + 1);
                        node.applied(start(session_id));
                        all.push(node.applied(revoke(session_id)).0);
                    }
                    node.hub.installed(node.view.read().last_applied());
                }
                Happens::Trimmed => {
                    node.at = node.at.plus_ms(3_600_000);
                    node.told(Command::Trim(Trim { max: 1_000 }));
                }
                Happens::Follows(back) => {
                    let since = node.hub.told().saturating_sub(u64::from(back));
                    witnesses.push(Witness { reader: node.follow(Some(since)), since, heard: Vec::new() });
                }
                Happens::Reads(who, frames) => {
                    let readers = witnesses.len().max(1);
                    if let Some(witness) = witnesses.get_mut(usize::from(who) % readers) {
                        let _ = (0..frames).take_while(|_| witness.read(&all)).count();
                    }
                }
            }
        }
        for witness in &mut witnesses {
            while witness.read(&all) {}
        }
        node.beat();
        for witness in &mut witnesses {
            while witness.read(&all) {}
            prop_assert_eq!(&witness.heard, &due(&all, witness.since, LogIndex::MAX));
            prop_assert_eq!(witness.reader.last_id, node.hub.told(), "the last heartbeat has come");
        }
    }
}
