//! Greedy decoding: rows leave the batch as they finish, and on the processor others take their places.

use super::decoder::{Decoder, State};
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

/// A row under way.
struct Row {
    /// Its place among the windows.
    window: usize,
    frames: usize,
    cap: usize,
    last: u32,
    decoded: Decoded,
}

impl Row {
    fn new(window: usize, frames: &Tensor, cap: usize, marks: Marks) -> Self {
        Self { window, frames: frames.dims()[0], cap, last: marks.start, decoded: Decoded::default() }
    }

    /// Takes the next token; `false` when the row has ended.
    fn take(&mut self, token: u32, logprob: f32, attention: Vec<f32>, end: u32) -> bool {
        let out = &mut self.decoded;
        out.attention.push(attention);
        if token == end {
            out.end_logprob = Some(logprob);
            return false;
        }
        if out.tokens.len() >= self.cap {
            return false;
        }
        out.tokens.push(token);
        out.logprobs.push(logprob);
        self.last = token;
        !loops(&out.tokens)
    }
}

/// One step for all rows; those that end go to `done`.
fn step(
    decoder: &Decoder,
    state: &mut State,
    rows: &mut Vec<Row>,
    done: &mut Vec<(usize, Decoded)>,
    marks: Marks,
    heads: &[(usize, usize)],
) -> Result<()> {
    let last: Vec<u32> = rows.iter().map(|row| row.last).collect();
    let step = decoder.step(&last, state, heads)?;
    let logits = step.logits.flatten_all()?.to_vec1::<f32>()?;
    let likeliest: Vec<(usize, f32)> = logits.par_chunks(logits.len() / rows.len()).map(likeliest).collect();
    let (mut kept, mut live) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for (i, ((mut row, attention), (token, logprob))) in rows.drain(..).zip(step.attention).zip(likeliest).enumerate() {
        debug_assert_eq!(attention.len(), heads.len() * row.frames);
        if row.take(token as u32, logprob, attention, marks.end) {
            kept.push(i);
            live.push(row);
        } else {
            done.push((row.window, row.decoded));
        }
    }
    if kept.len() < last.len() {
        state.keep(&kept)?;
    }
    *rows = live;
    Ok(())
}

/// The likeliest token after each step, for a batch of rows of frames. `caps` holds the most tokens each row may have;
/// `heads` names the cross-attention that is kept, as (layer, head).
pub(super) fn decode(
    decoder: &Decoder,
    frames: &[Tensor],
    caps: &[usize],
    marks: Marks,
    heads: &[(usize, usize)],
) -> Result<Vec<(usize, Decoded)>> {
    // The step that finds the end of a row at its cap is one more.
    let capacity = caps.iter().copied().max().unwrap_or(0) + 1;
    let mut state = decoder.start(frames, capacity)?;
    let mut rows: Vec<Row> =
        frames.iter().zip(caps).enumerate().map(|(i, (frames, &cap))| Row::new(i, frames, cap, marks)).collect();
    let mut done = Vec::with_capacity(frames.len());
    while !rows.is_empty() {
        step(decoder, &mut state, &mut rows, &mut done, marks, heads)?;
    }
    Ok(done)
}

/// Rows of a lane. More read the weights for more rows at once, and take memory for the frames and tokens that they attend
/// to: with 24 rows of 15 seconds 165 MB.
const LANE_ROWS: usize = 24;

/// As [`decode`], on the processor, for the windows that `next` gives, as place, frames and cap: a row that ends makes room
/// for the next window, so that there are always enough rows to be worth reading the weights.
pub(super) fn decode_lane(
    decoder: &Decoder,
    mut next: impl FnMut() -> Result<Option<(usize, Tensor, usize)>>,
    marks: Marks,
    heads: &[(usize, usize)],
) -> Result<Vec<(usize, Decoded)>> {
    let (mut state, mut rows, mut done) = (decoder.start_empty(), Vec::new(), Vec::new());
    loop {
        while rows.len() < LANE_ROWS {
            let Some((window, frames, cap)) = next()? else { break };
            decoder.add_row(&mut state, &frames, cap + 1)?;
            rows.push(Row::new(window, &frames, cap, marks));
        }
        if rows.is_empty() {
            return Ok(done);
        }
        step(decoder, &mut state, &mut rows, &mut done, marks, heads)?;
    }
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
