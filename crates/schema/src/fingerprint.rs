//! What a stage's output depends on, as one hash.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};

/// A model as fingerprints and file metadata name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelId {
    /// The manifest's name.
    pub name: String,
    /// SHA-256 of its files, in hexadecimal.
    pub sha256: String,
}

/// A SHA-256 over everything that an output depends on. Equal fingerprint: nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Hashes named parts. Each part is length-prefixed, so that no two lists of parts run together.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The fingerprint of a stage: its version, its configuration and its models.
    pub fn of_stage(version: u32, configuration: &impl Serialize, models: &[ModelId]) -> Self {
        let configuration = serde_json::to_vec(configuration).unwrap_or_default();
        let models = serde_json::to_vec(models).unwrap_or_default();
        Self::of([&version.to_le_bytes()[..], &configuration, &models])
    }

    /// A fingerprint read back from a file's metadata.
    pub fn from_hex(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
