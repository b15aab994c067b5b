//! Objects: where they lie, how they are written and read.

use crate::{Stamp, StoreError};
use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path};
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
use tokio::runtime::{Builder, Runtime};

/// A row group is closed when this many bytes are in progress, so that a long shard never waits in memory whole.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// What is read of an object to see its stamp; a longer footer takes a second read.
const FOOTER_BYTES: u64 = 64 << 10;

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
    runtime: Runtime,
    location: String,
}

impl Store {
    /// Opens a store for reading and writing; a folder that does not exist is made.
    pub fn open(location: &str) -> Result<Self, StoreError> {
        let fail = |message: String| StoreError::Location { location: location.to_owned(), message };
        if let Some((scheme, _)) = location.split_once("://") {
            return Err(fail(format!("this build reads and writes folders; {scheme}:// is not supported")));
        }
        std::fs::create_dir_all(location).map_err(|e| fail(format!("cannot make the folder: {e}")))?;
        let objects = LocalFileSystem::new_with_prefix(location).map_err(|e| fail(e.to_string()))?;
        let runtime = Builder::new_current_thread().build().map_err(|e| fail(e.to_string()))?;
        Ok(Self { objects: Arc::new(objects), runtime, location: location.to_owned() })
    }

    /// Opens a store that must be there already.
    pub fn open_existing(location: &str) -> Result<Self, StoreError> {
        if !location.contains("://") && !std::path::Path::new(location).is_dir() {
            let message = "there is no such folder; `nightcall run` makes one".to_owned();
            return Err(StoreError::Location { location: location.to_owned(), message });
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
            .block_on(self.objects.list(Some(&folder)).try_collect())
            .map_err(|source| StoreError::Object { object: folder.to_string(), source: Box::new(source) })?;
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
        self.runtime
            .block_on(self.objects.put(&key.path(), PutPayload::from(bytes)))
            .map_err(|e| object_error(key, e))?;
        Ok(())
    }

    /// Deletes an object; one that is not there is deleted already.
    pub fn delete(&self, key: &Key) -> Result<(), StoreError> {
        match self.runtime.block_on(self.objects.delete(&key.path())) {
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
            let range = Some(GetRange::Suffix(wanted));
            let found = self.objects.get_opts(path, GetOptions { range, ..GetOptions::default() }).await?;
            let size = found.meta.size;
            let bytes = found.bytes().await?;
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

    /// The record batches of an object, checked against the table; none where it is not there.
    pub fn batches(&self, key: &Key) -> Result<Vec<RecordBatch>, StoreError> {
        let bytes = match self.runtime.block_on(async { self.objects.get(&key.path()).await?.bytes().await }) {
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
    StoreError::Object { object: key.path().to_string(), source: Box::new(source) }
}

fn parquet_error(key: &Key, source: ParquetError) -> StoreError {
    StoreError::Parquet { object: key.path().to_string(), source: Box::new(source) }
}

fn schema_error(key: &Key, source: SchemaError) -> StoreError {
    StoreError::Schema { object: key.path().to_string(), source: Box::new(source) }
}
