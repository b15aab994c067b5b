//! Which sentences make the summary.
//!
//! A greedy choice under a budget of words, of a monotone submodular worth: how much of the call the chosen sentences
//! cover, how evenly they lie over its topics, and whether they tell why, what came of it and what comes next. The shape
//! (coverage, diversity as a concave function over a partition, gain over a power of the cost) is that of H. Lin and J.
//! Bilmes, "A Class of Submodular Functions for Document Summarization", ACL 2011, sections 3 to 5; coverage is their
//! facility location, and the kinds of points are a second partition.

use crate::salience::Kept;
use inference::{Vector, cosine};
use std::collections::HashSet;

/// What a point is in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointKind {
    /// Why the call was made.
    Reason,
    /// What was talked about.
    Topic,
    /// What came of it.
    Outcome,
    /// What somebody is to do.
    NextStep,
}

impl PointKind {
    /// The value of `summaries.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Topic => "topic",
            Self::Outcome => "outcome",
            Self::NextStep => "next_step",
        }
    }

    /// Weight of the kind against coverage, and how fast a further point of the kind is worth less.
    const fn worth(self) -> (f32, f32) {
        match self {
            Self::Reason => (0.40, 1.6),
            Self::Topic => (0.0, 1.0),
            Self::Outcome => (0.32, 1.0),
            Self::NextStep => (0.40, 0.8),
        }
    }
}

/// Weight of an even spread over the topics.
const SPREAD: f32 = 0.25;

/// Weight of numbers, amounts, dates, names and causes.
const INFORMATION: f32 = 0.2;

/// Up to so many candidates, chosen ones are exchanged for others as long as that is worth more.
const EXCHANGED: usize = 60;

/// What is this like a chosen point says it again (echoes of crosstalk, repeated answers).
const SAME: f32 = 0.85;

/// A point that adds less than this is not worth its line.
pub(crate) const LEAST_GAIN: f32 = 0.05;

/// A sentence, or two that belong together, which may become a point.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its sentences, in order.
    pub(crate) sentences: Vec<usize>,
    /// Its words as the summary would say them.
    pub(crate) words: usize,
    /// Who says it, as a number, and the words of the name.
    pub(crate) speaker: (usize, usize),
    /// Its words and the speaker's name, as numbers in the list of what a summary keeps.
    pub(crate) bag: Vec<usize>,
    pub(crate) vector: Vector,
    pub(crate) kind: PointKind,
    /// How clearly it is of its kind, 0..1.
    pub(crate) clarity: f32,
    /// Numbers, amounts, dates, names and causes, 0..1.
    pub(crate) information: f32,
    /// How well it stands alone, 0..1; its gain is multiplied by this.
    pub(crate) quality: f32,
    /// Number of its topic.
    pub(crate) part: usize,
    /// Where it begins, as a share of the call's words.
    pub(crate) position: f32,
}

/// What is to be covered: a sentence that says something.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) vector: Vector,
    pub(crate) words: usize,
    pub(crate) part: usize,
}

/// What a choice is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taste {
    /// Weight of coverage, spread, kinds and information.
    points: f32,
    /// Weight of the words that a person's summary would keep, a dozen of them for one.
    kept: f32,
    /// Power of the quality that gains are multiplied by.
    quality: f32,
    /// Gains are divided by this power of the words: 0 favours long sentences, 1 short ones.
    cost: f32,
    /// Shorter candidates cost as much as this many words.
    least_cost: usize,
    /// How much less the end counts than the beginning: gains fall by a factor of e to this power.
    early: f32,
}

