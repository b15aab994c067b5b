//! When: the phrases of a sentence that name a day, and the day they name.
//!
//! [`find`] matches them in a [`Sentence`]'s plain spelling; [`resolve`](crate::calendar::resolve) says which day.

use crate::{
    calendar::{Edge, Unit, When, resolve},
    text::Sentence,
};
use chrono::NaiveDate;
use regex::{Captures, Regex};
use std::{ops::Range, sync::LazyLock};

/// A phrase that says when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DatePhrase {
    /// Its place in the plain spelling, prepositions and time of day included.
    pub at: Range<usize>,
    /// The day; None for "as soon as possible", or where the call's own day is unknown.
    pub date: Option<NaiveDate>,
    /// The preposition it starts with.
    pub lead: String,
    /// Whether it names a day at all.
    pub dated: bool,
    /// Whether the day is what it names, and not the last day of a period that it names ("next month").
    pub exact: bool,
}

const DAYS: &str = "monday|tuesday|wednesday|thursday|friday|saturday|sunday";
const MONTHS: &str = "january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|aug|sept?|oct|nov|dec";
const HOUR: &str = r"(?:(?:half past|quarter past|quarter to|\d+ past|\d+ to) )?(?:\d{1,2}(?:\.\d\d|:\d\d)?(?: \d\d)?|noon|midday|lunch|lunchtime)(?: ?o'clock| ?[ap]\.m\.?| ?[ap]m)?";

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    // The pattern below is spread over lines, where a plain space means nothing.
    let hour = HOUR.replace(' ', r"\ ");
    let pattern = format!(
        r"(?x)
        \b (?P<lead> (?:(?:by|on|before|until|till|no\ later\ than|at\ the\ latest|not\ later\ than|sometime|some\ time|first\ thing|1th\ thing|
              in|within|inside|over|for|from|of|about|since|during|at|starting|as\ of|after|through|later|earlier|around|due|last|past|previous)\ )* )
        (?:the\ (?:very\ )?end\ of\ (?P<dayend>)|end\ of\ (?P<dayend2>)|close\ of\ (?P<dayend3>))?
        (?:
          (?P<aftertomorrow> the\ day\ after\ tomorrow )
        | (?P<tomorrow> tomorrow )
        | (?P<today> later\ today | today | tonight | this\ (?:morning|afternoon|evening|lunchtime) )
        | (?P<eod> (?:the\ |your\ |this\ |my\ |our\ )?(?:business\ day|working\ day|business|day|play) | eod | cob )
        | (?: (?P<from_n>\d+|an?|a\ couple\ of|half\ an?) \ (?P<from_unit>day|week|month|year)s?\ (?:from|after)\ (?P<from>now|today|tomorrow|(?:{DAYS})) )
        | (?: (?:the\ next\ |about\ |around\ |another\ |maybe\ |the\ coming\ |roughly\ )* (?P<n>\d+|an?|a\ couple\ of|couple\ of|a\ few|few|half\ an?|\d+\ to\ \d+|\d+\ or\ \d+)
              \ (?P<work>business\ |working\ )? (?P<unit>minute|hour|day|week|fortnight|month|year)(?:'?s'?)?(?:\ time)? )
        | (?: (?:the\ )?(?:(?P<edge>very\ end|end|beginning|start|middle|early|late|later|sometime|some\ time|mid)\ (?:of\ |in\ |on\ )?)?
              (?P<which>this|next|the\ coming|the\ following|the|of\ the|last)\ (?P<period>weekend|week|month|quarter|year) )
        | (?: (?:(?P<dir>this\ coming|coming|this|next|the\ following|the\ next)\ )? (?P<weekday>{DAYS}) (?:\ (?P<week>next\ week|this\ week|week))? )
        | (?: (?:the\ )?(?P<d1>\d{{1,2}})(?:th)?\ (?:of\ )?(?P<m1>{MONTHS}) (?:\ ,?\ ?(?P<y1>20\d\d))? )
        | (?: (?P<m2>{MONTHS})\ (?:the\ )?(?P<d2>\d{{1,2}})(?P<th2>th)? (?:\ ,?\ ?(?P<y2>20\d\d))? )
        | (?P<iso> 20\d\d-\d\d-\d\d )
        | (?: (?:the\ )?(?:(?P<medge>very\ end|end|beginning|start|middle|early|late|mid)\ (?:of\ )?)? (?P<month>{MONTHS}) )
        | (?: the\ (?P<dom>\d{{1,2}})th )
        | (?P<clock> {hour} )
        )
        (?P<tail> (?:\ (?:morning|afternoon|evening|night|lunchtime)
              | \ (?:in|during)\ the\ (?:morning|afternoon|evening) | \ first\ thing | \ at\ the\ latest | \ at\ the\ same\ time
              | \ ,?\ ?(?:at|around|about|before|after|by|from|between)\ (?:about\ |around\ )?{hour}(?:\ (?:and|to|until)\ {hour})?
            )* )
        \b"
    );
    // The pattern is constant and compiled by every test.
    Regex::new(&pattern).expect("a constant pattern")
});

