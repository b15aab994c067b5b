//! The stage and the scorer, seen from outside.

#![allow(clippy::unwrap_used)]

use arrow::array::RecordBatch;
use inference::{Device, Precision};
use proptest::prelude::*;
use schema::{
    CallFailure, Item, Row, Sentiment, SentimentTrend, Sink, Stage, StageError, Table, Turn, Word, from_batch, to_batch,
};
use sentiment::{Label, Reader, Score, ScoredTurn, Scorer, SentimentConfig, SentimentError, SentimentStage, trends};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn folder(relative: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative)
}

fn scorer() -> Scorer {
    Scorer::new(&SentimentConfig::default()).unwrap()
}

fn turn(index: i32, role: &str, start_ms: i64, text: &str) -> Turn {
    Turn {
        call_id: "a".into(),
        turn_index: index,
        channel: i32::from(role == "customer"),
        speaker: role.into(),
        role: Some(role.into()),
        start_ms,
        end_ms: start_ms + 1000,
        text: text.into(),
        language: None,
        overlap_ms: Some(0),
        pause_before_ms: 0,
        words: Vec::new(),
    }
}

#[derive(Default)]
struct Collect {
    batches: Vec<(Table, RecordBatch)>,
    failures: Vec<CallFailure>,
}

impl Sink for Collect {
    fn batch(&mut self, table: Table, batch: RecordBatch) -> Result<(), StageError> {
        self.batches.push((table, batch));
        Ok(())
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        self.failures.push(failure);
        Ok(())
    }
}

impl Collect {
    fn rows<T: Row>(&self) -> Vec<T> {
        self.batches.iter().filter(|(t, _)| *t == T::TABLE).flat_map(|(_, b)| from_batch::<T>(b).unwrap()).collect()
    }
}

fn run(turns: &[Turn]) -> Collect {
    let mut out = Collect::default();
    let items = if turns.is_empty() { vec![] } else { vec![Item::Batch(Table::Turns, to_batch(turns).unwrap())] };
    SentimentStage::new(SentimentConfig::default()).unwrap().run(&mut items.into_iter(), &mut out).unwrap();
    out
}

/// Our own sentences; the numbers are what vaderSentiment 3.3.2 for Python gives: negative, neutral, positive, compound.
#[test]
fn agrees_with_the_reference() {
    let plain = Scorer::new(&SentimentConfig { call_lexicon: false, ..SentimentConfig::default() }).unwrap();
    let rows: Vec<(String, f32, f32, f32, f32)> = serde_json::from_str(include_str!("vader_reference.json")).unwrap();
    for (text, negative, neutral, positive, compound) in rows {
        let score = plain.score(&text);
        for (ours, theirs) in [
            (score.negative, negative),
            (score.neutral, neutral),
            (score.positive, positive),
            (score.compound, compound),
        ] {
            assert!((ours - theirs).abs() < 1.1e-3, "{text}: {ours} here, {theirs} there");
        }
    }
}

#[test]
fn formulas_are_neutral_and_complaints_are_not() {
    let scorer = scorer();
    for text in ["Thank you for calling, how can I help you?", "Okay, yes, sure.", "", "42", "Hm."] {
        assert_eq!(scorer.label(text), Label::Neutral, "{text}");
    }
    assert!(scorer.score("No problem.").compound > 0.0);
    assert_eq!(scorer.label("I was charged twice and nobody called me."), Label::Negative);
    assert_eq!(scorer.label("unfortunately it crashed again"), Label::Negative);
}

#[test]
fn words_of_the_configuration_win() {
    let words = BTreeMap::from([("churn".to_owned(), -3.0), ("on fire".to_owned(), 2.0), ("great".to_owned(), 0.0)]);
    let scorer = Scorer::new(&SentimentConfig { words, ..SentimentConfig::default() }).unwrap();
    assert_eq!(scorer.label("They will churn."), Label::Negative);
    assert_eq!(scorer.label("The team is on fire!"), Label::Positive);
    assert_eq!(scorer.label("great"), Label::Neutral);
}

#[test]
fn a_bad_configuration_is_named() {
    let error = Scorer::new(&SentimentConfig { positive_from: 1.5, ..SentimentConfig::default() }).unwrap_err();
    assert_eq!(error.to_string(), "sentiment.positive_from is 1.5; give a number from 0 to 1");
    let words = BTreeMap::from([("bad".to_owned(), -5.0)]);
    let error = Scorer::new(&SentimentConfig { words, ..SentimentConfig::default() }).unwrap_err();
    assert!(matches!(error, SentimentError::Valence { .. }), "{error}");
}

