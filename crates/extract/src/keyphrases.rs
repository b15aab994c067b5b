//! Keyphrases: which phrases to weigh, and what their numbers say.
//!
//! Candidates are runs of up to four words without a stop word, a filler, a number or a mark among them, as in RAKE (Rose
//! et al., "Automatic Keyword Extraction from Individual Documents", 2010); a part of a longer run counts by itself only where
//! it is also said alone (the idea of Frantzi et al.'s C-value). A candidate's statistical weight grows with its mentions, with
//! its words' company in longer runs, with capitals inside a sentence, and shrinks the later it is first said (the features of
//! YAKE: Campos et al., Information Sciences 509, 2020). [`choose`] adds the similarity to the whole call and takes phrases by
//! maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

use crate::{
    grammar,
    text::{FILLERS, Text, Token},
};
use rust_stemmers::{Algorithm, Stemmer};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Range,
    sync::LazyLock,
};

/// Words of a phrase at most.
const LONGEST: usize = 4;
/// Share of the similarity to the call in a phrase's score; the rest is statistics. Equal parts, not tuned: on 150 of Inspec's
/// development abstracts F1 at 10 is 0.356 with it and 0.289 by statistics alone.
const SIMILARITY: f32 = 0.5;

/// A phrase that may be a keyphrase.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// As first said.
    pub phrase: String,
    /// Stems of its words: what makes two mentions one phrase.
    pub stems: Vec<String>,
    /// Text and tokens of each mention.
    pub mentions: Vec<(usize, Range<usize>)>,
    /// Statistical weight, 0..1 in its call.
    pub weight: f32,
}

static STOP: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let nltk = stop_words::get(stop_words::Language::English).iter().copied();
    nltk.chain(SPOKEN.split_whitespace()).chain(FILLERS.iter().copied()).collect()
});

/// What the list of written English lacks: verbs, adverbs and courtesies of talk, and the words of dates.
const SPOKEN: &str = "able about absolutely actually add afraid again ago agree agreed ahead all allow almost already alright also \
    although always am amazing another answer any anybody anyone anything anyway apologize appreciate are around ask asked asking asks \
    awesome away back bad based basically be became because become been began begin being believe best better big bit both bring \
    brought but bye calling called came can cannot cause certain certainly change changed check checked clear close come comes coming \
    completely confirm cool correct could couple course currently day days definitely did different do does doing done down each easy \
    either else end enough especially even ever every everybody everyone everything exactly excellent excuse expect expected fact \
    far feel felt few figure find fine first following for forward found four from full fun further gave general get gets \
    getting give given gives giving glad go goes going gone gonna good goodbye got gotta great guess guy guys had half hang happen \
    happened happening happy hard has have having hear heard hello help helpful helps here hey hi high hold honest honestly hope \
    hopefully hour hours how however if imagine important in include included including indeed instead interested into is it just keep \
    kept kind knew know known knows last late later least leave left less let lets like likely listen little long longer look \
    looked looking looks lot lots love low made main major make makes making many matter may maybe mean means meant meantime mention \
    mentioned might mind mine minute minutes moment month months more morning most mostly move much must name nearly necessary need \
    needed needs never new next nice night no nobody none nope normal not nothing now number obviously of off oh okay ok old on once \
    one ones only open or other others ought our out over own part particular past pay people per perfect perhaps person please point \
    possible pretty previous probably put question questions quick quickly quite rather ready real realize really reason recently \
    regarding remember right said same saw say saying says second see seem seemed seems seen send sense sent several shall share she \
    short should show showed simple simply since small so some somebody somehow someone something sometimes somewhat somewhere soon \
    sorry sort sound sounds speak speaking start started still stuff such sure take taken takes taking talk talked talking tell thank \
    thanks that the then there therefore thing things think thinking third this those though thought three through time times today \
    together told tomorrow tonight too took top totally tried true truly try trying turn turned two type under understand \
    unfortunately until up upon us use used useful uses using usual usually various very via wait walk want wanted wants was way ways \
    week weekend weeks welcome well went were what whatever when where whether which while who whole whom whose why will wish with \
    within without wonder wonderful wondering word words work worked working works worry would wow write wrong yeah year years yep \
    yes yesterday yet you your monday tuesday wednesday thursday friday saturday sunday january february march april june july \
    august september october november december afternoon evening noon i'm i'll i've i'd it's that's there's what's let's don't \
    doesn't didn't can't won't isn't aren't wasn't weren't you're you'll we're we'll we've they're he's she's couldn't wouldn't \
    shouldn't haven't hasn't who's here's where's how's ago both third percent dollars dollar euros euro pounds cents \
    whereas thus hence due according among toward towards along across plus minus versus etc et al";

