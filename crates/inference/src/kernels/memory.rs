//! The keys and values of an attention head, and what queries find in them: scores, softmax and weighted sum of a few
//! queries at a time, without a matrix of all scores.

#![allow(clippy::inline_always)] // so that the caller's level of SIMD holds for the loops

use super::math::softmax_row;
use pulp::{Arch, Simd, WithSimd};

/// Floats that one step of the loops takes: what fills the widest register.
const LANES: usize = 16;
/// Queries that are worked on together.
const QUERIES: usize = 6;

/// The keys and values of one head.
pub(crate) struct Memory {
    size: usize,
    frames: usize,
    /// `[size][frames, padded]`
    keys: Vec<f32>,
    /// `[frames][size, padded]`
    values: Vec<f32>,
}

impl Memory {
    /// Room for so many frames of heads of `size`.
    pub fn new(size: usize, frames: usize) -> Self {
        let (wide, long) = (size.next_multiple_of(LANES), frames.next_multiple_of(2 * LANES));
        Self { size, frames, keys: vec![0.0; size * long], values: vec![0.0; frames * wide] }
    }

    pub fn frames(&self) -> usize {
        self.frames
    }

    fn long(&self) -> usize {
        self.frames.next_multiple_of(2 * LANES)
    }

    fn wide(&self) -> usize {
        self.size.next_multiple_of(LANES)
    }

    /// Sets a frame's key and value.
    pub fn set(&mut self, frame: usize, key: &[f32], value: &[f32]) {
        let (long, wide) = (self.long(), self.wide());
        for (keys, key) in self.keys[frame..].iter_mut().step_by(long).zip(key) {
            *keys = *key;
        }
        self.values[frame * wide..][..self.size].copy_from_slice(value);
    }

    /// What queries of `[rows, size]` find in the first `frames` frames: `put` gets, row by row, its number, what was
    /// found (`[size]`) and the frames' shares in it (`[frames]`).
    pub fn attend(&self, queries: &[f32], frames: usize, mut put: impl FnMut(usize, &[f32], &[f32])) {
        assert!(frames > 0 && frames <= self.frames);
        let rows = queries.len() / self.size;
        let mut scratch = Scratch { scores: vec![0.0; QUERIES * self.long()], out: vec![0.0; QUERIES * self.wide()] };
        let arch = Arch::new();
        let mut row = 0;
        while row < rows {
            let count = if rows - row >= QUERIES { QUERIES } else { 1 };
            let queries = &queries[row * self.size..][..count * self.size];
            if count == 1 {
                arch.dispatch(Block::<1> { memory: self, queries, frames, scratch: &mut scratch });
            } else {
                arch.dispatch(Block::<QUERIES> { memory: self, queries, frames, scratch: &mut scratch });
            }
            for r in 0..count {
                let found = &scratch.out[r * self.wide()..][..self.size];
                put(row + r, found, &scratch.scores[r * self.long()..][..frames]);
            }
            row += count;
        }
    }
}

struct Scratch {
    scores: Vec<f32>,
    out: Vec<f32>,
}

/// Q queries.
struct Block<'a, const Q: usize> {
    memory: &'a Memory,
    queries: &'a [f32],
    frames: usize,
    scratch: &'a mut Scratch,
}

impl<const Q: usize> WithSimd for Block<'_, Q> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.score(simd);
        let long = self.memory.long();
        for r in 0..Q {
            softmax_row(&mut self.scratch.scores[r * long..][..self.frames]);
        }
        let columns = self.memory.wide() / S::F32_LANES;
        if columns.is_multiple_of(3) {
            self.gather::<S, 3>(simd);
        } else if columns.is_multiple_of(2) {
            self.gather::<S, 2>(simd);
        } else {
            self.gather::<S, 1>(simd);
        }
    }
}

impl<const Q: usize> Block<'_, Q> {
    /// The products of the queries and all keys.
    #[inline(always)]
    fn score<S: Simd>(&mut self, simd: S) {
        let (long, size) = (self.memory.long(), self.memory.size);
        for from in (0..self.frames).step_by(2 * S::F32_LANES) {
            let mut sums = [[simd.splat_f32s(0.0); 2]; Q];
            for (d, keys) in self.memory.keys.chunks_exact(long).enumerate() {
                let (keys, _) = S::as_simd_f32s(&keys[from..from + 2 * S::F32_LANES]);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let q = simd.splat_f32s(self.queries[r * size + d]);
                    sums[0] = simd.mul_add_f32s(q, keys[0], sums[0]);
                    sums[1] = simd.mul_add_f32s(q, keys[1], sums[1]);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let (scores, _) = S::as_mut_simd_f32s(&mut self.scratch.scores[r * long + from..][..2 * S::F32_LANES]);
                scores.copy_from_slice(sums);
            }
        }
    }

    /// The sums of the values by the scores, C registers of columns at a time.
    #[inline(always)]
    fn gather<S: Simd, const C: usize>(&mut self, simd: S) {
        let (long, wide) = (self.memory.long(), self.memory.wide());
        for from in (0..wide).step_by(C * S::F32_LANES) {
            let mut sums = [[simd.splat_f32s(0.0); C]; Q];
            for (frame, values) in self.memory.values.chunks_exact(wide).take(self.frames).enumerate() {
                let (values, _) = S::as_simd_f32s(&values[from..from + C * S::F32_LANES]);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let share = simd.splat_f32s(self.scratch.scores[r * long + frame]);
                    for c in 0..C {
                        sums[c] = simd.mul_add_f32s(share, values[c], sums[c]);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let (out, _) = S::as_mut_simd_f32s(&mut self.scratch.out[r * wide + from..][..C * S::F32_LANES]);
                out.copy_from_slice(sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn queries_find_what_softmax_says(
            rows in 1usize..20, room in 1usize..90, size in 1usize..150, part in 0.0f64..1.0, seed in 0usize..1000,
        ) {
            let draw = |count: usize, salt: usize| -> Vec<f32> {
                (0..count).map(|i| (((i + 13 * seed + salt) as f64 * 0.569_840_29).fract() * 2.0 - 1.0) as f32).collect()
            };
            let frames = 1 + (part * (room - 1) as f64) as usize;
            let (keys, values, queries) = (draw(room * size, 1), draw(room * size, 2), draw(rows * size, 3));
            let mut memory = Memory::new(size, room);
            for frame in 0..room {
                memory.set(frame, &keys[frame * size..][..size], &values[frame * size..][..size]);
            }
            let mut seen = 0;
            memory.attend(&queries, frames, |row, found, shares| {
                seen += 1;
                let query = &queries[row * size..][..size];
                let dot = |frame: usize| query.iter().zip(&keys[frame * size..]).map(|(q, k)| f64::from(q * k)).sum::<f64>();
                let powers: Vec<f64> = (0..frames).map(|frame| dot(frame).exp()).collect();
                let sum: f64 = powers.iter().sum();
                for (share, power) in shares.iter().zip(&powers) {
                    assert!((f64::from(*share) - power / sum).abs() < 1e-4);
                }
                for (d, found) in found.iter().enumerate() {
                    let wanted: f64 =
                        (0..frames).map(|frame| powers[frame] / sum * f64::from(values[frame * size + d])).sum();
                    assert!((f64::from(*found) - wanted).abs() < 1e-4);
                }
                // A query finds the same alone, bit for bit.
                memory.attend(query, frames, |_, alone, _| assert_eq!(alone, found));
            });
            prop_assert_eq!(seen, rows);
        }
    }
}
