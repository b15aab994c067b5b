//! Which sentences make the summary.
//!
//! A greedy choice under a budget of words, of a monotone submodular worth: how much of the call the chosen sentences
//! cover, how evenly they lie over its topics, and whether they tell why, what came of it and what comes next. The shape
//! (coverage, diversity as a concave function over a partition, gain over a power of the cost) is that of H. Lin and J.
//! Bilmes, "A Class of Submodular Functions for Document Summarization", ACL 2011, sections 3 to 5; coverage is their
//! facility location, and the kinds of points are a second partition.

use inference::cosine;
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

/// Gains are divided by this power of the words: 0 favours long sentences, 1 short ones.
const COST: f32 = 0.35;

/// What is this like a chosen point says it again (echoes of crosstalk, repeated answers).
const SAME: f32 = 0.85;

/// A point that adds less than this is not worth its line.
pub(crate) const LEAST_GAIN: f32 = 0.05;

/// A sentence, or two that belong together, which may become a point.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its sentences, in order.
    pub(crate) sentences: Vec<usize>,
    pub(crate) words: usize,
    pub(crate) vector: Vec<f32>,
    pub(crate) kind: PointKind,
    /// How clearly it is of its kind, 0..1.
    pub(crate) clarity: f32,
    /// Numbers, amounts, dates, names and causes, 0..1.
    pub(crate) information: f32,
    /// How well it stands alone, 0..1; its gain is multiplied by this.
    pub(crate) quality: f32,
    /// Number of its topic.
    pub(crate) part: usize,
}

/// What is to be covered: a sentence that says something.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) vector: Vec<f32>,
    pub(crate) words: usize,
    pub(crate) part: usize,
}

/// How much may be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) points: usize,
    pub(crate) words: usize,
    pub(crate) next_steps: usize,
    /// A point that adds less is left out.
    pub(crate) least_gain: f32,
}

/// A chosen candidate with the share of the call that it covers alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) candidate: usize,
    pub(crate) covers: f32,
}

/// The chosen candidates, in the order of choice.
pub(crate) fn choose(targets: &[Target], candidates: &[Candidate], limits: Limits) -> Vec<Chosen> {
    let all_words = targets.iter().map(|t| t.words).sum::<usize>().max(1) as f32;
    let weight: Vec<f32> = targets.iter().map(|t| t.words as f32 / all_words).collect();
    let like: Vec<Vec<f32>> =
        candidates.iter().map(|c| targets.iter().map(|t| cosine(&c.vector, &t.vector).max(0.0)).collect()).collect();
    let parts = targets.iter().map(|t| t.part).chain(candidates.iter().map(|c| c.part)).max().map_or(0, |p| p + 1);
    let mut part_weight = vec![0.0f32; parts];
    targets.iter().zip(&weight).for_each(|(t, w)| part_weight[t.part] += w);

    let mut covered = vec![0.0f32; targets.len()];
    let mut in_part = vec![0.0f32; parts];
    let mut in_kind = [0.0f32; 4];
    let (mut words, mut next_steps): (usize, usize) = (0, 0);
    let (mut chosen, mut taken): (Vec<Chosen>, HashSet<usize>) = (Vec::new(), HashSet::new());
    while chosen.len() < limits.points {
        let fits = |c: &Candidate| {
            words + c.words <= limits.words
                && (c.kind != PointKind::NextStep || next_steps < limits.next_steps)
                && !c.sentences.iter().any(|s| taken.contains(s))
                && !chosen.iter().any(|o: &Chosen| cosine(&candidates[o.candidate].vector, &c.vector) >= SAME)
        };
        let gain = |i: usize| {
            let c = &candidates[i];
            let coverage: f32 =
                like[i].iter().zip(&covered).zip(&weight).map(|((l, had), w)| w * (l - had).max(0.0)).sum();
            let merit = 0.5 + 0.5 * c.information;
            let spread = part_weight[c.part].sqrt() * ((in_part[c.part] + merit).sqrt() - in_part[c.part].sqrt());
            let (worth, rate) = c.kind.worth();
            let had = in_kind[c.kind as usize];
            let kind = worth * ((-rate * had).exp() - (-rate * (had + c.clarity)).exp());
            c.quality * (coverage + SPREAD * spread + kind + INFORMATION * c.information)
        };
        let cost = |i: usize| (candidates[i].words.max(9) as f32 / 12.0).powf(COST);
        let best = (0..candidates.len())
            .filter(|&i| fits(&candidates[i]))
            .map(|i| (i, gain(i)))
            .max_by(|a, b| (a.1 / cost(a.0)).total_cmp(&(b.1 / cost(b.0))).then(b.0.cmp(&a.0)));
        let Some((best, gain)) = best else { break };
        if gain < limits.least_gain && !chosen.is_empty() {
            break;
        }
        let c = &candidates[best];
        covered.iter_mut().zip(&like[best]).for_each(|(had, l)| *had = had.max(*l));
        in_part[c.part] += 0.5 + 0.5 * c.information;
        in_kind[c.kind as usize] += c.clarity;
        words += c.words;
        taken.extend(&c.sentences);
        next_steps += usize::from(c.kind == PointKind::NextStep);
        let covers = like[best].iter().zip(&weight).map(|(l, w)| l * w).sum();
        chosen.push(Chosen { candidate: best, covers });
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(at: usize, vector: [f32; 3], kind: PointKind, part: usize) -> Candidate {
        Candidate {
            sentences: vec![at],
            words: 10,
            vector: vector.to_vec(),
            kind,
            clarity: 1.0,
            information: 0.0,
            quality: 1.0,
            part,
        }
    }

    fn targets(candidates: &[Candidate]) -> Vec<Target> {
        candidates.iter().map(|c| Target { vector: c.vector.clone(), words: c.words, part: c.part }).collect()
    }

    const LIMITS: Limits = Limits { points: 8, words: 1000, next_steps: 3, least_gain: LEAST_GAIN };

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
        let mut chosen = indices(&choose(&targets(&candidates), &candidates, LIMITS));
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
        let chosen = indices(&choose(&targets(&candidates), &candidates, Limits { next_steps: 1, ..LIMITS }));
        assert!(chosen.contains(&1));
        assert_eq!(chosen.iter().filter(|i| **i >= 2).count(), 1);
        let chosen = indices(&choose(&targets(&candidates), &candidates, Limits { words: 25, ..LIMITS }));
        assert_eq!(chosen.len(), 2);
    }

    #[test]
    fn a_sentence_is_chosen_once() {
        let mut pair = candidate(0, [1.0, 0.5, 0.0], PointKind::Topic, 0);
        pair.sentences = vec![0, 1];
        let candidates = [candidate(0, [1.0, 0.0, 0.0], PointKind::Topic, 0), pair];
        assert_eq!(choose(&targets(&candidates[..1]), &candidates, LIMITS).len(), 1);
    }

    #[test]
    fn nothing_to_choose() {
        assert_eq!(choose(&[], &[], LIMITS), []);
    }
}
