//! What can go wrong between a model's folder and its result.

use std::path::{Path, PathBuf};

/// Why a model could not be loaded or run. Messages hold paths and numbers, never what was said in a call.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// A model's file could not be read.
    #[error("cannot read {}: {source}; `nightcall models verify` says what is missing or damaged", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A model's file was read and does not hold what it should.
    #[error("{}: {reason}; `nightcall models verify` says what is missing or damaged", .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked of a model cannot be had: a device that is not there, an input of the wrong shape.
    #[error("{0}")]
    BadRequest(String),
    /// The model's computation failed.
    #[error("the model's computation failed: {0}")]
    Compute(#[from] candle_core::Error),
}

impl InferenceError {
    /// Whether it was a lack of memory, of the machine or of the card.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Compute(error) if crate::memory::is_out_of_memory(error))
    }

    /// Reads a whole file of a model.
    pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Self> {
        std::fs::read(path).map_err(|source| Self::Read { path: path.to_owned(), source })
    }

    /// A [`InferenceError::BadFile`].
    #[allow(clippy::needless_pass_by_value)] // by value, as `map_err` gives it
    pub(crate) fn bad_file(path: &Path, reason: impl ToString) -> Self {
        Self::BadFile { path: path.to_owned(), reason: reason.to_string() }
    }
}
