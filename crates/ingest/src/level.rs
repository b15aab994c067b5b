//! How loud a channel is: its offset taken off, a very quiet one raised, a clipped one noticed.

use schema::SAMPLE_RATE;
use std::f64::consts::TAU;

/// Below this many Hz nothing is speech; what is there is an offset or its drift.
const OFFSET_HZ: f64 = 20.0;
/// Samples of a frame whose power is looked at: 20 ms.
const FRAME: usize = SAMPLE_RATE / 50;
/// Power of a frame below which nobody speaks: -60 dB of full scale. A line's own noise is under it.
pub(crate) const ACTIVE: f64 = 1e-6;
/// The same where nothing is above it: a microphone turned down, -78 dB. Speech swings, a line's noise does not: of such faint frames
/// those speak that stand out of the quiet ones of their block by 8 dB, [`FLOOR_RANK`] of which are quieter still.
const FAINT: f64 = 1.6e-8;
const STANDS_OUT: f64 = 6.3;
const FLOOR_RANK: f64 = 0.2;
/// Speech of a microphone turned down is raised to this level, in dB: there is nothing louder that would come along.
const FAINT_TO_DB: f64 = -30.0;
/// Nothing is faint any more once a frame was louder than this, -57 dB.
const NOT_FAINT: f64 = 2e-6;
/// Faint frames from which on there is speech: a second of it, no click and no word of the next room.
const FAINT_FROM: u64 = 50;
/// Frames that make up a block's level have at least this share of the power of its loud ones: 15 dB less.
const LOUD_SHARE: f64 = 0.03;
/// Active frames louder than this share of them are the loud ones; a click is not.
const LOUD_RANK: f64 = 0.9;
/// Speech below this level, in dB of full scale, is very quiet, and raised to it. Measured on read speech made 20 and 32 dB
/// quieter: WER 9.5 and 20.6 % as it is (9.1 % before), for the voice detector no longer hears it; but far speech that is
/// raised to -30 dB brings the words of the next room with it (meetings: 40.7 % for 35.3).
const QUIET_DB: f64 = -45.0;
/// The mean of the first block from which on a channel has an offset; what has none is left as it is, bit for bit.
const OFFSET: f64 = 1e-3;
/// No peak is raised above this.
const MAX_PEAK: f64 = 0.98;
/// Samples over which a gain changes: 100 ms.
const RAMP: usize = SAMPLE_RATE / 10;
/// Full scale as G.711 and lossy codecs leave it.
const CLIP: f32 = 0.975;
/// Samples on end at full scale that are no peak but a cut one.
const CLIP_RUN: u64 = 3;
/// Loud samples, of which some are cut.
const LOUD_SAMPLE: f32 = 0.1;
/// A channel is clipped if this share of its loud samples is cut.
const MOST_CLIPPED: f64 = 1e-3;

/// One channel of one recording, block by block.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// Whether it has an offset; none before its first block.
    offset: Option<bool>,
    /// The offset filter's last input and output.
    last: (f64, f64),
    /// Power and number of the frames that count.
    power: f64,
    frames: u64,
    /// Power of the loudest frame.
    top: f64,
    /// The same of faint ones too, which count as long as there are no louder ones.
    faint_power: f64,
    faint_frames: u64,
    /// Of the last block; none before speech is heard.
    gain: Option<f64>,
}

impl Level {
    pub fn new() -> Self {
        Self {
            offset: None,
            last: (0.0, 0.0),
            power: 0.0,
            frames: 0,
            top: 0.0,
            faint_power: 0.0,
            faint_frames: 0,
            gain: None,
        }
    }

    /// Takes an offset off: a high-pass of the first order, which begins at the block's mean.
    pub fn center(&mut self, samples: &mut [f32]) {
        if samples.is_empty() {
            return;
        }
        if self.offset.is_none() {
            self.last.0 = samples.iter().map(|&s| f64::from(s)).sum::<f64>() / samples.len() as f64;
            self.offset = Some(self.last.0.abs() > OFFSET);
        }
        if self.offset == Some(false) {
            return;
        }
        let pole = 1.0 - TAU * OFFSET_HZ / SAMPLE_RATE as f64;
        let (mut input, mut output) = self.last;
        for sample in samples {
            let next = f64::from(*sample);
            output = next - input + pole * output;
            input = next;
            // Noise between the ends of the range leaves it without its offset.
            *sample = output.clamp(-1.0, 1.0) as f32;
        }
        self.last = (input, output);
    }

