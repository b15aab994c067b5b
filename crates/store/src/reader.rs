//! An object as a file: `Read` and `Seek` over ranges.

use crate::{
    StoreError,
    objects::{Place, get_range, object_error, retried, runtime},
};
use bytes::Bytes;
use object_store::ObjectStoreExt;
use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, OnceLock},
};
use tokio::task::JoinHandle;

/// Bytes of one request. At 30 s a request (the default limit) that bears lines of 35 kB/s.
const CHUNK: u64 = 1 << 20;
/// Chunks that are kept: the whole of most calls, so that hashing and decoding them asks for each byte once.
const KEPT: usize = 32;
/// Chunks that are asked for before they are wanted, while an object is read from front to back.
const AHEAD: u64 = 3;

/// An object, read in ranges: what is near is kept, what comes next is asked for ahead, and no more than 35 MiB are held.
///
/// Every range is asked of the same version: an object that is overwritten meanwhile fails instead of being mixed.
pub struct ObjectReader {
    place: Place,
    size: u64,
    e_tag: Option<String>,
    position: u64,
    /// By number, with the time of the last use.
    chunks: BTreeMap<u64, (u64, Bytes)>,
    ahead: BTreeMap<u64, JoinHandle<Result<Bytes, object_store::Error>>>,
    /// The chunk that was read last.
    last: Option<u64>,
    clock: u64,
    trouble: Arc<OnceLock<String>>,
}

impl ObjectReader {
    /// Finds the object and notes its size and version.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let place = Place::open(url)?;
        let head = retried(|| async { place.objects.head(&place.path).await });
        let meta = runtime()?.block_on(head).map_err(|e| object_error(url, e))?;
        Ok(Self {
            place,
            size: meta.size,
            e_tag: meta.e_tag,
            position: 0,
            chunks: BTreeMap::new(),
            ahead: BTreeMap::new(),
            last: None,
            clock: 0,
            trouble: Arc::default(),
        })
    }

    /// A second reader of the same version, from its start. What is kept is shared, and so is its trouble.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            place: self.place.clone(),
            size: self.size,
            e_tag: self.e_tag.clone(),
            position: 0,
            chunks: self.chunks.clone(),
            ahead: BTreeMap::new(),
            last: None,
            clock: self.clock,
            trouble: self.trouble.clone(),
        }
    }

    /// Bytes of the object.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Holds, once a request has failed for good, what the store said: a decoder may tell it differently or not at all.
    pub fn trouble(&self) -> Arc<OnceLock<String>> {
        self.trouble.clone()
    }

    fn request(&self, chunk: u64) -> impl Future<Output = Result<Bytes, object_store::Error>> + Send + 'static + use<> {
        let (objects, path, e_tag) = (self.place.objects.clone(), self.place.path.clone(), self.e_tag.clone());
        let range = chunk * CHUNK..self.size.min((chunk + 1) * CHUNK);
        async move { get_range(&objects, &path, range, e_tag.as_deref()).await }
    }

    /// The chunk, kept, on its way, or asked for now.
    fn chunk(&mut self, chunk: u64) -> Result<Bytes, StoreError> {
        self.clock += 1;
        if let Some((used, bytes)) = self.chunks.get_mut(&chunk) {
            *used = self.clock;
            return Ok(bytes.clone());
        }
        let runtime = runtime()?;
        let front_to_back = self.last.map_or(chunk == 0, |last| chunk == last + 1);
        let next = chunk + 1..if front_to_back { chunk + 1 + AHEAD } else { chunk + 1 };
        // What was asked for ahead and will not be wanted soon makes room.
        self.ahead.retain(|other, request| {
            let wanted = *other == chunk || next.contains(other);
            if !wanted {
                request.abort();
            }
            wanted
        });
        let wanted = self.ahead.remove(&chunk);
        for other in next.filter(|&other| other * CHUNK < self.size) {
            if !self.chunks.contains_key(&other) && !self.ahead.contains_key(&other) {
                self.ahead.insert(other, runtime.spawn(self.request(other)));
            }
        }
        let bytes = match wanted {
            // A request that broke with its task is made again.
            Some(request) => match runtime.block_on(request) {
                Ok(bytes) => bytes,
                Err(_) => runtime.block_on(self.request(chunk)),
            },
            None => runtime.block_on(self.request(chunk)),
        };
        let bytes = bytes.map_err(|e| match e {
            object_store::Error::Precondition { .. } => StoreError::Location {
                location: self.url(),
                message: "was overwritten while it was read; run again".into(),
            },
            e => object_error(self.url(), e),
        })?;
        self.last = Some(chunk);
        if self.chunks.len() >= KEPT {
            let oldest = self.chunks.iter().min_by_key(|(_, (used, _))| *used).map(|(&chunk, _)| chunk);
            oldest.and_then(|oldest| self.chunks.remove(&oldest));
        }
        self.chunks.insert(chunk, (self.clock, bytes.clone()));
        Ok(bytes)
    }

    fn url(&self) -> String {
        self.place.url(&self.place.path)
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let bytes = self.chunk(self.position / CHUNK).map_err(|e| {
            let _ = self.trouble.set(e.to_string());
            io::Error::other(e)
        })?;
        let from = (self.position % CHUNK) as usize;
        let count = buffer.len().min(bytes.len() - from);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        self.ahead.values().for_each(JoinHandle::abort);
    }
}
