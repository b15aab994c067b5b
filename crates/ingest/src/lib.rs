//! From recordings on disk or in a bucket to samples at 16 kHz, and to a row a call.
//!
//! [`discover`] finds the recordings, reads the call list and the CRM file and joins the three: one
//! [`Recording`](schema::Recording) each, and a [`Problem`] for every row that was passed over. The pipeline cuts the
//! recordings into shards and hands them to [`Ingest`], the stage: it opens each recording whose people may be heard,
//! pushes its sound in blocks of ten seconds a channel, and a row of `calls` that says what became of it. Underneath is
//! [`Decoder`], which the evaluation uses too: symphonia for containers and codecs, a filter of ours from 8 kHz and rubato
//! from other rates.
//!
//! ```text
//!   sources, call list, CRM ─► discover ─► recordings ─► Ingest ─┬─► audio (16 kHz, a channel apart)
//!                                                     (Decoder)  └─► calls (ready, refused or failed)
//! ```
//!
//! Recordings, the list and the CRM file lie in folders or in buckets (`s3://`, `az://`, `gs://`). A recording whose people
//! may not be heard by the pipeline's [`ConsentRule`] is never opened; the same bytes under two names are marked by
//! [`mark_duplicates`] and read once.
//!
//! ```
//! # fn main() -> Result<(), ingest::IngestError> {
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/calls");
//! let recording = std::path::Path::new(folder).join("voicemail.m4a");
//! let mut decoder = ingest::Decoder::open(&recording)?;
//! assert_eq!((decoder.info().codec.as_str(), decoder.info().channel_count), ("aac", 1));
//! while let Some(block) = decoder.next_block()? {
//!     assert!(block[0].len() <= ingest::BLOCK_SAMPLES);
//! }
//! assert_eq!(decoder.duration_ms() / 1000, 39);
//! # Ok(())
//! # }
//! ```

mod aiff;
mod caf;
mod call_list;
mod codecs;
mod columns;
mod config;
mod consent;
mod container;
mod crm;
mod crosstalk;
mod damage;
mod decoder;
mod delimited;
mod discover;
mod double;
mod doubt;
mod duplicates;
mod echo;
mod edits;
mod error;
mod extent;
mod ffmpeg;
mod find;
mod flac;
mod format;
mod frames;
mod guess;
mod headers;
mod lags;
mod level;
mod mapping;
mod matching;
mod matroska;
mod mp4;
mod mpeg;
mod names;
mod ogg;
mod opus;
mod packets;
mod pages;
mod pieces;
mod quick_time;
mod resample;
mod rows;
mod samples;
mod sniff;
mod sound;
mod source;
mod sources;
mod stage;
mod stream;
mod sync;
mod table;
mod tags;
mod text;
mod timeline;
mod wave;
mod window;
mod workbook;

pub use codecs::codecs;
pub use config::{ConsentRule, IngestConfig};
pub use decoder::{BLOCK_SAMPLES, Decoder};
pub use discover::{BARRED, Discovery, discover};
pub use duplicates::mark_duplicates;
pub use error::{IngestError, Problem};
pub use ffmpeg::ffmpeg_version;
pub use packets::AudioInfo;
pub use sound::{Sound, decode};
pub use sources::{Version, versions_of};
pub use stage::Ingest;
