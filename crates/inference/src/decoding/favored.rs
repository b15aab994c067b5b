//! Phrases that a decoder is drawn to: shallow fusion with a prefix tree of their tokens (Zhao et al., Shallow-Fusion
//! End-to-End Contextual Biasing, Interspeech 2019), for greedy decoding.

use std::collections::BTreeMap;

/// Phrases as a tree of their tokens.
#[derive(Debug, Clone)]
pub(crate) struct Favored {
    /// Of each node its children by token; the first is the root.
    nodes: Vec<BTreeMap<u32, usize>>,
    /// The longest phrase.
    depth: usize,
    /// What is added to the logit of a token that carries on with a phrase.
    pub more: f32,
}

impl Favored {
    /// Phrases without tokens count for nothing; none where no phrase is left.
    pub fn new(phrases: impl IntoIterator<Item = Vec<u32>>, more: f32) -> Option<Self> {
        let mut nodes = vec![BTreeMap::new()];
        let mut depth = 0;
        for phrase in phrases {
            let mut at = 0;
            for token in &phrase {
                let next = nodes.len();
                at = *nodes[at].entry(*token).or_insert(next);
                if at == next {
                    nodes.push(BTreeMap::new());
                }
            }
            depth = depth.max(phrase.len());
        }
        (depth > 0).then_some(Self { nodes, depth, more })
    }

    /// The tokens that carry on with a phrase after `said`. Those that would begin one are not among them: a greedy decoder
    /// cannot go back, and drawn to beginnings it strays.
    pub fn next<'a>(&'a self, said: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        let under_way = (said.len().saturating_sub(self.depth)..said.len()).filter_map(|from| {
            let down = |at: usize, token: &u32| self.nodes[at].get(token).copied();
            said[from..].iter().try_fold(0, down)
        });
        under_way.flat_map(|at| self.nodes[at].keys().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_begin_anywhere_and_carry_on() {
        let favored = Favored::new([vec![5, 6, 7], vec![5, 8], vec![]], 2.0).unwrap();
        let next = |said: &[u32]| favored.next(said).collect::<Vec<_>>();
        assert!(next(&[]).is_empty());
        assert_eq!(next(&[1, 5]), [6, 8]);
        assert_eq!(next(&[5, 5, 6]), [7]);
        assert!(next(&[5, 6, 7]).is_empty(), "a phrase is over");
        assert!(next(&[5, 1]).is_empty(), "another way was taken");
        assert!(Favored::new([vec![]], 2.0).is_none());
    }
}
