//! Topics of a call, turn by turn.

use super::lines::Line;
use crate::{
    metrics::boundaries::{half_length, pk, window_diff},
    transcript::TranscriptTurn,
};
use serde::{Deserialize, Serialize};

/// A turn and the topic that it belongs to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TopicTurn {
    /// The turn.
    #[serde(flatten)]
    pub turn: TranscriptTurn,
    /// Any name; another name begins another topic.
    pub topic: String,
    /// Its kind as in the table `topics`, such as pricing, where known.
    #[serde(default)]
    pub kind: Option<String>,
}

/// A call whose turns have topics.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FlowItem {
    /// Its name in the set.
    #[serde(default)]
    pub id: String,
    /// What was said.
    pub turns: Vec<TopicTurn>,
}

impl Line for FlowItem {
    const FORM: &'static str = r#"item, {"turns": [{"role": ..., "text": ..., "topic": ...}]}"#;
}

/// What was said of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidTopic {
    /// Another number begins another topic.
    pub topic: usize,
    /// Its kind.
    #[serde(default)]
    pub kind: String,
}

/// What was said of an item, beside its topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidFlow {
    /// The item.
    #[serde(default)]
    pub id: String,
    /// The topics that are meant.
    #[serde(default)]
    pub topics: Vec<String>,
    /// A turn each.
    pub turns: Vec<SaidTopic>,
}

impl Line for SaidFlow {
    const FORM: &'static str = r#"flow, {"turns": [{"topic": 0, "kind": "body"}]}"#;
}

/// What `nightcall eval flow --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowReport {
    /// How often two turns, half a mean topic apart, are wrongly said to be of one topic or of two.
    pub pk: f64,
    /// How often there are too many or too few boundaries between such turns.
    pub window_diff: f64,
    /// Pk of a call that is all one topic.
    pub pk_of_one_topic: f64,
    /// Share of the turns with a kind whose kind was said; none where no turn has one.
    pub kind_accuracy: Option<f64>,
    /// Topics that are meant.
    pub topics: usize,
    /// Topics that were said.
    pub said: usize,
    /// Turns.
    pub items: usize,
}

impl FlowReport {
    /// Scores what was said of each item, in their order. Each item is compared over half the mean length of its own topics.
    pub fn new(items: &[FlowItem], said: &[SaidFlow]) -> Self {
        let [mut by_pk, mut by_diff, mut by_one] = [(0, 0); 3];
        let (mut kinds, mut hits, mut topics, mut found) = (0, 0, 0, 0);
        let add = |sum: &mut (usize, usize), (errors, all): (usize, usize)| *sum = (sum.0 + errors, sum.1 + all);
        for (item, said) in items.iter().zip(said) {
            let meant: Vec<&str> = item.turns.iter().map(|turn| turn.topic.as_str()).collect();
            let parting: Vec<usize> = said.turns.iter().map(|turn| turn.topic).collect();
            let apart = half_length(&meant);
            add(&mut by_pk, pk(&meant, &parting, apart));
            add(&mut by_diff, window_diff(&meant, &parting, apart));
            add(&mut by_one, pk(&meant, &vec![0; meant.len()], apart));
            topics += meant.chunk_by(PartialEq::eq).count();
            found += parting.chunk_by(PartialEq::eq).count();
            for (turn, said) in item.turns.iter().zip(&said.turns) {
                if let Some(kind) = &turn.kind {
                    kinds += 1;
                    hits += usize::from(*kind == said.kind);
                }
            }
        }
        let share = |(errors, all): (usize, usize)| if all > 0 { errors as f64 / all as f64 } else { 0.0 };
        Self {
            pk: share(by_pk),
            window_diff: share(by_diff),
            pk_of_one_topic: share(by_one),
            kind_accuracy: (kinds > 0).then(|| share((hits, kinds))),
            topics,
            said: found,
            items: items.iter().map(|item| item.turns.len()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_in_its_place_and_one_that_is_missed() {
        let item: FlowItem = serde_json::from_value(serde_json::json!({"turns": [
            {"role": "agent", "text": "a", "topic": "x", "kind": "pricing"},
            {"role": "agent", "text": "b", "topic": "x"},
            {"role": "agent", "text": "c", "topic": "y", "kind": "closing"},
            {"role": "agent", "text": "d", "topic": "y"},
        ]}))
        .unwrap();
        let said = |topics: [usize; 4]| {
            let turns = topics.map(|topic| SaidTopic { topic, kind: "pricing".into() }).into();
            FlowReport::new(std::slice::from_ref(&item), &[SaidFlow { turns, ..SaidFlow::default() }])
        };
        let right = said([0, 0, 1, 1]);
        assert_eq!((right.pk, right.window_diff, right.topics, right.said, right.items), (0.0, 0.0, 2, 2, 4));
        assert_eq!(right.kind_accuracy, Some(0.5));
        let one = said([0, 0, 0, 0]);
        assert!((one.pk - 1.0 / 3.0).abs() < 1e-9 && one.pk == one.pk_of_one_topic, "{one:?}");
    }
}
