//! Tiles of 16 rows and 16 outputs: Intel's Advanced Matrix Extensions. The instructions are written out, since Rust has no
//! functions for them yet.

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
