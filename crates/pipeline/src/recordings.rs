//! Recordings from a store instead of a folder: what `rerun` works on; and those of a run held against a store.

use crate::PipelineError;
use ingest::{BARRED, Discovery, IngestConfig, Version};
use schema::{Call, FailureKind, Recording, StageErrorRow, Table};
use std::collections::{BTreeMap, BTreeSet, HashSet};
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
    // Stores that did not answer are asked again; what a list said against a recording stands until a list is read again.
    let silent = FailureKind::Unavailable.as_str();
    let errors = store.table::<StageErrorRow>()?;
    let silent: HashSet<&str> = errors.iter().filter(|e| e.kind == silent).map(|e| e.call_id.as_str()).collect();
    let uris: Vec<&str> = found.iter().map(|call| call.source_uri.as_str()).collect();
    let versions = ingest::versions_of(&uris)?;
    let again = |(call, version): (Call, Option<Version>)| {
        let again = silent.contains(call.call_id.as_str());
        recording(call, version, again)
    };
    Ok(found.into_iter().zip(versions).map(again).collect())
}

/// Adds the calls of the store that a denial reaches though their recordings are no part of this run, or are in it under
/// another `call_id`: what the store has of them is to go.
pub fn withdraw(store: &Store, found: &mut Discovery) -> Result<(), PipelineError> {
    let calls = store.table::<Call>()?;
    let stored: BTreeMap<&str, &Call> = calls.iter().map(|call| (call.call_id.as_str(), call)).collect();
    for mut recording in std::mem::take(&mut found.withdrawn) {
        if let Some(call) = stored.get(recording.call_id.as_str()) {
            recording.source_uri.clone_from(&call.source_uri);
            found.recordings.push(recording);
        }
    }
    let present: HashSet<String> = found.recordings.iter().map(|r| r.call_id.clone()).collect();
    let denies = |r: &&Recording| {
        r.r#match.as_deref() == Some(BARRED) || r.participants.iter().any(|person| person.consent == "denied")
    };
    let denied: BTreeMap<&str, &Recording> =
        found.recordings.iter().filter(denies).map(|r| (r.source_uri.as_str(), r)).collect();
    let earlier = calls.iter().filter(|call| call.is_heard() && !present.contains(&call.call_id));
    let earlier: Vec<Recording> = earlier
        .filter_map(|call| {
            let now = *denied.get(call.source_uri.as_str())?;
            let reason = format!("this recording is now the call {}, which may not be heard", now.call_id);
            let (call_id, problem) = (call.call_id.clone(), Some(reason));
            Some(Recording { call_id, problem, r#match: Some(BARRED.into()), ..now.clone() })
        })
        .collect();
    found.recordings.extend(earlier);
    found.recordings.sort_by(|a, b| a.call_id.cmp(&b.call_id));
    Ok(())
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

/// `again`: whether the store that holds it did not answer.
fn recording(call: Call, version: Option<Version>, again: bool) -> Recording {
    // The list's row is not read again: what it said against opening the recording still holds.
    let listed = call.r#match.as_deref();
    let unopened = call.status == "failed" && call.content_sha256.is_none() && call.byte_size.is_some() && !again;
    let problem = call.status_reason.filter(|_| listed == Some(BARRED) || listed.is_some() && unopened);
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
        problem,
        byte_size,
        content_sha256: None,
        duplicate_of: None,
        track: call.track,
        r#match: call.r#match,
    }
}
