//! Measures of quality, and the loaders of the reference sets that they need.
//!
//! [`normalize_english`] is the Whisper English normalizer, [`Edits`] the words that differ after it, [`asr_set`] reads a
//! set of recordings with their texts, and [`AsrReport`] is what recognizing it came to. [`load_fixtures`] reads the
//! scripted calls, and [`score_fixtures`] compares them with the tables that a pipeline wrote ([`FixtureReport`]).
//! Calls that are written down already are [`Transcript`]s, read by [`read_lines`] like all sets of texts. For topics, summaries,
//! follow-ups, keywords and sentiment there are an item of a set ([`SummaryItem`]), what a method said of it ([`SaidSummary`])
//! and a report ([`SummaryReport`]) each.
//!
//! This crate knows the tables (schema) and no stage: the command line runs the stages and calls it with what they
//! returned.
//!
//! ```
//! use eval::{AsrReport, Edits};
//!
//! let edits = Edits::of("Mr. Jones won't pay $20.", "mister jones will pay twenty dollars");
//! assert_eq!((edits.words, edits.errors()), (6, 1));
//!
//! let report = AsrReport::new([("good morning", "good morning")], 2.0, 0.1, "moonshine", "moonshine-tiny-en");
//! assert_eq!(report.wer, 0.0);
//! # Ok::<(), eval::EvalError>(())
//! ```

mod asr;
mod error;
mod fixtures;
mod listed;
mod metrics;
mod normalize;
mod texts;
mod timing;
mod transcript;
mod wer;

pub use asr::{AsrItem, AsrReport, asr_set, write_hypotheses};
pub use error::EvalError;
pub use fixtures::{
    CallScore, Check, Expectation, Fixture, FixtureReport, FollowUpScore, Share, Trend, TrendScore, load_fixtures,
    score_fixtures,
};
pub use listed::Listed;
pub use normalize::normalize_english;
pub use texts::{
    FeltTurn, FlowItem, FlowReport, FollowUpItem, FollowUpReport, KeywordItem, KeywordReport, LabelledTurn, Line,
    SaidFlow, SaidFollowUps, SaidKeywords, SaidSentiment, SaidSummary, SaidTopic, SaidTurn, SentimentItem,
    SentimentReport, SpokenTurn, SummaryItem, SummaryReport, TopicTurn, WordLimit, read_lines, write_lines,
};
pub use timing::TimeErrors;
pub use transcript::{Transcript, TranscriptTurn, talk};
pub use wer::{Edits, Step, align};
