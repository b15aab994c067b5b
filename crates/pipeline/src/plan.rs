//! What is to be done: which calls share a shard, and what each of a shard's tables depends on.
//!
//! A call stays in the shard it was first given. New calls are sorted by their day and `call_id` and cut into new shards,
//! whose names are hashes of their calls; so a run that was cut off and is begun again plans the very same shards.

use crate::graph::Graph;
use schema::{Fingerprint, Recording, StageName, Table};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Of what each call was made: hashes by name (`row`, `audio`, `version`), kept in the stamp of `calls`.
pub(crate) type Inputs = BTreeMap<String, BTreeMap<String, String>>;

const ROW: &str = "row";
const AUDIO: &str = "audio";
/// Of the recording alone.
const VERSION: &str = "version";

/// A group of calls that are worked on and committed together.
#[derive(Debug)]
pub(crate) struct Shard {
    pub name: String,
    /// The recordings of this run, sorted by `call_id`.
    pub recordings: Vec<Recording>,
    /// Calls that lie in the shard and are not among this run's recordings: their rows are kept.
    pub absent: BTreeSet<String>,
}

/// Groups recordings into shards. `assigned` says which shard a call lies in already.
pub(crate) fn shards(
    mut recordings: Vec<Recording>,
    assigned: &BTreeMap<String, String>,
    shard_size: usize,
) -> Vec<Shard> {
    // Calls of one day lie together, so that a query for some days need not read the others.
    recordings.sort_by(|a, b| (a.started_on, &a.call_id).cmp(&(b.started_on, &b.call_id)));
    let mut old: BTreeMap<String, Vec<Recording>> = BTreeMap::new();
    let mut new = Vec::new();
    for recording in recordings {
        match assigned.get(&recording.call_id) {
            Some(shard) => old.entry(shard.clone()).or_default().push(recording),
            None => new.push(recording),
        }
    }
    let mut shards: Vec<Shard> = old
        .into_iter()
        .map(|(name, recordings)| {
            let recordings = by_call(recordings);
            let present: BTreeSet<&str> = recordings.iter().map(|r| r.call_id.as_str()).collect();
            let members = assigned.iter().filter(|(_, shard)| **shard == name).map(|(call, _)| call);
            let absent = members.filter(|call| !present.contains(call.as_str())).cloned().collect();
            Shard { name, recordings, absent }
        })
        .collect();
    for group in new.chunks(shard_size.max(1)) {
        let group = by_call(group.to_vec());
        let digest = Fingerprint::of(group.iter().map(|r| r.call_id.as_bytes()));
        let name = digest.as_str()[..12].to_owned();
        shards.push(Shard { name, recordings: group, absent: BTreeSet::new() });
    }
    shards
}

fn by_call(mut recordings: Vec<Recording>) -> Vec<Recording> {
    recordings.sort_by(|a, b| a.call_id.cmp(&b.call_id));
    recordings
}

impl Shard {
    /// What each call is made from: hashed for this run's recordings, remembered for the absent ones. Where the recordings were
    /// read from the store (`stored`), a call whose recording is the same one is made from what it was made from: ingest wrote
    /// into its row what no list had said, such as the roles of its channels.
    pub fn inputs(&self, remembered: &Inputs, stored: bool) -> Inputs {
        let mut inputs: Inputs =
            self.absent.iter().filter_map(|call| Some((call.clone(), remembered.get(call)?.clone()))).collect();
        for recording in &self.recordings {
            let version = hash(&(&recording.source_uri, &recording.source_version));
            let known = remembered.get(&recording.call_id);
            if let Some(known) = known.filter(|known| stored && known.get(VERSION) == Some(&version)) {
                inputs.insert(recording.call_id.clone(), known.clone());
                continue;
            }
            let participants = &recording.participants;
            let granted = participants.iter().all(|p| p.consent == "granted");
            let channels: Vec<_> = participants.iter().map(|p| (p.channel, &p.role, p.consent == "denied")).collect();
            let audio = (
                (&recording.source_uri, &recording.source_version, &recording.language, &recording.problem),
                (granted, channels, recording.track, &recording.duplicate_of),
            );
            let hashes = [(ROW, hash(recording)), (AUDIO, hash(&audio)), (VERSION, version)];
            let hashes = hashes.into_iter().map(|(name, hash)| (name.to_owned(), hash)).collect();
            inputs.insert(recording.call_id.clone(), hashes);
        }
        inputs
    }
}

fn hash(value: &impl Serialize) -> String {
    Fingerprint::of([serde_json::to_vec(value).unwrap_or_default().as_slice()]).to_string()
}

