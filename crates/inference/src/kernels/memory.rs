//! The keys and values of an attention head, and what queries find in them: scores, softmax and weighted sum of a few
//! queries at a time, without a matrix of all scores.

#![allow(clippy::inline_always)] // so that the caller's level of SIMD holds for the loops

use super::math::softmax_row;
use pulp::{Arch, Simd, WithSimd};

/// Floats of the widest register, and so the least step of what is stored.
const LANES: usize = 16;
/// Queries that are worked on together.
const QUERIES: usize = 6;

/// How numbers are kept. Two runs of 16 are stored as one pair, so that a load gives two registers either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// As they are: 16 of the first, then 16 of the second.
    Full,
    /// As bf16, the first in the upper and the second in the lower half of a word: what a decoder reads again at every
    /// step is half as long.
    Half,
}

impl Kept {
    /// Words of a pair of numbers.
    const fn words(self) -> usize {
        match self {
            Self::Full => 2,
            Self::Half => 1,
        }
    }

    /// The word of a number; `at` counts pairs, `second` says which of the two.
    const fn place(self, at: usize, second: bool) -> usize {
        match self {
            Self::Full => at / LANES * 2 * LANES + if second { LANES } else { 0 } + at % LANES,
            Self::Half => at,
        }
    }

    /// Puts a number into its word.
    fn put(self, word: &mut u32, second: bool, value: f32) {
        let bits = value.to_bits();
        *word = match self {
            Self::Full => bits,
            Self::Half => {
                // To the nearest, and of two equally near to the even.
                let rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
                if second { *word & 0xffff_0000 | rounded } else { *word & 0xffff | rounded << 16 }
            }
        }
    }
}

/// A register's length of pairs from a place on.
#[inline(always)]
fn pair<S: Simd, const HALF: bool>(simd: S, words: &[u32], at: usize) -> [S::f32s; 2] {
    if HALF {
        let word = S::as_simd_u32s(&words[at..at + S::F32_LANES]).0[0];
        let first = simd.and_u32s(word, simd.splat_u32s(0xffff_0000));
        let second = simd.wrapping_dyn_shl_u32s(word, simd.splat_u32s(16));
        [simd.transmute_f32s_u32s(first), simd.transmute_f32s_u32s(second)]
    } else {
        let at = at / LANES * 2 * LANES + at % LANES;
        let get = |at: usize| simd.transmute_f32s_u32s(S::as_simd_u32s(&words[at..at + S::F32_LANES]).0[0]);
        [get(at), get(at + LANES)]
    }
}

/// The keys and values of one head.
pub(crate) struct Memory {
    kept: Kept,
    size: usize,
    frames: usize,
    /// `[size][blocks of 2 * 16 frames]`: a frame's pair is the frame 16 behind it.
    keys: Vec<u32>,
    /// `[pairs of frames][size, padded]`: a frame's pair is the next frame.
    values: Vec<u32>,
}

impl Memory {
    /// Room for so many frames of heads of `size`.
    pub fn new(kept: Kept, size: usize, frames: usize) -> Self {
        let keys = vec![0; size * frames.div_ceil(2 * LANES) * LANES * kept.words()];
        let values = vec![0; frames.div_ceil(2) * size.next_multiple_of(LANES) * kept.words()];
        Self { kept, size, frames, keys, values }
    }

    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Frames, padded to whole blocks.
    fn long(&self) -> usize {
        self.frames.next_multiple_of(2 * LANES)
    }

    fn wide(&self) -> usize {
        self.size.next_multiple_of(LANES)
    }

    /// Sets a frame's key and value.
    pub fn set(&mut self, frame: usize, key: &[f32], value: &[f32]) {
        let (pairs, wide) = (self.long() / 2, self.wide());
        let kept = self.kept;
        let (at, second) = (frame / (2 * LANES) * LANES + frame % LANES, frame % (2 * LANES) >= LANES);
        let words = self.keys.chunks_exact_mut(pairs * kept.words());
        for (words, key) in words.zip(key) {
            kept.put(&mut words[kept.place(at, second)], second, *key);
        }
        let (start, second) = (frame / 2 * wide, frame % 2 == 1);
        for (nth, value) in value.chunks(LANES).enumerate() {
            let words = &mut self.values[kept.place(start + nth * LANES, second)..];
            for (word, value) in words.iter_mut().zip(value) {
                kept.put(word, second, *value);
            }
        }
    }

    /// What queries of `[rows, size]` find in the first `frames` frames: `put` gets, row by row, its number, what was
    /// found (`[size]`) and the frames' shares in it (`[frames]`).
    pub fn attend(&self, queries: &[f32], frames: usize, mut put: impl FnMut(usize, &[f32], &[f32])) {
        assert!(frames > 0 && frames <= self.frames);
        let rows = queries.len() / self.size;
        let together = QUERIES.min(rows);
        let mut scratch = Scratch { scores: vec![0.0; together * self.long()], out: vec![0.0; together * self.wide()] };
        let arch = Arch::new();
        let mut row = 0;
        while row < rows {
            let count = if rows < QUERIES { 1 } else { QUERIES };
            // The last ones are worked on with some before them, which is quicker than one by one.
            let first = row.min(rows - count);
            let queries = &queries[first * self.size..][..count * self.size];
            let scratch = &mut scratch;
            match (count == 1, self.kept) {
                (true, Kept::Full) => arch.dispatch(Block::<1, false> { memory: self, queries, frames, scratch }),
                (true, Kept::Half) => arch.dispatch(Block::<1, true> { memory: self, queries, frames, scratch }),
                (false, Kept::Full) => {
                    arch.dispatch(Block::<QUERIES, false> { memory: self, queries, frames, scratch });
                }
                (false, Kept::Half) => arch.dispatch(Block::<QUERIES, true> { memory: self, queries, frames, scratch }),
            }
            for r in row - first..count {
                let found = &scratch.out[r * self.wide()..][..self.size];
                put(first + r, found, &scratch.scores[r * self.long()..][..frames]);
            }
            row = first + count;
        }
    }
}

