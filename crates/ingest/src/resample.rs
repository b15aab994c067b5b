//! Any rate to 16 kHz, as the samples come.

use crate::double::Double;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, audioadapter_buffers::direct::SequentialSliceOfVecs};
use schema::SAMPLE_RATE;

/// Samples of the shorter side in one Fourier block: long enough that the filter keeps 97 % of the band, short enough
/// that a block is quick.
const BLOCK: usize = 1024;

/// A resampler that is fed in pieces of any length: n samples in give n x 16000 / rate out, rounded, at the same times.
pub(crate) enum Resampler {
    Double(Box<Double>),
    Fourier(Box<Fourier>),
}

impl Resampler {
    /// From `rate` in Hz; none where that is 16 kHz already.
    pub fn new(rate: u32, channels: usize) -> Result<Option<Self>, String> {
        let rate = rate as usize;
        Ok(match rate {
            SAMPLE_RATE => None,
            _ if 2 * rate == SAMPLE_RATE => Some(Self::Double(Box::new(Double::new(channels)))),
            _ => Some(Self::Fourier(Box::new(Fourier::new(rate, channels)?))),
        })
    }

    /// Takes samples, a slice a channel and all of one length, and appends what they make to `out`.
    pub fn push(&mut self, planes: &[Vec<f32>], out: &mut [Vec<f32>]) -> Result<(), String> {
        match self {
            Self::Double(double) => double.push(planes, out),
            Self::Fourier(fourier) => fourier.push(planes, out)?,
        }
        Ok(())
    }

    /// Appends the tail. Nothing may be pushed after it.
    pub fn finish(&mut self, out: &mut [Vec<f32>]) -> Result<(), String> {
        match self {
            Self::Double(double) => double.finish(out),
            Self::Fourier(fourier) => fourier.finish(out)?,
        }
        Ok(())
    }
}

/// Rubato's synchronous resampler. The filter's delay is taken off the front and the tail is flushed.
pub(crate) struct Fourier {
    fft: Fft<f32>,
    rate: u64,
    /// Samples that do not fill a block yet, a vector a channel.
    input: Vec<Vec<f32>>,
    output: Vec<Vec<f32>>,
    /// Samples of the filter's delay still to be dropped.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Fourier {
    fn new(rate: usize, channels: usize) -> Result<Self, String> {
        let (from, to) = ratio(rate);
        // An even number of the smallest blocks, so that the filter's delay is a whole number of samples on both sides.
        let blocks = BLOCK.div_ceil(from.min(to)).next_multiple_of(2);
        let fft = Fft::new_custom(
            rate,
            SAMPLE_RATE,
            blocks * from,
            1,
            channels,
            rubato::WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|e| e.to_string())?;
        let output = vec![vec![0.0; fft.output_frames_max()]; channels];
        let input = vec![Vec::with_capacity(fft.input_frames_max()); channels];
        let delay = fft.output_delay();
        Ok(Self { fft, rate: rate as u64, input, output, delay, taken: 0, given: 0 })
    }

