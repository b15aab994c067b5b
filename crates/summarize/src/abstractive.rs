//! Points in a language model's words, each held against the turns that it names.
//!
//! ```text
//!   turns ─► windows (whole topics) ─► points a window ─► supported? ─► reduced where too many ─► supported? ─► points
//! ```
//!
//! What the model says is never taken on trust: a point without evidence is dropped (`support.rs`), and a call without
//! points, or whose model ran out of time, has none here and is summarised from its own sentences.

use crate::{
    Dialogue, Line, Part, PointKind, SummarizeConfig,
    cues::Cues,
    drafts::kind,
    support::{evidence, likeness},
};
use inference::{Answer, End, Form, InferenceError, LanguageModel, Limits, Prompt};
use serde::Deserialize;
use std::{ops::Range, time::Duration};

/// Most characters of a point.
const CHARACTERS: usize = 240;

/// Most turns that a point names.
const TURNS: usize = 6;

/// Tokens of an answer for each point that it may have: 240 characters, their turns, and what JSON adds.
const TOKENS_A_POINT: usize = 96;

/// An answer takes at most this share of the model's room.
const ANSWER_SHARE: usize = 3;

/// Tokens for the marks of a chat.
const MARKS: usize = 48;

/// Of two points that are more alike, the second is dropped.
const SAME: f32 = 0.75;

const WRITE: &str = "You take notes of phone calls. Write down the points of this part of a call: why the customer calls, what \
is found out, what is decided, and who will do what by when. A point is one short sentence. Use only what the turns say, with \
names, numbers and dates as they were said. With each point give the numbers of the turns that say it. Leave out greetings \
and thanks. Answer in JSON: {\"points\":[{\"text\":\"...\",\"turns\":[1,2]}]}";

const REDUCE: &str = "These are numbered notes of one phone call. Choose and join the most important ones: why the customer \
calls, what is found out, what is decided, and who will do what by when. A point is one short sentence. Use only what the \
notes say, with names, numbers and dates as they are. With each point give the numbers of the notes that it is made of. \
Answer in JSON: {\"points\":[{\"text\":\"...\",\"turns\":[1,2]}]}";

/// What is asked of a model. Tests put words into its mouth.
pub(crate) trait Writes: Send + Sync {
    /// Longest text in tokens.
    fn room(&self) -> usize;
    /// Tokens of a text.
    fn count(&self, text: &str) -> Result<usize, InferenceError>;
    /// An answer a prompt, or why there is none.
    fn write(&self, prompts: &[Prompt], limits: Limits) -> Vec<Result<Answer, InferenceError>>;
}

impl Writes for LanguageModel {
    fn room(&self) -> usize {
        LanguageModel::room(self)
    }
    fn count(&self, text: &str) -> Result<usize, InferenceError> {
        LanguageModel::count(self, text)
    }
    fn write(&self, prompts: &[Prompt], limits: Limits) -> Vec<Result<Answer, InferenceError>> {
        self.generate(prompts, limits)
    }
}

/// A point in the model's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    pub(crate) kind: PointKind,
    pub(crate) text: String,
    /// Where it was said, in the order of the call; at least one.
    pub(crate) parts: Vec<Part>,
    /// Share of its words of content that the evidence holds, 0..1.
    pub(crate) score: f32,
}

#[derive(Deserialize)]
struct Said {
    points: Vec<SaidPoint>,
}

#[derive(Deserialize)]
struct SaidPoint {
    text: String,
    turns: Vec<usize>,
}

/// A point that its evidence supports.
#[derive(Clone)]
struct Note {
    text: String,
    turns: Vec<usize>,
    parts: Vec<Part>,
    score: f32,
    window: usize,
}

