//! Follow-ups of a call: what is said twice becomes one row with two pieces of evidence.

use crate::{
    follow_up::{Found, Kind, LoneDate, Said, read},
    grammar::Owner,
    text::Text,
};
use chrono::NaiveDate;
use rust_stemmers::{Algorithm, Stemmer};
use schema::{Evidence, FollowUp};
use std::{collections::BTreeSet, ops::Range};

/// Turns between which "it" can still mean what was asked.
const NEAR: usize = 4;
/// Share of the shorter action's content that the longer repeats where they are one.
const OVERLAP: f32 = 0.6;
/// Follow-ups that a new one is compared with: all of any call but an endless one.
const REMEMBERED: usize = 200;
/// Weaker findings are noise even as evidence.
const FLOOR: f32 = 0.2;

/// What one side says without a break.
#[derive(Clone, Copy, Debug)]
pub struct Utterance<'a> {
    /// `turns.turn_index`.
    pub turn_index: i32,
    /// Who speaks: agent, customer, or any name.
    pub role: &'a str,
    /// The words.
    pub text: &'a str,
}

struct Merged {
    found: Found,
    /// Index into the call's roles.
    owner: Option<usize>,
    evidence: Vec<(usize, Range<usize>)>,
    verb: &'static str,
    verb_stem: String,
    content: BTreeSet<String>,
    last: usize,
}

/// The follow-ups of a call, in the order in which they are first said.
///
/// `day` is the day of the call, against which dates are resolved; `min_score` (0..1) drops what is less certain. The other
/// side is known where two roles speak; `owner_name` and the times are left to the caller, who
/// knows the participants and when each word was said. Offsets of the
/// evidence are characters of each utterance's text.
pub fn follow_ups(call_id: &str, turns: &[Utterance<'_>], day: Option<NaiveDate>, min_score: f32) -> Vec<FollowUp> {
    let roles: Vec<&str> = turns.iter().map(|t| t.role).collect::<BTreeSet<_>>().into_iter().collect();
    let said: Vec<Said> = turns.iter().map(|turn| read(&Text::new(turn.text), day)).collect();
    let mut merged: Vec<Merged> = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        let speaker = roles.iter().position(|role| *role == turn.role);
        let other = match speaker {
            Some(speaker) if roles.len() == 2 => Some(1 - speaker),
            // A voicemail: nobody answers, and what is asked is asked of the other side all the same.
            _ => None,
        };
        for found in &said[at].found {
            let mut found = found.clone();
            if found.offer && turns.get(at + 1).is_some_and(|next| next.role != turn.role) && said[at + 1].accepts {
                found.score = (found.score + 0.35).min(0.95);
            }
            if found.score < FLOOR {
                continue;
            }
            let owner = if found.owner == Owner::Speaker { speaker } else { other };
            add(&mut merged, found, owner, at);
        }
        for date in &said[at].dates {
            complete(&mut merged, date, at, speaker);
        }
        if let Some((chars, days)) = &said[at].will_do {
            let asked = merged.iter_mut().rev().find(|m| m.last < at && at - m.last <= 2 && m.owner == speaker);
            // "I'll do that on Monday" is no evidence of what was asked for by Friday.
            let same_day =
                |m: &Merged| m.found.due_date.is_none() || days.iter().all(|day| m.found.due_date == Some(*day));
            if let Some(asked) = asked.filter(|m| same_day(m)) {
                asked.evidence.push((at, chars.clone()));
                asked.last = at;
                asked.found.score = (asked.found.score + 0.1).min(0.95);
            }
        }
    }
    merged.retain(|m| m.found.score >= min_score);
    let rows = merged.into_iter().enumerate().map(|(index, m)| FollowUp {
        call_id: call_id.to_owned(),
        follow_up_index: index as i32,
        action: m.found.action,
        owner_role: m.owner.map(|owner| roles[owner].to_owned()).or_else(|| absent(&roles, m.found.owner)),
        owner_name: None,
        due_text: m.found.due_text,
        due_date: m.found.due_date,
        kind: m.found.kind.as_str().to_owned(),
        score: (m.found.score * 1000.0).round() / 1000.0,
        start_ms: None,
        end_ms: None,
        evidence: m
            .evidence
            .into_iter()
            .map(|(at, chars)| Evidence {
                turn_index: turns[at].turn_index,
                char_start: chars.start as i32,
                char_end: chars.end as i32,
            })
            .collect(),
    });
    rows.collect()
}

/// The other of the two usual roles, where only one of them speaks (a voicemail).
fn absent(roles: &[&str], owner: Owner) -> Option<String> {
    match (roles, owner) {
        (["agent"], Owner::Other) => Some("customer".to_owned()),
        (["customer"], Owner::Other) => Some("agent".to_owned()),
        _ => None,
    }
}

