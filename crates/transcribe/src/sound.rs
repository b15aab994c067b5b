//! Tells music, tones and steady noise from speech. The voice detector takes many of them for voice, and a recognizer
//! given them invents words.
//!
//! A chunk in which nothing is voiced holds no words: breath, wind, keys and clicks have no pitch. For the rest, three measures over
//! windows of two seconds, all independent of loudness:
//! - **held peaks**: the share of spectral peaks that stand in the same bin 128 ms later. Notes and tones stand still,
//!   the harmonics of a voice glide (the idea of Seyerlehner, Pohle, Schedl and Widmer, "Automatic music detection in
//!   television productions", DAFx 2007);
//! - **peaks a frame**: a tone or two (dialling, busy, fax) have few, speech has many harmonics;
//! - **swing**: the standard deviation of the frames' level. Speech swings between vowels and closures, noise and held
//!   chords do not (after Scheirer and Slaney, "Construction and evaluation of a robust multifeature speech/music
//!   discriminator", ICASSP 1997).

use crate::chunker::FRAME;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use schema::SAMPLE_RATE;
use std::{f32::consts::PI, ops::Range, sync::Arc};

/// Samples in a spectrum: 64 ms, so that a note's bin is 16 Hz wide.
const SPECTRUM: usize = 1024;
/// Spectrum bins looked at: 94 to 3600 Hz, what a telephone line carries.
const BINS: Range<usize> = 6..230;
/// Bins to each side over which a bin's surroundings are averaged: 156 Hz, the distance of a voice's harmonics.
const AROUND: usize = 10;
/// How far a peak stands out of its surroundings, in dB.
const PEAK_DB: f32 = 6.0;
/// Frames after which a held peak must still be there: 128 ms, longer than a voice keeps its pitch to a bin.
const HELD: usize = 8;
/// A window in frames: 2 s.
const WINDOW: usize = 125;
/// The fewest active frames that tell anything: half a second. What is shorter passes for speech.
const FEWEST: usize = 30;
/// Frames this far below the window's loudest say nothing, in dB.
const ACTIVE_DB: f32 = 30.0;
/// Windows this far below the chunk's loudest frame are pauses, in dB.
const PAUSE_DB: f32 = 25.0;
/// One window of speech beside so many others is a stray: music has one now and then.
const STRAY: usize = 4;

// Measured on windows of two seconds: the speech of three public sets (two read, one far-field) and of our telephone
// calls, 1443 windows, has at most 0.29 held peaks, at least 12.3 peaks a frame and a swing of at least 3.8 dB. Hold music
// and synthesized chords, plucks and melodies hold 0.31 to 0.98 of their peaks, dialling and busy tones have 2 to 7, and
// white, pink and brown noise swing by 0.2 to 2.1 dB. Windows of one second spread wider.
const MOST_HELD: f32 = 0.3;
const FEWEST_PEAKS: f32 = 10.0;
const LEAST_SWING: f32 = 3.0;
/// The same for windows of less than 1.6 s.
const SHORT: usize = 100;
const MOST_HELD_SHORT: f32 = 0.45;
const LEAST_SWING_SHORT: f32 = 2.0;

/// Spectrum bins in which a pitch is looked for: 94 to 3130 Hz.
const PITCHED: Range<usize> = 6..200;
/// Lags of a pitch in samples: 80 to 400 Hz.
const PITCHES: Range<usize> = SAMPLE_RATE / 400..SAMPLE_RATE / 80 + 1;
/// From this share of a frame's whole on, its correlation with itself a pitch later makes it voiced. The spectrum counts by its
/// size, not by its power, so that one strong band does not look like a pitch (after Tolonen and Karjalainen, "A computationally
/// efficient multipitch analysis model", 2000).
const VOICED: f32 = 0.35;
/// The fewest voiced frames of a word: 64 ms. Of noise in bursts, clicks, breaths and gusts made with 40 seeds, no stretch had more than
/// 1 frame; of read, accented and far speech, 68 to 80 of 100 frames are voiced, in telephone calls 60.
const FEWEST_VOICED: usize = 4;
/// A frame is a tone where two peaks, so many bins to each side, have this share of its power. In a stretch of dialling, busy, fax or
/// beeps at least 74 of 100 frames are; in one of read, accented and far speech at most 61, mostly none.
const TONES: usize = 2;
const TONE_WIDTH: usize = 3;
const TONE_POWER: f32 = 0.99;
/// A stretch is tones if this share of its frames is, those left out that are so many dB below its loudest.
const MOST_TONES: f32 = 0.7;
const TONE_DB: f32 = 20.0;

