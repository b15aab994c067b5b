//! The history of a call: who spoke when, for how long, over whom, and about what.
//!
//! [`CallFlow::of`] turns one call's segments into turns and metrics, without a model. [`Flow`] is the stage that the
//! pipeline runs: it does so for every call of a shard, embeds the turns of all calls together, parts each call into
//! topics and labels them. [`FlowConfig`] is the pipeline's section `[flow]`.
//!
//! ```text
//!   segments ─► utterances ─► turns ─┬─► speaker_metrics, call_metrics
//!   (words)     (pauses)             └─► vectors ─► gaps ─► topics ─► labels
//! ```
//!
//! Turns are ordered by start, then channel; `turn_index` counts them. Words of one channel are one speaker's. A
//! backchannel ("uh-huh", under a second, while the other keeps the floor) is a turn of its own, and neither ends the
//! turn that it accompanies nor counts as a change of speaker. What cannot be told of a call whose people share a channel, such
//! as their shares of the talk, is null (`apart`).
//!
//! ```
//! use flow::{CallFlow, FlowConfig};
//! use schema::{Call, Segment};
//!
//! let call: Call = serde_json::from_str(
//!     r#"{"call_id": "8812", "source_uri": "8812.wav", "participants": [], "crm": {}, "status": "ready", "duration_ms": 9000}"#,
//! )?;
//! let segments: Vec<Segment> = serde_json::from_str(
//!     r#"[{"call_id": "8812", "channel": 0, "segment_index": 0, "start_ms": 1000, "end_ms": 3000, "text": "May I help?",
//!          "avg_logprob": -0.1, "words": [], "engine": "example"},
//!         {"call_id": "8812", "channel": 1, "segment_index": 0, "start_ms": 3400, "end_ms": 5400, "text": "Yes, please.",
//!          "avg_logprob": -0.1, "words": [], "engine": "example"}]"#,
//! )?;
//! let flow = CallFlow::of(&FlowConfig::default(), &call, &segments);
//! assert_eq!(flow.turns[1].pause_before_ms, 400);
//! assert_eq!(flow.speakers[0].question_count, 1);
//! assert_eq!(flow.call.silence_ms, 5000);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod apart;
mod config;
mod flow;
mod kinds;
mod labels;
mod metrics;
mod spans;
mod speech;
mod stage;
mod topics;
mod turns;
mod vocabulary;

pub use config::{FlowConfig, TopicConfig};
pub use flow::CallFlow;
pub use stage::Flow;
