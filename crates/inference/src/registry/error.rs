//! What can go wrong with the store of models.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a model cannot be found, verified or brought.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No manifest has this name.
    #[error("no model is called `{name}`; there are {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that there are, separated by commas.
        known: String,
    },
    /// The model's folder holds none of its files.
    #[error("the model `{name}` is not in {}; bring it with `nightcall models pull {name}`", .folder.display())]
    Missing {
        /// The manifest's name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// Some of the model's files are not what they should be.
    #[error("the model `{name}` is damaged: {reason}; `nightcall models pull {name}` mends it")]
    Damaged {
        /// The manifest's name.
        name: String,
        /// The file, and what is wrong with it.
        reason: String,
    },
    /// A manifest cannot be read, or contradicts itself.
    #[error("{}: {reason}", .path.display())]
    BadManifest {
        /// The manifest's file.
        path: PathBuf,
        /// The key and its value.
        reason: String,
    },
    /// The place to pull from is of no kind that is understood.
    #[error("cannot pull from `{from}`: {reason}")]
    BadOrigin {
        /// The place.
        from: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A fetched file is not the one that the manifest describes. It was deleted.
    #[error("{file} has the sha256 {found} ({found_size} bytes), not {expected} ({expected_size} bytes)")]
    WrongFile {
        /// The file's name.
        file: String,
        /// The manifest's hash.
        expected: String,
        /// The manifest's size.
        expected_size: u64,
        /// The hash of what came.
        found: String,
        /// The size of what came.
        found_size: u64,
    },
    /// The model hub did not give a file.
    #[error("{file}: {source}")]
    Hub {
        /// The file's name at the hub.
        file: String,
        /// What the client said.
        source: Box<hf_hub::api::sync::ApiError>,
    },
    /// A step that Python does failed.
    #[error("{step} failed: {reason}")]
    Python {
        /// The step.
        step: String,
        /// The last lines that it said, and what to do.
        reason: String,
    },
    /// A file or folder of the store could not be read or written.
    #[error("{}: {source}{}", .path.display(), way_out(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Every source was tried.
    #[error(
        "the model `{name}` could not be brought:{}\nOn a machine that reaches one of these, run `nightcall models \
         pull {name}`, copy the folder {name} from its models here, and run `nightcall models pull {name} --from \
         FOLDER`, FOLDER being the one that holds the folder {name}.",
        lines(.attempts)
    )]
    NoSource {
        /// The manifest's name.
        name: String,
        /// What was tried, in order.
        attempts: Vec<Attempt>,
    },
}

/// What to do about rights that are missing; other errors of the system say enough.
fn way_out(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "; give this user the right to read it, or name another folder with --models or NIGHTCALL_MODELS"
        }
        _ => "",
    }
}

/// A line for each attempt.
fn lines(attempts: &[Attempt]) -> String {
    attempts.iter().fold(String::new(), |text, attempt| text + "\n  " + &attempt.to_string())
}

/// A source that was tried in vain.
#[derive(Debug)]
pub struct Attempt {
    /// The source, as a reader would name it.
    pub source: String,
    /// What went wrong.
    pub error: Box<RegistryError>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.error)
    }
}

impl RegistryError {
    /// For `map_err` on what concerns a path.
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
