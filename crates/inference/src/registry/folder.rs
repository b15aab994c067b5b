//! Models from a folder that the user keeps: a site without a network.

use super::files::{copy, is_right, place, problem};
use super::{ModelFile, PullProgress, RegistryError};
use std::path::Path;

/// Copies what is not yet right in `folder` from `origin`, a folder that holds the model's files by name.
pub(super) fn fetch(
    model: &str,
    origin: &Path,
    files: &[ModelFile],
    folder: &Path,
    work: &Path,
    progress: &dyn PullProgress,
) -> Result<(), RegistryError> {
    // Nothing is copied before the sizes fit: a folder of another source's files is told apart in no time.
    if let Some(reason) = problem(origin, files, false)? {
        return Err(RegistryError::BadOrigin { from: origin.display().to_string(), reason });
    }
    for file in files {
        if !is_right(folder, file)? {
            let part = work.join(&file.name);
            copy(&origin.join(&file.name), &part, |done| progress.bytes(model, &file.name, done, file.size))?;
            place(&part, file, folder)?;
        }
    }
    Ok(())
}
