//! Whisper, by our own inference core.

use super::{Engine, Recognition, Window};
use crate::{TranscribeConfig, TranscribeError};
use inference::{Device, Precision, Whisper, WhisperOptions, WhisperWindow};
use std::path::Path;

/// A probability of no speech above this, with guesswork, is silence (openai/whisper, `no_speech_threshold`).
const NO_SPEECH: f32 = 0.6;
/// A mean log probability below this is guesswork (openai/whisper, `logprob_threshold`).
const LEAST_LOGPROB: f32 = -1.0;

/// Many languages, windows that cost 30 s each.
pub(crate) struct WhisperEngine {
    model: Whisper,
    one_by_one: bool,
}

impl WhisperEngine {
    pub fn load(folder: &Path, device: &Device, config: &TranscribeConfig) -> Result<Self, TranscribeError> {
        let prompt = (!config.vocabulary.is_empty()).then(|| config.vocabulary.join(", "));
        let options = WhisperOptions { prompt, timestamps: config.timestamps };
        let one_by_one = device.is_cpu() && config.precision == Precision::Int8;
        Ok(Self { model: Whisper::load(folder, device, config.precision, &options)?, one_by_one })
    }
}

impl Engine for WhisperEngine {
    fn one_by_one(&self) -> bool {
        self.one_by_one
    }

    fn window(&self) -> Option<usize> {
        Some(self.model.window_samples())
    }

    fn detect(&mut self, windows: &[&[f32]]) -> Result<String, TranscribeError> {
        Ok(self.model.detect(windows)?.0)
    }

    fn recognize(&mut self, windows: &[Window<'_>]) -> Result<Vec<Recognition>, TranscribeError> {
        let windows: Vec<_> =
            windows.iter().map(|w| WhisperWindow { samples: w.samples, language: w.language }).collect();
        let heard = self.model.recognize(&windows)?.into_iter().map(|heard| {
            let silent = heard.no_speech_prob.is_some_and(|p| p > NO_SPEECH) && heard.avg_logprob < LEAST_LOGPROB;
            let mut heard = Recognition::from(heard);
            if silent {
                heard.tokens.clear();
            }
            heard
        });
        Ok(heard.collect())
    }
}
