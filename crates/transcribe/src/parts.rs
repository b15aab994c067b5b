//! Parts of the stage for its benches (`benches/parts.rs`), which see no private types. No promise is made about them.

use crate::{
    TranscribeConfig, TranscribeError,
    chunker::{Chunk, Chunker},
    engines::{Engine, Recognition, Window},
    queue::{Pending, Recognizer, Waiting},
    sound::Listener,
};

/// Voice activity detection and cutting: how many chunks a channel gives.
pub fn cut(samples: &[f32]) -> Result<usize, TranscribeError> {
    let mut chunker = Chunker::new(TranscribeConfig::default().rules()?);
    let mut chunks = Vec::new();
    chunker.push(samples, &mut chunks);
    chunker.finish(&mut chunks);
    Ok(chunks.len())
}

/// Telling speech from music: whether a chunk is kept.
pub fn is_speech(samples: &[f32]) -> bool {
    Listener::new().speech(samples).is_some()
}

/// Gathering, sorting and batching windows of so many samples for an engine that does nothing: how many come back.
pub fn batch(lengths: &[usize], batch_s: f32) -> usize {
    let mut recognizer = Recognizer::new(Box::new(Deaf), batch_s);
    let mut waiting = Waiting::of(&recognizer);
    let mut done = 0;
    for (start, &length) in lengths.iter().enumerate() {
        let chunk = Chunk { start, samples: vec![0.0; length], ..Chunk::default() };
        let pending = Pending { call: "call".into(), channel: 0, language: Some("en".into()), chunk, again: false };
        done += waiting.push(pending).map_or(0, |chunks| recognizer.recognize(chunks).len());
    }
    done + recognizer.recognize(waiting.take()).len()
}

struct Deaf;

impl Engine for Deaf {
    fn one_by_one(&self) -> bool {
        false
    }

    fn recognize(&mut self, windows: &[Window<'_>]) -> Result<Vec<Recognition>, TranscribeError> {
        Ok(vec![Recognition::default(); windows.len()])
    }
}