struct Scratch {
    scores: Vec<f32>,
    out: Vec<f32>,
}

/// Q queries.
struct Block<'a, const Q: usize, const HALF: bool> {
    memory: &'a Memory,
    queries: &'a [f32],
    frames: usize,
    scratch: &'a mut Scratch,
}

impl<const Q: usize, const HALF: bool> WithSimd for Block<'_, Q, HALF> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.score(simd);
        let long = self.memory.long();
        for r in 0..Q {
            let scores = &mut self.scratch.scores[r * long..][..self.frames.next_multiple_of(2 * LANES)];
            // Frames that are not there have no share; whole registers have no rest that goes one by one.
            scores[self.frames..].fill(f32::NEG_INFINITY);
            softmax_row(scores);
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

impl<const Q: usize, const HALF: bool> Block<'_, Q, HALF> {
    /// The products of the queries and all keys.
    #[inline(always)]
    fn score<S: Simd>(&mut self, simd: S) {
        let (long, size) = (self.memory.long(), self.memory.size);
        let row = long / 2 * self.memory.kept.words();
        for at in (0..self.frames.div_ceil(2 * LANES) * LANES).step_by(S::F32_LANES) {
            let mut sums = [[simd.splat_f32s(0.0); 2]; Q];
            for (d, keys) in self.memory.keys.chunks_exact(row).enumerate() {
                let keys = pair::<S, HALF>(simd, keys, at);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let q = simd.splat_f32s(self.queries[r * size + d]);
                    sums[0] = simd.mul_add_f32s(q, keys[0], sums[0]);
                    sums[1] = simd.mul_add_f32s(q, keys[1], sums[1]);
                }
            }
            let first = at / LANES * 2 * LANES + at % LANES;
            for (r, sums) in sums.iter().enumerate() {
                for (from, sum) in [first, first + LANES].into_iter().zip(sums) {
                    let scores = &mut self.scratch.scores[r * long + from..][..S::F32_LANES];
                    S::as_mut_simd_f32s(scores).0[0] = *sum;
                }
            }
        }
    }

    /// The sums of the values by the scores, C registers of columns at a time.
    #[inline(always)]
    fn gather<S: Simd, const C: usize>(&mut self, simd: S) {
        let (long, wide) = (self.memory.long(), self.memory.wide());
        let row = wide * self.memory.kept.words();
        for from in (0..wide).step_by(C * S::F32_LANES) {
            let mut sums = [[simd.splat_f32s(0.0); C]; Q];
            let pairs = self.memory.values.chunks_exact(row).take(self.frames.div_ceil(2));
            for (frame, values) in pairs.enumerate() {
                let mut loaded = [[simd.splat_f32s(0.0); 2]; C];
                for (c, loaded) in loaded.iter_mut().enumerate() {
                    *loaded = pair::<S, HALF>(simd, values, from + c * S::F32_LANES);
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let first = simd.splat_f32s(self.scratch.scores[r * long + 2 * frame]);
                    let second = simd.splat_f32s(self.scratch.scores[r * long + 2 * frame + 1]);
                    for c in 0..C {
                        sums[c] = simd.mul_add_f32s(first, loaded[c][0], sums[c]);
                        sums[c] = simd.mul_add_f32s(second, loaded[c][1], sums[c]);
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

    #[test]
    fn halves_are_the_nearest() {
        let mut word = 0;
        for (value, wanted) in [(1.0, 1.0), (1.003_906_3, 1.0), (1.011_718_8, 1.015_625), (-3.1, -3.093_75), (0.0, 0.0)]
        {
            Kept::Half.put(&mut word, false, value);
            Kept::Half.put(&mut word, true, -value);
            let pair = [word & 0xffff_0000, word << 16].map(f32::from_bits);
            assert_eq!(pair, [wanted, -wanted], "{value}");
        }
    }

    proptest! {
        #[test]
        fn queries_find_what_softmax_says(
            rows in 1usize..20, room in 1usize..90, size in 1usize..150, part in 0.0f64..1.0, seed in 0usize..1000, half: bool,
        ) {
            let draw = |count: usize, salt: usize| -> Vec<f32> {
                (0..count).map(|i| (((i + 13 * seed + salt) as f64 * 0.569_840_29).fract() * 2.0 - 1.0) as f32).collect()
            };
            let frames = 1 + (part * (room - 1) as f64) as usize;
            let (mut keys, mut values, queries) = (draw(room * size, 1), draw(room * size, 2), draw(rows * size, 3));
            let kept = if half { Kept::Half } else { Kept::Full };
            if half {
                // Numbers that a half holds whole.
                keys.iter_mut().chain(&mut values).for_each(|x| *x = (*x * 64.0).round() / 64.0);
            }
            let mut memory = Memory::new(kept, size, room);
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
