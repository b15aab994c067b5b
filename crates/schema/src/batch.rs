//! Typed rows to record batches and back, and the check that a foreign batch is what its table says.

use crate::Table;
use arrow::{
    array::{RecordBatch, new_null_array},
    datatypes::DataType,
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
    /// A column that must have values is absent.
    #[error("table {table}: column {column} is missing")]
    Missing {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
    },
    /// A column has another type.
    #[error("table {table}: column {column} is {found}, not {wanted}")]
    Type {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// Its type in the batch.
        found: DataType,
        /// Its type in the table.
        wanted: DataType,
    },
    /// A column that must have values has nulls.
    #[error("table {table}: column {column} has {count} nulls and may have none")]
    Nulls {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// How many.
        count: usize,
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

/// Checks names, types and nulls, and returns the batch with exactly the table's columns in the table's order. Further
/// columns are dropped, so that a newer writer's batch can be read; columns that may be null and are not there are null, so
/// that an older writer's can.
pub fn validate(table: Table, batch: &RecordBatch) -> Result<RecordBatch, SchemaError> {
    let schema = table.schema();
    let table = table.name();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = field.name().clone();
        let Some(found) = batch.column_by_name(&column) else {
            if field.is_nullable() {
                columns.push(new_null_array(field.data_type(), batch.num_rows()));
                continue;
            }
            return Err(SchemaError::Missing { table, column });
        };
        if !same_type(found.data_type(), field.data_type()) {
            let (found, wanted) = (found.data_type().clone(), field.data_type().clone());
            return Err(SchemaError::Type { table, column, found, wanted });
        }
        if !field.is_nullable() && found.null_count() > 0 {
            return Err(SchemaError::Nulls { table, column, count: found.null_count() });
        }
        columns.push(if found.data_type() == field.data_type() {
            found.clone()
        } else {
            arrow::compute::cast(found, field.data_type())?
        });
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Equal but for the names and nullability of children, which other writers of Arrow choose differently.
fn same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a) | DataType::LargeList(a), DataType::List(b))
        | (DataType::Map(a, _), DataType::Map(b, _)) => same_type(a.data_type(), b.data_type()),
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_type(a.data_type(), b.data_type()))
        }
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8) => true,
        (a, b) => a == b,
    }
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
