//! Rows go to batches and back, and foreign batches are checked.

#![allow(clippy::unwrap_used)]

mod fit;

use arrow::{
    array::{Int32Array, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use chrono::{NaiveDate, TimeZone, Utc};
use schema::{
    Amount, AudioBlock, Call, CallFailure, Evidence, FailureKind, FollowUp, Item, Keyword, Mention, Participant, Row,
    Segment, SentimentTrend, Sink, StageError, StageErrorRow, StageName, Table, Tables, Turn, Word, doc, from_batch,
    guard, to_batch, unit,
};
use std::{collections::BTreeMap, sync::Arc};

fn round_trip<T: Row + Clone + PartialEq + std::fmt::Debug>(rows: &[T]) {
    let batch = to_batch(rows).unwrap();
    assert_eq!(batch.schema(), T::TABLE.schema());
    assert_eq!(from_batch::<T>(&batch).unwrap(), rows);
    assert_eq!(to_batch::<T>(&[]).unwrap().num_rows(), 0);
}

fn turn(call_id: &str, turn_index: i32) -> Turn {
    Turn {
        call_id: call_id.into(),
        turn_index,
        channel: 1,
        speaker: "channel-1".into(),
        role: None,
        start_ms: 10,
        end_ms: 20,
        text: "Grüße, 你好.".into(),
        language: None,
        overlap_ms: Some(0),
        pause_before_ms: 0,
        words: vec![Word { text: "Grüße,".into(), start_ms: 10, end_ms: 15, probability: 0.5 }],
    }
}

#[test]
fn rows_survive_the_round_trip() {
    round_trip(&[turn("a", 0), turn("b", 1)]);
    round_trip(&[Call {
        call_id: "1".into(),
        started_on: None,
        source_uri: "calls/1.wav".into(),
        content_sha256: None,
        container: Some("wav".into()),
        codec: Some("pcm_mulaw".into()),
        duration_ms: Some(60_000),
        sample_rate_hz: Some(8000),
        channel_count: Some(2),
        started_at: Some(Utc.with_ymd_and_hms(2026, 3, 2, 9, 0, 0).unwrap()),
        direction: None,
        language: Some("en".into()),
        participants: vec![Participant {
            participant_id: "agent".into(),
            channel: Some(0),
            role: Some("agent".into()),
            name: None,
            person_id: None,
            consent: "unknown".into(),
        }],
        crm: BTreeMap::from([("account".into(), Some("Contoso".into())), ("stage".into(), None)]),
        status: "ready".into(),
        status_reason: None,
        outcome: None,
        source_version: None,
        byte_size: None,
        duplicate_of: None,
        decoder: None,
        track: None,
        track_count: None,
        channels: None,
        damage: None,
        r#match: None,
    }]);
    round_trip(&[FollowUp {
        call_id: "1".into(),
        follow_up_index: 0,
        action: "send the quote".into(),
        owner_role: Some("agent".into()),
        owner_name: None,
        due_text: Some("by Friday".into()),
        due_date: NaiveDate::from_ymd_opt(2026, 3, 6),
        kind: "commitment".into(),
        score: 0.9,
        start_ms: Some(15_000),
        end_ms: Some(15_400),
        evidence: vec![Evidence { turn_index: 3, char_start: 0, char_end: 12 }],
    }]);
    round_trip(&[Keyword {
        call_id: "1".into(),
        phrase: "twelve hundred euros and five cents".into(),
        kind: "money".into(),
        tracker: None,
        amount: Amount::from_hundredths(120_005),
        currency: Some("EUR".into()),
        date: None,
        percent: Some(12.5),
        score: 1.0,
        mention_count: 1,
        first_ms: 10,
        start_ms: Some(10),
        end_ms: Some(20),
        evidence: vec![Evidence { turn_index: 0, char_start: 0, char_end: 35 }],
        mentions: Some(vec![Mention { turn_index: 0, char_start: 0, char_end: 35, start_ms: 10, end_ms: 20 }]),
    }]);
    let sums = [0, 7, 50, -7, 99_999_999_999_999_999].map(Amount::from_hundredths);
    round_trip(&sums.map(|amount| Keyword {
        call_id: "1".into(),
        phrase: String::new(),
        kind: "money".into(),
        tracker: None,
        amount,
        currency: None,
        date: NaiveDate::from_ymd_opt(2026, 3, 6),
        percent: None,
        score: 0.0,
        mention_count: 0,
        first_ms: 0,
        start_ms: None,
        end_ms: None,
        evidence: vec![],
        mentions: None,
    }));
    round_trip(&[SentimentTrend {
        call_id: "1".into(),
        speaker: "s".into(),
        role: None,
        score: -1.5,
        quarter_scores: vec![Some(-3.0), None, Some(0.5), Some(2.0)],
        change: Some(5.0),
    }]);
    round_trip(&[Segment {
        call_id: "1".into(),
        channel: 0,
        segment_index: 0,
        start_ms: 0,
        end_ms: 1,
        text: String::new(),
        language: None,
        avg_logprob: -0.3,
        no_speech_prob: None,
        words: vec![],
        engine: "moonshine/x".into(),
    }]);
    round_trip(&[StageErrorRow {
        call_id: "1".into(),
        stage: "ingest".into(),
        kind: "bad_input".into(),
        message: "empty".into(),
        attempt: 1,
        at: Utc.with_ymd_and_hms(2026, 3, 2, 9, 0, 0).unwrap(),
    }]);
}

#[test]
fn every_column_is_documented_and_every_name_is_found() {
    /// Whether a type holds numbers that are counted in something.
    fn counts(kind: &DataType) -> bool {
        match kind {
            DataType::List(item) => counts(item.data_type()),
            kind => kind.is_numeric(),
        }
    }
    fn check(place: &str, field: &Field) {
        let place = format!("{place}.{}", field.name());
        assert!(doc(field).is_some(), "{place} has no document");
        assert_eq!(unit(field).is_some(), counts(field.data_type()), "{place}: its unit");
        let mut kind = field.data_type();
        if let DataType::List(item) = kind {
            kind = item.data_type();
        }
        if let DataType::Struct(parts) = kind {
            parts.iter().for_each(|part| check(&place, part));
        }
    }
    for table in Table::ALL {
        assert_eq!(Table::from_name(table.name()), Some(table));
        assert_eq!(table.schema().field(0).name(), "call_id");
        assert!(!table.stored() || table.is_dated(), "{}", table.name());
        table.schema().fields().iter().for_each(|field| check(table.name(), field));
    }
}

#[test]
fn a_newer_writers_columns_are_dropped() {
    let batch = to_batch(&[turn("a", 0)]).unwrap();
    let mut fields: Vec<_> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new("mood_ring", DataType::Int32, true));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(Int32Array::from(vec![7])));
    let wider = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    assert_eq!(from_batch::<Turn>(&wider).unwrap(), [turn("a", 0)]);
}

