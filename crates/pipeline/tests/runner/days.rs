//! Rows of every table carry the day of their call, and a query for some days reads no others.

use super::{Ears, House, Scribe, calls, recording, stream};
use arrow::{
    array::{Array, AsArray, Date32Array, RecordBatch},
    datatypes::Date32Type,
    ipc::reader::StreamReader,
};
use chrono::NaiveDate;
use parquet::{
    arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, statistics::StatisticsConverter},
    file::reader::{FileReader, SerializedFileReader},
};
use pipeline::run_as_filter;
use schema::{Recording, STARTED_ON, Table, to_batch};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    sync::Arc,
};

fn day(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

fn on(call: &str, date: Option<NaiveDate>) -> Recording {
    Recording { started_on: date, ..recording(call) }
}

/// The tables that the stages of these tests write.
const TABLES: [Table; 4] = [Table::Calls, Table::Segments, Table::CallMetrics, Table::StageErrors];

fn files(house: &House, table: Table) -> Vec<PathBuf> {
    let files = fs::read_dir(house.folder.path().join(table.name())).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// Day by call, of a batch.
fn days_of(batch: &RecordBatch) -> BTreeMap<String, Option<NaiveDate>> {
    let (calls, days) = (batch.column(0).as_string::<i32>(), batch.column_by_name(STARTED_ON).unwrap());
    let days = days.as_primitive::<Date32Type>();
    let day = |i: usize| days.is_valid(i).then(|| Date32Type::to_naive_date_opt(days.value(i)).unwrap());
    (0..calls.len()).map(|i| (calls.value(i).to_owned(), day(i))).collect()
}

fn stored(house: &House, table: Table) -> BTreeMap<String, Option<NaiveDate>> {
    let mut all = BTreeMap::new();
    for file in files(house, table) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap().build().unwrap();
        reader.for_each(|batch| all.append(&mut days_of(&batch.unwrap())));
    }
    all
}

#[test]
fn every_row_has_the_day_of_its_call_and_a_week_is_read_without_a_year() {
    let house = House::new();
    let (old, new) = (day("2025-03-02"), day("2026-03-03"));
    let names = ["z bad", "a", "bad", "mute", "b", "c", "bad c", "d"];
    let calls: Vec<Recording> =
        names.iter().enumerate().map(|(i, n)| on(n, if i % 2 == 0 { old } else { new })).collect();
    let bad = ["bad", "bad c"];
    house.run(&calls, None);
    let wanted: BTreeMap<_, _> = calls.iter().map(|r| (r.call_id.clone(), r.started_on)).collect();
    assert_eq!(stored(&house, Table::Calls), wanted);
    for table in TABLES {
        let found = stored(&house, table);
        assert!(found.len() >= 2, "{}", table.name());
        assert!(found.iter().all(|(call, day)| wanted[call] == *day), "{}: {found:?}", table.name());
    }
    assert!(bad.iter().all(|call| stored(&house, Table::StageErrors).contains_key(*call)));

    // Since the spring of 2026: what the statistics of a row group exclude, a reader leaves on the disk.
    let since = Date32Type::from_naive_date("2026-03-01".parse().unwrap());
    for table in TABLES {
        let (mut read, mut left) = (0, 0);
        for file in files(&house, table) {
            let metadata = SerializedFileReader::new(File::open(&file).unwrap()).unwrap().metadata().clone();
            let schema = metadata.file_metadata().schema_descr();
            let ours = table.schema();
            let converter = StatisticsConverter::try_new(STARTED_ON, &ours, schema).unwrap();
            let latest = converter.row_group_maxes(metadata.row_groups()).unwrap();
            let latest: &Date32Array = latest.as_primitive();
            assert_eq!(latest.null_count(), 0, "{} has no statistics", file.display());
            latest.iter().flatten().for_each(|day| if day >= since { read += 1 } else { left += 1 });
        }
        assert!(read > 0 && left > 0, "{}: {read} row groups read, {left} left", table.name());
    }
}

#[test]
fn a_day_that_is_corrected_is_corrected_everywhere_and_nothing_is_heard_again() {
    let house = House::new();
    let listed = |date| ["a", "bad", "mute", "d"].map(|call| on(call, day(date))).to_vec();
    let log = house.run(&listed("2026-03-02"), None);
    assert!(log.iter().any(|line| line.starts_with("transcribe")));
    let log = house.run(&listed("2026-03-09"), None);
    assert!(!log.iter().any(|line| line.starts_with("transcribe")), "{log:?}");
    for table in TABLES {
        assert!(stored(&house, table).values().all(|found| *found == day("2026-03-09")), "{}", table.name());
    }
    let fresh = House::new();
    fresh.run(&listed("2026-03-09"), None);
    assert_eq!(fresh.files(), house.files());
}

#[test]
fn calls_that_are_not_at_hand_keep_their_day() {
    let house = House::new();
    house.run(&[on("a", day("2026-03-02")), on("b", day("2026-03-02"))], None);
    let mut changed = on("b", day("2026-03-02"));
    changed.source_version = Some("2".into());
    house.run(&[changed], None);
    for table in [Table::Calls, Table::Segments, Table::CallMetrics] {
        assert_eq!(stored(&house, table).values().filter(|d| **d == day("2026-03-02")).count(), 2, "{}", table.name());
    }
}

#[test]
fn rows_over_a_pipe_have_it_too_and_are_null_where_no_call_says_it() {
    let house = House::new();
    let recordings = [on("a", day("2026-03-02")), on("bad", day("2026-03-03")), on("c", None)];
    let input = stream(Table::Recordings, &to_batch(&recordings).unwrap());
    let mut sound = Vec::new();
    run_as_filter(&mut Ears(house.log.clone()), input.as_slice(), &mut sound).unwrap();
    let read = |bytes: &[u8]| {
        let (mut rest, mut found) = (bytes, BTreeMap::new());
        while !rest.is_empty() {
            let reader = StreamReader::try_new(&mut rest, None).unwrap();
            let dated = reader.schema().column_with_name(STARTED_ON).is_some();
            reader.filter(|_| dated).for_each(|batch| found.append(&mut days_of(&batch.unwrap())));
        }
        found
    };
    let wanted =
        BTreeMap::from([("a".into(), day("2026-03-02")), ("bad".into(), day("2026-03-03")), ("c".into(), None)]);
    assert_eq!(read(&sound), wanted);
    let hear = |input: &[u8]| {
        let mut segments = Vec::new();
        run_as_filter(&mut Scribe(house.log.clone(), Arc::default()), input, &mut segments).unwrap();
        segments
    };
    // The rows of calls come after their sound, and words wait for them.
    let segments = hear(&sound);
    assert_eq!(read(&segments), BTreeMap::from([("a".into(), day("2026-03-02")), ("c".into(), None)]));
    assert!((0..5).all(|_| hear(&sound) == segments));
    // Sound alone.
    let block = schema::AudioBlock {
        call_id: "a".into(),
        channel: 0,
        first_sample: 0,
        last: true,
        language: None,
        samples: vec![0.5; 8000],
    };
    let alone = hear(&stream(Table::Audio, &block.into_batch().unwrap()));
    assert_eq!(read(&alone), BTreeMap::from([("a".into(), None)]));
    assert!(calls(&["a"])[0].started_on.is_none());
}
