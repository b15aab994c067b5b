//! What is done about a window in which the decoder lost its way: it is decoded again, at a higher temperature.
//!
//! As openai/whisper, `whisper/transcribe.py` (`decode_with_fallback`), with its thresholds.

use crate::InferenceError;
use crate::decoding::Decoded;
use flate2::{Compression, write::ZlibEncoder};
use std::io::Write;

const TEMPERATURES: [f32; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
/// Text that compresses better than this repeats itself.
const MOST_COMPRESSED: f32 = 2.4;
/// A mean log probability below this is guesswork.
const LEAST_LOGPROB: f32 = -1.0;
/// A probability of no speech above this, with guesswork, is silence, which no temperature mends.
const NO_SPEECH: f32 = 0.6;

/// Decodes windows, and again those that got lost; in the order of the windows. `hear` decodes some at a temperature.
pub(super) fn decode(
    windows: &[usize],
    hear: impl Fn(&[usize], f32) -> Result<Vec<(usize, Decoded)>, InferenceError>,
    lost: impl Fn(&Decoded) -> bool,
) -> Result<Vec<(usize, Decoded)>, InferenceError> {
    let mut done: Vec<(usize, Decoded)> = Vec::with_capacity(windows.len());
    let mut left = windows.to_vec();
    for (nth, temperature) in TEMPERATURES.into_iter().enumerate() {
        let last = nth + 1 == TEMPERATURES.len();
        let (again, fine): (Vec<_>, Vec<_>) =
            hear(&left, temperature)?.into_iter().partition(|(_, row)| !last && lost(row));
        done.extend(fine);
        left = again.into_iter().map(|(window, _)| window).collect();
        left.sort_unstable();
        if left.is_empty() {
            break;
        }
    }
    done.sort_unstable_by_key(|(window, _)| *window);
    Ok(done)
}

/// Whether a row should be decoded again.
pub(super) fn lost(row: &Decoded, text: &str) -> bool {
    let silent = row.no_speech.is_some_and(|probability| probability > NO_SPEECH);
    let guessed = row.avg_logprob() < LEAST_LOGPROB;
    let repeats = row.end_logprob.is_none() || compression(text) > MOST_COMPRESSED;
    (repeats || guessed) && !(silent && guessed)
}

/// How many times shorter a text becomes (openai/whisper, `utils.py`, `compression_ratio`).
fn compression(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(text.as_bytes());
    let compressed = encoder.finish().unwrap_or_default();
    if compressed.is_empty() { 0.0 } else { text.len() as f32 / compressed.len() as f32 }
}

/// A seed that a window has wherever it stands: the FNV-1a hash of its samples and the temperature.
pub(super) fn seed(samples: &[f32], temperature: f32) -> u64 {
    samples
        .iter()
        .chain([&temperature])
        .fold(0xcbf2_9ce4_8422_2325, |hash, sample| (hash ^ u64::from(sample.to_bits())).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(logprob: f32, no_speech: f32, ended: bool) -> Decoded {
        Decoded {
            tokens: vec![1],
            logprobs: vec![logprob],
            end_logprob: ended.then_some(logprob),
            no_speech: Some(no_speech),
            ..Decoded::default()
        }
    }

    #[test]
    fn what_repeats_or_is_guessed_is_lost_unless_nobody_speaks() {
        let fine = "We will send you the quote on Friday, and the contract with it.";
        assert!(!lost(&row(-0.3, 0.1, true), fine));
        assert!(lost(&row(-0.3, 0.1, true), &"so the first is the ".repeat(12)));
        assert!(lost(&row(-0.3, 0.1, false), fine));
        assert!(lost(&row(-1.2, 0.1, true), fine));
        assert!(!lost(&row(-1.2, 0.7, true), fine));
        assert!(lost(&row(-0.3, 0.9, true), &"you ".repeat(60)));
    }

    #[test]
    fn only_the_lost_are_heard_again_until_the_last_temperature() {
        let hear = |windows: &[usize], temperature: f32| {
            // Window 1 is found at 0.4, window 2 never.
            let found = |window| window == 0 || window == 1 && temperature > 0.3;
            Ok(windows.iter().map(|&w| (w, row(temperature - 2.0, 0.0, found(w)))).collect())
        };
        let rows = decode(&[0, 1, 2], hear, |row| row.end_logprob.is_none()).unwrap();
        let temperatures: Vec<f32> = rows.iter().map(|(_, row)| row.logprobs[0] + 2.0).collect();
        assert_eq!(rows.iter().map(|(window, _)| *window).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(temperatures, [0.0, 0.4, 1.0].map(|t: f32| t - 2.0 + 2.0));
    }

    #[test]
    fn seeds_follow_the_sound() {
        assert_eq!(seed(&[0.1, 0.2], 0.4), seed(&[0.1, 0.2], 0.4));
        assert_ne!(seed(&[0.1, 0.2], 0.4), seed(&[0.1, 0.2], 0.6));
        assert_ne!(seed(&[0.1, 0.2], 0.4), seed(&[0.2, 0.1], 0.4));
    }
}
