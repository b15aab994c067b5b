//! Batches of other writers: what fits is brought to the table's types, and all that does not is told at once.

use crate::turn;
use arrow::{
    array::{
        Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int16Array, Int32Array, Int64Array, LargeListArray,
        LargeStringArray, ListArray, NullArray, RecordBatch, StringArray, StringViewArray, StructArray,
        TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
    },
    compute::cast,
    datatypes::{DataType, Field, Int32Type, Schema, TimeUnit, TimestampMillisecondType},
};
use proptest::prelude::*;
use schema::{CallMetrics, Misfit, Recording, SchemaError, StageErrorRow, Table, Turn, from_batch, to_batch, validate};
use std::sync::Arc;

/// The batch with some columns replaced, added or, where there is none, taken away; columns in reverse order.
fn with(batch: &RecordBatch, changes: &[(&str, Option<ArrayRef>)]) -> RecordBatch {
    let schema = batch.schema();
    let mut columns: Vec<(String, ArrayRef)> =
        schema.fields().iter().map(|f| f.name().clone()).zip(batch.columns().iter().cloned()).collect();
    for (name, column) in changes {
        columns.retain(|(n, _)| n != name);
        columns.extend(column.clone().map(|column| ((*name).to_owned(), column)));
    }
    columns.reverse();
    let fields: Vec<Field> = columns.iter().map(|(n, c)| Field::new(n, c.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect()).unwrap()
}

fn turns() -> RecordBatch {
    to_batch(&[turn("a", 0), turn("b", 1)]).unwrap()
}

fn as_type(batch: &RecordBatch, column: &str, kind: &DataType) -> ArrayRef {
    cast(batch.column_by_name(column).unwrap(), kind).unwrap()
}

fn refused(table: Table, batch: &RecordBatch) -> String {
    validate(table, batch).unwrap_err().to_string()
}

#[test]
fn columns_of_other_writers_fit() {
    let batch = turns();
    let text = |values: [&str; 2]| -> Vec<ArrayRef> {
        vec![
            Arc::new(LargeStringArray::from(values.to_vec())),
            Arc::new(StringViewArray::from(values.to_vec())),
            Arc::new(DictionaryArray::<Int32Type>::from_iter(values)),
            cast(
                &LargeStringArray::from(values.to_vec()),
                &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8)),
            )
            .unwrap(),
        ]
    };
    let mut others: Vec<(&str, ArrayRef)> = vec![
        ("turn_index", Arc::new(Int64Array::from(vec![0, 1]))),
        ("turn_index", Arc::new(UInt64Array::from(vec![0, 1]))),
        ("turn_index", Arc::new(Int16Array::from(vec![0, 1]))),
        ("start_ms", Arc::new(Int32Array::from(vec![10, 10]))),
        ("role", Arc::new(NullArray::new(2))),
        ("language", Arc::new(NullArray::new(2))),
    ];
    others.extend(text(["a", "b"]).into_iter().map(|column| ("call_id", column)));
    others.extend(text(["channel-1"; 2]).into_iter().map(|column| ("speaker", column)));
    for (name, column) in others {
        let kind = column.data_type().clone();
        let found = validate(Table::Turns, &with(&batch, &[(name, Some(column))]));
        assert_eq!(found.unwrap(), batch, "{name} as {kind}");
    }
}

#[test]
fn times_of_any_unit_and_zone_fit_and_those_of_none_do_not() {
    let row = StageErrorRow {
        call_id: "1".into(),
        stage: "flow".into(),
        kind: "model".into(),
        message: String::new(),
        attempt: 1,
        at: "2026-03-02T09:00:00Z".parse().unwrap(),
    };
    let batch = to_batch(&[row]).unwrap();
    let at = batch.column_by_name("at").unwrap().as_primitive::<TimestampMillisecondType>().value(0);
    for unit in [TimeUnit::Second, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        for zone in ["UTC", "+00:00", "Europe/Berlin", "-05:00"] {
            let other = as_type(&batch, "at", &DataType::Timestamp(unit, Some(zone.into())));
            assert_eq!(validate(Table::StageErrors, &with(&batch, &[("at", Some(other))])).unwrap(), batch);
        }
    }
    let naive = TimestampMicrosecondArray::from(vec![at * 1000]);
    let naive = with(&batch, &[("at", Some(Arc::new(naive)))]);
    let message = refused(Table::StageErrors, &naive);
    assert_eq!(message, "table stage_errors: column at has times of no zone; give them one, such as UTC");
    let far = TimestampSecondArray::from(vec![i64::MAX]).with_timezone("UTC");
    let message = refused(Table::StageErrors, &with(&batch, &[("at", Some(Arc::new(far)))]));
    assert!(message.contains("column at has the value "), "{message}");
}

