//! Words right and wrong: minimal edit distance and what follows from it.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};

/// How a hypothesis differs from its reference, in words. Sums over a corpus by `+`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    /// Words of the reference.
    pub words: u64,
    /// Words of the reference that the hypothesis lacks.
    pub deletions: u64,
    /// Words that the reference lacks.
    pub insertions: u64,
    /// Words that are others.
    pub substitutions: u64,
}

impl Edits {
    /// Compares two texts after [`normalize_english`](crate::normalize_english).
    pub fn of(reference: &str, hypothesis: &str) -> Self {
        let (reference, hypothesis) = (crate::normalize_english(reference), crate::normalize_english(hypothesis));
        Self::between(
            &reference.split_whitespace().collect::<Vec<_>>(),
            &hypothesis.split_whitespace().collect::<Vec<_>>(),
        )
    }

    /// Compares two word sequences as they are.
    pub fn between<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Self {
        let mut edits = Self { words: reference.len() as u64, ..Self::default() };
        for step in align(reference, hypothesis) {
            match step {
                Step::Equal(..) => {}
                Step::Substitute(..) => edits.substitutions += 1,
                Step::Delete(_) => edits.deletions += 1,
                Step::Insert(_) => edits.insertions += 1,
            }
        }
        edits
    }

    /// Deletions, insertions and substitutions together.
    pub fn errors(&self) -> u64 {
        self.deletions + self.insertions + self.substitutions
    }

    /// Errors over words of the reference: a share that can exceed 1. Without words, the number of insertions, which is
    /// what jiwer 4 says.
    pub fn wer(&self) -> f64 {
        self.errors() as f64 / self.words.max(1) as f64
    }
}

impl Add for Edits {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            words: self.words + other.words,
            deletions: self.deletions + other.deletions,
            insertions: self.insertions + other.insertions,
            substitutions: self.substitutions + other.substitutions,
        }
    }
}

impl AddAssign for Edits {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Edits {
    fn sum<I: Iterator<Item = Self>>(edits: I) -> Self {
        edits.fold(Self::default(), Add::add)
    }
}

/// One step of an alignment, with positions in the reference and in the hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The same word.
    Equal(usize, usize),
    /// Another word.
    Substitute(usize, usize),
    /// A word of the reference alone.
    Delete(usize),
    /// A word of the hypothesis alone.
    Insert(usize),
}

/// Set where the distance grows by one from the row above: the word of the reference can be deleted.
const GROWS: u8 = 1;
/// Set where the distance shrinks by one from the row above.
const SHRINKS: u8 = 2;

/// Aligns with the fewest edits. Where several alignments have the fewest, the choice is that of rapidfuzz (and so of
/// jiwer): from the end, a deletion before an insertion before a pair. Takes a byte for each pair of words that is left
/// between the common beginning and the common end.
pub fn align<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Vec<Step> {
    let head = reference.iter().zip(hypothesis).take_while(|(a, b)| a == b).count();
    let (a, b) = (&reference[head..], &hypothesis[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);

    let width = b.len() + 1;
    let mut slope = vec![0_u8; a.len() * width];
    let mut above: Vec<u32> = (0..=b.len() as u32).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = above[0];
        let mut left = above[0] + 1;
        above[0] = left;
        slope[i * width] = GROWS;
        for (j, y) in b.iter().enumerate() {
            let up = above[j + 1];
            let here = (diagonal + u32::from(x != y)).min(up + 1).min(left + 1);
            slope[i * width + j + 1] = u8::from(here > up) * GROWS + u8::from(here < up) * SHRINKS;
            (diagonal, left, above[j + 1]) = (up, here, here);
        }
    }

    let mut steps: Vec<Step> =
        (0..tail).map(|k| Step::Equal(reference.len() - 1 - k, hypothesis.len() - 1 - k)).collect();
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        let row = (i - 1) * width;
        if slope[row + j] == GROWS {
            i -= 1;
            steps.push(Step::Delete(head + i));
        } else {
            j -= 1;
            if slope[row + j] == SHRINKS {
                steps.push(Step::Insert(head + j));
                continue;
            }
            i -= 1;
            let same = a[i] == b[j];
            steps.push(if same { Step::Equal(head + i, head + j) } else { Step::Substitute(head + i, head + j) });
        }
    }
    steps.extend((0..i).rev().map(|i| Step::Delete(head + i)));
    steps.extend((0..j).rev().map(|j| Step::Insert(head + j)));
    steps.extend((0..head).rev().map(|k| Step::Equal(k, k)));
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_kind_of_edit() {
        let edits = Edits::of("Mr. Smith has twenty five colours, um.", "mister smith had 25 the colors");
        assert_eq!(edits, Edits { words: 5, deletions: 0, insertions: 1, substitutions: 1 });
        assert!((edits.wer() - 0.4).abs() < 1e-12);
        assert_eq!(Edits::of("a b c", ""), Edits { words: 3, deletions: 3, ..Edits::default() });
        assert!((Edits::of("", "a b").wer() - 2.0).abs() < 1e-12);
        assert!(Edits::of("", "").wer().abs() < 1e-12);
    }

    #[test]
    fn an_alignment_walks_both_sequences_once() {
        let (a, b) = (["a", "b", "x", "c", "d"], ["a", "y", "c", "e", "d", "d"]);
        let steps = align(&a, &b);
        let left: Vec<usize> = steps
            .iter()
            .filter_map(|s| match *s {
                Step::Equal(i, _) | Step::Substitute(i, _) | Step::Delete(i) => Some(i),
                Step::Insert(_) => None,
            })
            .collect();
        let right: Vec<usize> = steps
            .iter()
            .filter_map(|s| match *s {
                Step::Equal(_, j) | Step::Substitute(_, j) | Step::Insert(j) => Some(j),
                Step::Delete(_) => None,
            })
            .collect();
        assert_eq!(left, (0..a.len()).collect::<Vec<_>>());
        assert_eq!(right, (0..b.len()).collect::<Vec<_>>());
    }
}
