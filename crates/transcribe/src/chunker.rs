//! From the samples of one channel to stretches of speech, cut at pauses: what the engines are given.
//!
//! The detector (the crate earshot) gives every frame of 16 ms a probability of voice. Hysteresis makes spans of speech
//! of them; spans are gathered into a chunk until a pause is long enough for the chunk's length, or until the chunk is
//! full, when it is cut where voice is least probable.

use earshot::Detector;
use schema::SAMPLE_RATE;
use std::ops::Range;

/// Samples that the detector looks at in one step.
pub(crate) const FRAME: usize = 256;
/// Frames in a row that must be voiced before speech begins: 96 ms, shorter than a short "yes", longer than a click.
const MIN_SPEECH: usize = 6;
/// Frames in a row that must be unvoiced before speech ends: 240 ms, longer than the closure of a stop consonant.
const HANG_OVER: usize = 15;
/// Speech ends below the threshold where it begins less this: words fade out more slowly than they set in.
const HYSTERESIS: f32 = 0.15;
/// Frames over which voice is averaged to find the place where a full chunk is cut: 272 ms, about a short pause.
const CUT_WINDOW: usize = 17;
/// Peak of the noise that the detector hears beneath the channel: -70 dB. It was trained on wide-band sound, and takes
/// the silence of a telephone line (nothing at all above 4 kHz) for voice. On our telephone fixtures it gives silence
/// 0.35 to 0.46 without the noise and 0.18 to 0.24 with it, and speech more than before. The engines do not hear it.
const DITHER: f32 = 3e-4;
/// Silence that is kept while nobody speaks grows to this many frames more than needed before it is dropped, so that
/// it is not moved at every frame.
const SLACK: usize = 64;

/// How a channel is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Probability of voice at which speech begins.
    pub threshold: f32,
    /// Silence kept before and after speech, in frames.
    pub padding: usize,
    /// The longest chunk, in frames.
    pub longest: usize,
    /// From this length on, a chunk ends at a short pause, in frames.
    pub enough: usize,
    /// The short pause, in frames.
    pub short_pause: usize,
    /// The pause that ends any chunk, in frames.
    pub long_pause: usize,
}

/// Frames in so many seconds.
pub(crate) fn frames(seconds: f32) -> usize {
    (seconds * SAMPLE_RATE as f32 / FRAME as f32).round() as usize
}

/// A stretch of a channel with speech in it, or several laid end to end without the silence between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chunk {
    /// Position of the first sample in the channel.
    pub start: usize,
    /// Where later stretches begin, in order: among the samples, and in the channel.
    pub joints: Vec<(usize, usize)>,
    /// The samples.
    pub samples: Vec<f32>,
    /// Where in them somebody speaks, as sample ranges in order, apart from each other.
    pub spans: Vec<Range<usize>>,
}

impl Chunk {
    /// Seconds of speech.
    pub fn speech_s(&self) -> f32 {
        self.spans.iter().map(ExactSizeIterator::len).sum::<usize>() as f32 / SAMPLE_RATE as f32
    }

    /// Lays a later stretch of the channel behind what is there.
    pub fn join(&mut self, later: Self) {
        let at = self.samples.len();
        self.joints.push((at, later.start));
        self.joints.extend(later.joints.iter().map(|(joint, start)| (at + joint, *start)));
        self.spans.extend(later.spans.iter().map(|span| at + span.start..at + span.end));
        self.samples.extend(later.samples);
    }

    /// Where in the channel a stretch of the samples lies; what lies over a joint ends there.
    pub fn place(&self, stretch: Range<usize>) -> Range<usize> {
        let after = self.joints.partition_point(|(at, _)| *at <= stretch.start);
        let (at, start) = if after == 0 { (0, self.start) } else { self.joints[after - 1] };
        let end = self.joints.get(after).map_or(stretch.end, |(next, _)| stretch.end.min(*next));
        start + stretch.start - at..start + end.max(stretch.start) - at
    }

