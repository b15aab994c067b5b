//! The tile in the vector instructions of AArch64.

use super::{GROUP, LANES, Lane, Sums, TILE_PANELS};
#[allow(clippy::wildcard_imports)] // the instructions
use std::arch::aarch64::*;

/// Bytes of a register.
const BYTES: usize = 16;
/// Registers of a lane.
const QUARTERS: usize = LANES * GROUP / BYTES;

pub(super) fn dot_tile(x: &[i8], rows: usize, lanes: &[Lane], panels: usize, sums: &mut Sums) {
    let groups = lanes.len() / panels;
    // Weights are unsigned and the instruction multiplies signed bytes: 128 is taken off each, and added again here.
    let mut taken = [0; super::TILE_ROWS];
    for (taken, x) in taken.iter_mut().zip(x.chunks_exact((groups * GROUP).max(1))) {
        *taken = 128 * x.iter().map(|&x| i32::from(x)).sum::<i32>();
    }
    for (panel, lanes) in lanes.chunks_exact(groups).enumerate() {
        let (x, lanes) = (x.as_ptr(), lanes.as_ptr());
        // SAFETY: the level says that the processor has the instructions, and `tile` checked the lengths.
        unsafe {
            match rows {
                1 => dot::<1>(x, lanes, groups, panel, &taken, sums),
                2 => dot::<2>(x, lanes, groups, panel, &taken, sums),
                3 => dot::<3>(x, lanes, groups, panel, &taken, sums),
                4 => dot::<4>(x, lanes, groups, panel, &taken, sums),
                5 => dot::<5>(x, lanes, groups, panel, &taken, sums),
                _ => dot::<6>(x, lanes, groups, panel, &taken, sums),
            }
        }
    }
}

/// Six rows take 24 registers of sums, 4 of weights and one of activations: all but three of the 32.
#[target_feature(enable = "neon,dotprod")]
unsafe fn dot<const R: usize>(
    x: *const i8,
    lanes: *const Lane,
    groups: usize,
    panel: usize,
    taken: &[i32; super::TILE_ROWS],
    sums: &mut Sums,
) {
    debug_assert!(panel < TILE_PANELS);
    let mut acc = [[vdupq_n_s32(0); QUARTERS]; R];
    for (acc, taken) in acc.iter_mut().zip(taken) {
        *acc = [vdupq_n_s32(*taken); QUARTERS];
    }
    let half = vdupq_n_u8(0x80);
    for g in 0..groups {
        let mut w = [vdupq_n_s8(0); QUARTERS];
        for (quarter, w) in w.iter_mut().enumerate() {
            // SAFETY: a lane has 64 bytes.
            let bytes = unsafe { vld1q_u8(lanes.add(g).cast::<u8>().add(quarter * BYTES)) };
            *w = vreinterpretq_s8_u8(veorq_u8(bytes, half));
        }
        for (r, acc) in acc.iter_mut().enumerate() {
            // SAFETY: `x` holds R rows of `groups` groups of 4 bytes.
            let a = unsafe { x.add((r * groups + g) * GROUP).cast::<[u8; GROUP]>().read() };
            let a = vreinterpretq_s8_s32(vdupq_n_s32(i32::from_ne_bytes(a)));
            for (acc, w) in acc.iter_mut().zip(w) {
                *acc = sdot(*acc, w, a);
            }
        }
    }
    for (acc, sums) in acc.iter().zip(sums) {
        for (acc, sums) in acc.iter().zip(sums[panel].chunks_exact_mut(LANES / QUARTERS)) {
            // SAFETY: 4 sums of 4 bytes.
            unsafe { vst1q_s32(sums.as_mut_ptr(), *acc) };
        }
    }
}

/// Adds to each sum four products.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(sums: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    let mut out = sums;
    // SAFETY: works on registers alone; the caller has the instruction.
    unsafe {
        std::arch::asm!(
            "sdot {out:v}.4s, {w:v}.16b, {x:v}.16b",
            out = inout(vreg) out, w = in(vreg) w, x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    out
}
