//! Stories of the whole store.

mod damage;
mod killed;
mod load;
mod private;

use super::testing::{Gate, Home, STORE, at, entries};
use super::*;
use futures::executor::block_on;
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;

fn append(opened: &Opened, new: Vec<LogEntry>) {
    let (told, ending) = channel();
    block_on(opened.log.append(new, move |result| told.send(result).unwrap())).unwrap();
    ending.recv().unwrap().unwrap();
}

fn row(key: u64, value: Option<Vec<u8>>) -> Row {
    Row { key: [&b"s"[..], &key.to_be_bytes()].concat(), value }
}

#[allow(clippy::type_complexity)]
fn load(tables: &Tables) -> (Vec<(Vec<u8>, Vec<u8>)>, TablesMeta) {
    let mut rows = Vec::new();
    let meta = tables.load(&mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        Ok(())
    });
    (rows, meta.unwrap())
}

/// Changes a database behind the back of a closed store.
fn meddle(home: &Home, database: &str, change: impl FnOnce(&mut database::Batch)) {
    let db = database::Database::open(&home.settings().data_dir.join(database), 1 << 20, STORE, Arc::new(RealSync)).unwrap();
    let mut batch = database::Batch::default();
    change(&mut batch);
    db.apply(batch).unwrap();
    db.sync().unwrap();
}

