//! Follow-ups and keywords, seen from outside.

#![allow(clippy::unwrap_used)]

use arrow::array::RecordBatch;
use extract::{Extract, ExtractConfig, ExtractError, TrackerConfig, Utterance, follow_ups, keyphrases};
use proptest::prelude::*;
use schema::{
    Call, CallFailure, FollowUp, Item, Keyword, Participant, Row, Sink, Stage, StageError, Table, Turn, Word,
    from_batch, to_batch,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

mod head;
mod sets;

pub(crate) fn folder(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative)
}

/// The folder of the sentence encoder, or a visible note that the test is skipped.
fn minilm() -> Option<PathBuf> {
    let models = std::env::var_os("NIGHTCALL_MODELS").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = models.or_else(|| Some(cache?.join("nightcall/models")))?.join("all-minilm-l6-v2");
    if !folder.is_dir() {
        eprintln!("skipped: needs the model all-minilm-l6-v2");
        return None;
    }
    Some(folder)
}

/// What one turn of an agent, answered by a customer's "okay", holds.
fn said(text: &str) -> Vec<FollowUp> {
    let turns =
        [Utterance { turn_index: 0, role: "agent", text }, Utterance { turn_index: 1, role: "customer", text: "Hm." }];
    follow_ups("a", &turns, "2026-03-03".parse().ok(), 0.5)
}

