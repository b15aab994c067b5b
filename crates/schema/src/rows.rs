//! The tables as Rust types. Columns, units and meanings stand in `columns.rs`; the fields here carry the same
//! names. `started_on` is a field of recordings and calls alone: the pipeline writes it into the other tables from there.

use crate::{Amount, Row, Table};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! row {
    ($(#[$doc:meta])* $name:ident of $table:ident { $($field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub struct $name { pub call_id: String, $(pub $field: $kind,)* }

        impl Row for $name {
            const TABLE: Table = Table::$table;
            fn call_id(&self) -> &str { &self.call_id }
        }
    };
}

/// Somebody who takes part in a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Participant {
    pub participant_id: String,
    pub channel: Option<i32>,
    pub role: Option<String>,
    pub name: Option<String>,
    pub person_id: Option<String>,
    pub consent: String,
}

/// How a channel of a recording sounded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ChannelSound {
    pub channel: i32,
    pub level_db: Option<f32>,
    pub clipped: bool,
    pub quiet: bool,
    pub silent: bool,
    pub copy_of: Option<i32>,
    pub crosstalk: f32,
}

/// What is missing or wrong in a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Damage {
    pub kind: String,
    pub at_ms: i64,
    pub length_ms: i64,
}

/// A word, with times in milliseconds from the start of the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Word {
    pub text: String,
    pub start_ms: i64,
    pub end_ms: i64,
    pub probability: f32,
}

/// A half-open range of characters (Unicode scalars) of a turn's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Evidence {
    pub turn_index: i32,
    pub char_start: i32,
    pub char_end: i32,
}

/// A range of a turn's text as [`Evidence`] is, with the time at which it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Mention {
    pub turn_index: i32,
    pub char_start: i32,
    pub char_end: i32,
    pub start_ms: i64,
    pub end_ms: i64,
}

row! {
    /// A recording that ingest is to read.
    Recording of Recordings {
        started_on: Option<NaiveDate>,
        source_uri: String,
        source_version: Option<String>,
        started_at: Option<DateTime<Utc>>,
        direction: Option<String>,
        language: Option<String>,
        participants: Vec<Participant>,
        crm: BTreeMap<String, Option<String>>,
        problem: Option<String>,
        byte_size: Option<i64>,
        content_sha256: Option<String>,
        duplicate_of: Option<String>,
        track: Option<i32>,
        r#match: Option<String>,
    }
}

row! {
    /// A call, ready or not.
    Call of Calls {
        started_on: Option<NaiveDate>,
        source_uri: String,
        content_sha256: Option<String>,
        container: Option<String>,
        codec: Option<String>,
        duration_ms: Option<i64>,
        sample_rate_hz: Option<i32>,
        channel_count: Option<i32>,
        started_at: Option<DateTime<Utc>>,
        direction: Option<String>,
        language: Option<String>,
        participants: Vec<Participant>,
        crm: BTreeMap<String, Option<String>>,
        status: String,
        status_reason: Option<String>,
        outcome: Option<String>,
        source_version: Option<String>,
        byte_size: Option<i64>,
        duplicate_of: Option<String>,
        decoder: Option<String>,
        track: Option<i32>,
        track_count: Option<i32>,
        channels: Option<Vec<ChannelSound>>,
        damage: Option<Vec<Damage>>,
        r#match: Option<String>,
    }
}

impl Call {
    /// Whether its sound was handed on, whole or in part: its status is ready or partial.
    pub fn is_heard(&self) -> bool {
        matches!(self.status.as_str(), "ready" | "partial")
    }
}

row! {
    /// What the recognizer returned for a stretch of speech.
    Segment of Segments {
        channel: i32,
        segment_index: i32,
        start_ms: i64,
        end_ms: i64,
        text: String,
        language: Option<String>,
        avg_logprob: f32,
        no_speech_prob: Option<f32>,
        words: Vec<Word>,
        engine: String,
    }
}

row! {
    /// One speaker's consecutive utterances.
    Turn of Turns {
        turn_index: i32,
        channel: i32,
        speaker: String,
        role: Option<String>,
        start_ms: i64,
        end_ms: i64,
        text: String,
        language: Option<String>,
        overlap_ms: Option<i64>,
        pause_before_ms: i64,
        words: Vec<Word>,
    }
}

row! {
    /// A speaker's share in a call.
    SpeakerMetrics of SpeakerMetrics {
        speaker: String,
        role: Option<String>,
        talk_ms: i64,
        talk_share: Option<f32>,
        turn_count: i32,
        word_count: i32,
        words_per_minute: Option<f32>,
        longest_monologue_ms: Option<i64>,
        question_count: i32,
        interruption_count: Option<i32>,
        pause_median_ms: Option<i64>,
        filler_share: f32,
    }
}

row! {
    /// A call as a whole.
    CallMetrics of CallMetrics {
        speech_ms: i64,
        silence_ms: i64,
        longest_silence_ms: i64,
        overlap_ms: Option<i64>,
        switches_per_hour: Option<f32>,
        talk_to_listen: Option<f32>,
    }
}

row! {
    /// A stretch of a call on one topic.
    Topic of Topics {
        topic_index: i32,
        start_ms: i64,
        end_ms: i64,
        first_turn: i32,
        last_turn: i32,
        label: String,
        kind: String,
    }
}

row! {
    /// A point discussed.
    Summary of Summaries {
        point_index: i32,
        kind: String,
        text: String,
        speaker: Option<String>,
        role: Option<String>,
        score: f32,
        method: String,
        start_ms: Option<i64>,
        end_ms: Option<i64>,
        evidence: Vec<Evidence>,
    }
}

row! {
    /// Something somebody said they, or the other, would do.
    FollowUp of FollowUps {
        follow_up_index: i32,
        action: String,
        owner_role: Option<String>,
        owner_name: Option<String>,
        due_text: Option<String>,
        due_date: Option<NaiveDate>,
        kind: String,
        score: f32,
        start_ms: Option<i64>,
        end_ms: Option<i64>,
        evidence: Vec<Evidence>,
    }
}

row! {
    /// A phrase of a call.
    Keyword of Keywords {
        phrase: String,
        kind: String,
        tracker: Option<String>,
        amount: Option<Amount>,
        currency: Option<String>,
        date: Option<NaiveDate>,
        percent: Option<f64>,
        score: f32,
        mention_count: i32,
        first_ms: i64,
        start_ms: Option<i64>,
        end_ms: Option<i64>,
        evidence: Vec<Evidence>,
        mentions: Option<Vec<Mention>>,
    }
}

row! {
    /// The sentiment of a turn.
    Sentiment of Sentiments {
        turn_index: i32,
        role: Option<String>,
        start_ms: Option<i64>,
        end_ms: Option<i64>,
        label: String,
        negative: f32,
        neutral: f32,
        positive: f32,
    }
}

row! {
    /// A speaker's sentiment over the call.
    SentimentTrend of SentimentTrends {
        speaker: String,
        role: Option<String>,
        score: f32,
        quarter_scores: Vec<Option<f32>>,
        change: Option<f32>,
    }
}

row! {
    /// A call that a stage could not finish.
    StageErrorRow of StageErrors {
        stage: String,
        kind: String,
        message: String,
        attempt: i32,
        at: DateTime<Utc>,
    }
}
