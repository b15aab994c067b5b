//! Sentiment, turn by turn.

use super::lines::Line;
use crate::metrics::labels::{accuracy, calibration_error, counts, macro_f1, weighted_f1};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A turn and what is felt in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FeltTurn {
    /// Who.
    #[serde(default)]
    pub role: Option<String>,
    /// The words.
    pub text: String,
    /// negative, neutral or positive.
    pub label: String,
}

/// A dialogue whose turns are labelled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SentimentItem {
    /// Its name in the set.
    #[serde(default)]
    pub id: String,
    /// What was said.
    pub turns: Vec<FeltTurn>,
}

impl Line for SentimentItem {
    const FORM: &'static str = r#"item, {"turns": [{"text": ..., "label": "neutral"}]}"#;
}

/// What was said of a turn: a label, and probabilities that sum to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SaidTurn {
    /// The label.
    pub said: String,
    /// Probability of negative.
    pub negative: f32,
    /// Probability of neutral.
    pub neutral: f32,
    /// Probability of positive.
    pub positive: f32,
}

/// What was said of an item, beside its labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SaidSentiment {
    /// The item.
    #[serde(default)]
    pub id: String,
    /// The labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// A turn each.
    pub turns: Vec<SaidTurn>,
}

impl Line for SaidSentiment {
    const FORM: &'static str =
        r#"sentiment, {"turns": [{"said": "neutral", "negative": 0.1, "neutral": 0.8, "positive": 0.1}]}"#;
}

/// What `nightcall eval sentiment --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentimentReport {
    /// Share of the turns whose label was said.
    pub accuracy: f64,
    /// Mean F1 of the labels.
    pub macro_f1: f64,
    /// Mean F1 of the labels by how often each is meant.
    pub weighted_f1: f64,
    /// How far confidence and accuracy lie apart, in 15 bins.
    pub calibration_error: f64,
    /// Turns.
    pub items: usize,
}

impl SentimentReport {
    /// Scores what was said of each item, in their order. In a set without neutral turns, the likelier of negative and
    /// positive counts as said, its probability a share of both.
    pub fn new(items: &[SentimentItem], said: &[SaidSentiment]) -> Self {
        let turns = || items.iter().zip(said).flat_map(|(item, said)| item.turns.iter().zip(&said.turns));
        let labels: BTreeSet<&str> = turns().map(|(turn, _)| turn.label.as_str()).collect();
        let neutral = labels.contains("neutral");
        let judged: Vec<(&str, &str, f64)> = turns()
            .map(|(turn, said)| {
                let (negative, positive) = (f64::from(said.negative), f64::from(said.positive));
                let (label, probability) = match said.said.as_str() {
                    "negative" if neutral => ("negative", negative),
                    "positive" if neutral => ("positive", positive),
                    _ if neutral => ("neutral", f64::from(said.neutral)),
                    _ => {
                        let both = negative + positive;
                        let share = |part: f64| if both > 0.0 { part / both } else { 0.5 };
                        if negative > positive { ("negative", share(negative)) } else { ("positive", share(positive)) }
                    }
                };
                (turn.label.as_str(), label, probability)
            })
            .collect();
        let labels = counts(judged.iter().map(|(meant, said, _)| (*meant, *said)));
        let confident: Vec<(f64, bool)> = judged.iter().map(|(meant, said, p)| (*p, meant == said)).collect();
        Self {
            accuracy: accuracy(&labels),
            macro_f1: macro_f1(&labels),
            weighted_f1: weighted_f1(&labels),
            calibration_error: calibration_error(&confident),
            items: judged.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(labels: &[&str]) -> SentimentItem {
        let turn = |label: &&str| FeltTurn { role: None, text: String::new(), label: (*label).to_owned() };
        SentimentItem { id: String::new(), turns: labels.iter().map(turn).collect() }
    }

    fn said(label: &str, negative: f32, neutral: f32, positive: f32) -> SaidTurn {
        SaidTurn { said: label.into(), negative, neutral, positive }
    }

    #[test]
    fn two_and_three_labels() {
        let turns = vec![said("neutral", 0.3, 0.6, 0.1), said("positive", 0.1, 0.2, 0.7)];
        let say = [SaidSentiment { turns, ..SaidSentiment::default() }];
        let two = SentimentReport::new(&[item(&["negative", "positive"])], &say);
        assert_eq!((two.accuracy, two.macro_f1, two.items), (1.0, 1.0, 2));
        assert!((two.calibration_error - f64::midpoint(0.25, 0.125)).abs() < 1e-6, "{two:?}");
        let three = SentimentReport::new(&[item(&["neutral", "negative"])], &say);
        assert_eq!((three.accuracy, three.weighted_f1), (0.5, 0.5));
    }
}
