//! The day of each call, written into the rows of every table as they leave the pipeline: to the store, or over a pipe. So no
//! stage needs to know it, and each table can be read by days.

use crate::PipelineError;
use arrow::{
    array::{Array, ArrayRef, AsArray, Date32Array, RecordBatch},
    datatypes::Date32Type,
    error::ArrowError,
};
use schema::{STARTED_ON, Table};
use std::{collections::BTreeMap, sync::Arc};

/// The days of calls: days since 1970, none where a call's day is not known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Days(BTreeMap<String, Option<i32>>);

impl Days {
    /// Learns from rows of recordings or calls; of two rows of one call the first counts. Rows of other tables are passed over.
    pub fn learn(&mut self, table: Table, batch: &RecordBatch) {
        if !matches!(table, Table::Recordings | Table::Calls) {
            return;
        }
        let (calls, Some(days)) = (batch.column(0).as_string::<i32>(), batch.column_by_name(STARTED_ON)) else {
            return;
        };
        let days = days.as_primitive::<Date32Type>();
        for i in 0..batch.num_rows() {
            let day = days.is_valid(i).then(|| days.value(i));
            self.0.entry(calls.value(i).to_owned()).or_insert(day);
        }
    }

    /// Whether the calls of these rows are all known, or the table has no days that come from elsewhere.
    pub fn are_known(&self, table: Table, batch: &RecordBatch) -> bool {
        let calls = batch.column(0).as_string::<i32>();
        !takes_days(table) || calls.iter().flatten().all(|call| self.0.contains_key(call))
    }

    /// The rows with the days of their calls; what is not known of a call stays as it is.
    pub fn write(&self, table: Table, batch: &RecordBatch) -> Result<RecordBatch, PipelineError> {
        let schema = batch.schema();
        let Some((place, _)) = schema.column_with_name(STARTED_ON).filter(|_| takes_days(table)) else {
            return Ok(batch.clone());
        };
        let (calls, old) = (batch.column(0).as_string::<i32>(), batch.column(place).as_primitive::<Date32Type>());
        let day = |i: usize| match self.0.get(calls.value(i)) {
            Some(day) => *day,
            None => old.is_valid(i).then(|| old.value(i)),
        };
        let days: Date32Array = (0..batch.num_rows()).map(day).collect();
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns[place] = Arc::new(days);
        RecordBatch::try_new(schema, columns)
            .map_err(|e: ArrowError| PipelineError::Stage(schema::SchemaError::from(e).into()))
    }
}

/// Whether a table's days are those of its calls, and not its own.
fn takes_days(table: Table) -> bool {
    !matches!(table, Table::Recordings | Table::Audio | Table::Calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::{CallMetrics, Recording, to_batch};

    fn metrics(call: &str) -> CallMetrics {
        let json = serde_json::json!({"call_id": call, "speech_ms": 1, "silence_ms": 2, "longest_silence_ms": 2});
        serde_json::from_value(json).unwrap()
    }

    fn recording(call: &str, day: Option<&str>) -> Recording {
        let json =
            serde_json::json!({"call_id": call, "started_on": day, "source_uri": "", "participants": [], "crm": {}});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn rows_take_the_days_of_their_calls() {
        let mut days = Days::default();
        let rows = [recording("a", Some("2026-03-02")), recording("b", None)];
        days.learn(Table::Recordings, &to_batch(&rows).unwrap());
        days.learn(Table::Calls, &to_batch(&[recording("a", Some("2020-01-01"))]).unwrap());
        let batch = to_batch(&["b", "a", "c"].map(metrics)).unwrap();
        assert!(!days.are_known(Table::CallMetrics, &batch));
        assert!(days.are_known(Table::CallMetrics, &batch.slice(0, 2)));
        let dated = days.write(Table::CallMetrics, &batch).unwrap();
        let found: Vec<Option<i32>> = dated.column(1).as_primitive::<Date32Type>().iter().collect();
        assert_eq!(found, [None, Some(20_514), None]);
        // What is written already stays where nothing is known of the call.
        assert_eq!(Days::default().write(Table::CallMetrics, &dated).unwrap(), dated);
    }
}
