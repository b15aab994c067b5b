//! From recordings to words, shard after shard, on two threads: one decodes, the other recognizes.

use crate::{Event, Progress, output::Output, runner::guarded};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use schema::{CallFailure, Item, Recording, SAMPLE_RATE, Sink, Stage, StageError, StageName, Table, to_batch};
use std::sync::{
    atomic::{AtomicBool, Ordering},
    mpsc::{Receiver, SyncSender},
};

/// Batches between the two threads: 160 s of one channel, 10 MB. Enough that recognition does not wait for the disk, be
/// it at the border of two shards, and too little to matter for memory.
pub(crate) const BLOCKS_AHEAD: usize = 16;

/// A shard whose recordings are to be read.
pub(crate) struct Task<'a> {
    pub recordings: &'a [Recording],
    /// Whether they are to be recognized too.
    pub recognize: bool,
    /// Position of the shard in the run, from 1.
    pub number: usize,
}

/// What a stage gave for a shard, and how it ended.
pub(crate) type Ran = (Output, Result<(), StageError>);

/// What was heard of a shard.
pub(crate) struct Heard {
    pub ingest: Ran,
    /// Where recognition was wanted.
    pub transcribe: Option<Ran>,
}

/// From the thread that decodes to the one that recognizes.
pub(crate) enum Sound {
    Item(Item),
    /// The shard ends.
    End(Ran),
}

/// Whether the run is to end early: stopped from outside, or because it cannot go on.
pub(crate) struct Over<'a> {
    pub cancel: &'a AtomicBool,
    pub failed: AtomicBool,
}

impl Over<'_> {
    pub fn is(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }
}

/// Reads the recordings of all shards, one after another.
pub(crate) fn decode(ingest: &mut dyn Stage, tasks: &[Task<'_>], next: &SyncSender<Sound>, over: &Over<'_>) {
    for task in tasks {
        let mut kept = Output::default();
        let read = to_batch(task.recordings).map_err(StageError::from).and_then(|recordings| {
            let mut recordings = std::iter::once(Item::Batch(Table::Recordings, recordings));
            guarded(ingest, &mut recordings, &mut Tee { kept: &mut kept, next, over })
        });
        if over.is() || next.send(Sound::End((kept, read))).is_err() {
            return;
        }
    }
}

/// Recognizes the sound of all shards, one after another. Ends early when the run is over, or when nobody sends or takes
/// any more.
pub(crate) fn recognize(
    mut transcribe: Option<&mut dyn Stage>,
    tasks: &[Task<'_>],
    sound: &Receiver<Sound>,
    next: &SyncSender<Heard>,
    over: &Over<'_>,
    (progress, shards): (&dyn Progress, usize),
) {
    for task in tasks {
        let mut shard = Shard { sound, end: None, counted: None, progress, over };
        let stage = transcribe.as_deref_mut().filter(|_| task.recognize);
        let transcribe = stage.map(|stage| {
            progress.event(Event::Stage { stage: StageName::Transcribe, shard: task.number, shards });
            let mut output = Output::default();
            let heard = guarded(stage, &mut shard, &mut output);
            (output, heard)
        });
        // A recognizer that has given up does not keep the calls from being read.
        shard.by_ref().for_each(drop);
        let Some(ingest) = shard.end else { return };
        if next.send(Heard { ingest, transcribe }).is_err() {
            return;
        }
    }
}

/// Keeps what is stored and passes everything on to the recognizer.
struct Tee<'a> {
    kept: &'a mut Output,
    next: &'a SyncSender<Sound>,
    over: &'a Over<'a>,
}

impl Tee<'_> {
    fn pass(&self, item: Item) -> Result<(), StageError> {
        if self.over.is() || self.next.send(Sound::Item(item)).is_err() { Err(StageError::Closed) } else { Ok(()) }
    }
}

impl Sink for Tee<'_> {
    fn batch(&mut self, table: Table, batch: RecordBatch) -> Result<(), StageError> {
        self.kept.batch(table, batch.clone())?;
        self.pass(Item::Batch(table, batch))
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        self.pass(Item::Failed(failure.call_id.clone()))?;
        self.kept.fail(failure)
    }
}

/// What the recognizer reads of one shard: sound and failures, counted on the way.
struct Shard<'a> {
    sound: &'a Receiver<Sound>,
    /// What ingest came to, once the shard has ended.
    end: Option<Ran>,
    /// The call that is being read and the first of its channels that is heard, on which its time is counted.
    counted: Option<(String, i32)>,
    progress: &'a dyn Progress,
    over: &'a Over<'a>,
}

impl Iterator for Shard<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        while self.end.is_none() && !self.over.is() {
            match self.sound.recv().ok()? {
                Sound::Item(Item::Batch(Table::Audio, batch)) => {
                    let ms = self.first_channel_ms(&batch);
                    self.progress.event(Event::Audio { ms });
                    return Some(Item::Batch(Table::Audio, batch));
                }
                Sound::Item(Item::Batch(_, batch)) => {
                    (0..batch.num_rows()).for_each(|_| self.progress.event(Event::Call));
                }
                Sound::Item(failed @ Item::Failed(_)) => return Some(failed),
                Sound::End(ran) => self.end = Some(ran),
            }
        }
        None
    }
}

impl Shard<'_> {
    /// Milliseconds of the batch that are on their call's first channel.
    fn first_channel_ms(&mut self, batch: &RecordBatch) -> i64 {
        let column = |name| batch.column_by_name(name);
        let (Some(call), Some(channel), Some(samples)) = (column("call_id"), column("channel"), column("samples"))
        else {
            return 0;
        };
        let (call, channel) = (call.as_string::<i32>(), channel.as_primitive::<Int32Type>());
        let samples = samples.as_list::<i32>();
        let mut count = 0;
        for i in 0..batch.num_rows() {
            let (call, channel) = (call.value(i), channel.value(i));
            if self.counted.as_ref().is_none_or(|(counted, _)| counted != call) {
                self.counted = Some((call.into(), channel));
            }
            if self.counted.as_ref().is_some_and(|(_, counted)| *counted == channel) {
                count += samples.value_length(i) as i64;
            }
        }
        count * 1000 / SAMPLE_RATE as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::AudioBlock;
    use std::sync::{Mutex, mpsc::sync_channel};

    struct Counted(Mutex<i64>);

    impl Progress for Counted {
        fn event(&self, event: Event) {
            if let Event::Audio { ms } = event {
                *self.0.lock().unwrap() += ms;
            }
        }
    }

    #[test]
    fn a_call_is_counted_once_also_where_its_first_channel_is_withheld() {
        let (next, sound) = sync_channel(BLOCKS_AHEAD);
        let send = |call: &str, channel, seconds: usize| {
            let samples = vec![0.0; seconds * SAMPLE_RATE];
            let block =
                AudioBlock { call_id: call.into(), channel, first_sample: 0, last: false, language: None, samples };
            next.send(Sound::Item(Item::Batch(Table::Audio, block.into_batch().unwrap()))).unwrap();
        };
        for (call, channel, seconds) in
            [("both", 0, 3), ("both", 1, 3), ("both", 0, 1), ("both", 1, 1), ("later", 1, 2)]
        {
            send(call, channel, seconds);
        }
        drop(next);
        let (progress, cancel) = (Counted(Mutex::new(0)), AtomicBool::new(false));
        let over = Over { cancel: &cancel, failed: AtomicBool::new(false) };
        let shard = Shard { sound: &sound, end: None, counted: None, progress: &progress, over: &over };
        assert_eq!(shard.count(), 5);
        assert_eq!(*progress.0.lock().unwrap(), 6000);
    }
}