static SOON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\b(?:right away|straight away|immediately|as soon as possible|asap|as soon as (?:i|we|you) can|(?:right |straight |directly |immediately )?after (?:this|the|our) (?:call|meeting)|shortly|in (?:the next|a) few (?:days|weeks|hours|minutes)|on (?:your|the) next (?:invoice|bill|statement))\b",
    )
    .expect("a constant pattern")
});

/// The phrases of a sentence that say when, in order. `day` is the day of the call.
pub(crate) fn find(sentence: &Sentence, day: Option<NaiveDate>) -> Vec<DatePhrase> {
    let mut phrases = Vec::new();
    let mut from = 0;
    while let Some(found) = PATTERN.captures_at(&sentence.plain, from) {
        let Some(whole) = found.get(0) else { break };
        // What the pattern matched may be no date: then the search goes on after its first word.
        let rest = &sentence.plain[whole.end()..];
        if let Some((when, start)) = meaning(&found, rest).filter(|_| !rest.starts_with("'s")) {
            let lead = sentence.plain[start..].split(' ').next().unwrap_or_default().to_owned();
            let date = day.and_then(|day| resolve(&when, day));
            let exact = names_a_day(&when, &sentence.plain[start..whole.end()]);
            phrases.push(DatePhrase { at: start..whole.end(), date, lead, dated: true, exact });
            from = whole.end();
        } else {
            from =
                whole.start() + sentence.plain[whole.start()..].find(' ').map_or(whole.len().max(1), |space| space + 1);
        }
    }
    for found in SOON.find_iter(&sentence.plain) {
        if phrases.iter().all(|p| p.at.end <= found.start() || p.at.start >= found.end()) {
            phrases.push(DatePhrase { at: found.range(), date: None, lead: String::new(), dated: false, exact: false });
        }
    }
    phrases.sort_by_key(|p| p.at.start);
    phrases
}

/// Whether what is said is a day: "Friday", "in three days", "the end of the month". A week, a month or a quarter is none, and
/// neither is the end of a week, though a promise for it is kept by a day of it.
fn names_a_day(when: &When, said: &str) -> bool {
    match when {
        When::Days(_) | When::Weekday { .. } | When::Day { .. } | When::DayOfMonth(_) | When::Iso(_) => true,
        When::After { unit, .. } | When::From { unit, .. } => {
            matches!(unit, Unit::Minute | Unit::Hour | Unit::Day | Unit::Week | Unit::Fortnight)
        }
        When::Month { edge, .. } => *edge == Edge::End && said.contains("end of"),
        When::Period { period, edge, .. } => {
            let long = matches!(period, Unit::Month | Unit::Quarter | Unit::Year);
            long && *edge == Edge::End && said.contains("end of")
        }
        When::Past => false,
    }
}

