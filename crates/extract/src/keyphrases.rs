//! Keyphrases: which phrases to weigh, and how.
//!
//! Candidates are noun groups: adjectives, participles and nouns that end in a noun (`word_classes`), without stop words,
//! fillers, numbers and names of the speakers. A candidate weighs by its likeness to the whole call (EmbedRank: Bennani-Smires et
//! al., CoNLL 2018, with SIFRank's noun groups: Sun et al., IEEE Access 8, 2020), by its mentions, also those inside longer
//! candidates, by its likeness to the other candidates and by its form. [`choose`] takes phrases by maximal marginal relevance
//! (Carbonell and Goldstein, SIGIR 1998).
//!
//! People name other things of a text about a matter than of what is told or talked of people: terms of two words and more
//! there, whatever its mentions; the names and things that come again and again here. Two sets of weights stand for these, and
//! a text's mixture of them is read from its pronouns and names ([`talk`]); a call's is [`Manner::CALL`].

use crate::{
    grammar,
    text::{FILLERS, Text, Token},
    word_classes::{self, Class},
};
use rust_stemmers::{Algorithm, Stemmer};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    sync::LazyLock,
};

/// Words of a phrase at most; of a longer group its last ones.
const LONGEST: usize = 5;

/// Candidates that are looked at closely, each at the cost of a vector; the others weigh least by their mentions and form.
const CLOSELY: usize = 128;

/// What a candidate's properties weigh. Chosen on the development sets of benches/results (Inspec, SemEval 2017, KPCrowd), in
/// coarse steps.
#[derive(Clone, Copy)]
struct Weights {
    /// Cosine with the whole.
    similarity: f32,
    /// Logarithm of the mentions.
    mentions: f32,
    /// Logarithm of the words.
    length: f32,
    /// A word alone.
    single: f32,
    /// Mean cosine with all candidates: how general it is.
    general: f32,
}

const MATTER: Weights = Weights { similarity: 6.0, mentions: 0.5, length: -0.5, single: -1.5, general: -8.0 };
const TALK: Weights = Weights { similarity: 2.0, mentions: 1.0, length: -1.0, single: 0.0, general: 3.0 };
/// Said in the first sentence: a title, or what the call is about.
const FIRST: f32 = 0.5;
/// More than three words.
const LONG: f32 = -1.0;

/// A phrase that may be a keyphrase.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Cased as people say it inside a sentence.
    pub phrase: String,
    /// Stems of its words: what makes two mentions one phrase.
    pub stems: Vec<String>,
    /// Text and tokens of each mention, also inside longer candidates.
    pub mentions: Vec<(usize, Range<usize>)>,
    /// Whether the first sentence has it.
    first: bool,
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

/// Words that lead into a noun group and say nothing of it.
const MODIFIERS: &str = "existing traditional conventional proposed given actual novel current basic corresponding sub \
    related overall common potential significant appropriate individual specific successful similar additional alternative present \
    fundamental essential considerable effective efficient popular large real-life author authors paper papers article articles \
    study studies example examples section e.g i.e such many well least whole great less new various different general available \
    following well-known";

static LEADING: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let nltk = stop_words::get(stop_words::Language::English).iter().copied();
    nltk.chain(MODIFIERS.split_whitespace()).chain(FILLERS.iter().copied()).collect()
});

/// Words of texts that tell of people, or in which they talk.
const TELLING: [&str; 14] =
    ["said", "was", "were", "had", "he", "she", "his", "her", "they", "who", "says", "told", "i", "you"];

/// Shares of such words and of names from which a text begins to be talk, and is nothing else. Three of four abstracts of Inspec
/// lie below the first and three of four news stories of KPCrowd above the second.
const TALK_BETWEEN: (f32, f32) = (0.03, 0.08);

/// How phrases are looked for and weighed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Whether the words of [`SPOKEN`] part phrases, too, and a phrase hides its parts.
    spoken: bool,
    /// Share of [`TALK`] in the weights, the rest being [`MATTER`]'s.
    talk: f32,
}

