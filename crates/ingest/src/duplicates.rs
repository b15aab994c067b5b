//! The same audio under two names.

use crate::{
    IngestConfig, IngestError,
    consent::{Verdict, verdict},
    source::Source,
};
use rayon::prelude::*;
use schema::{Call, Recording};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Marks recordings whose bytes, and audio track, are those of another: of equal ones the first heard counts, else the first
/// by `call_id`, and the others name it in `duplicate_of`.
///
/// `stored` are the calls of the store. Only recordings of one size can be equal: of those that share theirs with
/// another, the bytes are read and hashed, but for recordings whose hash the store has from the same version of the file.
/// What may not be heard in full is left out, and so never opened. A recording that cannot be read is left to the stage,
/// which says why.
pub fn mark_duplicates(recordings: &mut [Recording], stored: &[Call], config: &IngestConfig) {
    let by_id: HashMap<&str, &Call> = stored.iter().map(|call| (call.call_id.as_str(), call)).collect();
    let mut sizes: BTreeMap<i64, Vec<Member>> = BTreeMap::new();
    for (index, recording) in recordings.iter().enumerate() {
        let Some(size) = recording.byte_size.filter(|&size| size > 0 && recording.problem.is_none()) else { continue };
        if verdict(config.consent, &recording.participants) == Verdict::Open {
            let call = by_id.get(recording.call_id.as_str()).copied().filter(|call| {
                call.source_uri == recording.source_uri
                    && call.source_version.is_some()
                    && call.source_version == recording.source_version
            });
            sizes.entry(size).or_default().push(Member {
                recording: Some(index),
                call_id: recording.call_id.clone(),
                source_uri: recording.source_uri.clone(),
                track: recording.track.unwrap_or(0),
                hash: call.and_then(|call| call.content_sha256.clone()),
                heard: call.is_some_and(Call::is_heard),
            });
        }
    }
    let present: HashSet<&str> = recordings.iter().map(|r| r.call_id.as_str()).collect();
    for call in stored.iter().filter(|call| call.status == "ready" && !present.contains(call.call_id.as_str())) {
        if let (Some(members), Some(hash)) = (call.byte_size.and_then(|s| sizes.get_mut(&s)), &call.content_sha256) {
            members.push(Member {
                recording: None,
                call_id: call.call_id.clone(),
                source_uri: call.source_uri.clone(),
                track: call.track.unwrap_or(0),
                hash: Some(hash.clone()),
                heard: true,
            });
        }
    }
    let mut candidates: Vec<Member> = sizes.into_values().filter(|members| members.len() > 1).flatten().collect();
    candidates.par_iter_mut().filter(|m| m.hash.is_none()).for_each(|member| {
        member.hash = content_hash(&member.source_uri).ok();
    });
    let mut contents: BTreeMap<(String, i32), Vec<Member>> = BTreeMap::new();
    for member in candidates {
        if let Some(hash) = member.hash.clone() {
            contents.entry((hash, member.track)).or_default().push(member);
        }
    }
    for ((hash, _), mut members) in contents {
        members.sort_by(|a, b| (!a.heard, &a.call_id).cmp(&(!b.heard, &b.call_id)));
        let first = members[0].call_id.clone();
        for index in members[1..].iter().filter_map(|member| member.recording) {
            recordings[index].duplicate_of = Some(first.clone());
            recordings[index].content_sha256 = Some(hash.clone());
        }
    }
}

/// A recording that may be a duplicate, or what one may be a duplicate of.
struct Member {
    /// Where it stands among this run's recordings; none: it is in the store alone.
    recording: Option<usize>,
    call_id: String,
    source_uri: String,
    /// Audio track that is read: another one of the same file is another call.
    track: i32,
    hash: Option<String>,
    /// Whether the store has it transcribed.
    heard: bool,
}

fn content_hash(uri: &str) -> Result<String, IngestError> {
    Source::open(uri)?.hash().map_err(|source| IngestError::Io { path: uri.into(), source })
}
