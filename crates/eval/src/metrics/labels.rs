//! Accuracy, F1 and calibration of labels.

use std::collections::BTreeMap;

/// Bins of the calibration error, as in Guo et al. (below).
const BINS: usize = 15;

/// Hits, what was said and what was meant, of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Said and meant.
    pub hits: usize,
    /// Said.
    pub said: usize,
    /// Meant.
    pub meant: usize,
}

impl Counts {
    /// Share of what was said that was meant; 0 where nothing was said.
    pub fn precision(&self) -> f64 {
        share(self.hits, self.said)
    }

    /// Share of what was meant that was said; 0 where nothing was meant.
    pub fn recall(&self) -> f64 {
        share(self.hits, self.meant)
    }

    /// Their harmonic mean; 0 where both are.
    pub fn f1(&self) -> f64 {
        share(2 * self.hits, self.said + self.meant)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The counts of each label that is meant or said, from pairs of meant and said.
pub fn counts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, Counts> {
    let mut labels: BTreeMap<&str, Counts> = BTreeMap::new();
    for (meant, said) in pairs {
        labels.entry(meant).or_default().meant += 1;
        labels.entry(said).or_default().said += 1;
        labels.entry(meant).or_default().hits += usize::from(meant == said);
    }
    labels
}

/// Share of the pairs that agree.
pub fn accuracy(labels: &BTreeMap<&str, Counts>) -> f64 {
    share(labels.values().map(|c| c.hits).sum(), labels.values().map(|c| c.meant).sum())
}

/// The mean of the labels' F1, as scikit-learn's `f1_score(average="macro")`: over all labels meant or said.
pub fn macro_f1(labels: &BTreeMap<&str, Counts>) -> f64 {
    if labels.is_empty() { 0.0 } else { labels.values().map(Counts::f1).sum::<f64>() / labels.len() as f64 }
}

/// The mean of the labels' F1 by how often each is meant, as scikit-learn's `f1_score(average="weighted")`.
pub fn weighted_f1(labels: &BTreeMap<&str, Counts>) -> f64 {
    let meant: usize = labels.values().map(|c| c.meant).sum();
    if meant == 0 { 0.0 } else { labels.values().map(|c| c.f1() * c.meant as f64).sum::<f64>() / meant as f64 }
}

/// Expected calibration error: how far confidence and accuracy lie apart, in bins of equal width weighed by what falls into
/// them. C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3. Pairs are the probability (0..1)
/// of the label that was said, and whether it was meant.
pub fn calibration_error(said: &[(f64, bool)]) -> f64 {
    let mut bins = [(0usize, 0usize, 0.0f64); BINS];
    for (probability, right) in said {
        // Bins are open below and closed above.
        let bin = ((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[bin].0 += 1;
        bins[bin].1 += usize::from(*right);
        bins[bin].2 += probability;
    }
    let apart = bins.iter().map(|(_, right, confidence)| (*right as f64 - confidence).abs()).sum::<f64>();
    if said.is_empty() { 0.0 } else { apart / said.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_over_labels() {
        let pairs: Vec<(&str, &str)> = [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("b", "b"), ("c", "b")].into();
        let labels = counts(pairs);
        assert!((accuracy(&labels) - 4.0 / 6.0).abs() < 1e-12);
        assert!((macro_f1(&labels) - (0.8 + 2.0 / 3.0 + 0.0) / 3.0).abs() < 1e-12);
        assert!((weighted_f1(&labels) - (0.8 * 3.0 + 2.0 / 3.0 * 2.0) / 6.0).abs() < 1e-12);
        assert_eq!(macro_f1(&counts([])), 0.0);
    }

    #[test]
    fn means_are_those_of_scikit_learn() {
        for line in include_str!("../../tests/data/labels.jsonl").lines() {
            let (meant, said, right, mean, weighted): (Vec<String>, Vec<String>, f64, f64, f64) =
                serde_json::from_str(line).unwrap();
            let labels = counts(meant.iter().map(String::as_str).zip(said.iter().map(String::as_str)));
            for (found, wanted) in
                [(accuracy(&labels), right), (macro_f1(&labels), mean), (weighted_f1(&labels), weighted)]
            {
                assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}: {line}");
            }
        }
    }

    #[test]
    fn calibration() {
        assert_eq!(calibration_error(&[]), 0.0);
        assert!((calibration_error(&[(1.0, true), (1.0, false)]) - 0.5).abs() < 1e-12);
        let said = [(0.9, true), (0.91, false), (0.4, false), (0.4, true)];
        assert!((calibration_error(&said) - ((1.0f64 - 1.81).abs() + 0.2) / 4.0).abs() < 1e-12);
        assert!(calibration_error(&[(0.0, false)]) < 1e-12);
    }
}
