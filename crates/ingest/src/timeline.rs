//! The clock of one part: how much of it was decoded, what of it is heard, and where the next packets stand.

use crate::packets::MAX_HOURS;

/// Time stamps that run behind by this many seconds have begun anew.
const MAX_BEHIND_S: f64 = 1.0;
/// Longer gaps are clocks that were set, or headers that lie.
pub(crate) const MAX_GAP_S: f64 = (MAX_HOURS * 3600) as f64;
/// A part may end this many seconds, or two packets, before what its header promises: headers round, encoders pad.
const END_TOLERANCE_S: f64 = 0.1;

/// The part that is read.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// 0 until a packet was decoded.
    pub rate: u32,
    pub channels: usize,
    /// Frames decoded, silence for what is missing counted.
    position: u64,
    /// The first frame that is heard, and the last where that is certain.
    pub skip: u64,
    pub to: Option<u64>,
    /// Frames that the header promises.
    pub declared: Option<u64>,
    /// The same for as long as the part may end there, how many of them are padding, and what may be that.
    promised: Option<u64>,
    padding: u64,
    tail: Vec<Vec<f32>>,
    /// Time stamp, or frame of the stream, at which its position is 0.
    origin: Option<i64>,
    /// Frames given out.
    given: u64,
    /// Frames of the longest packet.
    pub longest: u64,
    /// Frames of silence to come before the packets that are placed next, because packets before them are damaged.
    pub lost: u64,
}

/// How a part ends beside what its header says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    AsTold,
    /// So many seconds are missing.
    Early(f64),
    Late,
}

impl Timeline {
    /// A part whose header says this much of its frames.
    pub fn new(skip: u64, promised: Option<u64>, padding: u64) -> Self {
        let padding = if promised.is_some_and(|promised| promised > skip + padding) { padding } else { 0 };
        Self { skip, declared: promised, promised, padding, ..Self::default() }
    }

    pub fn seconds(&self, frames: u64) -> f64 {
        frames as f64 / f64::from(self.rate.max(1))
    }

    pub fn frames(&self, seconds: f64) -> u64 {
        (seconds * f64::from(self.rate)).round() as u64
    }

    /// Seconds of it that are heard before what is decoded next.
    pub fn now_s(&self) -> f64 {
        self.seconds(self.position.saturating_sub(self.skip))
    }

    /// Seconds that were given out.
    pub fn given_s(&self) -> f64 {
        self.seconds(self.given)
    }

    /// Whether nothing of it was decoded yet.
    pub fn is_new(&self) -> bool {
        self.position == 0 && self.origin.is_none()
    }

    /// Cuts off what is not to be heard of the next frames; none where nothing remains.
    pub fn hear(&mut self, mut planes: Vec<Vec<f32>>) -> Option<Vec<Vec<f32>>> {
        let start = self.position;
        self.position += planes[0].len() as u64;
        let mut to = self.to.unwrap_or(u64::MAX);
        // What may be padding waits until the part has ended, or goes on against what its header says.
        if let Some(promised) = self.promised.filter(|_| self.padding > 0) {
            let sound = promised - self.padding;
            if self.position > promised {
                for (plane, mut tail) in planes.iter_mut().zip(std::mem::take(&mut self.tail)) {
                    tail.append(plane);
                    *plane = tail;
                }
                self.promised = None;
            } else if self.position > sound {
                let keep = sound.saturating_sub(start) as usize;
                self.tail.resize(planes.len(), Vec::new());
                for (tail, plane) in self.tail.iter_mut().zip(&planes) {
                    tail.extend(&plane[keep..]);
                }
                to = to.min(sound);
            }
        }
        let start = self.position - planes[0].len() as u64;
        let (from, to) = (self.skip.max(start), to.min(self.position));
        if from >= to {
            return None;
        }
        for plane in &mut planes {
            plane.truncate((to - start) as usize);
            plane.drain(..(from - start) as usize);
        }
        self.given += to - from;
        Some(planes)
    }

    /// Frames between what was decoded and a packet that has this time stamp.
    pub fn hole_before(&mut self, stamp: i64, tick_s: f64) -> u64 {
        let position_s = self.seconds(self.position + self.lost);
        let start = stamp.saturating_sub((position_s / tick_s) as i64);
        let origin = *self.origin.get_or_insert(start);
        let hole_s = stamp.saturating_sub(origin) as f64 * tick_s - position_s;
        if !(-MAX_BEHIND_S..MAX_GAP_S).contains(&hole_s) {
            self.origin = Some(start);
            return 0;
        }
        self.frames(hole_s.max(0.0))
    }