/// The peaks of one spectrum, a bit a bin.
type Peaks = [u64; 4];

struct Frame {
    level: f32,
    peaks: Peaks,
    voiced: bool,
    tone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Pause,
    Speech,
    Other,
}

/// Listens to chunks.
pub(crate) struct Listener {
    fft: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    hann: Vec<f32>,
}

impl Listener {
    pub fn new() -> Self {
        let hann = (0..SPECTRUM).map(|i| 0.5 - 0.5 * (2.0 * PI * i as f32 / (SPECTRUM - 1) as f32).cos()).collect();
        let mut planner = RealFftPlanner::new();
        Self { fft: planner.plan_fft_forward(SPECTRUM), back: planner.plan_fft_inverse(SPECTRUM), hann }
    }

    /// The samples left when music, tones and noise are taken off both ends; none where there is nothing else.
    pub fn speech(&self, samples: &[f32]) -> Option<Range<usize>> {
        let frames = self.frames(samples);
        let top = frames.iter().map(|f| f.level).fold(f32::NEG_INFINITY, f32::max);
        if frames.len() >= FEWEST
            && frames.iter().filter(|f| f.voiced && f.level > top - ACTIVE_DB).count() < FEWEST_VOICED
        {
            return None;
        }
        let starts = (0..).step_by(WINDOW / 2).take_while(|&at| at == 0 || at + WINDOW <= frames.len());
        let windows: Vec<(usize, Kind)> =
            starts.map(|at| (at, kind(&frames[at..(at + WINDOW).min(frames.len())], top))).collect();
        let count = |kind| windows.iter().filter(|w| w.1 == kind).count();
        let (speech, other) = (count(Kind::Speech), count(Kind::Other));
        if other == 0 {
            return Some(0..samples.len());
        }
        if speech == 0 || speech == 1 && other >= STRAY {
            return None;
        }
        let kept = |w: &&(usize, Kind)| w.1 != Kind::Other;
        let (first, last) = (windows.iter().find(kept)?.0, windows.iter().rfind(kept)?.0);
        // A word at the edge may be in windows that are mostly music: half a window more is kept.
        let start = first.saturating_sub(WINDOW / 2) * FRAME;
        let whole = windows.last().is_some_and(|w| w.0 == last);
        let end = if whole { samples.len() } else { (last + WINDOW + WINDOW / 2) * FRAME };
        Some(start..end.min(samples.len()))
    }

    /// Whether a stretch that the voice detector took for speech is tones, or nothing in it is voiced.
    pub fn is_wordless(&self, stretch: &[f32]) -> bool {
        let frames = self.frames(stretch);
        let top = frames.iter().map(|f| f.level).fold(f32::NEG_INFINITY, f32::max);
        let loud: Vec<&Frame> = frames.iter().filter(|f| f.level > top - TONE_DB).collect();
        let tones = loud.iter().filter(|f| f.tone).count();
        loud.iter().all(|f| !f.voiced) || tones as f32 >= MOST_TONES * loud.len() as f32
    }

