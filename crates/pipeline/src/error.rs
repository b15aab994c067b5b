use schema::StageError;
use std::path::PathBuf;

/// What keeps a run from going on. What goes wrong with one call is a row in `stage_errors` instead.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The pipeline file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The pipeline file says something that is not understood.
    #[error("{}: {message}", file.display())]
    Spec {
        /// The file.
        file: PathBuf,
        /// The key, the line and what is expected there.
        message: String,
    },
    /// A stage reads a table that no earlier stage writes.
    #[error("stage {stage} reads {table}, which no earlier stage writes")]
    Wiring {
        /// The stage.
        stage: schema::StageName,
        /// The table.
        table: &'static str,
    },
    /// A stage cannot be made: a missing model, a value that it refuses.
    #[error("{0}")]
    Setup(String),
    /// Recordings or lists cannot be found or read.
    #[error(transparent)]
    Ingest(#[from] ingest::IngestError),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A stage failed outside any call.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A stream between stages.
    #[error("the stream of tables: {0}")]
    Stream(String),
}
