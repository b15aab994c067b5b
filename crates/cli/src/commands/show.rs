//! `show`: one call on the terminal.

use crate::{
    Outcome,
    args::{Common, Show},
    term::{self, BOLD, DIM, GREEN, RED, YELLOW, clock, one_line, paint},
};
use anyhow::{Result, bail};
use schema::{
    Call, CallMetrics, Damage, Evidence, FollowUp, Keyword, Row, Segment, Sentiment, SentimentTrend, SpeakerMetrics,
    StageErrorRow, Summary, Table, Topic, Turn,
};
use serde::Serialize;
use store::{Key, Store};

/// Every row of one call.
#[derive(Serialize)]
struct Rows {
    call: Call,
    turns: Vec<Turn>,
    speaker_metrics: Vec<SpeakerMetrics>,
    call_metrics: Vec<CallMetrics>,
    topics: Vec<Topic>,
    summaries: Vec<Summary>,
    follow_ups: Vec<FollowUp>,
    keywords: Vec<Keyword>,
    sentiments: Vec<Sentiment>,
    sentiment_trends: Vec<SentimentTrend>,
    stage_errors: Vec<StageErrorRow>,
    /// Segments of the call.
    #[serde(skip)]
    segments: usize,
    /// Whether the summaries of its shard are made.
    #[serde(skip)]
    is_summarized: bool,
}

pub fn run(args: &Show, _: &Common) -> Result<Outcome> {
    let store = Store::open_existing(&args.store)?;
    let mut rows = read(&store, &args.call_id)?;
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        make_printable(&mut rows);
        print(&rows, args.transcript);
    }
    Ok(Outcome::Done)
}

/// Spells out control characters in what came from file names, lists and CRM files.
fn make_printable(rows: &mut Rows) {
    let call = &mut rows.call;
    let people = call.participants.iter_mut().filter_map(|person| person.name.as_mut());
    let texts = people.chain([&mut call.call_id]).chain(&mut call.direction).chain(&mut call.status_reason);
    let errors = rows.stage_errors.iter_mut().map(|error| &mut error.message);
    let owners = rows.follow_ups.iter_mut().filter_map(|follow_up| follow_up.owner_name.as_mut());
    for text in texts.chain(errors).chain(owners) {
        *text = one_line(text).into_owned();
    }
    let crm = std::mem::take(&mut call.crm).into_iter();
    call.crm = crm
        .map(|(key, value)| (one_line(&key).into_owned(), value.map(|value| one_line(&value).into_owned())))
        .collect();
}

/// The rows of one call in one table.
fn of<T: Row>(store: &Store, shard: &str, call_id: &str) -> Result<Vec<T>> {
    let rows = store.rows::<T>(&Key::new(T::TABLE, shard))?;
    Ok(rows.into_iter().filter(|row| row.call_id() == call_id).collect())
}

fn read(store: &Store, call_id: &str) -> Result<Rows> {
    let shards = store.shards()?;
    let Some(shard) = shards.get(call_id) else {
        let some: Vec<_> = shards.keys().take(5).map(String::as_str).collect();
        bail!("{}: there is no call {call_id}; the store has {}, ...", store.location(), some.join(", "));
    };
    let Some(call) = of::<Call>(store, shard, call_id)?.pop() else { bail!("{call_id} has left the store") };
    let mut errors = Vec::new();
    for key in store.list(Table::StageErrors)?.iter().filter(|k| k.shard() == shard) {
        errors.extend(store.rows::<StageErrorRow>(key)?.into_iter().filter(|row| row.call_id == call_id));
    }
    Ok(Rows {
        call,
        turns: of(store, shard, call_id)?,
        speaker_metrics: of(store, shard, call_id)?,
        call_metrics: of(store, shard, call_id)?,
        topics: of(store, shard, call_id)?,
        summaries: of(store, shard, call_id)?,
        follow_ups: of(store, shard, call_id)?,
        keywords: of(store, shard, call_id)?,
        sentiments: of(store, shard, call_id)?,
        sentiment_trends: of(store, shard, call_id)?,
        stage_errors: errors,
        segments: of::<Segment>(store, shard, call_id)?.len(),
        is_summarized: store.stamp(&Key::new(Table::Summaries, shard))?.is_some(),
    })
}