/// The points of each dialogue; none where the model gave none that hold, or failed on it.
///
/// # Errors
/// A model that cannot even count tokens.
pub(crate) fn write(
    model: &dyn Writes,
    config: &SummarizeConfig,
    dialogues: &[Dialogue],
) -> Result<Vec<Vec<Written>>, InferenceError> {
    let limits = Limits {
        tokens: (config.max_points * TOKENS_A_POINT).min(model.room() / ANSWER_SHARE),
        time: Duration::from_secs(config.model_seconds),
    };
    let room = |system: &str| -> Result<usize, InferenceError> {
        Ok(model.room().saturating_sub(limits.tokens + model.count(system)? + MARKS))
    };
    let (room_to_write, room_to_reduce) = (room(WRITE)?, room(REDUCE)?);
    let asked = dialogues.iter().map(|dialogue| prompts(model, config, dialogue, room_to_write).unwrap_or_default());
    let asked: Vec<Vec<Prompt>> = asked.collect();
    let windows: Vec<usize> = asked.iter().map(Vec::len).collect();
    let asked: Vec<Prompt> = asked.into_iter().flatten().collect();
    let mut answers = model.write(&asked, limits).into_iter();
    let mut notes: Vec<Vec<Note>> = Vec::new();
    for (dialogue, &windows) in dialogues.iter().zip(&windows) {
        let answers: Vec<_> = answers.by_ref().take(windows).collect();
        // A part that the model did not finish would be missing from the summary without a word.
        let answers: Vec<Answer> = answers.into_iter().map(whole).collect::<Option<_>>().unwrap_or_default();
        let of = |(window, answer): (usize, &Answer)| notes_of(answer, window, dialogue, config, <[usize]>::to_vec);
        notes.push(distinct(answers.iter().enumerate().flat_map(of).collect()));
    }

    let mut reduced = Vec::new();
    let mut prompts = Vec::new();
    for (i, (dialogue, notes)) in dialogues.iter().zip(&notes).enumerate() {
        let long = notes.len() > config.max_points || words(notes) > config.words(said(dialogue));
        if windows[i] > 1 && long {
            let line = |(i, note): (usize, &Note)| format!("[{}] {}\n", i + 1, note.text);
            let user = notes.iter().enumerate().map(line).collect::<Vec<_>>().concat();
            if model.count(&user).is_ok_and(|tokens| tokens <= room_to_reduce) {
                reduced.push(i);
                let form = form(config, 1..=notes.len() as u32);
                prompts.push(Prompt { system: REDUCE.into(), user, form: Some(form) });
            }
        }
    }
    for (i, answer) in reduced.into_iter().zip(model.write(&prompts, limits)) {
        let Some(answer) = whole(answer) else { continue };
        let all = &notes[i];
        let turns = |numbers: &[usize]| {
            let of = |&number: &usize| number.checked_sub(1).and_then(|i| all.get(i)).map(|note| note.turns.clone());
            numbers.iter().filter_map(of).flatten().collect()
        };
        let fewer = distinct(notes_of(&answer, 0, &dialogues[i], config, turns));
        if !fewer.is_empty() {
            notes[i] = fewer;
        }
    }
    Ok(dialogues.iter().zip(notes).map(|(dialogue, notes)| chosen(notes, dialogue, config)).collect())
}

/// An answer that came to its end.
fn whole(answer: Result<Answer, InferenceError>) -> Option<Answer> {
    answer.ok().filter(|answer| answer.end == End::Whole)
}

/// What the model is asked of a dialogue: a prompt a window.
fn prompts(
    model: &dyn Writes,
    config: &SummarizeConfig,
    dialogue: &Dialogue,
    room: usize,
) -> Result<Vec<Prompt>, InferenceError> {
    let prompt = |range: Range<usize>| {
        let user: String = range.clone().map(|turn| shown(turn, &dialogue.lines[turn])).collect();
        let form = form(config, range.start as u32..=(range.end - 1) as u32);
        Ok(Prompt { system: WRITE.into(), user: fit(model, user, room)?, form: Some(form) })
    };
    cut(model, dialogue, room)?.into_iter().map(prompt).collect()
}

fn form(config: &SummarizeConfig, numbers: std::ops::RangeInclusive<u32>) -> Form {
    Form { points: config.max_points, characters: CHARACTERS, turns: TURNS, numbers }
}

/// A turn as the model reads it.
fn shown(turn: usize, line: &Line) -> String {
    let text = line.text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("[{turn}] {}: {text}\n", line.role.as_deref().unwrap_or("speaker"))
}

/// Whole topics together as far as they fit; a topic that is too long is parted between turns. A dialogue of which no topics
/// are known is one topic.
fn cut(model: &dyn Writes, dialogue: &Dialogue, room: usize) -> Result<Vec<Range<usize>>, InferenceError> {
    let sizes = dialogue.lines.iter().enumerate().map(|(turn, line)| model.count(&shown(turn, line)));
    let sizes: Vec<usize> = sizes.collect::<Result<_, _>>()?;
    let begins = |turn: usize| dialogue.topics.iter().any(|topic| topic.start == turn);
    let topic_size = |turn: usize| -> usize {
        let end = (turn + 1..sizes.len()).find(|&t| begins(t)).unwrap_or(sizes.len());
        sizes[turn..end].iter().sum()
    };
    let mut windows: Vec<Range<usize>> = Vec::new();
    let mut held = 0;
    for (turn, &size) in sizes.iter().enumerate() {
        let whole = begins(turn) && topic_size(turn) <= room;
        let needs = if whole { topic_size(turn) } else { size };
        match windows.last_mut() {
            Some(window) if held + needs <= room => window.end = turn + 1,
            _ => {
                windows.push(turn..turn + 1);
                held = 0;
            }
        }
        held += size;
    }
    windows.retain(|window| window.clone().any(|turn| !dialogue.lines[turn].text.trim().is_empty()));
    Ok(windows)
}

