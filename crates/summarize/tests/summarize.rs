//! The stage over a shard, with the real sentence encoder.

use inference::{Precision, SentenceEncoder};
use schema::{
    Call, CallFailure, Item, ModelId, Row, Sink, Stage, StageError, Summary, Table, Topic, Turn, from_batch, to_batch,
};
use serde_json::json;
use std::{path::PathBuf, sync::Arc};
use summarize::{Dialogue, Line, PointKind, Summarize, SummarizeConfig, Summarizer, text};

#[derive(Default)]
struct Kept(Vec<Summary>);

impl Sink for Kept {
    fn batch(&mut self, table: Table, batch: arrow::array::RecordBatch) -> Result<(), StageError> {
        assert_eq!(table, Summary::TABLE);
        self.0.extend(from_batch::<Summary>(&batch)?);
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

const INVOICE: [(&str, &str); 10] = [
    ("agent", "Good morning, this is Dana from Brightwell. How can I help you?"),
    (
        "customer",
        "Hi Dana. I'm calling about the invoice for Février. It says six hundred and forty dollars, but we agreed on five hundred and ninety.",
    ),
    ("agent", "Let me check. One moment, please."),
    ("agent", "You are right. The discount of eight percent was left out by mistake."),
    ("customer", "Uh huh. And the January invoice has the same mistake, I think."),
    ("agent", "Yes, both invoices lack the discount. So, um, we will refund fifty dollars for January."),
    ("customer", "That sounds good."),
    ("agent", "I'll send you the corrected invoices by Tuesday."),
    ("customer", "Perfect. Thank you, Dana."),
    ("agent", "You're welcome. Have a great day."),
];

fn lines() -> Vec<Line> {
    INVOICE
        .iter()
        .map(|(role, text)| Line { role: Some((*role).into()), text: (*text).into(), words: vec![] })
        .collect()
}

#[test]
fn plain_turns() {
    let Some(encoder) = encoder() else { return };
    let summarizer = Summarizer::new(SummarizeConfig::default(), encoder);
    let dialogue = Dialogue { lines: lines(), ..Dialogue::default() };
    let short = Dialogue { max_words: Some(25), ..dialogue.clone() };
    let empty = Dialogue::default();
    let summaries = summarizer.summarize(&[dialogue.clone(), short, empty]).expect("points");

    let points = &summaries[0];
    assert_eq!(points[0].kind, PointKind::Reason);
    assert_eq!(points[0].turn(), 1);
    let last = &points[points.len() - 1];
    assert_eq!((last.kind, last.turn()), (PointKind::NextStep, 7));
    assert_eq!(last.said(&dialogue.lines), "Agent: I'll send you the corrected invoices by Tuesday.");
    assert!(points.iter().any(|p| p.said(&dialogue.lines).contains("fifty dollars")));
    for courtesy in ["morning", "moment", "Thank", "welcome"] {
        assert!(points.iter().all(|p| !p.said(&dialogue.lines).contains(courtesy)), "{points:?}");
    }
    assert!(points.windows(2).all(|p| (p[0].kind, p[0].parts[0].turn) <= (p[1].kind, p[1].parts[0].turn)));
    // The evidence is where the point was said.
    for point in points.iter().flat_map(|p| &p.parts) {
        let said: String = INVOICE[point.turn].1.chars().skip(point.chars.start).take(point.chars.len()).collect();
        let words = |t: &str| t.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(words(&point.text).iter().all(|w| words(&said).contains(w)), "{} / {said}", point.text);
    }

    let words: usize = summaries[1].iter().flat_map(|p| &p.parts).map(|p| p.text.split_whitespace().count()).sum();
    assert!(words <= 25 && words > 0);
    assert!(summaries[2].is_empty());

    // A dialogue's points do not depend on the others of the shard.
    assert_eq!(summarizer.summarize(&[dialogue]).expect("points")[0], summaries[0]);
}

#[test]
fn a_shard() {
    let Some(encoder) = encoder() else { return };
    let call = |id: &str, status: &str| -> Call {
        let row = json!({"call_id": id, "source_uri": "", "participants": [], "crm": {}, "status": status});
        serde_json::from_value(row).expect("a call")
    };
    let calls = [call("given-up", "ready"), call("hold", "ready"), call("refused", "refused"), call("talk", "ready")];
    let turn = |id: &str, i: usize, role: &str, text: &str| -> Turn {
        let row = json!({"call_id": id, "turn_index": i, "channel": i % 2, "speaker": format!("{role}-1"), "role": role,
            "start_ms": i * 5000, "end_ms": i * 5000 + 4000, "text": text, "overlap_ms": 0, "pause_before_ms": 0, "words": []});
        serde_json::from_value(row).expect("a turn")
    };
    let turns: Vec<Turn> = ["given-up", "refused", "talk"]
        .into_iter()
        .flat_map(|id| INVOICE.iter().enumerate().map(move |(i, (role, text))| turn(id, i, role, text)))
        .collect();
    let topic: Topic =
        serde_json::from_value(json!({"call_id": "talk", "topic_index": 0, "start_ms": 0, "end_ms": 49_000,
        "first_turn": 0, "last_turn": 9, "label": "invoice", "kind": "body"}))
        .expect("a topic");
    let run = |encoder: Arc<SentenceEncoder>| {
        let items = [
            Item::Batch(Table::Calls, to_batch(&calls).expect("calls")),
            Item::Batch(Table::Turns, to_batch(&turns).expect("turns")),
            Item::Batch(Table::Topics, to_batch(std::slice::from_ref(&topic)).expect("topics")),
            Item::Failed("given-up".into()),
        ];
        let model = ModelId { name: "all-minilm-l6-v2".into(), sha256: "0".into() };
        let mut kept = Kept::default();
        let mut stage = Summarize::new(SummarizeConfig::default(), encoder, model);
        stage.run(&mut items.into_iter(), &mut kept).expect("the shard is done");
        kept.0
    };
    let rows = run(encoder.clone());
    assert!(!rows.is_empty() && rows.iter().all(|r| r.call_id == "talk" && r.method == "extractive"));
    assert!(rows.iter().enumerate().all(|(i, r)| r.point_index == i as i32));
    assert!(rows[0].text.starts_with("Customer: I'm calling about the invoice for Février."));
    assert_eq!(rows[0].speaker.as_deref(), Some("customer-1"));
    let evidence = rows[0].evidence[0];
    let said: String = INVOICE[1].1.chars().skip(evidence.char_start as usize).collect();
    assert!(said.starts_with("I'm calling about"));
    assert_eq!(run(encoder), rows);
}

/// Whatever is said, a summary holds nothing but what was said, and is no longer than it may be.
#[test]
fn strange_dialogues() {
    let Some(encoder) = encoder() else { return };
    let config = SummarizeConfig::default();
    let summarizer = Summarizer::new(config.clone(), encoder);
    let line = |role: &str, text: &str| Line { role: Some(role.into()), text: text.into(), words: vec![] };
    let long: Vec<Line> = (0..2000)
        .map(|i| {
            let (role, other) = if i % 2 == 0 { ("agent", "customer") } else { ("customer", "agent") };
            line(
                role,
                &format!("The {other} wants item number {i} of the list moved to shelf {}, please.", i * 7 % 501),
            )
        })
        .collect();
    let dialogues: Vec<Vec<Line>> = vec![
        vec![line("agent", ""), line("customer", "   ")],
        vec![line("agent", "Hello?")],
        vec![Line { role: None, text: "\u{1f600}\u{1f600} \u{2026} ?!".into(), words: vec![] }],
        vec![
            line("agent", "Gr\u{fc}\u{df} Gott, was kann ich f\u{fc}r Sie tun?"),
            line("customer", "Die Rechnung vom M\u{e4}rz ist um vierzig Euro zu hoch."),
        ],
        vec![line(
            "customer",
            "\u{8acb}\u{6c42}\u{66f8}\u{304c}\u{9593}\u{9055}\u{3063}\u{3066}\u{3044}\u{307e}\u{3059}\u{3002}",
        )],
        vec![
            line("customer", "This damn router is shit, it has been down since bloody Monday."),
            line("agent", "I'll send you a new one tomorrow."),
        ],
        long,
    ];
    for max_words in [None, Some(1), Some(12)] {
        let asked: Vec<Dialogue> =
            dialogues.iter().map(|lines| Dialogue { lines: lines.clone(), max_words, ..Dialogue::default() }).collect();
        for (dialogue, points) in asked.iter().zip(summarizer.summarize(&asked).expect("points")) {
            let written = text(&points, &dialogue.lines);
            let most = max_words.unwrap_or(config.max_words);
            assert!(written.split_whitespace().count() <= most, "{written}");
            for part in points.iter().flat_map(|p| &p.parts) {
                let said: String =
                    dialogue.lines[part.turn].text.chars().skip(part.chars.start).take(part.chars.len()).collect();
                assert!(said.chars().count() == part.chars.len() && !said.trim().is_empty());
            }
        }
    }
    let complaint = Dialogue { lines: dialogues[5].clone(), ..Dialogue::default() };
    let points = &summarizer.summarize(&[complaint]).expect("points")[0];
    assert!(points.iter().any(|p| p.kind == PointKind::NextStep), "{points:?}");
}