#[test]
fn trends_go_by_quarters_and_words() {
    let turns = [
        turn(0, "customer", 0, "this is terrible"),
        turn(1, "agent", 4000, "okay"),
        turn(2, "customer", 9000, "great"),
    ];
    let out = run(&turns);
    assert!(out.failures.is_empty());
    let labels: Vec<String> = out.rows::<Sentiment>().into_iter().map(|row| row.label).collect();
    assert_eq!(labels, ["negative", "neutral", "positive"]);
    let trends = out.rows::<SentimentTrend>();
    assert_eq!(trends.len(), 2);
    let (agent, customer) = (&trends[0], &trends[1]);
    assert_eq!((agent.speaker.as_str(), agent.score, agent.change), ("agent", 0.0, None));
    assert_eq!(agent.quarter_scores, [None, Some(0.0), None, None]);
    assert_eq!(customer.quarter_scores[1..3], [None, None]);
    assert!(customer.score < 0.0 && customer.change.unwrap() > 4.0, "{customer:?}");
}

#[test]
fn a_turn_counts_in_every_quarter_in_which_it_is_said() {
    let all = [turn(0, "customer", 0, "it is great. Now I am waiting for the box")];
    let trend = &run(&all).rows::<SentimentTrend>()[0];
    assert!(trend.score > 0.0 && trend.quarter_scores.iter().all(|quarter| *quarter == Some(trend.score)), "{trend:?}");
    assert_eq!(trend.change, Some(0.0));
}

#[test]
fn what_was_not_understood_is_no_mood() {
    let word = |text: &str, probability| Word { text: text.into(), start_ms: 0, end_ms: 400, probability };
    let mut turns = [turn(0, "customer", 0, "outstanding"), turn(1, "customer", 9000, "okay then")];
    turns[0].words = vec![word("outstanding", 0.6)];
    let of = |turns: &[Turn]| run(turns).rows::<SentimentTrend>();
    assert_eq!(of(&turns)[0].score, 0.0);
    assert!(of(&turns[..1]).is_empty());
    turns[0].words[0].probability = 0.8;
    assert!(of(&turns)[0].score > 0.0);
}

#[test]
fn nothing_in_nothing_out() {
    assert!(run(&[]).batches.is_empty());
    let out = run(&[turn(0, "customer", 0, "")]);
    assert_eq!(out.rows::<Sentiment>().len(), 1);
    assert!(out.rows::<SentimentTrend>().is_empty());
}

#[test]
fn a_huge_turn_is_scored_in_time() {
    let score = scorer().score(&"not so good but no problem, it isn't the worst ".repeat(50_000));
    assert!((score.negative + score.neutral + score.positive - 1.0).abs() < 5e-3);
}

/// The scripted calls: how many turns get the scripted label, and whether the customer's mood goes the scripted way.
#[test]
fn scripted_moods_are_seen() {
    let scorer = scorer();
    let by_lexicons = moods("lexicons", |texts| {
        let scores = texts.iter().map(|text| scorer.score(text));
        scores.map(|score| (score, scorer.label_of(&score))).collect()
    });
    for lexicon_share in [0.0, 0.45] {
        let Some(reader) = reader(Precision::Int8, lexicon_share) else { return };
        let right = moods(&format!("head, lexicons {lexicon_share}"), |texts| {
            reader.scores(texts).unwrap().into_iter().map(|score| (score, Reader::label_of(&score))).collect()
        });
        assert!(lexicon_share == 0.0 || right >= by_lexicons, "{right} with both, {by_lexicons} by the lexicons");
    }
}

