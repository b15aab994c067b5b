//! From what is found in the turns to the rows of `keywords`.

use crate::{
    amounts, dates,
    keyphrases::{self, Candidate, Likeness, Manner},
    numbers,
    text::Text,
    trackers::Trackers,
};
use chrono::NaiveDate;
use inference::{Vector, cosine};
use schema::{Amount, Evidence, Keyword, Mention, Turn, confidence};
use std::{collections::HashSet, ops::Range};

/// A phrase of less confidence ([`confidence`]) in all its mentions is a guess, and no keyphrase.
const UNDERSTOOD: f32 = 0.5;

/// The texts of one call that an encoder is asked for: its candidates, then its turns.
pub(crate) struct Ask<'a> {
    texts: Vec<Text<'a>>,
    manner: Manner,
    candidates: Vec<Candidate>,
}

impl<'a> Ask<'a> {
    /// Finds the candidates of some texts; `names` (lower case) are no part of any.
    pub fn new(texts: impl Iterator<Item = &'a str>, names: &HashSet<String>) -> Self {
        let texts: Vec<Text<'a>> = texts.map(Text::new).collect();
        let manner = Manner::of(&texts);
        let candidates = keyphrases::candidates(&texts, names, manner);
        Self { texts, manner, candidates }
    }

    /// The same of turns, without what the recognizer guessed.
    pub fn of_turns(turns: &'a [Turn], names: &HashSet<String>) -> Self {
        let texts: Vec<Text<'a>> = turns.iter().map(|turn| Text::new(&turn.text)).collect();
        let several = turns.windows(2).any(|pair| pair[0].speaker != pair[1].speaker);
        let manner = if several { Manner::CALL } else { Manner::of(&texts) };
        let mut candidates = keyphrases::candidates(&texts, names, manner);
        candidates.retain(|candidate| {
            candidate.mentions.iter().any(|(nth, tokens)| {
                let chars = texts[*nth].chars(tokens.clone());
                confidence(&turns[*nth].text, &turns[*nth].words, chars) >= UNDERSTOOD
            })
        });
        Self { texts, manner, candidates }
    }

    /// What to embed.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let phrases = self.candidates.iter().map(|c| c.phrase.clone());
        phrases.chain(self.texts.iter().map(|text| text.raw.to_owned()))
    }

    pub fn len(&self) -> usize {
        self.candidates.len() + self.texts.len()
    }

    /// The best phrases with their scores. `vectors` are those of [`Ask::texts`], or none.
    pub fn choose(&self, vectors: Option<&[Vector]>, count: usize, diversity: f32) -> Vec<(&Candidate, f32)> {
        let manner = self.manner;
        let chosen = if let Some(vectors) = vectors {
            let (phrases, turns) = vectors.split_at(self.candidates.len());
            let size = vectors.first().map_or(0, |vector| vector.len());
            // The call is the mean of its turns, each as heavy as it is long.
            let mut call = vec![0.0f32; size];
            for (vector, text) in turns.iter().zip(&self.texts) {
                let words = text.tokens.iter().filter(|t| t.is_word).count() as f32;
                call.iter_mut().zip(&**vector).for_each(|(sum, x)| *sum += x * words);
            }
            // Vectors are of length one, so the mean of the cosines is the product with their mean.
            let mut mean = vec![0.0f32; size];
            for phrase in phrases {
                mean.iter_mut().zip(&**phrase).for_each(|(sum, x)| *sum += x / phrases.len() as f32);
            }
            let like: Vec<Likeness> = phrases
                .iter()
                .map(|phrase| Likeness {
                    whole: cosine(phrase, &call),
                    candidates: phrase.iter().zip(&mean).map(|(a, b)| a * b).sum(),
                })
                .collect();
            let between = |a: usize, b: usize| cosine(&phrases[a], &phrases[b]).max(0.0);
            keyphrases::choose(&self.candidates, &like, manner, &between, count, diversity)
        } else {
            let like = vec![Likeness::default(); self.candidates.len()];
            let between = |a: usize, b: usize| keyphrases::shared(&self.candidates[a], &self.candidates[b]);
            keyphrases::choose(&self.candidates, &like, manner, &between, count, diversity)
        };
        chosen.into_iter().map(|(i, score)| (&self.candidates[i], score)).collect()
    }
}

/// A phrase on its way to a row.
#[derive(Default)]
struct Entry {
    phrase: String,
    tracker: Option<String>,
    score: Option<f32>,
    mentions: Vec<(usize, Range<usize>)>,
    value: Value,
}

/// What the words of an amount, a percentage or a date come to.
#[derive(Clone, Copy, Default)]
struct Value {
    amount: Option<Amount>,
    currency: Option<&'static str>,
    date: Option<NaiveDate>,
    percent: Option<f64>,
}

