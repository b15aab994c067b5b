//! The stage graph: who writes what each stage reads.

use crate::PipelineError;
use schema::{Fingerprint, ModelId, Stage, StageName, Table};
use std::collections::BTreeSet;

/// A stage as the planner sees it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub name: StageName,
    pub inputs: Vec<Table>,
    pub outputs: Vec<Table>,
    pub fingerprint: Fingerprint,
    pub models: Vec<ModelId>,
}

/// The stages in an order in which each comes after those it reads from.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    /// Wires stages; one that reads what no earlier one writes is refused. `recordings` is there from the start.
    pub fn new(stages: &[Box<dyn Stage>]) -> Result<Self, PipelineError> {
        let mut nodes: Vec<Node> = Vec::with_capacity(stages.len());
        for stage in stages {
            let name = stage.name();
            for &table in stage.inputs() {
                if table != Table::Recordings && !nodes.iter().any(|n| n.outputs.contains(&table)) {
                    return Err(PipelineError::Wiring { stage: name, table: table.name() });
                }
            }
            nodes.push(Node {
                name,
                inputs: stage.inputs().to_vec(),
                outputs: stage.outputs().to_vec(),
                fingerprint: stage.fingerprint(),
                models: stage.models(),
            });
        }
        Ok(Self { nodes })
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The stage of this name, where there is one.
    pub fn node(&self, name: StageName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The stages whose failures keep a call from reaching this one, itself left out.
    pub fn before(&self, stage: StageName) -> BTreeSet<StageName> {
        let mut found = BTreeSet::new();
        let mut wanted: Vec<Table> =
            self.nodes.iter().filter(|n| n.name == stage).flat_map(|n| n.inputs.clone()).collect();
        while let Some(table) = wanted.pop() {
            for node in self.nodes.iter().filter(|n| n.outputs.contains(&table)) {
                if found.insert(node.name) {
                    wanted.extend(&node.inputs);
                }
            }
        }
        found
    }

    /// This stage and all that depend on it.
    pub fn from(&self, stage: StageName) -> BTreeSet<StageName> {
        let later = self.nodes.iter().map(|n| n.name).filter(|&n| n == stage || self.before(n).contains(&stage));
        later.collect()
    }
}

/// The tables that a stage reads and those that it writes, as the stage itself names them.
pub fn tables_of(stage: StageName) -> (&'static [Table], &'static [Table]) {
    match stage {
        StageName::Ingest => (ingest::Ingest::INPUTS, ingest::Ingest::OUTPUTS),
        StageName::Transcribe => (transcribe::Transcribe::INPUTS, transcribe::Transcribe::OUTPUTS),
        StageName::Flow => (flow::Flow::INPUTS, flow::Flow::OUTPUTS),
        StageName::Summarize => (summarize::Summarize::INPUTS, summarize::Summarize::OUTPUTS),
        StageName::Extract => (extract::Extract::INPUTS, extract::Extract::OUTPUTS),
        StageName::Sentiment => (sentiment::SentimentStage::INPUTS, sentiment::SentimentStage::OUTPUTS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: StageName, inputs: &[Table], outputs: &[Table]) -> Node {
        let fingerprint = Fingerprint::of([name.as_str().as_bytes()]);
        Node { name, inputs: inputs.to_vec(), outputs: outputs.to_vec(), fingerprint, models: vec![] }
    }

    #[test]
    fn a_failure_travels_along_the_tables() {
        use StageName::{Extract, Flow, Ingest, Summarize, Transcribe};
        let graph = Graph {
            nodes: vec![
                node(StageName::Ingest, &[Table::Recordings], &[Table::Audio, Table::Calls]),
                node(StageName::Transcribe, &[Table::Audio], &[Table::Segments]),
                node(StageName::Flow, &[Table::Calls, Table::Segments], &[Table::Turns, Table::Topics]),
                node(StageName::Summarize, &[Table::Turns, Table::Topics], &[Table::Summaries]),
                node(StageName::Extract, &[Table::Calls, Table::Turns], &[Table::Keywords]),
            ],
        };
        assert_eq!(graph.before(Extract), BTreeSet::from([Ingest, Transcribe, Flow]));
        assert_eq!(graph.before(Ingest), BTreeSet::new());
        assert_eq!(graph.from(Flow), BTreeSet::from([Flow, Summarize, Extract]));
        assert_eq!(graph.from(Extract), BTreeSet::from([Extract]));
    }
}