/// How many turns get the scripted label; three of four at least, and the trends must go the scripted way.
fn moods(by: &str, score: impl Fn(&[&str]) -> Vec<(Score, Label)>) -> usize {
    let (mut right, mut all) = (0, 0);
    let mut files: Vec<_> = fs::read_dir(folder("fixtures/scripts")).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    for file in files {
        let script: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        if script["language"] != "en" {
            continue;
        }
        let mut start = 0;
        let mut turns = Vec::new();
        let said = script["turns"].as_array().unwrap();
        for (i, said) in said.iter().enumerate() {
            let text = said["text"].as_str().unwrap();
            let mut turn = turn(i as i32, said["role"].as_str().unwrap(), start, text);
            turn.end_ms = start + 350 * text.split_whitespace().count() as i64;
            start = turn.end_ms;
            turns.push(turn);
        }
        let texts: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
        let scores = score(&texts);
        for ((said, text), (score, label)) in said.iter().zip(&texts).zip(&scores) {
            all += 1;
            right += usize::from(said["sentiment"] == label.as_str());
            if said["sentiment"] != label.as_str() {
                eprintln!("  {by}: {} meant, {} said ({}): {text}", said["sentiment"], label.as_str(), score.compound);
            }
        }
        let scored: Vec<_> =
            turns.iter().zip(&scores).map(|(turn, (score, _))| ScoredTurn { turn, score: *score }).collect();
        let trends = trends("a", &scored, None);
        let change = trends.iter().find(|t| t.speaker == "customer").and_then(|t| t.change);
        eprintln!("{by} {}: {} {change:?}", script["id"], script["customer_trend"]);
        match script["customer_trend"].as_str() {
            Some("improves") => assert!(change.unwrap() > 0.3, "{by} {}", script["id"]),
            Some("worsens") => assert!(change.unwrap() < -0.3, "{by} {}", script["id"]),
            _ => {}
        }
    }
    eprintln!("{by}: {right} of {all} turns");
    assert!(right * 4 >= all * 3, "{by}: {right} of {all} turns");
    right
}

/// Accuracy and macro-F1 on the development sets beside the checkout; floors a little under what was measured.
#[test]
fn development_sets() {
    let scorer = scorer();
    for (set, floor) in [("meld-dev", 0.47), ("sst2-dev", 0.62), ("airline-60", 0.52)] {
        let Ok(lines) = fs::read_to_string(folder(&format!("../shared/data/sentiment/{set}.jsonl"))) else {
            eprintln!("skipped: needs ../shared/data/sentiment/{set}.jsonl");
            continue;
        };
        let mut confusion: BTreeMap<(String, String), f64> = BTreeMap::new();
        let mut three = false;
        let mut turns = Vec::new();
        for line in lines.lines() {
            let dialogue: Value = serde_json::from_str(line).unwrap();
            for turn in dialogue["turns"].as_array().unwrap() {
                let label = turn["label"].as_str().unwrap().to_owned();
                three |= label == "neutral";
                turns.push((label, scorer.score(turn["text"].as_str().unwrap())));
            }
        }
        for (label, score) in turns {
            let said = if three {
                scorer.label_of(&score).as_str()
            } else if score.compound >= 0.0 {
                "positive"
            } else {
                "negative"
            };
            *confusion.entry((label, said.to_owned())).or_default() += 1.0;
        }
        let sum = |test: &dyn Fn(&str, &str) -> bool| -> f64 {
            confusion.iter().filter(|((a, b), _)| test(a, b)).map(|(_, n)| n).sum()
        };
        let all = sum(&|_, _| true);
        let labels: &[&str] = if three { &["negative", "neutral", "positive"] } else { &["negative", "positive"] };
        let f1 = labels
            .iter()
            .map(|l| 2.0 * sum(&|a, b| a == *l && b == *l) / (sum(&|a, _| a == *l) + sum(&|_, b| b == *l)));
        let macro_f1 = f1.sum::<f64>() / labels.len() as f64;
        let accuracy = sum(&|a, b| a == b) / all;
        eprintln!("{set}: accuracy {accuracy:.4}, macro-F1 {macro_f1:.4}, {all} items");
        assert!(accuracy > floor, "{set}: {accuracy}");
    }
}

proptest! {
    #[test]
    fn any_text_has_a_score(text in "\\PC{0,200}|[ !?'.a-z\u{0}-\u{ff}😀]{0,80}") {
        let score = scorer().score(&text);
        prop_assert!((-1.0..=1.0).contains(&score.compound));
        for share in [score.negative, score.neutral, score.positive] {
            prop_assert!((0.0..=1.0).contains(&share));
        }
        prop_assert!((score.negative + score.neutral + score.positive - 1.0).abs() < 2e-3);
    }
}

/// The head over the installed encoder, or a visible note that the test is skipped.
fn reader(precision: Precision, lexicon_share: f32) -> Option<Reader> {
    let models = std::env::var_os("NIGHTCALL_MODELS").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = models.or_else(|| Some(cache?.join("nightcall/models")))?.join("all-minilm-l6-v2");
    if !folder.exists() {
        eprintln!("skipped: needs the model all-minilm-l6-v2");
        return None;
    }
    let config = SentimentConfig { lexicon_share, ..SentimentConfig::default() };
    Some(Reader::load(&config, &folder, &Device::Cpu, precision).unwrap())
}

