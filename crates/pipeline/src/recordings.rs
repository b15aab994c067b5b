//! Recordings from a store instead of a folder: what `rerun` works on; and those of a run held against a store.

use crate::PipelineError;
use ingest::{IngestConfig, Version};
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
    let mut found = Vec::new();
    for key in store.list(Table::Calls)? {
        if calls.is_empty() || wanted.contains(&key.shard().to_owned()) {
            found.extend(store.rows::<Call>(&key)?);
        }
    }
    let uris: Vec<&str> = found.iter().map(|call| call.source_uri.as_str()).collect();
    let versions = ingest::versions_of(&uris)?;
    Ok(found.into_iter().zip(versions).map(|(call, version)| recording(call, version)).collect())
}

/// Marks recordings that are the same audio as another of this run or of the store, so that it is transcribed once.
pub fn mark_duplicates(
    store: &Store,
    recordings: &mut [Recording],
    config: &IngestConfig,
) -> Result<(), PipelineError> {
    ingest::mark_duplicates(recordings, &store.table::<Call>()?, config);
    Ok(())
}

fn recording(call: Call, version: Option<Version>) -> Recording {
    let (byte_size, source_version) = version.map(|v| (v.byte_size, v.version)).unzip();
    Recording {
        source_version,
        call_id: call.call_id,
        started_on: call.started_on,
        source_uri: call.source_uri,
        started_at: call.started_at,
        direction: call.direction,
        language: call.language,
        participants: call.participants,
        crm: call.crm,
        problem: None,
        byte_size,
        content_sha256: None,
        duplicate_of: None,
        track: call.track,
        r#match: call.r#match,
    }
}