#[test]
fn commitments_requests_and_meetings() {
    let table = [
        // said, action, owner, kind, day
        (
            "We will refund you the full amount within five business days.",
            "refund you the full amount",
            "agent",
            "commitment",
            "03-10",
        ),
        (
            "Let me check with billing and call you back tomorrow",
            "check with billing and call you back",
            "agent",
            "commitment",
            "03-04",
        ),
        ("we can have that over to you by friday", "have that over to you", "agent", "commitment", "03-06"),
        (
            "By the end of the week I'll have someone from dispatch ring you.",
            "have someone from dispatch ring you",
            "agent",
            "commitment",
            "03-06",
        ),
        (
            "I'm going to forward your complaint to the regional manager",
            "forward your complaint to the regional manager",
            "agent",
            "commitment",
            "",
        ),
        ("Our technician will visit you on Monday morning.", "visit you", "agent", "commitment", "03-09"),
        ("Someone should also call the printer.", "call the printer", "customer", "request", ""),
        (
            "Then next Thursday at four to look at the drawings together.",
            "look at the drawings together",
            "agent",
            "meeting",
            "03-12",
        ),
        (
            "So let me next Thursday at four to look at the drawings together",
            "look at the drawings together",
            "agent",
            "meeting",
            "03-12",
        ),
        (
            "I'll be sending you the tracking number this evening.",
            "send you the tracking number",
            "agent",
            "commitment",
            "03-03",
        ),
        ("what I'll do is I'll email you the forms", "email you the forms", "agent", "commitment", ""),
        ("You'll have the replacement by next Wednesday.", "deliver the replacement", "agent", "commitment", "03-11"),
        ("Could you email me the invoice?", "email me the invoice", "customer", "request", ""),
        (
            "Please return the signed copy by the twentieth of March.",
            "return the signed copy",
            "customer",
            "request",
            "03-20",
        ),
        ("I was wondering if you could forward me the minutes", "forward me the minutes", "customer", "request", ""),
        (
            "We need you to upload the documents by Thursday, otherwise we cannot start.",
            "upload the documents",
            "customer",
            "request",
            "03-05",
        ),
        (
            "Would you mind sending us the floor plan by tomorrow?",
            "send us the floor plan",
            "customer",
            "request",
            "03-04",
        ),
        (
            "It would be great if you could review the draft before Friday.",
            "review the draft",
            "customer",
            "request",
            "03-06",
        ),
        ("Send me your number by email.", "Send me your number by email", "customer", "request", ""),
        ("Let's catch up again next Tuesday at two.", "catch up again", "agent", "meeting", "03-10"),
        (
            "I'll put thirty minutes on the calendar for Thursday.",
            "put thirty minutes on the calendar",
            "agent",
            "meeting",
            "03-05",
        ),
        ("lets schedule a demo for the twelfth of march", "schedule a demo", "agent", "meeting", "03-12"),
    ];
    for (text, action, owner, kind, day) in table {
        let found = said(text);
        let row = found.first().unwrap_or_else(|| panic!("nothing in: {text}"));
        let date = row.due_date.map_or(String::new(), |date| date.to_string()[5..].to_owned());
        let got = (row.action.as_str(), row.owner_role.as_deref(), row.kind.as_str(), date.as_str());
        assert_eq!(got, (action, Some(owner), kind, day), "{text}");
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
}

#[test]
fn what_is_no_follow_up() {
    for text in [
        "I'll be happy to help you with that.",
        "Let me see, I'll be honest with you.",
        "Could you repeat that? Can you hear me?",
        "Can you give me your account number, please?",
        "Could you please hold the line for a moment?",
        "I won't send anything before you sign.",
        "I would send it if I could.",
        "If you renew today, I'll give you a discount of ten percent.",
        "I sent you the invoice last week and he called you on Friday.",
        "How can I help you? What can I do for you?",
        "When will you send the report?",
        "Thank you for calling, have a nice day, talk to you soon.",
        "I can see the problem, one moment.",
        "I'll put you through to my colleague now.",
        "We'll see. I'll think about it.",
        "Can you tell me what it costs?",
        "You can pay by card or by bank transfer.",
        "I feel ill today, well, it happens.",
        "Yes. Okay. No.",
        "",
    ] {
        assert_eq!(said(text), [], "{text}");
    }
}

#[test]
fn a_promise_answers_a_request() {
    let turns = [
        Utterance { turn_index: 3, role: "customer", text: "Could you send me the list of open items by Thursday?" },
        Utterance { turn_index: 4, role: "agent", text: "No problem, I'll send it by Wednesday." },
        Utterance { turn_index: 5, role: "customer", text: "And please copy my manager." },
        Utterance { turn_index: 6, role: "agent", text: "Sure, I'll do that." },
        Utterance { turn_index: 7, role: "agent", text: "Let's have a call about it." },
        Utterance { turn_index: 8, role: "customer", text: "Next Friday works for me." },
        Utterance { turn_index: 9, role: "agent", text: "Shall I book the room?" },
        Utterance { turn_index: 10, role: "customer", text: "Yes, please." },
    ];
    let found = follow_ups("a", &turns, "2026-03-03".parse().ok(), 0.5);
    let rows: Vec<(&str, &str, Option<&str>, usize)> =
        found.iter().map(|f| (f.action.as_str(), f.kind.as_str(), f.due_text.as_deref(), f.evidence.len())).collect();
    // Two days are two rows; what is promised as asked is one.
    assert_eq!(
        rows,
        [
            ("send me the list of open items", "request", Some("by Thursday"), 1),
            ("send it", "commitment", Some("by Wednesday"), 1),
            ("copy my manager", "request", None, 2),
            ("have a call about it", "meeting", Some("Next Friday"), 2),
            ("book the room", "commitment", None, 1),
        ]
    );
    assert!(found.iter().all(|f| f.owner_role.as_deref() == Some("agent")));
    assert_eq!(found[3].due_date.map(|d| d.to_string()).as_deref(), Some("2026-03-13"));
}

#[test]
fn a_day_repeated_by_whoever_was_asked_confirms() {
    let rows = |answer: &str, role: &str| {
        let turns = [
            Utterance { turn_index: 0, role: "agent", text: "Could you confirm the order by Thursday?" },
            Utterance { turn_index: 1, role, text: answer },
        ];
        let found = follow_ups("a", &turns, "2026-03-03".parse().ok(), 0.5);
        found.iter().map(|f| f.evidence.len()).collect::<Vec<_>>()
    };
    let garbled = "the stock lists with our stores and even the whole number on Thursday morning then";
    assert_eq!(rows(garbled, "customer"), [2]);
    assert_eq!(rows(garbled, "agent"), [1]);
    assert_eq!(rows(&garbled.replace("Thursday", "Friday"), "customer"), [1]);
    assert_eq!(rows("the stores are all closed for stock taking, so it is not there on Thursday", "customer"), [1]);
    let turns = [
        Utterance { turn_index: 0, role: "agent", text: "Somebody must test the doors." },
        Utterance { turn_index: 1, role: "customer", text: "a man from our workshop to do that on Monday" },
    ];
    let asked = |turns: &[Utterance<'_>]| follow_ups("a", turns, "2026-03-03".parse().ok(), 0.5).remove(0);
    let found = asked(&turns);
    assert_eq!((found.evidence.len(), found.due_text.as_deref()), (2, Some("on Monday")));
    let refused = Utterance { text: "the man from our workshop is not here to do that on Monday", ..turns[1] };
    let found = asked(&[turns[0], refused]);
    assert_eq!((found.evidence.len(), found.due_text), (1, None));
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

fn call(id: &str) -> Call {
    let participant = |role: &str, name: &str| Participant {
        participant_id: role.into(),
        channel: None,
        role: Some(role.into()),
        name: Some(name.into()),
        person_id: None,
        consent: "granted".into(),
    };
    Call {
        call_id: id.into(),
        started_on: None,
        source_uri: "a.wav".into(),
        content_sha256: None,
        container: None,
        codec: None,
        duration_ms: Some(20_000),
        sample_rate_hz: None,
        channel_count: None,
        started_at: "2026-03-03T23:30:00Z".parse().ok(),
        direction: None,
        language: None,
        participants: vec![participant("agent", "Ines Okafor"), participant("customer", "Leo Marsh")],
        crm: std::collections::BTreeMap::new(),
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
    }
}

fn turn(id: &str, index: i32, role: &str, text: &str) -> Turn {
    let start_ms = i64::from(index) * 5000;
    let words = text.split_whitespace().enumerate().map(|(i, word)| Word {
        text: word.into(),
        start_ms: start_ms + 100 * i as i64,
        end_ms: start_ms + 100 * i as i64 + 90,
        probability: 0.9,
    });
    Turn {
        call_id: id.into(),
        turn_index: index,
        channel: 0,
        speaker: role.into(),
        role: Some(role.into()),
        start_ms,
        end_ms: start_ms + 4000,
        text: text.into(),
        language: None,
        overlap_ms: Some(0),
        pause_before_ms: 0,
        words: words.collect(),
    }
}

fn run(calls: &[Call], turns: &[Turn]) -> Collect {
    let trackers = vec![
        TrackerConfig { name: "competitor".into(), phrases: vec!["Salesforce".into(), "Big Rival".into()] },
        TrackerConfig { name: "price".into(), phrases: vec!["price".into()] },
    ];
    let mut items = Vec::new();
    if !calls.is_empty() {
        items.push(Item::Batch(Table::Calls, to_batch(calls).unwrap()));
    }
    if !turns.is_empty() {
        items.push(Item::Batch(Table::Turns, to_batch(turns).unwrap()));
    }
    let mut out = Collect::default();
    let mut stage = Extract::without_encoder(ExtractConfig { trackers, ..ExtractConfig::default() }).unwrap();
    stage.run(&mut items.into_iter(), &mut out).unwrap();
    out
}

#[test]
fn the_stage_writes_both_tables() {
    let turns = [
        turn("a", 0, "customer", "BIG  rival has a better price, \u{20ac}1,200 and ten percent off until Friday."),
        turn(
            "a",
            1,
            "agent",
            "I see. I'll send you our loyalty programme tomorrow, Leo. The loyalty programme beats salesforce's price.",
        ),
    ];
    let out = run(&[call("a")], &turns);
    assert!(out.failures.is_empty());
    let found = out.rows::<FollowUp>();
    assert_eq!(found.len(), 1);
    let row = &found[0];
    assert_eq!((row.owner_role.as_deref(), row.owner_name.as_deref()), (Some("agent"), Some("Ines Okafor")));
    assert_eq!(row.due_date.map(|d| d.to_string()).as_deref(), Some("2026-03-04"));

    let keywords = out.rows::<Keyword>();
    let of = |kind: &str| -> Vec<(&str, i32, i64)> {
        keywords.iter().filter(|k| k.kind == kind).map(|k| (k.phrase.as_str(), k.mention_count, k.first_ms)).collect()
    };
    assert_eq!(of("tracker"), [("Big Rival", 1, 0), ("price", 2, 500), ("Salesforce", 1, 6400)]);
    assert_eq!(of("money"), [("\u{20ac}1,200", 1, 600)]);
    assert_eq!(of("percent"), [("ten percent", 1, 800)]);
    assert_eq!(of("date"), [("until Friday", 1, 1100), ("tomorrow", 1, 5800)]);
    let keyphrases = of("keyphrase");
    assert!(keyphrases.contains(&("loyalty programme", 2, 5600)), "{keyphrases:?}");
    assert!(keyphrases.iter().all(|(phrase, ..)| !phrase.contains("Leo")), "{keyphrases:?}");
    for keyword in &keywords {
        assert_eq!(keyword.evidence.len() as i32, keyword.mention_count);
        let place = keyword.evidence[0];
        let words: String = turns[place.turn_index as usize].text.chars().collect::<Vec<_>>()
            [place.char_start as usize..place.char_end as usize]
            .iter()
            .collect();
        let plain = |text: &str| text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(plain(&words).trim_end_matches("'s"), plain(&keyword.phrase), "{}", keyword.kind);
    }
}

#[test]
fn the_order_of_calls_does_not_matter() {
    let turns = [
        turn("b", 0, "agent", "I'll call the warehouse manager tomorrow."),
        turn("a", 0, "agent", "I'll ask the warehouse."),
    ];
    let swapped = [turns[1].clone(), turns[0].clone()];
    let (one, two) = (run(&[call("a"), call("b")], &turns), run(&[call("b"), call("a")], &swapped));
    assert_eq!(one.rows::<FollowUp>(), two.rows::<FollowUp>());
    assert_eq!(one.rows::<Keyword>(), two.rows::<Keyword>());
    assert_eq!(one.rows::<FollowUp>()[0].call_id, "a");
    assert!(run(&[], &[]).batches.is_empty());
    // A call that ingest knows and that nobody spoke in leaves no rows.
    assert!(run(&[call("a")], &[]).batches.is_empty());
}

/// Empty, one-word, foreign, profane and endless calls: rows that point into what was said, or none, and no failure.
#[test]
fn strange_calls() {
    let long = "We will move the archive to the new warehouse and the archive needs shelves. ".repeat(40);
    let said = [
        "",
        "   ",
        "Hello?",
        "\u{1f600}\u{1f600} \u{2026} ?!",
        "Die Rechnung vom M\u{e4}rz ist um vierzig Euro zu hoch, bitte rufen Sie mich zur\u{fc}ck.",
        "\u{8acb}\u{6c42}\u{66f8}\u{304c}\u{9593}\u{9055}\u{3063}\u{3066}\u{3044}\u{307e}\u{3059}\u{3002}",
        "This damn router is shit, the bloody router has been down since Monday.",
    ];
    for text in said {
        let turns = [turn("a", 0, "customer", text)];
        let out = run(&[call("a")], &turns);
        assert!(out.failures.is_empty());
        for row in out.rows::<Keyword>() {
            assert!(!row.phrase.trim().is_empty() && (0.0..=1.0).contains(&row.score), "{row:?}");
            assert!(row.evidence.iter().all(|e| e.char_end as usize <= text.chars().count()));
        }
    }
    let hours: Vec<Turn> =
        (0..300).map(|i| turn("a", i, if i % 2 == 0 { "agent" } else { "customer" }, &long)).collect();
    let out = run(&[call("a")], &hours);
    assert!(out.failures.is_empty());
    let phrases: Vec<String> = out.rows::<Keyword>().into_iter().map(|k| k.phrase).collect();
    assert!(phrases.contains(&"archive".to_owned()), "{phrases:?}");
}

#[test]
fn amounts_and_days_in_other_words_are_one() {
    let turns = [turn("a", 0, "customer", "It was $1,200, yes, twelve hundred dollars, and fifteen percent, 15%.")];
    let rows = run(&[call("a")], &turns).rows::<Keyword>();
    let of = |kind: &str| -> Vec<(&str, i32)> {
        rows.iter().filter(|k| k.kind == kind).map(|k| (k.phrase.as_str(), k.mention_count)).collect()
    };
    assert_eq!(of("money"), [("$1,200", 2)]);
    assert_eq!(of("percent"), [("fifteen percent", 2)]);
}

/// The words that a piece of evidence or a mention points at.
fn words(turns: &[Turn], turn_index: i32, chars: std::ops::Range<i32>) -> String {
    let text = &turns.iter().find(|turn| turn.turn_index == turn_index).unwrap().text;
    text.chars().skip(chars.start as usize).take((chars.end - chars.start) as usize).collect()
}

#[test]
fn words_have_their_values_and_mentions_their_times() {
    let turns = [
        turn("a", 0, "customer", "We pay $1,200 and fifteen percent on Friday."),
        turn("a", 1, "agent", "So twelve hundred dollars by next Monday, 2.5 percent off, or thirty cents a call."),
    ];
    let rows = run(&[call("a")], &turns).rows::<Keyword>();
    let of = |kind: &str| -> Vec<&Keyword> { rows.iter().filter(|k| k.kind == kind).collect() };
    let [sum, cents] = of("money")[..] else { panic!("{rows:?}") };
    assert_eq!((sum.amount.unwrap().to_string().as_str(), sum.currency.as_deref()), ("1200.00", Some("USD")));
    assert_eq!((cents.amount.unwrap().to_string().as_str(), cents.currency.as_deref()), ("0.30", None));
    assert_eq!(of("percent").iter().map(|k| k.percent).collect::<Vec<_>>(), [Some(15.0), Some(2.5)]);
    let days: Vec<String> = of("date").iter().map(|k| k.date.unwrap().to_string()).collect();
    assert_eq!(days, ["2026-03-06", "2026-03-09"]);
    // A word takes 90 ms, one every 100 ms.
    let mentions = sum.mentions.as_deref().unwrap();
    let times: Vec<(i64, i64)> = mentions.iter().map(|m| (m.start_ms, m.end_ms)).collect();
    assert_eq!(times, [(200, 290), (5100, 5390)]);
    assert_eq!((sum.first_ms, sum.start_ms, sum.end_ms), (200, Some(200), Some(290)));
    for row in &rows {
        let mentions = row.mentions.as_deref().unwrap();
        assert_eq!(mentions.len(), row.evidence.len());
        for (mention, evidence) in mentions.iter().zip(&row.evidence) {
            assert_eq!(
                (mention.turn_index, mention.char_start, mention.char_end),
                (evidence.turn_index, evidence.char_start, evidence.char_end)
            );
            assert!(mention.start_ms < mention.end_ms, "{row:?}");
        }
        let typed = [row.amount.is_some(), row.date.is_some(), row.percent.is_some()].iter().filter(|t| **t).count();
        assert_eq!(typed, usize::from(["money", "percent", "date"].contains(&row.kind.as_str())), "{row:?}");
    }
}

#[test]
fn a_day_and_the_time_that_ends_with_it_share_no_evidence() {
    // 2026-03-03 is a Tuesday: the week's Friday, and the month's last day, are days of their own.
    for (said, wanted) in [
        (
            "On Friday. This week then. By the end of the week.",
            vec![("On Friday", Some("2026-03-06"), 1), ("This week", None, 1), ("By the end of the week", None, 1)],
        ),
        (
            "In March, or on the 31st of March.",
            vec![("In March", None, 1), ("on the 31st of March", Some("2026-03-31"), 1)],
        ),
        (
            "By the end of the month, so March 31st, not this month.",
            vec![("By the end of the month", Some("2026-03-31"), 2), ("this month", None, 1)],
        ),
        ("Tomorrow, on Wednesday, on March 4th.", vec![("Tomorrow", Some("2026-03-04"), 3)]),
        ("Next week, or next Friday.", vec![("Next week", None, 1), ("next Friday", Some("2026-03-13"), 1)]),
        ("Last Friday, and this Friday.", vec![("Last Friday", None, 1), ("this Friday", Some("2026-03-06"), 1)]),
    ] {
        let turns = [turn("a", 0, "customer", said)];
        let rows = run(&[call("a")], &turns).rows::<Keyword>();
        let found: Vec<(&str, Option<String>, i32)> = rows
            .iter()
            .filter(|k| k.kind == "date")
            .map(|k| (k.phrase.as_str(), k.date.map(|d| d.to_string()), k.mention_count))
            .collect();
        let wanted: Vec<_> = wanted.into_iter().map(|(p, d, n)| (p, d.map(str::to_owned), n)).collect();
        assert_eq!(found, wanted, "{said}");
    }
}

#[test]
fn two_days_are_two_follow_ups_with_evidence_of_their_own() {
    let twice = |first: &str, second: &str, day: bool| {
        let turns = [turn("a", 0, "agent", first), turn("a", 1, "customer", "Hm."), turn("a", 2, "agent", second)];
        let mut call = call("a");
        if !day {
            (call.started_at, call.started_on) = (None, None);
        }
        let rows = run(&[call], &turns).rows::<FollowUp>();
        let said = |row: &FollowUp| -> Vec<String> {
            row.evidence.iter().map(|e| words(&turns, e.turn_index, e.char_start..e.char_end)).collect()
        };
        rows.iter().map(|row| (row.due_text.clone(), said(row))).collect::<Vec<_>>()
    };
    for day in [true, false] {
        for (a, b) in [("by Friday", "by Monday"), ("tomorrow", "by Thursday"), ("on March 14th", "by March 16th")] {
            let found =
                twice(&format!("I'll send you the quote {a}."), &format!("I will send you the quote {b}."), day);
            let [(one, first), (other, second)] = &found[..] else { panic!("{a}, {b}, {day}: {found:?}") };
            assert_eq!((one.as_deref(), other.as_deref()), (Some(a), Some(b)));
            assert!(
                first.iter().all(|said| !said.contains(b)) && second.iter().all(|said| !said.contains(a)),
                "{found:?}"
            );
        }
        let same = twice("I'll send you the quote by Friday.", "I will send you the quote on Friday.", day);
        assert_eq!(same.len(), 1, "{same:?}");
        assert_eq!(same[0].1.len(), 2);
    }
}

#[test]
fn follow_ups_have_times_and_owners_that_are_known() {
    let said = "Sure. I'll send you the revised quote by Friday.";
    let mut turns = [turn("a", 0, "customer", "Could you send me the quote?"), turn("a", 1, "agent", said)];
    let row = &run(&[call("a")], &turns).rows::<FollowUp>()[0];
    // From "Could", or the word it begins with, to the last word of the promise.
    assert_eq!((row.start_ms, row.end_ms), (Some(0), Some(5000 + 890)));
    assert_eq!(row.owner_role.as_deref(), Some("agent"));
    for turn in &mut turns {
        (turn.speaker, turn.role) = ("channel-0".into(), None);
    }
    let rows = run(&[call("a")], &turns).rows::<FollowUp>();
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|row| row.owner_role.is_none() && row.owner_name.is_none()), "{rows:?}");
}

#[test]
fn the_day_of_a_call_is_that_of_its_own_zone() {
    let mut call = call("a");
    (call.started_at, call.started_on) = ("2026-03-03T23:30:00Z".parse().ok(), "2026-03-04".parse().ok());
    let turns = [turn("a", 0, "agent", "I'll call you tomorrow.")];
    let rows = run(&[call], &turns).rows::<FollowUp>();
    assert_eq!(rows[0].due_date.map(|d| d.to_string()).as_deref(), Some("2026-03-05"));
}

#[test]
fn a_bad_configuration_is_named() {
    let config = ExtractConfig { follow_up_min_score: 1.5, ..ExtractConfig::default() };
    let error = Extract::without_encoder(config).err().unwrap();
    assert_eq!(error.to_string(), "extract.follow_up_min_score is 1.5; give a number from 0 to 1");
    let trackers = vec![TrackerConfig { name: "rivals".into(), phrases: vec![" ".into()] }];
    let error = Extract::without_encoder(ExtractConfig { trackers, ..ExtractConfig::default() }).err().unwrap();
    assert!(matches!(error, ExtractError::EmptyTracker { .. }), "{error}");
}

#[test]
fn a_huge_turn_is_read_in_time() {
    let text = "i'll send you twenty two reports by friday and could you please call me back ".repeat(4_000);
    assert!(!said(&text).is_empty());
    assert!(!keyphrases(&[&text], None, 5, 0.3).unwrap().is_empty());
}

/// The scripted calls as written, and as a recognizer without punctuation would spell them.
#[test]
fn scripted_follow_ups_are_found() {
    for bare in [false, true] {
        let (mut all, mut owners, mut days, mut dated, mut rows, mut right) = (0, 0, 0, 0, 0, 0);
        let mut files: Vec<_> = fs::read_dir(folder("fixtures/scripts")).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        for file in files {
            let script: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            if script["language"] != "en" {
                continue;
            }
            let spelling = |text: &str| {
                let plain = text.to_lowercase().replace(['.', ',', '?', '!', '\''], "").replace('-', " ");
                if bare { plain } else { text.to_owned() }
            };
            let turns = script["turns"].as_array().unwrap();
            let texts: Vec<String> = turns.iter().map(|t| spelling(t["text"].as_str().unwrap())).collect();
            let said: Vec<Utterance<'_>> = turns
                .iter()
                .zip(&texts)
                .enumerate()
                .map(|(i, (t, text))| Utterance { turn_index: i as i32, role: t["role"].as_str().unwrap(), text })
                .collect();
            let found = follow_ups("a", &said, script["started_at"].as_str().unwrap()[..10].parse().ok(), 0.5);
            let scripted = script["follow_ups"].as_array().unwrap();
            let is = |f: &FollowUp, s: &Value| {
                f.owner_role.as_deref() == s["owner_role"].as_str()
                    && f.evidence.iter().any(|e| Some(i64::from(e.turn_index)) == s["turn"].as_i64())
            };
            for s in scripted {
                let date = s["due_date"].as_str();
                let hits: Vec<&FollowUp> = found.iter().filter(|f| is(f, s)).collect();
                all += 1;
                owners += usize::from(!hits.is_empty());
                dated += usize::from(date.is_some());
                days += usize::from(
                    date.is_some() && hits.iter().any(|f| f.due_date.map(|d| d.to_string()).as_deref() == date),
                );
            }
            rows += found.len();
            right += found.iter().filter(|f| scripted.iter().any(|s| is(f, s))).count();
        }
        eprintln!("bare {bare}: {owners} of {all} scripted, {right} of {rows} rows, {days} of {dated} days");
        assert!(owners * 10 >= all * 9 && right * 10 >= rows * 9 && days * 10 >= dated * 9);
    }
}

fn speech() -> impl Strategy<Value = String> {
    let words = "I'll|ill|we|will|could you|please|send|email|it|you|me|the quote|by|on|next|friday|the end of|month|within|two|weeks|\
        twenty|first|third|march|may|let's|meet|at|ten|,|.|?|$|1,200|15%|percent|dollars|and|if|um|\u{2019}|é|😀|in|a|half|o'clock|\
        million|99999999999|0|-|tomorrow|shall|i|call|back|\u{0}|ß|İ"
        .replace(['\n', '\t'], "");
    let words: Vec<String> = words.split('|').map(|w| w.trim().to_owned()).collect();
    prop_oneof![
        proptest::collection::vec(proptest::sample::select(words), 0..40).prop_map(|words| words.join(" ")),
        "\\PC{0,120}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_text_is_read(first in speech(), second in speech()) {
        let turns = [turn("a", 0, "agent", &first), turn("a", 1, "customer", &second)];
        let out = run(&[call("a")], &turns);
        prop_assert!(out.failures.is_empty());
        let lengths: Vec<i32> = turns.iter().map(|t| t.text.chars().count() as i32).collect();
        let inside = |e: &schema::Evidence| e.char_start >= 0 && e.char_start < e.char_end && e.char_end <= lengths[e.turn_index as usize];
        for row in out.rows::<FollowUp>() {
            prop_assert!(!row.evidence.is_empty() && row.evidence.iter().all(inside), "{row:?}");
            prop_assert!(!row.action.is_empty() && (0.5..=1.0).contains(&row.score));
        }
        let mut seen = BTreeSet::new();
        for row in out.rows::<Keyword>() {
            prop_assert!(!row.evidence.is_empty() && row.evidence.iter().all(inside), "{row:?}");
            prop_assert!((0.0..=1.0).contains(&row.score) && !row.phrase.is_empty());
            prop_assert!(seen.insert((row.kind, row.tracker, row.phrase)));
        }
    }
}
