use serde::{Deserialize, Serialize};

/// What the pipeline's section `[summarize]` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SummarizeConfig {
    /// Most points of a summary.
    pub max_points: usize,
    /// Most words of a summary.
    pub max_words: usize,
    /// Words of a summary as a share of the call's, 0..1, as long as `min_words` and `max_words` allow.
    pub share: f32,
    /// A short call's summary may have this many words whatever its share is.
    pub min_words: usize,
    /// Longer sentences are parted where the speaker pauses or joins clauses, in words.
    pub max_sentence_words: usize,
    /// Most points of the kind `next_step`.
    pub max_next_steps: usize,
}

impl Default for SummarizeConfig {
    fn default() -> Self {
        Self { max_points: 8, max_words: 160, share: 0.45, min_words: 90, max_sentence_words: 32, max_next_steps: 4 }
    }
}
