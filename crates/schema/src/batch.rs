//! Typed rows to record batches and back, and the check that a foreign batch is what its table says.

use crate::{
    Table,
    fit::{Misfit, fit},
};
use arrow::{
    array::{RecordBatch, new_null_array},
    error::ArrowError,
};
use serde::{Serialize, de::DeserializeOwned};

/// A row of one table.
pub trait Row: Serialize + DeserializeOwned + Send + Sync {
    /// The table.
    const TABLE: Table;
    /// The call the row belongs to.
    fn call_id(&self) -> &str;
}

/// A batch that does not fit its table.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Columns are absent or not what they should be.
    #[error("table {table}: {}", all(.misfits))]
    Misfits {
        /// The table.
        table: &'static str,
        /// All that is wrong, in the order of the table's columns.
        misfits: Vec<Misfit>,
    },
    /// Rows could not be turned into columns or back.
    #[error("table {table}: {source}")]
    Rows {
        /// The table.
        table: &'static str,
        /// What serde_arrow says.
        source: Box<serde_arrow::Error>,
    },
    /// Arrow refused.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

fn all(misfits: &[Misfit]) -> String {
    misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Checks names, types and nulls, and returns the batch with exactly the table's columns in the table's order. All that is
/// wrong is told at once.
///
/// The order of the columns does not matter. Further columns are dropped, so that a newer writer's batch can be read; columns
/// that may be null and are not there are null, so that an older writer's can. Integers of another width, texts that are
/// large, views or dictionaries, large lists and times of another unit are brought to the table's type where their values
/// fit it.
pub fn validate(table: Table, batch: &RecordBatch) -> Result<RecordBatch, SchemaError> {
    let schema = table.schema();
    let (mut columns, mut misfits) = (Vec::with_capacity(schema.fields().len()), Vec::new());
    for field in schema.fields() {
        match batch.column_by_name(field.name()) {
            Some(found) => columns.extend(fit(field.name(), found, field, &mut misfits)),
            None if field.is_nullable() => columns.push(new_null_array(field.data_type(), batch.num_rows())),
            None => misfits.push(Misfit::Missing { column: field.name().clone() }),
        }
    }
    if !misfits.is_empty() {
        return Err(SchemaError::Misfits { table: table.name(), misfits });
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The rows as one record batch of their table's schema.
pub fn to_batch<T: Row>(rows: &[T]) -> Result<RecordBatch, SchemaError> {
    let schema = T::TABLE.schema();
    let batch = serde_arrow::to_record_batch(schema.fields(), &rows).map_err(rows_error::<T>)?;
    Ok(RecordBatch::try_new(schema, batch.columns().to_vec())?)
}

/// The rows of a batch, which is checked first.
pub fn from_batch<T: Row>(batch: &RecordBatch) -> Result<Vec<T>, SchemaError> {
    let batch = validate(T::TABLE, batch)?;
    serde_arrow::from_record_batch(&batch).map_err(rows_error::<T>)
}

fn rows_error<T: Row>(source: serde_arrow::Error) -> SchemaError {
    SchemaError::Rows { table: T::TABLE.name(), source: Box::new(source) }
}
