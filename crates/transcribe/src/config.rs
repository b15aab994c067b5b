//! Section `[transcribe]` of a pipeline.

use crate::{
    TranscribeError,
    chunker::{Rules, frames},
};
use inference::{Engine, Installed, Precision};
use schema::ModelId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The shortest pause at which a chunk that is long enough ends: longer than a speaker's breath within a phrase.
const SHORT_PAUSE_S: f32 = 0.4;
/// The pause that ends a chunk however short it is: the other side has had its say by then. Of single words with more silence
/// between them a recognizer leaves some out where it is given several at once.
const LONG_PAUSE_S: f32 = 2.5;
/// The share of the longest chunk from which on a short pause ends it.
const ENOUGH: f32 = 0.8;

/// How sound becomes words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscribeConfig {
    /// Models in order of preference: the first that speaks a call's language recognizes it.
    pub models: Vec<String>,
    /// Language of the calls whose row names none: a BCP 47 code, or `auto`, which lets the first Whisper model of many
    /// languages find it out from the first half minute in which somebody speaks.
    pub language: String,
    /// Words that the recordings are likely to hold, such as names of products, spelled as they are to be written: Whisper is
    /// told them before each window, Moonshine is drawn to the rest of one whose beginning it has heard.
    pub vocabulary: Vec<String>,
    /// Whether Whisper says times among the words, by which it may hear less in a window; word timings need none.
    pub timestamps: bool,
    /// `int8`, `f32`, `f16` or `bf16`: how exactly the models of our own inference core multiply; f16 and bf16 on graphics cards.
    pub precision: Precision,
    /// The longest stretch that is recognized at once, in seconds (5 to 30).
    pub max_chunk_s: f32,
    /// Sound recognized as one batch, padding counted, in seconds; for the models that are padded (on a graphics card, or in
    /// f32). More fills wide machines better and takes more memory.
    pub batch_s: f32,
    /// Probability of voice from which on the detector hears speech (0.2 to 0.95). Higher misses quiet words, lower takes
    /// noise for speech.
    pub speech_threshold: f32,
    /// Silence kept before and after speech, in milliseconds (0 to 1000).
    pub padding_ms: u32,
}

impl Default for TranscribeConfig {
    fn default() -> Self {
        Self {
            models: vec!["moonshine-tiny-en".into()],
            language: "en".into(),
            vocabulary: Vec::new(),
            timestamps: false,
            precision: Precision::Int8,
            max_chunk_s: 15.0,
            batch_s: 300.0,
            speech_threshold: 0.4,
            padding_ms: 500,
        }
    }
}

impl TranscribeConfig {
    /// How channels are cut; refuses values out of range.
    pub(crate) fn rules(&self) -> Result<Rules, TranscribeError> {
        let check = |key, value: f32, range: std::ops::RangeInclusive<f32>, wanted| {
            let value_in = range.contains(&value);
            if value_in { Ok(()) } else { Err(TranscribeError::Config { key, value: value.to_string(), wanted }) }
        };
        check("max_chunk_s", self.max_chunk_s, 5.0..=30.0, "5 to 30 seconds")?;
        check("batch_s", self.batch_s, self.max_chunk_s..=36_000.0, "at least max_chunk_s")?;
        check("speech_threshold", self.speech_threshold, 0.2..=0.95, "0.2 to 0.95")?;
        check("padding_ms", self.padding_ms as f32, 0.0..=1000.0, "0 to 1000")?;
        Ok(Rules {
            threshold: self.speech_threshold,
            padding: frames(self.padding_ms as f32 / 1000.0),
            // Whisper's window is 30 s exactly.
            longest: (self.max_chunk_s * schema::SAMPLE_RATE as f32) as usize / crate::chunker::FRAME,
            enough: frames(self.max_chunk_s * ENOUGH),
            short_pause: frames(SHORT_PAUSE_S),
            long_pause: frames(LONG_PAUSE_S),
        })
    }
}

/// A model to recognize with.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSpec {
    /// The code that runs it.
    pub engine: Engine,
    /// What fingerprints and the tables call it.
    pub model: ModelId,
    /// Where its files lie.
    pub folder: PathBuf,
    /// The languages that it understands: ISO 639 codes.
    pub languages: Vec<String>,
}

impl EngineSpec {
    /// An installed recognizer.
    pub fn installed(model: &Installed) -> Result<Self, TranscribeError> {
        let Some(engine) = model.manifest.engine else {
            return Err(TranscribeError::NoRecognizer(model.manifest.name.clone()));
        };
        Ok(Self {
            engine,
            model: ModelId { name: model.manifest.name.clone(), sha256: model.sha256.clone() },
            folder: model.folder.clone(),
            languages: model.manifest.languages.clone(),
        })
    }

    /// Whether the model speaks a language, given by its primary subtag.
    pub(crate) fn speaks(&self, language: &str) -> bool {
        self.languages.iter().any(|known| known.eq_ignore_ascii_case(language))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let message = |config: TranscribeConfig| config.rules().unwrap_err().to_string();
        let long = TranscribeConfig { max_chunk_s: 31.0, ..TranscribeConfig::default() };
        assert_eq!(message(long), "[transcribe] max_chunk_s is 31; it must be 5 to 30 seconds");
        let unsure = TranscribeConfig { speech_threshold: f32::NAN, ..TranscribeConfig::default() };
        assert_eq!(message(unsure), "[transcribe] speech_threshold is NaN; it must be 0.2 to 0.95");
        let small = TranscribeConfig { batch_s: 3.0, ..TranscribeConfig::default() };
        assert_eq!(message(small), "[transcribe] batch_s is 3; it must be at least max_chunk_s");
        assert!(TranscribeConfig::default().rules().is_ok());
    }
}
