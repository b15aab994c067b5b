//! Matrix products in 8 bits: what the linear layers of our models spend their time on.
//!
//! A weight is one byte with a scale and a zero for each output, an activation one byte with a scale for each row, and the
//! sums of products are whole numbers, so that they are exact and the same in any order, on any processor and in any
//! batch. Quantization of activations as they come is that of ONNX Runtime's dynamic quantization, with a scale a row
//! instead of one a tensor.
//!
//! The inner loop is written for AMX, for AVX-512 with VNNI, for AVX2, and in plain Rust; [`Level::best`] chooses when it runs.

#![allow(unsafe_code)] // the processors' instructions; each block says why it is sound

use rayon::prelude::*;
use std::ops::Range;

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
    /// Whether activations have a second byte.
    wide: bool,
}

impl Weight {
    /// Quantizes `[outputs, inputs]`.
    pub fn new(weight: &[f32], inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let groups = groups(inputs);
        let grids: Vec<Grid> = weight.par_chunks_exact(inputs).map(Grid::of).collect();
        let mut lanes = vec![Lane([0; LANES * GROUP]); outputs.div_ceil(LANES) * groups];
        for (output, (row, grid)) in weight.chunks_exact(inputs).zip(&grids).enumerate() {
            for (input, w) in row.iter().enumerate() {
                let lane = &mut lanes[output / LANES * groups + input / GROUP];
                lane.0[output % LANES * GROUP + input % GROUP] = grid.byte(*w);
            }
        }
        let (scales, zeros) = grids.iter().map(|grid| (grid.step, grid.zero)).unzip();
        Self { inputs, outputs, lanes, scales, zeros, wide: false }
    }

    /// The same with activations of two bytes, for a layer whose inputs differ in size by much. Twice the work.
    pub fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Adds `x W^T` to `out`, `[rows, outputs]`, for rows of `x` that begin `stride` elements apart, and hands whole rows
    /// of the sums to `then`, some at a time.
    pub fn multiply_onto(
        &self,
        level: Level,
        x: &[f32],
        rows: usize,
        stride: usize,
        out: &mut [f32],
        then: impl Fn(&mut [f32]) + Sync,
    ) {
        assert!(rows == 0 || x.len() >= (rows - 1) * stride + self.inputs, "too few inputs");
        assert_eq!(out.len(), rows * self.outputs);
        let (threads, panels) = (rayon::current_num_threads(), self.outputs.div_ceil(LANES));
        if threads > 1 && rows < threads * TILE_ROWS && panels >= threads * TILE_PANELS {
            // Few rows: the outputs are shared out.
            let x = Quantized::new(x, rows, stride, self.inputs, self.wide);
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
            return then(out);
        }
        let block = rows.div_ceil(threads).next_multiple_of(TILE_ROWS).clamp(TILE_ROWS, TASK_ROWS);
        out.par_chunks_mut(block * self.outputs).enumerate().for_each(|(nth, out)| {
            let x =
                Quantized::new(&x[nth * block * stride..], out.len() / self.outputs, stride, self.inputs, self.wide);
            self.panels(level, &x, 0..panels, out);
            then(out);
        });
    }

    /// Multiplies these panels with all rows: `[rows, inputs]` to `[rows, outputs of the panels]`.
    fn panels(&self, level: Level, x: &Quantized, panels: Range<usize>, out: &mut [f32]) {
        self.add_panels(level, x, panels.clone(), out);
        if let Some(rest) = &x.rest {
            self.add_panels(level, rest, panels, out);
        }
    }