/// A text cut to so many tokens: only a single turn that is longer than the model's room needs it.
fn fit(model: &dyn Writes, mut text: String, room: usize) -> Result<String, InferenceError> {
    loop {
        let tokens = model.count(&text)?;
        if tokens <= room {
            return Ok(text);
        }
        let characters = text.chars().count();
        let keep = (characters * room / tokens).min(characters - 1);
        text = text.chars().take(keep).collect();
    }
}

/// The points of an answer that hold; `turns` says which turns the numbers of a point mean.
fn notes_of(
    answer: &Answer,
    window: usize,
    dialogue: &Dialogue,
    config: &SummarizeConfig,
    turns: impl Fn(&[usize]) -> Vec<usize>,
) -> Vec<Note> {
    let Ok(said) = serde_json::from_str::<Said>(&answer.text) else { return Vec::new() };
    let note = |point: SaidPoint| {
        let text = point.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let turns = turns(&point.turns);
        let (parts, score) = evidence(&text, &turns, &dialogue.lines, config.max_sentence_words)?;
        let turns = parts.iter().map(|part| part.turn).collect();
        Some(Note { text, turns, parts, score, window })
    };
    said.points.into_iter().filter_map(note).collect()
}

fn distinct(notes: Vec<Note>) -> Vec<Note> {
    let mut kept: Vec<Note> = Vec::new();
    for note in notes {
        if kept.iter().all(|other| likeness(&other.text, &note.text) < SAME) {
            kept.push(note);
        }
    }
    kept
}

fn words(notes: &[Note]) -> usize {
    notes.iter().map(|note| note.text.split_whitespace().count()).sum()
}

/// Words of a dialogue.
fn said(dialogue: &Dialogue) -> usize {
    dialogue.lines.iter().map(|line| line.text.split_whitespace().count()).sum()
}

