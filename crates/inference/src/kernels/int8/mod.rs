//! Matrix products in 8 bits: what the linear layers of our models spend their time on.
//!
//! A weight is one byte with a scale and a zero for each output, an activation one byte with a scale and a zero for each row,
//! and the sums of products are whole numbers, so that they are exact and the same in any order, on any processor and in any
//! batch. Quantization of activations as they come is that of ONNX Runtime's dynamic quantization, with a scale a row
//! instead of one a tensor, and a second byte for a row of which a few values stand out.
//!
//! The inner loop is written for AMX, for AVX-512 with VNNI, for AVX2, for NEON with dot products, and in plain Rust; [`Level::best`] chooses when it runs.

#![allow(unsafe_code)] // the processors' instructions; each block says why it is sound

mod activations;
#[cfg(target_arch = "x86_64")]
mod amx;
mod grid;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

use activations::{Activations, Row};
use grid::Grid;
use rayon::prelude::*;
use std::{mem::MaybeUninit, ops::Range};

/// Outputs that one register of weights serves.
const LANES: usize = 16;
/// Inputs whose products one instruction adds up.
const GROUP: usize = 4;
/// Rows and panels of the largest tile: 24 sums, 4 weights and an activation fill the 32 registers of AVX-512.
const TILE_ROWS: usize = 6;
const TILE_PANELS: usize = 4;
/// The rows of quantized activations are a multiple of this.
const TILE_OF_ROWS: usize = 16;
/// Rows that a task takes at most: their activations stay in the cache while the weights pass by.
const TASK_ROWS: usize = 48;

/// The weights of 16 outputs for 4 inputs each, output by output.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Lane([u8; LANES * GROUP]);

/// The sums of a tile.
type Sums = [[[i32; LANES]; TILE_PANELS]; TILE_ROWS];

/// The instructions that a machine has for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Plain Rust, on every machine.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Amx,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Level {
    /// All that this machine can run, the best last.
    pub fn available() -> Vec<Self> {
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                levels.push(Self::Avx512);
            }
            if levels.last() == Some(&Self::Avx512) && amx::is_there() {
                levels.push(Self::Amx);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            levels.push(Self::Neon);
        }
        levels
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512 with VNNI",
            #[cfg(target_arch = "x86_64")]
            Self::Amx => "AMX",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "NEON with dot products",
        }
    }

    pub fn best() -> Self {
        static BEST: std::sync::LazyLock<Level> =
            std::sync::LazyLock::new(|| Level::available().last().copied().unwrap_or(Level::Portable));
        *BEST
    }
}

/// A weight of `[outputs, inputs]`.
pub(crate) struct Weight {
    inputs: usize,
    outputs: usize,
    /// For each 16 outputs, for each 4 inputs.
    lanes: Vec<Lane>,
    /// Of each output: a weight is `scale * (byte - zero)`.
    scales: Vec<f32>,
    zeros: Vec<i32>,
    /// Of each output, the sum of `byte - zero`: what an activation's zero counts for.
    totals: Vec<i32>,
    /// Whether all activations have a second byte.
    wide: bool,
}

impl Weight {
    /// Quantizes `[outputs, inputs]`.
    pub fn new(weight: &[f32], inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let groups = groups(inputs);
        let grids: Vec<Grid> = weight.par_chunks_exact(inputs).map(Grid::of).collect();
        let mut lanes = vec![Lane([0; LANES * GROUP]); outputs.div_ceil(LANES) * groups];
        let mut totals = vec![0; outputs];
        let panels = weight.par_chunks(LANES * inputs).zip(grids.par_chunks(LANES)).zip(lanes.par_chunks_mut(groups));
        panels.zip(totals.par_chunks_mut(LANES)).for_each(|(((rows, grids), lanes), totals)| {
            let each = rows.chunks_exact(inputs).zip(grids).zip(totals);
            let mut bytes = vec![0; groups * GROUP];
            for (output, ((row, grid), total)) in each.enumerate() {
                *total = grid.bytes(row, &mut bytes[..inputs]);
                for (lane, group) in lanes.iter_mut().zip(bytes.as_chunks::<GROUP>().0) {
                    lane.0[output * GROUP..][..GROUP].copy_from_slice(group);
                }
            }
        });
        let (scales, zeros) = grids.iter().map(|grid| (grid.step, grid.zero)).unzip();
        Self { inputs, outputs, lanes, scales, zeros, totals, wide: false }
    }

