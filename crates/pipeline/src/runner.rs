//! The local runner: shard by shard, stage by stage, and nothing twice.
//!
//! ```text
//!   ingest ──16 blocks of sound──► transcribe ──1 shard of words──► commit, flow ─► summarize ─► extract ─► sentiment
//!   (shard n+2 at most)            (shard n+1)                      (shard n)
//! ```
//!
//! Three threads, so that the cores always have something to recognize: sound is decoded while earlier sound is being
//! recognized ([`hear`](crate::hear)), and the stages over text work on a shard while the next one is being recognized. They
//! have threads of their own for that, since work that the recognizer's threads were given would wait until these have
//! finished a whole batch. Shards are committed in their order, each as far as it came.

use crate::{
    Event, PipelineError, Progress,
    days::Days,
    graph::{Graph, Node},
    hear::{self, Heard, Over, Task},
    outcome,
    output::{Commit, Output, select},
    plan::{self, Inputs, Shard},
};
use arrow::array::{AsArray, RecordBatch};
use rayon::{ThreadPool, ThreadPoolBuilder};
use schema::{
    FailureKind, Fingerprint, Item, Recording, Sink, Stage, StageError, StageErrorRow, StageName, Table, to_batch,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::Instant,
};
use store::{Key, Stamp, Store};

/// Shards whose words wait for the stages over text: one, so that recognition goes on at the border of two shards. More
/// would only hold more text.
const SHARDS_HEARD: usize = 1;

/// How a run is to go.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Calls of a new shard.
    pub shard_size: usize,
    /// A stage to run again, with what depends on it, even where nothing has changed, over recordings that were read from the
    /// store's own rows ([`recordings_of`](crate::recordings_of)).
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
    /// Whether a run was cut off before it had settled what became of the calls.
    open: bool,
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
            let work = self.plan(shard, &again, options.again.is_some())?;
            if !work.wanted.is_empty() || work.open {
                works.push(work);
            }
        }
        log::info!("{} shards are to be worked on", works.len());
        let up_to_date = calls - works.iter().map(|w| w.shard.recordings.len()).sum::<usize>();
        self.progress.event(Event::Planned { calls, up_to_date });
        let cancelled = !self.work(&works)?;
        Ok(RunSummary { calls, up_to_date, cancelled })
    }

    fn plan(&self, shard: Shard, again: &BTreeSet<StageName>, stored: bool) -> Result<Work, PipelineError> {
        let calls = self.store.stamp(&Key::new(Table::Calls, &shard.name))?;
        let open = calls.as_ref().is_some_and(|stamp| stamp.open);
        let inputs = shard.inputs(&calls.map(|stamp| stamp.inputs).unwrap_or_default(), stored);
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
        Ok(Work { shard, inputs, fingerprints, wanted, open })
    }

    /// The stages.
    pub fn stages(&self) -> &[Box<dyn Stage>] {
        &self.stages
    }

    /// Works on the shards, the three threads side by side; `false` when the run was cut off.
    fn work(&mut self, works: &[Work]) -> Result<bool, PipelineError> {
        let mut ingest: Option<&mut Box<dyn Stage>> = None;
        let mut transcribe: Option<&mut Box<dyn Stage>> = None;
        let mut text = BTreeMap::new();
        for stage in &mut self.stages {
            match stage.name() {
                StageName::Ingest => ingest = Some(stage),
                StageName::Transcribe => transcribe = Some(stage),
                name => drop(text.insert(name, stage)),
            }
        }
        let tasks: Vec<Task<'_>> = (1..)
            .zip(works)
            .filter(|(_, work)| work.listens())
            .map(|(number, work)| {
                let recognize = work.wanted.contains(&StageName::Transcribe);
                Task { recordings: &work.shard.recordings, recognize, number }
            })
            .collect();
        let ingest = match ingest {
            Some(ingest) => Some(ingest),
            None if tasks.is_empty() => None,
            None => return Err(PipelineError::Setup("this pipeline has no ingest stage".into())),
        };
        let threads =
            ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).thread_name(|i| format!("text {i}"));
        let threads = threads.build().map_err(|e| PipelineError::Setup(e.to_string()))?;
        let (store, graph, progress, shards) = (self.store, &self.graph, self.progress, works.len());
        let mut reader = Reader { store, graph, progress, cancel: self.cancel, text, threads, shards };
        let over = Over { cancel: self.cancel, failed: AtomicBool::new(false) };
        let (blocks, sound) = sync_channel(hear::BLOCKS_AHEAD);
        let (words, heard) = sync_channel(SHARDS_HEARD);
        let (over, tasks) = (&over, tasks.as_slice());
        thread::scope(|scope| {
            if let Some(ingest) = ingest {
                scope.spawn(move || hear::decode(ingest.as_mut(), tasks, &blocks, over));
            }
            scope.spawn(move || {
                let transcribe = transcribe.map(|stage| stage.as_mut() as _);
                hear::recognize(transcribe, tasks, &sound, &words, over, (progress, shards));
            });
            let done = reader.all(works, &heard);
            // Whatever the other two are at is not wanted any more.
            over.failed.store(!matches!(done, Ok(true)), Ordering::Relaxed);
            drop(heard);
            done
        })
    }
}

