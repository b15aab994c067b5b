//! The tile in the vector instructions of x86-64.

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
