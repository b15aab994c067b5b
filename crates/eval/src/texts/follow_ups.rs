//! Follow-ups, turn by turn.

use super::lines::Line;
use crate::metrics::labels::Counts;
use serde::{Deserialize, Serialize};

/// A turn that is, or is not, part of a follow-up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LabelledTurn {
    /// Who.
    #[serde(default)]
    pub role: Option<String>,
    /// The words.
    pub text: String,
    /// Whether it is part of a follow-up.
    pub label: bool,
}

/// A dialogue whose turns are labelled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FollowUpItem {
    /// Its name in the set.
    #[serde(default)]
    pub id: String,
    /// What was said.
    pub turns: Vec<LabelledTurn>,
}

impl Line for FollowUpItem {
    const FORM: &'static str = r#"item, {"turns": [{"text": ..., "label": true}]}"#;
}

/// Confidence of each turn of an item, 0..1, beside its label.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SaidFollowUps {
    /// The item.
    #[serde(default)]
    pub id: String,
    /// The labels.
    #[serde(default)]
    pub labels: Vec<bool>,
    /// A turn is said to be part of a follow-up from the threshold on.
    pub scores: Vec<f32>,
}

impl Line for SaidFollowUps {
    const FORM: &'static str = r#"follow-ups, {"scores": [0.5]}"#;
}

/// What `nightcall eval follow-ups --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FollowUpReport {
    /// Share of the turns that were found that are labelled.
    pub precision: f64,
    /// Share of the labelled turns that were found.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Confidence from which a turn counts as found.
    pub threshold: f64,
    /// Turns.
    pub items: usize,
}

impl FollowUpReport {
    /// Scores what was said of each item, in their order.
    pub fn new(items: &[FollowUpItem], said: &[SaidFollowUps], threshold: f64) -> Self {
        let mut counts = Counts::default();
        let turns = items.iter().zip(said).flat_map(|(item, said)| item.turns.iter().zip(&said.scores));
        for (turn, &score) in turns {
            // A score of f32 is not below the same number in f64 by its rounding.
            let found = score >= threshold as f32 && score > 0.0;
            counts.said += usize::from(found);
            counts.meant += usize::from(turn.label);
            counts.hits += usize::from(found && turn.label);
        }
        Self {
            precision: counts.precision(),
            recall: counts.recall(),
            f1: counts.f1(),
            threshold,
            items: items.iter().map(|item| item.turns.len()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_from_the_threshold_on_count() {
        let turn = |label| LabelledTurn { role: None, text: String::new(), label };
        let items = [FollowUpItem { id: String::new(), turns: [true, true, false, false].map(turn).into() }];
        let said = [SaidFollowUps { scores: vec![0.7, 0.0, 0.6, 0.5], ..SaidFollowUps::default() }];
        let report = FollowUpReport::new(&items, &said, 0.6);
        assert_eq!((report.precision, report.recall, report.f1, report.items), (0.5, 0.5, 0.5, 4));
        let all = FollowUpReport::new(&items, &said, 0.0);
        assert_eq!((all.precision, all.recall), (1.0 / 3.0, 0.5));
    }
}
