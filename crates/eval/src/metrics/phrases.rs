//! Exact matches of keyphrases.
//!
//! Phrases match when the Porter stems of their words do: lower case, parted at white space, each word stemmed, as in the
//! evaluation of SIFRank (Sun et al., IEEE Access 8, 2020). Two phrases with the same stems are one.

use super::porter::stem;
use std::collections::HashSet;

/// The phrase's words as stems, a space between them.
pub fn stems(phrase: &str) -> String {
    phrase.split_whitespace().map(stem).collect::<Vec<_>>().join(" ")
}

/// Precision and recall of the best phrases of a document, 0..1.
///
/// `said` come best first; of them the first `most` that differ count. Precision divides by how many were said, not by `most`.
pub fn matched(meant: &[String], said: &[String], most: usize) -> (f64, f64) {
    let meant: HashSet<String> = meant.iter().map(|phrase| stems(phrase)).filter(|s| !s.is_empty()).collect();
    let mut seen: HashSet<String> = HashSet::new();
    for phrase in said.iter().map(|phrase| stems(phrase)).filter(|s| !s.is_empty()) {
        if seen.len() < most {
            seen.insert(phrase);
        }
    }
    let hits = seen.intersection(&meant).count() as f64;
    (hits / seen.len().max(1) as f64, hits / meant.len().max(1) as f64)
}

/// The harmonic mean; 0 where both are.
pub fn f1((precision, recall): (f64, f64)) -> f64 {
    if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(phrases: &[&str]) -> Vec<String> {
        phrases.iter().map(|p| (*p).to_owned()).collect()
    }

    #[test]
    fn stems_match_and_doubles_count_once() {
        let meant = of(&["Call recordings", "pricing", "call recording"]);
        let said = of(&["call recording", "call recordings", "prices", "quote"]);
        assert_eq!(matched(&meant, &said, 2), (1.0, 1.0));
        assert_eq!(matched(&meant, &said, 5), (2.0 / 3.0, 1.0));
        assert_eq!(matched(&of(&["a"]), &[], 5), (0.0, 0.0));
        assert_eq!(matched(&[], &said, 5), (0.0, 0.0));
        assert_eq!(f1((0.0, 0.0)), 0.0);
    }
}
