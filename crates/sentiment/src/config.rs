//! What can be set, and what can be wrong with it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The pipeline's section `[sentiment]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SentimentConfig {
    /// A compound score (-1..1) of at least this is positive. The paper's 0.05 calls every polite turn positive; 0.3 was the
    /// better of 0.05, 0.1, 0.2 and 0.3 by macro-F1 on MELD's development dialogues and on the airline tweets.
    pub positive_from: f32,
    /// A compound score (-1..1) of at most this is negative. The paper's threshold: -0.05.
    pub negative_to: f32,
    /// Whether the lexicon for telephone calls is laid over VADER's.
    pub call_lexicon: bool,
    /// What the lexicons count beside our head over the sentence encoder ([`crate::Reader`]): from 0, the head alone, to 1, the
    /// lexicons alone, which need no model and no time. `models/heads/sentiment.md` has the figures of both, and of 0.45.
    pub lexicon_share: f32,
    /// Valences of words and phrases, -4 (worst) to 4 (best), laid over both lexicons; 0 makes a word neutral.
    pub words: BTreeMap<String, f32>,
}

impl Default for SentimentConfig {
    fn default() -> Self {
        Self { positive_from: 0.3, negative_to: -0.05, call_lexicon: true, lexicon_share: 1.0, words: BTreeMap::new() }
    }
}

impl SentimentConfig {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SentimentError> {
        for (key, value, low, high) in [
            ("positive_from", self.positive_from, 0.0, 1.0),
            ("negative_to", self.negative_to, -1.0, 0.0),
            ("lexicon_share", self.lexicon_share, 0.0, 1.0),
        ] {
            if !(low..=high).contains(&value) {
                return Err(SentimentError::Threshold { key, value, low, high });
            }
        }
        for (word, &value) in &self.words {
            if !(-4.0..=4.0).contains(&value) {
                return Err(SentimentError::Valence { word: word.clone(), value });
            }
            if word.split_whitespace().next().is_none() {
                return Err(SentimentError::EmptyWord);
            }
        }
        Ok(())
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SentimentError {
    /// A threshold out of range.
    #[error("sentiment.{key} is {value}; give a number from {low} to {high}")]
    Threshold {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f32,
        /// The least that is allowed.
        low: f32,
        /// The most that is allowed.
        high: f32,
    },
    /// A valence out of range.
    #[error("sentiment.words: {word:?} has valence {value}; give a number from -4 to 4")]
    Valence {
        /// The word or phrase.
        word: String,
        /// Its value.
        value: f32,
    },
    /// Our head cannot be used.
    #[error("the head for sentiment: {reason}")]
    Head {
        /// Why.
        reason: String,
    },
    /// A phrase without words.
    #[error("sentiment.words has an empty phrase; remove it or write the words")]
    EmptyWord,
}
