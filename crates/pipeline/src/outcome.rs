//! What all stages together made of each call: the column `calls.outcome`.
//!
//! Ingest writes a call's row before anybody knows what the later stages come to, so the outcome is written when all of them
//! are done with the shard. Until then the object of `calls` is marked as open in its stamp: a run that is cut off leaves
//! the mark, and the next one settles what it finds.

use crate::{PipelineError, days::Days};
use arrow::{array::RecordBatch, compute::concat_batches};
use schema::{Call, FailureKind, Segment, StageError, StageErrorRow, StageName, Table, from_batch, to_batch};
use std::collections::BTreeMap;
use store::{Key, Store};

/// A word of less probability was guessed, and not understood.
const UNDERSTOOD: f32 = 0.5;

/// Understood words per minute of a call below which hardly anything was understood: people who talk say a hundred and more, and
/// a call that waits for nine tenths of its time still has ten.
const LEAST_WORDS_PER_MINUTE: f64 = 4.0;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Complete,
    Partial,
    NotUnderstood,
    Refused,
    Failed,
    Duplicate,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::NotUnderstood => "not_understood",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Duplicate => "duplicate",
        }
    }

    /// Of a call, the errors of its stages, and how many words of it were understood.
    fn of(call: &Call, errors: &[&StageErrorRow], words: usize) -> Self {
        match call.status.as_str() {
            "refused" => return Self::Refused,
            "duplicate" => return Self::Duplicate,
            "ready" | "partial" => {}
            _ => return Self::Failed,
        }
        let made = errors.iter().map(|row| {
            let kind = |wanted: FailureKind| row.kind == wanted.as_str();
            match row.stage.parse() {
                Ok(StageName::Transcribe) if kind(FailureKind::Model) => Self::NotUnderstood,
                Ok(StageName::Ingest | StageName::Transcribe) => Self::Failed,
                // The one input that a stage over text gives back is a language that it does not read.
                Ok(_) if kind(FailureKind::BadInput) => Self::NotUnderstood,
                _ => Self::Partial,
            }
        });
        let made: Vec<Self> = made.collect();
        for worst in [Self::Failed, Self::NotUnderstood] {
            if made.contains(&worst) {
                return worst;
            }
        }
        if is_audible(call) && hardly(words, call.duration_ms) {
            return Self::NotUnderstood;
        }
        let missing = call.damage.iter().flatten().any(|damage| damage.length_ms > 0);
        if call.status == "partial" || missing || made.contains(&Self::Partial) {
            Self::Partial
        } else {
            Self::Complete
        }
    }
}

/// Whether there is anything to be understood.
fn is_audible(call: &Call) -> bool {
    call.channels.as_ref().is_none_or(|channels| channels.iter().any(|channel| !channel.silent))
}

/// Whether so many words are hardly any for a call of that length.
fn hardly(words: usize, duration_ms: Option<i64>) -> bool {
    let minutes = duration_ms.unwrap_or(0) as f64 / 60_000.0;
    words == 0 || (words as f64) < minutes * LEAST_WORDS_PER_MINUTE
}

/// The words of a segment that were understood. Where the engine gave none, those of its text count, if it was sure of them.
fn understood(segment: &Segment) -> usize {
    if segment.words.is_empty() {
        let sure = segment.avg_logprob.exp() >= UNDERSTOOD;
        return if sure { segment.text.split_whitespace().count() } else { 0 };
    }
    segment.words.iter().filter(|word| word.probability >= UNDERSTOOD).count()
}

/// Marks a shard's calls as open, where they are there: its stages are about to run again.
pub(crate) fn reopen(store: &Store, shard: &str) -> Result<(), PipelineError> {
    let key = Key::new(Table::Calls, shard);
    let Some(mut stamp) = store.stamp(&key)?.filter(|stamp| !stamp.open) else { return Ok(()) };
    stamp.open = true;
    let mut calls = store.rows::<Call>(&key)?;
    for call in &mut calls {
        call.outcome = None;
    }
    Ok(store.write(&key, &[to_batch(&calls).map_err(StageError::from)?], &stamp)?)
}

/// Writes what became of the shard's calls, and their days into rows of stages that did not run this time. `tables` are those
/// that the run has at hand.
pub(crate) fn settle(
    store: &Store,
    shard: &str,
    tables: &BTreeMap<Table, Vec<RecordBatch>>,
    days: &Days,
) -> Result<(), PipelineError> {
    let key = Key::new(Table::Calls, shard);
    let Some(mut stamp) = store.stamp(&key)? else { return Ok(()) };
    let mut errors: BTreeMap<String, Vec<StageErrorRow>> = BTreeMap::new();
    for stage in StageName::ALL {
        let key = Key::errors(shard, stage);
        let batches = store.batches(&key)?;
        for row in rows::<StageErrorRow>(&batches)? {
            errors.entry(row.call_id.clone()).or_default().push(row);
        }
        redate(store, &key, Table::StageErrors, &batches, days)?;
    }
    let segments = Key::new(Table::Segments, shard);
    let batches = match tables.get(&Table::Segments) {
        Some(batches) => batches.clone(),
        None => store.batches(&segments)?,
    };
    redate(store, &segments, Table::Segments, &batches, days)?;
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    for segment in rows::<Segment>(&batches)? {
        *words.entry(segment.call_id.clone()).or_default() += understood(&segment);
    }
    let mut calls: Vec<Call> = match tables.get(&Table::Calls) {
        Some(batches) => rows(batches)?,
        None => store.rows(&key)?,
    };
    let mut changed = stamp.open;
    for call in &mut calls {
        let errors: Vec<&StageErrorRow> = errors.get(&call.call_id).into_iter().flatten().collect();
        let outcome = Outcome::of(call, &errors, words.get(&call.call_id).copied().unwrap_or(0));
        let outcome = Some(outcome.as_str().to_owned());
        changed |= call.outcome != outcome;
        call.outcome = outcome;
    }
    if changed {
        stamp.open = false;
        store.write(&key, &[to_batch(&calls).map_err(StageError::from)?], &stamp)?;
    }
    Ok(())
}

