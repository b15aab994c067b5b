//! Self-attention over rows laid end to end.

use crate::kernels::{self, Kept, Memory, softmax};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Rotary positions: dimensions 2i and 2i+1 of a head turn by `position * theta^(-2i / turned)`; a head's last dimensions
/// do not turn.
///
/// huggingface/transformers, `models/moonshine/modeling_moonshine.py`: `MoonshineRotaryEmbedding`,
/// `apply_rotary_pos_emb`.
pub(crate) struct Rotary {
    frequencies: Vec<f64>,
}

impl Rotary {
    pub fn new(pairs: usize, theta: f64) -> Self {
        Self { frequencies: (0..pairs).map(|i| theta.powf(-(i as f64) / pairs as f64)).collect() }
    }

    /// The angles of these positions.
    pub fn angles(&self, positions: impl Iterator<Item = usize>) -> Angles {
        let angles = positions.flat_map(|position| self.frequencies.iter().map(move |f| position as f64 * f));
        let (cos, sin) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        Angles { pairs: self.frequencies.len(), cos, sin }
    }
}

/// Cosines and sines of some positions, each `[positions, pairs]`.
pub(crate) struct Angles {
    pairs: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// Turns a head's query or key by the angles of the nth position.
    pub fn turn(&self, nth: usize, head: &mut [f32]) {
        let angles = nth * self.pairs..(nth + 1) * self.pairs;
        for ((pair, cos), sin) in
            head.as_chunks_mut::<2>().0.iter_mut().zip(&self.cos[angles.clone()]).zip(&self.sin[angles])
        {
            *pair = [pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos];
        }
    }

    /// The same for queries or keys of `[batch, heads, positions, size]` on any device.
    pub fn turn_all(&self, heads: &Tensor) -> Result<Tensor> {
        let (_, _, positions, size) = heads.dims4()?;
        // What does not turn has cosine 1 and sine 0, so that one kernel takes the whole head.
        let tensor = |values: &[f32], still: f32| {
            let rows = values.chunks_exact(self.pairs).take(positions);
            let padded =
                rows.flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(still, size / 2 - self.pairs)));
            Tensor::from_vec(padded.collect::<Vec<f32>>(), (positions, size / 2), heads.device())
        };
        candle_nn::rotary_emb::rope_i(heads, &tensor(&self.cos, 1.0)?, &tensor(&self.sin, 0.0)?)
    }
}

/// Queries, keys and values of rows of these lengths, laid end to end and side by side, `[all, 3 * heads * size]`, to
/// what each row's queries find in the row itself, `[all, heads * size]`. Queries come scaled; `angles` are those of the
/// positions from 0 to the longest row's last.
pub(crate) fn attend(qkv: &Tensor, lengths: &[usize], heads: usize, angles: Option<&Angles>) -> Result<Tensor> {
    if kernels::here(qkv) {
        return qkv.apply_op1_no_bwd(&Attend { lengths, heads, angles });
    }
    attend_on_card(qkv, lengths, heads, angles)
}

fn attend_on_card(qkv: &Tensor, lengths: &[usize], heads: usize, angles: Option<&Angles>) -> Result<Tensor> {
    let width = qkv.dim(1)? / 3;
    let mut attended = Vec::new();
    let mut start = 0;
    // Rows of one length that stand side by side are one product.
    for run in lengths.chunk_by(|a, b| a == b) {
        let (count, length) = (run.len(), run[0]);
        let rows = qkv.narrow(0, start, count * length)?.reshape((count, length, 3, heads, width / heads))?;
        start += count * length;
        #[cfg(feature = "flash-attention")]
        if angles.is_none() && flashes(&rows) {
            let part = |nth: usize| rows.narrow(2, nth, 1)?.squeeze(2);
            let found = candle_flash_attn::flash_attn(&part(0)?, &part(1)?, &part(2)?, 1.0, false)?;
            attended.push(found.reshape((count * length, width))?);
            continue;
        }
        let part = |nth: usize| rows.narrow(2, nth, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (mut queries, mut keys, values) = (part(0)?, part(1)?, part(2)?);
        if let Some(angles) = angles {
            (queries, keys) = (angles.turn_all(&queries)?, angles.turn_all(&keys)?);
        }
        let shares = softmax(queries.matmul(&keys.t()?)?)?;
        attended.push(shares.matmul(&values)?.transpose(1, 2)?.reshape((count * length, width))?);
    }
    Tensor::cat(&attended, 0)
}

/// Whether the flash kernels take such heads: a CUDA card, f16 or bf16, sizes in eights (Whisper's are 64).
#[cfg(feature = "flash-attention")]
fn flashes(rows: &Tensor) -> bool {
    let half = matches!(rows.dtype(), candle_core::DType::F16 | candle_core::DType::BF16);
    rows.device().is_cuda() && half && rows.dims().last().is_some_and(|size| size % 8 == 0)
}

struct Attend<'a> {
    lengths: &'a [usize],
    heads: usize,
    angles: Option<&'a Angles>,
}

impl CustomOp1 for Attend<'_> {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (all, joined) = layout.shape().dims2()?;
        let (qkv, width) = (kernels::floats(qkv, layout)?, joined / 3);
        let size = width / self.heads;
        let starts = self.lengths.iter().scan(0, |end, length| Some(std::mem::replace(end, *end + length)));
        let tasks: Vec<(usize, usize, usize)> = starts
            .zip(self.lengths)
            .flat_map(|(start, &length)| (0..self.heads).map(move |head| (start, length, head)))
            .collect();
        let found: Vec<Vec<f32>> = tasks
            .par_iter()
            .map(|&(start, length, head)| {
                let rows = qkv[start * joined..(start + length) * joined].chunks_exact(joined);
                let mut memory = Memory::new(Kept::Full, size, length);
                let mut queries = vec![0.0; length * size];
                let mut key = vec![0.0; size];
                for (at, (row, query)) in rows.zip(queries.chunks_exact_mut(size)).enumerate() {
                    let part = |nth: usize| &row[nth * width + head * size..][..size];
                    query.copy_from_slice(part(0));
                    key.copy_from_slice(part(1));
                    if let Some(angles) = self.angles {
                        angles.turn(at, query);
                        angles.turn(at, &mut key);
                    }
                    memory.set(at, &key, part(2));
                }
                let mut found = vec![0.0; length * size];
                memory.attend(&queries, length, |row, values, _| found[row * size..][..size].copy_from_slice(values));
                found
            })
            .collect();
        let mut out = vec![0.0; all * width];
        for (&(start, _, head), found) in tasks.iter().zip(&found) {
            for (row, values) in found.chunks_exact(size).enumerate() {
                out[(start + row) * width + head * size..][..size].copy_from_slice(values);
            }
        }
        Ok((CpuStorage::F32(out), (all, width).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn processor_and_card_agree(
            lengths in prop::collection::vec(1usize..40, 1..6), heads in 1usize..4, pairs in 1usize..5, turns: bool,
        ) {
            let all: usize = lengths.iter().sum();
            let width = heads * 2 * (pairs + 2);
            let values: Vec<f32> = (0..all * 3 * width).map(|i| (i as f32 * 0.37).sin()).collect();
            let qkv = Tensor::from_vec(values, (all, 3 * width), &Device::Cpu).unwrap();
            let angles = turns.then(|| Rotary::new(pairs, 10_000.0).angles(0..40));
            let ours = attend(&qkv, &lengths, heads, angles.as_ref()).unwrap();
            let theirs = attend_on_card(&qkv, &lengths, heads, angles.as_ref()).unwrap();
            let off = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            prop_assert!(off < 1e-5, "{off}");
        }
    }
}