impl Taste {
    /// Points that are read one by one: each must stand alone and tell its part of the call. The words that summaries keep
    /// are left out of it: at a weight of 0.25 and 0.5 the fixtures' calls lost outcomes and promises to sentences with more
    /// content, garbled ones among them.
    pub(crate) const POINTS: Self =
        Self { points: 1.0, kept: 0.0, quality: 1.0, cost: 0.35, least_cost: 9, early: 0.0 };
    /// A text of a given length: as much as fits of what a person would keep. Chosen on the development sets: coverage and
    /// kinds at half the weight cost 0.3 to 0.8 points of ROUGE-1, quality 0.2 to 0.7.
    pub(crate) const TEXT: Self = Self { points: 0.0, kept: 1.0, quality: 0.0, cost: 0.8, least_cost: 1, early: 0.5 };
}

/// How much may be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) points: usize,
    pub(crate) words: usize,
    pub(crate) next_steps: usize,
    /// A point that adds less is left out.
    pub(crate) least_gain: f32,
    pub(crate) taste: Taste,
}

/// A chosen candidate with the share of the call that it covers alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) candidate: usize,
    pub(crate) covers: f32,
}

/// The chosen candidates, in the order of the call. `kept` says how likely a person's summary has each word once, twice,
/// three times; for points it may be empty, and so may their bags.
pub(crate) fn choose(targets: &[Target], candidates: &[Candidate], kept: &[Kept], limits: Limits) -> Vec<Chosen> {
    let ground = Ground::new(targets, candidates, kept, limits);
    let mut best = State::of(&ground, &[]);
    best.fill(&ground);
    if candidates.len() <= EXCHANGED {
        while let Some(better) = exchange(&ground, &best) {
            best = better;
        }
    }
    let mut chosen = best.chosen;
    chosen.sort_by_key(|&i| candidates[i].sentences[0]);
    chosen.into_iter().map(|candidate| Chosen { candidate, covers: ground.covers(candidate) }).collect()
}

/// The first choice that is worth more with one candidate in another's place.
fn exchange(ground: &Ground<'_>, state: &State) -> Option<State> {
    for out in 0..state.chosen.len() {
        for new in (0..ground.candidates.len()).filter(|i| !state.chosen.contains(i)) {
            let mut set = state.chosen.clone();
            set[out] = new;
            let mut next = State::of(ground, &set);
            if next.chosen.len() == set.len() {
                next.fill(ground);
                if next.worth > state.worth + 1e-4 {
                    return Some(next);
                }
            }
        }
    }
    None
}

/// What does not change while points are chosen.
struct Ground<'a> {
    candidates: &'a [Candidate],
    kept: &'a [Kept],
    limits: Limits,
    /// Weight of each target: its share of the words.
    weight: Vec<f32>,
    /// Likeness of each candidate to each target.
    like: Vec<Vec<f32>>,
    part_weight: Vec<f32>,
}

impl<'a> Ground<'a> {
    fn new(targets: &[Target], candidates: &'a [Candidate], kept: &'a [Kept], limits: Limits) -> Self {
        let all_words = targets.iter().map(|t| t.words).sum::<usize>().max(1) as f32;
        let weight: Vec<f32> = targets.iter().map(|t| t.words as f32 / all_words).collect();
        let like = |c: &Candidate| targets.iter().map(|t| cosine(&c.vector, &t.vector).max(0.0)).collect();
        let parts = targets.iter().map(|t| t.part).chain(candidates.iter().map(|c| c.part)).max().map_or(0, |p| p + 1);
        let mut part_weight = vec![0.0f32; parts];
        targets.iter().zip(&weight).for_each(|(t, w)| part_weight[t.part] += w);
        Self { candidates, kept, limits, weight, like: candidates.iter().map(like).collect(), part_weight }
    }

    /// Share of the call that a candidate is like.
    fn covers(&self, candidate: usize) -> f32 {
        self.like[candidate].iter().zip(&self.weight).map(|(l, w)| l * w).sum()
    }

    /// Words of a text of these candidates in the order of the call, a speaker named where it changes.
    fn length(&self, chosen: &[usize]) -> usize {
        let mut order: Vec<&Candidate> = chosen.iter().map(|&i| &self.candidates[i]).collect();
        order.sort_by_key(|c| c.sentences[0]);
        let mut speaker = None;
        let words = order.iter().map(|c| {
            let name = if speaker == Some(c.speaker.0) { 0 } else { c.speaker.1 };
            speaker = Some(c.speaker.0);
            c.words + name
        });
        words.sum()
    }
}