    /// Raises very quiet speech, by what was heard up to the end of this block.
    pub fn raise(&mut self, samples: &mut [f32]) {
        self.listen(samples);
        let Some(level) = self.level_db() else { return };
        let to = if self.is_faint() { FAINT_TO_DB } else { QUIET_DB };
        let wanted = (to - level).max(0.0);
        let peak = samples.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        let gain = 10f64.powf(wanted / 20.0).min((MAX_PEAK / f64::from(peak).max(1e-9)).max(1.0));
        let before = self.gain.replace(gain).unwrap_or(gain);
        if before == 1.0 && gain == 1.0 {
            return;
        }
        for (i, sample) in samples.iter_mut().enumerate() {
            let share = ((i + 1) as f64 / RAMP as f64).min(1.0);
            *sample = (f64::from(*sample) * (before + (gain - before) * share)).clamp(-1.0, 1.0) as f32;
        }
    }

    fn listen(&mut self, samples: &[f32]) {
        let frames: Vec<f64> = samples.chunks(FRAME).map(power).collect();
        let (power, count) = loud(frames.iter().copied().filter(|&p| p > ACTIVE).collect());
        self.power += power;
        self.frames += count;
        self.top = frames.iter().copied().fold(self.top, f64::max);
        if self.top < NOT_FAINT {
            let mut sorted = frames;
            sorted.sort_unstable_by(f64::total_cmp);
            let floor = sorted.get((sorted.len() as f64 * FLOOR_RANK) as usize).copied().unwrap_or(0.0);
            let (power, count) = loud(sorted.into_iter().filter(|&p| p > FAINT.max(STANDS_OUT * floor)).collect());
            self.faint_power += power;
            self.faint_frames += count;
        }
    }

    /// Level of the speech before it was raised, in dB of full scale; none where there is none.
    pub fn level_db(&self) -> Option<f64> {
        let (power, frames) =
            if self.is_faint() { (self.faint_power, self.faint_frames) } else { (self.power, self.frames) };
        (frames > 0).then(|| 10.0 * (power / frames as f64).log10())
    }

    /// Whether nothing but faint speech was heard.
    fn is_faint(&self) -> bool {
        self.top < NOT_FAINT && self.faint_frames >= FAINT_FROM
    }

    /// Whether the speech was very quiet.
    pub fn is_quiet(&self) -> bool {
        self.level_db().is_some_and(|level| level < QUIET_DB)
    }
}

/// Power and number of those frames that make up a level.
fn loud(mut powers: Vec<f64>) -> (f64, u64) {
    if powers.is_empty() {
        return (0.0, 0);
    }
    powers.sort_unstable_by(f64::total_cmp);
    let loud = powers[(powers.len() as f64 * LOUD_RANK) as usize] * LOUD_SHARE;
    let loud = powers.into_iter().filter(|&p| p >= loud);
    loud.fold((0.0, 0), |(sum, count), power| (sum + power, count + 1))
}

/// Mean power of samples.
pub(crate) fn power(samples: &[f32]) -> f64 {
    let square = |s: f32| f64::from(s) * f64::from(s);
    // Sums side by side, which is as quick as the registers are wide.
    let (chunks, rest) = samples.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, s)| *sum += square(*s));
    }
    let rest: f64 = rest.iter().map(|&s| square(s)).sum();
    (sums.iter().sum::<f64>() + rest) / samples.len().max(1) as f64
}

/// Counts cut peaks, at the recording's own rate: resampling rounds them off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clipping {
    /// Samples at full scale on end.
    run: u64,
    cut: u64,
    loud: u64,
}

impl Clipping {
    pub fn count(&mut self, samples: &[f32]) {
        // Few pieces have a sample at full scale: the others are counted without a branch a sample.
        for samples in samples.chunks(64) {
            self.loud += samples.iter().map(|s| u64::from(s.abs() >= LOUD_SAMPLE)).sum::<u64>();
            if !samples.iter().fold(false, |any, s| any | (s.abs() >= CLIP)) {
                self.end_run();
                continue;
            }
            for sample in samples {
                if sample.abs() < CLIP {
                    self.end_run();
                } else {
                    self.run += 1;
                }
            }
        }
    }

    fn end_run(&mut self) {
        if self.run >= CLIP_RUN {
            self.cut += self.run;
        }
        self.run = 0;
    }

