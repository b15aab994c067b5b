//! The runner's promises, held with small stages of the test's own: nothing twice, one call's failure costs that call, a
//! broken stage costs its shard and is tried again, a cut-off run goes on, rows of absent recordings stay.

#![allow(clippy::unwrap_used)]

mod consent;
mod days;
mod outcomes;
mod summaries;

use pipeline::{Event, Progress, Quiet, RunOptions, Runner, run_as_filter};
use schema::{
    AudioBlock, Call, CallFailure, CallMetrics, FailureKind, Fingerprint, Item, ModelId, Recording, Segment, Sink,
    Stage, StageError, StageErrorRow, StageName, Table, Tables, from_batch, to_batch,
};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use store::Store;

fn recording(call_id: &str) -> Recording {
    Recording {
        call_id: call_id.into(),
        started_on: None,
        source_uri: format!("{call_id}.wav"),
        source_version: Some("1".into()),
        started_at: None,
        direction: None,
        language: None,
        participants: vec![],
        crm: BTreeMap::new(),
        problem: None,
        byte_size: None,
        content_sha256: None,
        duplicate_of: None,
        track: None,
        r#match: None,
    }
}

/// What the stages were asked to work on, as `stage call`.
type Log = Arc<Mutex<Vec<String>>>;

/// Reads a recording: half a second of sound, and a failure where its name says so.
struct Ears(Log);

impl Stage for Ears {
    fn name(&self) -> StageName {
        StageName::Ingest
    }
    fn inputs(&self) -> &'static [Table] {
        &[Table::Recordings]
    }
    fn outputs(&self) -> &'static [Table] {
        &[Table::Audio, Table::Calls]
    }
    fn models(&self) -> Vec<ModelId> {
        vec![]
    }
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([&b"ears"[..]])
    }
    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        for item in input {
            let Item::Batch(_, batch) = item else { continue };
            for r in from_batch::<Recording>(&batch)? {
                self.0.lock().unwrap().push(format!("ingest {}", r.call_id));
                let bad = r.call_id.starts_with("bad");
                let block = AudioBlock {
                    call_id: r.call_id.clone(),
                    channel: 0,
                    first_sample: 0,
                    last: true,
                    language: None,
                    samples: vec![0.5; 8000],
                };
                out.batch(Table::Audio, block.into_batch()?)?;
                if bad {
                    let away = r.call_id.ends_with("away");
                    let kind = if away { FailureKind::Unavailable } else { FailureKind::BadInput };
                    out.fail(CallFailure::new(&r.call_id, kind, "ends early"))?;
                }
                let call = Call {
                    call_id: r.call_id,
                    started_on: r.started_on,
                    source_uri: r.source_uri,
                    content_sha256: None,
                    container: None,
                    codec: None,
                    duration_ms: Some(500),
                    sample_rate_hz: None,
                    channel_count: Some(1),
                    started_at: None,
                    direction: None,
                    language: None,
                    participants: vec![],
                    crm: r.crm,
                    status: if bad { "failed" } else { "ready" }.into(),
                    status_reason: bad.then(|| "ends early".into()),
                    outcome: None,
                    source_version: r.source_version,
                    byte_size: r.byte_size,
                    duplicate_of: r.duplicate_of,
                    decoder: None,
                    track: None,
                    track_count: None,
                    channels: None,
                    damage: None,
                    r#match: None,
                };
                out.rows(&[call])?;
            }
        }
        Ok(())
    }
}

/// Writes a segment a call, in the wrong order, but for silent ones; gives up calls named so, and breaks when told.
struct Scribe(Log, Arc<AtomicBool>);

impl Stage for Scribe {
    fn name(&self) -> StageName {
        StageName::Transcribe
    }
    fn inputs(&self) -> &'static [Table] {
        &[Table::Audio]
    }
    fn outputs(&self) -> &'static [Table] {
        &[Table::Segments]
    }
    fn models(&self) -> Vec<ModelId> {
        vec![ModelId { name: "pen".into(), sha256: "00".into() }]
    }
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([&b"scribe"[..]])
    }
    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        let mut heard: BTreeMap<String, usize> = BTreeMap::new();
        for item in input {
            match item {
                Item::Batch(_, batch) => {
                    for block in AudioBlock::from_batch(&batch)? {
                        *heard.entry(block.call_id).or_default() += 1;
                    }
                }
                Item::Failed(call) => drop(heard.remove(&call)),
            }
        }
        assert!(!self.1.load(Ordering::Relaxed), "the test breaks this stage");
        for (call_id, blocks) in heard.into_iter().rev() {
            self.0.lock().unwrap().push(format!("transcribe {call_id}"));
            if call_id.starts_with("silent") {
                continue;
            }
            out.rows(&[segment(&call_id, blocks)])?;
            if call_id.starts_with("mute") {
                out.fail(CallFailure::new(&call_id, FailureKind::Model, "no model speaks this"))?;
            }
        }
        Ok(())
    }
}