/// The rows of one call: keyphrases by score, then trackers, money, percentages and dates in the order of their first mention.
pub(crate) fn rows(
    call_id: &str,
    turns: &[Turn],
    day: Option<NaiveDate>,
    trackers: &Trackers,
    ask: &Ask<'_>,
    chosen: Vec<(&Candidate, f32)>,
) -> Vec<Keyword> {
    let texts = &ask.texts;
    let mut rows = Vec::new();
    for (candidate, score) in chosen {
        let entry = Entry {
            phrase: candidate.phrase.clone(),
            score: Some(score),
            mentions: candidate.mentions.clone(),
            ..Entry::default()
        };
        rows.push(row(call_id, turns, texts, "keyphrase", entry, 1));
    }
    let mut tracked = Group::default();
    let (mut money, mut percent, mut dated) = (Group::default(), Group::default(), Group::default());
    for (nth, text) in texts.iter().enumerate() {
        for mention in trackers.find(text) {
            let (tracker, phrase) = trackers.phrase(&mention);
            let key = (Some(tracker.to_owned()), phrase.to_lowercase());
            tracked.add(key, phrase, Value::default(), (nth, mention.tokens));
        }
        let numbers = numbers::find(&text.tokens);
        for tokens in amounts::money(text, &numbers) {
            let key = (None, amounts::value(text, &numbers, &tokens));
            let (amount, currency) = amounts::sum(text, &numbers, &tokens);
            let value = Value { amount, currency, ..Value::default() };
            money.add(key, text.slice(tokens.clone()), value, (nth, tokens));
        }
        for tokens in amounts::percent(text, &numbers) {
            let key = (None, amounts::value(text, &numbers, &tokens));
            let value = Value { percent: amounts::share(&numbers, &tokens), ..Value::default() };
            percent.add(key, text.slice(tokens.clone()), value, (nth, tokens));
        }
        for sentence in text.sentences() {
            let found = dates::find(&sentence, day).into_iter().filter(|date| date.dated);
            for found in found {
                let Some(tokens) = sentence.tokens(found.at) else { continue };
                let phrase = text.slice(tokens.clone());
                // A day and the month that ends with it are not the same: only days are one in other words.
                let date = found.date.filter(|_| found.exact);
                let key = date.map_or_else(|| phrase.to_lowercase(), |day| day.to_string());
                dated.add((None, key), phrase, Value { date, ..Value::default() }, (nth, tokens));
            }
        }
    }
    for (kind, group) in [("tracker", tracked), ("money", money), ("percent", percent), ("date", dated)] {
        let most = group.0.iter().map(|(_, entry)| entry.mentions.len()).max().unwrap_or(1);
        rows.extend(group.0.into_iter().map(|(_, entry)| row(call_id, turns, texts, kind, entry, most)));
    }
    rows
}

/// Entries in the order of their first mention; the same words in any case are one, and so are the same amount or day in other
/// words, under those that were said first.
#[derive(Default)]
struct Group(Vec<((Option<String>, String), Entry)>);

impl Group {
    /// A mention under its key: the tracker's name, if it is one, and what makes it the same as another.
    fn add(&mut self, key: (Option<String>, String), phrase: &str, value: Value, mention: (usize, Range<usize>)) {
        if let Some((_, entry)) = self.0.iter_mut().find(|(k, _)| *k == key) {
            entry.mentions.push(mention);
        } else {
            let (phrase, tracker) = (phrase.to_owned(), key.0.clone());
            self.0.push((key, Entry { phrase, tracker, score: None, mentions: vec![mention], value }));
        }
    }
}

/// Outside keyphrases a phrase weighs as much as its share of the mentions of the most mentioned one of its kind.
fn row(call_id: &str, turns: &[Turn], texts: &[Text<'_>], kind: &str, entry: Entry, most: usize) -> Keyword {
    let score = entry.score.unwrap_or(entry.mentions.len() as f32 / most as f32);
    let mentions: Vec<Mention> = entry
        .mentions
        .iter()
        .map(|(nth, tokens)| {
            let (turn, chars) = (&turns[*nth], texts[*nth].chars(tokens.clone()));
            let (start_ms, end_ms) = turn.said_in(chars.clone());
            let (char_start, char_end) = (chars.start as i32, chars.end as i32);
            Mention { turn_index: turn.turn_index, char_start, char_end, start_ms, end_ms }
        })
        .collect();
    let place = |m: &Mention| Evidence { turn_index: m.turn_index, char_start: m.char_start, char_end: m.char_end };
    let first = mentions.iter().min_by_key(|m| m.start_ms);
    Keyword {
        call_id: call_id.to_owned(),
        phrase: entry.phrase,
        kind: kind.to_owned(),
        tracker: entry.tracker,
        amount: entry.value.amount,
        currency: entry.value.currency.map(str::to_owned),
        date: entry.value.date,
        percent: entry.value.percent,
        score: (score * 1000.0).round() / 1000.0,
        mention_count: mentions.len() as i32,
        first_ms: first.map_or(0, |m| m.start_ms),
        start_ms: first.map(|m| m.start_ms),
        end_ms: first.map(|m| m.end_ms),
        evidence: mentions.iter().map(place).collect(),
        mentions: Some(mentions),
    }
}

/// Keyphrases of plain texts, best first: for `eval keywords`. Without an encoder, statistics alone decide.
pub fn keyphrases(
    texts: &[&str],
    encoder: Option<&inference::SentenceEncoder>,
    count: usize,
    diversity: f32,
) -> Result<Vec<(String, f32)>, inference::InferenceError> {
    let ask = Ask::new(texts.iter().copied(), &HashSet::new());
    let vectors = encoder.map(|encoder| encoder.embed_cached(&ask.texts().collect::<Vec<_>>())).transpose()?;
    let chosen = ask.choose(vectors.as_deref(), count, diversity);
    Ok(chosen.into_iter().map(|(candidate, score)| (candidate.phrase.clone(), score)).collect())
}
