//! Keyphrases, document by document.

use super::lines::Line;
use crate::metrics::phrases::{f1, matched};
use serde::{Deserialize, Serialize};

/// A document and its keyphrases by people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeywordItem {
    /// Its name in the set.
    #[serde(default)]
    pub id: String,
    /// The document.
    pub text: String,
    /// The keyphrases.
    pub keys: Vec<String>,
}

impl Line for KeywordItem {
    const FORM: &'static str = r#"item, {"text": ..., "keys": ["..."]}"#;
}

/// Phrases that a method found in an item, best first, beside the keyphrases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SaidKeywords {
    /// The item.
    #[serde(default)]
    pub id: String,
    /// The keyphrases.
    #[serde(default)]
    pub keys: Vec<String>,
    /// What the method found.
    pub phrases: Vec<String>,
}

impl Line for SaidKeywords {
    const FORM: &'static str = r#"keywords, {"phrases": ["..."]}"#;
}

/// What `nightcall eval keywords --json` prints: exact matches after Porter stemming.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeywordReport {
    /// Mean over the documents of F1, of the best 5 phrases.
    pub macro_f1_at_5: f64,
    /// Of the best 10.
    pub macro_f1_at_10: f64,
    /// Of the best 15.
    pub macro_f1_at_15: f64,
    /// F1 of mean precision and mean recall, of the best 5 phrases.
    pub micro_f1_at_5: f64,
    /// Of the best 10.
    pub micro_f1_at_10: f64,
    /// Of the best 15.
    pub micro_f1_at_15: f64,
    /// Documents.
    pub items: usize,
}

impl KeywordReport {
    /// Phrases of a document that are scored.
    pub const PHRASES: usize = 15;

    /// Scores what was said of each item, in their order.
    pub fn new(items: &[KeywordItem], said: &[SaidKeywords]) -> Self {
        let at = |most: usize| {
            let n = items.len().max(1) as f64;
            let (mut precision, mut recall, mut mean) = (0.0, 0.0, 0.0);
            for (item, said) in items.iter().zip(said) {
                let (p, r) = matched(&item.keys, &said.phrases, most);
                precision += p / n;
                recall += r / n;
                mean += f1((p, r)) / n;
            }
            (mean, f1((precision, recall)))
        };
        let [five, ten, fifteen] = [5, 10, Self::PHRASES].map(at);
        Self {
            macro_f1_at_5: five.0,
            macro_f1_at_10: ten.0,
            macro_f1_at_15: fifteen.0,
            micro_f1_at_5: five.1,
            micro_f1_at_10: ten.1,
            micro_f1_at_15: fifteen.1,
            items: items.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_documents() {
        let item = |keys: &[&str]| KeywordItem {
            id: String::new(),
            text: String::new(),
            keys: keys.iter().map(|k| (*k).to_owned()).collect(),
        };
        let said = |phrases: &[&str]| SaidKeywords {
            phrases: phrases.iter().map(|p| (*p).to_owned()).collect(),
            ..SaidKeywords::default()
        };
        let items = [item(&["price list", "quotes"]), item(&["invoice"])];
        let report = KeywordReport::new(&items, &[said(&["quote", "price"]), said(&["call"])]);
        assert_eq!((report.macro_f1_at_5, report.micro_f1_at_15), (0.25, 0.25));
        assert_eq!(report.items, 2);
    }
}