fn segment(call_id: &str, blocks: usize) -> Segment {
    Segment {
        call_id: call_id.into(),
        channel: 0,
        segment_index: 0,
        start_ms: 0,
        end_ms: blocks as i64,
        text: call_id.into(),
        language: None,
        avg_logprob: 0.0,
        no_speech_prob: None,
        words: vec![],
        engine: "pen".into(),
    }
}

/// Counts segments; gives up calls named so.
struct Counter(Log);

impl Stage for Counter {
    fn name(&self) -> StageName {
        StageName::Flow
    }
    fn inputs(&self) -> &'static [Table] {
        &[Table::Calls, Table::Segments]
    }
    fn outputs(&self) -> &'static [Table] {
        &[Table::CallMetrics]
    }
    fn models(&self) -> Vec<ModelId> {
        vec![]
    }
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([&b"counter"[..]])
    }
    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
        let tables = Tables::collect(input);
        let segments = tables.by_call::<Segment>()?;
        for (call_id, calls) in tables.by_call::<Call>()? {
            if !calls[0].is_heard() {
                continue;
            }
            self.0.lock().unwrap().push(format!("flow {call_id}"));
            if call_id.starts_with("upset") {
                out.fail(CallFailure::new(&call_id, FailureKind::Internal, "the test breaks it"))?;
                continue;
            }
            out.rows(&[CallMetrics {
                call_id: call_id.clone(),
                speech_ms: segments.get(&call_id).map_or(0, Vec::len) as i64,
                silence_ms: 0,
                longest_silence_ms: 0,
                overlap_ms: Some(0),
                switches_per_hour: Some(0.0),
                talk_to_listen: None,
            }])?;
        }
        Ok(())
    }
}

struct House {
    folder: tempfile::TempDir,
    store: Store,
    log: Log,
    broken: Arc<AtomicBool>,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        Self { folder, store, log: Log::default(), broken: Arc::default() }
    }

    fn stages(&self) -> Vec<Box<dyn Stage>> {
        let log = || self.log.clone();
        vec![Box::new(Ears(log())), Box::new(Scribe(log(), self.broken.clone())), Box::new(Counter(log()))]
    }

    /// Runs and returns what the stages were asked to do.
    fn run(&self, calls: &[Recording], again: Option<StageName>) -> Vec<String> {
        self.run_with(calls, again, &Quiet, &AtomicBool::new(false))
    }

    fn run_with(
        &self,
        calls: &[Recording],
        again: Option<StageName>,
        progress: &dyn Progress,
        cancel: &AtomicBool,
    ) -> Vec<String> {
        self.log.lock().unwrap().clear();
        let mut runner = Runner::new(&self.store, self.stages(), progress, cancel).unwrap();
        let summary = runner.run(calls.to_vec(), RunOptions { shard_size: 2, again }).unwrap();
        assert_eq!(summary.cancelled, cancel.load(Ordering::Relaxed));
        self.log.lock().unwrap().clone()
    }

    /// Every Parquet file's bytes but those of `stage_errors`, which hold the time.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for table in Table::ALL.iter().filter(|t| **t != Table::StageErrors) {
            let Ok(entries) = fs::read_dir(self.folder.path().join(table.name())) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.folder.path()).unwrap().display().to_string();
                files.insert(name, fs::read(path).unwrap());
            }
        }
        files
    }

    fn errors(&self) -> Vec<(String, String, String, i32)> {
        let rows = self.store.table::<StageErrorRow>().unwrap();
        let mut rows: Vec<_> = rows.into_iter().map(|r| (r.call_id, r.stage, r.kind, r.attempt)).collect();
        rows.sort();
        rows
    }

    fn metrics(&self) -> Vec<(String, i64)> {
        let rows = self.store.table::<CallMetrics>().unwrap();
        let mut rows: Vec<_> = rows.into_iter().map(|m| (m.call_id, m.speech_ms)).collect();
        rows.sort();
        rows
    }
}

fn calls(names: &[&str]) -> Vec<Recording> {
    names.iter().map(|n| recording(n)).collect()
}