impl Work {
    /// Whether recordings are to be read: sound is not stored, so ingest runs wherever transcribe does.
    fn listens(&self) -> bool {
        self.wanted.contains(&StageName::Ingest) || self.wanted.contains(&StageName::Transcribe)
    }
}

/// Commits what was heard, and runs the stages over text.
struct Reader<'a> {
    store: &'a Store,
    graph: &'a Graph,
    progress: &'a dyn Progress,
    cancel: &'a AtomicBool,
    text: BTreeMap<StageName, &'a mut Box<dyn Stage>>,
    threads: ThreadPool,
    shards: usize,
}

impl<'a> Reader<'a> {
    fn all(&mut self, works: &[Work], heard: &Receiver<Heard>) -> Result<bool, PipelineError> {
        for (number, work) in (1..).zip(works) {
            if self.cancelled() {
                return Ok(false);
            }
            let heard = if work.listens() { heard.recv().map(Some) } else { Ok(None) };
            if self.cancelled() {
                return Ok(false);
            }
            let heard = heard.map_err(|_| panicked())?;
            if !self.work(work, heard, number)? {
                return Ok(false);
            }
            let calls = work.shard.recordings.len();
            self.progress.event(Event::Shard { calls, shard: number, shards: self.shards });
        }
        Ok(true)
    }

    /// Works on one shard; `false` when it was cut off.
    fn work(&mut self, work: &Work, heard: Option<Heard>, number: usize) -> Result<bool, PipelineError> {
        let mut tables = BTreeMap::new();
        let mut waiting = BTreeSet::new();
        let days = self.days(work)?;
        if heard.is_none() && !work.wanted.is_empty() {
            outcome::reopen(self.store, &work.shard.name)?;
        }
        if let Some(heard) = heard
            && let Some(broken) = self.commit_heard(work, &days, heard, &mut tables)?
        {
            waiting.extend(self.graph.from(broken));
        }
        let text = StageName::ALL.into_iter().filter(|name| work.wanted.contains(name));
        for name in text.filter(|name| self.text.contains_key(name)).collect::<Vec<_>>() {
            if waiting.contains(&name) {
                continue;
            }
            self.progress.event(Event::Stage { stage: name, shard: number, shards: self.shards });
            let began = Instant::now();
            let ended = self.read(work, &days, name, &mut tables)?;
            log::info!(
                "shard {number}/{} ({}): {name} took {:.2} s",
                self.shards,
                work.shard.name,
                began.elapsed().as_secs_f64()
            );
            match ended {
                Ended::Done => {}
                Ended::Broken => waiting.extend(self.graph.from(name)),
                Ended::Cancelled => return Ok(false),
            }
        }
        outcome::settle(self.store, &work.shard.name, &tables, &days)?;
        Ok(true)
    }

    /// The days of the shard's calls.
    fn days(&self, work: &Work) -> Result<Days, PipelineError> {
        let mut days = Days::default();
        days.learn(Table::Recordings, &to_batch(&work.shard.recordings).map_err(StageError::from)?);
        if !work.shard.absent.is_empty() {
            let stored = self.store.batches(&Key::new(Table::Calls, &work.shard.name))?;
            for batch in &stored {
                days.learn(Table::Calls, batch);
            }
        }
        Ok(days)
    }

