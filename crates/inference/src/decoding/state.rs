//! What a decoder remembers from step to step: the keys and values of the tokens so far, and those of the frames.

use crate::attention::Angles;
use crate::kernels::{Kept, Memory, softmax};
use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;

/// The attention heads of a decoder, and where they compute.
pub(crate) struct Heads {
    pub count: usize,
    pub size: usize,
    pub device: Device,
    /// Of what is computed on a graphics card.
    pub dtype: DType,
    /// Attention on the processor itself, and not by candle's operations.
    pub host: bool,
    /// How the processor remembers the frames.
    pub kept: Kept,
}

/// What the rows of a batch remember.
pub(crate) struct State {
    /// The tokens that each row has taken. On a graphics card all rows stand at the same step.
    pub steps: Vec<usize>,
    /// The frames of each row.
    pub lengths: Vec<usize>,
    pub layers: Vec<LayerState>,
    /// On a graphics card, `[rows, 1, 1, frames]`: 0 over a row's frames, minus infinity after them; absent when all rows
    /// are equally long.
    pub mask: Option<Tensor>,
}

/// The rows' memories in one layer.
pub(crate) enum LayerState {
    /// On the processor, one for each head of each row: a row that leaves takes its own along, and sees no padding.
    Host { past: Vec<Memory>, heard: Vec<Memory> },
    Card {
        /// `[rows, heads, capacity, head size]`, filled up to the step.
        keys: Tensor,
        values: Tensor,
        /// `[rows, heads, frames, head size]`.
        memory_keys: Tensor,
        memory_values: Tensor,
    },
}

/// Which cross-attention is kept, as (layer, head), and that of one step.
pub(crate) struct Watch<'a> {
    pub wanted: &'a [(usize, usize)],
    /// On the processor: for each row the weights of the wanted heads over the row's frames, in their order.
    pub host: Vec<Vec<Vec<f32>>>,
    /// On a graphics card: `[rows, frames]` of each wanted head, layer by layer.
    pub card: Vec<Tensor>,
}

impl<'a> Watch<'a> {
    pub fn new(wanted: &'a [(usize, usize)], rows: usize, host: bool) -> Self {
        let host = if host { vec![vec![Vec::new(); wanted.len()]; rows] } else { Vec::new() };
        Self { wanted, host, card: Vec::new() }
    }

    fn places(&self, layer: usize) -> impl Iterator<Item = (usize, usize)> + use<'a> {
        self.wanted.iter().enumerate().filter(move |(_, wanted)| wanted.0 == layer).map(|(at, wanted)| (at, wanted.1))
    }
}

impl Heads {
    fn width(&self) -> usize {
        self.count * self.size
    }

    /// A batch without rows, on the processor: rows join it with [`Self::add_row`], whenever there is room.
    pub fn start_empty(layers: usize) -> State {
        let layer = |_| LayerState::Host { past: Vec::new(), heard: Vec::new() };
        State { steps: Vec::new(), lengths: Vec::new(), layers: (0..layers).map(layer).collect(), mask: None }
    }

    /// Lets a row join a batch on the processor: `joined` gives a layer's keys and values of its frames,
    /// `[frames, 2 * width]`; there is room for `capacity` tokens.
    pub fn add_row(
        &self,
        state: &mut State,
        length: usize,
        capacity: usize,
        joined: impl Fn(usize) -> Result<Tensor>,
    ) -> Result<()> {
        let (size, width) = (self.size, self.width());
        for (layer, memory) in state.layers.iter_mut().enumerate() {
            let LayerState::Host { past, heard } = memory else { continue };
            let joined = joined(layer)?.flatten_all()?.to_vec1::<f32>()?;
            heard.par_extend((0..self.count).into_par_iter().map(|head| {
                let mut memory = Memory::new(self.kept, size, length);
                for (frame, row) in joined.chunks_exact(2 * width).enumerate() {
                    memory.set(frame, &row[head * size..][..size], &row[width + head * size..][..size]);
                }
                memory
            }));
            past.extend((0..self.count).map(|_| Memory::new(Kept::Full, size, capacity)));
        }
        state.steps.push(0);
        state.lengths.push(length);
        Ok(())
    }

