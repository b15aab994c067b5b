//! What recognizes: one trait, three engines.

mod moonshine;
mod whisper;
mod whisper_cpp;

pub(crate) use moonshine::MoonshineEngine;
pub(crate) use whisper::WhisperEngine;
pub(crate) use whisper_cpp::{
    THREADS_A_WORKER as WHISPER_CPP_THREADS, WhisperCppEngine, weights as whisper_cpp_weights,
};

use crate::{EngineSpec, TranscribeConfig, TranscribeError};
use inference::{Device, Engine as EngineKind, Recognized, RecognizedToken};

/// The language of a call that nobody has named, to be found out.
pub(crate) const AUTO: &str = "auto";

/// A stretch of speech to recognize.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    /// 16 kHz mono.
    pub samples: &'a [f32],
    /// What is spoken: a primary language subtag, lower case.
    pub language: &'a str,
}

impl Window<'_> {
    pub fn seconds(&self) -> f32 {
        self.samples.len() as f32 / schema::SAMPLE_RATE as f32
    }
}

/// A piece of text with its time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// A word's first token starts with a space.
    pub text: String,
    /// Natural log probability.
    pub logprob: f32,
    /// Seconds from the window's start.
    pub start_s: f32,
    /// Seconds from the window's start.
    pub end_s: f32,
}

/// What was heard in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recognition {
    /// In order of time.
    pub tokens: Vec<Token>,
    /// Mean natural log probability.
    pub avg_logprob: f32,
    /// Whether the engine was stopped before it came to an end by itself.
    pub truncated: bool,
    /// Probability that nobody speaks, where the engine tells.
    pub no_speech_prob: Option<f32>,
}

/// A recognizer with its weights loaded.
pub(crate) trait Engine: Send {
    /// Whether windows are taken one by one inside, each on a core: then a batch may hold any number of any lengths, and
    /// none changes a bit of another's result.
    fn one_by_one(&self) -> bool;

    /// The samples that a window always costs, however few of them are speech.
    fn window(&self) -> Option<usize> {
        None
    }

    /// The language of some windows of one call.
    fn detect(&mut self, windows: &[&[f32]]) -> Result<String, TranscribeError> {
        let _ = windows;
        Err(TranscribeError::Language { language: AUTO.to_owned() })
    }

    /// Recognizes windows as one batch; results stand in their order, and do not depend on the number of threads.
    fn recognize(&mut self, windows: &[Window<'_>]) -> Result<Vec<Recognition>, TranscribeError>;
}

/// The engine that a model's manifest names.
pub(crate) fn load(
    spec: &EngineSpec,
    device: &Device,
    config: &TranscribeConfig,
) -> Result<Box<dyn Engine>, TranscribeError> {
    Ok(match spec.engine {
        EngineKind::Moonshine => Box::new(MoonshineEngine::load(&spec.folder, device, config)?),
        EngineKind::Whisper => Box::new(WhisperEngine::load(&spec.folder, device, config)?),
        EngineKind::WhisperCpp => Box::new(WhisperCppEngine::load(&spec.folder, &spec.languages)?),
    })
}

impl From<Recognized> for Recognition {
    fn from(heard: Recognized) -> Self {
        let token = |t: RecognizedToken| Token { text: t.text, logprob: t.logprob, start_s: t.start_s, end_s: t.end_s };
        Self {
            tokens: heard.tokens.into_iter().map(token).collect(),
            avg_logprob: heard.avg_logprob,
            truncated: heard.truncated,
            no_speech_prob: heard.no_speech_prob,
        }
    }
}
