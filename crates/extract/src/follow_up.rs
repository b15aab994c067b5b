//! Follow-ups of one turn: cues, their actions, owners and dates, each with a confidence.

use crate::{
    action::{base_form, without, words},
    dates::{self, DatePhrase},
    grammar::{self, CUES, Cue, Form, Owner, Verb},
    text::{Sentence, Text},
};
use chrono::NaiveDate;
use std::ops::Range;

/// A follow-up found in one turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub action: String,
    /// The action in plain spelling, for comparing.
    pub plain: String,
    pub owner: Owner,
    pub kind: Kind,
    pub due_text: Option<String>,
    pub due_date: Option<NaiveDate>,
    pub score: f32,
    /// Characters of the turn.
    pub chars: Range<usize>,
    /// An offer: a commitment only if the other side accepts.
    pub offer: bool,
}

/// What kind of follow-up it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Commitment,
    Request,
    Meeting,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commitment => "commitment",
            Self::Request => "request",
            Self::Meeting => "meeting",
        }
    }
}

/// An action, from its verb to the end of its clause.
struct Clause<'c> {
    cue: &'c Cue,
    /// Bytes of the plain spelling: the cue's start, the action's start, the end.
    start: usize,
    verb: usize,
    end: usize,
}

/// The only date of a sentence that holds no follow-up, and does not refuse one.
#[derive(Clone, Debug)]
pub(crate) struct LoneDate {
    /// The sentence says little else ("by Friday works"), or promises what was asked before ("they will get to do that on
    /// Monday"): the date may complete an earlier follow-up. Any other can only repeat the day that was asked for.
    pub answers: bool,
    pub text: String,
    pub date: Option<NaiveDate>,
    pub chars: Range<usize>,
}

/// What a turn holds.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub found: Vec<Found>,
    pub dates: Vec<LoneDate>,
    /// The turn begins by accepting ("yes, please").
    pub accepts: bool,
    /// "I'll do that": a promise of what was asked before, and the days that it names.
    pub will_do: Option<(Range<usize>, Vec<NaiveDate>)>,
}

/// Reads one turn. `day` is the day of the call.
pub(crate) fn read(text: &Text<'_>, day: Option<NaiveDate>) -> Said {
    let mut said = Said::default();
    for (nth, sentence) in text.sentences().iter().enumerate() {
        if nth == 0 {
            said.accepts = accepts(&sentence.plain);
        }
        let dates = dates::find(sentence, day);
        let clauses = clauses(sentence);
        let mut from = 0;
        for clause in &clauses {
            said.found.extend(parts(text, sentence, clause, from, &dates));
            from = clause.end;
        }
        if let Some(at) = will_do(&sentence.plain) {
            let days = dates.iter().filter_map(|date| date.date).collect();
            said.will_do = sentence.tokens(at).map(|tokens| (text.chars(tokens), days));
        }
        if let ([date], true) = (dates.as_slice(), clauses.is_empty()) {
            let refuses = sentence.plain.split(' ').any(|word| matches!(word, "not" | "never" | "cannot" | "unable"));
            let answers = answers(&sentence.plain, &date.at) || (!refuses && sentence.plain.contains(" to do that "));
            if let Some(tokens) = sentence.tokens(date.at.clone()).filter(|_| date.dated && (answers || !refuses)) {
                let lone = LoneDate {
                    answers,
                    text: text.slice(tokens.clone()).to_owned(),
                    date: date.date,
                    chars: text.chars(tokens),
                };
                said.dates.push(lone);
            }
        }
    }
    said
}

/// Whether a sentence with a date says little else, or agrees to it: "Next Thursday works for me."
fn answers(plain: &str, date: &Range<usize>) -> bool {
    const AGREES: &[&str] = &[
        "works", "work", "fine", "good", "great", "perfect", "okay", "sounds", "suits", "ideal", "yes", "sure",
        "latest",
    ];
    let (before, after) = (&plain[..date.start], &plain[date.end..]);
    let words: Vec<&str> = before.split(' ').chain(after.split(' ')).filter(|w| !w.is_empty() && *w != ",").collect();
    let parting = matches!(
        words.first(),
        Some(&("see" | "talk" | "speak" | "until" | "have" | "thank" | "thanks" | "bye" | "not" | "no"))
    );
    !parting && (words.len() <= 3 || (words.len() <= 10 && words.iter().any(|w| AGREES.contains(w))))
}