fn print(rows: &Rows, transcript: bool) {
    head(&rows.call);
    for error in &rows.stage_errors {
        let text = format!("{} could not finish this call: {}", error.stage, error.message);
        paragraph("  ", &paint(RED, text));
    }
    if rows.call.status != "ready" {
        let reason = rows.call.status_reason.as_deref().unwrap_or_default();
        paragraph("  ", &format!("{}: {reason}", paint(YELLOW, &rows.call.status)));
    }
    if let Some(damage) = rows.call.damage.as_ref().filter(|damage| !damage.is_empty()) {
        paragraph("  ", &format!("{} {}", paint(YELLOW, "damaged:"), damaged(damage)));
    }
    if !rows.call.is_heard() {
        return;
    }
    if let Some(why) = not_understood(rows) {
        paragraph("  ", &paint(YELLOW, why));
    }
    if rows.turns.is_empty() {
        return;
    }
    flow(rows);
    summary(rows);
    follow_ups(rows);
    keywords(rows);
    sentiment(rows);
    if transcript {
        title("Transcript");
        for turn in &rows.turns {
            let who = name(turn.role.as_deref(), &turn.speaker);
            paragraph("  ", &format!("{} {} {}", paint(DIM, clock(turn.start_ms)), paint(BOLD, who), turn.text));
        }
    }
}

/// What is missing or wrong in the recording: the first few places.
fn damaged(damage: &[Damage]) -> String {
    const FEW: usize = 5;
    let place = |d: &Damage| {
        let length = if d.length_ms > 0 { format!(", {:.1} s", d.length_ms as f64 / 1000.0) } else { String::new() };
        format!("{} at {}{length}", d.kind.replace('_', " "), clock(d.at_ms))
    };
    let mut places: Vec<String> = damage.iter().take(FEW).map(place).collect();
    if damage.len() > FEW {
        places.push(format!("and {} more", damage.len() - FEW));
    }
    places.join("; ")
}

/// What keeps a call that was heard from being understood, where something does that its errors do not say.
fn not_understood(rows: &Rows) -> Option<String> {
    let length = rows.call.duration_ms.map_or_else(|| "it".to_owned(), |ms| format!("its {}", clock(ms)));
    if !rows.turns.is_empty() {
        let words: usize = rows.turns.iter().map(|turn| turn.text.split_whitespace().count()).sum();
        let few = rows.call.outcome.as_deref() == Some(NOT_UNDERSTOOD) && rows.stage_errors.is_empty();
        return few.then(|| {
            format!("few words were understood: what {words} words say of {length} is hardly what it is about")
        });
    }
    if !rows.stage_errors.is_empty() {
        return None;
    }
    let silent = rows.call.channels.as_ref().is_some_and(|channels| channels.iter().all(|channel| channel.silent));
    Some(if silent {
        format!("nothing is heard in {length}: every channel is silent")
    } else if rows.segments > 0 || rows.call_metrics.is_empty() {
        "its turns are not made yet; `nightcall run` goes on".to_owned()
    } else {
        format!("no word was understood in {length}: nobody speaks, or not so that the recognizer hears it")
    })
}

/// What `calls.outcome` says of such a call.
const NOT_UNDERSTOOD: &str = "not_understood";

/// Why a call that people spoke in has no summary.
fn no_summary(rows: &Rows) -> String {
    let gave_up = |error: &&StageErrorRow| ["flow", "summarize"].contains(&error.stage.as_str());
    if let Some(error) = rows.stage_errors.iter().find(gave_up) {
        return format!("none: {} could not finish this call", error.stage);
    }
    if !rows.is_summarized {
        return "not made yet; `nightcall run` goes on".to_owned();
    }
    if rows.call.outcome.as_deref() == Some(NOT_UNDERSTOOD) {
        return "none: too little was understood".to_owned();
    }
    "no point stands out of what was said".to_owned()
}

