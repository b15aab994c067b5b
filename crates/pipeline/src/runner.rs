//! The local runner: shard by shard, stage by stage, and nothing twice.
//!
//! ```text
//!   thread 1: ingest ──16 blocks of sound──► thread 2: transcribe     (decoding overlaps recognition)
//!                                                │ commit
//!                                                ▼
//!                            flow ─► summarize ─► extract ─► sentiment   (rayon over the shard's calls)
//! ```
//!
//! Between the threads wait at most [`QUEUE`] batches: 160 s of one channel, 10 MB, enough that recognition never waits
//! for the disk and too little to matter for memory.

use crate::{
    Event, PipelineError, Progress,
    graph::Graph,
    output::{Commit, Output, select},
    plan::{self, Inputs, Shard},
};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use schema::{
    CallFailure, FailureKind, Fingerprint, Item, Recording, SAMPLE_RATE, Sink, Stage, StageError, StageErrorRow,
    StageName, Table, to_batch,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};
use store::{Key, Stamp, Store};

/// Batches between ingest and transcribe.
const QUEUE: usize = 16;

/// How a run is to go.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Calls of a new shard.
    pub shard_size: usize,
    /// A stage to run again, with what depends on it, even where nothing has changed.
    pub again: Option<StageName>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { shard_size: 64, again: None }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// Calls of this run.
    pub calls: usize,
    /// Calls in shards where nothing was to be done.
    pub up_to_date: usize,
    /// Whether the run was stopped before its end.
    pub cancelled: bool,
}

/// Runs the stages over shards of calls and commits what they write.
pub struct Runner<'a> {
    store: &'a Store,
    stages: Vec<Box<dyn Stage>>,
    graph: Graph,
    progress: &'a dyn Progress,
    cancel: &'a AtomicBool,
}

/// How a stage ended on a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Its tables are committed.
    Done,
    /// It could not run at all: its tables are gone, and the stages after it wait for the next run.
    Broken,
    /// The run was stopped; nothing is committed.
    Cancelled,
}

/// A shard with what is to be done on it.
struct Work {
    shard: Shard,
    inputs: Inputs,
    fingerprints: BTreeMap<Table, Fingerprint>,
    wanted: BTreeSet<StageName>,
}

impl<'a> Runner<'a> {
    /// A runner of these stages. Once `cancel` is set, the run ends after what it is writing.
    pub fn new(
        store: &'a Store,
        stages: Vec<Box<dyn Stage>>,
        progress: &'a dyn Progress,
        cancel: &'a AtomicBool,
    ) -> Result<Self, PipelineError> {
        let graph = Graph::new(&stages)?;
        Ok(Self { store, stages, graph, progress, cancel })
    }

    /// Brings the tables of these recordings up to date.
    pub fn run(&mut self, recordings: Vec<Recording>, options: RunOptions) -> Result<RunSummary, PipelineError> {
        let calls = recordings.len();
        let again = options.again.map(|stage| self.graph.from(stage)).unwrap_or_default();
        let mut works = Vec::new();
        for shard in plan::shards(recordings, &self.store.shards()?, options.shard_size) {
            let work = self.plan(shard, &again)?;
            if !work.wanted.is_empty() {
                works.push(work);
            }
        }
        let up_to_date = calls - works.iter().map(|w| w.shard.recordings.len()).sum::<usize>();
        self.progress.event(Event::Planned { calls, up_to_date });
        let shards = works.len();
        for (i, work) in works.into_iter().enumerate() {
            if self.cancelled() || !self.work(&work, i + 1, shards)? {
                return Ok(RunSummary { calls, up_to_date, cancelled: true });
            }
            self.progress.event(Event::Shard { calls: work.shard.recordings.len() });
        }
        Ok(RunSummary { calls, up_to_date, cancelled: false })
    }

    fn plan(&self, shard: Shard, again: &BTreeSet<StageName>) -> Result<Work, PipelineError> {
        let calls = self.store.stamp(&Key::new(Table::Calls, &shard.name))?;
        let inputs = shard.inputs(&calls.map(|stamp| stamp.inputs).unwrap_or_default());
        let fingerprints = plan::fingerprints(&self.graph, &inputs);
        let mut wanted = again.clone();
        let mut anew: BTreeSet<Table> = BTreeSet::new();
        for node in self.graph.nodes() {
            // A fingerprint says what a table was asked to be; when its makers failed before, only a new table says what
            // it has become. So a stage runs when a stored table that it reads is written anew.
            let reads_anew = node.inputs.iter().any(|table| anew.contains(table));
            if reads_anew || !is_current(self.store, &shard.name, &node.outputs, &fingerprints)? {
                wanted.insert(node.name);
            }
            if wanted.contains(&node.name) {
                anew.extend(node.outputs.iter().filter(|table| table.stored()));
            }
        }
        Ok(Work { shard, inputs, fingerprints, wanted })
    }