/// A choice so far, and what it is worth.
struct State {
    chosen: Vec<usize>,
    taken: HashSet<usize>,
    covered: Vec<f32>,
    in_part: Vec<f32>,
    in_kind: [f32; 4],
    /// How often each word is said.
    said: Vec<usize>,
    words: usize,
    next_steps: usize,
    worth: f32,
}

impl State {
    /// These candidates, those left out that do not fit.
    fn of(ground: &Ground<'_>, chosen: &[usize]) -> Self {
        let mut state = Self {
            chosen: Vec::new(),
            taken: HashSet::new(),
            covered: vec![0.0; ground.weight.len()],
            in_part: vec![0.0; ground.part_weight.len()],
            in_kind: [0.0; 4],
            said: vec![0; ground.kept.len()],
            words: 0,
            next_steps: 0,
            worth: 0.0,
        };
        let mut order = chosen.to_vec();
        order.sort_unstable();
        for i in order {
            if state.added(ground, i).is_some() {
                state.add(ground, i, state.gain(ground, i));
            }
        }
        state
    }

    /// Adds what gains most for its words, as long as something fits.
    fn fill(&mut self, ground: &Ground<'_>) {
        while self.chosen.len() < ground.limits.points {
            let best = (0..ground.candidates.len())
                .filter_map(|i| {
                    let taste = ground.limits.taste;
                    let cost = (self.added(ground, i)?.max(taste.least_cost) as f32 / 12.0).powf(taste.cost);
                    let gain = self.gain(ground, i);
                    Some((i, gain, gain / cost))
                })
                .max_by(|a, b| a.2.total_cmp(&b.2).then(b.0.cmp(&a.0)));
            match best {
                Some((i, gain, _)) if gain >= ground.limits.least_gain || self.chosen.is_empty() => {
                    self.add(ground, i, gain);
                }
                _ => break,
            }
        }
    }

    /// Words that a candidate would add, if it fits.
    fn added(&self, ground: &Ground<'_>, i: usize) -> Option<usize> {
        let (c, limits) = (&ground.candidates[i], ground.limits);
        let room = self.words + c.words <= limits.words + c.speaker.1
            && (c.kind != PointKind::NextStep || self.next_steps < limits.next_steps)
            && !c.sentences.iter().any(|s| self.taken.contains(s));
        let same = |o: &usize| cosine(&ground.candidates[*o].vector, &c.vector) >= SAME;
        if !room || self.chosen.iter().any(same) {
            return None;
        }
        let length = ground.length(&[&self.chosen[..], &[i]].concat());
        (length <= limits.words).then(|| length.saturating_sub(self.words))
    }

    fn gain(&self, ground: &Ground<'_>, i: usize) -> f32 {
        let c = &ground.candidates[i];
        let coverage: f32 = ground.like[i]
            .iter()
            .zip(&self.covered)
            .zip(&ground.weight)
            .map(|((l, had), w)| w * (l - had).max(0.0))
            .sum();
        let merit = 0.5 + 0.5 * c.information;
        let spread =
            ground.part_weight[c.part].sqrt() * ((self.in_part[c.part] + merit).sqrt() - self.in_part[c.part].sqrt());
        let (worth, rate) = c.kind.worth();
        let had = self.in_kind[c.kind as usize];
        let kind = worth * ((-rate * had).exp() - (-rate * (had + c.clarity)).exp());
        let kept: f32 = c
            .bag
            .iter()
            .enumerate()
            .filter_map(|(at, &word)| {
                let before = c.bag[..at].iter().filter(|&&w| w == word).count();
                ground.kept[word].get(self.said[word] + before)
            })
            .sum();
        let taste = ground.limits.taste;
        let told = coverage + SPREAD * spread + kind + INFORMATION * c.information;
        c.quality.powf(taste.quality)
            * (-taste.early * c.position).exp()
            * (taste.points * told + taste.kept * kept / 12.0)
    }

