//! Every table of Nightcall: one Arrow schema each. Its columns stand in `columns.rs`, a doc and a unit each.
//!
//! Times are milliseconds from the start of the call; shares, scores and probabilities are 0..1 unless said.

use crate::{
    columns::columns,
    types::{DOC, UNIT},
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::{collections::HashMap, sync::Arc};

/// Raised when a column is renamed or retyped. An added column leaves it as it is, and so does one that may be null from now
/// on: whoever read the table before reads what is not null as before.
pub const SCHEMA_VERSION: u32 = 1;

/// A table: what passes between two stages, and (but for the first two) what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What ingest is to read: a row per recording, joined with the call list and the CRM rows. Not stored.
    Recordings,
    /// Decoded sound: 16 kHz mono blocks, a channel at a time. Not stored.
    Audio,
    /// Every recording found, whatever became of it.
    Calls,
    /// What the recognizer returned.
    Segments,
    /// Speaker turns in time order.
    Turns,
    /// A speaker's share in a call.
    SpeakerMetrics,
    /// A call as a whole.
    CallMetrics,
    /// Stretches of a call on one topic.
    Topics,
    /// Points discussed.
    Summaries,
    /// Things somebody said they, or the other, would do.
    FollowUps,
    /// Phrases, trackers, amounts and dates in a call.
    Keywords,
    /// Sentiment of each turn.
    Sentiments,
    /// Sentiment of each speaker over the call.
    SentimentTrends,
    /// Calls that a stage could not finish.
    StageErrors,
}

impl Table {
    /// All tables, in the order in which a call meets them.
    pub const ALL: [Self; 14] = [
        Self::Recordings,
        Self::Audio,
        Self::Calls,
        Self::Segments,
        Self::Turns,
        Self::SpeakerMetrics,
        Self::CallMetrics,
        Self::Topics,
        Self::Summaries,
        Self::FollowUps,
        Self::Keywords,
        Self::Sentiments,
        Self::SentimentTrends,
        Self::StageErrors,
    ];

    /// The name of the table, which is its folder in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::Audio => "audio",
            Self::Calls => "calls",
            Self::Segments => "segments",
            Self::Turns => "turns",
            Self::SpeakerMetrics => "speaker_metrics",
            Self::CallMetrics => "call_metrics",
            Self::Topics => "topics",
            Self::Summaries => "summaries",
            Self::FollowUps => "follow_ups",
            Self::Keywords => "keywords",
            Self::Sentiments => "sentiments",
            Self::SentimentTrends => "sentiment_trends",
            Self::StageErrors => "stage_errors",
        }
    }

    /// The table of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// Whether the store keeps it; the others only pass between stages.
    pub const fn stored(self) -> bool {
        !matches!(self, Self::Recordings | Self::Audio)
    }

    /// The Arrow schema. Its metadata names the table (`nightcall.table`) and the schema version.
    pub fn schema(self) -> SchemaRef {
        let metadata = HashMap::from([
            ("nightcall.table".to_owned(), self.name().to_owned()),
            ("nightcall.schema_version".to_owned(), SCHEMA_VERSION.to_string()),
        ]);
        Arc::new(Schema::new_with_metadata(columns(self), metadata))
    }
    /// What the table is, in a line.
    pub const fn doc(self) -> &'static str {
        match self {
            Self::Recordings => "what ingest is to read: a row a recording, joined with the call list and the CRM rows",
            Self::Audio => "decoded sound: 16 kHz mono blocks, a channel at a time",
            Self::Calls => "a row a recording found, whatever became of it",
            Self::Segments => "a row a stretch of speech that the recognizer returned",
            Self::Turns => "a row a speaker's turn, in time order",
            Self::SpeakerMetrics => "a row a speaker in a call: how much and how they speak",
            Self::CallMetrics => "a row a call",
            Self::Topics => "a row a stretch of a call on one topic",
            Self::Summaries => "a row a point discussed",
            Self::FollowUps => "a row a thing that somebody said they, or the other, would do",
            Self::Keywords => "a row a keyphrase, tracker, amount, percentage or date of a call",
            Self::Sentiments => "a row a turn",
            Self::SentimentTrends => "a row a speaker in a call: their sentiment over the call",
            Self::StageErrors => "a row a call that a stage could not finish",
        }
    }

    /// Whether rows of this table carry the day of their call, which the pipeline takes from the call's own row.
    pub fn is_dated(self) -> bool {
        self.schema().column_with_name(STARTED_ON).is_some()
    }
}

/// The column that says on which day a row's call began: in every stored table, so that a week is read without a year.
pub const STARTED_ON: &str = "started_on";

/// What a column, or a part of one, means.
pub fn doc(field: &Field) -> Option<&str> {
    field.metadata().get(DOC).map(String::as_str)
}

/// In what a column's numbers are counted; none for words, days and flags.
pub fn unit(field: &Field) -> Option<&str> {
    field.metadata().get(UNIT).map(String::as_str)
}
