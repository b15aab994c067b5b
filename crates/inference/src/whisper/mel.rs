//! What the encoder hears: the log of the energy in bands of frequency, 100 times a second.
//!
//! As openai/whisper, `whisper/audio.py` (`log_mel_spectrogram`): spectra of 400 samples under a Hann window every 160
//! samples, the sound mirrored at its ends; bands by Slaney's scale (librosa, `filters.mel`).

use rayon::prelude::*;
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{f64::consts::PI, ops::Range, sync::Arc};

/// Samples of a spectrum.
const SPECTRUM: usize = 400;
/// Samples from one to the next.
pub(super) const HOP: usize = 160;
const SAMPLE_RATE: f64 = 16_000.0;
/// Spectra that one task computes.
const TASK: usize = 100;
/// Energies below this count as this.
const LEAST: f32 = 1e-10;
/// What lies further below the loudest is brought up to there; in powers of ten.
const RANGE: f32 = 8.0;

/// Computes features.
pub(crate) struct Mel {
    fft: Arc<dyn RealToComplex<f32>>,
    hann: Vec<f32>,
    /// For each band the bins of the spectrum that it takes in, and their weights.
    bands: Vec<(Range<usize>, Vec<f32>)>,
}

impl Mel {
    pub fn new(bands: usize) -> Self {
        let hann = (0..SPECTRUM).map(|i| (0.5 - 0.5 * (2.0 * PI * i as f64 / SPECTRUM as f64).cos()) as f32).collect();
        Self { fft: RealFftPlanner::new().plan_fft_forward(SPECTRUM), hann, bands: filters(bands) }
    }

    /// The features of samples, which silence makes `frames * 160` long: `[frames, bands]`, and how many frames hear any of
    /// the samples. A frame after these has no sound in it.
    pub fn features(&self, samples: &[f32], frames: usize) -> (Vec<f32>, usize) {
        let bands = self.bands.len();
        let heard = (samples.len() + SPECTRUM / 2).div_ceil(HOP).min(frames);
        let mut features = vec![LEAST.log10(); frames * bands];
        let at = |i: isize| {
            // Mirrored at both ends of the window, and silent from the sound's end on.
            let last = (frames * HOP) as isize - 1;
            let i = if i > last { 2 * last - i } else { i.abs() };
            samples.get(i as usize).copied().unwrap_or(0.0)
        };
        features[..heard * bands].par_chunks_mut(TASK * bands).enumerate().for_each(|(task, out)| {
            let mut input = self.fft.make_input_vec();
            let mut output = self.fft.make_output_vec();
            let mut scratch = self.fft.make_scratch_vec();
            for (nth, out) in out.chunks_exact_mut(bands).enumerate() {
                let start = ((task * TASK + nth) * HOP) as isize - SPECTRUM as isize / 2;
                match samples.get(start.max(0) as usize..start.max(0) as usize + SPECTRUM) {
                    Some(inside) if start >= 0 => {
                        for ((x, sample), weight) in input.iter_mut().zip(inside).zip(&self.hann) {
                            *x = sample * weight;
                        }
                    }
                    _ => {
                        for (i, (x, weight)) in input.iter_mut().zip(&self.hann).enumerate() {
                            *x = at(start + i as isize) * weight;
                        }
                    }
                }
                // It fails only for buffers of another length, and these are of its own making.
                if self.fft.process_with_scratch(&mut input, &mut output, &mut scratch).is_err() {
                    output.fill(Complex::default());
                }
                let power: Vec<f32> = output.iter().map(Complex::norm_sqr).collect();
                for (out, (bins, weights)) in out.iter_mut().zip(&self.bands) {
                    let sum: f32 = power[bins.clone()].iter().zip(weights).map(|(power, weight)| power * weight).sum();
                    *out = sum.max(LEAST).log10();
                }
            }
        });
        let least = features.iter().copied().fold(f32::NEG_INFINITY, f32::max) - RANGE;
        for feature in &mut features {
            *feature = (feature.max(least) + 4.0) / 4.0;
        }
        (features, heard)
    }
}

/// Triangles over the spectrum, evenly spaced on Slaney's scale, each of the same area.
fn filters(bands: usize) -> Vec<(Range<usize>, Vec<f32>)> {
    let bins = SPECTRUM / 2 + 1;
    let top = mel(SAMPLE_RATE / 2.0);
    let corner = |i: usize| hertz(top * i as f64 / (bands + 1) as f64);
    (0..bands)
        .map(|band| {
            let [low, middle, high] = [corner(band), corner(band + 1), corner(band + 2)];
            let weight = |bin: usize| {
                let f = bin as f64 * SAMPLE_RATE / SPECTRUM as f64;
                let rises = (f - low) / (middle - low);
                let falls = (high - f) / (high - middle);
                rises.min(falls).max(0.0) * 2.0 / (high - low)
            };
            let inside: Vec<usize> = (0..bins).filter(|&bin| weight(bin) > 0.0).collect();
            let range = inside.first().map_or(0..0, |first| *first..inside[inside.len() - 1] + 1);
            (range.clone(), range.map(|bin| weight(bin) as f32).collect())
        })
        .collect()
}

/// Linear up to 1000 Hz, 15 steps, and a factor of 6.4 every 27 steps above.
fn mel(hertz: f64) -> f64 {
    if hertz < 1000.0 { hertz * 3.0 / 200.0 } else { 15.0 + 27.0 * (hertz / 1000.0).ln() / 6.4f64.ln() }
}

fn hertz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * (6.4f64.ln() * (mel - 15.0) / 27.0).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_lies_at_the_bottom() {
        let (features, heard) = Mel::new(80).features(&[0.0; 1600], 100);
        assert_eq!((features.len(), heard), (8000, 12));
        assert!(features.iter().all(|x| (*x + 1.5).abs() < 1e-6));
    }

    #[test]
    fn a_tone_stands_in_its_band() {
        let mel = Mel::new(80);
        let tone: Vec<f32> = (0..16_000).map(|i| (2.0 * PI * 1000.0 * f64::from(i) / 16_000.0).sin() as f32).collect();
        let (features, _) = mel.features(&tone, 100);
        let frame = &features[50 * 80..][..80];
        let loudest = (0..80).max_by(|a, b| frame[*a].total_cmp(&frame[*b])).unwrap();
        // 1000 Hz is the 15th step of the scale, and the bands are 0.558 steps apart.
        assert!((25..=27).contains(&loudest), "{loudest}");
        assert!(filters(128).iter().all(|(bins, _)| !bins.is_empty()));
    }
}