fn head(call: &Call) {
    let mut parts = Vec::new();
    parts.extend(call.started_at.map(|at| at.format("%a %Y-%m-%d %H:%M UTC").to_string()));
    parts.extend(call.direction.clone());
    parts.extend(call.duration_ms.map(clock));
    let people = call.participants.iter().filter_map(|p| match (&p.name, &p.role) {
        (Some(name), Some(role)) => Some(format!("{name} ({role})")),
        (Some(name), None) => Some(name.clone()),
        _ => None,
    });
    parts.extend(people);
    anstream::println!("{}  {}", paint(BOLD, &call.call_id), parts.join(" · "));
    let crm: Vec<_> = call.crm.iter().filter_map(|(k, v)| Some(format!("{k}: {}", v.as_ref()?))).collect();
    if !crm.is_empty() {
        paragraph("  ", &paint(DIM, crm.join(" · ")));
    }
}

fn flow(rows: &Rows) {
    title("Flow");
    for s in &rows.speaker_metrics {
        let bar = |share: f32| {
            let filled = (share * 20.0).round() as usize;
            let bar: String =
                std::iter::repeat_n('█', filled).chain(std::iter::repeat_n('░', 20 - filled.min(20))).collect();
            format!("{bar} {:3.0} %  ", share * 100.0)
        };
        let pace = s.words_per_minute.map_or(String::new(), |w| format!(", {w:.0} words/min"));
        let interruptions = s.interruption_count.map_or(String::new(), |n| format!(", {n} interruptions"));
        let monologue = s.longest_monologue_ms.map_or(String::new(), |ms| format!(", longest monologue {}", clock(ms)));
        anstream::println!(
            "  {:9} {}{} in {} turns{pace}, {} questions{interruptions}{monologue}",
            name(s.role.as_deref(), &s.speaker),
            s.talk_share.map_or(String::new(), bar),
            clock(s.talk_ms),
            s.turn_count,
            s.question_count,
        );
    }
    if rows.speaker_metrics.iter().any(|s| s.talk_share.is_none()) {
        anstream::println!(
            "  {}",
            paint(DIM, "who speaks when is not known: not everybody has a channel of their own that is heard")
        );
    }
    for m in &rows.call_metrics {
        let overlap = m.overlap_ms.map_or(String::new(), |ms| format!(", overlap {:.1} s", ms as f64 / 1000.0));
        let switches = m.switches_per_hour.map_or(String::new(), |n| format!(", {n:.0} switches/hour"));
        let text = format!(
            "speech {}, silence {} (longest {:.1} s){overlap}{switches}",
            clock(m.speech_ms),
            clock(m.silence_ms),
            m.longest_silence_ms as f64 / 1000.0,
        );
        anstream::println!("  {}", paint(DIM, text));
    }
    for t in &rows.topics {
        anstream::println!("  {:>5}  {:10} {}", clock(t.start_ms), t.kind.replace('_', " "), t.label);
    }
}

fn summary(rows: &Rows) {
    title("Summary");
    let mut kind = "";
    for point in &rows.summaries {
        let shown = if point.kind == kind { String::new() } else { point.kind.replace('_', " ") };
        kind = &point.kind;
        let text = format!("{} {}", point.text, paint(DIM, at(rows, &point.evidence)));
        labelled(&shown, &text);
    }
    if rows.summaries.is_empty() {
        paragraph("  ", &paint(DIM, no_summary(rows)));
    }
}