/// `scripts/make-goldens-heads.py`. In full precision logits are off by 0.0001, in 8 bits by 0.09 at most.
#[test]
fn the_head_agrees_with_python() {
    for (precision, most) in [(Precision::F32, 0.005), (Precision::Int8, 0.4)] {
        let Some(reader) = reader(precision, 0.0) else { return };
        let golden: Vec<(String, Vec<f32>)> = serde_json::from_str(include_str!("head_golden.json")).unwrap();
        let texts: Vec<&str> = golden.iter().map(|(text, _)| text.as_str()).collect();
        let mut furthest = 0.0f32;
        for ((text, theirs), ours) in golden.iter().zip(reader.logits(&texts).unwrap()) {
            for (ours, theirs) in ours.iter().zip(theirs) {
                furthest = furthest.max((ours - theirs).abs());
                assert!((ours - theirs).abs() < most, "{precision:?} {text}: {ours} here, {theirs} there");
            }
        }
        eprintln!("{precision:?}: logits off by at most {furthest}");
    }
}

/// Accuracy on the development sets beside the checkout; floors a little under what was measured, 61.6 and 85.0 %.
#[test]
fn the_head_on_development_sets() {
    let Some(reader) = reader(Precision::Int8, 0.0) else { return };
    for (set, floor) in [("meld-dev", 0.6), ("sst2-dev", 0.835)] {
        let Ok(lines) = fs::read_to_string(folder(&format!("../shared/data/sentiment/{set}.jsonl"))) else {
            eprintln!("skipped: needs ../shared/data/sentiment/{set}.jsonl");
            continue;
        };
        let talks: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let turns: Vec<(&str, &str)> = talks
            .iter()
            .flat_map(|talk| talk["turns"].as_array().unwrap())
            .map(|turn| (turn["text"].as_str().unwrap(), turn["label"].as_str().unwrap()))
            .collect();
        let three = turns.iter().any(|(_, label)| *label == "neutral");
        let texts: Vec<&str> = turns.iter().map(|(text, _)| *text).collect();
        let scores = reader.scores(&texts).unwrap();
        let right = turns.iter().zip(&scores).filter(|((_, meant), score)| {
            let two = if score.compound >= 0.0 { "positive" } else { "negative" };
            *meant == if three { Reader::label_of(score).as_str() } else { two }
        });
        let accuracy = right.count() as f64 / turns.len() as f64;
        eprintln!("{set}: accuracy {accuracy:.4}");
        assert!(accuracy > floor, "{set}: {accuracy}");
    }
}

#[test]
fn at_a_share_of_one_the_lexicons_decide() {
    let Some(reader) = reader(Precision::Int8, 1.0) else { return };
    let scorer = scorer();
    let texts =
        ["This is a terrible service!", "that was really helpful", "the invoice is for march", "thanks for nothing"];
    for (text, score) in texts.iter().zip(reader.scores(&texts).unwrap()) {
        assert_eq!(Reader::label_of(&score), scorer.label(text), "{text}: {score:?}");
        assert_eq!(score.compound, scorer.score(text).compound, "{text}");
    }
}

#[test]
fn irony_politeness_and_recognizers_are_read() {
    let Some(reader) = reader(Precision::Int8, 0.0) else { return };
    let table = [
        ("Well, thanks for nothing.", "negative"),
        ("thanks for nothing", "negative"),
        ("i have been waiting for three hours and nobody called me", "negative"),
        ("That is not good at all.", "negative"),
        ("With respect, we are not happy with how this was handled.", "negative"),
        ("that was really helpful thank you so much", "positive"),
        ("I couldn't be happier with it.", "positive"),
        ("Could you tell me your account number, please?", "neutral"),
        ("the invoice is for the second of march", "neutral"),
        ("", "neutral"),
        ("...", "neutral"),
    ];
    let texts: Vec<&str> = table.iter().map(|(text, _)| *text).collect();
    for ((text, meant), score) in table.iter().zip(reader.scores(&texts).unwrap()) {
        assert_eq!(Reader::label_of(&score).as_str(), *meant, "{text}: {score:?}");
        assert!((score.negative + score.neutral + score.positive - 1.0).abs() < 2e-3);
    }
}