    /// The same with two bytes for all activations: twice the work, where one costs words.
    pub fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `rest + x W^T` as `[rows, outputs]`, for rows of `x` that begin `stride` elements apart; `then` gets whole rows of the
    /// sums, some at a time.
    pub fn multiply(
        &self,
        level: Level,
        x: &[f32],
        (rows, stride): (usize, usize),
        rest: Option<&[f32]>,
        then: impl Fn(&mut [f32]) + Sync,
    ) -> Vec<f32> {
        assert!(rows == 0 || x.len() >= (rows - 1) * stride + self.inputs, "too few inputs");
        let length = rows * self.outputs;
        assert!(rest.is_none_or(|rest| rest.len() == length), "as many sums as outputs");
        let (threads, panels) = (rayon::current_num_threads(), self.outputs.div_ceil(LANES));
        if threads > 1 && rows < threads * TILE_ROWS && panels >= threads * TILE_PANELS {
            // Few rows: the outputs are shared out.
            let mut out = rest.map_or_else(|| vec![0.0; length], <[f32]>::to_vec);
            let x = Activations::new(x, rows, stride, self.inputs, self.wide);
            let each = panels.div_ceil(threads * 2).next_multiple_of(TILE_PANELS);
            let part = |first: usize| {
                let range = first..(first + each).min(panels);
                let (from, to) = (range.start * LANES, (range.end * LANES).min(self.outputs));
                let mut part: Vec<f32> = Vec::with_capacity(rows * (to - from));
                out.chunks_exact(self.outputs).for_each(|row| part.extend(&row[from..to]));
                self.panels(level, &x, range, &mut part);
                (from, to, part)
            };
            let parts: Vec<_> = (0..panels).into_par_iter().step_by(each).map(part).collect();
            for (from, to, part) in parts {
                let rows = out.chunks_exact_mut(self.outputs).zip(part.chunks_exact(to - from));
                rows.for_each(|(out, part)| out[from..to].copy_from_slice(part));
            }
            then(&mut out);
            return out;
        }
        let block = rows.div_ceil(threads).next_multiple_of(TILE_ROWS).clamp(TILE_ROWS, TASK_ROWS);
        let mut out = Vec::with_capacity(length);
        let parts = out.spare_capacity_mut()[..length].par_chunks_mut(block * self.outputs).enumerate();
        parts.for_each(|(nth, out)| {
            let out = filled(out, rest.map(|rest| &rest[nth * block * self.outputs..]));
            let rows = out.len() / self.outputs;
            let x = Activations::new(&x[nth * block * stride..], rows, stride, self.inputs, self.wide);
            self.panels(level, &x, 0..panels, out);
            then(out);
        });
        // SAFETY: the parts are all `length` elements, and each was filled.
        unsafe { out.set_len(length) };
        out
    }