#[test]
fn audio_survives_the_round_trip() {
    let block = AudioBlock {
        call_id: "a".into(),
        channel: 1,
        first_sample: 160_000,
        last: true,
        language: None,
        samples: vec![0.0, -1.0, 0.25],
    };
    let batch = block.clone().into_batch().unwrap();
    assert_eq!(AudioBlock::from_batch(&batch).unwrap(), [block]);
}

#[test]
fn a_failed_call_leaves_no_rows() {
    let batch = to_batch(&[turn("a", 0), turn("b", 0), turn("a", 1)]).unwrap();
    let items = vec![Item::Batch(Table::Turns, batch), Item::Failed("b".into())];
    let calls = Tables::collect(&mut items.into_iter()).by_call::<Turn>().unwrap();
    assert_eq!(calls.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(calls["a"].iter().map(|t| t.turn_index).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_panic_costs_its_call_and_keeps_its_words_to_itself() {
    let failure = guard::<()>("a", || panic!("quoting the customer")).unwrap_err();
    assert_eq!((failure.call_id.as_str(), failure.kind), ("a", FailureKind::Internal));
    assert!(!failure.message.contains("customer"));
    let bad = || Err::<(), _>(CallFailure::new("a", FailureKind::BadInput, "empty file"));
    assert_eq!(guard("a", bad).unwrap_err().kind, FailureKind::BadInput);
}

#[test]
fn a_stage_that_reads_english_says_which_calls_are_not() {
    #[derive(Default)]
    struct Failures(Vec<CallFailure>);
    impl Sink for Failures {
        fn batch(&mut self, _: Table, _: RecordBatch) -> Result<(), StageError> {
            Ok(())
        }

        fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
            self.0.push(failure);
            Ok(())
        }
    }
    let said = |call: &str, index, text: &str, language: Option<&str>| Turn {
        text: text.into(),
        language: language.map(str::to_owned),
        ..turn(call, index)
    };
    let turns = [
        said("english", 0, "Good morning", Some("en-GB")),
        said("mixed", 0, "Hello there my friend", Some("en")),
        said("mixed", 1, "Guten Tag", Some("de")),
        said("german", 0, "Hello", Some("en")),
        said("german", 1, "Guten Tag, was kann ich tun", Some("de-AT")),
        said("listed", 0, "Guten Morgen", None),
        said("unsaid", 0, "Good morning", None),
    ];
    let listed: Call = serde_json::from_str(
        r#"{"call_id": "listed", "source_uri": "", "participants": [], "crm": {}, "status": "ready", "language": "de"}"#,
    )
    .unwrap();
    let calls = BTreeMap::from([("listed".to_owned(), vec![listed])]);
    let mut items = [Item::Batch(Table::Turns, to_batch(&turns).unwrap())].into_iter();
    let mut failures = Failures::default();
    let found = Tables::collect(&mut items).english(StageName::Summarize, &calls, &mut failures).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["english", "mixed", "unsaid"]);
    let [failure, listed] = &failures.0[..] else { panic!("{:?}", failures.0) };
    assert_eq!(listed.call_id, "listed");
    assert_eq!((failure.call_id.as_str(), failure.kind), ("german", FailureKind::BadInput));
    assert!(failure.message.contains("\"de-AT\"") && failure.message.contains("summarize reads English alone"));
}