/// Whether a word can stand in a keyphrase.
fn is_content(lower: &str) -> bool {
    lower.chars().count() > 1 && lower.chars().any(char::is_alphabetic) && !STOP.contains(lower)
}

/// A token without its possessive.
fn own(token: &Token) -> &str {
    token.lower.strip_suffix("'s").unwrap_or(&token.lower)
}

/// The candidates of a call, in the order of their first mention.
///
/// `names` are words that stop a phrase like stop words do: the speakers' own names.
pub(crate) fn candidates(texts: &[Text<'_>], names: &HashSet<String>) -> Vec<Candidate> {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
    for (nth, text) in texts.iter().enumerate() {
        let numbers = crate::numbers::find(&text.tokens);
        let counted = |i: usize| {
            let before = numbers.partition_point(|n| n.tokens.start <= i);
            before > 0 && numbers[before - 1].tokens.contains(&i)
        };
        let mut start = None;
        for i in 0..=text.tokens.len() {
            let said = |t: &Token| t.is_word && is_content(&t.lower) && !names.contains(own(t));
            let content = text.tokens.get(i).is_some_and(said) && !counted(i);
            match (content, start) {
                (true, None) => start = Some(i),
                (false, Some(from)) => {
                    // "Contract reviewed", "discount ended": a participle behind its noun is the verb of the clause.
                    let verbs =
                        text.tokens[from..i].iter().rev().take_while(|t| t.lower.len() > 4 && t.lower.ends_with("ed"));
                    let end = i - verbs.count();
                    // A verb of errands alone ("call", "email") says nothing about this call.
                    if end > from && !(end == from + 1 && grammar::is_verb(&text.tokens[from].lower)) {
                        runs.push((nth, from..end));
                    }
                    start = None;
                }
                _ => {}
            }
        }
    }
    let stem = |token: &Token| stemmer.stem(own(token)).into_owned();
    let stems: Vec<Vec<String>> =
        runs.iter().map(|(nth, run)| texts[*nth].tokens[run.clone()].iter().map(stem).collect()).collect();

    // Of every word: how often it is said, and in how much company.
    let mut words: BTreeMap<&str, (f32, f32)> = BTreeMap::new();
    // Runs said as a whole; longer ones are cut into all their parts.
    let mut whole: BTreeSet<&[String]> = BTreeSet::new();
    for run in &stems {
        for word in run {
            let seen = words.entry(word).or_default();
            seen.0 += 1.0;
            seen.1 += run.len().min(LONGEST) as f32;
        }
        if run.len() <= LONGEST {
            whole.insert(run);
        } else {
            whole.extend(run.windows(2));
        }
    }
    let mut found: BTreeMap<&[String], Candidate> = BTreeMap::new();
    for ((nth, run), stems) in runs.iter().zip(&stems) {
        for start in 0..stems.len() {
            for end in start + 1..=stems.len().min(start + LONGEST) {
                let part = &stems[start..end];
                if whole.contains(part) {
                    let tokens = run.start + start..run.start + end;
                    let candidate = found.entry(part).or_insert_with(|| Candidate {
                        phrase: spoken(&texts[*nth], tokens.clone()),
                        stems: part.to_vec(),
                        mentions: Vec::new(),
                        weight: 0.0,
                    });
                    candidate.mentions.push((*nth, tokens));
                }
            }
        }
    }
    let mut found: Vec<Candidate> = found.into_values().collect();
    found.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| b.stems.len().cmp(&a.stems.len())));
    weigh(&mut found, &words, texts);
    found
}

fn place(candidate: &Candidate) -> (usize, usize) {
    candidate.mentions.first().map_or((0, 0), |(nth, tokens)| (*nth, tokens.start))
}

fn spoken(text: &Text<'_>, tokens: Range<usize>) -> String {
    let words: Vec<&str> = tokens.map(|i| &text.raw[text.tokens[i].bytes.clone()]).collect();
    let phrase = words.join(" ");
    phrase.strip_suffix("'s").or_else(|| phrase.strip_suffix("\u{2019}s")).unwrap_or(&phrase).to_owned()
}