#[test]
fn parts_of_lists_fit_whatever_their_order_and_names() {
    let batch = turns();
    let words = batch.column_by_name("words").unwrap().as_list::<i32>();
    let inside = words.values().as_struct();
    let part = |name: &str| inside.column_by_name(name).unwrap().clone();
    // Another writer: parts in another order, wider or narrower, one more; items of another name.
    let parts: Vec<(Arc<Field>, ArrayRef)> = vec![
        ("probability", cast(&part("probability"), &DataType::Float64).unwrap()),
        ("mood", Arc::new(NullArray::new(inside.len())) as ArrayRef),
        ("end_ms", cast(&part("end_ms"), &DataType::Int32).unwrap()),
        ("text", cast(&part("text"), &DataType::LargeUtf8).unwrap()),
        ("start_ms", part("start_ms")),
    ]
    .into_iter()
    .map(|(name, column)| (Arc::new(Field::new(name, column.data_type().clone(), true)), column))
    .collect();
    let items: ArrayRef = Arc::new(StructArray::from(parts));
    let field = Arc::new(Field::new("element", items.data_type().clone(), true));
    let small = ListArray::new(field.clone(), words.offsets().clone(), items.clone(), None);
    let large = LargeListArray::new(field, arrow::buffer::OffsetBuffer::from_lengths([1, 1]), items, None);
    for other in [Arc::new(small) as ArrayRef, Arc::new(large)] {
        let found = validate(Table::Turns, &with(&batch, &[("words", Some(other.clone()))])).unwrap();
        assert_eq!(found, batch);
        // A slice whose items begin elsewhere.
        let found = validate(Table::Turns, &with(&batch, &[("words", Some(other))]).slice(1, 1)).unwrap();
        assert_eq!(from_batch::<Turn>(&found).unwrap(), [turn("b", 1)]);
    }
    let one_part: ArrayRef =
        Arc::new(StructArray::from(vec![(Arc::new(Field::new("text", DataType::Utf8, true)), part("text"))]));
    let field = Arc::new(Field::new("item", one_part.data_type().clone(), true));
    let short: ArrayRef = Arc::new(ListArray::new(field, words.offsets().clone(), one_part, None));
    assert_eq!(
        refused(Table::Turns, &with(&batch, &[("words", Some(short))])),
        "table turns: column words.start_ms is missing; column words.end_ms is missing; column words.probability is missing"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let batch = turns();
    let wrong = with(
        &batch,
        &[
            ("call_id", Some(Arc::new(StringArray::from(vec![Some("a"), None])))),
            ("turn_index", Some(Arc::new(Int64Array::from(vec![0, 3_000_000_000])))),
            ("channel", None),
            ("start_ms", Some(Arc::new(Float64Array::from(vec![0.0, 1.0])))),
            ("text", Some(Arc::new(Int64Array::from(vec![1, 2])))),
            ("mood_ring", Some(Arc::new(Int32Array::from(vec![7, 7])))),
        ],
    );
    assert_eq!(
        refused(Table::Turns, &wrong),
        "table turns: column call_id has a null and may have none; column turn_index has the value 3000000000, which Int32 has \
         no room for; column channel is missing; column start_ms is Float64, not Int64; column text is Int64, not Utf8"
    );
    let Err(SchemaError::Misfits { table: "turns", misfits }) = validate(Table::Turns, &wrong) else { panic!() };
    assert_eq!(misfits[2], Misfit::Missing { column: "channel".into() });
    // A sum is no length, whatever its digits.
    let decimal = as_type(&batch, "start_ms", &DataType::Decimal128(10, 0));
    let message = refused(Table::Turns, &with(&batch, &[("start_ms", Some(decimal))]));
    assert_eq!(message, "table turns: column start_ms is Decimal128(10, 0), not Int64");
    // Nulls of a column that may have none, counted.
    let nulls = NullArray::new(2);
    let message = refused(Table::Turns, &with(&batch, &[("speaker", Some(Arc::new(nulls)))]));
    assert_eq!(message, "table turns: column speaker has 2 nulls and may have none");
    for value in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1, i64::MAX] {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0, value]));
        let message = refused(Table::Turns, &with(&batch, &[("channel", Some(column))]));
        assert_eq!(message, format!("table turns: column channel has the value {value}, which Int32 has no room for"));
    }
}

#[test]
fn an_older_writers_rows_have_nulls_for_what_it_did_not_know() {
    let metrics: CallMetrics = serde_json::from_str(
        r#"{"call_id": "1", "speech_ms": 1, "silence_ms": 2, "longest_silence_ms": 2, "overlap_ms": 0, "switches_per_hour": 1.0}"#,
    )
    .unwrap();
    let batch = to_batch(std::slice::from_ref(&metrics)).unwrap();
    let older = with(&batch, &[("started_on", None), ("talk_to_listen", None)]);
    assert_eq!(from_batch::<CallMetrics>(&older).unwrap(), [metrics]);
    let recording: Recording =
        serde_json::from_str(r#"{"call_id": "1", "source_uri": "", "participants": [], "crm": {"a": "b", "c": null}}"#)
            .unwrap();
    let batch = to_batch(std::slice::from_ref(&recording)).unwrap();
    let crm = batch.column_by_name("crm").unwrap().clone();
    assert!(crm.len() == 1);
    assert_eq!(from_batch::<Recording>(&with(&batch, &[("match", None), ("started_on", None)])).unwrap(), [recording]);
}

proptest! {
    /// Whole numbers of 64 bits come through where they fit and are named where they do not.
    #[test]
    fn numbers_fit_or_are_named(values in proptest::collection::vec(prop_oneof![any::<i64>(), -5i64..5, (i64::from(i32::MAX) - 2)..(i64::from(i32::MAX) + 3)], 1..6)) {
        let rows: Vec<Turn> = (0..).zip(&values).map(|(i, _)| turn("a", i)).collect();
        let batch = to_batch(&rows).unwrap();
        let wide: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        let found = validate(Table::Turns, &with(&batch, &[("channel", Some(wide))]));
        if let Some(first) = values.iter().find(|v| i32::try_from(**v).is_err()) {
            let message = found.unwrap_err().to_string();
            let named = message.contains(&format!("column channel has the value {first},"));
            prop_assert!(named, "{}", message);
        } else {
            let rows = from_batch::<Turn>(&found.unwrap()).unwrap();
            prop_assert_eq!(rows.iter().map(|t| i64::from(t.channel)).collect::<Vec<_>>(), values);
        }
    }
}