fn follow_ups(rows: &Rows) {
    title("Follow-ups");
    for f in &rows.follow_ups {
        let owner = f.owner_name.as_deref().or(f.owner_role.as_deref()).unwrap_or("somebody");
        let due = match (&f.due_text, f.due_date) {
            (Some(text), Some(date)) => format!(", {text} ({})", date.format("%a %Y-%m-%d")),
            (Some(text), None) => format!(", {text}"),
            (None, Some(date)) => format!(", {date}"),
            (None, None) => String::new(),
        };
        let text = format!("{}: {}{due} {}", paint(BOLD, owner), f.action, paint(DIM, at(rows, &f.evidence)));
        labelled(&f.kind, &text);
    }
    if rows.follow_ups.is_empty() {
        anstream::println!("  {}", paint(DIM, "none"));
    }
}

fn keywords(rows: &Rows) {
    title("Keywords");
    let mut trackers: Vec<&str> = rows.keywords.iter().filter_map(|k| k.tracker.as_deref()).collect();
    trackers.dedup();
    trackers.sort_unstable();
    trackers.dedup();
    let list = |wanted: &dyn Fn(&Keyword) -> bool| {
        let found = rows.keywords.iter().filter(|k| wanted(k));
        let texts: Vec<_> = found
            .map(|k| {
                let times = if k.mention_count > 1 { format!(" ×{}", k.mention_count) } else { String::new() };
                format!("{}{times} {}", k.phrase, paint(DIM, format!("[{}]", clock(k.first_ms))))
            })
            .collect();
        texts.join(", ")
    };
    for tracker in trackers {
        labelled(tracker, &list(&|k| k.tracker.as_deref() == Some(tracker)));
    }
    for kind in ["money", "percent", "date", "keyphrase"] {
        let text = list(&|k| k.kind == kind);
        if !text.is_empty() {
            labelled(kind, &text);
        }
    }
}

fn sentiment(rows: &Rows) {
    title("Sentiment");
    for trend in &rows.sentiment_trends {
        let bars: String = trend.quarter_scores.iter().map(|q| q.map_or('·', spark)).collect();
        let quarters: Vec<_> =
            trend.quarter_scores.iter().map(|q| q.map_or_else(|| "-".to_owned(), |q| format!("{q:+.1}"))).collect();
        let change = match trend.change {
            Some(c) if c >= 0.5 => paint(GREEN, format!("improves by {c:.1}")),
            Some(c) if c <= -0.5 => paint(RED, format!("worsens by {:.1}", -c)),
            Some(_) => "steady".to_owned(),
            None => String::new(),
        };
        let who = name(trend.role.as_deref(), &trend.speaker);
        anstream::println!("  {who:9} {:+.1}  {bars}  {}  {change}", trend.score, quarters.join(" "));
    }
}

fn spark(score: f32) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    BARS[(((score + 5.0) / 10.0 * 7.0).round() as usize).min(7)]
}

/// When the first words of the evidence were said.
fn at(rows: &Rows, evidence: &[Evidence]) -> String {
    let first = evidence.first().and_then(|e| Some((e, rows.turns.iter().find(|t| t.turn_index == e.turn_index)?)));
    first.map_or_else(String::new, |(e, turn)| format!("[{}]", clock(turn.said_at(e.char_start as usize))))
}

fn name(role: Option<&str>, speaker: &str) -> String {
    match role {
        Some("agent") => "Agent".to_owned(),
        Some("customer") => "Customer".to_owned(),
        _ => speaker.to_owned(),
    }
}

fn title(text: &str) {
    anstream::println!("\n{}", paint(BOLD, text));
}

fn labelled(label: &str, text: &str) {
    let first = format!("  {label:11} ");
    let options = textwrap::Options::new(term::width()).initial_indent(&first).subsequent_indent("              ");
    anstream::println!("{}", textwrap::fill(text, options));
}

fn paragraph(indent: &str, text: &str) {
    let options = textwrap::Options::new(term::width()).initial_indent(indent).subsequent_indent("       ");
    anstream::println!("{}", textwrap::fill(text, options));
}
