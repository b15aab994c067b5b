//! What can go wrong with reference data.

use schema::StageError;
use std::path::{Path, PathBuf};

/// An error of this crate. Messages name the file, the place and the way out; never the texts of a row.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of rows has a row or a header that does not fit.
    #[error("{path}: line {line}{}: {problem}", column.map(|c| format!(", column {c}")).unwrap_or_default())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, where one is at fault.
        column: Option<&'static str>,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A file of rows is not UTF-8 or cannot be taken apart.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the csv crate says.
        source: csv::Error,
    },
    /// A JSON file does not have the form that it should have.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What serde_json says, with line and column.
        source: serde_json::Error,
    },
    /// A fixture contradicts itself.
    #[error("{path}: {problem}")]
    Fixture {
        /// The script.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Table rows that are to be scored do not fit their table.
    #[error(transparent)]
    Rows(#[from] StageError),
}

impl EvalError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn csv(path: &Path, source: csv::Error) -> Self {
        Self::Csv { path: path.to_owned(), source }
    }

    pub(crate) fn row(path: &Path, line: u64, column: Option<&'static str>, problem: impl Into<String>) -> Self {
        Self::Row { path: path.to_owned(), line, column, problem: problem.into() }
    }
}
