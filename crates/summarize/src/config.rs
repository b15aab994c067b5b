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
    /// A language model that words the points; none: they are sentences that were said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Most seconds that the model may take for a part of a call; a call that takes longer is summarised without it.
    #[serde(skip_serializing_if = "is_usual")]
    pub model_seconds: u64,
}

/// What is left out is not in the fingerprint: who asks for no model keeps the summaries that there are.
const MODEL_SECONDS: u64 = 120;

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde gives it
fn is_usual(seconds: &u64) -> bool {
    *seconds == MODEL_SECONDS
}

impl SummarizeConfig {
    /// Most words of the summary of a call of so many words.
    pub(crate) fn words(&self, all_words: usize) -> usize {
        ((all_words as f32 * self.share) as usize).max(self.min_words).min(self.max_words)
    }
}

impl Default for SummarizeConfig {
    fn default() -> Self {
        Self {
            max_points: 8,
            max_words: 160,
            share: 0.45,
            min_words: 90,
            max_sentence_words: 32,
            max_next_steps: 4,
            model: None,
            model_seconds: MODEL_SECONDS,
        }
    }
}