/// The fingerprint of every table of a shard: the stage's own, and those of the tables that it reads.
pub(crate) fn fingerprints(graph: &Graph, inputs: &Inputs) -> BTreeMap<Table, Fingerprint> {
    let of_inputs = |name: &str| {
        let parts = inputs.iter().flat_map(|(call, hashes)| {
            [call.as_bytes(), hashes.get(name).map_or(&b""[..], |h| h.as_bytes())].into_iter()
        });
        Fingerprint::of(parts)
    };
    let mut tables = BTreeMap::new();
    for node in graph.nodes() {
        for &table in &node.outputs {
            let fingerprint = if node.name == StageName::Ingest {
                // Sound does not depend on CRM columns or names: a call is not recognized again when those change.
                let inputs = of_inputs(if table == Table::Audio { AUDIO } else { ROW });
                Fingerprint::of([node.fingerprint.as_str().as_bytes(), inputs.as_str().as_bytes()])
            } else {
                let upstream = node.inputs.iter().filter_map(|t| tables.get(t)).map(Fingerprint::as_str);
                Fingerprint::of(std::iter::once(node.fingerprint.as_str()).chain(upstream).map(str::as_bytes))
            };
            tables.insert(table, fingerprint);
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(call_id: &str) -> Recording {
        Recording {
            call_id: call_id.into(),
            started_on: None,
            source_uri: format!("{call_id}.wav"),
            source_version: Some("1".into()),
            started_at: None,
            direction: None,
            language: None,
            participants: vec![],
            crm: BTreeMap::new(),
            problem: None,
            byte_size: None,
            content_sha256: None,
            duplicate_of: None,
            track: None,
            r#match: None,
        }
    }

    fn names(shards: &[Shard]) -> Vec<Vec<&str>> {
        shards.iter().map(|s| s.recordings.iter().map(|r| r.call_id.as_str()).collect()).collect()
    }

    #[test]
    fn new_calls_are_cut_in_order_whatever_order_they_come_in() {
        let a = shards(["c", "a", "b"].map(recording).to_vec(), &BTreeMap::new(), 2);
        let b = shards(["b", "c", "a"].map(recording).to_vec(), &BTreeMap::new(), 2);
        assert_eq!(names(&a), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(a.iter().map(|s| &s.name).collect::<Vec<_>>(), b.iter().map(|s| &s.name).collect::<Vec<_>>());
    }

    #[test]
    fn calls_of_a_day_share_a_shard() {
        let on = |call: &str, day: &str| Recording { started_on: day.parse().ok(), ..recording(call) };
        let calls = [
            on("a", "2026-03-03"),
            on("b", "2026-03-02"),
            on("c", "2026-03-03"),
            on("d", "2026-03-02"),
            recording("e"),
        ];
        assert_eq!(names(&shards(calls.to_vec(), &BTreeMap::new(), 2)), [vec!["b", "e"], vec!["a", "d"], vec!["c"]]);
        assert_eq!(names(&shards(calls[..4].to_vec(), &BTreeMap::new(), 2)), [vec!["b", "d"], vec!["a", "c"]]);
    }

    #[test]
    fn a_cut_off_run_plans_the_same_shards_again() {
        let all = || ["a", "b", "c", "d", "e"].map(recording).to_vec();
        let whole = shards(all(), &BTreeMap::new(), 2);
        let done = BTreeMap::from(["a", "b"].map(|c| (c.to_owned(), whole[0].name.clone())));
        let again = shards(all(), &done, 2);
        assert_eq!(
            whole.iter().map(|s| &s.name).collect::<Vec<_>>(),
            again.iter().map(|s| &s.name).collect::<Vec<_>>()
        );
    }

    #[test]
    fn calls_that_are_not_in_this_run_are_kept() {
        let assigned = BTreeMap::from(["a", "b"].map(|c| (c.to_owned(), "s".to_owned())));
        let found = shards(vec![recording("b"), recording("z")], &assigned, 64);
        assert_eq!(found[0].absent, BTreeSet::from(["a".to_owned()]));
        assert_eq!(names(&found), [vec!["b"], vec!["z"]]);
        let remembered = Inputs::from([("a".to_owned(), BTreeMap::from([(ROW.to_owned(), "1".to_owned())]))]);
        let inputs = found[0].inputs(&remembered, false);
        assert_eq!(inputs["a"], remembered["a"]);
        assert!(inputs.contains_key("b"));
    }

    #[test]
    fn a_call_from_the_store_is_made_from_what_it_was_made_from() {
        let shard = |r: Recording| Shard { name: "s".into(), recordings: vec![r], absent: BTreeSet::new() };
        let first = shard(recording("a")).inputs(&Inputs::new(), false);
        let mut again = recording("a");
        again.language = Some("en".into());
        assert_eq!(shard(again.clone()).inputs(&first, true), first);
        assert_ne!(shard(again.clone()).inputs(&first, false)["a"][AUDIO], first["a"][AUDIO]);
        again.source_version = Some("2".into());
        assert_ne!(shard(again).inputs(&first, true)["a"][AUDIO], first["a"][AUDIO], "the recording is another");
    }

    #[test]
    fn a_crm_column_changes_the_row_and_not_the_audio() {
        let shard = |crm: &str| {
            let mut r = recording("a");
            r.crm.insert("stage".into(), Some(crm.into()));
            Shard { name: "s".into(), recordings: vec![r], absent: BTreeSet::new() }.inputs(&Inputs::new(), false)
        };
        let (a, b) = (shard("won"), shard("lost"));
        assert_ne!(a["a"][ROW], b["a"][ROW]);
        assert_eq!(a["a"][AUDIO], b["a"][AUDIO]);
    }
}