/// Writes an object again where the days of its calls are others than its rows say.
fn redate(store: &Store, key: &Key, table: Table, batches: &[RecordBatch], days: &Days) -> Result<(), PipelineError> {
    let schema_error = |e: arrow::error::ArrowError| StageError::Schema(e.into());
    let batch = concat_batches(&table.schema(), batches).map_err(schema_error)?;
    let dated = days.write(table, &batch)?;
    if dated != batch
        && let Some(stamp) = store.stamp(key)?
    {
        store.write(key, &[dated], &stamp)?;
    }
    Ok(())
}

fn rows<T: schema::Row>(batches: &[RecordBatch]) -> Result<Vec<T>, StageError> {
    let mut all = Vec::new();
    for batch in batches {
        all.extend(from_batch::<T>(batch)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(status: &str, duration_ms: i64, silent: bool) -> Call {
        let channel = json!({"channel": 0, "clipped": false, "quiet": false, "silent": silent, "crosstalk": 0.0});
        serde_json::from_value(json!({
            "call_id": "1", "source_uri": "", "participants": [], "crm": {}, "status": status, "duration_ms": duration_ms,
            "channels": [channel],
        }))
        .unwrap()
    }

    fn error(stage: &str, kind: &str) -> StageErrorRow {
        StageErrorRow {
            call_id: "1".into(),
            stage: stage.into(),
            kind: kind.into(),
            message: String::new(),
            attempt: 1,
            at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_became_of_a_call() {
        let minute = 60_000;
        for (status, errors, words, wanted) in [
            ("ready", vec![], 100, "complete"),
            ("ready", vec![], 4, "complete"),
            ("ready", vec![], 3, "not_understood"),
            ("ready", vec![], 0, "not_understood"),
            ("refused", vec![], 0, "refused"),
            ("duplicate", vec![], 0, "duplicate"),
            ("failed", vec![("ingest", "bad_input")], 0, "failed"),
            ("failed", vec![("ingest", "unavailable")], 0, "failed"),
            ("partial", vec![], 100, "partial"),
            ("partial", vec![], 0, "not_understood"),
            ("ready", vec![("transcribe", "model")], 0, "not_understood"),
            ("ready", vec![("transcribe", "internal")], 0, "failed"),
            ("ready", vec![("transcribe", "out_of_memory")], 0, "failed"),
            ("ready", vec![("flow", "internal")], 100, "partial"),
            ("ready", vec![("summarize", "bad_input"), ("extract", "bad_input")], 100, "not_understood"),
            ("ready", vec![("extract", "internal"), ("sentiment", "internal")], 100, "partial"),
            ("partial", vec![("transcribe", "internal")], 0, "failed"),
        ] {
            let errors: Vec<StageErrorRow> = errors.into_iter().map(|(stage, kind)| error(stage, kind)).collect();
            let found = Outcome::of(&call(status, minute, false), &errors.iter().collect::<Vec<_>>(), words);
            assert_eq!(found.as_str(), wanted, "{status}, {errors:?}, {words} words");
        }
    }

    #[test]
    fn silence_is_understood_and_missing_sound_is_not_complete() {
        assert_eq!(Outcome::of(&call("ready", 60_000, true), &[], 0), Outcome::Complete);
        let mut damaged = call("ready", 60_000, false);
        let damage = |length_ms| Some(vec![schema::Damage { kind: "cut".into(), at_ms: 60_000, length_ms }]);
        damaged.damage = damage(0);
        assert_eq!(Outcome::of(&damaged, &[], 100), Outcome::Complete);
        damaged.damage = damage(1);
        assert_eq!(Outcome::of(&damaged, &[], 100), Outcome::Partial);
        // A word in a call of four seconds is a word in time; one in half a minute is not.
        assert_eq!(Outcome::of(&call("ready", 4000, false), &[], 1), Outcome::Complete);
        assert_eq!(Outcome::of(&call("ready", 30_000, false), &[], 1), Outcome::NotUnderstood);
    }

    #[test]
    fn guessed_words_are_not_understood() {
        let word = |probability: f32| json!({"text": "a", "start_ms": 0, "end_ms": 1, "probability": probability});
        let segment = |words: &[f32], text: &str, avg_logprob: f32| -> Segment {
            let words: Vec<_> = words.iter().map(|&p| word(p)).collect();
            serde_json::from_value(json!({
                "call_id": "1", "channel": 0, "segment_index": 0, "start_ms": 0, "end_ms": 1, "text": text,
                "avg_logprob": avg_logprob, "words": words, "engine": "x",
            }))
            .unwrap()
        };
        assert_eq!(understood(&segment(&[0.9, 0.2, 0.5], "a a a", -0.1)), 2);
        assert_eq!(understood(&segment(&[], "a b", -0.1)), 2);
        assert_eq!(understood(&segment(&[], "a b", -2.0)), 0);
    }
}