/// What a match means, and where the phrase starts; None where it only looks like one.
fn meaning(found: &Captures<'_>, rest: &str) -> Option<(When, usize)> {
    let whole = found.get(0)?;
    let lead = found.name("lead").map_or("", |m| m.as_str());
    let has = |name: &str| found.name(name).is_some();
    let get = |name: &str| found.name(name).map(|m| m.as_str());
    let dayend = has("dayend") || has("dayend2") || has("dayend3");
    let led = |words: &[&str]| words.iter().any(|word| lead.split(' ').any(|l| l == *word));
    let past = led(&["last", "past", "previous", "since"]) || rest.starts_with(" ago");
    let due_lead = led(&["by", "before", "until", "till", "than"]);
    // Whole words only: "in 2 week" must not stop inside "weekly", nor "the 3th" before "floor".
    let start = whole.start();
    let past_or = |when: When| Some((if past { When::Past } else { when }, start));
    if has("aftertomorrow") {
        return past_or(When::Days(2));
    }
    if has("tomorrow") {
        return past_or(When::Days(1));
    }
    if has("today") {
        return past_or(When::Days(0));
    }
    if has("eod") {
        let word = get("eod")?;
        let bare = matches!(word, "eod" | "cob") && due_lead;
        return (dayend || bare).then_some((When::Days(0), start));
    }
    if let (Some(n), Some(unit)) = (get("from_n"), get("from_unit")) {
        let from = get("from")?;
        return Some((When::From { count: count(n)?, unit: Unit::of(unit)?, from: from.to_owned() }, start));
    }
    if let (Some(n), Some(unit)) = (get("n"), get("unit")) {
        // "In two weeks" is a date; "two weeks" and "for two weeks" are lengths of time; "over the week" neither.
        let about = led(&["in", "within", "inside"]) || (due_lead && whole.as_str().contains("next"));
        let vague = n.contains("few");
        let working = has("work");
        // "In a minute" is now.
        if unit == "minute" && count(n).is_some_and(|n| n <= 5) {
            return None;
        }
        if past {
            return (!vague).then_some((When::Past, start));
        }
        return (about && !vague).then_some((When::After { count: count(n)?, unit: Unit::of(unit)?, working }, start));
    }
    if let (Some(which), Some(period)) = (get("which"), get("period")) {
        let which = which.trim_start_matches("of ");
        let edge = get("edge").map(Edge::of).or(dayend.then_some(Edge::End));
        if which == "last" || past {
            return Some((When::Past, start));
        }
        // "The week" alone is a length of time, as is "this year" in most mouths; "by this week" is not said.
        if which == "the" && edge.is_none() {
            return None;
        }
        let next = matches!(which, "next" | "the coming" | "the following");
        return Some((When::Period { next, period: Unit::of(period)?, edge: edge.unwrap_or(Edge::End) }, start));
    }
    if let Some(weekday) = get("weekday") {
        if rest.starts_with('s') || past {
            return Some((When::Past, start));
        }
        let next = matches!(get("dir"), Some("next")) || matches!(get("week"), Some("next week"));
        let this = matches!(get("dir"), Some("this")) || matches!(get("week"), Some("this week"));
        let later = matches!(get("week"), Some("week"));
        return Some((When::Weekday { day: weekday.parse().ok()?, next, this, later }, start));
    }
    if let (Some(day), Some(month)) = (get("d1").or(get("d2")), get("m1").or(get("m2"))) {
        // "May 10" and "march 10 people" are more often verbs.
        let verb = matches!(month, "may" | "march" | "mar") && has("m2") && !has("th2") && lead.is_empty();
        let (day, year) = (day.parse().ok()?, get("y1").or(get("y2")).map(str::to_owned));
        return if verb { None } else { past_or(When::Day { day, month: month.to_owned(), year }) };
    }
    if let Some(iso) = get("iso") {
        return Some((When::Iso(iso.to_owned()), start));
    }
    if let Some(month) = get("month") {
        let edge = get("medge").map(Edge::of).or(dayend.then_some(Edge::End));
        let led = due_lead || led(&["in", "during", "through"]) || edge.is_some();
        if past || led_by_topic(lead) {
            return Some((When::Past, start));
        }
        return led.then(|| (When::Month { month: month.to_owned(), edge: edge.unwrap_or(Edge::End) }, start));
    }
    if let Some(day) = get("dom") {
        // "The third time", "the first floor": an ordinal before a noun is no day of the month.
        let next = rest.trim_start().split(' ').next().unwrap_or_default();
        let day_like = matches!(
            next,
            "" | ","
                | "at"
                | "in"
                | "is"
                | "works"
                | "work"
                | "would"
                | "should"
                | "and"
                | "or"
                | "if"
                | "so"
                | "then"
                | "to"
                | "for"
                | "with"
        );
        let day: u32 = day.parse().ok()?;
        let led = due_lead || led(&["on", "of", "for", "from"]);
        return ((led || get("tail").is_some_and(|t| !t.is_empty()) || start == 0) && day_like && day <= 31)
            .then_some((When::DayOfMonth(day), start));
    }
    // "By noon", "before four o'clock": the day of the call. "At two" alone is a time, "by 10 percent" neither.
    let clock = get("clock")?;
    let plainly =
        clock.contains("o'clock") || clock.ends_with(['m', '.']) || !clock.contains(|c: char| c.is_ascii_digit());
    let short = rest.is_empty() || rest.starts_with(" ,") || rest.starts_with(" today");
    (due_lead && (plainly || (short && clock.len() <= 2))).then_some((When::Days(0), start))
}