    /// Whether enough was cut to be heard.
    pub fn is_clipped(&self) -> bool {
        let cut = self.cut + if self.run >= CLIP_RUN { self.run } else { 0 };
        cut as f64 > MOST_CLIPPED * self.loud as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of a tone with pauses, at a level in dB of full scale.
    fn tone(seconds: f64, level_db: f64, offset: f32) -> Vec<f32> {
        let size = 2f64.sqrt() * 10f64.powf(level_db / 20.0);
        let rate = SAMPLE_RATE as f64;
        (0..(seconds * rate) as usize)
            .map(|i| {
                let t = i as f64 / rate;
                let on = f64::from(u8::from(t % 1.0 < 0.6));
                (on * size * (TAU * 300.0 * t).sin()) as f32 + offset
            })
            .collect()
    }

    fn heard(sound: &[f32], block: usize) -> (Level, Vec<f32>) {
        let mut level = Level::new();
        let mut out = Vec::new();
        for block in sound.chunks(block) {
            let mut block = block.to_vec();
            level.center(&mut block);
            level.raise(&mut block);
            out.extend(block);
        }
        (level, out)
    }

    #[test]
    fn an_offset_is_taken_off_from_the_first_sample() {
        let (_, out) = heard(&tone(20.0, -26.0, 0.2), 160_000);
        let want = tone(20.0, -26.0, 0.0);
        let worst = out.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // The high-pass turns a tone of 300 Hz by 4 degrees, and more where it begins and ends.
        assert!(worst < 0.01, "{worst}");
        let mean = out.iter().map(|&s| f64::from(s)).sum::<f64>() / out.len() as f64;
        assert!(mean.abs() < 1e-4, "{mean}");
    }

    #[test]
    fn what_loses_its_offset_stays_in_range() {
        let sound: Vec<f32> = (0..16_000).map(|i| if i % 800 < 300 { -1.0 } else { 1.0 }).collect();
        let (_, out) = heard(&sound, 4000);
        assert!(out.iter().all(|s| (-1.0..=1.0).contains(s)));
        assert!(out.iter().any(|s| s.abs() == 1.0), "the filter has something to cut");
    }

    #[test]
    fn quiet_speech_is_raised_and_loud_speech_is_not() {
        for (level_db, want_db, quiet) in [(-55.0, -45.0, true), (-40.0, -40.0, false), (-20.0, -20.0, false)] {
            let (level, out) = heard(&tone(30.0, level_db, 0.0), 160_000);
            assert!((level.level_db().unwrap() - level_db).abs() < 1.0, "{:?}", level.level_db());
            assert_eq!(level.is_quiet(), quiet);
            let (after, _) = heard(&out, 160_000);
            assert!((after.level_db().unwrap() - want_db).abs() < 1.0, "{level_db}: {:?}", after.level_db());
        }
    }

    #[test]
    fn what_is_right_stays_bit_for_bit() {
        let sound = tone(30.0, -26.0, 0.0);
        assert_eq!(heard(&sound, 160_000).1, sound);
    }

    #[test]
    fn silence_stays_silence() {
        let (level, out) = heard(&tone(25.0, -80.0, 0.0), 160_000);
        assert!(level.level_db().is_none());
        assert!(out.iter().all(|s| s.abs() < 1e-3));
    }

    #[test]
    fn speech_of_a_microphone_turned_down_is_raised_and_faint_noise_is_not() {
        for level_db in [-62.0, -68.0, -73.0] {
            let (level, out) = heard(&tone(30.0, level_db, 0.0), 160_000);
            assert!(level.is_quiet() && (level.level_db().unwrap() - level_db).abs() < 1.0, "{:?}", level.level_db());
            let (after, _) = heard(&out, 160_000);
            assert!((after.level_db().unwrap() - FAINT_TO_DB).abs() < 1.0, "{level_db}: {:?}", after.level_db());
        }
        let noise: Vec<f32> =
            (0..480_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e10 - 8e-4).collect();
        assert!(heard(&noise, 160_000).0.level_db().is_none());
        // Once somebody speaks, what was faint is no measure.
        let (level, _) = heard(&[tone(20.0, -70.0, 0.0), tone(20.0, -30.0, 0.0)].concat(), 160_000);
        assert!((level.level_db().unwrap() + 30.0).abs() < 1.0, "{:?}", level.level_db());
    }

    #[test]
    fn no_peak_is_cut_by_the_gain() {
        let mut sound = tone(10.0, -50.0, 0.0);
        sound[100_000] = 0.9;
        let (_, out) = heard(&sound, 160_000);
        assert!(out.iter().all(|s| s.abs() < 0.99));
    }

    #[test]
    fn cut_peaks_are_noticed() {
        for (level_db, clipped) in [(-10.0, false), (6.0, true)] {
            let mut clipping = Clipping::default();
            let sound: Vec<f32> = tone(5.0, level_db, 0.0).iter().map(|s| s.clamp(-1.0, 1.0)).collect();
            sound.chunks(1000).for_each(|piece| clipping.count(piece));
            assert_eq!(clipping.is_clipped(), clipped, "{level_db}");
        }
    }
}
