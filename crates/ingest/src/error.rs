//! What can go wrong, and where.

use std::{fmt, io, path::PathBuf};

/// What ends ingest's work on a list, a source or one recording.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A source names nothing.
    #[error(
        "{pattern}: no such file or folder, and no file matches it; give a recording, a folder, a bucket's prefix or a glob"
    )]
    NoSuchSource {
        /// As typed.
        pattern: String,
    },
    /// There is nothing to be heard in any source.
    #[error("found no recording in {}; give a folder, a prefix or a glob that holds recordings{}", sources.join(", "), hint(*passed_over))]
    NoRecording {
        /// As typed.
        sources: Vec<String>,
        /// Files that are there and are no recordings.
        passed_over: usize,
    },
    /// A key of the pipeline's section `[ingest]` that does not fit the files at hand.
    #[error("[ingest] {key}: {reason}")]
    Config {
        /// The key and its value.
        key: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A bucket that cannot be listed or read.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A glob that cannot be parsed.
    #[error("{pattern}: not a glob: {source}")]
    Glob {
        /// As typed.
        pattern: String,
        /// What is wrong with it.
        source: glob::PatternError,
    },
    /// A list that cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A list whose content cannot be used.
    #[error("{}: {reason}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A recording that cannot be decoded.
    #[error("{}: {reason}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
}

fn hint(passed_over: usize) -> String {
    match passed_over {
        0 => String::new(),
        1 => " (passed over: 1 file that is no recording)".into(),
        n => format!(" (passed over: {n} files that are no recordings)"),
    }
}

/// Something in a list or folder that was passed over; the rest was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The list or folder.
    pub file: PathBuf,
    /// Line of the list from 1, its header counted (of a Parquet file: the row, from 1).
    pub line: Option<u64>,
    /// What is wrong and the way out.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            None => write!(f, "{}: {}", self.file.display(), self.message),
        }
    }
}
