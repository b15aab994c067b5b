//! How long an hour of stereo at 8 kHz (mu-law, WAV) takes to decode and resample: `cargo bench -p nightcall-ingest`.

#![allow(clippy::print_stdout)]

use ingest::Decoder;
use std::{io, time::Instant};

const SECONDS: u32 = 3600;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hour.wav");
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x12\0\0\0\x07\0\x02\0".to_vec();
    file.extend(8000u32.to_le_bytes());
    file.extend(16_000u32.to_le_bytes());
    file.extend(b"\x02\0\x08\0\0\0data");
    file.extend((SECONDS * 16_000).to_le_bytes());
    file.extend((0..SECONDS * 16_000).map(|i| (i % 251) as u8));
    std::fs::write(&path, file)?;

    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let mut decoder = Decoder::open(&path)?;
        while decoder.next_block()?.is_some() {}
        times.push(began.elapsed());
        if decoder.duration_ms() != i64::from(SECONDS) * 1000 {
            return Err(io::Error::other(format!("{} ms were decoded", decoder.duration_ms())).into());
        }
    }
    times.sort_unstable();
    println!("an hour of 8 kHz stereo mu-law: {:.2} s to decode and resample (median of 5)", times[2].as_secs_f64());
    Ok(())
}
