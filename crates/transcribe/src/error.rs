//! What can go wrong between sound and words.

use inference::InferenceError;
use schema::FailureKind;
use std::path::PathBuf;
use whisper_rs::WhisperError;

/// Why a recognizer could not be set up or run. Messages never hold words of a call.
#[derive(Debug, thiserror::Error)]
pub enum TranscribeError {
    /// A key of the configuration has a value that cannot be.
    #[error("[transcribe] {key} is {value}; it must be {wanted}")]
    Config {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// The model is no recognizer.
    #[error("the model {0} recognizes no speech; `nightcall models list` shows the recognizers")]
    NoRecognizer(String),
    /// A model of our inference core could not be loaded or run.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The folder of a Whisper model is not what it should be.
    #[error("{}: {reason}; `nightcall models verify` says what is missing or damaged", .path.display())]
    WhisperFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// whisper.cpp cannot load the file.
    #[error("{}: {source} `nightcall models verify` says whether the file is whole", .path.display())]
    WhisperLoad {
        /// The file.
        path: PathBuf,
        /// What whisper-rs says.
        source: WhisperError,
    },
    /// The manifest names a language that Whisper has no mark for.
    #[error("{}: Whisper knows no language \"{language}\"; mend `languages` in the model's manifest", .path.display())]
    WhisperLanguage {
        /// The model's file.
        path: PathBuf,
        /// The language.
        language: String,
    },
    /// The engine was given a language that its model does not speak.
    #[error("the model does not speak \"{language}\"")]
    Language {
        /// The language.
        language: String,
    },
    /// No threads could be had.
    #[error(transparent)]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A bench asks for another number of tokens than the model can decode.
    #[error("{tokens} tokens cannot be decoded after the prompt; ask for 1 to {most}")]
    Tokens {
        /// How many it asks for.
        tokens: usize,
        /// How many the model has places for.
        most: usize,
    },
    /// whisper.cpp failed.
    #[error("whisper.cpp failed: {0}")]
    Whisper(WhisperError),
    /// An engine gave back another number of results than it was given windows.
    #[error("the engine was given {windows} windows and recognized {results}")]
    Count {
        /// Windows given.
        windows: usize,
        /// Results.
        results: usize,
    },
}

impl TranscribeError {
    /// How `stage_errors` files it.
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::Inference(error) if error.is_out_of_memory() => FailureKind::OutOfMemory,
            Self::Count { .. } | Self::Language { .. } => FailureKind::Internal,
            _ => FailureKind::Model,
        }
    }
}