    fn frames(&self, samples: &[f32]) -> Vec<Frame> {
        let mut input = self.fft.make_input_vec();
        let mut output = self.fft.make_output_vec();
        let starts = (0..).step_by(FRAME).take_while(|&at| at == 0 || at + SPECTRUM <= samples.len());
        starts
            .map(|at| {
                input.fill(0.0);
                for ((x, sample), weight) in input.iter_mut().zip(&samples[at..]).zip(&self.hann) {
                    *x = sample * weight;
                }
                let energy = input.iter().map(|x| x * x).sum::<f32>() / SPECTRUM as f32;
                // It fails only for buffers of another length, and these are of its own making.
                if self.fft.process(&mut input, &mut output).is_err() {
                    output.fill(realfft::num_complex::Complex::default());
                }
                let levels: Vec<f32> = output[BINS].iter().map(|c| decibels(c.norm_sqr() + 1e-12)).collect();
                let tone = is_tone(output[BINS].iter().map(Complex::norm_sqr).collect());
                let voiced = self.is_voiced(&mut output, &mut input);
                Frame { level: decibels(energy + 1e-9), peaks: peaks(&levels), voiced, tone }
            })
            .collect()
    }

    /// Whether a frame has a pitch, by its spectrum, which is used up.
    fn is_voiced(&self, spectrum: &mut [Complex<f32>], correlation: &mut [f32]) -> bool {
        for (bin, value) in spectrum.iter_mut().enumerate() {
            *value = Complex::new(if PITCHED.contains(&bin) { value.norm_sqr().sqrt() } else { 0.0 }, 0.0);
        }
        self.back.process(spectrum, correlation).is_ok()
            && correlation[PITCHES].iter().copied().fold(0.0, f32::max) > VOICED * correlation[0]
    }
}

/// Whether a spectrum is one or two tones, by its powers.
fn is_tone(mut powers: Vec<f32>) -> bool {
    let all: f32 = powers.iter().sum();
    let mut tones = 0.0;
    for _ in 0..TONES {
        let Some(top) = (0..powers.len()).max_by(|&a, &b| powers[a].total_cmp(&powers[b])) else { return false };
        let (from, to) = (top.saturating_sub(TONE_WIDTH), (top + TONE_WIDTH + 1).min(powers.len()));
        tones += powers[from..to].iter().sum::<f32>();
        powers[from..to].fill(0.0);
    }
    tones > TONE_POWER * all
}

fn decibels(power: f32) -> f32 {
    10.0 * power.log10()
}

fn peaks(levels: &[f32]) -> Peaks {
    // sums[i] is the sum of the levels before i.
    let mut sums = Vec::with_capacity(levels.len() + 1);
    sums.push(0.0);
    for level in levels {
        sums.push(sums[sums.len() - 1] + level);
    }
    let mut peaks = Peaks::default();
    for i in 1..levels.len() - 1 {
        let (from, to) = (i.saturating_sub(AROUND), (i + AROUND + 1).min(levels.len()));
        let mean = (sums[to] - sums[from]) / (to - from) as f32;
        if levels[i] > mean + PEAK_DB && levels[i] >= levels[i - 1] && levels[i] >= levels[i + 1] {
            peaks[i / 64] |= 1 << (i % 64);
        }
    }
    peaks
}

