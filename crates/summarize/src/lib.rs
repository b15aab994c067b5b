//! The points discussed in a call, each a sentence that was said, with its evidence.
//!
//! [`Summarizer`] takes [`Dialogue`]s and gives [`Point`]s; `eval summary` uses it on plain turns. [`Summarize`] is the
//! stage that the pipeline runs: it summarises the calls of a shard together and writes the table `summaries`.
//! [`SummarizeConfig`] is the pipeline's section `[summarize]`.
//!
//! ```text
//!   turns ─► sentences ─┬─► cues (courtesy, numbers, dates, promises, decisions)
//!                       └─► vectors ─► choice (coverage, spread, kinds, budget) ─► compression ─► points
//! ```
//!
//! Nothing is worded anew, unless `[summarize] model` names a language model (`abstractive.rs`): a point is a sentence (or
//! two of a turn that follow each other, or a question and its answer) without hesitations and lead-ins,
//! and the ranges of characters of its [`Part`]s are where it was said.
//!
//! ```
//! use summarize::{Line, Part, Point, PointKind};
//!
//! let lines = [Line { role: Some("customer".into()), text: "So, the invoice is wrong.".into(), words: vec![] }];
//! let part = Part { turn: 0, chars: 0..25, text: "The invoice is wrong.".into() };
//! let point = Point { kind: PointKind::Reason, parts: vec![part], score: 0.4 };
//! assert_eq!(point.said(&lines), "Customer: The invoice is wrong.");
//! ```

mod abstractive;
mod compress;
mod config;
mod cues;
mod drafts;
mod salience;
mod select;
mod sentences;
mod stage;
mod summarizer;
mod support;

pub use config::SummarizeConfig;
pub use select::PointKind;
pub use stage::Summarize;
pub use summarizer::{Dialogue, Line, Part, Point, Summarizer, text};
