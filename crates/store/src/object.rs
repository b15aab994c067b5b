//! Objects: where they lie, how they are written and read.

use crate::{
    Stamp, StoreError,
    objects::{self, Place, is_url, runtime},
};
use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, local::LocalFileSystem, path::Path,
    prefix::PrefixStore,
};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::{ParquetMetaData, ParquetMetaDataReader},
        properties::WriterProperties,
    },
};
use schema::{Row, SchemaError, StageName, Table, from_batch, validate};
use std::{collections::BTreeMap, sync::Arc};
use tokio::runtime::Runtime;

/// A row group is closed when this many bytes are in progress, so that a long shard never waits in memory whole.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// What is read of an object to see its stamp; a longer footer takes a second read.
const FOOTER_BYTES: u64 = 64 << 10;
/// The object that [`Store::check_writable`] writes. No table's, so no reader of a table sees it.
const WRITE_TEST: &str = ".write-test";
/// Objects from here on are sent in parts of this many bytes, so that each part has a request's time to itself.
const PART_BYTES: usize = 16 << 20;

/// An object: a table of a shard, and for `stage_errors` of one stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    table: Table,
    name: String,
}

impl Key {
    /// A table of a shard.
    pub fn new(table: Table, shard: &str) -> Self {
        Self { table, name: shard.to_owned() }
    }

    /// The errors of a stage in a shard.
    pub fn errors(shard: &str, stage: StageName) -> Self {
        Self { table: Table::StageErrors, name: format!("{shard}-{stage}") }
    }

    /// The shard.
    pub fn shard(&self) -> &str {
        self.name.split('-').next().unwrap_or(&self.name)
    }

    fn path(&self) -> Path {
        Path::from(format!("{}/{}.parquet", self.table.name(), self.name))
    }
}

/// A store of tables.
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    runtime: &'static Runtime,
    location: String,
}

