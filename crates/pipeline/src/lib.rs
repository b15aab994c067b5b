//! Where stages meet: the pipeline file, the stage graph, the runner.
//!
//! [`Spec`] is a pipeline file (TOML). [`Assembly`] makes its stages, with their models. [`Runner`] brings the tables of
//! a [`store::Store`] up to date, shard by shard, skips what is done, and tells a [`Progress`] what happens.
//! [`run_as_filter`] runs one stage over Arrow IPC streams, [`Status`] says what a store holds. The command line and the
//! Python wheel call this crate; it calls the stages and the store, and nobody else does.
//!
//! ```
//! use pipeline::Spec;
//! use std::path::Path;
//!
//! let error = Spec::parse("[transcribe]\nlangauge = \"en\"\n", Path::new("night.toml")).unwrap_err();
//! assert!(error.to_string().starts_with("night.toml: TOML parse error at line 2, column 1"));
//! assert!(error.to_string().contains("unknown field `langauge`"));
//! ```

mod assemble;
mod bench;
mod days;
mod error;
mod graph;
mod hear;
mod ipc;
mod outcome;
mod output;
mod plan;
mod progress;
mod recognize;
mod recordings;
mod runner;
mod spec;
mod status;
mod texts;

pub use assemble::{Assembly, devices, set_threads};
pub use bench::{bench_encoder, bench_text};
pub use error::PipelineError;
pub use graph::tables_of;
pub use inference::{DeviceChoice, Precision, open_device, processor};
pub use ingest::{Discovery, codecs, discover, ffmpeg_version};
pub use ipc::run_as_filter;
pub use progress::{Event, Progress, Quiet};
pub use recognize::{Clip, Heard, recognize};
pub use recordings::{mark_duplicates, recordings_of, withdraw};
pub use runner::{RunOptions, RunSummary, Runner};
pub use spec::Spec;
pub use status::{StageStatus, Status, Trouble};
pub use texts::{Talk, action_items, rows_of, summarize};
pub use transcribe::{TranscribeError, WhisperTimes, bench_whisper, bench_whisper_cpp};

/// The registry of models, for whoever lists or brings them.
pub mod models {
    pub use inference::{ModelState, PullProgress, Registry, RegistryError, Status};
}
