//! What can be set, and what can be wrong with it.

use serde::{Deserialize, Serialize};

/// The pipeline's section `[extract]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExtractConfig {
    /// Follow-ups of less confidence (0..1) are dropped.
    pub follow_up_min_score: f32,
    /// Keyphrases a call at most.
    pub keyphrases: usize,
    /// What a keyphrase must differ from those before it (0..1): 0 takes the best whatever they repeat.
    pub keyphrase_diversity: f32,
    /// Phrases to count, in groups.
    pub trackers: Vec<TrackerConfig>,
}

/// A group of phrases to count: `[[extract.trackers]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackerConfig {
    /// What the group is called in `keywords.tracker`.
    pub name: String,
    /// Whole words, in any case: "Salesforce", "price list".
    pub phrases: Vec<String>,
}

impl Default for ExtractConfig {
    fn default() -> Self {
        Self { follow_up_min_score: 0.5, keyphrases: 12, keyphrase_diversity: 0.3, trackers: Vec::new() }
    }
}

impl ExtractConfig {
    /// Checks ranges and trackers.
    pub fn validate(&self) -> Result<(), ExtractError> {
        for (key, value) in
            [("follow_up_min_score", self.follow_up_min_score), ("keyphrase_diversity", self.keyphrase_diversity)]
        {
            if !(0.0..=1.0).contains(&value) {
                return Err(ExtractError::Range { key, value });
            }
        }
        for tracker in &self.trackers {
            if tracker.name.trim().is_empty() {
                return Err(ExtractError::NamelessTracker);
            }
            if tracker.phrases.is_empty() || tracker.phrases.iter().any(|phrase| phrase.trim().is_empty()) {
                return Err(ExtractError::EmptyTracker { name: tracker.name.clone() });
            }
        }
        Ok(())
    }
}

/// What keeps the stage from being built.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// A number out of range.
    #[error("extract.{key} is {value}; give a number from 0 to 1")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f32,
    },
    /// A tracker without a name.
    #[error("a tracker of extract.trackers has no name; give it one, such as name = \"competitor\"")]
    NamelessTracker,
    /// A tracker without phrases.
    #[error(
        "tracker {name:?} has no phrases, or an empty one; list words to look for, such as phrases = [\"Salesforce\"]"
    )]
    EmptyTracker {
        /// The tracker.
        name: String,
    },
    /// Our head cannot be used.
    #[error("the head for follow-ups: {reason}")]
    Head {
        /// Why.
        reason: String,
    },
}
