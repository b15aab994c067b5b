use schema::SchemaError;

/// What can go wrong between the store and its objects. Every message names the object.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The location cannot be used as a store.
    #[error("store {location}: {message}")]
    Location {
        /// As the user typed it.
        location: String,
        /// Why not, and the way out.
        message: String,
    },
    /// An object could not be listed, read, written or deleted.
    #[error("{object}: {source}")]
    Object {
        /// The object's path in the store.
        object: String,
        /// What the object store says.
        source: Box<object_store::Error>,
    },
    /// An object is no Parquet file, or a damaged one.
    #[error("{object}: {source}; delete the file and run again to have it made anew")]
    Parquet {
        /// The object's path in the store.
        object: String,
        /// What the Parquet reader or writer says.
        source: Box<parquet::errors::ParquetError>,
    },
    /// An object holds another table than its folder says, or one of another schema version.
    #[error("{object}: {source}; delete the file and run again to have it made anew")]
    Schema {
        /// The object's path in the store.
        object: String,
        /// What does not fit.
        source: Box<SchemaError>,
    },
}

impl StoreError {
    /// Whether there is no such object, which asking again will not change.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Object { source, .. } if matches!(**source, object_store::Error::NotFound { .. }))
    }
}
