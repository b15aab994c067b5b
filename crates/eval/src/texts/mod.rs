//! Insight: the reference sets, what a method said of them, and the reports.
//!
//! Each kind has an item (a line of its set), what was said of an item (a line of a predictions file, beside what was meant),
//! and a report (what `nightcall eval KIND --json` prints).

mod flow;
mod follow_ups;
mod keywords;
mod lines;
mod sentiment;
mod summary;

pub use flow::{FlowItem, FlowReport, SaidFlow, SaidTopic, TopicTurn};
pub use follow_ups::{FollowUpItem, FollowUpReport, LabelledTurn, SaidFollowUps};
pub use keywords::{KeywordItem, KeywordReport, SaidKeywords};
pub use lines::{Line, read_lines, write_lines};
pub use sentiment::{FeltTurn, SaidSentiment, SaidTurn, SentimentItem, SentimentReport};
pub use summary::{SaidSummary, SpokenTurn, SummaryItem, SummaryReport, WordLimit};
