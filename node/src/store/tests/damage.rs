//! Stories of disks that came back other than they were left.

use super::*;

fn entry_key(index: u64) -> Vec<u8> {
    [&b"e"[..], &index.to_be_bytes()].concat()
}

/// A store with the entries 0 to 9, all committed, which was closed.
fn lived() -> Home {
    let home = Home::new();
    let opened = home.open().unwrap();
    append(&opened, entries(0..10, 10));
    opened.log.save_committed(Some(at(9)));
    home
}

/// Makes a snapshot of three rows.
fn snapshot(opened: &Opened, index: u64) -> SnapshotFile {
    let meta = SnapshotMeta { last: Some(at(index)), membership: "m".into(), membership_at: Some(at(0)), rows: 0 };
    opened.snapshots.create(meta, (0..3).map(|key| (row(key, None).key, vec![7; 100]))).unwrap()
}

fn snapshot_path(home: &Home, index: u64) -> std::path::PathBuf {
    home.settings().data_dir.join(format!("snapshots/{index:020}.snap"))
}

/// Flips one bit in a row of a snapshot; its header and its ending stay as they were.
fn flip(home: &Home, index: u64) {
    let path = snapshot_path(home, index);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn newest(opened: &Opened) -> Option<LogPos> {
    opened.snapshots.newest().and_then(|file| file.meta().last)
}

#[test]
fn a_log_without_its_head_is_refused() {
    for (gone, missing) in [(0..1, 0), (0..4, 0), (3..5, 3)] {
        let home = lived();
        meddle(&home, "log", |batch| gone.clone().for_each(|index| batch.remove(&entry_key(index))));
        let refused = refusal(&home);
        assert!(refused.contains(&format!("the entry {missing} is missing")), "without {gone:?}: {refused}");
    }
}

#[test]
fn a_purged_log_begins_right_after_the_purge() {
    let home = lived();
    meddle(&home, "tables", |batch| batch.seal(b"mapplied", &at(9).to_bytes()));
    meddle(&home, "log", |batch| {
        batch.seal(b"mpurged", &at(3).to_bytes());
        // The purge was interrupted: 0 and 1 are still there.
        (2..4).for_each(|index| batch.remove(&entry_key(index)));
    });
    let opened = home.open().unwrap();
    assert_eq!(block_on(opened.log.read(0..20)).unwrap(), entries(4..10, 10));
    drop(opened);
    meddle(&home, "log", |batch| batch.remove(&entry_key(4)));
    let refused = refusal(&home);
    assert!(refused.contains("the entry 4 is missing"), "{refused}");
}

#[test]
fn a_flipped_bit_in_an_entry_is_damage() {
    let home = lived();
    meddle(&home, "log", |batch| {
        let mut record = entries(4..5, 10)[0].encode();
        record[14] ^= 1;
        batch.insert(&entry_key(4), &record);
    });
    let refused = refusal(&home);
    assert!(refused.contains("the entry 4 has a wrong checksum"), "{refused}");
}

#[test]
fn tables_that_hold_another_entry_than_the_log_are_damage() {
    let home = lived();
    meddle(&home, "tables", |batch| batch.seal(b"mapplied", &LogPos { term: 7, index: 5 }.to_bytes()));
    let refused = refusal(&home);
    assert!(refused.contains("the log holds 5 of term 1, and the tables hold 5 of term 7"), "{refused}");
    // Also where the entry was purged, and only its position is known.
    meddle(&home, "log", |batch| batch.seal(b"mpurged", &at(5).to_bytes()));
    let refused = refusal(&home);
    assert!(refused.contains("the tables hold 5 of term 7"), "{refused}");
    meddle(&home, "tables", |batch| batch.seal(b"mapplied", &at(5).to_bytes()));
    assert!(home.open().is_ok());
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_an_older_one_offered() {
    let home = Home::new();
    let opened = home.open().unwrap();
    append(&opened, entries(0..10, 10));
    for index in [3, 5] {
        snapshot(&opened, index);
    }
    drop(opened);
    flip(&home, 5);

    let opened = home.open().unwrap();
    assert_eq!(newest(&opened), Some(at(3)), "a snapshot with a flipped bit was offered");
    assert!(snapshot_path(&home, 5).with_extension("damaged").exists());
    // Two are kept; the damaged one is none of them.
    snapshot(&opened, 7);
    assert!(snapshot_path(&home, 3).exists(), "a damaged snapshot took the place of a whole one");
    drop(opened);

    // Of the damaged ones, one is enough to look at.
    flip(&home, 7);
    let opened = home.open().unwrap();
    assert_eq!(newest(&opened), Some(at(3)));
    let aside = |index| snapshot_path(&home, index).with_extension("damaged").exists();
    assert_eq!((aside(5), aside(7)), (false, true));
}

#[test]
fn a_half_written_snapshot_is_never_offered() {
    let home = Home::new();
    let opened = home.open().unwrap();
    let good = snapshot(&opened, 3);
    let half = good.read_chunk(0, 200).unwrap();
    let mut receiving = opened.snapshots.receive("peer").unwrap();
    receiving.write_at(0, &half).unwrap();
    assert!(matches!(receiving.finish(), Err(StoreError::Damaged { .. })));
    assert_eq!(newest(&opened), Some(at(3)));
    drop(opened);
    fs::write(snapshot_path(&home, 4), &half).unwrap();
    fs::write(home.settings().data_dir.join("snapshots/made-0.part"), &half).unwrap();
    let opened = home.open().unwrap();
    assert_eq!(newest(&opened), Some(at(3)));
    assert!(!home.settings().data_dir.join("snapshots/made-0.part").exists());
}

#[test]
fn no_snapshot_is_offered_from_which_the_log_does_not_go_on() {
    let home = Home::new();
    let opened = home.open().unwrap();
    append(&opened, entries(0..10, 10));
    for index in [3, 5] {
        snapshot(&opened, index);
    }
    block_on(opened.tables.write(at(9), None, Vec::new())).unwrap();
    block_on(opened.tables.sync()).unwrap();
    drop(opened);
    meddle(&home, "log", |batch| batch.seal(b"mpurged", &at(5).to_bytes()));
    flip(&home, 5);
    // Log and tables have all that there is, so the node starts; it makes a new snapshot when it needs one.
    let opened = home.open().unwrap();
    assert_eq!(newest(&opened), None, "a snapshot was offered that leaves a gap before the log");
    snapshot(&opened, 9);
    assert_eq!(newest(&opened), Some(at(9)));
    drop(opened);

    // Tables that need the snapshot do not start without it.
    meddle(&home, "log", |batch| batch.seal(b"mpurged", &at(8).to_bytes()));
    meddle(&home, "tables", |batch| batch.seal(b"mapplied", &at(4).to_bytes()));
    flip(&home, 9);
    let refused = refusal(&home);
    assert!(refused.contains("no whole snapshot"), "{refused}");
}