/// "For March", "of February": a topic, not a time.
fn led_by_topic(lead: &str) -> bool {
    matches!(lead.trim_end(), "for" | "of" | "from" | "since" | "about")
}

fn count(n: &str) -> Option<i64> {
    Some(match n {
        "a" | "an" => 1,
        "a couple of" | "couple of" => 2,
        "half a" | "half an" => 0,
        // "Three to five days": kept if done on the last of them.
        range if range.contains(' ') => range.rsplit(' ').next()?.parse().ok()?,
        digits => digits.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    /// Said on Tuesday, 3 March 2026: each phrase of the text and its day.
    fn found(said: &str) -> Vec<(String, String)> {
        let day = NaiveDate::from_ymd_opt(2026, 3, 3);
        let text = Text::new(said);
        let mut out = Vec::new();
        for sentence in text.sentences() {
            for phrase in find(&sentence, day) {
                let tokens = sentence.tokens(phrase.at).unwrap();
                let date = phrase.date.map_or(String::new(), |date| date.to_string()[5..].to_owned());
                out.push((text.slice(tokens).to_owned(), date));
            }
        }
        out
    }

    #[test]
    fn phrases_and_their_days() {
        let table = [
            ("I'll send it by Friday.", "by Friday", "03-06"),
            ("by Tuesday", "by Tuesday", "03-10"),
            ("call me next Tuesday at two", "next Tuesday at two", "03-10"),
            ("on Monday before noon", "on Monday before noon", "03-09"),
            ("first thing Monday", "first thing Monday", "03-09"),
            ("by next Wednesday", "by next Wednesday", "03-11"),
            ("friday next week", "friday next week", "03-13"),
            ("this friday", "this friday", "03-06"),
            ("tomorrow morning", "tomorrow morning", "03-04"),
            ("the day after tomorrow", "the day after tomorrow", "03-05"),
            ("this afternoon", "this afternoon", "03-03"),
            ("by the end of the week", "by the end of the week", "03-06"),
            ("by the end of the month", "by the end of the month", "03-31"),
            ("by end of day", "by end of day", "03-03"),
            ("by close of business tomorrow", "by close of business", "03-03"),
            ("by the end of next week", "by the end of next week", "03-13"),
            ("early next week", "early next week", "03-09"),
            ("within two weeks", "within two weeks", "03-17"),
            ("in three days", "in three days", "03-06"),
            ("in the next two weeks", "in the next two weeks", "03-17"),
            ("in five working days", "in five working days", "03-10"),
            ("within 24 hours", "within 24 hours", "03-04"),
            ("in a couple of weeks", "in a couple of weeks", "03-17"),
            ("a week from today", "a week from today", "03-10"),
            ("two weeks from Friday", "two weeks from Friday", "03-20"),
            ("on the fourteenth of March", "on the fourteenth of March", "03-14"),
            ("on the thirty first of march", "on the thirty first of march", "03-31"),
            ("March 14th", "March 14th", "03-14"),
            ("on 14 March 2026", "on 14 March 2026", "03-14"),
            ("on the nineteenth at eleven", "on the nineteenth at eleven", "03-19"),
            ("on the second", "on the second", "04-02"),
            ("on the first of March", "on the first of March", "03-01"),
            ("by the end of April", "by the end of April", "04-30"),
            ("by noon", "by noon", "03-03"),
            ("before lunch", "before lunch", "03-03"),
            ("by 5 p.m.", "by 5 p.m.", "03-03"),
            ("as soon as possible", "as soon as possible", ""),
            ("right after this call", "right after this call", ""),
            ("on 2026-03-14", "on 2026-03-14", "03-14"),
        ];
        for (said, phrase, date) in table {
            let found = found(said);
            assert_eq!(found.first(), Some(&(phrase.to_owned(), date.to_owned())), "{said}: {found:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_date() {
        for said in [
            "the third time this happens",
            "two weeks",
            "for four weeks",
            "I may call",
            "at two",
            "in a minute",
            "two people",
            "on the first floor",
            "march 10 people out",
            "in two offices",
            "a weekly report",
            "today's call",
        ] {
            assert!(found(said).iter().all(|(_, date)| date.is_empty()), "{said}: {:?}", found(said));
        }
        assert_eq!(found("last Friday")[0].1, "");
        assert_eq!(found("two weeks ago")[0].1, "");
    }
}
