//! Types of columns and the words said of them: names, units, docs.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use std::{collections::HashMap, sync::Arc};

pub(crate) const TEXT: DataType = DataType::Utf8;
pub(crate) const INT: DataType = DataType::Int32;
pub(crate) const LONG: DataType = DataType::Int64;
pub(crate) const REAL: DataType = DataType::Float32;
pub(crate) const FLAG: DataType = DataType::Boolean;
pub(crate) const DAY: DataType = DataType::Date32;
/// A sum of money: up to sixteen digits before the point and two after it.
pub(crate) const MONEY: DataType = DataType::Decimal128(18, 2);

/// Units that several columns have.
pub(crate) const COUNT: &str = "count";
pub(crate) const INDEX: &str = "index, from 0";
pub(crate) const SHARE: &str = "share, 0..1";
pub(crate) const SCORE: &str = "score, 0..1";
pub(crate) const MOOD: &str = "score, -5..5";

/// The keys of a field's metadata.
pub(crate) const DOC: &str = "doc";
pub(crate) const UNIT: &str = "unit";

/// A column that has a value in every row.
pub(crate) fn col(name: &str, kind: DataType, doc: &str) -> Field {
    documented(Field::new(name, kind, false), doc)
}

/// A column that may be null.
pub(crate) fn opt(name: &str, kind: DataType, doc: &str) -> Field {
    documented(Field::new(name, kind, true), doc)
}

/// The same column with the unit of its numbers.
pub(crate) fn of(unit: &str, field: Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(UNIT.to_owned(), unit.to_owned());
    field.with_metadata(metadata)
}

fn documented(field: Field, doc: &str) -> Field {
    let milliseconds = field.name().ends_with("_ms");
    let field = field.with_metadata(HashMap::from([(DOC.to_owned(), doc.to_owned())]));
    if milliseconds { of("ms", field) } else { field }
}

pub(crate) fn list(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", of, false)))
}

pub(crate) fn list_of_nullable(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", of, true)))
}

pub(crate) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

pub(crate) fn text_map() -> DataType {
    let entry = Fields::from(vec![Field::new("key", TEXT, false), Field::new("value", TEXT, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
}

fn record(fields: Vec<Field>) -> DataType {
    DataType::Struct(Fields::from(fields))
}

pub(crate) fn participant() -> DataType {
    record(vec![
        col("participant_id", TEXT, "unique in the call"),
        of(INDEX, opt("channel", INT, "the audio track the participant is heard on; null where unknown")),
        opt("role", TEXT, "agent or customer"),
        opt("name", TEXT, "as the call list spells it"),
        opt("person_id", TEXT, "the company's key of the person"),
        col("consent", TEXT, "granted, denied or unknown"),
    ])
}

pub(crate) fn channel_sound() -> DataType {
    record(vec![
        of(INDEX, col("channel", INT, "channel of the track")),
        of("dB of full scale", opt("level_db", REAL, "level of its speech as recorded; null where there is none")),
        col("clipped", FLAG, "whether more than 0.1 % of its loud samples are cut at full scale"),
        col("quiet", FLAG, "whether its speech is below -45 dB of full scale"),
        col("silent", FLAG, "whether nothing is heard on it"),
        of(INDEX, opt("copy_of", INT, "channel that 90 % of it repeat; it was not recognized again")),
        of(SHARE, col("crosstalk", REAL, "how much of what is heard on it a louder channel says; left out")),
    ])
}

pub(crate) fn damage() -> DataType {
    record(vec![
        col(
            "kind",
            TEXT,
            "cut_off: the end that the header promises is not there; lost: packets that are missing or cannot be decoded, silence \
             of that length in their place; garbage: bytes between packets that are no sound; header: a header says something \
             untrue, the sound was read by what is there; withheld: a part whose channels are not those that consent is known \
             for, not heard",
        ),
        col("at_ms", LONG, "where, in the time of the call"),
        col("length_ms", LONG, "how much sound is missing; 0 where none is, or it is not known"),
    ])
}

pub(crate) fn word() -> DataType {
    record(vec![
        col("text", TEXT, "the word with its punctuation"),
        col("start_ms", LONG, "start"),
        col("end_ms", LONG, "end"),
        of("probability, 0..1", col("probability", REAL, "mean probability of its tokens")),
    ])
}

/// Character offsets (Unicode scalars) into `turns.text`, half open.
pub(crate) fn evidence() -> DataType {
    list(record(place()))
}

/// The same, each with the time at which it is said.
pub(crate) fn mentions() -> DataType {
    let mut fields = place();
    fields.push(col("start_ms", LONG, "start of its first word"));
    fields.push(col("end_ms", LONG, "end of its last word"));
    list(record(fields))
}

fn place() -> Vec<Field> {
    vec![
        of(INDEX, col("turn_index", INT, "the turn")),
        of("character, from 0", col("char_start", INT, "first character")),
        of("character, from 0", col("char_end", INT, "one past the last character")),
    ]
}
