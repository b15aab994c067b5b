//! When each token was said.

use super::config::Config;
use super::encoder::FRAME_SAMPLES;
use crate::align;

const SAMPLE_RATE: f32 = 16_000.0;
const FRAME_S: f32 = FRAME_SAMPLES as f32 / SAMPLE_RATE;

/// How much later than its frame's first sample a token starts. 28 ms is the middle of the 895 samples that a frame sees;
/// with 40 ms the median of the measured starts and ends (see [`TINY_ENGLISH`]) is within 14 ms of the truth.
const EARLY_S: f32 = 0.040;

/// The heads of Moonshine tiny English that know best when a word is said, chosen one by one over 1865 words of the
/// fixtures (synthetic, telephone codecs) and 222 of seven meetings of the AMI corpus, on every other window; the
/// error on the other half fell with each. With them half of the words start within 39 ms (fixtures) and 34 ms (AMI) of
/// the truth and end within 37 ms and 36 ms, a tenth are off by more than 128 ms and 197 ms (start), 101 ms and 265 ms
/// (end). All 48 heads: 44 ms and 51 ms.
const TINY_ENGLISH: [(usize, usize); 6] = [(4, 7), (5, 4), (5, 7), (3, 7), (5, 6), (3, 0)];

/// The cross-attention whose weights say when a token was said, as (layer, head): those that were measured, else, as
/// openai/whisper does for models that it has not measured, all of the layers' second half.
pub(super) fn alignment_heads(config: &Config) -> Vec<(usize, usize)> {
    let (layers, heads) = (config.decoder_num_hidden_layers, config.heads());
    if (config.hidden_size, layers, heads) == (288, 6, 8) {
        return TINY_ENGLISH.to_vec();
    }
    (layers / 2..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect()
}

/// Start and end of each token in seconds, from the weights of each step (head by head, over the frames) of a window of
/// so many samples. A step more than there are tokens is the end's.
pub(super) fn token_times(attention: &[Vec<f32>], heads: usize, texts: &[String], samples: usize) -> Vec<(f32, f32)> {
    let frames = attention.first().map_or(0, |step| step.len() / heads.max(1));
    let end_s = samples as f32 / SAMPLE_RATE;
    align::times(&align::spans(attention, heads, 0), texts, end_s, |frame| match frame {
        0 => 0.0,
        frame if frame >= frames => end_s,
        frame => (frame as f32 * FRAME_S + EARLY_S).min(end_s),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_take_the_frames_that_they_look_at() {
        // Three tokens and the end over sixteen frames, one head; the second token is a comma.
        let looks = [0..4, 4..8, 8..12, 12..16];
        let attention: Vec<Vec<f32>> = looks
            .iter()
            .map(|look| (0..16).map(|frame| if look.contains(&frame) { 0.9 } else { 0.1 }).collect())
            .collect();
        let texts = [" Yes", ",", " sir"].map(str::to_owned);
        let times = token_times(&attention, 1, &texts, 6655);
        // Frame 4 starts at 4 x 24 ms and 40 ms.
        let expected = [(0.0, 0.136), (0.136, 0.136), (0.232, 0.328)];
        for ((start, end), (expected_start, expected_end)) in times.iter().zip(expected) {
            assert!((start - expected_start).abs() < 0.001 && (end - expected_end).abs() < 0.001, "{times:?}");
        }
    }

    #[test]
    fn no_token_needs_no_time() {
        assert!(token_times(&[], 2, &[], 1000).is_empty());
        assert_eq!(token_times(&[], 2, &["a".to_owned()], 1000), [(0.0, 0.0)]);
    }
}
