//! Clips of audio through the pipeline's own recognizer, timed: for evaluation and benches.

use crate::PipelineError;
use schema::{
    AudioBlock, CallFailure, FailureKind, Item, SAMPLE_RATE, Segment, Sink, Stage, StageError, Table, from_batch,
};
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

/// Clips that are decoded before they are recognized, so that the clock runs over recognition alone: an hour, 230 MB.
const CLIPS_S: f64 = 3600.0;

/// Samples of a block, as ingest cuts them: 10 s.
const BLOCK: usize = 10 * SAMPLE_RATE;

/// Recognizes clips the way a run does: voice activity detection, chunks, batches across clips, guards.
pub fn recognize(clips: &[Clip], stage: &mut dyn Stage) -> Result<Heard, PipelineError> {
    let mut heard = Heard { texts: vec![String::new(); clips.len()], ..Heard::default() };
    let mut took = Duration::ZERO;
    let mut blocks = Vec::new();
    let mut held = 0;
    for (i, clip) in clips.iter().enumerate() {
        let samples = decode(clip)?;
        held += samples.len();
        heard.audio_s += samples.len() as f64 / SAMPLE_RATE as f64;
        for block in blocks_of(i, &samples) {
            blocks.push(Item::Batch(Table::Audio, block.into_batch().map_err(StageError::from)?));
        }
        if held as f64 >= CLIPS_S * SAMPLE_RATE as f64 || i + 1 == clips.len() {
            held = 0;
            let began = Instant::now();
            stage.run(&mut std::mem::take(&mut blocks).into_iter(), &mut Texts { heard: &mut heard })?;
            took += began.elapsed();
        }
    }
    heard.compute_s = took.as_secs_f64();
    Ok(heard)
}

/// A clip as a call of one channel. An empty clip is a block all the same: with it the channel ends.
fn blocks_of(clip: usize, samples: &[f32]) -> impl Iterator<Item = AudioBlock> {
    let count = samples.len().div_ceil(BLOCK).max(1);
    (0..count).map(move |i| AudioBlock {
        call_id: format!("{clip:09}"),
        channel: 0,
        first_sample: (i * BLOCK) as i64,
        last: i + 1 == count,
        language: None,
        samples: samples[i * BLOCK..((i + 1) * BLOCK).min(samples.len())].to_vec(),
    })
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
        // Of a clip that is not believed to be in its language nothing is kept; it counts as one in which nothing was heard.
        if failure.kind == FailureKind::Model {
            return Ok(());
        }
        Err(StageError::Internal(format!("clip {}: {}", failure.call_id, failure.message)))
    }
}
