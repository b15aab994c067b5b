//! From turns to points.

use crate::{
    SummarizeConfig,
    compress::compress,
    cues::Cues,
    drafts::{Draft, Sentence, alone, drafts, kind, quality, says},
    salience::{kept, words},
    select::{Candidate, LEAST_GAIN, Limits, PointKind, Target, Taste, choose},
    sentences::{Token, sentences, tokens},
};
use inference::{InferenceError, SentenceEncoder, Vector};
use rayon::prelude::*;
use schema::{Word, confidence};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

/// What is said about a call whose topics are not known is taken in parts of so many words.
const PART_WORDS: usize = 120;

/// A clause of a short summary has at least so many words.
const CLAUSE_WORDS: usize = 8;

/// A sentence of less confidence ([`confidence`]) is taken as garbled, and is no point. Chosen on the fixtures.
const UNDERSTOOD: f32 = 0.7;

/// One turn of a dialogue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// agent, customer or any other name of the side; none where unknown.
    pub role: Option<String>,
    /// What was said.
    pub text: String,
    /// The words with their times, where they are known: pauses help where the text has no marks.
    pub words: Vec<Word>,
}

/// What is summarised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dialogue {
    /// The turns.
    pub lines: Vec<Line>,
    /// The topics, as ranges of turns; may be empty.
    pub topics: Vec<Range<usize>>,
    /// Words of the summary, in place of what the configuration says: filled as far as sentences fit.
    pub max_words: Option<usize>,
}

/// A point of a summary: a sentence, two of a turn that follow each other, or a question and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it is in the summary.
    pub kind: PointKind,
    /// What was said, in the order of the call; at least one.
    pub parts: Vec<Part>,
    /// Share of the call's content that is like it, 0..1, rounded to thousandths.
    pub score: f32,
}

/// Consecutive sentences of one turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The turn.
    pub turn: usize,
    /// Where they stand in the turn's text, in Unicode scalars.
    pub chars: Range<usize>,
    /// The sentences, lightly compressed.
    pub text: String,
}

impl Point {
    /// The point said with the speakers' roles: "Customer: Is it late? Agent: By two days."; where a role is unknown, the
    /// words alone.
    pub fn said(&self, lines: &[Line]) -> String {
        let part = |part: &Part| {
            let mut role = lines.get(part.turn).and_then(|l| l.role.as_deref()).unwrap_or_default().chars();
            match role.next() {
                Some(first) => format!("{}{}: {}", first.to_uppercase(), role.as_str(), part.text),
                None => part.text.clone(),
            }
        };
        self.parts.iter().map(part).collect::<Vec<_>>().join(" ")
    }

    /// The turn that the point is taken from: that of the answer, where it is a question and its answer.
    pub fn turn(&self) -> usize {
        self.parts.last().map_or(0, |p| p.turn)
    }
}

/// The points as one text in the order of the call, a speaker named where it changes: what `eval summary` reads.
pub fn text(points: &[Point], lines: &[Line]) -> String {
    let mut order: Vec<&Point> = points.iter().collect();
    order.sort_by_key(|p| (p.parts[0].turn, p.parts[0].chars.start));
    text_of(&order.iter().map(|p| &p.parts[..]).collect::<Vec<_>>(), lines)
}

fn text_of(points: &[&[Part]], lines: &[Line]) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut speaker = None;
    for part in points.iter().copied().flatten() {
        let role = lines.get(part.turn).and_then(|l| l.role.as_deref()).unwrap_or_default();
        if speaker != Some(role) {
            let mut letters = role.chars();
            said.extend(letters.next().map(|first| format!("{}{}:", first.to_uppercase(), letters.as_str())));
            speaker = Some(role);
        }
        said.push(part.text.clone());
    }
    said.join(" ")
}

/// Writes extractive summaries. Shared between threads; the same dialogues give the same points.
pub struct Summarizer {
    config: SummarizeConfig,
    encoder: Arc<SentenceEncoder>,
}

struct Prepared {
    sentences: Vec<Sentence>,
    targets: Vec<usize>,
    drafts: Vec<Draft>,
}

impl Prepared {
    /// The texts of targets and drafts, each once: a sentence that stands alone is both.
    fn texts(&self) -> BTreeSet<&str> {
        let targets = self.targets.iter().map(|&t| self.sentences[t].text.as_str());
        targets.chain(self.drafts.iter().map(|d| d.text.as_str())).collect()
    }
}

