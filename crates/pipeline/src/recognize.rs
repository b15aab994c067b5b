//! Clips of audio through the pipeline's own recognizer, timed: for evaluation and benches.

use crate::PipelineError;
use schema::{AudioBlock, CallFailure, Item, SAMPLE_RATE, Segment, Sink, Stage, StageError, Table, from_batch};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// A stretch of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// The recording.
    pub path: PathBuf,
    /// Its channel; all mixed where there is none.
    pub channel: Option<usize>,
    /// Where it begins, in seconds; the recording's start where there is none.
    pub start_s: Option<f64>,
    /// Where it ends, in seconds.
    pub end_s: Option<f64>,
}

/// What was recognized.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// A text a clip.
    pub texts: Vec<String>,
    /// Seconds of audio.
    pub audio_s: f64,
    /// Seconds from samples in memory to words; decoding left out.
    pub compute_s: f64,
    /// Engine and model, as in `segments.engine`.
    pub engine: String,
}

/// Recognizes clips the way a run does: voice activity detection, chunks, batches across clips, guards.
pub fn recognize(clips: &[Clip], stage: &mut dyn Stage) -> Result<Heard, PipelineError> {
    let mut heard = Heard { texts: vec![String::new(); clips.len()], ..Heard::default() };
    let mut sound = Sound { clips: clips.iter().enumerate(), spent: Duration::ZERO, samples: 0, error: None };
    let mut sink = Texts { heard: &mut heard };
    let began = Instant::now();
    stage.run(&mut sound, &mut sink)?;
    let took = began.elapsed().saturating_sub(sound.spent);
    if let Some(error) = sound.error {
        return Err(error);
    }
    heard.audio_s = sound.samples as f64 / SAMPLE_RATE as f64;
    heard.compute_s = took.as_secs_f64();
    Ok(heard)
}

/// Decodes clip after clip, and measures how long that takes.
struct Sound<'a> {
    clips: std::iter::Enumerate<std::slice::Iter<'a, Clip>>,
    spent: Duration,
    samples: usize,
    error: Option<PipelineError>,
}

impl Iterator for Sound<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let (i, clip) = self.clips.next()?;
        let began = Instant::now();
        let block = decode(clip).and_then(|samples| {
            self.samples += samples.len();
            let block = AudioBlock {
                call_id: format!("{i:09}"),
                channel: 0,
                first_sample: 0,
                last: true,
                language: None,
                samples,
            };
            Ok(block.into_batch().map_err(StageError::from)?)
        });
        self.spent += began.elapsed();
        block.map(|batch| Item::Batch(Table::Audio, batch)).map_err(|e| self.error = Some(e)).ok()
    }
}

fn decode(clip: &Clip) -> Result<Vec<f32>, PipelineError> {
    let (_, mut channels) = ingest::decode(&clip.path)?;
    let count = channels.len();
    let mut samples = match clip.channel {
        Some(channel) if channel < count => channels.swap_remove(channel),
        Some(channel) => {
            let path = clip.path.display();
            return Err(PipelineError::Setup(format!("{path}: there is no channel {channel}; it has {count}, from 0")));
        }
        None => {
            let mut mix = channels.swap_remove(0);
            for (i, sum) in mix.iter_mut().enumerate() {
                *sum = (*sum + channels.iter().map(|c| c[i]).sum::<f32>()) / count as f32;
            }
            mix
        }
    };
    let sample = |s: f64| ((s * SAMPLE_RATE as f64).round() as usize).min(samples.len());
    let (start, end) = (clip.start_s.map_or(0, sample), clip.end_s.map_or(samples.len(), sample));
    samples.truncate(end.max(start));
    samples.drain(..start);
    Ok(samples)
}

struct Texts<'a> {
    heard: &'a mut Heard,
}

impl Sink for Texts<'_> {
    fn batch(&mut self, _: Table, batch: arrow::array::RecordBatch) -> Result<(), StageError> {
        for segment in from_batch::<Segment>(&batch)? {
            let text = segment.call_id.parse::<usize>().ok().and_then(|i| self.heard.texts.get_mut(i));
            if let Some(text) = text {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&segment.text);
            }
            self.heard.engine = segment.engine;
        }
        Ok(())
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        Err(StageError::Internal(format!("clip {}: {}", failure.call_id, failure.message)))
    }
}