    fn grids(&self, outputs: Range<usize>) -> Grids<'_> {
        (&self.scales[outputs.clone()], &self.zeros[outputs.clone()], &self.totals[outputs])
    }

    /// Multiplies these panels with all rows: `[rows, inputs]` to `[rows, outputs of the panels]`.
    fn panels(&self, level: Level, x: &Activations, panels: Range<usize>, out: &mut [f32]) {
        self.add_panels(level, x, panels.clone(), out);
        if let Some(rest) = &x.rest {
            self.add_panels(level, rest, panels, out);
        }
    }

    /// Adds to what is there.
    fn add_panels(&self, level: Level, x: &Activations, panels: Range<usize>, out: &mut [f32]) {
        let groups = groups(self.inputs);
        let origin = panels.start * LANES;
        let width = (panels.end * LANES).min(self.outputs) - origin;
        #[cfg(target_arch = "x86_64")]
        if level == Level::Amx {
            return self.add_panels_amx(x, panels, origin, width, out);
        }
        let mut sums: Sums = [[[0; LANES]; TILE_PANELS]; TILE_ROWS];
        for first in panels.clone().step_by(TILE_PANELS) {
            let count = TILE_PANELS.min(panels.end - first);
            let lanes = &self.lanes[first * groups..(first + count) * groups];
            let (from, to) = (first * LANES, ((first + count) * LANES).min(self.outputs));
            for row in (0..x.rows.len()).step_by(TILE_ROWS) {
                let rows = TILE_ROWS.min(x.rows.len() - row);
                let bytes = &x.bytes[row * groups * GROUP..(row + rows) * groups * GROUP];
                tile(level, bytes, rows, lanes, count, &mut sums);
                scaled_onto(out, (width, from - origin), &sums, &x.rows[row..row + rows], self.grids(from..to));
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn add_panels_amx(&self, x: &Activations, panels: Range<usize>, origin: usize, width: usize, out: &mut [f32]) {
        let groups = groups(self.inputs);
        let (depth, rows) = (groups * GROUP, x.rows.len());
        let mut sums = amx::Sums::default();
        for first in panels.clone().step_by(2) {
            let pair = [first, (first + 1).min(panels.end - 1)].map(|p| &self.lanes[p * groups..(p + 1) * groups]);
            for row in (0..rows).step_by(2 * amx::ROWS) {
                let second = if rows - row > amx::ROWS { row + amx::ROWS } else { row };
                let blocks = [row, second].map(|row| &x.bytes[row * depth..(row + amx::ROWS) * depth]);
                amx::multiply(blocks, pair, &mut sums);
                let (from, to) = (first * LANES, ((first + 2) * LANES).min(panels.end * LANES).min(self.outputs));
                for (r, row) in x.rows[row..].iter().take(2 * amx::ROWS).enumerate() {
                    let [one, other] = [0, 1].map(|panel| sums.0[r / amx::ROWS * 2 + panel][r % amx::ROWS]);
                    let sums = [one, other, [0; LANES], [0; LANES]];
                    scaled_onto(out, (width, from - origin), &[sums], &[*row], self.grids(from..to));
                }
            }
        }
    }
}

/// Groups of inputs that are stored: whole tiles where there are tiles.
fn groups(inputs: usize) -> usize {
    let groups = inputs.div_ceil(GROUP);
    #[cfg(target_arch = "x86_64")]
    if Level::best() == Level::Amx {
        return groups.next_multiple_of(amx::GROUPS);
    }
    groups
}

/// Fills what is not initialised with numbers, or with zero. Where its user works on it, so that it is in the cache.
fn filled<'a>(part: &'a mut [MaybeUninit<f32>], rest: Option<&[f32]>) -> &'a mut [f32] {
    let length = part.len();
    match rest {
        Some(rest) => part.iter_mut().zip(&rest[..length]).for_each(|(to, from)| _ = to.write(*from)),
        None => part.iter_mut().for_each(|to| _ = to.write(0.0)),
    }
    // SAFETY: all elements were just written.
    unsafe { &mut *(std::ptr::from_mut(part) as *mut [f32]) }
}

/// Of some outputs: scales, zeros and totals.
type Grids<'a> = (&'a [f32], &'a [i32], &'a [i32]);

vectorized! {
    /// Adds the sums of rows, brought to the scale of the row and of each output. A row's place in `out`, of rows of `width`,
    /// is `at` elements behind its start.
    fn scaled_onto<'a>(
        out: &'a mut [f32], place: (usize, usize), sums: &'a [[[i32; LANES]; TILE_PANELS]], rows: &'a [Row],
        grids: Grids<'a>,
    ) -> () {
        let (width, at) = place;
        for (row, sums) in rows.iter().zip(sums) {
            let out = &mut out[row.place * width + at..][..grids.0.len()];
            scaled_row(out, sums.as_flattened(), *row, grids);
        }
    }
}

