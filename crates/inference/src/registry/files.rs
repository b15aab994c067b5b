//! Files of a model on disk: hashing them, putting them in place, and the record of where they came from.

use super::{ModelFile, RegistryError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The record's name, beside the files.
const RECORD: &str = "installed.toml";

/// What lies in a model's folder. Written last, removed first: where it is, every file was right.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// The source, as a reader would name it.
    pub source: String,
    /// Its files, as they were verified.
    pub files: Vec<ModelFile>,
}

impl Record {
    /// The record of a folder, or none.
    pub fn read(folder: &Path) -> Result<Option<Self>, RegistryError> {
        let path = folder.join(RECORD);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|error| RegistryError::BadManifest { path, reason: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RegistryError::io(&path)(error)),
        }
    }

    /// Writes the record whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<(), RegistryError> {
        let path = folder.join(RECORD);
        let text = toml::to_string(self)
            .map_err(|error| RegistryError::BadManifest { path: path.clone(), reason: error.to_string() })?;
        let part = folder.join(format!(".{RECORD}.part"));
        std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &path)).map_err(RegistryError::io(&path))
    }

    /// Removes the record; none is fine.
    pub fn remove(folder: &Path) -> Result<(), RegistryError> {
        let path = folder.join(RECORD);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(RegistryError::io(&path)(error)),
            _ => Ok(()),
        }
    }
}

/// The SHA-256 over the names and hashes of files, whatever their order: the identity of a model's bytes.
pub(super) fn digest(files: &[ModelFile]) -> String {
    let mut lines: Vec<String> = files.iter().map(|file| format!("{}  {}\n", file.sha256, file.name)).collect();
    lines.sort();
    hex(&Sha256::digest(lines.concat()))
}

/// Whether two lists of files describe different bytes; where a source keeps them does not count.
pub(super) fn differs(a: &[ModelFile], b: &[ModelFile]) -> bool {
    digest(a) != digest(b)
}

/// The first thing that is wrong with these files in this folder, or nothing.
pub(super) fn problem(folder: &Path, files: &[ModelFile], hash: bool) -> Result<Option<String>, RegistryError> {
    for file in files {
        let path = folder.join(&file.name);
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Some(format!("{} is missing", file.name))),
            Err(e) => return Err(RegistryError::io(&path)(e)),
        };
        if metadata.len() != file.size {
            return Ok(Some(format!("{} has {} bytes, not {}", file.name, metadata.len(), file.size)));
        }
        if hash {
            let found = hash_of(&path)?;
            if found != file.sha256 {
                return Ok(Some(format!("{} has the sha256 {found}, not {}", file.name, file.sha256)));
            }
        }
    }
    Ok(None)
}

/// Whether a file is there and right.
pub(super) fn is_right(folder: &Path, file: &ModelFile) -> Result<bool, RegistryError> {
    problem(folder, std::slice::from_ref(file), true).map(|problem| problem.is_none())
}

/// Verifies a fetched file and gives it its final name; deletes it when it is not what it should be.
pub(super) fn place(fetched: &Path, file: &ModelFile, folder: &Path) -> Result<(), RegistryError> {
    verify(fetched, file)?;
    let path = folder.join(&file.name);
    File::open(fetched).and_then(|open| open.sync_all()).map_err(RegistryError::io(fetched))?;
    std::fs::rename(fetched, &path).map_err(RegistryError::io(&path))
}

/// Compares a fetched file with its description; deletes it when it is not what it should be.
pub(super) fn verify(fetched: &Path, file: &ModelFile) -> Result<(), RegistryError> {
    let found_size = std::fs::metadata(fetched).map_err(RegistryError::io(fetched))?.len();
    let found = hash_of(fetched)?;
    if found == file.sha256 && found_size == file.size {
        return Ok(());
    }
    std::fs::remove_file(fetched).map_err(RegistryError::io(fetched))?;
    Err(RegistryError::WrongFile {
        file: file.at_source().to_owned(),
        expected: file.sha256.clone(),
        expected_size: file.size,
        found,
        found_size,
    })
}

/// The SHA-256 of a file's content, in hexadecimal.
fn hash_of(path: &Path) -> Result<String, RegistryError> {
    let mut file = File::open(path).map_err(RegistryError::io(path))?;
    let mut hash = Sha256::new();
    each_block(&mut file, |block| {
        hash.update(block);
        Ok(())
    })
    .map_err(RegistryError::io(path))?;
    Ok(hex(&hash.finalize()))
}

/// Copies a file, telling how far it is.
pub(super) fn copy(from: &Path, to: &Path, mut copied: impl FnMut(u64)) -> Result<(), RegistryError> {
    let mut source = File::open(from).map_err(RegistryError::io(from))?;
    let mut target = File::create(to).map_err(RegistryError::io(to))?;
    let mut done = 0;
    each_block(&mut source, |block| {
        target.write_all(block)?;
        done += block.len() as u64;
        copied(done);
        Ok(())
    })
    .map_err(RegistryError::io(to))
}

fn each_block(file: &mut File, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(()),
            n => take(&block[..n])?,
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