fn accepts(plain: &str) -> bool {
    let mut words = plain.split(' ').filter(|w| *w != ",");
    matches!(
        words.next(),
        Some(
            "yes"
                | "yeah"
                | "sure"
                | "okay"
                | "please"
                | "great"
                | "perfect"
                | "absolutely"
                | "definitely"
                | "yep"
                | "good"
                | "fine"
                | "lovely"
        )
    )
}

fn will_do(plain: &str) -> Option<Range<usize>> {
    const PROMISES: [&str; 6] =
        ["i will do that", "i will do it", "we will do that", "we will do it", "i can do that", "will do"];
    PROMISES.iter().find_map(|words| {
        let at = plain.find(words)?;
        let whole = plain[at + words.len()..].chars().next().is_none_or(|c| c == ' ');
        whole.then_some(at..at + words.len())
    })
}

/// The clauses that cues open, in order and without overlap.
fn clauses(sentence: &Sentence) -> Vec<Clause<'static>> {
    let plain = sentence.plain.as_str();
    let mut found: Vec<Clause<'static>> = Vec::new();
    for cue in CUES.iter() {
        for hit in cue.pattern.captures_iter(plain) {
            let Some(whole) = hit.get(0) else { continue };
            let mut verb = hit.name("act").map_or(whole.end(), |act| act.start());
            // "I will be sending": the act is the sending.
            if let Some(act) = plain[verb..].strip_prefix("be ").filter(|act| base_form(act) != **act) {
                verb = plain.len() - act.len();
            }
            let action = &plain[verb..];
            let verb_kind = grammar::weigh_verb(action);
            let fits = match cue.form {
                // Without a cue of their own these need a verb that can only be one, and something that it acts on.
                Form::Imperative => {
                    verb_kind == Verb::Task
                        && action.split(' ').nth(1).is_some_and(|w| OBJECTS.contains(&w))
                        && !sentence.question
                }
                Form::Request => matches!(verb_kind, Verb::Task | Verb::Plain | Verb::InCall),
                Form::Meeting | Form::MeetingQuestion => grammar::is_meeting(action),
                Form::Need | Form::Delivery => !action.is_empty(),
                _ => !action.is_empty() && verb_kind != Verb::Never,
            };
            if fits && !negated_or_asked(plain, whole.start(), cue.form) {
                found.push(Clause { cue, start: whole.start(), verb, end: grammar::clause_end(plain, verb) });
            }
        }
    }
    // Where cues overlap, the one whose action starts later has read more of the clause; a longer cue says more.
    found.sort_by(|a, b| a.verb.cmp(&b.verb).then(b.cue.weight.total_cmp(&a.cue.weight)).then(a.start.cmp(&b.start)));
    let mut kept: Vec<Clause<'static>> = Vec::new();
    for clause in found {
        if kept.iter().any(|k| k.verb == clause.verb) {
            continue;
        }
        if let Some(last) = kept.last_mut() {
            if clause.start < last.verb {
                // "i can" inside "what i can do is": the later verb is the action.
                *last = clause;
                continue;
            }
            last.end = last.end.min(clause.start.saturating_sub(1).max(last.verb));
        }
        kept.push(clause);
    }
    kept
}

const OBJECTS: &[&str] = &[
    "me", "us", "it", "the", "a", "an", "your", "our", "my", "that", "this", "these", "those", "them", "him", "her",
    "back", "up", "with", "out", "for", "in", "all", "both", "any", "sure",
];

/// "When will you send it?", "did I say I will", "how can I": no promise and no request.
fn negated_or_asked(plain: &str, start: usize, form: Form) -> bool {
    let before: Vec<&str> = plain[..start].split(' ').filter(|w| !w.is_empty()).collect();
    let tail = &before[before.len().saturating_sub(3)..];
    let asks = |word: &&str| matches!(*word, "what" | "when" | "where" | "how" | "why" | "which" | "who" | "whom");
    match form {
        Form::Asking | Form::Offer | Form::MeetingQuestion => tail.iter().any(asks),
        Form::Commitment | Form::Delivery | Form::Third => {
            tail.last().is_some_and(|w| {
                matches!(*w, "if" | "what" | "when" | "how" | "whatever" | "why" | "where" | "than" | "as" | "not")
            }) && !tail.ends_with(&["see", "if"])
        }
        _ => tail.last().is_some_and(|w| matches!(*w, "not" | "never" | "yes" | "what" | "how" | "where")),
    }
}