    /// Adds to what is there.
    fn add_panels(&self, level: Level, x: &Quantized, panels: Range<usize>, out: &mut [f32]) {
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
            let (own, zeros) = (&self.scales[from..to], &self.zeros[from..to]);
            for row in (0..x.scales.len()).step_by(TILE_ROWS) {
                let rows = TILE_ROWS.min(x.scales.len() - row);
                let bytes = &x.bytes[row * groups * GROUP..(row + rows) * groups * GROUP];
                tile(level, bytes, rows, lanes, count, &mut sums);
                let out = &mut out[row * width..];
                for (r, sums) in sums.iter().take(rows).enumerate() {
                    let out = &mut out[r * width + from - origin..][..to - from];
                    scaled_onto(out, sums.as_flattened(), (x.scales[row + r], x.totals[row + r]), own, zeros);
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn add_panels_amx(&self, x: &Quantized, panels: Range<usize>, origin: usize, width: usize, out: &mut [f32]) {
        let groups = groups(self.inputs);
        let (depth, rows) = (groups * GROUP, x.scales.len());
        let mut sums = amx::Sums::default();
        for first in panels.clone().step_by(2) {
            let pair = [first, (first + 1).min(panels.end - 1)].map(|p| &self.lanes[p * groups..(p + 1) * groups]);
            for row in (0..rows).step_by(2 * amx::ROWS) {
                let second = if rows - row > amx::ROWS { row + amx::ROWS } else { row };
                let blocks = [row, second].map(|row| &x.bytes[row * depth..(row + amx::ROWS) * depth]);
                amx::multiply(blocks, pair, &mut sums);
                let (from, to) = (first * LANES, ((first + 2) * LANES).min(panels.end * LANES).min(self.outputs));
                for r in 0..(2 * amx::ROWS).min(rows - row) {
                    let out = &mut out[(row + r) * width + from - origin..][..to - from];
                    let [one, other] = [0, 1].map(|panel| &sums.0[r / amx::ROWS * 2 + panel][r % amx::ROWS]);
                    let mut pair = [*one, *other];
                    let sums = pair.as_flattened_mut();
                    let (own, zeros) = (&self.scales[from..to], &self.zeros[from..to]);
                    scaled_onto(out, sums, (x.scales[row + r], x.totals[row + r]), own, zeros);
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

vectorized! {
    /// Adds a row's sums, brought to the scale of the row and of each output.
    fn scaled_onto<'a>(out: &'a mut [f32], sums: &'a [i32], row: (f32, i32), own: &'a [f32], zeros: &'a [i32]) -> () {
        let (scale, total) = row;
        let (outs, rest) = out.as_chunks_mut::<LANES>();
        let brought = |sum: i32, own: f32, zero: i32| (sum - zero * total) as f32 * (scale * own);
        // Whole registers first, and into one of their own: the compiler does not know that the slices lie apart.
        let (sums, sums_rest) = sums.as_chunks::<LANES>();
        let ((own, own_rest), (zeros, zeros_rest)) = (own.as_chunks::<LANES>(), zeros.as_chunks::<LANES>());
        for (((out, sums), own), zeros) in outs.iter_mut().zip(sums).zip(own).zip(zeros) {
            let mut row = [0.0; LANES];
            for (i, row) in row.iter_mut().enumerate() {
                *row = brought(sums[i], own[i], zeros[i]);
            }
            for (out, row) in out.iter_mut().zip(row) {
                *out += row;
            }
        }
        let sums_rest = sums.get(outs.len()).map_or(sums_rest, |sums| &sums[..]);
        for (((out, sum), own), zero) in rest.iter_mut().zip(sums_rest).zip(own_rest).zip(zeros_rest) {
            *out += brought(*sum, *own, *zero);
        }
    }
}

/// The evenly spaced numbers that the weights of an output are brought to: `step * (byte - zero)`.
struct Grid {
    step: f32,
    zero: i32,
}

impl Grid {
    /// The grid on which these weights lie, where they lie on one of 256 numbers (a model that was published in 8 bits and
    /// brought back to floating point); else the numbers from the least to the greatest.
    fn of(row: &[f32]) -> Self {
        let mut sorted = row.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else { return Self { step: 0.0, zero: 0 } };
        if low == high {
            // One number: byte 1, or 0 for none.
            return Self { step: low, zero: 0 };
        }
        let (low, high) = (f64::from(low), f64::from(high));
        let gaps = sorted.windows(2).map(|pair| f64::from(pair[1]) - f64::from(pair[0]));
        let gap = gaps.filter(|gap| *gap > 0.0).fold(f64::MAX, f64::min);
        // The least gap may be some steps wide.
        for parts in 1..=4 {
            let steps = whole((high - low) / gap * f64::from(parts));
            let step = (high - low) / steps;
            let lies = |w: &f32| {
                let place = f64::from(*w) / step;
                // Off by at most a hundredth of what a byte's step would be.
                place.abs() <= 255.0 && (whole(place) - place).abs() < 0.01 * steps / 255.0
            };
            if steps <= 255.0 && sorted.iter().all(lies) {
                return Self { step: step as f32, zero: -whole(low / step) as i32 };
            }
        }
        // Zero is among them, so that no byte stands far from it; a step less than there are keeps both ends inside.
        let (low, high) = (low.min(0.0), high.max(0.0));
        let step = (high - low) / 254.0;
        Self { step: step as f32, zero: -whole(low / step) as i32 }
    }

    fn byte(&self, w: f32) -> u8 {
        if self.step == 0.0 {
            0
        } else {
            (whole(f64::from(w) / f64::from(self.step)) as i32 + self.zero).clamp(0, 255) as u8
        }
    }
}

/// The nearest whole number, of two the even one, without the call that processors without the instruction need.
fn whole(x: f64) -> f64 {
    // Added and taken off again, it leaves no room for a fraction.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    x + ROUND - ROUND
}

/// Rows of activations in 8 bits, each padded to whole groups.
struct Quantized {
    bytes: Vec<i8>,
    scales: Vec<f32>,
    /// The sum of each row's bytes: what a weight's zero counts for.
    totals: Vec<i32>,
    /// What is left of the activations, if it counts.
    rest: Option<Box<Self>>,
}

impl Quantized {
    fn new(x: &[f32], rows: usize, stride: usize, inputs: usize, wide: bool) -> Self {
        let width = groups(inputs) * GROUP;
        // Tiles of rows read whole ones.
        let mut bytes = vec![0; rows.next_multiple_of(TILE_OF_ROWS) * width];
        let (mut scales, mut totals) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut rest = vec![0.0; if wide { rows * inputs } else { 0 }];
        for (row, bytes) in bytes.chunks_exact_mut(width).take(rows).enumerate() {
            let (x, bytes) = (&x[row * stride..][..inputs], &mut bytes[..inputs]);
            let rest = if wide { &mut rest[row * inputs..][..inputs] } else { &mut [] };
            let (scale, total) = quantize(x, bytes, rest);
            scales.push(scale);
            totals.push(total);
        }
        let rest = wide.then(|| Box::new(Self::new(&rest, rows, inputs, inputs, false)));
        Self { bytes, scales, totals, rest }
    }
}

vectorized! {
    /// A row to bytes, with what is left of it where that is asked for; gives its scale and the sum of the bytes. A row that is not finite has the scale NaN, so that
    /// what is made of it is NaN too.
    fn quantize<'a>(row: &'a [f32], bytes: &'a mut [i8], rest: &'a mut [f32]) -> (f32, i32) {
        // Added and taken off again, it rounds to a whole number, which stands in the low bits of the sum.
        const ROUND: f32 = 12_582_912.0;
        // Without their sign, the bits of numbers are in the numbers' order, and NaN above all.
        let most = row.iter().fold(0u32, |most, x| most.max(x.to_bits() & 0x7fff_ffff));
        let most = f32::from_bits(most);
        if !most.is_finite() {
            return (f32::NAN, 0);
        }
        // The inverse of a tiny number would not be finite.
        let inverse = if most > 1e-30 { 127.0 / most } else { 0.0 };
        let mut sum = 0i32;
        for (byte, x) in bytes.iter_mut().zip(row) {
            *byte = (x * inverse + ROUND).to_bits() as i8;
            sum += i32::from(*byte);
        }
        let scale = most / 127.0;
        for ((rest, x), byte) in rest.iter_mut().zip(row).zip(&*bytes) {
            *rest = x - f32::from(*byte) * scale;
        }
        (scale, sum)
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{GROUP, LANES, Lane, Sums};
    #[allow(clippy::wildcard_imports)] // the instructions
    use std::arch::x86_64::*;

    /// Calls a kernel with rows and panels as constants.
    macro_rules! constants {
        ($kernel:ident, $rows:expr, $panels:expr, [$($r:literal)*], $arguments:tt) => {
            match $panels {
                1 => constants!(@ $kernel, $rows, 1, [$($r)*], $arguments),
                2 => constants!(@ $kernel, $rows, 2, [$($r)*], $arguments),
                3 => constants!(@ $kernel, $rows, 3, [$($r)*], $arguments),
                _ => constants!(@ $kernel, $rows, 4, [$($r)*], $arguments),
            }
        };
        (@ $kernel:ident, $rows:expr, $p:literal, [$($r:literal)*], $arguments:tt) => {
            match $rows {
                // SAFETY: the level says that the processor has the instructions, and `tile` checked the lengths.
                $($r => unsafe { $kernel::<$r, $p> $arguments },)*
                _ => unreachable!("a tile has at most {} rows", super::TILE_ROWS),
            }
        };
    }

    pub(super) fn avx512_tile(x: &[i8], rows: usize, lanes: &[Lane], panels: usize, sums: &mut Sums) {
        let groups = lanes.len() / panels;
        constants!(avx512, rows, panels, [1 2 3 4 5 6], (x.as_ptr(), lanes.as_ptr(), groups, sums));
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn avx512<const R: usize, const P: usize>(x: *const i8, lanes: *const Lane, groups: usize, sums: &mut Sums) {
        let mut acc = [[_mm512_setzero_si512(); P]; R];
        for g in 0..groups {
            let mut w = [_mm512_setzero_si512(); P];
            for (p, w) in w.iter_mut().enumerate() {
                // SAFETY: `lanes` holds P panels of `groups` lanes of 64 bytes.
                *w = unsafe { _mm512_load_si512(lanes.add(p * groups + g).cast()) };
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                // SAFETY: `x` holds R rows of `groups` groups of 4 bytes.
                let a = unsafe { x.add((r * groups + g) * GROUP).cast::<[u8; GROUP]>().read() };
                let a = i32::from_ne_bytes(a);
                let a = _mm512_set1_epi32(a);
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc = _mm512_dpbusd_epi32(*acc, w, a);
                }
            }
        }
        for (acc, sums) in acc.iter().zip(sums) {
            for (acc, sums) in acc.iter().zip(sums) {
                // SAFETY: 16 sums of 4 bytes.
                unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), *acc) };
            }
        }
    }

    pub(super) fn avx2_tile(x: &[i8], rows: usize, lanes: &[Lane], panels: usize, sums: &mut Sums) {
        let groups = lanes.len() / panels;
        for (panel, lanes) in lanes.chunks_exact(groups).enumerate() {
            let mut row = 0;
            while row < rows {
                let x = x[row * groups * GROUP..].as_ptr();
                // SAFETY: the level says that the processor has the instructions, and `tile` checked the lengths.
                let done = unsafe {
                    if rows - row >= 2 {
                        avx2::<2>(x, lanes.as_ptr(), groups, panel, &mut sums[row..]);
                        2
                    } else {
                        avx2::<1>(x, lanes.as_ptr(), groups, panel, &mut sums[row..]);
                        1
                    }
                };
                row += done;
            }
        }
    }

    /// Widens to 16 bits first: the instruction for bytes would saturate.
    #[target_feature(enable = "avx2")]
    unsafe fn avx2<const R: usize>(
        x: *const i8,
        lanes: *const Lane,
        groups: usize,
        panel: usize,
        sums: &mut [[[i32; LANES]; super::TILE_PANELS]],
    ) {
        // Each holds, for 4 outputs, the sums of the even and of the odd pairs of inputs.
        let mut acc = [[_mm256_setzero_si256(); 4]; R];
        for g in 0..groups {
            let mut w = [_mm256_setzero_si256(); 4];
            for (quarter, w) in w.iter_mut().enumerate() {
                // SAFETY: a lane has 64 bytes.
                let bytes = unsafe { _mm_load_si128(lanes.add(g).cast::<__m128i>().add(quarter)) };
                *w = _mm256_cvtepu8_epi16(bytes);
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                // SAFETY: `x` holds R rows of `groups` groups of 4 bytes.
                let a = unsafe { x.add((r * groups + g) * GROUP).cast::<[u8; GROUP]>().read() };
                let a = i32::from_ne_bytes(a);
                let a = _mm256_cvtepi8_epi16(_mm_set1_epi32(a));
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(w, a));
                }
            }
        }
        for (acc, sums) in acc.iter().zip(sums) {
            for (quarter, acc) in acc.iter().enumerate() {
                let mut pairs = [0i32; 8];
                // SAFETY: 8 sums of 4 bytes.
                unsafe { _mm256_storeu_si256(pairs.as_mut_ptr().cast(), *acc) };
                for (output, pair) in pairs.chunks_exact(2).enumerate() {
                    sums[panel][quarter * 4 + output] = pair[0] + pair[1];
                }
            }
        }
    }
}

/// Tiles of 16 rows and 16 outputs (Intel's Advanced Matrix Extensions). The instructions are written out, since Rust has no
/// functions for them yet.
#[cfg(target_arch = "x86_64")]
mod amx {
    use super::{LANES, Lane};
    use std::arch::{asm, x86_64::__cpuid_count};

    /// Rows of a tile.
    pub(super) const ROWS: usize = super::TILE_OF_ROWS;
    /// Groups of inputs of a tile.
    pub(super) const GROUPS: usize = 16;

    /// The sums of two tiles of rows with two of outputs.
    #[derive(Default)]
    #[repr(C, align(64))]
    pub(super) struct Sums(pub [[[i32; LANES]; ROWS]; 4]);

    /// Eight tiles of 16 rows of 64 bytes (Intel, "Software Developer's Manual", LDTILECFG).
    #[repr(C, align(64))]
    struct Tiles([u8; 64]);

    static TILES: Tiles = {
        let mut tiles = [0; 64];
        tiles[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            tiles[16 + 2 * tile] = 64;
            tiles[48 + tile] = 16;
            tile += 1;
        }
        Tiles(tiles)
    };

    /// AMX-TILE and AMX-INT8 in the processor's description.
    const TILES_OF_BYTES: u32 = 1 << 24 | 1 << 25;

    /// Whether the processor has tiles of bytes, and the kernel lets this process use them.
    pub(super) fn is_there() -> bool {
        if !cfg!(target_os = "linux") || __cpuid_count(0, 0).eax < 7 {
            return false;
        }
        if __cpuid_count(7, 0).edx & TILES_OF_BYTES != TILES_OF_BYTES {
            return false;
        }
        // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
        let (call, request, feature) = (158u64, 0x1023u64, 18u64);
        let answer: u64;
        // SAFETY: a system call that changes nothing but what this process may use; it clobbers rcx and r11.
        unsafe {
            asm!("syscall", inlateout("rax") call => answer, in("rdi") request, in("rsi") feature,
                out("rcx") _, out("r11") _, options(nostack));
        }
        answer == 0
    }

    /// The sums of two blocks of 16 rows and two panels.
    pub(super) fn multiply(rows: [&[i8]; 2], panels: [&[Lane]; 2], sums: &mut Sums) {
        let groups = panels[0].len();
        let depth = groups * super::GROUP;
        assert!(groups > 0 && groups.is_multiple_of(GROUPS) && panels[1].len() == groups);
        assert!(rows.iter().all(|rows| rows.len() == ROWS * depth));
        // SAFETY: `is_there` said that the tiles may be used. Each step reads 64 bytes of 16 rows `depth` bytes apart and
        // 16 lanes of 64 bytes; the steps end with the rows and the panels. Four tiles of 1024 bytes are written.
        unsafe {
            asm!(
                "ldtilecfg [{tiles}]",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{a0} + {depth}*1]",
                "tileloadd tmm6, [{b0} + {lane}*1]",
                "tileloadd tmm7, [{b1} + {lane}*1]",
                "tdpbsud tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{a1} + {depth}*1]",
                "tdpbsud tmm1, tmm4, tmm7",
                "tdpbsud tmm2, tmm5, tmm6",
                "tdpbsud tmm3, tmm5, tmm7",
                "add {a0}, 64",
                "add {a1}, 64",
                "add {b0}, 1024",
                "add {b1}, 1024",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + {lane}*1], tmm0",
                "tilestored [{sums} + {lane}*1 + 1024], tmm1",
                "tilestored [{sums} + {lane}*1 + 2048], tmm2",
                "tilestored [{sums} + {lane}*1 + 3072], tmm3",
                "tilerelease",
                tiles = in(reg) TILES.0.as_ptr(),
                a0 = inout(reg) rows[0].as_ptr() => _,
                a1 = inout(reg) rows[1].as_ptr() => _,
                b0 = inout(reg) panels[0].as_ptr() => _,
                b1 = inout(reg) panels[1].as_ptr() => _,
                depth = in(reg) depth,
                lane = in(reg) 64usize,
                steps = inout(reg) groups / GROUPS => _,
                sums = in(reg) sums.0.as_mut_ptr(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
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
        let mut out = vec![0.0; rows * weight.outputs()];
        weight.multiply_onto(level, x, rows, stride, &mut out, |_| {});
        out
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
            // With a second byte of activations the weights' half steps are left.
            let wide = Weight::new(&w, inputs).wide();
            let ours = multiply(Level::best(), &wide, &x, rows, stride);
            for (row, x) in (0..rows).map(|row| (row, &x[row * stride..][..inputs])) {
                for (output, (w, ours)) in w.chunks_exact(inputs).zip(&ours[row * outputs..]).enumerate() {
                    let off = (ours - w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).abs();
                    prop_assert!(off < inputs as f32 * 0.017 + 1e-5, "{off} at {row}, {output}");
                }
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
    fn weights_that_lie_on_a_grid_keep_their_values() {
        let values = |step: f32, zero: i32| move |i: i32| step * ((i * 37) % 256 - zero) as f32;
        for (step, zero) in [(0.0183, 141), (1.7e-3, 0), (3.0, 255), (2e-5, 128)] {
            let row: Vec<f32> = (0..288).map(values(step, zero)).collect();
            let grid = Grid::of(&row);
            for &w in &row {
                let back = grid.step * (i32::from(grid.byte(w)) - grid.zero) as f32;
                assert!((back - w).abs() <= 1e-4 * step, "{w} comes back as {back}");
            }
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
