//! What a store holds: done, stale, failed, refused.

use crate::{
    PipelineError,
    graph::Graph,
    plan::{self, Shard},
    runner::is_current,
};
use schema::{Call, Stage, StageErrorRow, Table};
use serde::Serialize;
use std::collections::BTreeSet;
use store::{Key, Store};

/// How many shards of a stage are in which state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageStatus {
    /// The stage.
    pub stage: String,
    /// Shards whose tables are those that this pipeline would write.
    pub done: usize,
    /// Shards whose tables were made from other inputs, by another configuration, version or model.
    pub stale: usize,
    /// Shards whose tables are not there.
    pub missing: usize,
    /// Calls that the stage could not finish.
    pub failed: usize,
}

/// A call that was refused, or that a stage could not finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The call.
    pub call_id: String,
    /// The stage.
    pub stage: String,
    /// refused, partial, duplicate, bad_input, unavailable, model, out_of_memory or internal.
    pub kind: String,
    /// Why, and the way out.
    pub message: String,
    /// The try that failed, from 1.
    pub attempt: i32,
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Calls in the store.
    pub calls: usize,
    /// Those whose every stage is done.
    pub done: usize,
    /// Those that a stage could not finish.
    pub failed: usize,
    /// Those that were never opened, for want of consent.
    pub refused: usize,
    /// Those heard without the channels of those who denied consent; counted as done as well.
    pub partial: usize,
    /// Those whose audio is that of another call, which is transcribed for both.
    pub duplicate: usize,
    /// Milliseconds of audio in the calls that are done.
    pub audio_ms: i64,
    /// Shards.
    pub shards: usize,
    /// Stage by stage, in order.
    pub stages: Vec<StageStatus>,
    /// Every call that is not done in full, sorted by `call_id`.
    pub troubles: Vec<Trouble>,
}

impl Status {
    /// Reads it off a store, held against these stages.
    pub fn of(store: &Store, stages: &[Box<dyn Stage>]) -> Result<Self, PipelineError> {
        let graph = Graph::new(stages)?;
        let mut status = Self {
            stages: graph
                .nodes()
                .iter()
                .map(|n| StageStatus { stage: n.name.to_string(), ..StageStatus::default() })
                .collect(),
            ..Self::default()
        };
        for key in store.list(Table::Calls)? {
            status.add_shard(store, &graph, &key)?;
        }
        for row in store.table::<StageErrorRow>()? {
            if let Some(stage) = status.stages.iter_mut().find(|s| s.stage == row.stage) {
                stage.failed += 1;
            }
            let StageErrorRow { call_id, stage, kind, message, attempt, .. } = row;
            status.troubles.push(Trouble { call_id, stage, kind, message, attempt });
        }
        status.troubles.sort_by(|a, b| a.call_id.cmp(&b.call_id));
        let failed: BTreeSet<&str> =
            status.troubles.iter().filter(|t| t.is_failure()).map(|t| t.call_id.as_str()).collect();
        status.failed = failed.len();
        Ok(status)
    }

    /// One call of a shard `key` of `calls` counts as done when all stages of the shard are and none gave it up.
    fn add_shard(&mut self, store: &Store, graph: &Graph, key: &Key) -> Result<(), PipelineError> {
        let calls = store.rows::<Call>(key)?;
        self.shards += 1;
        self.calls += calls.len();
        let inputs = store.stamp(key)?.map(|s| s.inputs).unwrap_or_default();
        let absent = calls.iter().map(|c| c.call_id.clone()).collect();
        let shard = Shard { name: key.shard().to_owned(), recordings: Vec::new(), absent };
        let fingerprints = plan::fingerprints(graph, &shard.inputs(&inputs, false));
        let mut all_done = true;
        let mut given_up = BTreeSet::new();
        for (node, state) in graph.nodes().iter().zip(&mut self.stages) {
            let stored = node.outputs.iter().filter(|t| t.stored());
            let mut there = true;
            for table in stored {
                there &= store.stamp(&Key::new(*table, key.shard()))?.is_some();
            }
            if is_current(store, key.shard(), &node.outputs, &fingerprints)? {
                state.done += 1;
            } else {
                all_done = false;
                if there { state.stale += 1 } else { state.missing += 1 }
            }
            for row in store.rows::<StageErrorRow>(&Key::errors(key.shard(), node.name))? {
                given_up.insert(row.call_id);
            }
        }
        for call in calls {
            let ready = all_done && !given_up.contains(&call.call_id) && call.is_heard();
            if ready {
                self.done += 1;
                self.audio_ms += call.duration_ms.unwrap_or_default();
            }
            match call.status.as_str() {
                REFUSED => self.refused += 1,
                PARTIAL => self.partial += 1,
                DUPLICATE => self.duplicate += 1,
                _ => continue,
            }
            self.troubles.push(Trouble {
                call_id: call.call_id,
                stage: schema::StageName::Ingest.to_string(),
                kind: call.status,
                message: call.status_reason.unwrap_or_default(),
                attempt: 1,
            });
        }
        Ok(())
    }
}

impl Trouble {
    /// Whether a stage could not finish the call; the others are as they are to be.
    pub fn is_failure(&self) -> bool {
        ![REFUSED, PARTIAL, DUPLICATE].contains(&self.kind.as_str())
    }
}

const REFUSED: &str = "refused";
const PARTIAL: &str = "partial";
const DUPLICATE: &str = "duplicate";