#[test]
fn what_is_done_is_not_done_again() {
    let house = House::new();
    let first = house.run(&calls(&["a", "b", "c"]), None);
    assert_eq!(first.iter().filter(|l| l.starts_with("ingest")).count(), 3);
    let files = house.files();
    assert!(house.run(&calls(&["c", "a", "b"]), None).is_empty());
    assert_eq!(files, house.files());
    assert!(files.keys().all(|name| Path::new(name).extension().unwrap() == "parquet"));
}

#[test]
fn a_new_call_costs_its_own_shard() {
    let house = House::new();
    house.run(&calls(&["a", "b"]), None);
    let log = house.run(&calls(&["a", "b", "c"]), None);
    assert_eq!(log, ["ingest c", "transcribe c", "flow c"]);
}

#[test]
fn a_crm_row_that_changed_recognizes_nothing_again() {
    let house = House::new();
    house.run(&calls(&["a", "b"]), None);
    let mut changed = calls(&["a", "b"]);
    changed[0].crm.insert("stage".into(), Some("won".into()));
    let log = house.run(&changed, None);
    assert!(!log.iter().any(|l| l.starts_with("transcribe")), "{log:?}");
    let rows = house.store.table::<Call>().unwrap();
    assert_eq!(rows[0].crm["stage"].as_deref(), Some("won"));
}

#[test]
fn a_failed_call_leaves_a_row_and_its_neighbours_alone() {
    let house = House::new();
    house.run(&calls(&["a", "bad", "mute", "z"]), None);
    let kinds = [("bad", "ingest", "bad_input"), ("mute", "transcribe", "model")];
    assert_eq!(house.errors(), kinds.map(|(c, s, k)| (c.to_owned(), s.to_owned(), k.to_owned(), 1)));
    assert_eq!(house.metrics(), [("a".to_owned(), 1), ("z".to_owned(), 1)]);
    let mut texts: Vec<_> = house.store.table::<Segment>().unwrap().into_iter().map(|s| s.call_id).collect();
    texts.sort();
    assert_eq!(texts, ["a", "z"]);
    let rows = house.store.table::<Call>().unwrap();
    let status: BTreeMap<_, _> = rows.iter().map(|c| (c.call_id.as_str(), c.status.as_str())).collect();
    assert_eq!(status, BTreeMap::from([("a", "ready"), ("bad", "failed"), ("mute", "ready"), ("z", "ready")]));
}

#[test]
fn a_recording_whose_store_did_not_answer_is_tried_again() {
    let house = House::new();
    house.run(&calls(&["bad-away", "c", "d", "e"]), None);
    let again = house.run(&calls(&["bad-away", "c", "d", "e"]), None);
    // The shard of the call, and no other.
    let ingested: Vec<&String> = again.iter().filter(|l| l.starts_with("ingest")).collect();
    assert_eq!(ingested, ["ingest bad-away", "ingest c"]);
    assert!(again.contains(&"transcribe c".to_owned()));
    assert_eq!(house.errors(), [("bad-away".to_owned(), "ingest".to_owned(), "unavailable".to_owned(), 2)]);
}

#[test]
fn a_broken_stage_costs_its_shard_and_is_tried_again() {
    let house = House::new();
    house.broken.store(true, Ordering::Relaxed);
    house.run(&calls(&["a", "b"]), None);
    house.run(&calls(&["a", "b"]), None);
    let row = |call: &str| (call.to_owned(), "transcribe".to_owned(), "internal".to_owned(), 2);
    assert_eq!(house.errors(), [row("a"), row("b")]);
    assert!(house.metrics().is_empty());
    house.broken.store(false, Ordering::Relaxed);
    house.run(&calls(&["a", "b"]), None);
    assert!(house.errors().is_empty());
    assert_eq!(house.metrics().len(), 2);
}

#[test]
fn what_broke_after_a_good_run_is_made_whole_again() {
    let house = House::new();
    house.run(&calls(&["a", "b"]), None);
    let good = house.files();
    house.broken.store(true, Ordering::Relaxed);
    house.run(&calls(&["a", "b"]), Some(StageName::Transcribe));
    assert!(house.store.table::<Segment>().unwrap().is_empty());
    house.broken.store(false, Ordering::Relaxed);
    house.run(&calls(&["a", "b"]), None);
    assert_eq!(good, house.files());
    assert!(house.errors().is_empty());
}

/// Cancels after the first shard.
struct Stop<'a>(&'a AtomicBool);