fn weigh(found: &mut [Candidate], words: &BTreeMap<&str, (f32, f32)>, texts: &[Text<'_>]) {
    let before: Vec<usize> = texts
        .iter()
        .scan(0, |sum, text| {
            let here = *sum;
            *sum += text.tokens.len();
            Some(here)
        })
        .collect();
    let all = texts.iter().map(|text| text.tokens.len()).sum::<usize>().max(1) as f32;
    for candidate in found.iter_mut() {
        // RAKE's degree over frequency, tempered by the frequency itself: a word said often in company.
        let company: f32 = candidate.stems.iter().map(|s| words.get(s.as_str()).map_or(0.0, |(n, d)| d / n)).sum();
        let length = candidate.stems.len() as f32;
        let mentions = candidate.mentions.len() as f32;
        let (nth, start) = place(candidate);
        let position = (before.get(nth).copied().unwrap_or(0) + start) as f32 / all;
        let spread = candidate.mentions.iter().map(|(nth, _)| nth).collect::<BTreeSet<_>>().len() as f32;
        // A single word says less than a phrase, four words seldom more than three.
        let shape = [0.55, 1.0, 1.1, 0.9][candidate.stems.len().clamp(1, LONGEST) - 1];
        let named = candidate.mentions.iter().any(|(nth, tokens)| named(&texts[*nth], tokens));
        candidate.weight = (company / length).sqrt()
            * (1.0 + mentions.ln() + 0.5 * spread.ln())
            * shape
            * (1.0 - 0.3 * position)
            * if named { 1.3 } else { 1.0 };
    }
    let most = found.iter().map(|c| c.weight).fold(f32::MIN_POSITIVE, f32::max);
    for candidate in found {
        candidate.weight /= most;
    }
}

/// Whether a mention is written with a capital that no sentence start explains.
fn named(text: &Text<'_>, tokens: &Range<usize>) -> bool {
    let capital = |i: usize| text.raw[text.tokens[i].bytes.clone()].starts_with(char::is_uppercase);
    let inside = tokens.start > 0 && text.tokens[tokens.start - 1].is_word;
    inside && capital(tokens.start)
}

/// The best phrases and their scores (0..1), best first. `similarity` holds each candidate's cosine with the call and
/// `between` gives that of two candidates; without an encoder, statistics decide and shared words count as similarity.
pub(crate) fn choose(
    candidates: &[Candidate],
    similarity: Option<&[f32]>,
    between: &dyn Fn(usize, usize) -> f32,
    count: usize,
    diversity: f32,
) -> Vec<(usize, f32)> {
    let span = |values: &[f32]| {
        let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        (low, (high - low).max(f32::MIN_POSITIVE))
    };
    let scores: Vec<f32> = match similarity {
        Some(similarity) => {
            let (low, width) = span(similarity);
            let like = |i: usize| (similarity[i] - low) / width;
            candidates.iter().enumerate().map(|(i, c)| SIMILARITY * like(i) + (1.0 - SIMILARITY) * c.weight).collect()
        }
        None => candidates.iter().map(|c| c.weight).collect(),
    };
    let mut chosen: Vec<(usize, f32)> = Vec::new();
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    let mut nearest = vec![0.0f32; candidates.len()];
    while chosen.len() < count && !left.is_empty() {
        let margin = |i: usize| (1.0 - diversity) * scores[i] - diversity * nearest[i];
        // Ties go to what is said first.
        let best = left.iter().copied().reduce(|a, b| if margin(b) > margin(a) { b } else { a });
        let Some(best) = best else { break };
        chosen.push((best, scores[best].clamp(0.0, 1.0)));
        left.retain(|&i| i != best && !repeats(&candidates[i].stems, &candidates[best].stems));
        for &i in &left {
            nearest[i] = nearest[i].max(between(i, best));
        }
    }
    chosen
}

/// Whether a phrase is part of one that was chosen, or the other way about with nothing added but one word.
fn repeats(phrase: &[String], chosen: &[String]) -> bool {
    phrase.len() <= chosen.len() && chosen.windows(phrase.len()).any(|part| part == phrase)
}

/// The share of words that two phrases have in common: what stands in for their similarity without an encoder.
pub(crate) fn shared(a: &Candidate, b: &Candidate) -> f32 {
    let common = a.stems.iter().filter(|s| b.stems.contains(s)).count() as f32;
    common / a.stems.len().max(b.stems.len()).max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_runs_without_stop_words() {
        let texts = [
            Text::new("The revised quote for the call recording is, um, ready. I like call recording."),
            Text::new("Okay, the call recordings are stored in 2 data centers."),
        ];
        let found = candidates(&texts, &HashSet::new());
        let phrases: Vec<(&str, usize)> = found.iter().map(|c| (c.phrase.as_str(), c.mentions.len())).collect();
        assert_eq!(phrases, [("revised quote", 1), ("call recording", 3), ("data centers", 1)]);
    }

    #[test]
    fn chosen_phrases_do_not_repeat() {
        let texts = [Text::new("The reporting package and the reporting package price, the reporting, the package.")];
        let found = candidates(&texts, &HashSet::new());
        let chosen = choose(&found, None, &|a, b| shared(&found[a], &found[b]), 5, 0.3);
        let phrases: Vec<&str> = chosen.iter().map(|(i, _)| found[*i].phrase.as_str()).collect();
        assert!(!phrases.is_empty() && phrases.len() <= 3, "{phrases:?}");
    }
}