    /// Commits calls and segments, and names the stage that could not run, if one could not.
    fn commit_heard(
        &self,
        work: &Work,
        days: &Days,
        heard: Heard,
        tables: &mut BTreeMap<Table, Vec<RecordBatch>>,
    ) -> Result<Option<StageName>, PipelineError> {
        let calls: Vec<String> = work.shard.recordings.iter().map(|r| r.call_id.clone()).collect();
        let mut commit = commit(self.store, work, &work.shard.absent, days);
        let (read, ingested) = heard.ingest;
        // Recordings whose store did not answer are read by the next run: what is written here counts as stale.
        let stale = BTreeMap::new();
        if read.failures.iter().any(|f| f.kind == FailureKind::Unavailable) {
            commit.fingerprints = &stale;
        }
        let ingest = self.node(StageName::Ingest)?;
        if let Err(e) = ingested {
            // What the recognizer heard until then is not the whole shard.
            if heard.transcribe.is_some() {
                commit.discard(self.node(StageName::Transcribe)?)?;
            }
            commit.write_broken(ingest, &calls, &e)?;
            return Ok(Some(StageName::Ingest));
        }
        let mut broken = None;
        if let Some((heard, transcribed)) = heard.transcribe {
            let transcribe = self.node(StageName::Transcribe)?;
            match transcribed {
                Ok(()) => tables.extend(commit.write(transcribe, heard)?),
                Err(e) => {
                    commit.write_broken(transcribe, &calls, &e)?;
                    broken = Some(StageName::Transcribe);
                }
            }
        }
        // The stamp of calls goes last: with it the shard counts as known.
        tables.extend(commit.write(ingest, read)?);
        Ok(broken)
    }

    /// A stage over text.
    fn read(
        &mut self,
        work: &Work,
        days: &Days,
        name: StageName,
        tables: &mut BTreeMap<Table, Vec<RecordBatch>>,
    ) -> Result<Ended, PipelineError> {
        let node = self.node(name)?;
        let shard = &work.shard.name;
        let mut failed = BTreeSet::new();
        for earlier in self.graph.before(name) {
            let errors = self.store.rows::<StageErrorRow>(&Key::errors(shard, earlier))?;
            failed.extend(errors.into_iter().map(|row| row.call_id));
        }
        let mut items = Vec::new();
        let mut calls = BTreeSet::new();
        for &table in &node.inputs {
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
        let Some(stage) = self.text.get_mut(&name) else { return Ok(Ended::Done) };
        let mut output = Output::default();
        let result = self.threads.install(|| guarded(stage.as_mut(), &mut items.into_iter(), &mut output));
        if self.cancelled() {
            return Ok(Ended::Cancelled);
        }
        let none = BTreeSet::new();
        let commit = commit(self.store, work, &none, days);
        match result {
            Ok(()) => {
                tables.extend(commit.write(node, output)?);
                Ok(Ended::Done)
            }
            Err(e) => {
                commit.write_broken(node, &calls.into_iter().collect::<Vec<_>>(), &e)?;
                Ok(Ended::Broken)
            }
        }
    }

    fn node(&self, name: StageName) -> Result<&'a Node, PipelineError> {
        self.graph.node(name).ok_or_else(|| PipelineError::Setup(format!("this pipeline has no stage {name}")))
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

fn commit<'a>(store: &'a Store, work: &'a Work, kept: &'a BTreeSet<String>, days: &'a Days) -> Commit<'a> {
    let (shard, fingerprints, inputs) = (work.shard.name.as_str(), &work.fingerprints, &work.inputs);
    Commit { store, shard, kept, fingerprints, inputs, days, now: chrono::Utc::now() }
}

/// Runs a stage; a panic that it did not keep to one call ends the stage and not the run.
pub(crate) fn guarded(
    stage: &mut dyn Stage,
    input: &mut dyn Iterator<Item = Item>,
    out: &mut dyn Sink,
) -> Result<(), StageError> {
    panic::catch_unwind(panic::AssertUnwindSafe(|| stage.run(input, out))).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> StageError {
    StageError::Internal("a bug in Nightcall; please report it with the place that the log names".into())
}
