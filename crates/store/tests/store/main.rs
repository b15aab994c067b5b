//! Objects are whole or absent, carry their stamp, and damaged ones are made anew; in folders and in buckets.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // Helpers of tests are tests.

mod buckets;
mod servers;

use parquet::{
    arrow::ArrowWriter,
    file::{
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
    },
};
use schema::{
    Call, CallMetrics, Fingerprint, FollowUp, Keyword, ModelId, StageErrorRow, StageName, Summary, Table, Turn,
    to_batch,
};
use serde_json::json;
use std::{collections::BTreeMap, fs};
use store::{Key, Stamp, Store, StoreError};

fn metrics(call_id: &str) -> CallMetrics {
    CallMetrics {
        call_id: call_id.into(),
        speech_ms: 1,
        silence_ms: 2,
        longest_silence_ms: 2,
        overlap_ms: Some(0),
        switches_per_hour: Some(3.5),
        talk_to_listen: None,
    }
}

fn stamp() -> Stamp {
    Stamp {
        stage: "flow".into(),
        fingerprint: Fingerprint::of([&b"x"[..]]),
        models: vec![ModelId { name: "m".into(), sha256: "00".into() }],
        inputs: BTreeMap::from([("a".to_owned(), BTreeMap::from([("audio".to_owned(), "1f".to_owned())]))]),
        open: false,
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

/// Objects of before a column was added: it is null, and their stamp is read as well.
#[test]
fn an_older_store_is_read_and_what_it_lacks_is_null() {
    let (folder, store) = open();
    let older = |json: serde_json::Value, table: Table, added: &[&str]| {
        let batch = match table {
            Table::Calls => to_batch(&[serde_json::from_value::<Call>(json).unwrap()]),
            Table::Turns => to_batch(&[serde_json::from_value::<Turn>(json).unwrap()]),
            Table::FollowUps => to_batch(&[serde_json::from_value::<FollowUp>(json).unwrap()]),
            Table::Summaries => to_batch(&[serde_json::from_value::<Summary>(json).unwrap()]),
            _ => to_batch(&[serde_json::from_value::<Keyword>(json).unwrap()]),
        };
        let batch = batch.unwrap();
        let kept: Vec<usize> =
            (0..batch.num_columns()).filter(|&i| !added.contains(&batch.schema().field(i).name().as_str())).collect();
        assert_eq!(kept.len() + added.len(), batch.num_columns(), "{}", table.name());
        let batch = batch.project(&kept).unwrap();
        let key = Key::new(table, "aa");
        fs::create_dir_all(folder.path().join(table.name())).unwrap();
        // The stamp as our own writer makes it, under the older columns.
        let empty = arrow::array::RecordBatch::new_empty(table.schema());
        store.write(&key, &[empty], &stamp()).unwrap();
        let path = folder.path().join(table.name()).join("aa.parquet");
        let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
        let metadata = reader.metadata().file_metadata().key_value_metadata().cloned();
        let ours = metadata.map(|all| all.into_iter().filter(|kv| kv.key.starts_with("nightcall.")).collect());
        let properties = WriterProperties::builder().set_key_value_metadata(ours).build();
        let file = fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert_eq!(store.stamp(&key).unwrap(), Some(stamp()));
    };
    let evidence = json!([{"turn_index": 0, "char_start": 0, "char_end": 3}]);
    let call = json!({"call_id": "a", "source_uri": "a.wav", "participants": [], "crm": {}, "status": "ready"});
    older(call, Table::Calls, &["started_on", "outcome", "damage", "match"]);
    let turn = json!({"call_id": "a", "turn_index": 0, "channel": 0, "speaker": "s", "start_ms": 0, "end_ms": 9,
        "text": "Yes", "overlap_ms": 0, "pause_before_ms": 0, "words": []});
    older(turn, Table::Turns, &["started_on"]);
    let follow_up = json!({"call_id": "a", "follow_up_index": 0, "action": "call", "kind": "request", "score": 0.5,
        "evidence": evidence});
    older(follow_up, Table::FollowUps, &["started_on", "start_ms", "end_ms"]);
    let point = json!({"call_id": "a", "point_index": 0, "kind": "topic", "text": "Yes", "score": 0.5,
        "method": "extractive", "evidence": evidence});
    older(point, Table::Summaries, &["started_on", "start_ms", "end_ms"]);
    let keyword = json!({"call_id": "a", "phrase": "yes", "kind": "keyphrase", "score": 0.5, "mention_count": 1,
        "first_ms": 7, "evidence": evidence});
    let added = ["started_on", "amount", "currency", "date", "percent", "start_ms", "end_ms", "mentions"];
    older(keyword, Table::Keywords, &added);

    let calls = store.table::<Call>().unwrap();
    assert_eq!((calls[0].started_on, calls[0].outcome.as_deref()), (None, None));
    assert_eq!(store.table::<Turn>().unwrap()[0].overlap_ms, Some(0));
    assert_eq!(store.table::<FollowUp>().unwrap()[0].start_ms, None);
    assert_eq!(store.table::<Summary>().unwrap()[0].end_ms, None);
    let keyword = &store.table::<Keyword>().unwrap()[0];
    assert_eq!((keyword.first_ms, keyword.mentions.is_none(), keyword.amount), (7, true, None));
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
