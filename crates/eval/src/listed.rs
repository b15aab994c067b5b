//! What a list of words does for recognition: to the listed words, and to the rest.

use crate::{Edits, Step, align, normalize_english};
use serde::{Deserialize, Serialize};

/// How the words of a list were heard, after [`normalize_english`]. Sums over a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Words of the reference that belong to a listed word or phrase.
    pub listed: u64,
    /// Those of them that were heard.
    pub heard: u64,
    /// Words of listed phrases in the hypothesis where the reference has none.
    pub invented: u64,
    /// The other words of the reference, with all insertions.
    pub rest: Edits,
}

impl Listed {
    /// Compares pairs of reference and hypothesis.
    pub fn of<'a>(list: &[impl AsRef<str>], pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let list: Vec<String> = list.iter().map(|phrase| normalize_english(phrase.as_ref())).collect();
        let list: Vec<Vec<&str>> = list.iter().map(|phrase| phrase.split_whitespace().collect()).collect();
        let mut sum = Self::default();
        for (reference, hypothesis) in pairs {
            let (reference, hypothesis) = (normalize_english(reference), normalize_english(hypothesis));
            let reference: Vec<&str> = reference.split_whitespace().collect();
            let hypothesis: Vec<&str> = hypothesis.split_whitespace().collect();
            let (meant, said) = (marked(&list, &reference), marked(&list, &hypothesis));
            sum.listed += meant.iter().filter(|listed| **listed).count() as u64;
            sum.rest.words += meant.iter().filter(|listed| !**listed).count() as u64;
            for step in align(&reference, &hypothesis) {
                match step {
                    Step::Equal(r, _) => sum.heard += u64::from(meant[r]),
                    Step::Substitute(r, h) => {
                        sum.rest.substitutions += u64::from(!meant[r]);
                        sum.invented += u64::from(said[h] && !meant[r]);
                    }
                    Step::Delete(r) => sum.rest.deletions += u64::from(!meant[r]),
                    Step::Insert(h) => {
                        sum.rest.insertions += 1;
                        sum.invented += u64::from(said[h]);
                    }
                }
            }
        }
        sum
    }
}

/// The words that belong to a phrase of the list.
fn marked(list: &[Vec<&str>], words: &[&str]) -> Vec<bool> {
    let mut marked = vec![false; words.len()];
    for phrase in list.iter().filter(|phrase| !phrase.is_empty()) {
        for at in (0..words.len()).filter(|&at| words[at..].starts_with(phrase)) {
            marked[at..at + phrase.len()].fill(true);
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_words_and_the_rest_are_counted_apart() {
        let list = ["Quillmore Books", "Contoso"];
        let pairs = [
            ("This is Quillmore Books.", "this is quill more books"),
            ("Contoso called twice", "Contoso called Contoso twice"),
            ("count those", "Contoso"),
        ];
        let found = Listed::of(&list, pairs);
        // Of "Quillmore Books" only "books" was heard; "quill" is an insertion of the rest.
        assert_eq!((found.listed, found.heard, found.invented), (3, 2, 2));
        assert_eq!(found.rest.words, 6);
        assert_eq!((found.rest.insertions, found.rest.errors()), (2, 4));
    }
}