impl Progress for Stop<'_> {
    fn event(&self, event: Event) {
        if matches!(event, Event::Shard { .. }) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_cut_off_run_goes_on_to_the_same_tables() {
    let (whole, cut) = (House::new(), House::new());
    let all = calls(&["a", "b", "c", "d", "e"]);
    whole.run(&all, None);
    let cancel = AtomicBool::new(false);
    cut.run_with(&all, None, &Stop(&cancel), &cancel);
    assert_eq!(cut.metrics().len(), 2);
    let rest = cut.run(&all, None);
    assert!(!rest.contains(&"ingest a".to_owned()));
    assert_eq!(whole.files(), cut.files());
}

/// Flow that waits for the next shard to be recognized, which it would in vain were one done after the other.
struct Patient(Log, Duration);

impl Stage for Patient {
    fn name(&self) -> StageName {
        StageName::Flow
    }
    fn inputs(&self) -> &'static [Table] {
        &[Table::Calls, Table::Segments]
    }
    fn outputs(&self) -> &'static [Table] {
        &[Table::CallMetrics]
    }
    fn models(&self) -> Vec<ModelId> {
        vec![]
    }
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([&b"patient"[..]])
    }
    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, _: &mut dyn Sink) -> Result<(), StageError> {
        let first = Tables::collect(input).by_call::<Call>()?.contains_key("a");
        let recognized = || self.0.lock().unwrap().iter().any(|line| line == "transcribe c");
        let began = Instant::now();
        while first && !recognized() && began.elapsed() < self.1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(recognized());
        Ok(())
    }
}

#[test]
fn a_shard_is_recognized_while_the_text_of_the_one_before_is_read() {
    let house = House::new();
    let mut stages = house.stages();
    stages[2] = Box::new(Patient(house.log.clone(), Duration::from_secs(60)));
    let cancel = AtomicBool::new(false);
    let mut runner = Runner::new(&house.store, stages, &Quiet, &cancel).unwrap();
    runner.run(calls(&["a", "b", "c"]), RunOptions { shard_size: 2, again: None }).unwrap();
    assert!(house.errors().is_empty(), "{:?}", house.errors());
}

#[test]
fn a_store_that_cannot_be_written_ends_the_run() {
    let house = House::new();
    // A file stands where the folder of a table would be.
    fs::write(house.folder.path().join("segments"), "in the way").unwrap();
    let cancel = AtomicBool::new(false);
    let mut runner = Runner::new(&house.store, house.stages(), &Quiet, &cancel).unwrap();
    let many: Vec<Recording> = (0..40).map(|i| recording(&format!("call {i:02}"))).collect();
    let error = runner.run(many, RunOptions { shard_size: 1, again: None }).unwrap_err();
    assert!(error.to_string().contains("segments"), "{error}");
    let read = house.log.lock().unwrap().iter().filter(|line| line.starts_with("ingest")).count();
    assert!(read < 40, "every recording was read");
}

#[test]
fn rows_of_recordings_that_are_not_at_hand_stay() {
    let house = House::new();
    house.run(&calls(&["a", "b"]), None);
    let mut changed = calls(&["b"]);
    changed[0].source_version = Some("2".into());
    let log = house.run(&changed, None);
    assert_eq!(log, ["ingest b", "transcribe b", "flow a", "flow b"]);
    assert_eq!(house.metrics(), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
}

#[test]
fn rerun_does_a_stage_and_what_depends_on_it() {
    let house = House::new();
    house.run(&calls(&["a"]), None);
    assert_eq!(house.run(&calls(&["a"]), Some(StageName::Flow)), ["flow a"]);
    assert_eq!(house.run(&calls(&["a"]), Some(StageName::Transcribe)).len(), 3);
}

#[test]
fn a_stage_works_as_a_filter_over_streams() {
    let house = House::new();
    let mut ears = Ears(house.log.clone());
    let mut scribe = Scribe(house.log.clone(), Arc::default());
    let recordings = stream(Table::Recordings, &to_batch(&calls(&["a", "bad"])).unwrap());
    let mut sound = Vec::new();
    let failures = run_as_filter(&mut ears, recordings.as_slice(), &mut sound).unwrap();
    assert_eq!(failures.len(), 1);
    let mut segments = Vec::new();
    run_as_filter(&mut scribe, sound.as_slice(), &mut segments).unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(segments.as_slice(), None).unwrap();
    assert_eq!(reader.schema().metadata()["nightcall.table"], "segments");
    let texts: Vec<_> = reader.flat_map(|b| from_batch::<Segment>(&b.unwrap()).unwrap()).map(|s| s.text).collect();
    assert_eq!(texts, ["a"]);

    let error = run_as_filter(&mut scribe, &b"no stream at all"[..], Vec::new()).unwrap_err();
    assert!(error.to_string().starts_with("the stream of tables: "), "{error}");
}

fn stream(table: Table, batch: &arrow::array::RecordBatch) -> Vec<u8> {
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &table.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}
