//! Single stages over what is written down already: for evaluation.

use crate::{Assembly, PipelineError, RunOptions, output::Output};
use arrow::array::RecordBatch;
use schema::{Call, Item, Row, Stage, StageError, StageName, Table, Turn, from_batch, to_batch};
use std::collections::BTreeMap;
use summarize::{Dialogue, Line};

/// A call and its turns.
pub type Talk = (Call, Vec<Turn>);

/// Runs a stage over calls and their rows of another table, which is all that it reads, shard by shard, and returns its rows of a
/// table by `call_id`.
///
/// # Errors
/// A stage that cannot be made or run; a call that it could not finish.
pub fn rows_of<T: Row, R: Row + Clone>(
    assembly: &mut Assembly<'_>,
    stage: StageName,
    calls: &[(Call, Vec<R>)],
) -> Result<BTreeMap<String, Vec<T>>, PipelineError> {
    let mut stage = assembly.stage(stage)?;
    let mut found: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for shard in calls.chunks(RunOptions::default().shard_size.max(1)) {
        let mut tables = run(&mut *stage, shard)?;
        for batch in tables.remove(&T::TABLE).into_iter().flatten() {
            for row in from_batch::<T>(&batch).map_err(StageError::from)? {
                found.entry(row.call_id().to_owned()).or_default().push(row);
            }
        }
    }
    Ok(found)
}

fn run<R: Row + Clone>(
    stage: &mut dyn Stage,
    shard: &[(Call, Vec<R>)],
) -> Result<BTreeMap<Table, Vec<RecordBatch>>, StageError> {
    let calls: Vec<Call> = shard.iter().map(|(call, _)| call.clone()).collect();
    let rows: Vec<R> = shard.iter().flat_map(|(_, rows)| rows.clone()).collect();
    let items = [Item::Batch(Table::Calls, to_batch(&calls)?), Item::Batch(R::TABLE, to_batch(&rows)?)];
    let mut output = Output::default();
    stage.run(&mut items.into_iter(), &mut output)?;
    output.whole(stage.name())
}

/// A summary a talk, its points in the order of the call; `words` holds the most words of each, or none for what the pipeline says.
///
/// # Errors
/// A summarizer that cannot be made or run.
pub fn summarize(
    assembly: &mut Assembly<'_>,
    talks: &[Talk],
    words: &[Option<usize>],
) -> Result<Vec<String>, PipelineError> {
    let summarizer = assembly.summarizer()?;
    let dialogues: Vec<Dialogue> = talks
        .iter()
        .zip(words)
        .map(|((_, turns), &max_words)| {
            let role = |turn: &Turn| Some(turn.role.clone().unwrap_or_else(|| turn.speaker.clone()));
            let line = |turn: &Turn| Line { role: role(turn), text: turn.text.clone(), words: Vec::new() };
            Dialogue { lines: turns.iter().map(line).collect(), topics: Vec::new(), max_words }
        })
        .collect();
    let mut texts = Vec::with_capacity(dialogues.len());
    for shard in dialogues.chunks(RunOptions::default().shard_size.max(1)) {
        let points = summarizer.summarize(shard).map_err(|e| StageError::Model(e.to_string()))?;
        texts.extend(shard.iter().zip(points).map(|(dialogue, points)| summarize::text(&points, &dialogue.lines)));
    }
    Ok(texts)
}

/// How likely each turn of meetings would be noted as an action item (0..1), and the probability from which it counts as one.
///
/// # Errors
/// A model that is not installed or cannot be run.
pub fn action_items(assembly: &Assembly<'_>, talks: &[Talk]) -> Result<(Vec<Vec<f32>>, f32), PipelineError> {
    let likelihood = assembly.likelihood()?;
    let texts: Vec<Vec<&str>> =
        talks.iter().map(|(_, turns)| turns.iter().map(|turn| turn.text.as_str()).collect()).collect();
    let items = likelihood.action_items(&texts).map_err(|e| StageError::Model(e.to_string()))?;
    Ok((items, likelihood.threshold()))
}
