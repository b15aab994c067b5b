//! The tables as Rust types. Columns, units and meanings stand in `tables.rs`; the fields here carry the same names.

use crate::{Row, Table};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Range};

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

/// How sure the recognizer was of the words of `text` that lie in a range of its characters (Unicode scalars): the geometric
/// mean of their probabilities, 0..1. 1 where `words` are not those of the text, or none lies there.
pub fn confidence(text: &str, words: &[Word], chars: Range<usize>) -> f32 {
    if text.split_whitespace().count() != words.len() {
        return 1.0;
    }
    let mut at = 0;
    let mut words = words.iter();
    let (mut sum, mut count) = (0.0f32, 0);
    for piece in text.split_inclusive(char::is_whitespace) {
        let (start, length) = (at, piece.trim_end().chars().count());
        at += piece.chars().count();
        if length == 0 {
            continue;
        }
        let word = words.next();
        if start < chars.end && start + length > chars.start {
            sum += word.map_or(1.0, |word| word.probability).max(1e-3).ln();
            count += 1;
        }
    }
    if count == 0 { 1.0 } else { (sum / count as f32).exp() }
}

/// A half-open range of characters (Unicode scalars) of a turn's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Evidence {
    pub turn_index: i32,
    pub char_start: i32,
    pub char_end: i32,
}

row! {
    /// A recording that ingest is to read.
    Recording of Recordings {
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
        overlap_ms: i64,
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
        talk_share: f32,
        turn_count: i32,
        word_count: i32,
        words_per_minute: Option<f32>,
        longest_monologue_ms: i64,
        question_count: i32,
        interruption_count: i32,
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
        overlap_ms: i64,
        switches_per_hour: f32,
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
        evidence: Vec<Evidence>,
    }
}

row! {
    /// A phrase of a call.
    Keyword of Keywords {
        phrase: String,
        kind: String,
        tracker: Option<String>,
        score: f32,
        mention_count: i32,
        first_ms: i64,
        evidence: Vec<Evidence>,
    }
}

row! {
    /// The sentiment of a turn.
    Sentiment of Sentiments {
        turn_index: i32,
        role: Option<String>,
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

impl Turn {
    /// When a character of the text is said, in milliseconds from the start of the call: the start of its word where the
    /// words follow the text, else a place between the turn's start and end in proportion to the characters before it.
    pub fn said_at(&self, character: usize) -> i64 {
        let (mut from, mut before) = (0, 0);
        for word in &self.words {
            let said = word.text.trim();
            let Some(at) = self.text.get(from..).and_then(|rest| rest.find(said)) else { break };
            before += self.text[from..from + at + said.len()].chars().count();
            from += at + said.len();
            if before > character {
                return word.start_ms;
            }
        }
        let all = self.text.chars().count().max(1) as i64;
        self.start_ms + (self.end_ms - self.start_ms) * (character as i64).min(all) / all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_said_with_its_word() {
        let word = |text: &str, start_ms| Word { text: text.into(), start_ms, end_ms: start_ms + 90, probability: 1.0 };
        let mut turn = Turn {
            call_id: "1".into(),
            turn_index: 0,
            channel: 0,
            speaker: "agent".into(),
            role: None,
            start_ms: 1000,
            end_ms: 3000,
            text: "Grüße, ja ja".into(),
            language: None,
            overlap_ms: 0,
            pause_before_ms: 0,
            words: vec![word("Grüße,", 1100), word("ja", 1500), word("ja", 2000)],
        };
        assert_eq!([0, 5, 7, 10, 11].map(|at| turn.said_at(at)), [1100, 1100, 1500, 2000, 2000]);
        turn.words.clear();
        assert_eq!([0, 6, 12, 99].map(|at| turn.said_at(at)), [1000, 2000, 3000, 3000]);
    }

    #[test]
    fn confidence_is_that_of_the_words_in_the_range() {
        let word = |text: &str, probability| Word { text: text.into(), start_ms: 0, end_ms: 0, probability };
        let words = [word("Schöne", 0.9), word("Grüße,", 0.4), word("Tom.", 0.1)];
        let text = "Schöne Grüße, Tom.";
        let close = |chars, wanted: f32| assert!((confidence(text, &words, chars) - wanted).abs() < 1e-6);
        close(0..6, 0.9);
        close(7..13, 0.4);
        close(0..12, 0.6);
        close(14..18, 0.1);
        close(6..7, 1.0);
        assert_eq!(confidence("other words", &words, 0..5), 1.0);
    }
}
