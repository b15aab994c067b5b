//! An open recording: a file, or an object read in ranges.

use crate::{IngestError, decoder::open_file};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{Arc, OnceLock},
};
use store::{ObjectReader, objects::is_url};
use symphonia::core::io::MediaSource;

/// The bytes of a recording, wherever they lie.
pub(crate) enum Source {
    File(File),
    Object(ObjectReader),
}

impl Source {
    /// Opens what a `source_uri` names.
    pub fn open(uri: &str) -> Result<Self, IngestError> {
        if is_url(uri) {
            return Ok(Self::Object(ObjectReader::open(uri)?));
        }
        open_file(Path::new(uri.strip_prefix("file://").unwrap_or(uri))).map(Self::File)
    }

    /// A second reader of the same bytes.
    pub fn again(&self) -> io::Result<Self> {
        match self {
            Self::File(file) => file.try_clone().map(Self::File),
            Self::Object(object) => Ok(Self::Object(object.again())),
        }
    }

    /// The bytes as a file that a child process can read: an object is copied into one that has no name.
    pub fn into_file(self) -> io::Result<File> {
        match self {
            Self::File(file) => Ok(file),
            Self::Object(mut object) => {
                let mut file = tempfile::tempfile()?;
                io::copy(&mut object, &mut file)?;
                Ok(file)
            }
        }
    }

    /// What the store said when it stopped answering; empty for files, and while all goes well.
    pub fn trouble(&self) -> Arc<OnceLock<String>> {
        match self {
            Self::File(_) => Arc::default(),
            Self::Object(object) => object.trouble(),
        }
    }

    /// SHA-256 of the bytes in hexadecimal; the source is left at its start.
    pub fn hash(&mut self) -> io::Result<String> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match self.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
        }
        self.rewind()?;
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Object(object) => object.read(buffer),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Object(object) => object.seek(to),
        }
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        match self {
            Self::File(file) => file.metadata().ok().map(|m| m.len()),
            Self::Object(object) => Some(object.size()),
        }
    }
}
