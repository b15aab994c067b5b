//! The store of models: what there is, what is installed, and how to bring the rest.
//!
//! A [`Manifest`] says what a model is and which [`Source`]s have it, each file with its hash. The [`Registry`] keeps a
//! folder of the manifest's name in its cache for each installed model, and beside the files a record of the source
//! that they came from, because two sources may hold different bytes of one model. `pull.rs` brings a model, through
//! `folder.rs`, `hub.rs` or `package.rs`.

mod error;
mod files;
mod folder;
mod hub;
mod manifest;
mod package;
mod pull;

pub use error::{Attempt, RegistryError};
pub use manifest::{Conversion, Engine, Manifest, ModelFile, Script, Source, Task};
pub use pull::PullProgress;

pub(crate) use files::hex;
use files::{Record, differs, digest, problem};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The models that this build and the user know, and the folder that holds the installed ones.
#[derive(Debug, Clone)]
pub struct Registry {
    cache: PathBuf,
    manifests: BTreeMap<String, Manifest>,
    hub_endpoint: Option<String>,
    python: PathBuf,
    /// Given to every call of pip after the subcommand.
    pip_arguments: Vec<String>,
}

/// A model whose files are all there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its manifest.
    pub manifest: Manifest,
    /// Where its files lie.
    pub folder: PathBuf,
    /// The source that they came from, as a reader would name it.
    pub source: String,
    /// The SHA-256 over its files' names and hashes, in hexadecimal: with the name, the model's identity.
    pub sha256: String,
    /// Its files.
    pub files: Vec<ModelFile>,
}

impl Installed {
    /// The file that holds the weights: the largest.
    pub fn weights(&self) -> PathBuf {
        let largest = self.files.iter().max_by_key(|file| file.size);
        largest.map_or_else(|| self.folder.clone(), |file| self.folder.join(&file.name))
    }
}

/// A line of `nightcall models list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelState {
    /// The manifest's name.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// What it is for.
    pub task: Task,
    /// Which of our engines runs it; recognizers only.
    pub engine: Option<Engine>,
    /// SPDX identifier of the weights' licence.
    pub licence: String,
    /// The languages that it understands.
    pub languages: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
    /// Whether it is there.
    pub status: Status,
    /// Installed: the source that it came from. Damaged: the file, and what is wrong with it.
    pub detail: Option<String>,
}

/// Whether a model is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All its files are there.
    Installed,
    /// None of them is.
    Missing,
    /// Some are missing, or not what they should be.
    Damaged,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Installed => "installed",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        })
    }
}

impl Registry {
    /// The models that this build carries, installed under `cache` (a folder a model; it need not exist yet).
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        let manifests = Manifest::built_in().into_iter().map(|manifest| (manifest.name.clone(), manifest)).collect();
        let (python, pip_arguments) = (PathBuf::from("python3"), Vec::new());
        Self { cache: cache.into(), manifests, hub_endpoint: None, python, pip_arguments }
    }

    /// Adds every `*.toml` of a folder. A manifest of a built-in model's name stands in for it. No folder: nothing.
    pub fn with_manifests(mut self, folder: &Path) -> Result<Self, RegistryError> {
        if !folder.is_dir() {
            return Ok(self);
        }
        let io = |error| RegistryError::io(folder)(error);
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&path).map_err(RegistryError::io(&path))?;
                let manifest = Manifest::parse(&path, &text)?;
                self.manifests.insert(manifest.name.clone(), manifest);
            }
        }
        Ok(self)
    }

    /// Asks a mirror of the model hub instead of the hub.
    #[must_use]
    pub fn with_hub_endpoint(mut self, url: impl Into<String>) -> Self {
        self.hub_endpoint = Some(url.into());
        self
    }

    /// The Python that brings packages, instead of `python3`.
    #[must_use]
    pub fn with_python(mut self, program: impl Into<PathBuf>) -> Self {
        self.python = program.into();
        self
    }

    /// Further arguments for every call of pip, such as `--index-url URL` for a site that mirrors packages.
    #[must_use]
    pub fn with_pip_arguments<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.pip_arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// The folder of the installed models.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Every known manifest, by name.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.values()
    }

    /// The manifest of this name.
    pub fn manifest(&self, name: &str) -> Result<&Manifest, RegistryError> {
        self.manifests.get(name).ok_or_else(|| RegistryError::Unknown {
            name: name.to_owned(),
            known: self.manifests.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// Every known model and whether it is there, by name. Sizes are compared, not hashes.
    pub fn list(&self) -> Vec<ModelState> {
        let state = |manifest: &Manifest| {
            let (status, detail, size) = match self.find(&manifest.name) {
                Ok(found) => (Status::Installed, Some(found.source), found.files.iter().map(|file| file.size).sum()),
                Err(RegistryError::Damaged { reason, .. }) => (Status::Damaged, Some(reason), manifest.size()),
                Err(RegistryError::Missing { .. }) => (Status::Missing, None, manifest.size()),
                Err(error) => (Status::Damaged, Some(error.to_string()), manifest.size()),
            };
            ModelState {
                name: manifest.name.clone(),
                about: manifest.about.clone(),
                task: manifest.task,
                engine: manifest.engine,
                licence: manifest.licence.clone(),
                languages: manifest.languages.clone(),
                size,
                status,
                detail,
            }
        };
        self.manifests().map(state).collect()
    }

    /// An installed model. Sizes are compared, not hashes, unless the files were put there by hand.
    pub fn find(&self, name: &str) -> Result<Installed, RegistryError> {
        self.inspect(name, false)
    }

    /// An installed model, every file of it hashed.
    pub fn verify(&self, name: &str) -> Result<Installed, RegistryError> {
        self.inspect(name, true)
    }

    fn inspect(&self, name: &str, hash: bool) -> Result<Installed, RegistryError> {
        let manifest = self.manifest(name)?;
        let folder = self.cache.join(name);
        let damaged = |reason: String| RegistryError::Damaged { name: name.to_owned(), reason };

        let mut any = false;
        for file in manifest.sources.iter().flat_map(Source::files) {
            // A folder that may not be looked into holds the model all the same: pulling it again would not help.
            any |= folder.join(&file.name).try_exists().map_err(RegistryError::io(&folder))?;
        }
        if !any {
            return Err(RegistryError::Missing { name: name.to_owned(), folder });
        }
        let record = Record::read(&folder)?;
        let Some(record) = record else {
            // Put there by hand, or half pulled: only the hashes can tell which source's files these are.
            for source in &manifest.sources {
                if problem(&folder, source.files(), true)?.is_none() {
                    return Ok(self.installed(manifest, source.to_string(), source.files()));
                }
            }
            let first = manifest.sources.first().map_or(&[][..], Source::files);
            let reason = problem(&folder, first, true)?.unwrap_or_default();
            return Err(damaged(reason));
        };
        if !manifest.sources.iter().any(|source| !differs(source.files(), &record.files)) {
            return Err(damaged(format!(
                "it was installed from {}, which its manifest no longer names",
                record.source
            )));
        }
        match problem(&folder, &record.files, hash)? {
            Some(reason) => Err(damaged(reason)),
            None => Ok(self.installed(manifest, record.source, &record.files)),
        }
    }

    fn installed(&self, manifest: &Manifest, source: String, files: &[ModelFile]) -> Installed {
        Installed {
            folder: self.cache.join(&manifest.name),
            manifest: manifest.clone(),
            source,
            sha256: digest(files),
            files: files.to_vec(),
        }
    }
}