impl Summarizer {
    /// A summarizer that embeds sentences with `encoder`.
    pub fn new(config: SummarizeConfig, encoder: Arc<SentenceEncoder>) -> Self {
        Self { config, encoder }
    }

    /// The points of each dialogue, by kind and then in the order of the call. The sentences of all dialogues are
    /// embedded together.
    pub fn summarize(&self, dialogues: &[Dialogue]) -> Result<Vec<Vec<Point>>, InferenceError> {
        let prepared: Vec<Prepared> = dialogues.par_iter().map(|d| self.prepare(d)).collect();
        let texts: Vec<&str> = prepared.iter().flat_map(Prepared::texts).collect();
        let mut vectors = self.encoder.embed_cached(&texts)?.into_iter();
        let vectors: Vec<BTreeMap<&str, Vector>> =
            prepared.iter().map(|p| p.texts().into_iter().zip(vectors.by_ref()).collect()).collect();
        Ok(dialogues
            .par_iter()
            .zip(&prepared)
            .zip(vectors)
            .map(|((dialogue, prepared), vectors)| self.points(dialogue, prepared, &vectors))
            .collect())
    }

    fn prepare(&self, dialogue: &Dialogue) -> Prepared {
        // A short summary of long sentences has room for few; their clauses fill it.
        let clause = dialogue.max_words.map_or(self.config.max_sentence_words, |words| (words / 3).max(CLAUSE_WORDS));
        let mut found: Vec<Sentence> = Vec::new();
        let mut before = 0;
        for (turn, line) in dialogue.lines.iter().enumerate() {
            let tokens = tokens(&line.text, &line.words);
            for part in sentences(&tokens, clause, self.config.max_sentence_words) {
                let tokens = &tokens[part];
                let text = tokens.iter().map(|t| t.text).collect::<Vec<_>>().join(" ");
                let words = tokens.iter().filter(|t: &&Token<'_>| t.is_word()).count();
                let chars = tokens[0].chars.start..tokens[tokens.len() - 1].chars.end;
                let role = line.role.clone();
                let clear = confidence(&line.text, &line.words, chars.clone()) >= UNDERSTOOD;
                found.push(Sentence { turn, role, chars, cues: Cues::of(&text), text, words, before, clear });
                before += words;
            }
        }
        let targets: Vec<usize> = (0..found.len()).filter(|&i| says(&found[i], 2)).collect();
        let drafts = if dialogue.max_words.is_some() { alone(&found) } else { drafts(&found) };
        Prepared { sentences: found, targets, drafts }
    }

    fn points(&self, dialogue: &Dialogue, prepared: &Prepared, vectors: &BTreeMap<&str, Vector>) -> Vec<Point> {
        let sentences = &prepared.sentences;
        let all_words = sentences.last().map_or(0, |s| s.before + s.words);
        let part = |s: &Sentence| {
            if dialogue.topics.is_empty() {
                s.before / PART_WORDS
            } else {
                dialogue.topics.iter().position(|t| t.contains(&s.turn)).unwrap_or(dialogue.topics.len())
            }
        };
        let vector = |text: &str| vectors.get(text).cloned().unwrap_or_else(|| Vector::from([]));
        let targets: Vec<Target> = prepared
            .targets
            .iter()
            .map(|&i| Target {
                vector: vector(&sentences[i].text),
                words: sentences[i].words,
                part: part(&sentences[i]),
            })
            .collect();
        let budget = dialogue.max_words.unwrap_or_else(|| self.config.words(all_words));
        let kept = dialogue.max_words.map(|words| kept(&dialogue.lines, words)).unwrap_or_default();
        let numbers: BTreeMap<&str, usize> = kept.keys().map(String::as_str).zip(0..).collect();
        let mut speakers: Vec<&str> = Vec::new();
        let candidates: Vec<Candidate> = prepared
            .drafts
            .iter()
            .map(|draft| {
                let (first, last) =
                    (&sentences[draft.sentences[0]], &sentences[draft.sentences[draft.sentences.len() - 1]]);
                let role = dialogue.lines[last.turn].role.as_deref();
                let text = text_of(&[(&parts(sentences, &draft.sentences)[..])], &dialogue.lines);
                let name = dialogue.lines[first.turn].role.as_deref().unwrap_or_default();
                let name_words = name.split_whitespace().count();
                let speaker = speakers.iter().position(|s| *s == name).unwrap_or_else(|| {
                    speakers.push(name);
                    speakers.len() - 1
                });
                let words_before = draft.sentences.iter().map(|&i| sentences[i].words).sum();
                let (kind, clarity) = kind(&draft.cues, role, first.before, all_words);
                Candidate {
                    sentences: draft.sentences.clone(),
                    words: text.split_whitespace().count().saturating_sub(name_words),
                    speaker: (speaker, name_words),
                    bag: words(&text).iter().filter_map(|word| numbers.get(word.as_str()).copied()).collect(),
                    vector: vector(&draft.text),
                    kind,
                    clarity,
                    information: draft.cues.information,
                    quality: quality(&draft.cues, words_before) * draft.alone,
                    part: part(first),
                    position: first.before as f32 / all_words.max(1) as f32,
                }
            })
            .collect();
        let limits = if dialogue.max_words.is_some() {
            // Who asks for so many words gets as many as there are sentences for.
            Limits { points: usize::MAX, words: budget, next_steps: usize::MAX, least_gain: 0.0, taste: Taste::TEXT }
        } else {
            Limits {
                points: self.config.max_points,
                words: budget,
                next_steps: self.config.max_next_steps,
                least_gain: LEAST_GAIN,
                taste: Taste::POINTS,
            }
        };
        let kept: Vec<_> = kept.into_values().collect();
        let chosen = choose(&targets, &candidates, &kept, limits);

        let of = |c: &Candidate| sentences[c.sentences[0]].turn;
        let reasons = chosen.iter().map(|c| &candidates[c.candidate]).filter(|c| c.kind == PointKind::Reason);
        let reason = reasons.max_by(|a, b| a.clarity.total_cmp(&b.clarity).then(of(b).cmp(&of(a)))).map(of);
        let mut points: Vec<(Point, &[usize])> = chosen
            .iter()
            .map(|c| {
                let candidate = &candidates[c.candidate];
                // One turn gives the reason; what sounds like one elsewhere is a topic.
                let elsewhere = candidate.kind == PointKind::Reason && reason != Some(of(candidate));
                let point = Point {
                    kind: if elsewhere { PointKind::Topic } else { candidate.kind },
                    parts: parts(sentences, &candidate.sentences),
                    score: (c.covers.clamp(0.0, 1.0) * 1000.0).round() / 1000.0,
                };
                (point, candidate.sentences.as_slice())
            })
            .collect();
        points.sort_by_key(|(_, sentences)| sentences[0]);
        let mut points = join(points);
        points.sort_by_key(|p| (p.kind, p.parts[0].turn, p.parts[0].chars.start));
        points
    }
}

/// Points in the order of the call, each with its sentences: those of a kind that follow each other in a turn become one.
fn join(points: Vec<(Point, &[usize])>) -> Vec<Point> {
    let mut joined: Vec<(Point, usize)> = Vec::new();
    for (point, sentences) in points {
        let last = sentences[sentences.len() - 1];
        if let ([part], Some((before, end))) = (&point.parts[..], joined.last_mut())
            && *end + 1 == sentences[0]
            && before.kind == point.kind
            && let Some(open) = before.parts.last_mut().filter(|open| open.turn == part.turn)
        {
            open.chars.end = part.chars.end;
            open.text = format!("{} {}", open.text, part.text);
            before.score = before.score.max(point.score);
            *end = last;
        } else {
            joined.push((point, last));
        }
    }
    joined.into_iter().map(|(point, _)| point).collect()
}

/// The sentences, those of a turn joined.
fn parts(sentences: &[Sentence], indices: &[usize]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for sentence in indices.iter().map(|&i| &sentences[i]) {
        let text = compress(&sentence.text);
        match parts.last_mut() {
            Some(part) if part.turn == sentence.turn => {
                part.chars.end = sentence.chars.end;
                part.text = format!("{} {text}", part.text);
            }
            _ => parts.push(Part { turn: sentence.turn, chars: sentence.chars.clone(), text }),
        }
    }
    parts
}
