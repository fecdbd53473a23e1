//! Stories of work that waits for other work.

use super::*;
use futures::FutureExt as _;
use futures::pin_mut;
use std::ops::Deref;

/// A gate that is opened at the end of a test, also of one that fails: a store that waits before it would never be dropped.
struct Held(Arc<Gate>);

impl Deref for Held {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.shut(false);
    }
}

fn gated(home: &Home) -> (Opened, Held) {
    let gate = Gate::open();
    let opened = Store::open_with(&home.settings(), STORE, Arc::clone(&gate) as Arc<dyn Syncer>).unwrap();
    (opened, Held(gate))
}

fn queue(opened: &Opened, new: Vec<LogEntry>) {
    block_on(opened.log.append(new, |result| result.unwrap())).unwrap();
}

#[test]
fn a_sync_of_the_tables_waits_for_all_that_was_queued_before_it() {
    let home = Home::new();
    let (opened, gate) = gated(&home);
    append(&opened, entries(0..5, 10));
    gate.shut(true);
    queue(&opened, entries(5..6, 10));
    gate.until_one_waits();
    queue(&opened, entries(6..10, 10));
    // All of it is committed elsewhere and applied here; the log's own sync lags.
    block_on(opened.tables.write(at(4), None, vec![row(4, Some(vec![4]))])).unwrap();
    block_on(opened.tables.write(at(9), Some((at(9), "nine".into())), vec![row(9, Some(vec![9]))])).unwrap();
    let synced = opened.tables.sync();
    pin_mut!(synced);
    assert!(synced.as_mut().now_or_never().is_none());
    gate.shut(false);
    assert_eq!(block_on(synced).unwrap(), Some(at(9)), "a sync answered before what was queued was durable");
    let (rows, meta) = load(&opened.tables);
    assert_eq!(rows.len(), 2);
    assert_eq!(meta, TablesMeta { last_applied: Some(at(9)), membership: Some((Some(at(9)), "nine".into())) });
    // Entries that the log does not even have are not waited for.
    block_on(opened.tables.write(at(10), None, Vec::new())).unwrap();
    assert_eq!(block_on(opened.tables.sync()).unwrap(), Some(at(9)));
}

#[test]
fn a_sync_of_the_tables_ends_with_the_log_that_it_waits_for() {
    let home = Home::new();
    let (opened, gate) = gated(&home);
    gate.shut(true);
    block_on(opened.log.append(entries(0..3, 10), |result| assert!(result.is_err()))).unwrap();
    gate.until_one_waits();
    block_on(opened.tables.write(at(2), None, Vec::new())).unwrap();
    let synced = opened.tables.sync();
    pin_mut!(synced);
    assert!(synced.as_mut().now_or_never().is_none());
    gate.break_it();
    gate.shut(false);
    assert!(block_on(synced).is_err());
}

#[test]
fn a_purge_gives_way_to_appends() {
    let home = Home::new();
    let (opened, gate) = gated(&home);
    append(&opened, entries(0..5_000, 10));
    block_on(opened.tables.write(at(4_999), None, Vec::new())).unwrap();
    block_on(opened.tables.sync()).unwrap();
    let purged = || Stats::get(&opened.health.stats().purged_entries);
    gate.shut(true);
    queue(&opened, entries(5_000..5_001, 10));
    gate.until_one_waits();
    block_on(opened.log.purge(at(4_499))).unwrap();
    let mut last = 5_001;
    for appended in [1, 10, 1, 100] {
        queue(&opened, entries(last..last + appended, 10));
        last += appended;
        gate.on_to_the_next();
        let before = purged();
        // The round that waits holds `appended` entries. After it, the purge has one turn, because more waits already.
        queue(&opened, entries(last..last + 1, 10));
        last += 1;
        gate.on_to_the_next();
        assert!((1..=2 * appended).contains(&(purged() - before)), "{} entries removed after an append of {appended}", purged() - before);
    }
    gate.shut(false);
    while purged() < 4_500 {
        std::thread::yield_now();
    }
    assert_eq!(block_on(opened.log.read(0..10_000)).unwrap().len() as u64, last - 4_500);
}