fn add(merged: &mut Vec<Merged>, found: Found, owner: Option<usize>, at: usize) {
    let (verb, verb_stem, content) = outline(&found.plain);
    let same = merged.iter_mut().rev().take(REMEMBERED).find(|m| {
        let dates = same_time(&m.found, &found);
        let near = at - m.last <= NEAR;
        let meetings = m.found.kind == Kind::Meeting && found.kind == Kind::Meeting;
        if (m.owner != owner && !meetings) || (m.found.kind == Kind::Meeting) != (found.kind == Kind::Meeting) {
            return false;
        }
        let verbs = if verb.is_empty() { m.verb_stem == verb_stem } else { m.verb == verb };
        dates && (verbs || meetings) && alike(&m.content, &content, near)
    });
    let Some(m) = same else {
        let evidence = vec![(at, found.chars.clone())];
        merged.push(Merged { found, owner, evidence, verb, verb_stem, content, last: at });
        return;
    };
    m.evidence.push((at, found.chars.clone()));
    m.last = at;
    m.found.score = (m.found.score.max(found.score) + 0.05).min(0.95);
    if m.found.due_date.is_none() && (found.due_date.is_some() || m.found.due_text.is_none()) {
        (m.found.due_text, m.found.due_date) = (found.due_text, found.due_date);
    }
    if m.found.offer && !found.offer {
        // What was offered is now said outright, by whoever does it.
        (m.found.action, m.found.plain, m.content, m.owner) = (found.action, found.plain, content, owner);
        m.found.offer = false;
    } else if content.len() > m.content.len() {
        (m.found.action, m.found.plain, m.content) = (found.action, found.plain, content);
    }
    // What was asked for is now promised.
    if m.found.kind == Kind::Request {
        m.found.kind = found.kind;
    }
}

/// Whether two findings may be due at one time: where both name a day it is the same, and where the day of the call is not
/// known, and so neither of theirs, they name it in the same words.
fn same_time(a: &Found, b: &Found) -> bool {
    match (a.due_date, b.due_date) {
        (Some(a), Some(b)) => a == b,
        (None, None) => match (&a.due_text, &b.due_text) {
            (Some(a), Some(b)) => plain_time(a) == plain_time(b),
            _ => true,
        },
        _ => true,
    }
}

/// The words that say when, without those that lead to them.
fn plain_time(text: &str) -> String {
    const LEADS: [&str; 9] = ["by", "on", "before", "until", "till", "at", "in", "for", "the"];
    let lower = text.to_lowercase();
    lower.split_whitespace().skip_while(|word| LEADS.contains(word)).collect::<Vec<_>>().join(" ")
}

fn alike(a: &BTreeSet<String>, b: &BTreeSet<String>, near: bool) -> bool {
    let shorter = a.len().min(b.len());
    if shorter == 0 {
        return near;
    }
    a.intersection(b).count() as f32 / shorter as f32 >= OVERLAP
}

/// A date said alone completes, or confirms, what was said just before; whoever was asked for something by a day, and answers
/// with that day among other words, confirms it too.
fn complete(merged: &mut [Merged], date: &LoneDate, at: usize, speaker: Option<usize>) {
    let Some(m) = merged.iter_mut().rev().find(|m| m.last < at && at - m.last <= 2) else { return };
    if date.date.is_none() || (m.found.due_date.is_some() && m.found.due_date != date.date) {
        return;
    }
    let repeats = m.found.due_date.is_some() && m.owner == speaker && at - m.last == 1;
    if !date.answers && !repeats {
        return;
    }
    if m.found.due_date.is_none() {
        (m.found.due_text, m.found.due_date) = (Some(date.text.clone()), date.date);
        m.found.score = (m.found.score + 0.15).min(0.95);
    }
    m.evidence.push((at, date.chars.clone()));
    m.last = at;
}

/// Verbs that mean the same errand.
const ERRANDS: [(&str, &[&str]); 4] = [
    ("send", &["send", "email", "mail", "forward", "fax", "share", "resend", "get", "deliver"]),
    ("call", &["call", "ring", "phone"]),
    ("book", &["book", "schedule", "arrange", "set"]),
    ("pay", &["pay", "refund", "reimburse"]),
];

/// An action's errand, its verb's stem, and the stems of its content.
fn outline(plain: &str) -> (&'static str, String, BTreeSet<String>) {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut words = plain.split(' ').filter(|w| *w != ",");
    let verb = words.next().unwrap_or_default();
    let mut errand = ERRANDS.iter().find(|(_, verbs)| verbs.contains(&verb)).map_or("", |(errand, _)| *errand);
    let rest: Vec<&str> = words.collect();
    if verb == "give" && rest.iter().any(|w| matches!(*w, "call" | "ring" | "shout")) {
        errand = "call";
    }
    let content = rest
        .into_iter()
        .filter(|w| w.len() > 2 && !PASSED_OVER.contains(w))
        .map(|w| stemmer.stem(w).into_owned())
        .collect();
    (errand, stemmer.stem(verb).into_owned(), content)
}

/// Words that do not tell one action from another.
const PASSED_OVER: &[&str] = &[
    "you", "him", "her", "them", "the", "and", "that", "this", "for", "our", "your", "with", "back", "out", "over",
    "again", "please", "also", "well", "just", "then", "about", "from", "into", "all", "any", "some", "they", "their",
    "its", "has", "have", "those", "these", "one", "over", "off", "down", "through", "there", "here", "too", "right",
    "once",
];