    /// Both parts of the chunk, cut at the quietest place of its middle half.
    pub fn halves(self) -> (Self, Self) {
        let frame = |i: usize| self.samples[i * FRAME..(i + 1) * FRAME].iter().map(|s| s * s).sum::<f32>();
        let levels: Vec<f32> = (0..self.samples.len() / FRAME).map(frame).collect();
        let windows = levels.windows(CUT_WINDOW).map(|w| w.iter().sum::<f32>()).enumerate();
        let middle = windows.filter(|(i, _)| (levels.len() / 4..=levels.len() * 3 / 4).contains(&(i + CUT_WINDOW / 2)));
        let from_middle = |i: usize| (i + CUT_WINDOW / 2).abs_diff(levels.len() / 2);
        let quietest = middle.min_by(|a, b| a.1.total_cmp(&b.1).then(from_middle(a.0).cmp(&from_middle(b.0))));
        let cut = quietest.map_or(self.samples.len() / 2, |(i, _)| (i + CUT_WINDOW / 2) * FRAME);
        let (mut left, mut right) = (self.clone(), self);
        let end = right.samples.len();
        left.trim(&(0..cut));
        right.trim(&(cut..end));
        (left, right)
    }

    /// Keeps only these samples.
    pub fn trim(&mut self, keep: &Range<usize>) {
        self.start = self.place(keep.start..keep.start).start;
        self.joints.retain(|(at, _)| (keep.start + 1..keep.end).contains(at));
        self.joints.iter_mut().for_each(|(at, _)| *at -= keep.start);
        self.samples.truncate(keep.end);
        self.samples.drain(..keep.start);
        let inside = |at: usize| at.clamp(keep.start, keep.end) - keep.start;
        self.spans = self.spans.iter().map(|s| inside(s.start)..inside(s.end)).filter(|s| !s.is_empty()).collect();
    }
}

/// Cuts one channel. Holds no more than the chunk under way.
pub(crate) struct Chunker {
    rules: Rules,
    detector: Box<Detector>,
    /// State of the noise beneath the channel.
    noise: u32,
    /// The frame that `samples` and `voice` begin with.
    base: usize,
    samples: Vec<f32>,
    voice: Vec<f32>,
    /// Speech of the chunk under way, in frames of the channel, half open, in order.
    spans: Vec<(usize, usize)>,
    speaking: bool,
    /// Frames in a row that speak against `speaking`.
    against: usize,
}

