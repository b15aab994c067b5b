//! Consent that is taken back, and audio that is there twice: real recordings through the real ingest stage.

use crate::{Counter, House, Log, Scribe};
use ingest::{Ingest, IngestConfig};
use pipeline::{Quiet, RunOptions, Runner, Status, mark_duplicates, recordings_of, withdraw};
use schema::{Call, CallMetrics, Segment, Stage, StageErrorRow};
use std::{collections::BTreeMap, fs, path::Path, sync::atomic::AtomicBool};

/// A second of 16 kHz, 16 bits, stereo, of one value.
fn wav(value: i16) -> Vec<u8> {
    let data: Vec<u8> = std::iter::repeat_n(value.to_le_bytes(), 32_000).flatten().collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x02\0");
    for (bytes, field) in [(4, 16_000u32), (4, 64_000), (2, 4), (2, 16)] {
        file.extend(&field.to_le_bytes()[..bytes]);
    }
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

fn stages(house: &House) -> Vec<Box<dyn Stage>> {
    let log = Log::default();
    let scribe = Scribe(log.clone(), house.broken.clone());
    vec![Box::new(Ingest::new(IngestConfig::default())), Box::new(scribe), Box::new(Counter(log))]
}

/// One night over a folder and its list.
fn night(house: &House, folder: &Path) -> Status {
    night_of(house, folder, folder)
}

/// One night over a source and the folder's list.
fn night_of(house: &House, folder: &Path, source: &Path) -> Status {
    let (sources, list) = ([source.to_str().unwrap().to_owned()], folder.join("calls.csv"));
    let config = IngestConfig::default();
    let mut found = ingest::discover(&sources, Some(&list), None, &config).unwrap();
    withdraw(&house.store, &mut found).unwrap();
    mark_duplicates(&house.store, &mut found.recordings, &config).unwrap();
    let cancel = AtomicBool::new(false);
    let mut runner = Runner::new(&house.store, stages(house), &Quiet, &cancel).unwrap();
    runner.run(found.recordings, RunOptions { shard_size: 2, again: None }).unwrap();
    Status::of(&house.store, runner.stages()).unwrap()
}

fn status(house: &House) -> BTreeMap<String, String> {
    house.store.table::<Call>().unwrap().into_iter().map(|call| (call.call_id, call.status)).collect()
}

fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(call, status)| ((*call).to_owned(), (*status).to_owned())).collect()
}

#[test]
fn consent_that_is_taken_back_takes_the_rows_out_of_every_table() {
    let (house, folder) = (House::new(), tempfile::tempdir().unwrap());
    let list = |b: &str, c: &str| {
        let rows = format!("recording,customer_consent\na.wav,granted\nb.wav,{b}\nc.wav,{c}\n");
        fs::write(folder.path().join("calls.csv"), rows).unwrap();
    };
    for (name, value) in [("a.wav", 100), ("b.wav", 200), ("c.wav", 300)] {
        fs::write(folder.path().join(name), wav(value)).unwrap();
    }
    list("granted", "granted");
    assert_eq!(night(&house, folder.path()).done, 3);
    let speakers = |house: &House| {
        let mut calls: Vec<String> = house.store.table::<Segment>().unwrap().into_iter().map(|s| s.call_id).collect();
        calls.sort();
        calls
    };
    assert_eq!(speakers(&house), ["a", "b", "c"]);

    // One recording is still there, of the other only the row.
    fs::remove_file(folder.path().join("c.wav")).unwrap();
    list("denied", "denied");
    let after = night(&house, folder.path());
    assert_eq!((after.done, after.refused, after.failed), (1, 2, 0));
    assert_eq!(status(&house), of(&[("a", "ready"), ("b", "refused"), ("c", "refused")]));
    assert_eq!(speakers(&house), ["a"]);
    let metrics: Vec<String> = house.store.table::<CallMetrics>().unwrap().into_iter().map(|m| m.call_id).collect();
    assert_eq!(metrics, ["a"]);
    assert!(house.store.table::<StageErrorRow>().unwrap().is_empty());
    let calls = house.store.table::<Call>().unwrap();
    let gone = calls.iter().find(|call| call.call_id == "b").unwrap();
    assert_eq!((&gone.content_sha256, gone.duration_ms), (&None, None));
}

#[test]
fn the_same_audio_in_two_shards_and_two_nights_is_heard_once() {
    let (house, folder) = (House::new(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("calls.csv"), "recording\nd.wav\n").unwrap();
    for (name, value) in [("b.wav", 1), ("c.wav", 2), ("d.wav", 1)] {
        fs::write(folder.path().join(name), wav(value)).unwrap();
    }
    let first = night(&house, folder.path());
    assert_eq!((first.done, first.duplicate, first.failed), (2, 1, 0));
    assert_eq!(status(&house), of(&[("b", "ready"), ("c", "ready"), ("d", "duplicate")]));
    fs::write(folder.path().join("a.wav"), wav(2)).unwrap();
    fs::remove_file(folder.path().join("c.wav")).unwrap();
    let second = night(&house, folder.path());
    assert_eq!((second.done, second.duplicate), (2, 2));
    assert_eq!(status(&house)["a"], "duplicate");
    let heard = house.store.table::<Segment>().unwrap().len();
    assert_eq!(heard, 2);
    let trouble = second.troubles.iter().find(|t| t.call_id == "a").unwrap();
    assert_eq!((trouble.kind.as_str(), trouble.is_failure()), ("duplicate", false));
    assert!(trouble.message.starts_with("the same audio as c"), "{}", trouble.message);
}

#[test]
fn a_denial_reaches_calls_that_are_no_part_of_the_run() {
    let (house, folder) = (House::new(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    for (name, value) in [("a.wav", 100), ("b.wav", 200), ("c.wav", 300), ("d.wav", 400)] {
        fs::write(at(name), wav(value)).unwrap();
    }
    let list = |rows: &str| fs::write(at("calls.csv"), format!("recording,call_id,customer_consent\n{rows}")).unwrap();
    list("b.wav,b,granted\n");
    assert_eq!(night(&house, folder.path()).done, 4);
    // One is in no source, one has another call_id now, one is meant by its name alone.
    list("a.wav,a,denied\nb.wav,b,granted\nc.wav,case-3,denied\n/export/x/D.WAV,case-4,denied\n");
    night_of(&house, folder.path(), &at("b.wav"));
    assert_eq!(status(&house)["a"], "refused");
    night(&house, folder.path());
    let wanted = [
        ("a", "refused"),
        ("b", "ready"),
        ("c", "refused"),
        ("case-3", "refused"),
        ("case-4", "refused"),
        ("d", "refused"),
    ];
    assert_eq!(status(&house), of(&wanted));
    let heard: Vec<String> = house.store.table::<Segment>().unwrap().into_iter().map(|s| s.call_id).collect();
    assert!(heard.iter().all(|call| call == "b"), "{heard:?}");
    // Once more without the list: what it said stands.
    let again = recordings_of(&house.store, &[]).unwrap();
    let cancel = AtomicBool::new(false);
    let mut runner = Runner::new(&house.store, stages(&house), &Quiet, &cancel).unwrap();
    runner.run(again, RunOptions { shard_size: 2, again: Some(schema::StageName::Ingest) }).unwrap();
    assert_eq!(status(&house), of(&wanted));
}