impl Store {
    /// Opens a store for reading and writing: a folder, which is made if need be, or `s3://`, `az://` or `gs://` with a
    /// bucket, which must be there, and a prefix.
    pub fn open(location: &str) -> Result<Self, StoreError> {
        let fail = |message: String| StoreError::Location { location: location.to_owned(), message };
        let (runtime, location) = (runtime()?, location.to_owned());
        if is_url(&location) {
            let Place { objects, path, .. } = Place::open(location.trim_end_matches('/'))?;
            return Ok(Self { objects: Arc::new(PrefixStore::new(objects, path)), runtime, location });
        }
        let folder = location.strip_prefix("file://").unwrap_or(&location);
        std::fs::create_dir_all(folder)
            .map_err(|e| fail(format!("cannot make the folder: {e}; name another with --store")))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|e| fail(e.to_string()))?;
        Ok(Self { objects: Arc::new(objects), runtime, location })
    }

    /// Whether objects can be written here, by writing one and deleting it again: a run that finds out after hours of
    /// recognition has worked for nothing.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        let refused = |e: &dyn std::fmt::Display| StoreError::Location {
            location: self.location.clone(),
            message: format!("cannot be written: {e}; give this user the right to, or name another with --store"),
        };
        if !is_url(&self.location) {
            let folder = self.location.strip_prefix("file://").unwrap_or(&self.location);
            let file = std::path::Path::new(folder).join(WRITE_TEST);
            return std::fs::write(&file, b"").and_then(|()| std::fs::remove_file(&file)).map_err(|e| refused(&e));
        }
        let path = Path::from(WRITE_TEST);
        let written = self.runtime.block_on(async {
            objects::retried(|| async { self.objects.put(&path, PutPayload::default()).await }).await?;
            objects::retried(|| async { self.objects.delete(&path).await }).await
        });
        written.map_err(|e| refused(&e))
    }

    /// Opens a store that must be there already.
    pub fn open_existing(location: &str) -> Result<Self, StoreError> {
        let fail = |what: &str| {
            let message = format!("there is no such {what}; `nightcall run` makes one");
            StoreError::Location { location: location.to_owned(), message }
        };
        if is_url(location) {
            let store = Self::open(location)?;
            return if store.list(Table::Calls)?.is_empty() { Err(fail("store")) } else { Ok(store) };
        }
        if !std::path::Path::new(location.strip_prefix("file://").unwrap_or(location)).is_dir() {
            return Err(fail("folder"));
        }
        Self::open(location)
    }

    /// The location as it was opened.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The objects of a table, sorted by name.
    pub fn list(&self, table: Table) -> Result<Vec<Key>, StoreError> {
        let folder = Path::from(table.name());
        let found: Vec<_> = self
            .runtime
            .block_on(objects::retried(|| async { self.objects.list(Some(&folder)).try_collect().await }))
            .map_err(|e| objects::object_error(folder, e))?;
        let names = found.iter().filter_map(|o| o.location.filename()?.strip_suffix(".parquet"));
        let mut keys: Vec<_> = names.map(|name| Key { table, name: name.to_owned() }).collect();
        keys.sort();
        Ok(keys)
    }

    /// Writes an object whole: it appears under its name with all its rows, or not at all.
    pub fn write(&self, key: &Key, batches: &[RecordBatch], stamp: &Stamp) -> Result<(), StoreError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
            .set_key_value_metadata(Some(stamp.to_metadata()))
            .set_created_by(concat!("nightcall ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let bytes = encode(key.table, batches, properties).map_err(|e| parquet_error(key, e))?;
        self.runtime.block_on(self.put(&key.path(), bytes)).map_err(|e| object_error(key, e))
    }

    async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), object_store::Error> {
        objects::retried(|| async {
            if bytes.len() <= PART_BYTES {
                return self.objects.put(path, PutPayload::from(bytes.clone())).await.map(drop);
            }
            let mut parts = WriteMultipart::new_with_chunk_size(self.objects.put_multipart(path).await?, PART_BYTES);
            parts.put(bytes.clone());
            parts.finish().await.map(drop)
        })
        .await
    }

    /// Deletes an object; one that is not there is deleted already.
    pub fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let path = key.path();
        match self.runtime.block_on(objects::retried(|| async { self.objects.delete(&path).await })) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(object_error(key, e)),
        }
    }

    /// How an object came to be; `None` where it is not there, is damaged, or is of another schema version, which all
    /// mean that it is to be made.
    pub fn stamp(&self, key: &Key) -> Result<Option<Stamp>, StoreError> {
        match self.runtime.block_on(self.footer(&key.path())) {
            Ok(footer) => {
                let metadata = footer.as_ref().and_then(|f| f.file_metadata().key_value_metadata());
                Ok(metadata.and_then(|m| Stamp::from_metadata(m)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(object_error(key, e)),
        }
    }

    /// The footer alone, from the object's last bytes; `None` where they are no Parquet footer.
    async fn footer(&self, path: &Path) -> Result<Option<ParquetMetaData>, object_store::Error> {
        let mut wanted = FOOTER_BYTES;
        loop {
            let (bytes, size) = self.tail(path, wanted).await?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&bytes, size) {
                Ok(()) => return Ok(reader.finish().ok()),
                Err(ParquetError::NeedMoreData(more)) if (more as u64) > wanted && wanted < size => {
                    wanted = more as u64;
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// The last bytes of an object, and its size.
    async fn tail(&self, path: &Path, wanted: u64) -> Result<(Bytes, u64), object_store::Error> {
        objects::retried(|| async {
            let range = Some(GetRange::Suffix(wanted));
            match self.objects.get_opts(path, GetOptions { range, ..GetOptions::default() }).await {
                Ok(found) => {
                    let (size, range) = (found.meta.size, found.range.clone());
                    Ok((objects::whole(found.bytes().await?, range.end - range.start)?, size))
                }
                // Azure has no ranges from the end.
                Err(object_store::Error::NotSupported { .. }) => {
                    let size = self.objects.head(path).await?.size;
                    let range = size.saturating_sub(wanted)..size;
                    Ok((objects::get_range(&self.objects, path, range, None).await?, size))
                }
                Err(e) => Err(e),
            }
        })
        .await
    }

    /// The record batches of an object, checked against the table; none where it is not there.
    pub fn batches(&self, key: &Key) -> Result<Vec<RecordBatch>, StoreError> {
        let bytes = match self.runtime.block_on(objects::get(&self.objects, &key.path())) {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            Err(e) => return Err(object_error(key, e)),
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(|builder| builder.with_batch_size(8192).build())
            .map_err(|e| parquet_error(key, e))?;
        reader
            .map(|batch| validate(key.table, &batch.map_err(SchemaError::from)?))
            .collect::<Result<_, _>>()
            .map_err(|e| schema_error(key, e))
    }

    /// The rows of an object; none where it is not there.
    pub fn rows<T: Row>(&self, key: &Key) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        for batch in self.batches(key)? {
            rows.extend(from_batch::<T>(&batch).map_err(|e| schema_error(key, e))?);
        }
        Ok(rows)
    }

    /// The rows of a whole table, shard by shard in the order of their names.
    pub fn table<T: Row>(&self) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        for key in self.list(T::TABLE)? {
            rows.extend(self.rows::<T>(&key)?);
        }
        Ok(rows)
    }

    /// The shard that each call lies in.
    pub fn shards(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut shards = BTreeMap::new();
        for key in self.list(Table::Calls)? {
            for call in self.rows::<schema::Call>(&key)? {
                shards.insert(call.call_id, key.name.clone());
            }
        }
        Ok(shards)
    }
}

fn encode(table: Table, batches: &[RecordBatch], properties: WriterProperties) -> Result<Bytes, ParquetError> {
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
        if writer.in_progress_size() > ROW_GROUP_BYTES {
            writer.flush()?;
        }
    }
    Ok(Bytes::from(writer.into_inner()?))
}

fn object_error(key: &Key, source: object_store::Error) -> StoreError {
    objects::object_error(key.path(), source)
}

fn parquet_error(key: &Key, source: ParquetError) -> StoreError {
    StoreError::Parquet { object: key.path().to_string(), source: Box::new(source) }
}

fn schema_error(key: &Key, source: SchemaError) -> StoreError {
    StoreError::Schema { object: key.path().to_string(), source: Box::new(source) }
}
