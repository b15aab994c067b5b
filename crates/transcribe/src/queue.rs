//! Chunks on their way to an engine: gathered across channels and calls, sorted by length, recognized in batches.

use crate::{
    TranscribeError,
    chunker::Chunk,
    engines::{Engine, Recognition, Window},
};
use schema::{CallFailure, FailureKind};
use std::{
    cmp::Reverse,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Batches' worth of sound that is gathered before any is recognized, where windows of a batch are padded to the longest:
/// sorting four by length leaves little padding, and holds twenty minutes of sound at the default batch, 77 MB.
const BATCHES_HELD: usize = 4;

/// Seconds of sound that are gathered for each core before any is recognized, where an engine takes windows one by one. A
/// core with half a dozen windows under way spends no more on each than one with more, and what an engine holds grows with
/// them: `bench asr` on 12 minutes of stereo calls took 7.2, 7.1 and 7.3 s of processor time and 289, 332 and 413 MB with 40,
/// 75 and 150 s (2 cores; cores that idle at a batch's end are not in the processor time).
const LANE_S: usize = 40;

/// A chunk in which the engine lost its way is heard again in two parts if it is at least this long, in seconds: a loop
/// costs the words around it, and most loops do not survive other borders.
const SPLIT_FROM_S: usize = 4;

/// What is told of a panic; its own message may quote the call.
const BROKE_DOWN: &str = "the recognizer broke down: a bug in Nightcall; please report it";

/// A chunk that waits.
pub(crate) struct Pending {
    pub call: Arc<str>,
    pub channel: i32,
    /// None where the recognizer was told before to find it out.
    pub language: Option<Arc<str>>,
    pub chunk: Chunk,
    /// Whether the engine lost its way in this sound before.
    pub again: bool,
}

impl Pending {
    /// Long chunks first; what is equally long, by where it belongs.
    fn order(&self) -> impl Ord + use<> {
        (Reverse(self.chunk.samples.len()), self.call.clone(), self.channel, self.chunk.start)
    }

    fn halves(self) -> [Self; 2] {
        let (left, right) = self.chunk.halves();
        let again = |chunk| Self {
            call: self.call.clone(),
            channel: self.channel,
            language: self.language.clone(),
            chunk,
            again: true,
        };
        [again(left), again(right)]
    }
}

/// What became of a chunk.
pub(crate) struct Done {
    pub pending: Pending,
    pub heard: Result<Recognition, CallFailure>,
}

/// What waits for an engine, on the side of who listens.
pub(crate) struct Waiting {
    chunks: Vec<Pending>,
    samples: usize,
    /// Samples from which on there are enough.
    enough: usize,
    /// The samples that an engine takes at once whether they are speech or not; as much of a channel is gathered.
    pub window: Option<usize>,
}

impl Waiting {
    /// For this engine.
    pub fn of(recognizer: &Recognizer) -> Self {
        let enough = recognizer
            .batch_samples
            .map_or_else(|| LANE_S * rayon::current_num_threads() * schema::SAMPLE_RATE, |batch| BATCHES_HELD * batch);
        Self { chunks: Vec::new(), samples: 0, enough, window: recognizer.engine.window() }
    }

    /// Takes a chunk; gives all that waited once they are enough.
    pub fn push(&mut self, pending: Pending) -> Option<Vec<Pending>> {
        self.samples += pending.chunk.samples.len();
        self.chunks.push(pending);
        (self.samples >= self.enough).then(|| self.take())
    }

    /// Gives all that waits.
    pub fn take(&mut self) -> Vec<Pending> {
        self.samples = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Drops what waits of a call.
    pub fn forget(&mut self, call: &str) {
        self.chunks.retain(|p| &*p.call != call);
        self.samples = self.chunks.iter().map(|p| p.chunk.samples.len()).sum();
    }
}

/// One engine, and how it is given its work.
pub(crate) struct Recognizer {
    engine: Box<dyn Engine>,
    /// The longest batch, padding counted; none for an engine that takes windows one by one.
    batch_samples: Option<usize>,
}

impl Recognizer {
    pub fn new(engine: Box<dyn Engine>, batch_s: f32) -> Self {
        let batch_samples = (!engine.one_by_one()).then_some((batch_s * schema::SAMPLE_RATE as f32) as usize);
        Self { engine, batch_samples }
    }

    /// Recognizes chunks, long ones first. Batches depend on the chunks alone, not on the machine.
    pub fn recognize(&mut self, mut waiting: Vec<Pending>) -> Vec<Done> {
        let mut done = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let mut chunks = std::mem::take(&mut waiting);
            chunks.sort_by_cached_key(Pending::order);
            let mut rest = chunks.into_iter().peekable();
            while let Some(longest) = rest.peek() {
                // A batch is padded to its longest row.
                let rows = |batch: usize| (batch / longest.chunk.samples.len().max(1)).max(1);
                let rows = self.batch_samples.map_or(usize::MAX, rows);
                let batch: Vec<Pending> = rest.by_ref().take(rows).collect();
                for result in self.batch(batch) {
                    let lost = result.heard.as_ref().is_ok_and(|heard| heard.truncated);
                    if lost && result.pending.chunk.samples.len() >= SPLIT_FROM_S * schema::SAMPLE_RATE {
                        waiting.extend(result.pending.halves());
                    } else {
                        done.push(result);
                    }
                }
            }
        }
        done
    }

    /// The language of the chunks of a call.
    pub fn detect(&mut self, call: &str, chunks: &[Chunk]) -> Result<Arc<str>, CallFailure> {
        let windows: Vec<&[f32]> = chunks.iter().map(|chunk| chunk.samples.as_slice()).collect();
        match catch_unwind(AssertUnwindSafe(|| self.engine.detect(&windows))) {
            Ok(Ok(language)) => Ok(language.into()),
            Ok(Err(e)) => Err(CallFailure::new(call, e.kind(), format!("call {call}: {e}"))),
            Err(_) => Err(CallFailure::new(call, FailureKind::Internal, BROKE_DOWN)),
        }
    }

    /// Recognizes a batch; where that fails, each chunk alone, so that the one at fault is found.
    fn batch(&mut self, batch: Vec<Pending>) -> Vec<Done> {
        match self.attempt(&batch) {
            Ok(heard) => {
                batch.into_iter().zip(heard).map(|(pending, heard)| Done { pending, heard: Ok(heard) }).collect()
            }
            Err(failure) if batch.len() == 1 => {
                let fail = |pending: Pending| {
                    let message = format!("{} (at {} s)", failure.1, pending.chunk.start / schema::SAMPLE_RATE);
                    let heard = Err(CallFailure::new(&*pending.call, failure.0, message));
                    Done { pending, heard }
                };
                batch.into_iter().map(fail).collect()
            }
            Err(_) => batch.into_iter().flat_map(|pending| self.batch(vec![pending])).collect(),
        }
    }

    fn attempt(&mut self, batch: &[Pending]) -> Result<Vec<Recognition>, (FailureKind, String)> {
        let windows: Vec<Window<'_>> = batch
            .iter()
            .map(|p| Window { samples: &p.chunk.samples, language: p.language.as_deref().unwrap_or_default() })
            .collect();
        let said = |e: TranscribeError| (e.kind(), e.to_string());
        match catch_unwind(AssertUnwindSafe(|| self.engine.recognize(&windows))) {
            Ok(Ok(heard)) if heard.len() == windows.len() => Ok(heard),
            Ok(Ok(heard)) => Err(said(TranscribeError::Count { windows: windows.len(), results: heard.len() })),
            Ok(Err(e)) => Err(said(e)),
            Err(_) => Err((FailureKind::Internal, BROKE_DOWN.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Says how long each window is; notes the batches; breaks down over samples of a certain value.
    struct Ruler(Arc<Mutex<Vec<Vec<usize>>>>);

    impl Engine for Ruler {
        fn one_by_one(&self) -> bool {
            false
        }

        fn recognize(&mut self, windows: &[Window<'_>]) -> Result<Vec<Recognition>, TranscribeError> {
            self.0.lock().unwrap().push(windows.iter().map(|w| w.samples.len()).collect());
            assert!(windows.iter().all(|w| w.samples[0] < 0.9), "quoting the customer");
            if windows.iter().any(|w| w.samples[0] < -0.9) {
                return Err(TranscribeError::Language { language: "xx".into() });
            }
            let read = |w: &Window<'_>| Recognition {
                avg_logprob: w.seconds(),
                // It loses its way in what is long and does not begin with silence.
                truncated: w.seconds() > 5.0 && w.samples[0] != 0.0,
                ..Recognition::default()
            };
            Ok(windows.iter().map(read).collect())
        }
    }

    fn pending(call: &str, start: usize, seconds: usize, sample: f32) -> Pending {
        let samples = vec![sample; seconds * schema::SAMPLE_RATE];
        Pending {
            call: call.into(),
            channel: 0,
            language: Some("en".into()),
            chunk: Chunk { start, samples, ..Chunk::default() },
            again: false,
        }
    }

    fn recognizer() -> (Recognizer, Arc<Mutex<Vec<Vec<usize>>>>) {
        let batches = Arc::new(Mutex::new(Vec::new()));
        (Recognizer::new(Box::new(Ruler(batches.clone())), 12.0), batches)
    }

    #[test]
    fn batches_hold_like_lengths_within_the_budget() {
        let (mut recognizer, batches) = recognizer();
        let mut waiting = Waiting::of(&recognizer);
        for (i, seconds) in [3, 5, 2, 6, 4, 20].into_iter().enumerate() {
            assert!(waiting.push(pending("a", i, seconds, 0.0)).is_none());
        }
        let done = recognizer.recognize(waiting.take());
        let seconds: Vec<Vec<usize>> =
            batches.lock().unwrap().iter().map(|b| b.iter().map(|n| n / schema::SAMPLE_RATE).collect()).collect();
        assert_eq!(seconds, [vec![20], vec![6, 5], vec![4, 3, 2]]);
        for done in done {
            assert_eq!(done.heard.unwrap().avg_logprob * 16_000.0, done.pending.chunk.samples.len() as f32);
        }
        assert!(waiting.take().is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut waiting = Waiting::of(&recognizer().0);
        let mut given = 0;
        for i in 0..100 {
            given += waiting.push(pending("a", i, 5, 0.0)).map_or(0, |chunks| chunks.len());
            assert!(waiting.chunks.len() < 10);
        }
        assert_eq!(given, 100);
    }

    #[test]
    fn a_breakdown_costs_the_call_at_fault_alone() {
        let chunk = |(call, sample)| pending(call, 0, 2, sample);
        let chunks = [("a", 0.0), ("b", 1.0), ("c", -1.0), ("d", 0.0)].map(chunk).into();
        let mut done = recognizer().0.recognize(chunks);
        done.sort_by_key(|d| d.pending.call.clone());
        assert!(done[0].heard.is_ok() && done[3].heard.is_ok());
        let broken = done[1].heard.as_ref().unwrap_err();
        assert_eq!((broken.call_id.as_str(), broken.kind), ("b", FailureKind::Internal));
        assert!(!broken.message.contains("customer"));
        assert_eq!(done[2].heard.as_ref().unwrap_err().call_id, "c");
    }

    #[test]
    fn what_made_the_engine_lose_its_way_is_heard_again_in_parts() {
        let chunks = vec![pending("a", 100, 9, 0.5), pending("a", 0, 9, 0.0)];
        let mut done = recognizer().0.recognize(chunks);
        done.sort_by_key(|d| d.pending.chunk.start);
        let lengths: Vec<usize> = done.iter().map(|d| d.pending.chunk.samples.len()).collect();
        assert_eq!((lengths.len(), lengths[0]), (3, 9 * schema::SAMPLE_RATE));
        assert_eq!(lengths[1] + lengths[2], 9 * schema::SAMPLE_RATE);
        assert_eq!(done[2].pending.chunk.start, 100 + lengths[1]);
    }

    #[test]
    fn a_call_given_up_waits_no_more() {
        let mut waiting = Waiting::of(&recognizer().0);
        waiting.push(pending("a", 0, 2, 0.0));
        waiting.push(pending("b", 0, 2, 0.0));
        waiting.forget("a");
        assert_eq!(waiting.samples, 2 * schema::SAMPLE_RATE);
        assert_eq!(waiting.take().len(), 1);
    }
}
