//! Recordings from a store instead of a folder: what `rerun` works on.

use crate::PipelineError;
use schema::{Call, Recording, Table};
use std::collections::BTreeSet;
use store::Store;

/// The recordings behind the calls of a store, all or those of the shards that hold `calls`. A recording that is no
/// longer where it was is left out: its rows are kept as they are.
pub fn recordings_of(store: &Store, calls: &[String]) -> Result<Vec<Recording>, PipelineError> {
    let shards = store.shards()?;
    for call in calls {
        if !shards.contains_key(call) {
            return Err(PipelineError::Setup(format!("{}: there is no call {call}", store.location())));
        }
    }
    let wanted: BTreeSet<&String> = calls.iter().filter_map(|call| shards.get(call)).collect();
    let mut recordings = Vec::new();
    for key in store.list(Table::Calls)? {
        if !calls.is_empty() && !wanted.contains(&key.shard().to_owned()) {
            continue;
        }
        recordings.extend(store.rows::<Call>(&key)?.into_iter().map(recording));
    }
    Ok(recordings)
}

fn recording(call: Call) -> Recording {
    Recording {
        source_version: ingest::version_of(&call.source_uri),
        call_id: call.call_id,
        source_uri: call.source_uri,
        started_at: call.started_at,
        direction: call.direction,
        language: call.language,
        participants: call.participants,
        crm: call.crm,
        problem: None,
        track: call.track,
    }
}
