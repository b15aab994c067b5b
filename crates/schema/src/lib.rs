//! The contract between stages: the tables, their typed rows, and what a stage is.
//!
//! A [`Table`] names one Arrow schema (the columns of all stand in `columns.rs`, a doc and a unit each). A [`Row`] is the same table
//! as a Rust type; [`to_batch`] and [`from_batch`] go between the two and refuse what does not fit. A [`Stage`] turns
//! [`Item`]s (record batches, or the news that a call failed) into record batches that it pushes into a [`Sink`].
//! Samples are too many for rows: [`AudioBlock`] reads and writes them without touching each one.
//!
//! This crate knows no other crate of the house; every stage, the store and the pipeline know it.
//!
//! ```
//! use schema::{Evidence, Summary, from_batch, to_batch};
//!
//! let row = Summary {
//!     call_id: "8812".into(),
//!     point_index: 0,
//!     kind: "reason".into(),
//!     text: "Customer: the invoice of March is wrong.".into(),
//!     speaker: Some("customer".into()),
//!     role: Some("customer".into()),
//!     score: 0.8,
//!     method: "extractive".into(),
//!     start_ms: Some(4200),
//!     end_ms: Some(6350),
//!     evidence: vec![Evidence { turn_index: 1, char_start: 0, char_end: 31 }],
//! };
//! let batch = to_batch(std::slice::from_ref(&row))?;
//! assert_eq!(from_batch::<Summary>(&batch)?, [row]);
//! # Ok::<(), schema::SchemaError>(())
//! ```

mod amount;
mod audio;
mod batch;
mod columns;
mod fingerprint;
mod fit;
mod rows;
mod said;
mod stage;
mod tables;
mod types;

pub use amount::Amount;
pub use audio::{AudioBlock, SAMPLE_RATE};
pub use batch::{Row, SchemaError, from_batch, to_batch, validate};
pub use fingerprint::{Fingerprint, ModelId};
pub use fit::Misfit;
pub use rows::{
    Call, CallMetrics, ChannelSound, Damage, Evidence, FollowUp, Keyword, Mention, Participant, Recording, Segment,
    Sentiment, SentimentTrend, SpeakerMetrics, StageErrorRow, Summary, Topic, Turn, Word,
};
pub use said::confidence;
pub use stage::{CallFailure, FailureKind, Item, Sink, Stage, StageError, StageName, Tables, guard};
pub use tables::{SCHEMA_VERSION, STARTED_ON, Table, doc, unit};