    /// Frames between what was decoded and a page of so many frames that ends at this place; negative where it is the last
    /// and as much of it is padding.
    pub fn hole_before_page(&mut self, granule: i64, length: u64, last: bool) -> i64 {
        let end = (self.position + self.lost + length) as i64;
        // A stream that is one page counts from 0, and what exceeds its place is padding; others may be cut out of a longer one.
        let single = last && self.origin.is_none() && granule < end;
        let origin = *self.origin.get_or_insert(if single { 0 } else { granule.saturating_sub(end) });
        let hole = granule.saturating_sub(origin).saturating_sub(end);
        if last && -(length as i64) < hole && hole < 0 {
            return hole;
        }
        if hole < -(self.frames(MAX_BEHIND_S) as i64) || hole > self.frames(MAX_GAP_S) as i64 {
            self.origin = Some(granule.saturating_sub(end));
            return 0;
        }
        hole.max(0)
    }

    /// How the part ends, where it was decoded.
    pub fn ending(&self) -> Ending {
        let Some(declared) = self.declared.filter(|_| self.rate > 0) else { return Ending::AsTold };
        let tolerance = self.frames(END_TOLERANCE_S).max(2 * self.longest);
        if self.position + tolerance < declared {
            return Ending::Early(self.seconds(declared - self.position.max(self.skip)));
        }
        if declared + tolerance < self.position { Ending::Late } else { Ending::AsTold }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(skip: u64, promised: Option<u64>, padding: u64) -> Timeline {
        Timeline { rate: 1000, channels: 1, longest: 10, ..Timeline::new(skip, promised, padding) }
    }

    fn heard(timeline: &mut Timeline, lengths: &[usize]) -> Vec<f32> {
        let (mut at, mut out) = (0, Vec::new());
        for &length in lengths {
            let planes = vec![(at..at + length).map(|i| i as f32).collect()];
            at += length;
            out.extend(timeline.hear(planes).into_iter().flatten().flatten());
        }
        out
    }

    #[test]
    fn delay_and_padding_are_not_heard() {
        let lengths = [7, 100, 300, 293, 300];
        let mut whole = timeline(105, Some(1000), 60);
        assert_eq!(heard(&mut whole, &lengths), (105..940).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!((whole.ending(), whole.given_s()), (Ending::AsTold, 0.835));
        // It goes on: what seemed to be padding is none.
        let mut late = timeline(105, Some(600), 60);
        assert_eq!(heard(&mut late, &lengths), (105..1000).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!(late.ending(), Ending::Late);
        let mut early = timeline(105, Some(1500), 60);
        assert_eq!(heard(&mut early, &lengths).len(), 895);
        assert_eq!(early.ending(), Ending::Early(0.5));
    }

    #[test]
    fn stamps_that_step_and_begin_anew() {
        let mut line = timeline(0, None, 0);
        assert_eq!(line.hole_before(5_000_000, 0.001), 0);
        heard(&mut line, &[100]);
        assert_eq!(line.hole_before(5_000_350, 0.001), 250);
        heard(&mut line, &[250, 100]);
        assert_eq!(line.hole_before(5_000_440, 0.001), 0);
        assert_eq!(line.hole_before(7, 0.001), 0);
        heard(&mut line, &[100]);
        assert_eq!(line.hole_before(157, 0.001), 50);
        assert_eq!(line.hole_before(i64::MAX, 0.001), 0);
        assert_eq!(line.hole_before(0, f64::NAN), 0);
    }

    #[test]
    fn pages_that_step_and_end_early() {
        let mut line = timeline(0, None, 0);
        assert_eq!(line.hole_before_page(100, 100, false), 0);
        heard(&mut line, &[100]);
        assert_eq!(line.hole_before_page(500, 100, false), 300);
        heard(&mut line, &[300, 100]);
        assert_eq!(line.hole_before_page(570, 100, true), -30);
        assert_eq!(line.hole_before_page(100, 100, true), 0);
        assert_eq!(timeline(0, None, 0).hole_before_page(70, 100, true), -30);
        assert_eq!(timeline(0, None, 0).hole_before_page(i64::MAX, 100, false), 0);
    }
}