    fn add(&mut self, ground: &Ground<'_>, i: usize, gain: f32) {
        let c = &ground.candidates[i];
        self.covered.iter_mut().zip(&ground.like[i]).for_each(|(had, l)| *had = had.max(*l));
        self.in_part[c.part] += 0.5 + 0.5 * c.information;
        self.in_kind[c.kind as usize] += c.clarity;
        c.bag.iter().for_each(|&word| self.said[word] += 1);
        self.taken.extend(&c.sentences);
        self.next_steps += usize::from(c.kind == PointKind::NextStep);
        self.chosen.push(i);
        self.words = ground.length(&self.chosen);
        self.worth += gain;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(at: usize, vector: [f32; 3], kind: PointKind, part: usize) -> Candidate {
        Candidate {
            sentences: vec![at],
            words: 10,
            speaker: (0, 0),
            bag: Vec::new(),
            vector: vector.into(),
            kind,
            clarity: 1.0,
            information: 0.0,
            quality: 1.0,
            part,
            position: 0.0,
        }
    }

    fn targets(candidates: &[Candidate]) -> Vec<Target> {
        candidates.iter().map(|c| Target { vector: c.vector.clone(), words: c.words, part: c.part }).collect()
    }

    const LIMITS: Limits =
        Limits { points: 8, words: 1000, next_steps: 3, least_gain: LEAST_GAIN, taste: Taste::POINTS };

    fn indices(chosen: &[Chosen]) -> Vec<usize> {
        chosen.iter().map(|c| c.candidate).collect()
    }

    #[test]
    fn what_repeats_is_left_out() {
        use PointKind::Topic;
        let candidates = [
            candidate(0, [1.0, 0.0, 0.0], Topic, 0),
            candidate(1, [0.99, 0.1, 0.0], Topic, 1),
            candidate(2, [0.0, 1.0, 0.0], Topic, 0),
        ];
        let mut chosen = indices(&choose(&targets(&candidates), &candidates, &[], LIMITS));
        chosen.sort_unstable();
        assert!(chosen == [0, 2] || chosen == [1, 2], "{chosen:?}");
    }

    #[test]
    fn kinds_come_in_and_limits_hold() {
        use PointKind::{NextStep, Reason, Topic};
        let vectors = [[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [0.8, 0.5, 0.1], [0.5, 0.5, 0.5], [0.0, 0.2, 1.0]];
        let kinds = [Topic, Reason, NextStep, NextStep, NextStep];
        let candidates: Vec<Candidate> =
            vectors.into_iter().zip(kinds).enumerate().map(|(i, (v, k))| candidate(i, v, k, 0)).collect();
        let chosen = indices(&choose(&targets(&candidates), &candidates, &[], Limits { next_steps: 1, ..LIMITS }));
        assert!(chosen.contains(&1));
        assert_eq!(chosen.iter().filter(|i| **i >= 2).count(), 1);
        let chosen = indices(&choose(&targets(&candidates), &candidates, &[], Limits { words: 25, ..LIMITS }));
        assert_eq!(chosen.len(), 2);
    }

    #[test]
    fn a_sentence_is_chosen_once() {
        let mut pair = candidate(0, [1.0, 0.5, 0.0], PointKind::Topic, 0);
        pair.sentences = vec![0, 1];
        let candidates = [candidate(0, [1.0, 0.0, 0.0], PointKind::Topic, 0), pair];
        assert_eq!(choose(&targets(&candidates[..1]), &candidates, &[], LIMITS).len(), 1);
    }

    #[test]
    fn nothing_to_choose() {
        assert_eq!(choose(&[], &[], &[], LIMITS), []);
    }
}