#[allow(clippy::inline_always)] // so that the caller's level of SIMD holds
#[inline(always)]
fn scaled_row(out: &mut [f32], sums: &[i32], row: Row, grids: Grids<'_>) {
    let (own, zeros, totals) = grids;
    let brought = |sum: i32, own: f32, zero: i32, total: i32| {
        (sum - zero * row.total - row.zero * total) as f32 * (row.scale * own)
    };
    // Whole registers first, and into one of their own: the compiler does not know that the slices lie apart.
    let (outs, rest) = out.as_chunks_mut::<LANES>();
    let whole = outs.len() * LANES;
    let ((own, own_rest), (zeros, zeros_rest)) = (own.as_chunks::<LANES>(), zeros.as_chunks::<LANES>());
    let (totals, totals_rest) = totals.as_chunks::<LANES>();
    let each = outs.iter_mut().zip(sums.as_chunks::<LANES>().0).zip(own).zip(zeros).zip(totals);
    for ((((out, sums), own), zeros), totals) in each {
        let mut row = [0.0; LANES];
        for (i, row) in row.iter_mut().enumerate() {
            *row = brought(sums[i], own[i], zeros[i], totals[i]);
        }
        for (out, row) in out.iter_mut().zip(row) {
            *out += row;
        }
    }
    let each = rest.iter_mut().zip(&sums[whole..]).zip(own_rest).zip(zeros_rest).zip(totals_rest);
    for ((((out, sum), own), zero), total) in each {
        *out += brought(*sum, *own, *zero, *total);
    }
}

/// The sums of `rows` rows of activations and `panels` panels of weights.
fn tile(level: Level, x: &[i8], rows: usize, lanes: &[Lane], panels: usize, sums: &mut Sums) {
    let groups = lanes.len() / panels;
    assert!(rows <= TILE_ROWS && panels <= TILE_PANELS && x.len() == rows * groups * GROUP);
    match level {
        Level::Portable => portable(x, rows, lanes, panels, sums),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => x86::avx2_tile(x, rows, lanes, panels, sums),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 | Level::Amx => x86::avx512_tile(x, rows, lanes, panels, sums),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => neon::dot_tile(x, rows, lanes, panels, sums),
    }
}

