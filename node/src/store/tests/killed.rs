//! The story of a process that is killed while it works.

use super::*;
use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

/// Where the child finds the store that it works on.
const DIR: &str = "CURFEW_TEST_KILLED_DIR";
/// Appends that the child leaves unanswered at most.
const IN_FLIGHT: usize = 3;

/// How many rows there are.
const KEYS: u64 = 100;

/// What was acknowledged to somebody outside of the process.
#[derive(Default, Debug)]
struct Acknowledged {
    entry: Option<u64>,
    vote: u64,
    tables: Option<u64>,
}

impl Acknowledged {
    /// Takes in one line of the child; `false` where it is none.
    fn hear(&mut self, line: &str) -> bool {
        let mut words = line.split(' ').skip_while(|word| *word != "acknowledged").skip(1);
        let (Some(what), Some(number)) = (words.next(), words.next().and_then(|number| number.parse().ok())) else { return false };
        match what {
            "entry" => self.entry = Some(number),
            "vote" => self.vote = number,
            "tables" => self.tables = Some(number),
            _ => return false,
        }
        true
    }
}

fn acknowledge(what: &str, number: u64) {
    // Written at once, and past the harness, which would hold it back.
    let _ = std::io::stdout().lock().write_all(format!("acknowledged {what} {number}\n").as_bytes());
}

/// The entry at an index: of any length up to several pieces.
fn entry(index: u64) -> LogEntry {
    let payload = vec![index as u8; (index * 37 % 14_000) as usize];
    LogEntry { at: at(index), payload: Payload::Command(payload.into()) }
}

/// The row that an entry changes.
fn row_of(index: u64) -> Row {
    row(index % KEYS, Some(index.to_be_bytes().to_vec()))
}

fn worker() -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["store::tests::killed::the_process_that_works", "--exact", "--nocapture"]).stdout(Stdio::piped());
    command
}

/// No story of its own: what the other test starts and kills.
#[test]
fn the_process_that_works() {
    let Some(dir) = env::var_os(DIR) else { return };
    let settings = Settings { data_dir: PathBuf::from(dir), ballast_bytes: 0, log_tail_entries: 20, ..Settings::default() };
    let opened = Store::open(&settings, STORE).unwrap();
    let mut next = opened.log.state().last.map_or(0, |last| last.index + 1);
    // What the tables missed is applied again.
    let missed = load(&opened.tables).1.last_applied.map_or(0, |applied| applied.index + 1)..next;
    if !missed.is_empty() {
        block_on(opened.tables.write(at(next - 1), None, missed.map(row_of).collect())).unwrap();
    }
    let (told, endings) = channel();
    (0..IN_FLIGHT).for_each(|_| told.send(()).unwrap());
    for turn in 1.. {
        next = work(&opened, next, turn, &told, &endings);
    }
}

/// One turn of work from the entry `next` on; where the next turn begins.
fn work(opened: &Opened, next: u64, turn: u64, told: &std::sync::mpsc::Sender<()>, endings: &Receiver<()>) -> u64 {
    endings.recv().unwrap();
    let end = next + 1 + turn % 7;
    let done = told.clone();
    let answer = move |result: Result<(), StoreError>| {
        result.unwrap();
        acknowledge("entry", end - 1);
        // The last appends are answered when the other end may be gone.
        let _ = done.send(());
    };
    block_on(opened.log.append((next..end).map(entry).collect(), answer)).unwrap();
    opened.log.save_committed(Some(at(end - 1)));
    block_on(opened.tables.write(at(end - 1), None, (next..end).map(row_of).collect())).unwrap();
    if turn.is_multiple_of(5) {
        let term = opened.log.vote().map_or(0, |vote| vote.term) + 1;
        block_on(opened.log.save_vote(Vote { term, node: 1, committed: false })).unwrap();
        acknowledge("vote", term);
    }
    if turn.is_multiple_of(8) {
        let synced = block_on(opened.tables.sync()).unwrap();
        assert_eq!(synced, Some(at(end - 1)));
        acknowledge("tables", end - 1);
    }
    if turn.is_multiple_of(12) && end > 60 {
        block_on(opened.log.purge(at(end - 50))).unwrap();
    }
    end
}

/// Listens to the child until it has acknowledged so many things, kills it, and hears it out.
fn kill_after(mut child: Child, acknowledgements: usize, known: &mut Acknowledged) {
    let mut heard = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        heard += usize::from(known.hear(&line.unwrap()));
        if heard == acknowledgements {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(heard >= acknowledgements, "the child ended on its own");
}

#[test]
fn what_a_killed_process_had_acknowledged_is_there() {
    let home = Home::new();
    let mut known = Acknowledged::default();
    for acknowledgements in [1, 30, 3, 75, 200] {
        let child = worker().env(DIR, home.settings().data_dir).spawn().unwrap();
        kill_after(child, acknowledgements, &mut known);

        let opened = home.open().unwrap();
        let LogBounds { last_purged, last } = opened.log.state();
        let (first, end) = (last_purged.map_or(0, |purged| purged.index + 1), last.map_or(0, |last| last.index + 1));
        assert!(known.entry < Some(end), "{known:?}, and the log ends before {end}");
        assert_eq!(block_on(opened.log.read(0..end)).unwrap(), (first..end).map(entry).collect::<Vec<_>>());
        assert!(opened.log.vote().map_or(0, |vote| vote.term) >= known.vote, "{known:?}, and the vote is {:?}", opened.log.vote());
        let (rows, meta) = load(&opened.tables);
        let applied = meta.last_applied.map(|applied| applied.index);
        assert!(applied >= known.tables, "{known:?}, and the tables end at {applied:?}");
        let newest = (0..=applied.unwrap_or(0)).rev().take(KEYS as usize).map(row_of);
        let expected: BTreeMap<_, _> = newest.map(|row| (row.key, row.value.unwrap())).collect();
        assert_eq!(rows.into_iter().collect::<BTreeMap<_, _>>(), if applied.is_some() { expected } else { BTreeMap::new() });
    }
}