impl Chunker {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            detector: Box::default(),
            noise: 1,
            base: 0,
            samples: Vec::new(),
            voice: Vec::new(),
            spans: Vec::new(),
            speaking: false,
            against: 0,
        }
    }

    /// Takes the channel's next samples and gives the chunks that they complete.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<Chunk>) {
        // A sample that is no number would stay in the detector's state for good.
        self.samples.extend(samples.iter().map(|s| if s.is_finite() { s.clamp(-1.0, 1.0) } else { 0.0 }));
        while self.samples.len() >= (self.voice.len() + 1) * FRAME {
            let voice = self.hear();
            self.step(voice, out);
        }
    }

    /// Ends the channel and gives what is left.
    pub fn finish(&mut self, out: &mut Vec<Chunk>) {
        if self.samples.len() > self.voice.len() * FRAME {
            let voice = self.hear();
            self.step(voice, out);
        }
        if let Some(&(_, end)) = self.spans.last() {
            self.emit(end + self.rules.padding, end, out);
        }
    }

    /// The probability of voice in the next frame; what is missing of it is silence.
    fn hear(&mut self) -> f32 {
        let mut frame = [0.0; FRAME];
        let rest = &self.samples[self.voice.len() * FRAME..];
        for (heard, sample) in frame.iter_mut().zip(rest) {
            *heard = *sample;
        }
        for heard in &mut frame {
            // The linear congruential generator of Numerical Recipes; its upper 24 bits as -1..1.
            self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let unit = (self.noise >> 8) as f32 / (1 << 23) as f32 - 1.0;
            *heard = (*heard + DITHER * unit).clamp(-1.0, 1.0);
        }
        self.detector.predict_f32(&frame)
    }

    /// Frames seen so far.
    fn now(&self) -> usize {
        self.base + self.voice.len()
    }

    fn step(&mut self, voice: f32, out: &mut Vec<Chunk>) {
        self.voice.push(voice);
        self.mark(voice);
        let now = self.now();
        let Some(&(first, _)) = self.spans.first() else {
            return self.forget_silence();
        };
        let end = self.spans.last().map_or(first, |span| span.1);
        let start = first.saturating_sub(self.rules.padding).max(self.base);
        let quiet = now - end;
        let pause = if end - start >= self.rules.enough { self.rules.short_pause } else { self.rules.long_pause };
        if !self.speaking && quiet >= pause {
            // The other half of the pause belongs to the next chunk.
            self.emit(end + self.rules.padding.min(quiet / 2), end, out);
        } else if now - start >= self.rules.longest {
            let cut = self.quietest(start + self.rules.longest / 2, now);
            self.emit(cut, cut, out);
        }
    }

    /// Keeps the spans of speech up to date with the newest frame.
    fn mark(&mut self, voice: f32) {
        let now = self.now();
        if self.speaking {
            if voice < self.rules.threshold - HYSTERESIS {
                self.against += 1;
                if self.against >= HANG_OVER {
                    (self.speaking, self.against) = (false, 0);
                }
            } else {
                self.against = 0;
                match self.spans.last_mut() {
                    Some(span) => span.1 = now,
                    // The chunk was cut in the hang-over.
                    None => self.spans.push((now - 1, now)),
                }
            }
        } else if voice >= self.rules.threshold {
            self.against += 1;
            if self.against >= MIN_SPEECH {
                self.spans.push(((now - self.against).max(self.base), now));
                (self.speaking, self.against) = (true, 0);
            }
        } else {
            self.against = 0;
        }
    }

    /// The frame around which voice is least probable; the later one of equals.
    fn quietest(&self, from: usize, to: usize) -> usize {
        let half = CUT_WINDOW / 2;
        let mean = |frame: usize| {
            let at = frame - self.base;
            let window = &self.voice[at.saturating_sub(half)..(at + half + 1).min(self.voice.len())];
            window.iter().sum::<f32>() / window.len() as f32
        };
        let last = to.saturating_sub(half).max(from + 1);
        (from..last).fold((from, f32::INFINITY), |best, at| if mean(at) <= best.1 { (at, mean(at)) } else { best }).0
    }

    /// Hands out the speech before frame `cut` with the silence up to frame `end`, and keeps the rest.
    fn emit(&mut self, end: usize, cut: usize, out: &mut Vec<Chunk>) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for &(from, to) in &self.spans {
            if from < cut {
                before.push((from, to.min(cut)));
            }
            if to > cut {
                after.push((from.max(cut), to));
            }
        }
        self.spans = after;
        if let (Some(&(first, _)), Some(&(_, last))) = (before.first(), before.last()) {
            let start = first.saturating_sub(self.rules.padding).max(self.base);
            let end = end.min(last + self.rules.padding).min(self.now());
            let samples = &self.samples[(start - self.base) * FRAME..];
            let samples = samples[..((end - start) * FRAME).min(samples.len())].to_vec();
            let inside = |frame: usize| ((frame - start) * FRAME).min(samples.len());
            let spans = before.iter().map(|&(from, to)| inside(from)..inside(to)).filter(|s| !s.is_empty()).collect();
            out.push(Chunk { start: start * FRAME, joints: Vec::new(), samples, spans });
            self.drop_before(end);
        }
    }

    fn forget_silence(&mut self) {
        let keep = self.rules.padding + MIN_SPEECH;
        if self.voice.len() > keep + SLACK {
            self.drop_before(self.now() - keep);
        }
    }

    fn drop_before(&mut self, frame: usize) {
        let count = frame - self.base;
        self.voice.drain(..count);
        self.samples.drain(..(count * FRAME).min(self.samples.len()));
        self.base = frame;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> Rules {
        Rules { threshold: 0.5, padding: 20, longest: 300, enough: 200, short_pause: 25, long_pause: 90 }
    }

    /// A chunker that is told the probabilities of voice; sample i is i modulo 2^20, so that places can be read back.
    fn cut(voice: &[f32], rules: Rules) -> Vec<Chunk> {
        let mut chunker = Chunker::new(rules);
        let mut out = Vec::new();
        for (i, &v) in voice.iter().enumerate() {
            chunker.samples.extend((i * FRAME..(i + 1) * FRAME).map(|s| (s % (1 << 20)) as f32));
            chunker.step(v, &mut out);
            assert!(chunker.voice.len() <= rules.longest + rules.long_pause + SLACK, "holds too much");
        }
        chunker.finish(&mut out);
        out
    }

    fn stretch(frames: usize, voice: f32) -> Vec<f32> {
        vec![voice; frames]
    }

    /// Start, end and spans in frames of the channel.
    fn places(chunks: &[Chunk]) -> Vec<(usize, usize, Vec<Range<usize>>)> {
        let span = |c: &Chunk, s: &Range<usize>| (c.start + s.start) / FRAME..(c.start + s.end) / FRAME;
        chunks
            .iter()
            .map(|c| {
                let end = c.start + c.samples.len();
                (c.start / FRAME, end / FRAME, c.spans.iter().map(|s| span(c, s)).collect())
            })
            .collect()
    }

    #[test]
    fn speech_is_cut_out_with_padding() {
        let voice = [stretch(50, 0.1), stretch(40, 0.9), stretch(200, 0.1)].concat();
        assert_eq!(places(&cut(&voice, rules())), [(30, 110, vec![50..90])]);
    }

    #[test]
    fn short_pauses_join_and_long_ones_part() {
        let voice = [stretch(40, 0.9), stretch(60, 0.1), stretch(40, 0.9), stretch(95, 0.1), stretch(40, 0.9)].concat();
        assert_eq!(places(&cut(&voice, rules())), [(0, 160, vec![0..40, 100..140]), (215, 275, vec![235..275])]);
    }

    #[test]
    fn a_chunk_that_is_long_enough_ends_at_a_short_pause() {
        let voice = [stretch(220, 0.9), stretch(30, 0.1), stretch(50, 0.9)].concat();
        // At the short pause each side gets half of it.
        assert_eq!(places(&cut(&voice, rules())), [(0, 232, vec![0..220]), (232, 300, vec![250..300])]);
    }

    #[test]
    fn a_full_chunk_is_cut_where_voice_is_least_probable() {
        let voice = [stretch(230, 0.9), stretch(12, 0.6), stretch(200, 0.9)].concat();
        let found = places(&cut(&voice, rules()));
        assert_eq!(found.len(), 2);
        assert!((230..242).contains(&found[0].1), "{found:?}");
        assert_eq!(found[0].1, found[1].0);
    }

    #[test]
    fn clicks_are_no_speech_and_hesitation_does_not_end_it() {
        assert_eq!(cut(&[stretch(30, 0.1), stretch(5, 0.9), stretch(99, 0.1)].concat(), rules()), []);
        // Between the two thresholds speech that is under way goes on.
        let voice = [stretch(40, 0.9), stretch(30, 0.4), stretch(40, 0.9)].concat();
        assert_eq!(places(&cut(&voice, rules())), [(0, 110, vec![0..110])]);
    }

    #[test]
    fn samples_that_are_no_numbers_do_no_harm() {
        let mut chunker = Chunker::new(rules());
        let mut out = Vec::new();
        chunker.push(&[f32::NAN, f32::INFINITY, 7.0, -9.0], &mut out);
        chunker.push(&vec![0.0; 16_000], &mut out);
        chunker.finish(&mut out);
        assert_eq!(out, []);
        assert!(chunker.voice.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn trimming_moves_the_spans() {
        let mut chunk =
            Chunk { start: 1000, samples: vec![0.0; 100], spans: vec![0..10, 30..50, 90..100], ..Chunk::default() };
        chunk.trim(&(20..95));
        assert_eq!((chunk.start, chunk.samples.len()), (1020, 75));
        assert_eq!(chunk.spans, [10..30, 70..75]);
        assert_eq!(chunk.speech_s(), 25.0 / 16_000.0);
    }

    #[test]
    fn halves_part_at_the_quietest_place() {
        let mut samples = vec![0.3; 100 * FRAME];
        samples[60 * FRAME..70 * FRAME].fill(0.01);
        let spans = vec![10 * FRAME..60 * FRAME, 70 * FRAME..100 * FRAME];
        let (left, right) = Chunk { start: 5000, samples, spans, ..Chunk::default() }.halves();
        assert!((60 * FRAME..70 * FRAME).contains(&left.samples.len()), "{}", left.samples.len());
        assert_eq!((left.start, right.start), (5000, 5000 + left.samples.len()));
        assert_eq!(left.samples.len() + right.samples.len(), 100 * FRAME);
        assert_eq!((left.spans.len(), right.spans.len()), (1, 1));
        let (left, right) = Chunk { samples: vec![0.1; 9], spans: vec![0..9], ..Chunk::default() }.halves();
        assert_eq!((left.samples.len(), right.samples.len()), (4, 5));
    }

    #[test]
    fn joined_stretches_know_where_they_come_from() {
        let stretch = |start: usize, samples: usize| Chunk {
            start,
            samples: (start..start + samples).map(|i| i as f32).collect(),
            spans: vec![1..samples],
            ..Chunk::default()
        };
        let mut joined = stretch(100, 10);
        joined.join(stretch(500, 5));
        joined.join(stretch(900, 8));
        assert_eq!(joined.spans, [1..10, 11..15, 16..23]);
        assert_eq!(joined.place(3..8), 103..108);
        assert_eq!(joined.place(8..12), 108..110, "ends at the joint");
        assert_eq!(joined.place(10..12), 500..502);
        assert_eq!(joined.place(15..23), 900..908);
        for keep in [0..23, 4..20, 10..23, 12..16, 15..23, 0..10] {
            let mut part = joined.clone();
            part.trim(&keep);
            for (i, sample) in part.samples.iter().enumerate() {
                assert_eq!(part.place(i..i + 1).start as f32, *sample, "{keep:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_frame_of_speech_is_in_one_chunk_and_no_chunk_is_too_long(
            parts in prop::collection::vec((1usize..400, prop::sample::select(vec![0.05f32, 0.3, 0.45, 0.6, 0.95])), 1..30),
            padding in 0usize..40,
        ) {
            let voice: Vec<f32> = parts.iter().flat_map(|&(frames, v)| stretch(frames, v)).collect();
            let rules = Rules { padding, ..rules() };
            let chunks = cut(&voice, rules);
            let found = places(&chunks);
            for (chunk, (from, to, spans)) in chunks.iter().zip(&found) {
                prop_assert!(to - from <= rules.longest, "{} frames", to - from);
                prop_assert!(!spans.is_empty() && spans[0].start >= *from && spans.last().unwrap().end <= *to);
                prop_assert!(spans.windows(2).all(|s| s[0].end < s[1].start));
                let at = |i: usize| ((chunk.start + i) % (1 << 20)) as f32;
                prop_assert!(chunk.samples.iter().enumerate().all(|(i, &s)| s == at(i)), "samples stand elsewhere");
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].0), "chunks overlap");
            // Frames that are speech beyond doubt: a run of MIN_SPEECH or more at or above the threshold.
            let spoken = |frame: usize| found.iter().flat_map(|f| &f.2).filter(|s| s.contains(&frame)).count();
            let mut run = 0;
            for (i, v) in voice.iter().enumerate() {
                run = if *v >= rules.threshold { run + 1 } else { 0 };
                if run == MIN_SPEECH {
                    prop_assert!((i + 1 - MIN_SPEECH..=i).all(|f| spoken(f) == 1), "frame {i} is lost");
                } else if run > MIN_SPEECH {
                    prop_assert_eq!(spoken(i), 1, "frame {} is lost", i);
                }
            }
        }

        #[test]
        fn blocks_of_any_size_give_the_same_chunks(sizes in prop::collection::vec(1usize..5000, 1..20)) {
            let mut phase = 0.0f32;
            let sound: Vec<f32> = (0..sizes.iter().sum()).map(|i: usize| {
                phase += (120.0 + 30.0 * (i as f32 / 2000.0).sin()) / 16_000.0;
                let loud = if (i / 9000usize).is_multiple_of(2) { 0.3 } else { 0.0 };
                (1..12).map(|k| (std::f32::consts::TAU * k as f32 * phase).sin() / k as f32).sum::<f32>() * loud
            }).collect();
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            let mut chunker = Chunker::new(rules());
            chunker.push(&sound, &mut whole);
            chunker.finish(&mut whole);
            let mut chunker = Chunker::new(rules());
            let mut rest = &sound[..];
            for size in sizes {
                let (block, after) = rest.split_at(size);
                chunker.push(block, &mut parts);
                rest = after;
            }
            chunker.finish(&mut parts);
            prop_assert_eq!(whole, parts);
        }
    }
}