fn portable(x: &[i8], rows: usize, lanes: &[Lane], panels: usize, sums: &mut Sums) {
    let groups = lanes.len() / panels;
    for (x, sums) in x.chunks_exact(groups * GROUP).zip(sums).take(rows) {
        for (lanes, sums) in lanes.chunks_exact(groups).zip(sums) {
            *sums = [0; LANES];
            for (lane, x) in lanes.iter().zip(x.chunks_exact(GROUP)) {
                for (sum, w) in sums.iter_mut().zip(lane.0.chunks_exact(GROUP)) {
                    *sum += (0..GROUP).map(|k| i32::from(w[k]) * i32::from(x[k])).sum::<i32>();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draw(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| (((i + 7 * seed) as f64 * 0.754_877_666).fract() * 4.0 - 2.0) as f32).collect()
    }

    fn multiply(level: Level, weight: &Weight, x: &[f32], rows: usize, stride: usize) -> Vec<f32> {
        weight.multiply(level, x, (rows, stride), None, |_| {})
    }

    proptest! {
        /// Whatever the shape: near the exact product, the same bits at every level, and a row the same alone.
        #[test]
        fn products_are_near_and_the_same_at_every_level(
            rows in 1usize..70, inputs in 1usize..150, outputs in 1usize..300, gap in 0usize..3, seed in 0usize..1000,
        ) {
            let w = draw(outputs * inputs, seed);
            let weight = Weight::new(&w, inputs);
            let stride = inputs + gap;
            let x = draw((rows - 1) * stride + inputs, seed + 1);
            let ours = multiply(Level::best(), &weight, &x, rows, stride);
            for level in Level::available() {
                prop_assert_eq!(&multiply(level, &weight, &x, rows, stride), &ours, "{:?}", level);
            }
            for row in 0..rows {
                let x = &x[row * stride..][..inputs];
                prop_assert_eq!(&multiply(Level::best(), &weight, x, 1, inputs), &ours[row * outputs..][..outputs]);
                for (output, w) in w.chunks_exact(inputs).enumerate() {
                    let exact: f32 = w.iter().zip(x).map(|(w, x)| w * x).sum();
                    // Numbers of at most 2: an activation is off by half a step of 2/127, a weight by half of 4/254.
                    let off = (ours[row * outputs + output] - exact).abs();
                    prop_assert!(off < inputs as f32 * 0.033 + 1e-5, "{off} at {row}, {output}");
                }
            }
        }
    }

    #[test]
    fn a_row_of_which_one_value_stands_out_has_a_second_byte() {
        let (rows, inputs, outputs) = (19, 400, 50);
        // Weights that a byte holds whole.
        let w: Vec<f32> = (0..outputs * inputs).map(|i| ((i * 37 + i / inputs) % 255) as f32 / 127.0 - 1.0).collect();
        let weight = Weight::new(&w, inputs);
        let mut x: Vec<f32> = draw(rows * inputs, 3).iter().map(|x| x * 0.1).collect();
        x.chunks_exact_mut(inputs).enumerate().filter(|(row, _)| row % 3 > 0).for_each(|(row, x)| x[row * 11] = 80.0);
        let ours = multiply(Level::best(), &weight, &x, rows, inputs);
        for level in Level::available() {
            assert_eq!(multiply(level, &weight, &x, rows, inputs), ours, "{level:?}");
        }
        for (x, ours) in x.chunks_exact(inputs).zip(ours.chunks_exact(outputs)) {
            for (w, ours) in w.chunks_exact(inputs).zip(ours) {
                let exact: f64 = w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                // Half a step of the second byte is 0.0006, and 0.16 of the first.
                assert!((f64::from(*ours) - exact).abs() < 0.25, "{ours} for {exact}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_so_in_its_row() {
        let weight = Weight::new(&draw(40 * 9, 1), 9);
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = draw(3 * 9, 2);
            x[9 + 4] = wrong;
            let out = multiply(Level::best(), &weight, &x, 3, 9);
            assert!(out[40..80].iter().all(|value| value.is_nan()));
            assert!(out[..40].iter().chain(&out[80..]).all(|value| value.is_finite()));
        }
    }

    #[test]
    fn extremes() {
        let big = Weight::new(&[3e38, -3e38, 1.0, 0.0], 2);
        let out = multiply(Level::best(), &big, &[1.0, 1.0, 1e-40, 0.0, 0.0, 0.0, 0.5, -0.5], 4, 2);
        assert!(out[0].abs() < 3e36 && (out[1] - 1.0).abs() < 1e-6, "{out:?}");
        assert_eq!(out[2..6], [0.0, 0.0, 0.0, 0.0]);
        assert!((out[6] / 3e38 - 1.0).abs() < 0.01, "{}", out[6]);
        // Weights that are far from zero and near each other.
        let far = multiply(Level::best(), &Weight::new(&[1e6, 1e6 + 0.125, 1e6 + 0.25], 3), &[1.0, 1.0, 1.0], 1, 3);
        assert!((far[0] / 3e6 - 1.0).abs() < 1e-2, "{far:?}");
        let one = multiply(Level::best(), &Weight::new(&[-2.5; 6], 3), &[1.0, 2.0, 4.0], 1, 3);
        assert!((one[0] + 17.5).abs() < 0.1 && one[0].to_bits() == one[1].to_bits(), "{one:?}");
        assert_eq!(multiply(Level::best(), &Weight::new(&[0.0; 6], 3), &[1.0, 2.0, 3.0], 1, 3), [0.0, 0.0]);
        assert!(multiply(Level::best(), &big, &[], 0, 2).is_empty());
    }
}
