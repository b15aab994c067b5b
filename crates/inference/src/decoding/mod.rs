//! From frames to tokens: one loop for every model that has an encoder and a decoder.
//!
//! On the processor each core has a lane of rows: a row that ends makes room for the next window. On a graphics card a
//! whole batch goes step by step, and rows that end leave it.

mod favored;
mod layer;
mod rules;
mod state;

pub(crate) use favored::Favored;
pub(crate) use layer::{Between, Layer, advance};
pub(crate) use rules::{Rules, Sampling, Timestamps};
pub(crate) use state::{Heads, State, Watch};

use crate::kernels::likeliest;
use candle_core::{D, DType, Result, Tensor};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the loop needs of a model.
pub(crate) trait Decoder: Sync {
    fn heads(&self) -> &Heads;

    fn layers(&self) -> usize;

    /// The keys and values that a layer makes of frames: `[frames, width]` to `[frames, 2 * width]`.
    fn heard(&self, layer: usize, frames: &Tensor) -> Result<Tensor>;

    /// Takes each row's next token: `[rows, width]`, what the decoder makes of it.
    fn advance(&self, tokens: &[u32], state: &mut State, watch: &mut Watch) -> Result<Tensor>;

    /// What may follow: `[rows, width]` to `[rows, vocabulary]`.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor>;
}

/// A window to decode.
pub(crate) struct Task {
    /// Its place among the windows.
    pub window: usize,
    /// `[frames, width]`.
    pub frames: Tensor,
    /// The frames over which somebody may speak; attention to those after them is not kept.
    pub spoken: usize,
    /// What the decoder is given before it may speak.
    pub prompt: Vec<u32>,
    /// The place in the prompt from which on attention is kept, and after which the probability of no speech is taken.
    pub begin: usize,
    /// The most tokens.
    pub cap: usize,
    /// How tokens are drawn; without it, the likeliest is taken.
    pub sampling: Option<Sampling>,
}

/// What was decoded for one row.
#[derive(Default)]
pub(crate) struct Decoded {
    pub tokens: Vec<u32>,
    /// Of each token.
    pub logprobs: Vec<f32>,
    /// Of the end token, when the row came to it.
    pub end_logprob: Option<f32>,
    /// The probability that nobody speaks, where the rules ask for it.
    pub no_speech: Option<f32>,
    /// For each step from the prompt's begin on, the end's too, the weights of each of the wanted heads over the frames that
    /// may be spoken, head by head.
    pub attention: Vec<Vec<f32>>,
    /// The steps among these before the one that gave the first token.
    pub lead: usize,
}

impl Decoded {
    /// The mean log probability of the tokens and of the end; 0 is certainty.
    pub fn avg_logprob(&self) -> f32 {
        let logprobs = || self.logprobs.iter().copied().chain(self.end_logprob);
        logprobs().sum::<f32>() / logprobs().count().max(1) as f32
    }
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

/// On a graphics card rows leave once one in so many has ended: all that the others remember is copied then.
const LEAVING: usize = 4;

/// A row under way.
struct Row {
    task: Task,
    /// Tokens of the prompt that it was given.
    given: usize,
    decoded: Decoded,
    /// Whether it is still there only because leaving costs more than staying.
    ended: bool,
}

impl Row {
    fn new(mut task: Task) -> Self {
        let lead = task.prompt.len() - 1 - task.begin;
        // The memories hold all that is still needed of the frames.
        if let Ok(none) = task.frames.narrow(0, 0, 0) {
            task.frames = none;
        }
        Self { task, given: 0, decoded: Decoded { lead, ..Decoded::default() }, ended: false }
    }

    /// The token for the next step.
    fn next(&self) -> u32 {
        self.task.prompt.get(self.given).copied().or(self.decoded.tokens.last().copied()).unwrap_or_default()
    }

    /// What the step that took [`Self::next`] is for.
    fn stands(&self, rules: &Rules) -> Stands {
        let last = self.task.prompt.len() - 1;
        Stands {
            kept: !self.ended && self.given >= self.task.begin,
            listens: !self.ended && self.given == self.task.begin && rules.no_speech.is_some(),
            speaks: !self.ended && self.given >= last,
        }
    }