/// The follow-ups of one clause: one, or one for each part that has its own date ("send it today, and delete ours by Friday").
fn parts(text: &Text<'_>, sentence: &Sentence, clause: &Clause<'_>, from: usize, dates: &[DatePhrase]) -> Vec<Found> {
    let plain = sentence.plain.as_str();
    let has_date = |part: &Range<usize>| due(plain, part.clone(), clause, dates).is_some();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut last = clause.verb..clause.end;
    for (at, joint) in plain[clause.verb..clause.end].match_indices(" and ").map(|(i, j)| (clause.verb + i, j)) {
        let next = at + joint.len();
        let verb = plain[next..clause.end].split(' ').find(|w| !matches!(*w, "then" | "also" | "please"));
        let (first, second) = (last.start..at, next..last.end);
        if verb.is_some_and(grammar::is_verb) && has_date(&first) && has_date(&second) {
            ranges.push(first);
            last = second;
        }
    }
    ranges.push(last);
    let several = ranges.len() > 1;
    let mut found = Vec::new();
    for (nth, part) in ranges.into_iter().enumerate() {
        // A date said before the action belongs to its clause: "by Friday I'll send it".
        let before = (nth == 0 && !several).then(|| due(plain, from..clause.verb, clause, dates)).flatten();
        // "Today we will discuss" names the occasion, and "the 16th is fine, please send" answers.
        let before = before.filter(|date| {
            let between = plain[date.at.end.min(clause.start)..clause.start]
                .split(' ')
                .filter(|w| !matches!(*w, "" | "," | "then"));
            let between: Vec<&str> = between.collect();
            // "By Friday, and I'll": the date is of the clause before.
            let parted = between.iter().any(|w| matches!(*w, "and" | "so" | "but"));
            between.len() <= 1 && !parted && !plain[date.at.clone()].contains("today") && date.lead != "this"
        });
        let due = due(plain, part.clone(), clause, dates).or(before);
        let start = if nth == 0 { clause.start } else { part.start };
        found.extend(build(text, sentence, clause, start, part, due));
    }
    found
}

/// The date of a part of a clause. "The report for Friday" is a topic; "a call for Friday" is a date.
fn due<'d>(plain: &str, part: Range<usize>, clause: &Clause<'_>, dates: &'d [DatePhrase]) -> Option<&'d DatePhrase> {
    let meeting = grammar::is_meeting(&plain[clause.verb..clause.end]) || plain[clause.verb..].starts_with("book");
    let inside = dates.iter().filter(|date| {
        let topic =
            matches!(date.lead.as_str(), "for" | "of" | "from" | "about" | "since" | "last" | "past" | "previous");
        date.at.start >= part.start && date.at.end <= part.end && (!topic || (meeting && date.lead == "for"))
    });
    let by =
        |date: &&DatePhrase| (date.date.is_none(), !matches!(date.lead.as_str(), "by" | "before" | "within" | "until"));
    // Where the call's day is not known no date is, and the words say when all the same.
    inside.filter(|date| date.date.is_some() || date.exact || !date.dated || date.lead == "by").min_by_key(by)
}

