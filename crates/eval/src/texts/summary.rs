//! Summaries beside their references.

use super::lines::Line;
use crate::metrics::rouge::Rouge;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What one speaker said, without times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpokenTurn {
    /// Who: agent, customer or any other name.
    #[serde(default)]
    pub role: Option<String>,
    /// The words.
    pub text: String,
}

/// A dialogue and its summaries by people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SummaryItem {
    /// Its name in the set.
    #[serde(default)]
    pub id: String,
    /// What was said.
    pub turns: Vec<SpokenTurn>,
    /// The references.
    pub summaries: Vec<String>,
}

impl Line for SummaryItem {
    const FORM: &'static str = r#"item, {"turns": [{"role": ..., "text": ...}], "summaries": ["..."]}"#;
}

/// How long a summary may be, in words parted by white space, names of speakers among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordLimit {
    /// So many.
    Words(usize),
    /// The mean length of the item's references.
    Reference,
}

impl FromStr for WordLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("reference", _) => Ok(Self::Reference),
            (_, Ok(words)) if words > 0 => Ok(Self::Words(words)),
            _ => Err(format!("{text:?} is no length; give a number of words or reference")),
        }
    }
}

impl WordLimit {
    /// The words that the item's summary may have, rounded to the nearest; at least one.
    pub fn of(self, item: &SummaryItem) -> usize {
        match self {
            Self::Words(words) => words,
            Self::Reference => {
                let words: usize = item.summaries.iter().map(|s| s.split_whitespace().count()).sum();
                let mean = words as f64 / item.summaries.len().max(1) as f64;
                (mean.round() as usize).max(1)
            }
        }
    }
}

/// A summary beside its references.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SaidSummary {
    /// The item.
    #[serde(default)]
    pub id: String,
    /// The references.
    #[serde(default)]
    pub summaries: Vec<String>,
    /// What the method wrote.
    pub summary: String,
    /// How it was made.
    #[serde(default)]
    pub method: String,
}

impl Line for SaidSummary {
    const FORM: &'static str = r#"summary, {"summary": "..."}"#;
}

/// What `nightcall eval summary --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryReport {
    /// Mean over the items of the best F1 over their references.
    pub rouge1: f64,
    /// Likewise.
    pub rouge2: f64,
    /// Likewise.
    pub rougel: f64,
    /// Dialogues.
    pub items: usize,
    /// Mean words of a summary.
    pub words: f64,
    /// How the summaries were made.
    pub method: String,
}

impl SummaryReport {
    /// Scores what was said of each item, in their order.
    pub fn new(items: &[SummaryItem], said: &[SaidSummary]) -> Self {
        let mut sum = Rouge::default();
        let mut words = 0;
        for (item, said) in items.iter().zip(said) {
            let score = Rouge::best(item.summaries.iter().map(String::as_str), &said.summary);
            sum.rouge1 += score.rouge1;
            sum.rouge2 += score.rouge2;
            sum.rougel += score.rougel;
            words += said.summary.split_whitespace().count();
        }
        let n = items.len().max(1) as f64;
        Self {
            rouge1: sum.rouge1 / n,
            rouge2: sum.rouge2 / n,
            rougel: sum.rougel / n,
            items: items.len(),
            words: words as f64 / n,
            method: said.first().map(|s| s.method.clone()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let item =
            SummaryItem { id: "a".into(), turns: vec![], summaries: vec!["one two".into(), "one two three".into()] };
        assert_eq!("reference".parse::<WordLimit>().unwrap().of(&item), 3);
        assert_eq!("12".parse::<WordLimit>().unwrap().of(&item), 12);
        assert!("0".parse::<WordLimit>().is_err() && "few".parse::<WordLimit>().is_err());
        assert_eq!(WordLimit::Reference.of(&SummaryItem { summaries: vec![], ..item }), 1);
    }
}