    /// Takes what a step said; `false` when the row has ended.
    fn take(&mut self, said: Option<(u32, f32)>, rules: &Rules) -> bool {
        self.given += usize::from(self.given < self.task.prompt.len());
        let Some((token, logprob)) = said else { return true };
        let out = &mut self.decoded;
        if token == rules.end {
            out.end_logprob = Some(logprob);
            return false;
        }
        if out.tokens.len() >= self.task.cap {
            return false;
        }
        out.tokens.push(token);
        out.logprobs.push(logprob);
        rules.forced || !loops(&out.tokens)
    }

    /// The rows' room in a memory: the prompt, the tokens, and the step that finds the end of a row at its cap.
    fn capacity(task: &Task) -> usize {
        task.prompt.len() + task.cap + 1
    }
}

struct Stands {
    kept: bool,
    listens: bool,
    speaks: bool,
}

/// A head's attention that still lies on a graphics card: the windows of its rows (none where it is not kept), and the
/// weights, `[rows, frames]`.
type OnCard = (Vec<Option<usize>>, Tensor);

/// A batch or a lane.
struct Batch<'a, M: Decoder> {
    model: &'a M,
    rules: &'a Rules,
    wanted: &'a [(usize, usize)],
    state: State,
    rows: Vec<Row>,
    done: Vec<Row>,
    on_card: Vec<OnCard>,
}

impl<'a, M: Decoder> Batch<'a, M> {
    fn new(model: &'a M, rules: &'a Rules, wanted: &'a [(usize, usize)], state: State) -> Self {
        Self { model, rules, wanted, state, rows: Vec::new(), done: Vec::new(), on_card: Vec::new() }
    }

    /// One step for all rows; those that end go to `done`.
    fn step(&mut self) -> Result<()> {
        let host = self.model.heads().host;
        let tokens: Vec<u32> = self.rows.iter().map(Row::next).collect();
        let stands: Vec<Stands> = self.rows.iter().map(|row| row.stands(self.rules)).collect();
        let mut watch = Watch::new(self.wanted, self.rows.len(), host);
        let hidden = self.model.advance(&tokens, &mut self.state, &mut watch)?;
        self.keep_attention(watch, &stands);

        let asked: Vec<usize> = (0..self.rows.len()).filter(|&i| stands[i].listens || stands[i].speaks).collect();
        let said = if asked.is_empty() { Vec::new() } else { self.ask(&hidden, &asked, &stands)? };
        let mut said = said.into_iter();
        for (i, row) in self.rows.iter_mut().enumerate() {
            let said = if asked.contains(&i) { said.next().flatten() } else { None };
            row.ended |= !row.take(said, self.rules);
        }
        let ended = self.rows.iter().filter(|row| row.ended).count();
        if ended > 0 && (host || ended * LEAVING >= self.rows.len()) {
            let live: Vec<usize> = (0..self.rows.len()).filter(|&i| !self.rows[i].ended).collect();
            let (done, rows) = std::mem::take(&mut self.rows).into_iter().partition(|row| row.ended);
            self.rows = rows;
            self.done.extend::<Vec<Row>>(done);
            if !live.is_empty() {
                self.state.keep(&live)?;
            }
        }
        Ok(())
    }

    fn keep_attention(&mut self, watch: Watch, stands: &[Stands]) {
        for ((row, heads), stands) in self.rows.iter_mut().zip(watch.host).zip(stands) {
            if stands.kept && !self.wanted.is_empty() {
                let spoken = row.task.spoken;
                row.decoded.attention.push(heads.iter().flat_map(|head| &head[..spoken]).copied().collect());
            }
        }
        if !watch.card.is_empty() {
            let windows = self.rows.iter().zip(stands).map(|(row, stands)| stands.kept.then_some(row.task.window));
            let windows: Vec<Option<usize>> = windows.collect();
            self.on_card.extend(watch.card.into_iter().map(|weights| (windows.clone(), weights)));
        }
    }

