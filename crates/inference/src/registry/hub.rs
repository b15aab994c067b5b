//! Models from the model hub, or from a mirror that speaks its protocol.

use super::files::{is_right, place};
use super::{ModelFile, PullProgress, RegistryError};
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use std::path::Path;

/// A connection that breaks is taken up again so many times before the file counts as not to be had.
const RETRIES: usize = 3;

/// Downloads what is not yet right in `folder`. A download that was broken off goes on from the bytes in `work`.
#[allow(clippy::too_many_arguments)]
pub(super) fn fetch(
    model: &str,
    endpoint: Option<&str>,
    (repository, revision): (&str, &str),
    files: &[ModelFile],
    folder: &Path,
    work: &Path,
    progress: &dyn PullProgress,
) -> Result<(), RegistryError> {
    let cache = work.join("hub");
    let mut builder = ApiBuilder::from_cache(Cache::new(cache.clone())).with_retries(RETRIES).with_progress(false);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    let failed = |file: &str, source| RegistryError::Hub { file: file.to_owned(), source: Box::new(source) };
    let api = builder.build().map_err(|source| failed(repository, source))?;
    let repo = api.repo(Repo::with_revision(repository.to_owned(), RepoType::Model, revision.to_owned()));
    for file in files {
        if is_right(folder, file)? {
            continue;
        }
        let bar = Bar { model, file, done: 0, progress };
        let pointer = repo.download_with_progress(file.at_source(), bar).map_err(|source| {
            if matches!(source, ApiError::InvalidResume) {
                // What was there is longer than the file: of no use to the next try either.
                let _ = std::fs::remove_dir_all(&cache);
            }
            failed(file.at_source(), source)
        })?;
        // The client keeps the bytes in a blob and gives a link to it.
        let blob = pointer.canonicalize().map_err(RegistryError::io(&pointer))?;
        let placed = place(&blob, file, folder);
        let _ = std::fs::remove_file(&pointer);
        placed?;
    }
    Ok(())
}

/// Tells our progress what the client tells its own.
struct Bar<'a> {
    model: &'a str,
    file: &'a ModelFile,
    done: u64,
    progress: &'a dyn PullProgress,
}

impl hf_hub::api::Progress for Bar<'_> {
    fn init(&mut self, _size: usize, _file: &str) {
        self.done = 0;
    }

    fn update(&mut self, bytes: usize) {
        self.done += bytes as u64;
        self.progress.bytes(self.model, &self.file.name, self.done, self.file.size);
    }

    fn finish(&mut self) {}
}
