//! Objects are whole or absent, carry their stamp, and damaged ones are made anew; in folders and in buckets.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // Helpers of tests are tests.

mod buckets;
mod servers;

use schema::{CallMetrics, Fingerprint, ModelId, StageErrorRow, StageName, Table, to_batch};
use std::{collections::BTreeMap, fs};
use store::{Key, Stamp, Store, StoreError};

fn metrics(call_id: &str) -> CallMetrics {
    CallMetrics {
        call_id: call_id.into(),
        speech_ms: 1,
        silence_ms: 2,
        longest_silence_ms: 2,
        overlap_ms: 0,
        switches_per_hour: 3.5,
        talk_to_listen: None,
    }
}

fn stamp() -> Stamp {
    Stamp {
        stage: "flow".into(),
        fingerprint: Fingerprint::of([&b"x"[..]]),
        models: vec![ModelId { name: "m".into(), sha256: "00".into() }],
        inputs: BTreeMap::from([("a".to_owned(), BTreeMap::from([("audio".to_owned(), "1f".to_owned())]))]),
    }
}

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_str().unwrap()).unwrap();
    (folder, store)
}

#[test]
fn what_was_written_is_read() {
    let (folder, store) = open();
    for (shard, calls) in [("bb", ["c", "d"]), ("aa", ["a", "b"])] {
        let rows = calls.map(metrics);
        store.write(&Key::new(Table::CallMetrics, shard), &[to_batch(&rows).unwrap()], &stamp()).unwrap();
    }
    let key = Key::new(Table::CallMetrics, "bb");
    assert_eq!(store.stamp(&key).unwrap(), Some(stamp()));
    assert_eq!(store.rows::<CallMetrics>(&key).unwrap(), ["c", "d"].map(metrics));
    assert_eq!(store.table::<CallMetrics>().unwrap(), ["a", "b", "c", "d"].map(metrics));
    let files: Vec<_> = fs::read_dir(folder.path().join("call_metrics")).unwrap().collect();
    assert_eq!(files.len(), 2);
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let (folder, store) = open();
    let key = Key::new(Table::CallMetrics, "aa");
    let path = folder.path().join("call_metrics/aa.parquet");
    let batch = to_batch(&[metrics("a")]).unwrap();
    store.write(&key, std::slice::from_ref(&batch), &stamp()).unwrap();
    let first = fs::read(&path).unwrap();
    store.write(&key, &[batch], &stamp()).unwrap();
    assert_eq!(first, fs::read(&path).unwrap());
}

#[test]
fn absent_is_empty_and_deleting_it_is_nothing() {
    let (_folder, store) = open();
    let key = Key::errors("aa", StageName::Flow);
    assert_eq!(key.shard(), "aa");
    assert_eq!(store.stamp(&key).unwrap(), None);
    assert!(store.rows::<StageErrorRow>(&key).unwrap().is_empty());
    assert!(store.list(Table::StageErrors).unwrap().is_empty());
    store.delete(&key).unwrap();
}

#[test]
fn a_damaged_object_has_no_stamp_and_names_itself_when_read() {
    let (folder, store) = open();
    let key = Key::new(Table::CallMetrics, "aa");
    store.write(&key, &[to_batch(&[metrics("a")]).unwrap()], &stamp()).unwrap();
    let path = folder.path().join("call_metrics/aa.parquet");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(store.stamp(&key).unwrap(), None);
    let error = store.rows::<CallMetrics>(&key).unwrap_err();
    assert!(matches!(error, StoreError::Parquet { .. }));
    assert!(error.to_string().starts_with("call_metrics/aa.parquet: "), "{error}");
}

#[test]
fn a_location_that_cannot_be_is_named() {
    let error = Store::open("ftp://host/calls").err().unwrap().to_string();
    assert!(error.contains("ftp://host/calls: ftp:// is not known"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(Store::open(file.path().to_str().unwrap()).is_err());
    assert!(Store::open_existing("no/such/store").err().unwrap().to_string().contains("no such folder"));
}