    /// What the asked rows say, where they may speak.
    fn ask(&mut self, hidden: &Tensor, asked: &[usize], stands: &[Stands]) -> Result<Vec<Option<(u32, f32)>>> {
        let rows: Vec<u32> = asked.iter().map(|&i| i as u32).collect();
        let hidden = if asked.len() == self.rows.len() {
            hidden.clone()
        } else {
            hidden.index_select(&Tensor::new(rows, hidden.device())?, 0)?
        };
        let logits = self.model.logits(&hidden)?;
        let plain = self.rules.timestamps.is_none()
            && self.rules.favored.is_none()
            && asked.iter().all(|&i| self.rows[i].task.sampling.is_none() && !stands[i].listens);
        if !self.model.heads().host && plain {
            return self.ask_card(&logits, asked);
        }
        let width = logits.dim(1)?;
        let mut logits = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let mut asked_rows: Vec<(&mut Row, &Stands)> = Vec::with_capacity(asked.len());
        for (i, row) in self.rows.iter_mut().enumerate() {
            if asked.contains(&i) {
                asked_rows.push((row, &stands[i]));
            }
        }
        let rules = self.rules;
        let said = asked_rows.into_par_iter().zip(logits.par_chunks_mut(width)).map(|((row, stands), logits)| {
            if stands.listens {
                row.decoded.no_speech = rules.no_speech(logits);
            }
            stands.speaks.then(|| rules.choose(logits, &row.decoded.tokens, row.task.sampling.as_mut()))
        });
        Ok(said.collect())
    }

    /// As [`Self::ask`], where the likeliest is taken and nothing is forbidden by what was said before but at the start:
    /// only tokens and probabilities leave the card.
    fn ask_card(&self, logits: &Tensor, asked: &[usize]) -> Result<Vec<Option<(u32, f32)>>> {
        let first = asked.iter().all(|&i| self.rows[i].decoded.tokens.is_empty());
        let logits = logits.to_dtype(DType::F32)?;
        let logits = match self.rules.mask(first, logits.dim(1)?) {
            Some(mask) => logits.broadcast_add(&Tensor::new(mask, logits.device())?)?,
            None => logits,
        };
        let tokens = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
        let best = logits.max(D::Minus1)?;
        let logprobs = (&best - logits.log_sum_exp(D::Minus1)?)?.to_vec1::<f32>()?;
        Ok(tokens.into_iter().zip(logprobs).map(Some).collect())
    }

    /// The rows that ended, with the attention that lay on the card.
    fn finish(mut self) -> Result<Vec<(usize, Decoded)>> {
        for (windows, weights) in self.on_card {
            let weights = weights.to_dtype(DType::F32)?.to_vec2::<f32>()?;
            for (window, weights) in windows.into_iter().zip(weights) {
                let Some(row) = self.done.iter_mut().find(|row| Some(row.task.window) == window) else { continue };
                let spoken = row.task.spoken;
                // A step's heads come one after another.
                let full = self.wanted.len() * spoken;
                if row.decoded.attention.last().is_none_or(|step| step.len() == full) {
                    row.decoded.attention.push(Vec::with_capacity(full));
                }
                if let Some(step) = row.decoded.attention.last_mut() {
                    step.extend_from_slice(&weights[..spoken]);
                }
            }
        }
        Ok(self.done.into_iter().map(|row| (row.task.window, row.decoded)).collect())
    }
}

/// Decodes a batch of windows, step by step.
pub(crate) fn decode_batch<M: Decoder>(
    model: &M,
    tasks: Vec<Task>,
    rules: &Rules,
    wanted: &[(usize, usize)],
) -> Result<Vec<(usize, Decoded)>> {
    let Some(capacity) = tasks.iter().map(Row::capacity).max() else { return Ok(Vec::new()) };
    let state = if model.heads().host {
        let mut state = Heads::start_empty(model.layers());
        for task in &tasks {
            add_row(model, &mut state, task)?;
        }
        state
    } else {
        let lengths = tasks.iter().map(|task| task.frames.dims()[0]).collect();
        let frames: Vec<&Tensor> = tasks.iter().map(|task| &task.frames).collect();
        let frames = Tensor::cat(&frames, 0)?;
        model.heads().start_card(model.layers(), lengths, capacity, |layer| model.heard(layer, &frames))?
    };
    let mut batch = Batch::new(model, rules, wanted, state);
    batch.rows = tasks.into_iter().map(Row::new).collect();
    while !batch.rows.is_empty() {
        batch.step()?;
    }
    batch.finish()
}

