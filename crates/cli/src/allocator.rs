//! Where memory comes from: blocks of middling size from the system, small and large ones from mimalloc.
//!
//! Texts come and go in small blocks, which mimalloc hands out fastest (sentences are embedded 4 % faster than over the GNU C
//! library alone), and weights lie in large ones, which it backs with huge pages (a start takes 0.37 s in place of 0.44). What is
//! between the layers of a model comes and goes in blocks of many sizes, and of those mimalloc keeps what was freed for each thread
//! and each size: a run of 112 calls held 553 MB with mimalloc alone, and 28 calls 450; now both hold 425, in the same time.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait")]

use mimalloc::MiMalloc;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    ops::Range,
};

/// Bytes of the blocks that are the system's. Up from 64 KiB in place of 2 KiB, a run grew by 35 MB more.
const MIDDLING: Range<usize> = 2 << 10..1 << 20;

/// Both allocators; which of them a block belongs to is told by its size.
pub struct BySize;

impl BySize {
    fn of(size: usize) -> &'static dyn GlobalAlloc {
        if MIDDLING.contains(&size) { &System } else { &MiMalloc }
    }
}

// SAFETY: a block is handed to the allocator that made it, since both `dealloc` and `realloc` are given the layout that the
// block was made with, and the choice depends on its size alone.
unsafe impl GlobalAlloc for BySize {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { Self::of(layout.size()).alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { Self::of(layout.size()).alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above, and the block is this allocator's.
        unsafe { Self::of(layout.size()).dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if MIDDLING.contains(&layout.size()) == MIDDLING.contains(&size) {
            // SAFETY: as above.
            return unsafe { Self::of(size).realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that the size is above nothing and fits the alignment; both blocks hold what is copied,
        // and are not the same; the old one is this allocator's.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Keeps the system from giving blocks back at once and taking them again, which costs 5 % of the time of texts. Both bounds
/// are where the GNU C library would arrive by itself after a while. Other systems are left as they are.
pub fn keep_freed_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` sets two numbers under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MIDDLING.end as i32);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_block_holds_outlives_its_moves_between_the_allocators() {
        let Range { start, end } = MIDDLING;
        let sizes = [1, start - 1, start, end - 1, end, 3 * end, end - 1, start, 3 * end, start - 1, 3];
        let byte = |i: usize| (i * 7 % 251) as u8;
        // SAFETY: layouts have sizes above nothing; each block is read and written within its size, and freed once with the
        // layout that it has.
        unsafe {
            let mut layout = Layout::from_size_align(sizes[0], 64).expect("a layout");
            let mut block = BySize.alloc_zeroed(layout);
            assert_eq!(*block, 0);
            let mut written = 0;
            for size in sizes {
                block = BySize.realloc(block, layout, size);
                layout = Layout::from_size_align(size, 64).expect("a layout");
                assert_eq!(block.align_offset(64), 0);
                let bytes = std::slice::from_raw_parts_mut(block, size);
                assert!(bytes.iter().take(written).enumerate().all(|(i, &b)| b == byte(i)));
                bytes.iter_mut().enumerate().for_each(|(i, b)| *b = byte(i));
                written = size;
            }
            BySize.dealloc(block, layout);
        }
    }
}