fn kind(frames: &[Frame], top: f32) -> Kind {
    let loudest = frames.iter().map(|f| f.level).fold(f32::NEG_INFINITY, f32::max);
    if loudest < top - PAUSE_DB {
        return Kind::Pause;
    }
    let active: Vec<usize> = (0..frames.len()).filter(|&i| frames[i].level > loudest - ACTIVE_DB).collect();
    if active.len() < FEWEST {
        return Kind::Speech;
    }
    let (mut held, mut followed, mut all) = (0, 0, 0);
    for &i in &active {
        let count = |peaks: &Peaks| peaks.iter().map(|bits| bits.count_ones()).sum::<u32>();
        let now = &frames[i].peaks;
        all += count(now);
        if let Some(later) = frames.get(i + HELD) {
            followed += count(now);
            held += count(&[0, 1, 2, 3].map(|word| now[word] & later.peaks[word]));
        }
    }
    let mean = active.iter().map(|&i| frames[i].level).sum::<f32>() / active.len() as f32;
    let variance = active.iter().map(|&i| (frames[i].level - mean).powi(2)).sum::<f32>() / active.len() as f32;
    let short = active.len() < SHORT && frames.len() < WINDOW;
    let (most_held, least_swing) = if short { (MOST_HELD_SHORT, LEAST_SWING_SHORT) } else { (MOST_HELD, LEAST_SWING) };
    let is_other = held as f32 > most_held * followed as f32
        || (all as f32) < FEWEST_PEAKS * active.len() as f32
        || variance.sqrt() < least_swing;
    if is_other { Kind::Other } else { Kind::Speech }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = 16_000;

    fn tone(seconds: usize, pitches: &[f32]) -> Vec<f32> {
        let at = |i: usize, pitch: f32| (2.0 * PI * pitch * i as f32 / SECOND as f32).sin();
        (0..seconds * SECOND).map(|i| pitches.iter().map(|&p| 0.2 * at(i, p)).sum()).collect()
    }

    fn noise(seconds: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..seconds * SECOND).map(|_| 0.1 * next()).collect()
    }

    /// A buzz whose pitch glides and whose loudness swings four times a second, as a voice's do.
    fn voice(seconds: usize) -> Vec<f32> {
        let mut phase = 0.0;
        (0..seconds * SECOND)
            .map(|i| {
                let t = i as f32 / SECOND as f32;
                phase += (120.0 + 30.0 * (2.0 * PI * 1.3 * t).sin()) / SECOND as f32;
                let loud = (0.5 - 0.5 * (2.0 * PI * 4.0 * t).cos()).powi(2);
                loud * (1..28).map(|k| (2.0 * PI * k as f32 * phase).sin() / k as f32).sum::<f32>() * 0.3
            })
            .collect()
    }

    #[test]
    fn tones_chords_and_noise_are_no_speech() {
        let listener = Listener::new();
        assert_eq!(listener.speech(&tone(5, &[440.0])), None);
        assert_eq!(listener.speech(&tone(5, &[261.6, 329.6, 392.0])), None);
        assert_eq!(listener.speech(&tone(1, &[697.0, 1209.0])), None);
        assert_eq!(listener.speech(&noise(5)), None);
    }

    #[test]
    fn a_gliding_buzz_is_speech_however_quiet() {
        let listener = Listener::new();
        let loud = voice(5);
        assert_eq!(listener.speech(&loud), Some(0..loud.len()));
        let quiet: Vec<f32> = loud.iter().map(|x| x * 0.003).collect();
        assert_eq!(listener.speech(&quiet), Some(0..quiet.len()));
    }

    #[test]
    fn noise_that_comes_and_goes_is_no_speech() {
        let listener = Listener::new();
        let sizes: [fn(f32) -> f32; 5] = [
            |t| f32::from(u8::from(t % 0.2 < 0.1)),
            |t| (t * 13.0).sin().max(0.0),
            |t| (t * 29.0).sin().max(0.0).powi(3),
            |t| f32::from(u8::from(t % 0.7 < 0.01)),
            |t| (t * 2.0).sin().powi(2),
        ];
        for (i, size) in sizes.into_iter().enumerate() {
            let bursts: Vec<f32> =
                noise(5).into_iter().enumerate().map(|(at, x)| x * size(at as f32 / SECOND as f32)).collect();
            assert_eq!(listener.speech(&bursts), None, "{i}");
            assert!(listener.is_wordless(&bursts), "{i}");
        }
        assert!(!listener.is_wordless(&voice(1)) && listener.is_wordless(&tone(1, &[480.0, 620.0])));
    }

    #[test]
    fn music_before_and_after_speech_is_taken_off() {
        let listener = Listener::new();
        let music = tone(6, &[261.6, 329.6, 392.0]);
        let samples = [music.clone(), voice(4), music].concat();
        let kept = listener.speech(&samples).unwrap();
        assert!((4 * SECOND..=6 * SECOND).contains(&kept.start), "{kept:?}");
        assert!((10 * SECOND..=12 * SECOND).contains(&kept.end), "{kept:?}");
    }

    #[test]
    fn what_is_too_short_to_tell_passes() {
        let listener = Listener::new();
        for samples in [vec![], vec![0.1; 10], tone(1, &[440.0])[..4000].to_vec()] {
            assert_eq!(listener.speech(&samples), Some(0..samples.len()));
        }
    }
}
