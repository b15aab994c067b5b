//! ROUGE-1, ROUGE-2 and ROUGE-L with the semantics of the Python package rouge-score (google-research/rouge, rouge_scorer.py
//! and tokenize.py), stemming on.
//!
//! C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004. ROUGE-L is that of a whole text taken as one
//! sequence (`rougeL` there, not `rougeLsum`).

use super::{labels::Counts, porter::stem};
use std::collections::HashMap;

/// F1 of the three measures, 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rouge {
    /// Words.
    pub rouge1: f64,
    /// Pairs of words.
    pub rouge2: f64,
    /// The longest common subsequence of words.
    pub rougel: f64,
}

impl Rouge {
    /// A text against its references: for each measure the best of them. Without a reference all are 0.
    pub fn best<'a>(references: impl IntoIterator<Item = &'a str>, text: &str) -> Self {
        let said = tokens(text);
        references.into_iter().map(|reference| Self::of(&tokens(reference), &said)).fold(
            Self::default(),
            |best, next| Self {
                rouge1: best.rouge1.max(next.rouge1),
                rouge2: best.rouge2.max(next.rouge2),
                rougel: best.rougel.max(next.rougel),
            },
        )
    }

    fn of(reference: &[String], said: &[String]) -> Self {
        if reference.is_empty() || said.is_empty() {
            return Self::default();
        }
        Self {
            rouge1: ngrams(reference, said, 1),
            rouge2: ngrams(reference, said, 2),
            rougel: f1(common(reference, said), reference.len(), said.len()),
        }
    }
}

/// Words of ASCII letters and digits in lower case; those of more than three letters as their stems.
fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| if word.len() > 3 { stem(word) } else { word.to_owned() }).collect()
}

fn ngrams(reference: &[String], said: &[String], n: usize) -> f64 {
    let mut counts: HashMap<&[String], usize> = HashMap::new();
    for gram in reference.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    let mut hits = 0;
    for gram in said.windows(n) {
        if let Some(left) = counts.get_mut(gram).filter(|left| **left > 0) {
            *left -= 1;
            hits += 1;
        }
    }
    f1(hits, (reference.len() + 1).saturating_sub(n), (said.len() + 1).saturating_sub(n))
}

/// Length of the longest common subsequence.
fn common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if word == other { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

fn f1(hits: usize, reference: usize, said: usize) -> f64 {
    Counts { hits, said, meant: reference }.f1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_reference_counts() {
        let score = Rouge::best(["nothing alike", "The cats were running home."], "the cat ran home");
        assert!((score.rouge1 - 2.0 * 3.0 / 9.0).abs() < 1e-12, "{score:?}");
        assert_eq!(Rouge::best(["same words"], "Same, words!"), Rouge { rouge1: 1.0, rouge2: 1.0, rougel: 1.0 });
        assert_eq!(Rouge::best([], "words"), Rouge::default());
        assert_eq!(Rouge::best(["words"], "??"), Rouge::default());
        assert_eq!(Rouge::best(["word"], "word").rouge2, 0.0);
    }

    /// Goldens by `scripts/make-goldens-metrics.py`.
    #[test]
    fn scores_are_those_of_rouge_score() {
        for line in include_str!("../../tests/data/rouge.jsonl").lines() {
            let (references, text, one, two, longest): (Vec<String>, String, f64, f64, f64) =
                serde_json::from_str(line).unwrap();
            let found = Rouge::best(references.iter().map(String::as_str), &text);
            for (found, wanted) in [(found.rouge1, one), (found.rouge2, two), (found.rougel, longest)] {
                assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}: {line}");
            }
        }
    }
}
