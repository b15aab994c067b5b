//! Greedy decoding of a batch: rows leave it as they finish.

use super::decoder::Decoder;
use crate::kernels::likeliest;
use candle_core::{Result, Tensor};
use rayon::prelude::*;

/// What was decoded for one row.
#[derive(Default)]
pub(super) struct Decoded {
    pub tokens: Vec<u32>,
    /// Of each token.
    pub logprobs: Vec<f32>,
    /// Of the end token, when the row came to it.
    pub end_logprob: Option<f32>,
    /// For each step, the end's too, the weights of each of the wanted heads over the row's frames, head by head.
    pub attention: Vec<Vec<f32>>,
}

/// The tokens that start and end a row.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    pub start: u32,
    pub end: u32,
}

/// The longest phrase, in tokens, that counts as a loop when it repeats.
const LOOP_PHRASE: usize = 16;

/// How often a phrase must repeat, and over how many tokens at least, before decoding stops: a person who says one word
/// over and over seldom says it thirty times within one window, and a decoder in a loop seldom stops by itself.
const LOOP_REPEATS: usize = 3;
const LOOP_TOKENS: usize = 30;

/// Whether the tokens end in one short phrase again and again.
fn loops(tokens: &[u32]) -> bool {
    (1..=LOOP_PHRASE).any(|period| {
        let length = LOOP_TOKENS.max(LOOP_REPEATS * period);
        tokens.len() >= length && {
            let tail = &tokens[tokens.len() - length..];
            tail.iter().zip(&tail[period..]).all(|(a, b)| a == b)
        }
    })
}

/// The likeliest token after each step. `caps` holds the most tokens each row may have; `heads` names the
/// cross-attention that is kept, as (layer, head).
pub(super) fn decode(
    decoder: &Decoder,
    frames: &[Tensor],
    caps: &[usize],
    marks: Marks,
    heads: &[(usize, usize)],
) -> Result<Vec<Decoded>> {
    let mut decoded: Vec<Decoded> = frames.iter().map(|_| Decoded::default()).collect();
    let mut rows: Vec<usize> = (0..frames.len()).filter(|&row| caps[row] > 0).collect();
    if rows.is_empty() {
        return Ok(decoded);
    }
    // The step that finds the end of a row at its cap is one more.
    let capacity = caps.iter().copied().max().unwrap_or(0) + 1;
    let live: Vec<Tensor> = rows.iter().map(|&row| frames[row].clone()).collect();
    let mut state = decoder.start(&live, capacity)?;
    let mut last = vec![marks.start; rows.len()];
    while !rows.is_empty() {
        let step = decoder.step(&last, &mut state, heads)?;
        let logits = step.logits.flatten_all()?.to_vec1::<f32>()?;
        let likeliest: Vec<(usize, f32)> = logits.par_chunks(logits.len() / rows.len()).map(likeliest).collect();
        let mut kept = Vec::with_capacity(rows.len());
        for (i, (attention, &(token, logprob))) in step.attention.into_iter().zip(&likeliest).enumerate() {
            let (row, token) = (rows[i], token as u32);
            let out = &mut decoded[row];
            out.attention.push(attention);
            if token == marks.end {
                out.end_logprob = Some(logprob);
            } else if out.tokens.len() < caps[row] {
                out.tokens.push(token);
                out.logprobs.push(logprob);
                last[i] = token;
                if !loops(&out.tokens) {
                    kept.push(i);
                }
            }
        }
        if kept.len() < rows.len() {
            rows = kept.iter().map(|&i| rows[i]).collect();
            last = kept.iter().map(|&i| last[i]).collect();
            if !rows.is_empty() {
                state.keep(&kept)?;
            }
        }
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_repetition_is_a_loop() {
        let phrase = [5, 6, 7];
        let repeated: Vec<u32> = phrase.iter().copied().cycle().take(LOOP_TOKENS).collect();
        assert!(loops(&repeated));
        assert!(!loops(&repeated[1..]));
        let mut broken = repeated.clone();
        broken[LOOP_TOKENS / 2] = 9;
        assert!(!loops(&broken));
        assert!(loops(&[4; LOOP_TOKENS]));
        let sentence: Vec<u32> = (0..LOOP_PHRASE as u32).cycle().take(LOOP_PHRASE * LOOP_REPEATS).collect();
        assert!(loops(&sentence));
        assert!(!loops(&sentence[1..]));
        let counting: Vec<u32> = (0..100).collect();
        assert!(!loops(&counting));
    }
}