    /// A batch of rows of so many frames, on a graphics card; `joined` as in [`Self::add_row`], of all rows laid end to end.
    pub fn start_card(
        &self,
        layers: usize,
        lengths: Vec<usize>,
        capacity: usize,
        joined: impl Fn(usize) -> Result<Tensor>,
    ) -> Result<State> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let layers = (0..layers).map(|layer| self.card(&joined(layer)?, &lengths, capacity)).collect::<Result<_>>()?;
        let mask = lengths.iter().any(|&length| length < longest).then(|| {
            let mask: Vec<f32> = lengths
                .iter()
                .flat_map(|&length| (0..longest).map(move |i| if i < length { 0.0 } else { f32::NEG_INFINITY }))
                .collect();
            Tensor::from_vec(mask, (lengths.len(), 1, 1, longest), &self.device)?.to_dtype(self.dtype)
        });
        Ok(State { steps: vec![0; lengths.len()], layers, mask: mask.transpose()?, lengths })
    }

    fn card(&self, joined: &Tensor, lengths: &[usize], capacity: usize) -> Result<LayerState> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let rows = lengths.len();
        let joined = if lengths.iter().all(|&length| length == longest) {
            joined.reshape((rows, longest, 2 * self.count, self.size))?.transpose(1, 2)?
        } else {
            let mut start = 0;
            let mut padded = Vec::with_capacity(rows);
            for &length in lengths {
                let row = joined.narrow(0, start, length)?.pad_with_zeros(0, 0, longest - length)?;
                padded.push(row.reshape((longest, 2 * self.count, self.size))?.transpose(0, 1)?);
                start += length;
            }
            Tensor::stack(&padded, 0)?
        };
        let room = (rows, self.count, capacity, self.size);
        Ok(LayerState::Card {
            keys: Tensor::zeros(room, self.dtype, &self.device)?,
            values: Tensor::zeros(room, self.dtype, &self.device)?,
            memory_keys: joined.narrow(1, 0, self.count)?.contiguous()?,
            memory_values: joined.narrow(1, self.count, self.count)?.contiguous()?,
        })
    }

    /// What each row's newest token finds in the tokens so far, itself among them: `[rows, 3 * width]` of queries, keys and
    /// values to `[rows, width]`. `angles` are those of the rows' steps, where positions are rotary.
    pub fn attend_to_past(
        &self,
        joined: &Tensor,
        memory: &mut LayerState,
        steps: &[usize],
        angles: Option<&Angles>,
    ) -> Result<Tensor> {
        let (heads, size) = (self.count, self.size);
        let (rows, width) = (joined.dims()[0], self.width());
        match memory {
            LayerState::Host { past, .. } => {
                let joined = joined.flatten_all()?.to_vec1::<f32>()?;
                let mut out = vec![0.0; rows * width];
                past.par_iter_mut().zip(out.par_chunks_mut(size)).enumerate().for_each(|(i, (past, out))| {
                    let (row, head) = (&joined[i / heads * 3 * width..], i % heads * size);
                    let mut turned = [&row[head..][..size], &row[width + head..][..size]].map(<[f32]>::to_vec);
                    if let Some(angles) = angles {
                        for turned in &mut turned {
                            angles.turn(i / heads, turned);
                        }
                    }
                    let step = steps[i / heads];
                    past.set(step, &turned[1], &row[2 * width + head..][..size]);
                    past.attend(&turned[0], step + 1, |_, found, _| out.copy_from_slice(found));
                });
                Tensor::from_vec(out, (rows, width), &self.device)
            }
            LayerState::Card { keys, values, .. } => {
                let step = steps[0];
                let joined = joined.reshape((rows, 3 * heads, 1, size))?;
                let part = |nth: usize| joined.narrow(1, nth * heads, heads)?.contiguous();
                let (mut query, mut key) = (part(0)?, part(1)?);
                if let Some(angles) = angles {
                    (query, key) = (angles.turn_all(&query)?, angles.turn_all(&key)?);
                }
                keys.slice_set(&key, 2, step)?;
                values.slice_set(&part(2)?, 2, step)?;
                let keys = keys.narrow(2, 0, step + 1)?;
                let weights = softmax(query.matmul(&keys.transpose(2, 3)?)?)?;
                weights.matmul(&values.narrow(2, 0, step + 1)?)?.reshape((rows, width))
            }
        }
    }

    /// What queries of `[rows, width]` find in the frames, in the layer of this number.
    pub fn attend_to_frames(
        &self,
        query: &Tensor,
        memory: &LayerState,
        mask: Option<&Tensor>,
        layer: usize,
        watch: &mut Watch,
    ) -> Result<Tensor> {
        let (heads, size) = (self.count, self.size);
        let (rows, width) = (query.dims()[0], self.width());
        match memory {
            LayerState::Host { heard, .. } => {
                let query = query.flatten_all()?.to_vec1::<f32>()?;
                let mut out = vec![0.0; rows * width];
                let wanted: Vec<(usize, usize)> = watch.places(layer).collect();
                let weights: Vec<Vec<f32>> = heard
                    .par_iter()
                    .zip(query.par_chunks(size))
                    .zip(out.par_chunks_mut(size))
                    .enumerate()
                    .map(|(i, ((heard, query), out))| {
                        let kept = wanted.iter().any(|(_, head)| *head == i % heads);
                        let mut weights = Vec::new();
                        heard.attend(query, heard.frames(), |_, found, shares| {
                            out.copy_from_slice(found);
                            if kept {
                                weights = shares.to_vec();
                            }
                        });
                        weights
                    })
                    .collect();
                for (i, weights) in weights.into_iter().enumerate() {
                    if let Some((at, _)) = wanted.iter().find(|(_, head)| *head == i % heads) {
                        watch.host[i / heads][*at] = weights;
                    }
                }
                Tensor::from_vec(out, (rows, width), &self.device)
            }
            LayerState::Card { memory_keys, memory_values, .. } => {
                let query = query.reshape((rows, heads, 1, size))?;
                let mut scores = query.matmul(&memory_keys.transpose(2, 3)?)?;
                if let Some(mask) = mask {
                    scores = scores.broadcast_add(mask)?;
                }
                let weights = softmax(scores)?;
                for (_, head) in watch.places(layer) {
                    watch.card.push(weights.narrow(1, head, 1)?.squeeze(2)?.squeeze(1)?);
                }
                weights.matmul(memory_values)?.reshape((rows, width))
            }
        }
    }
}

impl State {
    /// Goes on with these rows alone, in their order.
    pub fn keep(&mut self, rows: &[usize]) -> Result<()> {
        let before = self.lengths.len();
        self.lengths = rows.iter().map(|&row| self.lengths[row]).collect();
        self.steps = rows.iter().map(|&row| self.steps[row]).collect();
        let on_card = |tensor: &Tensor| {
            let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
            tensor.index_select(&Tensor::new(rows, tensor.device())?, 0)
        };
        for layer in &mut self.layers {
            match layer {
                LayerState::Host { past, heard } => {
                    for memories in [past, heard] {
                        let heads = memories.len() / before;
                        let mut nth = 0..;
                        memories.retain(|_| nth.next().is_some_and(|nth: usize| rows.contains(&(nth / heads))));
                    }
                }
                LayerState::Card { keys, values, memory_keys, memory_values } => {
                    for tensor in [keys, values, memory_keys, memory_values] {
                        *tensor = on_card(tensor)?;
                    }
                }
            }
        }
        if let Some(mask) = &mut self.mask {
            *mask = on_card(mask)?;
        }
        Ok(())
    }
}