fn refusal(home: &Home) -> String {
    match home.open() {
        Ok(_) => panic!("a store that should be refused was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let home = Home::new();
    let opened = home.open().unwrap();
    assert!(!opened.resumed);
    let vote = Vote { term: 1, node: 2, committed: true };
    block_on(opened.log.save_vote(vote)).unwrap();
    append(&opened, entries(0..50, 100));
    opened.log.save_committed(Some(at(40)));
    append(&opened, entries(50..60, 20_000));
    block_on(opened.tables.write(at(40), Some((at(3), "members".into())), vec![row(7, Some(b"seven".to_vec()))])).unwrap();
    assert_eq!(block_on(opened.tables.sync()).unwrap(), Some(at(40)));
    drop(opened);

    let opened = home.open().unwrap();
    assert!(opened.resumed);
    assert_eq!(opened.identity.store_uuid(), STORE);
    assert_eq!((opened.log.vote(), opened.log.committed()), (Some(vote), Some(at(40))));
    assert_eq!(opened.log.state(), LogBounds { last_purged: None, last: Some(at(59)) });
    let expected: Vec<_> = entries(0..50, 100).into_iter().chain(entries(50..60, 20_000)).collect();
    assert_eq!(block_on(opened.log.read(0..100)).unwrap(), expected);
    let (rows, meta) = load(&opened.tables);
    assert_eq!(rows, [(row(7, None).key, b"seven".to_vec())]);
    assert_eq!(meta, TablesMeta { last_applied: Some(at(40)), membership: Some((Some(at(3)), "members".into())) });
}

#[test]
fn nobody_is_told_before_the_sync_and_one_sync_serves_many() {
    let home = Home::new();
    let gate = Gate::open();
    let opened = Store::open_with(&home.settings(), STORE, Arc::clone(&gate) as Arc<dyn Syncer>).unwrap();
    gate.shut(true);
    let (told, endings) = channel();
    let tell = |number: u64| {
        let told = told.clone();
        move |result: Result<(), StoreError>| told.send((number, result.is_ok())).unwrap()
    };
    let before = gate.passed();
    block_on(opened.log.append(entries(0..1, 10), tell(0))).unwrap();
    gate.until_one_waits();
    for number in 1..20 {
        block_on(opened.log.append(entries(number..number + 1, 10), tell(number))).unwrap();
    }
    assert_eq!(opened.log.read_memory(0..20).unwrap().unwrap().len(), 20, "entries must be readable before they are durable");
    assert!(endings.try_recv().is_err(), "an append was acknowledged before its sync");
    assert_eq!(*opened.log.synced().borrow(), None);
    gate.shut(false);
    let order: Vec<_> = endings.iter().take(20).collect();
    assert_eq!(order, (0..20).map(|number| (number, true)).collect::<Vec<_>>());
    assert_eq!(gate.passed() - before, 2, "19 appends that waited together must share one sync");
}

#[test]
fn a_failed_sync_fails_all_who_wait_and_ends_the_store() {
    let home = Home::new();
    let gate = Gate::open();
    let opened = Store::open_with(&home.settings(), STORE, Arc::clone(&gate) as Arc<dyn Syncer>).unwrap();
    gate.shut(true);
    let (told, endings) = channel();
    for number in 0..3 {
        let told = told.clone();
        block_on(opened.log.append(entries(number..number + 1, 10), move |result| told.send(result).unwrap())).unwrap();
    }
    gate.until_one_waits();
    gate.break_it();
    gate.shut(false);
    for _ in 0..3 {
        assert!(endings.recv().unwrap().is_err());
    }
    assert!(block_on(opened.health.fatal()).to_string().contains("the disk is broken"));
    // The disk seems well again; but nobody knows what it lost, so nothing is tried and nothing is acknowledged any more.
    gate.mend();
    let passed = gate.passed();
    assert!(block_on(opened.log.append(entries(3..4, 10), |_| panic!("acknowledged after a failure"))).is_err());
    assert!(block_on(opened.log.truncate_after(Some(at(1)))).is_err());
    assert!(block_on(opened.log.purge(at(1))).is_err());
    assert!(block_on(opened.tables.write(at(0), None, Vec::new())).is_err());
    assert!(block_on(opened.log.save_vote(Vote::default())).is_err());
    assert!(block_on(opened.tables.sync()).is_err());
    assert_eq!(*opened.log.synced().borrow(), None);
    let marker = fs::read(home.settings().data_dir.join("marker")).unwrap();
    drop(opened);
    assert_eq!(gate.passed(), passed, "a failed sync was tried again");
    assert_eq!(fs::read(home.settings().data_dir.join("marker")).unwrap(), marker, "a failed store made a promise");
}

#[test]
fn a_deleted_or_emptied_log_has_forgotten() {
    let home = Home::new();
    let opened = home.open().unwrap();
    append(&opened, entries(0..10, 10));
    opened.log.save_committed(Some(at(9)));
    drop(opened);
    let log = home.settings().data_dir.join("log");
    let elsewhere = home.settings().data_dir.join("elsewhere");
    fs::rename(&log, &elsewhere).unwrap();
    let refused = refusal(&home);
    assert!(refused.contains("under a new id"), "{refused}");
    // An empty database, in its place, is of another store.
    database::Database::create(&log, 1 << 20, STORE).unwrap();
    let refused = refusal(&home);
    assert!(refused.contains("the log ends nowhere"), "{refused}");
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&elsewhere, &log).unwrap();
    assert!(home.open().is_ok());
}

#[test]
fn a_lost_vote_is_noticed() {
    let home = Home::new();
    let opened = home.open().unwrap();
    drop(opened);
    let marker = marker::Marker::open(home.settings().data_dir.join("marker"), STORE).unwrap();
    marker.promise_vote(Vote { term: 5, node: 1, committed: false }).unwrap();
    let refused = refusal(&home);
    assert!(refused.contains("vote"), "{refused}");
}

#[test]
fn tables_beyond_the_log_mean_damage() {
    let home = Home::new();
    let opened = home.open().unwrap();
    append(&opened, entries(0..10, 10));
    block_on(opened.tables.write(at(9), None, vec![row(1, Some(vec![1]))])).unwrap();
    block_on(opened.tables.write(at(10), None, vec![row(2, Some(vec![2]))])).unwrap();
    assert_eq!(block_on(opened.tables.sync()).unwrap(), Some(at(9)), "the tables passed the log");
    block_on(opened.log.truncate_after(Some(at(5)))).unwrap();
    drop(opened);
    let refused = refusal(&home);
    assert!(refused.contains("the tables hold 9"), "{refused}");
}

#[test]
fn the_log_is_purged_in_chunks_and_not_beyond_the_tables() {
    let home = Home::new();
    let opened = home.open().unwrap();
    append(&opened, entries(0..3_000, 10));
    opened.log.save_committed(Some(at(2_999)));
    block_on(opened.log.purge(at(2_499))).unwrap();
    assert_eq!(opened.log.last_purged(), Some(at(2_499)));
    assert_eq!(block_on(opened.log.read(0..3_000)).unwrap().len(), 500);
    append(&opened, entries(3_000..3_001, 10));
    assert_eq!(Stats::get(&opened.health.stats().purged_entries), 0, "the log was purged beyond the tables");
    block_on(opened.tables.write(at(2_600), None, Vec::new())).unwrap();
    while Stats::get(&opened.health.stats().purged_entries) < 2_500 {
        std::thread::yield_now();
    }
    drop(opened);
    let opened = home.open().unwrap();
    assert_eq!(opened.log.state(), LogBounds { last_purged: Some(at(2_499)), last: Some(at(3_000)) });
    assert_eq!(load(&opened.tables).1.last_applied, Some(at(2_600)));
}

#[test]
fn a_snapshot_replaces_tables_and_log_also_when_the_process_ends_in_between() {
    let home = Home::new();
    let opened = home.open().unwrap();
    append(&opened, entries(0..10, 10));
    block_on(opened.tables.write(at(5), None, vec![row(1, Some(b"old".to_vec()))])).unwrap();
    let rows: Vec<_> = (2..2_500_u64).map(|key| (row(key, None).key, vec![9; 30])).collect();
    let meta = SnapshotMeta { last: Some(at(100)), membership: "m".into(), membership_at: Some(at(90)), rows: 0 };
    let file = opened.snapshots.create(meta, rows.iter().cloned()).unwrap();
    let mut receiving = opened.snapshots.receive("peer").unwrap();
    for offset in (0..file.len()).step_by(1000) {
        receiving.write_at(offset, &file.read_chunk(offset, 1000).unwrap()).unwrap();
    }
    assert!(receiving.write_at(file.len() + 1, b"x").is_err());
    let file = receiving.finish().unwrap();
    block_on(opened.tables.replace(file)).unwrap();
    // The process ends before the log is purged.
    drop(opened);
    let opened = home.open().unwrap();
    assert_eq!(opened.log.state(), LogBounds { last_purged: Some(at(100)), last: Some(at(100)) });
    assert_eq!(load(&opened.tables), (rows.clone(), TablesMeta { last_applied: Some(at(100)), membership: Some((Some(at(90)), "m".into())) }));
    append(&opened, entries(101..103, 10));
    drop(opened);

    // The process ends while it loads.
    let dir = home.settings().data_dir;
    meddle(&home, "tables", |batch| {
        batch.seal(b"mloading", &SnapshotMeta { last: Some(at(100)), ..SnapshotMeta::default() }.encode());
        batch.remove(&[b"r", &row(7, None).key[..]].concat());
    });
    fs::write(dir.join("snapshots/left.part"), "half").unwrap();
    let opened = home.open().unwrap();
    assert_eq!(load(&opened.tables).0, rows);
    assert_eq!(opened.log.state().last, Some(at(102)));
    assert!(!dir.join("snapshots/left.part").exists());
}

#[test]
fn long_values_never_leave_the_file_that_is_synced() {
    let home = Home::new();
    let opened = home.open().unwrap();
    append(&opened, entries(0..200, 10_000));
    append(&opened, entries(200..203, 1_000_000));
    let wide = |len| (0..200).map(|key| row(key, Some(vec![key as u8; len]))).collect::<Vec<_>>();
    block_on(opened.tables.write(at(5), None, wide(12_000))).unwrap();
    block_on(opened.tables.sync()).unwrap();
    block_on(opened.tables.write(at(6), None, wide(7_000))).unwrap();
    block_on(opened.tables.write(at(7), None, vec![row(3, None), row(4, Some(vec![4]))])).unwrap();
    block_on(opened.tables.sync()).unwrap();
    for database in ["log", "tables"] {
        let blobs = fs::read_dir(home.settings().data_dir.join(database).join("blobs")).unwrap().count();
        assert_eq!(blobs, 0, "{database} has pages in files that sled does not sync");
    }
    drop(opened);
    let opened = home.open().unwrap();
    assert_eq!(block_on(opened.log.read(0..300)).unwrap().len(), 203);
    let (rows, _) = load(&opened.tables);
    assert_eq!(rows.len(), 199);
    assert!(rows.iter().all(|(key, value)| value.len() == if key[8] == 4 { 1 } else { 7_000 }));
}

#[test]
fn control_sled_moves_long_pages_out_of_the_synced_file() {
    let dir = tempfile::tempdir().unwrap();
    let db = sled::Config::new().path(dir.path()).cache_capacity(1 << 20).flush_every_ms(None).open().unwrap();
    for index in 0..200_u64 {
        db.insert((index * 7919 % 200).to_be_bytes(), vec![1; 20_000]).unwrap();
    }
    db.flush().unwrap();
    assert!(fs::read_dir(dir.path().join("blobs")).unwrap().count() > 0, "sled no longer needs long values in pieces");
}
