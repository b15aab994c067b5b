//! What a stage is: record batches in, record batches out.
//!
//! A stage owns no files, prints nothing and knows no other stage. It reads [`Item`]s until they end and pushes record
//! batches into a [`Sink`]. What goes wrong with one call is a [`CallFailure`] pushed into the same sink and costs that
//! call alone; a [`StageError`] ends the run of the shard (a model that cannot be loaded, a closed sink).
//!
//! ```text
//!   Item::Batch(table, batch) ─┐                ┌─► Sink::batch(table, batch)
//!   Item::Failed(call_id)     ─┴─► Stage::run ──┴─► Sink::fail(CallFailure)   ... one row in stage_errors
//! ```
//!
//! Memory: a stage over `audio` holds no more than its batch. Stages over text hold one shard's rows of their input
//! tables ([`Tables`]); rows of text are small. Cancellation: `Sink::batch` returns [`StageError::Closed`] once nobody
//! wants more, and the stage passes that on.

use crate::{Call, Fingerprint, ModelId, Row, SchemaError, Table, Turn, from_batch, to_batch};
use arrow::array::RecordBatch;
use std::{collections::BTreeMap, fmt, panic, str::FromStr};

/// The stages, in the order in which a call meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum StageName {
    Ingest,
    Transcribe,
    Flow,
    Summarize,
    Extract,
    Sentiment,
}

impl StageName {
    /// All stages.
    pub const ALL: [Self; 6] =
        [Self::Ingest, Self::Transcribe, Self::Flow, Self::Summarize, Self::Extract, Self::Sentiment];

    /// The name as typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Transcribe => "transcribe",
            Self::Flow => "flow",
            Self::Summarize => "summarize",
            Self::Extract => "extract",
            Self::Sentiment => "sentiment",
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StageName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.as_str() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("there is no stage {name}; the stages are {names}")
        })
    }
}

/// Why a call could not be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The recording or its row is at fault.
    BadInput,
    /// The recording's store does not answer; the next run tries again.
    Unavailable,
    /// A model is missing or refused its input.
    Model,
    /// Memory ran out.
    OutOfMemory,
    /// A bug of ours.
    Internal,
}

impl FailureKind {
    /// The value of `stage_errors.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::Unavailable => "unavailable",
            Self::Model => "model",
            Self::OutOfMemory => "out_of_memory",
            Self::Internal => "internal",
        }
    }
}

/// One call that a stage could not finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// The call.
    pub call_id: String,
    /// Whose fault it is.
    pub kind: FailureKind,
    /// What went wrong, with the value and the way out; never words of the call.
    pub message: String,
}

impl CallFailure {
    /// A failure of this call.
    pub fn new(call_id: impl Into<String>, kind: FailureKind, message: impl fmt::Display) -> Self {
        Self { call_id: call_id.into(), kind, message: message.to_string() }
    }
}

/// What ends a stage's run over a shard.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Nobody wants more output: the run was cancelled, or a later stage has ended.
    #[error("the output was closed")]
    Closed,
    /// A batch does not fit its table.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A model cannot be loaded or run at all.
    #[error("{0}")]
    Model(String),
    /// A bug of ours.
    #[error("{0}")]
    Internal(String),
}

/// What a stage reads.
#[derive(Clone, Debug)]
pub enum Item {
    /// Rows of one of its input tables. A call's rows of a table may come in several batches, in order.
    Batch(Table, RecordBatch),
    /// An earlier stage gave this call up: drop what is held of it and write nothing for it.
    Failed(String),
}

/// Where a stage's output goes.
pub trait Sink {
    /// Takes rows of one of the stage's output tables.
    fn batch(&mut self, table: Table, batch: RecordBatch) -> Result<(), StageError>;
    /// Takes a call that could not be finished. Rows already pushed for it are dropped by the runner.
    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError>;
}

impl dyn Sink + '_ {
    /// Pushes typed rows; no rows, no batch.
    pub fn rows<T: Row>(&mut self, rows: &[T]) -> Result<(), StageError> {
        if rows.is_empty() { Ok(()) } else { self.batch(T::TABLE, to_batch(rows)?) }
    }
}

