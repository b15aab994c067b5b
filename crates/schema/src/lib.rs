//! The contract between stages: the tables, their typed rows, and what a stage is.
//!
//! A [`Table`] names one Arrow schema (all of them in `tables.rs`, a doc line per column). A [`Row`] is the same table
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
//!     evidence: vec![Evidence { turn_index: 1, char_start: 0, char_end: 31 }],
//! };
//! let batch = to_batch(std::slice::from_ref(&row))?;
//! assert_eq!(from_batch::<Summary>(&batch)?, [row]);
//! # Ok::<(), schema::SchemaError>(())
//! ```

mod audio;
mod batch;
mod fingerprint;
mod rows;
mod stage;
mod tables;

pub use audio::{AudioBlock, SAMPLE_RATE};
pub use batch::{Row, SchemaError, from_batch, to_batch, validate};
pub use fingerprint::{Fingerprint, ModelId};
pub use rows::{
    Call, CallMetrics, ChannelSound, Damage, Evidence, FollowUp, Keyword, Participant, Recording, Segment, Sentiment,
    SentimentTrend, SpeakerMetrics, StageErrorRow, Summary, Topic, Turn, Word, confidence,
};
pub use stage::{CallFailure, FailureKind, Item, Sink, Stage, StageError, StageName, Tables, guard};
pub use tables::{SCHEMA_VERSION, Table};
