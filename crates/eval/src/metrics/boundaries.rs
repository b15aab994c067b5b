//! How well a text is parted into topics.
//!
//! A parting is the topic of each turn; a boundary lies between turns of two topics.

/// Half the mean length of the topics that are meant, which is what both measures compare over; at least 1.
pub fn half_length<T: PartialEq>(meant: &[T]) -> usize {
    let topics = 1 + boundaries(meant).count();
    ((meant.len() as f64 / (2 * topics) as f64).round() as usize).max(1)
}

/// Pk: how often two turns that lie `apart` are said to be of one topic and are not, or the other way round. D. Beeferman, A.
/// Berger and J. Lafferty, "Statistical Models for Text Segmentation", Machine Learning 34, 1999.
///
/// Errors and comparisons.
pub fn pk<T: PartialEq, U: PartialEq>(meant: &[T], said: &[U], apart: usize) -> (usize, usize) {
    compare(meant, said, apart, |meant, said| (meant == 0) != (said == 0))
}

/// WindowDiff: how often between two turns that lie `apart` there are more or fewer boundaries than are meant. L. Pevzner and M. A.
/// Hearst, "A Critique and Improvement of an Evaluation Metric for Text Segmentation", Computational Linguistics 28(1), 2002.
///
/// Errors and comparisons.
pub fn window_diff<T: PartialEq, U: PartialEq>(meant: &[T], said: &[U], apart: usize) -> (usize, usize) {
    compare(meant, said, apart, |meant, said| meant != said)
}

fn boundaries<T: PartialEq>(parting: &[T]) -> impl Iterator<Item = usize> {
    parting.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]).map(|(at, _)| at)
}

fn compare<T: PartialEq, U: PartialEq>(
    meant: &[T],
    said: &[U],
    apart: usize,
    differ: impl Fn(usize, usize) -> bool,
) -> (usize, usize) {
    let windows = meant.windows(apart + 1).zip(said.windows(apart + 1));
    windows.fold((0, 0), |(errors, all), (meant, said)| {
        (errors + usize::from(differ(boundaries(meant).count(), boundaries(said).count())), all + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The topics of turns, from NLTK's writing: 1 where one ends after a turn, 0 elsewhere.
    fn parting(marks: &str) -> Vec<usize> {
        (0..=marks.len()).map(|turn| marks[..turn].matches('1').count()).collect()
    }

    fn share((errors, all): (usize, usize)) -> f64 {
        errors as f64 / all as f64
    }

    #[test]
    fn as_nltk_computes_them() {
        // The examples of nltk.metrics.segmentation.
        let [s1, s2, s3] = ["000100000010", "000010000100", "100000010000"].map(parting);
        assert_eq!(share(window_diff(&s1, &s1, 3)), 0.0);
        assert!((share(window_diff(&s1, &s2, 3)) - 0.3).abs() < 1e-9, "{:?}", window_diff(&s1, &s2, 3));
        assert!((share(window_diff(&s2, &s3, 3)) - 0.8).abs() < 1e-9, "{:?}", window_diff(&s2, &s3, 3));
        let meant = parting(&"0100".repeat(100));
        for said in ["1", "0"] {
            let found = share(pk(&meant, &parting(&said.repeat(400)), 2));
            assert!((found - 0.5).abs() < 0.005, "{found}");
        }
        assert_eq!(pk(&meant, &meant, 2).0, 0);
    }

    #[test]
    fn half_the_mean_topic() {
        assert_eq!(half_length(&["a", "a", "a", "b", "b", "b", "b", "b"]), 2);
        assert_eq!(half_length(&["a"]), 1);
        assert_eq!(half_length::<&str>(&[]), 1);
        assert_eq!(pk(&["a"], &["a"], 1), (0, 0));
    }
}