/// A stage.
pub trait Stage: Send {
    /// Its name.
    fn name(&self) -> StageName;
    /// The tables that it reads.
    fn inputs(&self) -> &'static [Table];
    /// The tables that it writes.
    fn outputs(&self) -> &'static [Table];
    /// The models that it runs.
    fn models(&self) -> Vec<ModelId>;
    /// Version, configuration and models as one hash.
    fn fingerprint(&self) -> Fingerprint;
    /// Reads a shard's items to their end and pushes what it finds. Output rows come in the order of `call_id`, then of
    /// the table's own index. Can be called again for the next shard.
    fn run(&mut self, input: &mut dyn Iterator<Item = Item>, out: &mut dyn Sink) -> Result<(), StageError>;
}

/// One shard's input tables, collected: for the stages over text.
#[derive(Debug, Default)]
pub struct Tables {
    batches: BTreeMap<Table, Vec<RecordBatch>>,
    failed: Vec<String>,
}

impl Tables {
    /// Reads the items to their end.
    pub fn collect(input: &mut dyn Iterator<Item = Item>) -> Self {
        let mut tables = Self::default();
        for item in input {
            match item {
                Item::Batch(table, batch) => tables.batches.entry(table).or_default().push(batch),
                Item::Failed(call) => tables.failed.push(call),
            }
        }
        tables
    }

    /// The rows of a table, by call, in the order of `call_id`; rows keep their order. Calls given up are left out.
    pub fn by_call<T: Row>(&self) -> Result<BTreeMap<String, Vec<T>>, StageError> {
        let mut calls: BTreeMap<String, Vec<T>> = BTreeMap::new();
        for batch in self.batches.get(&T::TABLE).into_iter().flatten() {
            for row in from_batch::<T>(batch)? {
                if !self.failed.iter().any(|f| f == row.call_id()) {
                    calls.entry(row.call_id().to_owned()).or_default().push(row);
                }
            }
        }
        Ok(calls)
    }

    /// The turns by call, for stages that know English alone: a call in another language is given up and said. A call's
    /// language is that of most of its turns' words, else what the call list says; where neither is known it is taken as English.
    pub fn english(
        &self,
        stage: StageName,
        calls: &BTreeMap<String, Vec<Call>>,
        out: &mut dyn Sink,
    ) -> Result<BTreeMap<String, Vec<Turn>>, StageError> {
        let mut turns = self.by_call::<Turn>()?;
        let mut foreign = Vec::new();
        for (id, turns) in &turns {
            let mut words: BTreeMap<&str, usize> = BTreeMap::new();
            for turn in turns {
                if let Some(language) = &turn.language {
                    *words.entry(language).or_default() += turn.text.split_whitespace().count();
                }
            }
            let most = words.into_iter().max_by_key(|(_, count)| *count).map(|(language, _)| language);
            let listed = || calls.get(id)?.first()?.language.as_deref();
            if let Some(language) = most.or_else(listed)
                && !language.split(['-', '_']).next().is_some_and(|primary| primary.eq_ignore_ascii_case("en"))
            {
                let message = format!(
                    "call {id} is in the language \"{language}\", and {stage} reads English alone; its transcript and the tables of \
                     flow are there"
                );
                foreign.push(CallFailure::new(id, FailureKind::BadInput, message));
            }
        }
        for failure in foreign {
            turns.remove(&failure.call_id);
            out.fail(failure)?;
        }
        Ok(turns)
    }
}

/// Runs the work on one call; a panic in it becomes that call's failure, of kind internal. The panic's own message is
/// not kept: it may quote the call.
pub fn guard<T>(call_id: &str, work: impl FnOnce() -> Result<T, CallFailure>) -> Result<T, CallFailure> {
    panic::catch_unwind(panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let message = "a bug in Nightcall; please report it with the place that the log names";
        Err(CallFailure::new(call_id, FailureKind::Internal, message))
    })
}
