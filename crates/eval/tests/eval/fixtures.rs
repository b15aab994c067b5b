//! The fixture score, on tables that follow the scripts to the letter and on tables that do not.

use eval::{Expectation, FixtureReport, load_fixtures, score_fixtures};
use schema::{Call, Evidence, FollowUp, Item, Keyword, Row, Segment, SentimentTrend, Tables, Turn, Word, to_batch};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn json(kind: &str, id: &str) -> Value {
    let path = folder().join(kind).join(format!("{id}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

#[derive(Default)]
struct Written {
    calls: Vec<Call>,
    segments: Vec<Segment>,
    turns: Vec<Turn>,
    follow_ups: Vec<FollowUp>,
    keywords: Vec<Keyword>,
    trends: Vec<SentimentTrend>,
}

impl Written {
    /// What a pipeline without fault would write.
    fn to_the_letter() -> Self {
        let mut written = Self::default();
        for fixture in load_fixtures(&folder()).unwrap() {
            let id = fixture.call_id();
            let (script, truth) = (json("scripts", id), json("truth", id));
            let refused = script["consent"].as_object().unwrap().values().any(|consent| consent == "denied");
            let english = script["language"] == "en";
            written.calls.push(call(id, !refused));
            if !refused && english {
                written.add(id, &script, &truth);
            }
        }
        written
    }

    fn add(&mut self, id: &str, script: &Value, truth: &Value) {
        for (index, turn) in (0..).zip(truth["turns"].as_array().unwrap()) {
            let words: Vec<Word> = turn["words"].as_array().unwrap().iter().map(word).collect();
            self.segments.push(Segment {
                call_id: id.into(),
                channel: whole(&turn["channel"]) as i32,
                segment_index: index,
                start_ms: whole(&turn["start_ms"]),
                end_ms: whole(&turn["end_ms"]),
                text: text(&turn["text"]),
                language: None,
                avg_logprob: 0.0,
                no_speech_prob: None,
                words: words.clone(),
                engine: "script".into(),
            });
            self.turns.push(Turn {
                call_id: id.into(),
                turn_index: index,
                channel: whole(&turn["channel"]) as i32,
                speaker: text(&turn["role"]),
                role: Some(text(&turn["role"])),
                start_ms: whole(&turn["start_ms"]),
                end_ms: whole(&turn["end_ms"]),
                text: text(&turn["text"]),
                language: None,
                overlap_ms: Some(0),
                pause_before_ms: 0,
                words,
            });
        }
        let evidence = |turn: &Value, phrase: &str| {
            let said = text(&script["turns"][whole(turn) as usize]["text"]);
            let start = said.to_lowercase().find(&phrase.to_lowercase()).map_or(0, |at| said[..at].chars().count());
            let end = if phrase.is_empty() { said.chars().count() } else { start + phrase.chars().count() };
            vec![Evidence { turn_index: whole(turn) as i32, char_start: start as i32, char_end: end as i32 }]
        };
        for (index, f) in (0..).zip(script["follow_ups"].as_array().unwrap()) {
            self.follow_ups.push(FollowUp {
                call_id: id.into(),
                follow_up_index: index,
                action: text(&f["action"]),
                owner_role: Some(text(&f["owner_role"])),
                owner_name: None,
                due_text: f["due_text"].as_str().map(str::to_owned),
                due_date: f["due_date"].as_str().map(|date| date.parse().unwrap()),
                kind: text(&f["kind"]),
                score: 1.0,
                start_ms: None,
                end_ms: None,
                evidence: evidence(&f["turn"], ""),
            });
        }
        let trackers = script["trackers"].as_array().unwrap().iter().map(|t| ("tracker".to_owned(), t, "phrase"));
        let amounts = script["amounts"].as_array().unwrap().iter().map(|a| (text(&a["kind"]), a, "text"));
        for (kind, keyword, words) in trackers.chain(amounts) {
            let phrase = text(&keyword[words]);
            self.keywords.push(Keyword {
                call_id: id.into(),
                kind,
                tracker: keyword["tracker"].as_str().map(str::to_owned),
                amount: None,
                currency: None,
                date: None,
                percent: None,
                score: 1.0,
                mention_count: 1,
                first_ms: 0,
                start_ms: None,
                end_ms: None,
                evidence: evidence(&keyword["turn"], &phrase),
                mentions: None,
                phrase,
            });
        }
        let change = match script["customer_trend"].as_str().unwrap() {
            "improves" => 2.0,
            "worsens" => -2.0,
            _ => 0.1,
        };
        self.trends.push(SentimentTrend {
            call_id: id.into(),
            speaker: "customer".into(),
            role: Some("customer".into()),
            score: 0.0,
            quarter_scores: vec![Some(0.0), None, None, Some(change)],
            change: Some(change),
        });
    }

    fn score(&self) -> FixtureReport {
        let batches = [
            batch(&self.calls),
            batch(&self.segments),
            batch(&self.turns),
            batch(&self.follow_ups),
            batch(&self.keywords),
            batch(&self.trends),
        ];
        score_fixtures(&load_fixtures(&folder()).unwrap(), &Tables::collect(&mut batches.into_iter())).unwrap()
    }
}

fn batch<T: Row>(rows: &[T]) -> Item {
    Item::Batch(T::TABLE, to_batch(rows).unwrap())
}

fn word(word: &Value) -> Word {
    let (start_ms, end_ms) = (whole(&word["start_ms"]), whole(&word["end_ms"]));
    Word { text: text(&word["text"]), start_ms, end_ms, probability: 1.0 }
}

fn call(id: &str, ready: bool) -> Call {
    Call {
        call_id: id.into(),
        started_on: None,
        source_uri: format!("{id}.wav"),
        content_sha256: ready.then(|| "00".into()),
        container: None,
        codec: None,
        duration_ms: ready.then_some(1000),
        sample_rate_hz: None,
        channel_count: None,
        started_at: None,
        direction: None,
        language: None,
        participants: vec![],
        crm: BTreeMap::new(),
        status: if ready { "ready" } else { "refused" }.into(),
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

#[test]
fn tables_to_the_letter_pass_every_check() {
    let report = Written::to_the_letter().score();
    let misses: Vec<_> = report.calls.iter().map(|c| (&c.call_id, &c.misses)).filter(|c| !c.1.is_empty()).collect();
    assert!(report.passed(), "{:#?} {misses:#?}", report.checks);
    assert!(misses.is_empty(), "{misses:#?}");
    assert_eq!(report.edits.errors(), 0);
    assert_eq!(report.word_times.p95_ms, Some(0));
    for check in &report.checks {
        assert_eq!(check.measured.right, check.measured.of, "{}", check.name);
        assert!(check.measured.of > 0, "{}", check.name);
    }
    assert_eq!(report.rows().len(), report.calls.len() + 1);
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<FixtureReport>(&json).unwrap(), report);
}

#[test]
fn faults_are_seen() {
    let right = Written::to_the_letter().score();
    let total = |report: &FixtureReport| report.calls.iter().map(|c| c.follow_ups.right).sum::<u64>();

    let mut written = Written::to_the_letter();
    written.follow_ups[0].owner_role = None;
    written.follow_ups[1].evidence[0].turn_index = 0;
    let at = written.follow_ups.iter().position(|f| f.due_date.is_some()).unwrap();
    written.follow_ups[at].due_date = None;
    written.keywords.retain(|k| k.kind != "tracker");
    written.trends.iter_mut().for_each(|t| t.change = t.change.map(|c| -c));
    for segment in &mut written.segments {
        segment.words.iter_mut().for_each(|w| w.start_ms += 40);
    }
    let report = written.score();
    assert_eq!(total(&report), total(&right) - 2);
    let failed: Vec<_> = report.checks.iter().filter(|c| !c.passed).map(|c| c.name.as_str()).collect();
    let wanted = [
        "recognized due dates of found follow-ups on the right day",
        "recognized trackers found",
        "angry customers' trends as scripted",
    ];
    assert_eq!(failed, wanted);
    assert_eq!(report.word_times.median_ms, Some(40));
}

#[test]
fn a_row_may_join_a_request_and_its_answer() {
    let mut written = Written::to_the_letter();
    let at = |written: &Written, kind: &str, action: &str| {
        written.follow_ups.iter().position(|f| f.kind == kind && f.action == action).unwrap()
    };
    let action = "send the list of open credits";
    let promise = written.follow_ups.remove(at(&written, "commitment", action));
    let request = at(&written, "request", action);
    let rows = written.follow_ups.len() as u64;
    written.follow_ups[request].evidence.extend(promise.evidence);
    assert_ne!(written.follow_ups[request].due_date, promise.due_date);
    let wrong = written.score();
    written.follow_ups[request].due_date = promise.due_date;
    let right = written.score();
    assert!(right.passed());
    assert_eq!(right.calls.iter().map(|c| c.follow_ups.rows_right).sum::<u64>(), rows);
    assert_eq!(right.calls.iter().map(|c| c.follow_ups.right).sum::<u64>(), rows + 1);
    assert!(!wrong.passed());
}

#[test]
fn two_rows_may_share_a_scripted_follow_up_of_two_acts() {
    let mut written = Written::to_the_letter();
    let action = "ask the engineers for a written report and email it";
    let at = written.follow_ups.iter().position(|f| f.action == action).unwrap();
    let mut second = written.follow_ups[at].clone();
    second.action = "email it".into();
    written.follow_ups[at].action = "ask the engineers for a written report".into();
    written.follow_ups[at].due_date = None;
    written.follow_ups.push(second.clone());
    let report = written.score();
    assert!(report.calls.iter().all(|c| c.misses.is_empty()), "{:?}", report.calls);
    second.action = "rent a boat".into();
    *written.follow_ups.last_mut().unwrap() = second;
    assert!(!written.score().passed());
}

#[test]
fn what_must_leave_nothing_is_checked() {
    let mut written = Written::to_the_letter();
    let report = written.score();
    let id = |expects| report.calls.iter().find(|c| c.expects == expects).map(|c| c.call_id.clone()).unwrap();
    let mut leftover = written.turns[0].clone();
    leftover.call_id = id(Expectation::Refused);
    written.turns.push(leftover.clone());
    leftover.call_id = id(Expectation::Silent);
    written.turns.push(leftover);
    let found = written.score();
    for call in &found.calls {
        match call.expects {
            Expectation::Refused | Expectation::Silent => assert_eq!(call.clean, Some(false), "{}", call.call_id),
            Expectation::Foreign => assert_eq!(call.clean, Some(true)),
            Expectation::Spoken => assert_eq!(call.clean, None),
        }
    }

    let mut written = Written::to_the_letter();
    let refused = id(Expectation::Refused);
    written.calls.iter_mut().filter(|c| c.call_id == refused).for_each(|c| c.content_sha256 = Some("00".into()));
    assert!(!written.score().passed());
}

#[test]
fn no_tables_are_no_crash() {
    let none = score_fixtures(&load_fixtures(&folder()).unwrap(), &Tables::default()).unwrap();
    assert!(!none.passed());
    assert!((none.wer - 1.0).abs() < 1e-12);
    assert_eq!(none.edits.deletions, none.edits.words);
}
