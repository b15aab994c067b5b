//! The stage over a shard, with the real sentence encoder.

use flow::{Flow, FlowConfig};
use inference::{Precision, SentenceEncoder};
use schema::{
    Call, CallFailure, CallMetrics, Item, ModelId, Participant, Segment, Sink, SpeakerMetrics, Stage, StageError,
    Table, Topic, Turn, from_batch, to_batch,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

#[derive(Default)]
struct Kept {
    batches: BTreeMap<Table, Vec<arrow::array::RecordBatch>>,
}

impl Kept {
    fn rows<T: schema::Row>(&self) -> Vec<T> {
        let batches = self.batches.get(&T::TABLE).into_iter().flatten();
        batches.flat_map(|b| from_batch(b).expect("rows of the table")).collect()
    }
}

impl Sink for Kept {
    fn batch(&mut self, table: Table, batch: arrow::array::RecordBatch) -> Result<(), StageError> {
        self.batches.entry(table).or_default().push(batch);
        Ok(())
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        panic!("call {}: {}", failure.call_id, failure.message)
    }
}

fn encoder() -> Option<Arc<SentenceEncoder>> {
    let cache = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/nightcall/models"));
    let folder = std::env::var_os("NIGHTCALL_MODELS").map(PathBuf::from).or_else(cache)?.join("all-minilm-l6-v2");
    if !folder.is_dir() {
        eprintln!("skipped: needs the model all-minilm-l6-v2 (nightcall models pull all-minilm-l6-v2)");
        return None;
    }
    Some(Arc::new(
        SentenceEncoder::load(&folder, &candle_core::Device::Cpu, Precision::default()).expect("a sound model"),
    ))
}

fn call(id: &str, status: &str) -> Call {
    let participant = |channel: i32, role: &str, name: &str| Participant {
        participant_id: role.into(),
        channel: Some(channel),
        role: Some(role.into()),
        name: Some(name.into()),
        person_id: None,
        consent: "granted".into(),
    };
    Call {
        call_id: id.into(),
        started_on: None,
        source_uri: format!("{id}.wav"),
        content_sha256: None,
        container: None,
        codec: None,
        duration_ms: Some(120_000),
        sample_rate_hz: None,
        channel_count: Some(2),
        started_at: None,
        direction: None,
        language: None,
        participants: vec![participant(0, "agent", "Dana Hill"), participant(1, "customer", "Marcus Ortega")],
        crm: [].into(),
        status: status.into(),
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
    }
}

/// Segments of texts said in turn by agent and customer, 350 ms a word, 400 ms apart.
fn segments(id: &str, texts: &[&str]) -> Vec<Segment> {
    let mut now = 0;
    let segment = |(i, text): (usize, &&str)| {
        let start_ms = now + 400;
        now = start_ms + 350 * text.split_whitespace().count() as i64;
        Segment {
            call_id: id.into(),
            channel: (i % 2) as i32,
            segment_index: i as i32,
            start_ms,
            end_ms: now,
            text: (*text).into(),
            language: None,
            avg_logprob: -0.1,
            no_speech_prob: None,
            words: Vec::new(),
            engine: "test".into(),
        }
    };
    texts.iter().enumerate().map(segment).collect()
}

/// What is said about a late delivery, and then about the training of a team.
const TWO_TOPICS: [&str; 16] = [
    "Good morning, this is Dana from Brightwell. How can I help you?",
    "Hi Dana, this is Marcus. The delivery of our new phones is late, and the warehouse cannot tell us where the parcel is.",
    "I see. The parcel left our warehouse on Monday with the courier.",
    "But the courier says that the parcel never arrived at their depot.",
    "Then I will open a claim with the courier, and we ship another parcel with the phones from the warehouse.",
    "Good. The delivery has to arrive before Friday, because the old phones are gone.",
    "The new parcel goes by express delivery, so the phones arrive on Thursday.",
    "That is fine for the delivery.",
    "The other point is the training of your team. The trainer can teach the course in two sessions.",
    "Our team would rather learn in one long session, as the course last year had too many sessions.",
    "The trainer can do one session of three hours, with exercises for each member of the team.",
    "Does the training include the course material and a certificate for the team?",
    "Yes, the training includes the course material and the certificate.",
    "Then book the trainer for the session in April.",
    "I will. Thank you, Marcus. Have a nice day.",
    "Thank you, Dana. Bye.",
];

fn run(encoder: Arc<SentenceEncoder>, calls: &[Call], segments: &[Segment]) -> Kept {
    let model = ModelId { name: "all-minilm-l6-v2".into(), sha256: "0".into() };
    let items = [
        Item::Batch(Table::Calls, to_batch(calls).expect("calls")),
        Item::Batch(Table::Segments, to_batch(segments).expect("segments")),
        Item::Failed("given-up".into()),
    ];
    let mut kept = Kept::default();
    Flow::new(FlowConfig::default(), encoder, model).run(&mut items.into_iter(), &mut kept).expect("the shard is done");
    kept
}

#[test]
fn a_shard() {
    let Some(encoder) = encoder() else { return };
    let calls = [call("given-up", "ready"), call("hold", "ready"), call("refused", "refused"), call("talk", "ready")];
    let segments: Vec<Segment> =
        ["given-up", "refused", "talk"].into_iter().flat_map(|id| segments(id, &TWO_TOPICS)).collect();
    let kept = run(encoder.clone(), &calls, &segments);

    let metrics = kept.rows::<CallMetrics>();
    assert_eq!(metrics.iter().map(|m| m.call_id.as_str()).collect::<Vec<_>>(), ["hold", "talk"]);
    assert_eq!((metrics[0].speech_ms, metrics[0].silence_ms), (0, 120_000));
    assert!(kept.rows::<Turn>().iter().all(|t| t.call_id == "talk"));
    assert_eq!(kept.rows::<Turn>().len(), TWO_TOPICS.len());
    assert_eq!(kept.rows::<SpeakerMetrics>().len(), 2);

    let topics = kept.rows::<Topic>();
    assert_eq!((topics[0].kind.as_str(), topics[topics.len() - 1].kind.as_str()), ("opening", "closing"));
    let body = &topics[1..topics.len() - 1];
    assert!((2..=4).contains(&body.len()) && body.iter().all(|t| t.kind == "body"), "{body:?}");
    assert!(body.iter().any(|t| t.first_turn == 8), "{body:?}");
    let labels = |from: i32, to: i32| -> String {
        body.iter().filter(|t| t.first_turn >= from && t.last_turn <= to).map(|t| t.label.as_str()).collect()
    };
    assert!(["parcel", "delivery", "courier"].iter().any(|w| labels(0, 7).contains(w)), "{}", labels(0, 7));
    assert!(["session", "trainer", "course"].iter().any(|w| labels(8, 15).contains(w)), "{}", labels(8, 15));
    // Topics cover the turns without a gap.
    assert_eq!(topics[0].first_turn, 0);
    assert!(topics.windows(2).all(|t| t[0].last_turn + 1 == t[1].first_turn));
    assert_eq!(topics[topics.len() - 1].last_turn as usize, TWO_TOPICS.len() - 1);

    assert_eq!(run(encoder, &calls, &segments).batches, kept.batches);
}