impl Manner {
    /// Of a conversation: its words part phrases as in talk, and what it is about is named in terms as a matter is. Chosen by
    /// reading the fixtures' keyphrases.
    pub const CALL: Self = Self { spoken: true, talk: 0.0 };

    /// Of a text by one speaker or writer.
    pub fn of(texts: &[Text<'_>]) -> Self {
        let talk = talk(texts);
        Self { spoken: talk >= MOSTLY_TALK, talk }
    }
}

/// How much a text is talk, 0..1: by its share of pronouns and of names inside sentences.
fn talk(texts: &[Text<'_>]) -> f32 {
    let (mut words, mut telling) = (0, 0);
    for text in texts {
        let raw = |i: usize| &text.raw[text.tokens[i].bytes.clone()];
        for (i, token) in text.tokens.iter().enumerate().filter(|(_, token)| token.is_word) {
            words += 1;
            // "I'll" is "I", too.
            let own = token.lower.split('\'').next().unwrap_or_default();
            let name = || {
                let mut letters = raw(i).chars();
                letters.next().is_some_and(char::is_uppercase)
                    && letters.next().is_some_and(char::is_lowercase)
                    && i > 0
                    && raw(i - 1).ends_with(|c: char| c.is_lowercase() || c == ',')
            };
            telling += usize::from(TELLING.contains(&own) || name());
        }
    }
    let share = telling as f32 / words.max(1) as f32;
    ((share - TALK_BETWEEN.0) / (TALK_BETWEEN.1 - TALK_BETWEEN.0)).clamp(0.0, 1.0)
}

/// From this on a text is spoken.
const MOSTLY_TALK: f32 = 0.5;

/// Whether a word can stand in a keyphrase.
fn is_content(lower: &str, spoken: bool) -> bool {
    lower.chars().any(char::is_alphabetic) && !LEADING.contains(lower) && !(spoken && STOP.contains(lower))
}

/// A token without its possessive.
fn own(token: &Token) -> &str {
    token.lower.strip_suffix("'s").unwrap_or(&token.lower)
}

/// The noun groups of a text, as ranges of tokens.
fn groups(text: &Text<'_>, names: &HashSet<String>, spoken: bool) -> Vec<Range<usize>> {
    let numbers = crate::numbers::find(&text.tokens);
    let counted = |i: usize| {
        let before = numbers.partition_point(|n| n.tokens.start <= i);
        before > 0 && numbers[before - 1].tokens.contains(&i)
    };
    let mut found = Vec::new();
    for (sentence, _) in text.sentence_ranges() {
        let words: Vec<usize> = sentence.clone().filter(|&i| text.tokens[i].is_word).collect();
        let capital = |i: usize| text.raw[text.tokens[i].bytes.clone()].starts_with(char::is_uppercase);
        let said: Vec<(&str, bool)> = words.iter().map(|&i| (text.tokens[i].lower.as_str(), capital(i))).collect();
        let classes: HashMap<usize, Class> = words.iter().copied().zip(word_classes::of_sentence(&said)).collect();
        let part = |i: usize| {
            let token = &text.tokens[i];
            // "The quote quote": a stutter is no phrase.
            let stutter = i > sentence.start && text.tokens[i - 1].lower == token.lower;
            let group = classes.get(&i).is_some_and(|class| *class != Class::Other);
            group && !stutter && is_content(&token.lower, spoken) && !names.contains(own(token)) && !counted(i)
        };
        let mut i = sentence.start;
        while i < sentence.end {
            let end = (i..sentence.end).find(|&j| !part(j)).unwrap_or(sentence.end);
            let noun = (i..end).rev().find(|j| classes.get(j) == Some(&Class::Noun));
            if let Some(last) = noun {
                let group = i.max((last + 1).saturating_sub(LONGEST))..last + 1;
                if says(text, &group, spoken) {
                    found.push(group);
                }
            }
            i = end.max(i + 1);
        }
    }
    found
}

/// Whether a group says anything: a letter or two, words of talk alone, or a verb of errands ("call", "email") do not.
fn says(text: &Text<'_>, group: &Range<usize>, spoken: bool) -> bool {
    let lower = |i: usize| text.tokens[i].lower.as_str();
    let length = text.slice(group.clone()).chars().count();
    let empty = |word: &str| word.chars().count() < 2 || STOP.contains(word);
    let errand = spoken && group.len() == 1 && grammar::is_verb(lower(group.start));
    length > 2 && !errand && !group.clone().all(|i| empty(lower(i)))
}

/// The stems of a phrase within another, and where it is.
type Inside = (Vec<String>, (usize, Range<usize>));

/// The candidates of a call, in the order of their first mention.
///
/// `names` are words that stop a phrase like stop words do: the speakers' own names.
pub(crate) fn candidates(texts: &[Text<'_>], names: &HashSet<String>, manner: Manner) -> Vec<Candidate> {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut found: BTreeMap<Vec<String>, Candidate> = BTreeMap::new();
    let mut starts: HashSet<(usize, usize)> = HashSet::new();
    for (nth, text) in texts.iter().enumerate() {
        let sentences: Vec<Range<usize>> = text.sentence_ranges().into_iter().map(|(sentence, _)| sentence).collect();
        let first = sentences.first().map_or(0, |sentence| sentence.end);
        starts.extend(sentences.iter().map(|sentence| (nth, sentence.start)));
        for tokens in groups(text, names, manner.spoken) {
            let stems: Vec<String> =
                text.tokens[tokens.clone()].iter().map(|token| stemmer.stem(own(token)).into_owned()).collect();
            let candidate = found.entry(stems.clone()).or_insert_with(|| Candidate {
                phrase: String::new(),
                stems,
                mentions: Vec::new(),
                first: nth == 0 && tokens.start < first,
            });
            candidate.mentions.push((nth, tokens));
        }
    }
    let mut inside: Vec<Inside> = Vec::new();
    for candidate in found.values() {
        for length in 1..candidate.stems.len() {
            for (at, part) in candidate.stems.windows(length).enumerate().filter(|(_, part)| found.contains_key(*part))
            {
                let mentions = candidate.mentions.iter();
                let part_of =
                    |(nth, tokens): &(usize, Range<usize>)| (*nth, tokens.start + at..tokens.start + at + length);
                inside.extend(mentions.map(|mention| (part.to_vec(), part_of(mention))));
            }
        }
    }
    for (stems, mention) in inside {
        found.entry(stems).and_modify(|candidate| candidate.mentions.push(mention));
    }
    let mut found: Vec<Candidate> = found.into_values().collect();
    for candidate in &mut found {
        candidate.mentions.sort_by_key(|(nth, tokens)| (*nth, tokens.start));
        candidate.phrase = spelled(texts, &candidate.mentions, &starts);
    }
    let in_order =
        |a: &Candidate, b: &Candidate| place(a).cmp(&place(b)).then_with(|| b.stems.len().cmp(&a.stems.len()));
    found.sort_by(in_order);
    if found.len() > CLOSELY {
        let weight = |c: &Candidate| weigh(c, Likeness::default(), manner.talk);
        // The sort keeps the order of equals, and so does the one after it.
        found.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        found.truncate(CLOSELY);
        found.sort_by(in_order);
    }
    found
}

fn place(candidate: &Candidate) -> (usize, usize) {
    candidate.mentions.first().map_or((0, 0), |(nth, tokens)| (*nth, tokens.start))
}

/// The phrase as first said, cased as inside a sentence; where its words only open sentences, a common one loses its capital.
/// `starts` are the tokens that open sentences.
fn spelled(texts: &[Text<'_>], mentions: &[(usize, Range<usize>)], starts: &HashSet<(usize, usize)>) -> String {
    let Some((nth, tokens)) = mentions.first() else { return String::new() };
    let lower = |nth: usize, tokens: &Range<usize>| -> Vec<&str> {
        texts[nth].tokens[tokens.clone()].iter().map(|token| token.lower.as_str()).collect()
    };
    let said = lower(*nth, tokens);
    let inside = mentions.iter().find(|(n, at)| !starts.contains(&(*n, at.start)) && lower(*n, at) == said);
    let (nth, tokens) = inside.unwrap_or(&mentions[0]);
    let text = &texts[*nth];
    let words: Vec<&str> = tokens.clone().map(|i| &text.raw[text.tokens[i].bytes.clone()]).collect();
    let phrase = words.join(" ");
    let phrase = phrase.strip_suffix("'s").or_else(|| phrase.strip_suffix("\u{2019}s")).unwrap_or(&phrase);
    let capital_only = words[0].chars().skip(1).all(|c| !c.is_uppercase());
    if inside.is_none() && capital_only && word_classes::is_common(said[0]) {
        let mut letters = phrase.chars();
        let first: String = letters.next().map(|c| c.to_lowercase().collect()).unwrap_or_default();
        return first + letters.as_str();
    }
    phrase.to_owned()
}

/// What a candidate is like: to the whole, and to all candidates, as cosines. Zeros without an encoder.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Likeness {
    pub whole: f32,
    pub candidates: f32,
}

fn weigh(candidate: &Candidate, like: Likeness, talk: f32) -> f32 {
    let mix = |of: fn(&Weights) -> f32| talk * of(&TALK) + (1.0 - talk) * of(&MATTER);
    let words = candidate.stems.len();
    let mentions = candidate.mentions.len() as f32;
    let when = |holds: bool, weight: f32| if holds { weight } else { 0.0 };
    mix(|w| w.similarity) * like.whole
        + mix(|w| w.general) * like.candidates
        + mix(|w| w.mentions) * mentions.ln()
        + mix(|w| w.length) * (words as f32).ln()
        + when(words == 1, mix(|w| w.single))
        + when(words > 3, LONG)
        + when(candidate.first, FIRST)
}

/// The best phrases and their scores (0..1), best first. `like` says what each candidate is like, `between` the similarity of
/// two.
pub(crate) fn choose(
    candidates: &[Candidate],
    like: &[Likeness],
    manner: Manner,
    between: &dyn Fn(usize, usize) -> f32,
    count: usize,
    diversity: f32,
) -> Vec<(usize, f32)> {
    let weights: Vec<f32> = candidates.iter().zip(like).map(|(c, like)| weigh(c, *like, manner.talk)).collect();
    let (low, high) = weights.iter().fold((f32::MAX, f32::MIN), |(l, h), &w| (l.min(w), h.max(w)));
    let scores: Vec<f32> = weights.iter().map(|w| (w - low) / (high - low).max(f32::MIN_POSITIVE)).collect();
    let mut chosen: Vec<(usize, f32)> = Vec::new();
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    let mut nearest = vec![0.0f32; candidates.len()];
    while chosen.len() < count && !left.is_empty() {
        let margin = |i: usize| (1.0 - diversity) * scores[i] - diversity * nearest[i];
        // Ties go to what is said first.
        let best = left.iter().copied().reduce(|a, b| if margin(b) > margin(a) { b } else { a });
        let Some(best) = best else { break };
        chosen.push((best, scores[best]));
        let hides = |i: usize| manner.spoken && repeats(&candidates[i].stems, &candidates[best].stems);
        left.retain(|&i| i != best && !hides(i));
        for &i in &left {
            nearest[i] = nearest[i].max(between(i, best));
        }
    }
    chosen
}

/// Whether a phrase is part of one that was chosen.
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
        let found = candidates(&texts, &HashSet::new(), Manner::CALL);
        let phrases: Vec<(&str, usize)> = found.iter().map(|c| (c.phrase.as_str(), c.mentions.len())).collect();
        assert_eq!(phrases, [("revised quote", 1), ("call recording", 3), ("data centers", 1)]);
    }

    #[test]
    fn chosen_phrases_do_not_repeat() {
        let texts = [Text::new("The reporting package and the reporting package price, the reporting, the package.")];
        let found = candidates(&texts, &HashSet::new(), Manner::CALL);
        let chosen = choose(
            &found,
            &vec![Likeness::default(); found.len()],
            Manner::of(&texts),
            &|a, b| shared(&found[a], &found[b]),
            5,
            0.3,
        );
        let phrases: Vec<&str> = chosen.iter().map(|(i, _)| found[*i].phrase.as_str()).collect();
        assert!(!phrases.is_empty() && phrases.len() <= 3, "{phrases:?}");
    }
}
