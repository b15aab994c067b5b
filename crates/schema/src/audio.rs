//! Blocks of decoded sound, between ingest and transcribe.

use crate::{SchemaError, Table, validate};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Float32Array, Int32Array, Int64Array, ListArray, RecordBatch,
        StringArray,
    },
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Float32Type, Int32Type, Int64Type},
};
use std::sync::Arc;

/// Samples a second of all audio between ingest and the models.
pub const SAMPLE_RATE: usize = 16_000;

/// Consecutive samples of one channel of one call: mono, 16 kHz, -1..1.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioBlock {
    /// The call.
    pub call_id: String,
    /// The audio track, from 0.
    pub channel: i32,
    /// Position of the first sample in the channel.
    pub first_sample: i64,
    /// Whether the channel ends with this block.
    pub last: bool,
    /// BCP 47 code of what is spoken, where known.
    pub language: Option<String>,
    /// The samples.
    pub samples: Vec<f32>,
}

impl AudioBlock {
    /// The block as a record batch of one row; the samples are moved, not copied.
    pub fn into_batch(self) -> Result<RecordBatch, SchemaError> {
        let samples = Float32Array::from(self.samples);
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let offsets = OffsetBuffer::from_lengths([samples.len()]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![self.call_id])),
            Arc::new(Int32Array::from(vec![self.channel])),
            Arc::new(Int64Array::from(vec![self.first_sample])),
            Arc::new(BooleanArray::from(vec![self.last])),
            Arc::new(StringArray::from(vec![self.language])),
            Arc::new(ListArray::try_new(item, offsets, Arc::new(samples), None)?),
        ];
        Ok(RecordBatch::try_new(Table::Audio.schema(), columns)?)
    }

    /// The blocks of a batch, which is checked first.
    pub fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, SchemaError> {
        let batch = validate(Table::Audio, batch)?;
        let (call, channel) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int32Type>());
        let (first, last) = (batch.column(2).as_primitive::<Int64Type>(), batch.column(3).as_boolean());
        let (language, samples) = (batch.column(4).as_string::<i32>(), batch.column(5).as_list::<i32>());
        Ok((0..batch.num_rows())
            .map(|i| Self {
                call_id: call.value(i).to_owned(),
                channel: channel.value(i),
                first_sample: first.value(i),
                last: last.value(i),
                language: language.is_valid(i).then(|| language.value(i).to_owned()),
                samples: samples.value(i).as_primitive::<Float32Type>().values().to_vec(),
            })
            .collect())
    }
}
