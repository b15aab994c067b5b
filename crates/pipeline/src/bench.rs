//! Parts of a run over what is in memory already, timed.

use crate::{Assembly, PipelineError, output::Output};
use schema::{Call, Item, Segment, Stage, StageError, StageName, Table, to_batch};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Embeds texts by the pipeline's sentence encoder, and says how long that took; loading is left out, tokenizing is not.
pub fn bench_encoder(assembly: &mut Assembly<'_>, texts: &[impl AsRef<str>]) -> Result<Duration, PipelineError> {
    let (encoder, _) = assembly.encoder()?;
    let began = Instant::now();
    let vectors = encoder.embed(texts).map_err(|e| PipelineError::Setup(e.to_string()))?;
    let took = began.elapsed();
    debug_assert_eq!(vectors.len(), texts.len());
    Ok(took)
}

/// Runs all stages over text on calls and their segments, shard by shard, and says how long that took; loading and the
/// store are left out.
pub fn bench_text(
    assembly: &mut Assembly<'_>,
    calls: &[(Call, Vec<Segment>)],
    shard_size: usize,
) -> Result<Duration, PipelineError> {
    let mut stages: Vec<Box<dyn Stage>> = StageName::ALL
        .into_iter()
        .filter(|name| !matches!(name, StageName::Ingest | StageName::Transcribe))
        .map(|name| assembly.stage(name))
        .collect::<Result<_, _>>()?;
    let mut took = Duration::ZERO;
    for shard in calls.chunks(shard_size.max(1)) {
        let rows: Vec<Call> = shard.iter().map(|(call, _)| call.clone()).collect();
        let segments: Vec<Segment> = shard.iter().flat_map(|(_, segments)| segments.clone()).collect();
        let mut tables = BTreeMap::from([
            (Table::Calls, vec![to_batch(&rows).map_err(StageError::from)?]),
            (Table::Segments, vec![to_batch(&segments).map_err(StageError::from)?]),
        ]);
        let began = Instant::now();
        for stage in &mut stages {
            let items = stage.inputs().iter().flat_map(|&table| {
                tables.get(&table).into_iter().flatten().map(move |batch| Item::Batch(table, batch.clone()))
            });
            let items: Vec<Item> = items.collect();
            let mut output = Output::default();
            stage.run(&mut items.into_iter(), &mut output)?;
            tables.extend(output.whole(stage.name())?);
        }
        took += began.elapsed();
    }
    Ok(took)
}