fn add_row<M: Decoder>(model: &M, state: &mut State, task: &Task) -> Result<()> {
    let heard = |layer| model.heard(layer, &task.frames);
    model.heads().add_row(state, task.frames.dims()[0], Row::capacity(task), heard)
}

/// Decodes windows on the processor, a lane a core: each takes the next window, encodes it and decodes it beside the up to
/// `rows` that it has under way. The cores never wait for each other, what is between a window's layers stays in one core's
/// cache, and there are always enough rows to be worth reading the weights.
pub(crate) fn decode_lanes<M: Decoder>(
    model: &M,
    windows: usize,
    rows: usize,
    encode: impl Fn(usize) -> Result<Task> + Sync,
    rules: &Rules,
    wanted: &[(usize, usize)],
) -> Result<Vec<(usize, Decoded)>> {
    let next = AtomicUsize::new(0);
    let lane = |_| {
        let mut lane = Batch::new(model, rules, wanted, Heads::start_empty(model.layers()));
        loop {
            while lane.rows.len() < rows {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= windows {
                    break;
                }
                let task = encode(at)?;
                add_row(model, &mut lane.state, &task)?;
                lane.rows.push(Row::new(task));
            }
            if lane.rows.is_empty() {
                return lane.finish();
            }
            lane.step()?;
        }
    };
    let lanes = rayon::current_num_threads().min(windows);
    let done: Vec<Vec<_>> = (0..lanes).into_par_iter().map(lane).collect::<Result<_>>()?;
    Ok(done.into_iter().flatten().collect())
}

/// What a decoder may say first over a row of frames: a logit for each token.
pub(crate) fn first_logits<M: Decoder>(model: &M, frames: &Tensor, start: u32) -> Result<Vec<f32>> {
    let mut state = start_row(model, frames, 1)?;
    let hidden = model.advance(&[start], &mut state, &mut Watch::new(&[], 1, model.heads().host))?;
    model.logits(&hidden)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// A batch of one row.
fn start_row<M: Decoder>(model: &M, frames: &Tensor, capacity: usize) -> Result<State> {
    let (heads, length) = (model.heads(), frames.dims()[0]);
    let heard = |layer| model.heard(layer, frames);
    if heads.host {
        let mut state = Heads::start_empty(model.layers());
        heads.add_row(&mut state, length, capacity, heard)?;
        return Ok(state);
    }
    heads.start_card(model.layers(), vec![length], capacity, heard)
}

/// What a decoder says at each step when it is given these tokens over a row of frames: logits, `[vocabulary]`, and the
/// weights of the wanted heads, head by head.
#[cfg(test)]
pub(crate) fn replay<M: Decoder>(
    model: &M,
    frames: &Tensor,
    tokens: &[u32],
    wanted: &[(usize, usize)],
) -> Result<Vec<(Tensor, Vec<f32>)>> {
    let heads = model.heads();
    let mut state = start_row(model, frames, tokens.len())?;
    let step = |token: &u32| {
        let mut watch = Watch::new(wanted, 1, heads.host);
        let hidden = model.advance(&[*token], &mut state, &mut watch)?;
        let logits = model.logits(&hidden)?.to_dtype(DType::F32)?.squeeze(0)?;
        let on_card = watch.card.iter().map(|weights| weights.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>());
        let on_card = on_card.collect::<Result<Vec<_>>>()?.concat();
        Ok((logits, if heads.host { watch.host.concat().concat() } else { on_card }))
    };
    tokens.iter().map(step).collect()
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
