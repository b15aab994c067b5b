//! From sound to words: the `audio` of a shard's calls becomes its `segments`.
//!
//! [`Transcribe`] is the stage. Each channel goes through its own voice detector and is cut at pauses; chunks that are
//! music, tones or noise are dropped; the others wait, across channels and calls, until they fill batches for an engine,
//! which recognizes them while the next ones are gathered: Moonshine by our own inference core, or Whisper by whisper.cpp, as the model's manifest says.
//! What comes back is guarded against loops and inventions, and its tokens become words with times in the call.
//!
//! ```text
//!   audio ─► chunker ─► sound ─► queue ─► engine ─► guards ─► words ─► segments
//!            (voice,    (music?)  (a batch)(a batch) (loops,   (times)
//!             pauses)                                 rates)
//! ```
//!
//! [`TranscribeConfig`] is the section `[transcribe]` of a pipeline; an [`EngineSpec`] is a model to recognize with. A
//! call in a language that no model speaks fails, and the failure names the model to bring. Everything is deterministic:
//! the same sound in the same order gives the same bytes on any number of threads.
//!
//! ```
//! use inference::Device;
//! use schema::{AudioBlock, CallFailure, Item, Sink, Stage, StageError, Table};
//! use transcribe::{Transcribe, TranscribeConfig};
//!
//! #[derive(Default)]
//! struct Kept(Vec<CallFailure>);
//! impl Sink for Kept {
//!     fn batch(&mut self, _: Table, _: arrow::array::RecordBatch) -> Result<(), StageError> { Ok(()) }
//!     fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> { Ok(self.0.push(failure)) }
//! }
//!
//! // No model at all: every call is refused, with the way out.
//! let mut stage = Transcribe::new(TranscribeConfig::default(), vec![], &Device::Cpu)?;
//! let block = AudioBlock {
//!     call_id: "8812".into(), channel: 0, first_sample: 0, last: true, language: Some("de-AT".into()),
//!     samples: vec![0.0; 16_000],
//! };
//! let mut kept = Kept::default();
//! stage.run(&mut [Item::Batch(Table::Audio, block.into_batch()?)].into_iter(), &mut kept)?;
//! assert!(kept.0[0].message.contains("nightcall models pull whisper-tiny"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bench;
mod chunker;
mod config;
mod engines;
mod error;
mod guards;
#[doc(hidden)]
pub mod parts;
mod queue;
mod segment;
mod shift;
mod sound;
mod stage;
mod sure;
mod words;

#[cfg(test)]
#[path = "../tests/support/ggml.rs"]
mod ggml;

pub use bench::{WhisperTimes, bench_whisper, bench_whisper_cpp};
pub use config::{EngineSpec, TranscribeConfig};
pub use error::TranscribeError;
pub use stage::Transcribe;
