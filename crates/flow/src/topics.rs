//! Where one topic ends and the next begins, from vectors of turns alone.
//!
//! The method is TextTiling (M. A. Hearst, "TextTiling: Segmenting Text into Multi-paragraph Subtopic Passages",
//! Computational Linguistics 23(1), 1997): compare windows on both sides of each gap, score each gap by how deep the
//! similarity dips there, and cut where the depth exceeds mean + c · standard deviation. The windows' similarity is the
//! cosine of their mean sentence vectors in place of Hearst's word counts; since vectors of turns dip more often than
//! counts of words, c is positive here, where Hearst subtracts a half or one deviation.

use crate::{TopicConfig, vocabulary::formula_share};
use inference::{Vector, cosine};
use schema::Turn;

/// Openings and closings are looked for among this many turns at each end of a call.
const EDGE_TURNS: usize = 8;

/// A dip shallower than this is noise of the encoder, whatever the other gaps are like.
const MIN_DEPTH: f32 = 0.05;

/// What a topic is in the course of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Opening,
    Discovery,
    Pricing,
    Objection,
    NextSteps,
    /// None of the others.
    Body,
    Closing,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Discovery => "discovery",
            Self::Pricing => "pricing",
            Self::Objection => "objection",
            Self::NextSteps => "next_steps",
            Self::Body => "body",
            Self::Closing => "closing",
        }
    }
}

/// A turn as the segmentation sees it.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Sentence vector.
    pub(crate) vector: Vector,
    /// Words that carry content; the vector's weight in a window.
    pub(crate) words: usize,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Whether it ends with a question: no topic ends between question and answer.
    pub(crate) asks: bool,
}

/// How many turns at the start greet, and how many at the end take leave. `light` turns (backchannels and the like)
/// belong to either where they stand among such turns.
pub(crate) fn edges(turns: &[Turn], light: &[bool]) -> (usize, usize) {
    let formula: Vec<bool> = turns.iter().map(|t| formula_share(&t.text) >= 0.5).collect();
    let run = |indices: &mut dyn Iterator<Item = usize>| {
        let belongs = indices.take(EDGE_TURNS).take_while(|&i| formula[i] || light[i]);
        // A light turn after the last formula belongs to what follows.
        belongs.enumerate().filter(|&(_, i)| formula[i]).map(|(n, _)| n + 1).last().unwrap_or(0)
    };
    let opening = run(&mut (0..turns.len()));
    let closing = run(&mut (opening..turns.len()).rev());
    (opening, closing)
}

/// The first unit of each topic after the first.
pub(crate) fn boundaries(config: &TopicConfig, units: &[Unit]) -> Vec<usize> {
    let similarity: Vec<f32> = (1..units.len())
        .map(|gap| {
            let left = window(config, units[..gap].iter().rev());
            let right = window(config, units[gap..].iter());
            cosine(&left, &right)
        })
        .collect();
    let depth: Vec<f32> = (0..similarity.len()).map(|gap| depth(&similarity, gap)).collect();
    let count = depth.len().max(1) as f32;
    let mean = depth.iter().sum::<f32>() / count;
    let deviation = (depth.iter().map(|d| (d - mean).powi(2)).sum::<f32>() / count).sqrt();
    let cutoff = (mean + config.depth * deviation).max(MIN_DEPTH);

    let mut gaps: Vec<usize> = (0..depth.len()).filter(|&g| depth[g] >= cutoff && !units[g].asks).collect();
    gaps.sort_by(|&a, &b| depth[b].total_cmp(&depth[a]).then(a.cmp(&b)));
    let mut found = vec![0, units.len()];
    for first in gaps.into_iter().map(|gap| gap + 1) {
        let at = found.partition_point(|&b| b < first);
        let long = |from: usize, to: usize| {
            to - from >= config.min_turns.max(1) && units[to - 1].end_ms - units[from].start_ms >= config.min_ms
        };
        if found.len() <= config.max_topics
            && found[at] != first
            && long(found[at - 1], first)
            && long(first, found[at])
        {
            found.insert(at, first);
        }
    }
    found.truncate(found.len() - 1);
    found.split_off(1)
}

/// The mean vector of the nearest units, each weighted by its words, up to the configured number of words.
fn window<'a>(config: &TopicConfig, units: impl Iterator<Item = &'a Unit>) -> Vec<f32> {
    let (mut sum, mut words) = (Vec::new(), 0);
    for unit in units {
        if words >= config.window_words {
            break;
        }
        let weight = unit.words.min(config.window_words - words);
        words += weight;
        sum.resize(unit.vector.len(), 0.0);
        sum.iter_mut().zip(&*unit.vector).for_each(|(s, v)| *s += v * weight as f32);
    }
    sum
}

/// Hearst's depth score: how far the similarity rises on both sides before it falls again.
fn depth(similarity: &[f32], gap: usize) -> f32 {
    let climb = |steps: &mut dyn Iterator<Item = &f32>| {
        let mut peak = similarity[gap];
        for &next in steps {
            if next < peak {
                break;
            }
            peak = next;
        }
        peak - similarity[gap]
    };
    climb(&mut similarity[..gap].iter().rev()) + climb(&mut similarity[gap + 1..].iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(i: usize, vector: [f32; 3], asks: bool) -> Unit {
        let start_ms = i as i64 * 5000;
        Unit { vector: vector.into(), words: 20, start_ms, end_ms: start_ms + 4500, asks }
    }

    /// Four units about one thing, then five about another.
    fn two_topics(asks: bool) -> Vec<Unit> {
        let about = |i: usize| if i < 4 { [1.0, 0.1, 0.0] } else { [0.1, 1.0, 0.0] };
        (0..9).map(|i| unit(i, about(i), asks && i == 3)).collect()
    }

    #[test]
    fn a_boundary_where_the_vectors_change() {
        let config = TopicConfig { window_words: 40, ..TopicConfig::default() };
        assert_eq!(boundaries(&config, &two_topics(false)), [4]);
    }

    #[test]
    fn question_and_answer_stay_together() {
        let config = TopicConfig { window_words: 40, ..TopicConfig::default() };
        assert!(!boundaries(&config, &two_topics(true)).contains(&4));
    }

    #[test]
    fn topics_have_a_least_length_and_a_greatest_number() {
        let config = TopicConfig { window_words: 40, ..TopicConfig::default() };
        assert_eq!(boundaries(&TopicConfig { min_turns: 5, ..config.clone() }, &two_topics(false)), [0; 0]);
        assert_eq!(boundaries(&TopicConfig { min_ms: 30_000, ..config.clone() }, &two_topics(false)), [0; 0]);
        assert_eq!(boundaries(&TopicConfig { max_topics: 1, ..config }, &two_topics(false)), [0; 0]);
    }

    #[test]
    fn few_units_and_equal_units_are_one_topic() {
        let same: Vec<Unit> = (0..9).map(|i| unit(i, [1.0, 0.0, 0.0], false)).collect();
        for n in 0..9 {
            assert_eq!(boundaries(&TopicConfig::default(), &same[..n]), [0; 0]);
        }
    }

    #[test]
    fn depth_by_hand() {
        let similarity = [0.5, 0.8, 0.2, 0.6, 0.4];
        assert!((depth(&similarity, 2) - (0.6 + 0.4)).abs() < 1e-6);
        assert!((depth(&similarity, 0) - 0.3).abs() < 1e-6);
        assert!(depth(&similarity, 1).abs() < 1e-6);
    }
}