/// As many notes as a summary may have, by kind and then in the order of the call. Where not all fit, each window gives one
/// in turn.
fn chosen(notes: Vec<Note>, dialogue: &Dialogue, config: &SummarizeConfig) -> Vec<Written> {
    let all_words = said(dialogue);
    let budget = dialogue.max_words.unwrap_or_else(|| config.words(all_words));
    let mut before = vec![0];
    for line in &dialogue.lines {
        before.push(before[before.len() - 1] + line.text.split_whitespace().count());
    }
    let mut round: Vec<(usize, Note)> = Vec::new();
    for note in notes {
        let nth = round.iter().filter(|(_, other)| other.window == note.window).count();
        round.push((nth, note));
    }
    round.sort_by_key(|(nth, note)| (*nth, note.window));
    let mut kept: Vec<(Written, f32)> = Vec::new();
    let (mut used, mut next_steps) = (0, 0);
    for (_, note) in round {
        let words = note.text.split_whitespace().count();
        let kinds = note.parts.iter().map(|part| {
            let role = dialogue.lines[part.turn].role.as_deref();
            kind(&Cues::of(&part.text), role, before[part.turn], all_words)
        });
        let (kind, clarity) = kinds.fold((PointKind::Topic, 0.0), |a, b| if b.1 > a.1 { b } else { a });
        let full = kind == PointKind::NextStep && next_steps >= config.max_next_steps;
        if kept.len() >= config.max_points || used + words > budget || full {
            continue;
        }
        used += words;
        next_steps += usize::from(kind == PointKind::NextStep);
        let score = (note.score * 1000.0).round() / 1000.0;
        kept.push((Written { kind, text: note.text, parts: note.parts, score }, clarity));
    }
    // One turn gives the reason; what sounds like one elsewhere is a topic.
    let reasons = kept.iter().filter(|(point, _)| point.kind == PointKind::Reason);
    let turn = |point: &Written| point.parts[0].turn;
    let reason = reasons.max_by(|a, b| a.1.total_cmp(&b.1).then(turn(&b.0).cmp(&turn(&a.0)))).map(|(p, _)| turn(p));
    let mut points: Vec<Written> = kept.into_iter().map(|(point, _)| point).collect();
    for point in &mut points {
        if point.kind == PointKind::Reason && Some(turn(point)) != reason {
            point.kind = PointKind::Topic;
        }
    }
    points.sort_by_key(|point| (point.kind, point.parts[0].turn, point.parts[0].chars.start));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Answers as written, in the order of the prompts, none where it fails; a word is a token.
    struct Mouth {
        answers: Mutex<Vec<Option<Answer>>>,
        asked: Mutex<Vec<Prompt>>,
        room: usize,
    }

    impl Mouth {
        fn saying(room: usize, answers: &[(&str, End)]) -> Self {
            let answer = |(text, end): &(&str, End)| Some(Answer { text: (*text).into(), end: *end, tokens: 1 });
            // Taken from the end.
            let answers = answers.iter().rev().map(answer).collect();
            Self { answers: Mutex::new(answers), asked: Mutex::default(), room }
        }

        fn users(&self) -> Vec<String> {
            self.asked.lock().unwrap().iter().map(|prompt| prompt.user.clone()).collect()
        }
    }

    impl Writes for Mouth {
        fn room(&self) -> usize {
            self.room
        }
        fn count(&self, text: &str) -> Result<usize, InferenceError> {
            Ok(text.split_whitespace().count())
        }
        fn write(&self, prompts: &[Prompt], _: Limits) -> Vec<Result<Answer, InferenceError>> {
            self.asked.lock().unwrap().extend(prompts.iter().cloned());
            let mut answers = self.answers.lock().unwrap();
            let failed = || InferenceError::BadRequest("no more room".into());
            prompts.iter().map(|_| answers.pop().expect("an answer for each prompt").ok_or_else(failed)).collect()
        }
    }

    fn dialogue() -> Dialogue {
        let said = [
            ("agent", "Good morning, this is Dana. How can I help you?"),
            ("customer", "I'm calling about the invoice for March. It says 640 dollars, but we agreed on 590 dollars."),
            ("agent", "You are right, the discount is missing."),
            ("agent", "I'll send you the corrected invoice by Tuesday."),
        ];
        let line =
            |(role, text): &(&str, &str)| Line { role: Some((*role).into()), text: (*text).into(), words: vec![] };
        Dialogue { lines: said.iter().map(line).collect(), topics: vec![0..2, 2..4], max_words: None }
    }

    fn points(model: &Mouth, config: &SummarizeConfig, dialogue: &Dialogue) -> Vec<Written> {
        write(model, config, std::slice::from_ref(dialogue)).unwrap().remove(0)
    }

    const WHOLE: &str = r#"{"points":[
        {"text":"The customer calls about the March invoice of 640 dollars.","turns":[1]},
        {"text":"The customer calls about the March invoice of 650 dollars.","turns":[1]},
        {"text":"Peter finds that the discount is missing.","turns":[2]},
        {"text":"The agent sends the corrected invoice by Tuesday.","turns":[3,2]},
        {"text":"The agent sends the corrected invoice by Tuesday!","turns":[3]}]}"#;

    #[test]
    fn supported_points_are_kept_with_their_evidence_and_kind() {
        let model = Mouth::saying(4096, &[(WHOLE, End::Whole)]);
        let dialogue = dialogue();
        let points = points(&model, &SummarizeConfig::default(), &dialogue);
        // Neither the amount nor the name that nobody said, and nothing twice.
        let texts: Vec<&str> = points.iter().map(|point| point.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "The customer calls about the March invoice of 640 dollars.",
                "The agent sends the corrected invoice by Tuesday."
            ]
        );
        assert_eq!(points.iter().map(|point| point.kind).collect::<Vec<_>>(), [PointKind::Reason, PointKind::NextStep]);
        assert_eq!(points[1].parts.len(), 1);
        assert_eq!((points[1].parts[0].turn, points[1].parts[0].chars.clone()), (3, 0..47));
        assert!(points.iter().all(|point| (0.0..=1.0).contains(&point.score)));
        let user = model.users().concat();
        assert!(user.contains("[1] customer: I'm calling about"), "{user}");
    }

    #[test]
    fn no_summary_comes_of_an_answer_that_ran_out_or_does_not_hold() {
        let none = r#"{"points":[{"text":"The weather in Paris was lovely.","turns":[0,1,2,3]}]}"#;
        for (text, end) in [(WHOLE, End::Time), (WHOLE, End::Tokens), (none, End::Whole), ("{", End::Whole)] {
            let model = Mouth::saying(4096, &[(text, end)]);
            assert_eq!(points(&model, &SummarizeConfig::default(), &dialogue()), [], "{text} {end:?}");
        }
        let model = Mouth::saying(4096, &[]);
        assert_eq!(points(&model, &SummarizeConfig::default(), &Dialogue::default()), []);
    }

    #[test]
    fn a_call_on_which_the_model_fails_costs_no_other_its_points() {
        let model = Mouth::saying(4096, &[(WHOLE, End::Whole), (WHOLE, End::Whole)]);
        model.answers.lock().unwrap().insert(1, None);
        let written = write(&model, &SummarizeConfig::default(), &[dialogue(), dialogue(), dialogue()]).unwrap();
        assert_eq!(written.iter().map(Vec::is_empty).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_summary_is_no_longer_than_it_may_be() {
        for words in 0..30 {
            let model = Mouth::saying(4096, &[(WHOLE, End::Whole)]);
            let dialogue = Dialogue { max_words: Some(words), ..dialogue() };
            let said = points(&model, &SummarizeConfig::default(), &dialogue);
            let used: usize = said.iter().map(|point| point.text.split_whitespace().count()).sum();
            assert!(used <= words);
            assert_eq!(said.is_empty(), words < 8, "{words}");
        }
        let model = Mouth::saying(4096, &[(WHOLE, End::Whole)]);
        let config = SummarizeConfig { max_next_steps: 0, ..SummarizeConfig::default() };
        assert!(points(&model, &config, &dialogue()).iter().all(|point| point.kind != PointKind::NextStep));
        let model = Mouth::saying(4096, &[(WHOLE, End::Whole)]);
        let config = SummarizeConfig { max_points: 1, ..SummarizeConfig::default() };
        assert_eq!(points(&model, &config, &dialogue()).len(), 1);
    }

    #[test]
    fn a_long_call_is_written_by_windows_and_reduced() {
        // Room for about one topic of 25 words.
        let config = SummarizeConfig { max_points: 2, ..SummarizeConfig::default() };
        let system = WRITE.split_whitespace().count();
        let room = (system + MARKS + 34) * 3 / 2;
        let first = r#"{"points":[{"text":"The customer calls about the March invoice.","turns":[1]},
            {"text":"The customer says 590 dollars were agreed.","turns":[1]}]}"#;
        let second = r#"{"points":[{"text":"The discount is missing.","turns":[2]},
            {"text":"The agent sends the corrected invoice by Tuesday.","turns":[3]}]}"#;
        let reduced = r#"{"points":[{"text":"The March invoice is missing a discount.","turns":[1,3]},
            {"text":"The corrected invoice comes by Friday.","turns":[4]},
            {"text":"The corrected invoice comes by Tuesday.","turns":[4,9]}]}"#;
        let model = Mouth::saying(room, &[(first, End::Whole), (second, End::Whole), (reduced, End::Whole)]);
        let said = points(&model, &config, &dialogue());
        let users = model.users();
        assert_eq!(users.len(), 3, "{users:?}");
        assert!(users[0].starts_with("[0] agent: Good") && users[1].starts_with("[2] agent: You"), "{users:?}");
        assert!(users[2].starts_with("[1] The customer calls about the March invoice.\n[2] "), "{users:?}");
        let texts: Vec<&str> = said.iter().map(|point| point.text.as_str()).collect();
        assert_eq!(texts, ["The March invoice is missing a discount.", "The corrected invoice comes by Tuesday."]);
        assert_eq!(said[0].parts.iter().map(|part| part.turn).collect::<Vec<_>>(), [1, 2]);
        let forms: Vec<_> = model.asked.lock().unwrap().iter().map(|p| p.form.clone().unwrap().numbers).collect();
        assert_eq!(forms, [0..=1, 2..=3, 1..=4]);

        // Where the second reading fails, each window gives a point in turn.
        let model = Mouth::saying(room, &[(first, End::Whole), (second, End::Whole), (reduced, End::Time)]);
        let said = points(&model, &config, &dialogue());
        let turns: Vec<usize> = said.iter().map(|point| point.parts[0].turn).collect();
        assert_eq!(turns, [1, 2]);
    }

    #[test]
    fn windows_hold_every_turn_once() {
        let model = Mouth::saying(0, &[]);
        let dialogue = dialogue();
        for room in 0..60 {
            let windows = cut(&model, &dialogue, room).unwrap();
            let turns: Vec<usize> = windows.iter().cloned().flatten().collect();
            assert_eq!(turns, [0, 1, 2, 3], "{room}");
        }
        assert_eq!(cut(&model, &dialogue, 36).unwrap(), [0..2, 2..4]);
        assert_eq!(cut(&model, &dialogue, 60).unwrap(), [0..4]);
        assert_eq!(fit(&model, "one two three four".into(), 2).unwrap().split_whitespace().count(), 2);
        assert_eq!(fit(&model, "one two".into(), 0).unwrap(), "");
    }
}