    /// Works on one shard; `false` when it was cut off.
    fn work(&mut self, work: &Work, number: usize, shards: usize) -> Result<bool, PipelineError> {
        let mut tables = BTreeMap::new();
        let mut waiting = BTreeSet::new();
        for name in StageName::ALL {
            if !work.wanted.contains(&name) || waiting.contains(&name) {
                continue;
            }
            // Ingest runs with transcribe where both are wanted: sound is not stored.
            if name == StageName::Ingest && work.wanted.contains(&StageName::Transcribe) {
                continue;
            }
            self.progress.event(Event::Stage { stage: name, shard: number, shards });
            let ended = match name {
                StageName::Ingest | StageName::Transcribe => self.hear(work, name, &mut tables)?,
                _ => self.read(work, name, &mut tables)?,
            };
            match ended {
                Ended::Done => {}
                Ended::Broken => waiting.extend(self.graph.from(name)),
                Ended::Cancelled => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Ingest, and transcribe beside it.
    fn hear(
        &mut self,
        work: &Work,
        last: StageName,
        tables: &mut BTreeMap<Table, Vec<RecordBatch>>,
    ) -> Result<Ended, PipelineError> {
        let mut ingest = None;
        let mut transcribe = None;
        for stage in &mut self.stages {
            match stage.name() {
                StageName::Ingest => ingest = Some(stage),
                StageName::Transcribe if last == StageName::Transcribe => transcribe = Some(stage),
                _ => {}
            }
        }
        let Some(ingest) = ingest else {
            return Err(PipelineError::Setup("this pipeline has no ingest stage".into()));
        };
        let recordings = to_batch(&work.shard.recordings).map_err(StageError::from)?;
        let mut recordings = vec![Item::Batch(Table::Recordings, recordings)].into_iter();
        let (sender, receiver) = sync_channel(QUEUE);
        let mut read = Output::default();
        let mut heard = Output::default();
        let (progress, cancel) = (self.progress, self.cancel);
        let (ingested, transcribed) = thread::scope(|scope| {
            let decoder = scope.spawn(|| {
                let mut tee = Tee { kept: &mut read, next: sender, cancel };
                guarded(ingest.as_mut(), &mut recordings, &mut tee)
            });
            let mut sound = Sound { receiver, progress, cancel };
            let transcribed = if let Some(stage) = transcribe.as_mut() {
                guarded(stage.as_mut(), &mut sound, &mut heard)
            } else {
                sound.by_ref().for_each(drop);
                Ok(())
            };
            drop(sound);
            let ingested = decoder.join().unwrap_or_else(|_| Err(panicked()));
            (ingested, transcribed)
        });
        if self.cancel.load(Ordering::Relaxed) {
            return Ok(Ended::Cancelled);
        }
        let calls: Vec<String> = work.shard.recordings.iter().map(|r| r.call_id.clone()).collect();
        let mut commit = commit(self.store, work, &work.shard.absent);
        // Recordings whose store did not answer are read by the next run: what is written here counts as stale.
        let stale = BTreeMap::new();
        if read.failures.iter().any(|f| f.kind == FailureKind::Unavailable) {
            commit.fingerprints = &stale;
        }
        if let Err(e) = ingested {
            // What the recognizer heard until then is not the whole shard.
            if let Some(transcribe) = transcribe {
                commit.discard(transcribe.as_ref())?;
            }
            commit.write_broken(ingest.as_ref(), &calls, &e)?;
            return Ok(Ended::Broken);
        }
        let mut ended = Ended::Done;
        if let Some(transcribe) = transcribe {
            match transcribed {
                Ok(()) => tables.extend(commit.write(transcribe.as_ref(), heard)?),
                Err(e) => {
                    commit.write_broken(transcribe.as_ref(), &calls, &e)?;
                    ended = Ended::Broken;
                }
            }
        }
        // The stamp of calls goes last: with it the shard counts as known.
        tables.extend(commit.write(ingest.as_ref(), read)?);
        Ok(ended)
    }

    /// A stage over text.
    fn read(
        &mut self,
        work: &Work,
        name: StageName,
        tables: &mut BTreeMap<Table, Vec<RecordBatch>>,
    ) -> Result<Ended, PipelineError> {
        let before = self.graph.before(name);
        let Some(stage) = self.stages.iter_mut().find(|s| s.name() == name) else {
            return Ok(Ended::Done);
        };
        let shard = &work.shard.name;
        let mut failed = BTreeSet::new();
        for &earlier in &before {
            let errors = self.store.rows::<StageErrorRow>(&Key::errors(shard, earlier))?;
            failed.extend(errors.into_iter().map(|row| row.call_id));
        }
        let mut items = Vec::new();
        let mut calls = BTreeSet::new();
        for &table in stage.inputs() {
            let batches = match tables.get(&table) {
                Some(batches) => batches.clone(),
                None => self.store.batches(&Key::new(table, shard))?,
            };
            for batch in select(&batches, |call| !failed.contains(call))? {
                calls.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
                items.push(Item::Batch(table, batch));
            }
            tables.insert(table, batches);
        }
        let mut output = Output::default();
        let result = guarded(stage.as_mut(), &mut items.into_iter(), &mut output);
        if self.cancel.load(Ordering::Relaxed) {
            return Ok(Ended::Cancelled);
        }
        let none = BTreeSet::new();
        let commit = commit(self.store, work, &none);
        match result {
            Ok(()) => {
                tables.extend(commit.write(stage.as_ref(), output)?);
                Ok(Ended::Done)
            }
            Err(e) => {
                commit.write_broken(stage.as_ref(), &calls.into_iter().collect::<Vec<_>>(), &e)?;
                Ok(Ended::Broken)
            }
        }
    }

    /// The stages.
    pub fn stages(&self) -> &[Box<dyn Stage>] {
        &self.stages
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// Whether the stored tables are those that the fingerprints ask for.
pub(crate) fn is_current(
    store: &Store,
    shard: &str,
    tables: &[Table],
    fingerprints: &BTreeMap<Table, Fingerprint>,
) -> Result<bool, PipelineError> {
    for table in tables.iter().filter(|t| t.stored()) {
        let stamp: Option<Stamp> = store.stamp(&Key::new(*table, shard))?;
        if stamp.is_none_or(|stamp| fingerprints.get(table) != Some(&stamp.fingerprint)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn commit<'a>(store: &'a Store, work: &'a Work, kept: &'a BTreeSet<String>) -> Commit<'a> {
    let (shard, fingerprints, inputs) = (work.shard.name.as_str(), &work.fingerprints, &work.inputs);
    Commit { store, shard, kept, fingerprints, inputs, now: chrono::Utc::now() }
}

/// Runs a stage; a panic that it did not keep to one call ends the stage and not the run.
fn guarded(stage: &mut dyn Stage, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError> {
    panic::catch_unwind(panic::AssertUnwindSafe(|| stage.run(input, out))).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> StageError {
    StageError::Internal("a bug in Nightcall; please report it with the place that the log names".into())
}

/// Keeps what is stored and passes everything on to the recognizer.
struct Tee<'a> {
    kept: &'a mut Output,
    next: SyncSender<Item>,
    cancel: &'a AtomicBool,
}

impl Sink for Tee<'_> {
    fn batch(&mut self, table: Table, batch: RecordBatch) -> Result<(), StageError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(StageError::Closed);
        }
        self.kept.batch(table, batch.clone())?;
        // A recognizer that has given up does not keep the calls table from being written.
        let _ = self.next.send(Item::Batch(table, batch));
        Ok(())
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        let _ = self.next.send(Item::Failed(failure.call_id.clone()));
        self.kept.fail(failure)
    }
}

/// What the recognizer reads: sound and failures, counted on the way.
struct Sound<'a> {
    receiver: Receiver<Item>,
    progress: &'a dyn Progress,
    cancel: &'a AtomicBool,
}

impl Iterator for Sound<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return None;
            }
            match self.receiver.recv().ok()? {
                Item::Batch(Table::Audio, batch) => {
                    self.progress.event(Event::Audio { ms: first_channel_ms(&batch) });
                    return Some(Item::Batch(Table::Audio, batch));
                }
                Item::Batch(_, batch) => (0..batch.num_rows()).for_each(|_| self.progress.event(Event::Call)),
                failed @ Item::Failed(_) => return Some(failed),
            }
        }
    }
}

fn first_channel_ms(batch: &RecordBatch) -> i64 {
    let column = |name| batch.column_by_name(name);
    let (Some(channel), Some(samples)) = (column("channel"), column("samples")) else { return 0 };
    let (channel, samples) = (channel.as_primitive::<Int32Type>(), samples.as_list::<i32>());
    let lengths = (0..batch.num_rows()).filter(|&i| channel.value(i) == 0).map(|i| samples.value_length(i) as i64);
    lengths.sum::<i64>() * 1000 / SAMPLE_RATE as i64
}