fn build(
    text: &Text<'_>,
    sentence: &Sentence,
    clause: &Clause<'_>,
    start: usize,
    part: Range<usize>,
    due: Option<&DatePhrase>,
) -> Option<Found> {
    let plain = sentence.plain.as_str();
    let tokens = sentence.tokens(part.clone())?;
    let due_tokens = due.and_then(|due| sentence.tokens(due.at.clone()));
    let mut action = words(text, tokens.clone(), due_tokens.as_ref());
    let mut action_plain = without(plain, &part, due.map(|d| d.at.clone()));
    let form = clause.cue.form;
    if form == Form::Delivery {
        action = format!("deliver {action}");
        action_plain = format!("deliver {action_plain}");
    } else if form == Form::Need {
        action = format!("provide {action}");
        action_plain = format!("provide {action_plain}");
    } else {
        (action, action_plain) = (base_form(&action), base_form(&action_plain));
    }
    if action.is_empty() {
        return None;
    }
    let meeting = grammar::is_meeting(&action_plain) && !matches!(form, Form::Delivery | Form::Need);
    let kind = match clause.cue.owner {
        _ if meeting && form != Form::Asking => Kind::Meeting,
        Owner::Speaker => Kind::Commitment,
        Owner::Other => Kind::Request,
    };
    let score = weigh(sentence, clause, &action_plain, due, meeting);
    let spoken = sentence.tokens(start..part.end.max(start + 1)).unwrap_or(tokens);
    let mut chars = text.chars(spoken);
    if let Some(due) = due_tokens.clone() {
        let due = text.chars(due);
        chars = chars.start.min(due.start)..chars.end.max(due.end);
    }
    Some(Found {
        action,
        plain: action_plain,
        owner: clause.cue.owner,
        kind,
        due_text: due_tokens.map(|due| text.slice(due).trim_matches([',', ' ']).to_owned()),
        due_date: due.and_then(|due| due.date),
        score,
        chars,
        offer: matches!(form, Form::Offer | Form::MeetingQuestion),
    })
}

/// The confidence of a follow-up, 0..1: the cue's weight, plus what the action adds.
fn weigh(sentence: &Sentence, clause: &Clause<'_>, action: &str, due: Option<&DatePhrase>, meeting: bool) -> f32 {
    let form = clause.cue.form;
    let mut score = clause.cue.weight;
    let verb = if matches!(form, Form::Delivery | Form::Need) { Verb::Plain } else { grammar::weigh_verb(action) };
    score += match verb {
        Verb::Task => 0.2,
        Verb::Plain | Verb::Unknown => 0.0,
        // What is asked for a later day is not done while talking.
        Verb::InCall if due.is_some_and(|due| due.date.is_some()) => 0.0,
        Verb::InCall => -0.3,
        Verb::Never => -0.5,
    };
    if meeting {
        score += 0.1;
    }
    // A day to come says that it will not be done now; "at once" says little.
    score += match due {
        Some(due) if due.date.is_some() => 0.25,
        Some(_) => 0.1,
        None => 0.0,
    };
    let recipient = match clause.cue.owner {
        Owner::Speaker => action.split(' ').take(5).any(|w| w == "you"),
        Owner::Other => action.split(' ').take(5).any(|w| matches!(w, "me" | "us")),
    };
    if recipient && verb != Verb::InCall {
        score += 0.1;
    }
    let content = action.split(' ').skip(1).any(|w| !EMPTY.contains(&w));
    if !content && due.is_none() {
        score -= if recipient || matches!(form, Form::Asking | Form::Request) { 0.1 } else { 0.3 };
    }
    let now =
        ["right now", "at the moment", "for a moment", "a second", "one moment", "this moment", "a minute", "just now"];
    if action.ends_with(" now") || now.iter().any(|words| action.contains(words)) {
        score -= 0.3;
    }
    if sentence.plain[clause.start..clause.verb].contains("please") {
        score += 0.1;
    }
    // "If you sign, I can" depends on the other side; "if you have questions, please call" is a formula.
    if conditional(&sentence.plain[..clause.start]) {
        score -= if clause.cue.owner == Owner::Speaker { 0.5 } else { 0.25 };
    }
    (score.clamp(0.0, 0.95) * 1000.0).round() / 1000.0
}

/// Words that leave an action without content.
const EMPTY: &[&str] = &[
    "it", "that", "this", "you", "me", "us", "there", "here", "so", "then", "back", "up", "out", "on", "in", "for",
    "to", ",", "and", "now", "again", "one", "just", "a", "the", "of", "with", "at",
];

/// Whether what stands before a cue makes it depend on something: "if you sign, I can". Politeness does not ("if that's okay").
fn conditional(before: &str) -> bool {
    let polite = [
        "if that is okay",
        "if that works",
        "if it is okay",
        "if you do not mind",
        "if possible",
        "see if",
        "ask if",
        "if you like",
    ];
    let mut words = before.split(' ');
    words.any(|w| matches!(w, "if" | "unless" | "suppose" | "whenever")) && !polite.iter().any(|p| before.contains(p))
}