    fn push(&mut self, planes: &[Vec<f32>], out: &mut [Vec<f32>]) -> Result<(), String> {
        let frames = planes.first().map_or(0, Vec::len);
        let need = self.fft.input_frames_next();
        let mut from = 0;
        while from < frames {
            let take = (need - self.input[0].len()).min(frames - from);
            for (input, plane) in self.input.iter_mut().zip(planes) {
                input.extend_from_slice(&plane[from..from + take]);
            }
            from += take;
            self.taken += take as u64;
            if self.input[0].len() == need {
                self.block(out, u64::MAX)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut [Vec<f32>]) -> Result<(), String> {
        let end = (self.taken * SAMPLE_RATE as u64 + self.rate / 2) / self.rate;
        while self.given < end {
            self.block(out, end)?;
        }
        Ok(())
    }

    /// Resamples what is held, filled up with silence, and appends it up to position `end`.
    fn block(&mut self, out: &mut [Vec<f32>], end: u64) -> Result<(), String> {
        let (channels, need) = (self.input.len(), self.fft.input_frames_next());
        let length = self.output[0].len();
        let indexing = Indexing::new().partial_len(self.input[0].len());
        for input in &mut self.input {
            input.resize(need, 0.0);
        }
        let input = SequentialSliceOfVecs::new(&self.input, channels, need).map_err(|e| e.to_string())?;
        let mut output =
            SequentialSliceOfVecs::new_mut(&mut self.output, channels, length).map_err(|e| e.to_string())?;
        let (_, made) =
            self.fft.process_into_buffer(&input, &mut output, Some(&indexing)).map_err(|e| e.to_string())?;
        let skip = self.delay.min(made);
        self.delay -= skip;
        let keep = ((made - skip) as u64).min(end - self.given.min(end)) as usize;
        for (out, made) in out.iter_mut().zip(&self.output) {
            out.extend_from_slice(&made[skip..skip + keep]);
        }
        self.given += keep as u64;
        self.input.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

/// `rate` to 16 kHz in lowest terms.
fn ratio(rate: usize) -> (usize, usize) {
    let (mut a, mut b) = (rate, SAMPLE_RATE);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (rate / a, SAMPLE_RATE / a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    fn run(rate: u32, planes: &[Vec<f32>], piece: usize) -> Vec<Vec<f32>> {
        let mut out = vec![Vec::new(); planes.len()];
        let mut resampler = Resampler::new(rate, planes.len()).unwrap().unwrap();
        for from in (0..planes[0].len()).step_by(piece) {
            let to = (from + piece).min(planes[0].len());
            let part: Vec<Vec<f32>> = planes.iter().map(|p| p[from..to].to_vec()).collect();
            resampler.push(&part, &mut out).unwrap();
        }
        resampler.finish(&mut out).unwrap();
        out
    }

    fn sine(rate: f64, hertz: f64, seconds: f64) -> Vec<f32> {
        (0..(rate * seconds) as usize).map(|i| (0.5 * (TAU * hertz * i as f64 / rate).sin()) as f32).collect()
    }

    #[test]
    fn a_sine_stays_that_sine() {
        for rate in [8000, 11025, 22050, 24000, 32000, 44100, 48000, 96000, 7999] {
            for hertz in [50.0, 440.0, 3400.0, 3700.0] {
                let out = run(rate, &[sine(f64::from(rate), hertz, 1.0)], 1152).remove(0);
                let want = sine(16000.0, hertz, 1.0);
                assert_eq!(out.len(), want.len(), "{rate}");
                // The ends are left out: a sine that starts and stops there is not band-limited.
                let worst = (2000..14000).map(|i| (out[i] - want[i]).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-3, "{rate} Hz, {hertz} Hz: {worst}");
            }
        }
    }

    #[test]
    fn what_would_alias_is_gone() {
        let out = run(48000, &[sine(48000.0, 11000.0, 1.0)], 999).remove(0);
        let worst = out[2000..14000].iter().fold(0.0f32, |a, b| a.max(b.abs()));
        assert!(worst < 5e-4, "{worst}");
    }

    #[test]
    fn sixteen_kilohertz_needs_none() {
        assert!(Resampler::new(16000, 2).unwrap().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn length_is_exact_and_pieces_do_not_matter(
            rate in prop::sample::select(vec![8000u32, 11025, 22050, 44100, 48000]), frames in 0usize..9000, piece in 1usize..5000
        ) {
            let planes: Vec<Vec<f32>> =
                (1..3).map(|c| (0..frames).map(|i| ((i * c * 7919) % 201) as f32 / 100.0 - 1.0).collect()).collect();
            let out = run(rate, &planes, piece);
            let want = (frames as f64 * 16000.0 / f64::from(rate)).round() as usize;
            prop_assert_eq!(out[0].len(), want);
            prop_assert_eq!(out[1].len(), want);
            prop_assert_eq!(out, run(rate, &planes, 1152));
        }
    }
}
