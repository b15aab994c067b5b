use serde::{Deserialize, Serialize};

/// What the pipeline's section `[flow]` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowConfig {
    /// Silence of a speaker that ends an utterance, in milliseconds.
    pub utterance_gap_ms: i64,
    /// Silence after which the same speaker begins a new turn although nobody else took the floor, in milliseconds.
    pub turn_gap_ms: i64,
    /// How topics are found: the section `[flow.topics]`.
    pub topics: TopicConfig,
}

/// What the pipeline's section `[flow.topics]` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicConfig {
    /// Words compared on each side of a gap between two turns.
    pub window_words: usize,
    /// How far above the mean the dip between two turns must lie to part two topics, in standard deviations. Higher:
    /// fewer topics.
    pub depth: f32,
    /// Shortest topic, in milliseconds.
    pub min_ms: i64,
    /// Fewest turns of a topic.
    pub min_turns: usize,
    /// Most topics of a call.
    pub max_topics: usize,
    /// Keyphrases in a topic's label.
    pub label_phrases: usize,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self { utterance_gap_ms: 500, turn_gap_ms: 3000, topics: TopicConfig::default() }
    }
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self { window_words: 30, depth: 0.3, min_ms: 12_000, min_turns: 3, max_topics: 12, label_phrases: 3 }
    }
}
