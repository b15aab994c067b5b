//! What a stage pushed for a shard: collected, put in order, committed.

use crate::{PipelineError, days::Days, graph::Node};
use arrow::{
    array::{Array, AsArray, RecordBatch, UInt64Array},
    compute::{concat_batches, take_record_batch},
};
use chrono::{DateTime, Utc};
use schema::{CallFailure, FailureKind, Fingerprint, Sink, StageError, StageErrorRow, StageName, Table, to_batch};
use std::collections::{BTreeMap, BTreeSet};
use store::{Key, Stamp, Store};

/// Rows and failures of one stage and shard.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub batches: BTreeMap<Table, Vec<RecordBatch>>,
    pub failures: Vec<CallFailure>,
}

impl Sink for Output {
    fn batch(&mut self, table: Table, batch: RecordBatch) -> Result<(), StageError> {
        if table.stored() {
            self.batches.entry(table).or_default().push(batch);
        }
        Ok(())
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        self.failures.push(failure);
        Ok(())
    }
}

impl Output {
    /// The tables, where every call was finished: for measuring, which leaves none out.
    pub fn whole(self, stage: StageName) -> Result<BTreeMap<Table, Vec<RecordBatch>>, StageError> {
        match self.failures.first() {
            None => Ok(self.batches),
            Some(failure) => {
                Err(StageError::Internal(format!("{stage} of call {}: {}", failure.call_id, failure.message)))
            }
        }
    }
}

/// Where and as what a stage's output is committed.
pub(crate) struct Commit<'a> {
    pub store: &'a Store,
    pub shard: &'a str,
    /// Calls whose stored rows are kept, since their recordings are not at hand.
    pub kept: &'a BTreeSet<String>,
    pub fingerprints: &'a BTreeMap<Table, Fingerprint>,
    /// For the stamp of `calls`.
    pub inputs: &'a crate::plan::Inputs,
    /// For the rows of every table.
    pub days: &'a Days,
    pub now: DateTime<Utc>,
}

impl Commit<'_> {
    /// Writes the stage's tables for the shard, its errors first, and returns the tables as they now stand.
    pub fn write(&self, node: &Node, mut output: Output) -> Result<BTreeMap<Table, Vec<RecordBatch>>, PipelineError> {
        let failed: BTreeSet<&str> = output.failures.iter().map(|f| f.call_id.as_str()).collect();
        self.write_errors(node.name, &output.failures)?;
        let mut written = BTreeMap::new();
        for &table in node.outputs.iter().filter(|t| t.stored()) {
            let key = Key::new(table, self.shard);
            let mut batches = output.batches.remove(&table).unwrap_or_default();
            // A recording that cannot be read is a row of calls all the same; every other table is silent about it.
            if table != Table::Calls {
                batches = select(&batches, |call| !failed.contains(call))?;
            }
            if !self.kept.is_empty() {
                batches.extend(select(&self.store.batches(&key)?, |call| self.kept.contains(call))?);
            }
            let batch = self.days.write(table, &in_call_order(table, &batches)?)?;
            let stamp = Stamp {
                stage: node.name.to_string(),
                fingerprint: self.fingerprints.get(&table).cloned().unwrap_or_else(|| Fingerprint::from_hex("")),
                models: node.models.clone(),
                inputs: if table == Table::Calls { self.inputs.clone() } else { BTreeMap::new() },
                open: table == Table::Calls,
            };
            self.store.write(&key, std::slice::from_ref(&batch), &stamp)?;
            written.insert(table, vec![batch]);
        }
        Ok(written)
    }

    /// Writes that a stage could not run on the shard at all. Its tables are deleted, so that the next run tries again.
    pub fn write_broken(&self, node: &Node, calls: &[String], error: &StageError) -> Result<(), PipelineError> {
        let kind = if matches!(error, StageError::Model(_)) { FailureKind::Model } else { FailureKind::Internal };
        let failures: Vec<_> = calls.iter().map(|call| CallFailure::new(call, kind, error)).collect();
        self.write_errors(node.name, &failures)?;
        self.discard(node)
    }

    /// Deletes the stage's tables of the shard.
    pub fn discard(&self, node: &Node) -> Result<(), PipelineError> {
        for &table in node.outputs.iter().filter(|t| t.stored()) {
            self.store.delete(&Key::new(table, self.shard))?;
        }
        Ok(())
    }

    fn write_errors(&self, stage: StageName, failures: &[CallFailure]) -> Result<(), PipelineError> {
        let key = Key::errors(self.shard, stage);
        let before = self.store.rows::<StageErrorRow>(&key)?;
        let attempt = |call: &str| before.iter().find(|row| row.call_id == call).map_or(1, |row| row.attempt + 1);
        let mut rows: Vec<StageErrorRow> = failures
            .iter()
            .map(|failure| StageErrorRow {
                call_id: failure.call_id.clone(),
                stage: stage.to_string(),
                kind: failure.kind.as_str().to_owned(),
                message: failure.message.clone(),
                attempt: attempt(&failure.call_id),
                at: self.now,
            })
            .collect();
        rows.extend(before.iter().filter(|row| self.kept.contains(&row.call_id)).cloned());
        rows.sort_by(|a, b| a.call_id.cmp(&b.call_id));
        rows.dedup_by(|a, b| a.call_id == b.call_id);
        if rows.is_empty() {
            return Ok(self.store.delete(&key)?);
        }
        let stamp = Stamp { stage: stage.to_string(), ..Stamp::default() };
        let batch = to_batch(&rows).map_err(StageError::from)?;
        Ok(self.store.write(&key, &[self.days.write(Table::StageErrors, &batch)?], &stamp)?)
    }
}

/// The rows of the calls that are wanted.
pub(crate) fn select(
    batches: &[RecordBatch],
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<RecordBatch>, PipelineError> {
    let mut selected = Vec::with_capacity(batches.len());
    for batch in batches {
        let calls = batch.column(0).as_string::<i32>();
        let rows: Vec<u64> = (0..calls.len()).filter(|&i| wanted(calls.value(i))).map(|i| i as u64).collect();
        selected.push(if rows.len() == batch.num_rows() {
            batch.clone()
        } else {
            take_record_batch(batch, &UInt64Array::from(rows)).map_err(arrow_error)?
        });
    }
    Ok(selected)
}

/// One batch, its rows in the order of `call_id`; the rows of a call keep theirs.
fn in_call_order(table: Table, batches: &[RecordBatch]) -> Result<RecordBatch, PipelineError> {
    let batch = concat_batches(&table.schema(), batches).map_err(arrow_error)?;
    let calls = batch.column(0).as_string::<i32>();
    let mut rows: Vec<u64> = (0..batch.num_rows() as u64).collect();
    rows.sort_by_key(|&i| calls.value(i as usize));
    take_record_batch(&batch, &UInt64Array::from(rows)).map_err(arrow_error)
}

fn arrow_error(e: arrow::error::ArrowError) -> PipelineError {
    PipelineError::Stage(StageError::Schema(e.into()))
}
