//! Any bytes as a recording: an error or sound samples, never a panic that gets out, a hang or unbounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Write;

/// Blocks that are read: what a bomb unfolds to after that is more of the same.
const BLOCKS: usize = 30;

fuzz_target!(
    init: {
        // The decoder contains panics of the libraries beneath it; libFuzzer's own hook would end the process at each.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |bytes: &[u8]| {
        let Ok(mut file) = tempfile::NamedTempFile::new_in("/dev/shm") else { return };
        if file.write_all(bytes).is_err() {
            return;
        }
        let Ok(decoder) = ingest::Decoder::open(file.path()) else { return };
        let mut sound = ingest::Sound::new(decoder);
        for _ in 0..BLOCKS {
            let Ok(Some(block)) = sound.next_block() else { break };
            assert!(block.iter().all(|c| c.len() == block[0].len() && c.len() <= ingest::BLOCK_SAMPLES));
            assert!(block.iter().flatten().all(|s| (-1.0..=1.0).contains(s)));
        }
        assert_eq!(sound.channels().len(), sound.info().channel_count);
    }
);
