//! Tables over a pipe: `nightcall stage` reads and writes Arrow IPC streams, one after another in one file. Each stream
//! holds one table, named by the key `nightcall.table` of its schema's metadata; a table may come in several streams.
//! Calls given up travel as a stream of `stage_errors`.

use crate::{PipelineError, days::Days};
use arrow::{
    array::RecordBatch,
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use chrono::Utc;
use schema::{
    CallFailure, Item, Sink, Stage, StageError, StageErrorRow, StageName, Table, from_batch, to_batch, validate,
};
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    sync::{Mutex, PoisonError, mpsc::sync_channel},
    thread,
};

/// Batches between the reader of the streams and the stage.
const QUEUE: usize = 16;

/// Runs a stage as a filter: streams in, streams out. Returns the calls that it could not finish.
pub fn run_as_filter(
    stage: &mut dyn Stage,
    input: impl Read + Send,
    output: impl Write,
) -> Result<Vec<CallFailure>, PipelineError> {
    let days = &Mutex::default();
    let mut writer = TableWriter::new(stage.name(), output, days);
    let (sender, receiver) = sync_channel(QUEUE);
    thread::scope(|scope| {
        let inputs = stage.inputs();
        let reader = scope.spawn(move || {
            read_tables(&mut BufReader::new(input), |item| {
                if let Item::Batch(table, batch) = &item {
                    days.lock().unwrap_or_else(PoisonError::into_inner).learn(*table, batch);
                    // What another stage wrote beside the tables that this one reads.
                    if !inputs.contains(table) {
                        return true;
                    }
                }
                sender.send(item).is_ok()
            })
        });
        let ran = stage.run(&mut receiver.iter(), &mut writer);
        drop(receiver);
        let read = reader.join().unwrap_or_else(|_| Err(PipelineError::Stream("the reader of the input broke".into())));
        read?;
        match ran {
            Ok(()) | Err(StageError::Closed) => Ok(()),
            Err(e) => Err(PipelineError::from(e)),
        }
    })?;
    writer.finish()
}

/// Reads concatenated streams to their end and hands on each item as it comes. Stops at the first error.
fn read_tables(input: &mut dyn BufRead, mut each: impl FnMut(Item) -> bool) -> Result<(), PipelineError> {
    let fail = |e: &dyn std::fmt::Display| PipelineError::Stream(e.to_string());
    while !input.fill_buf().map_err(|e| fail(&e))?.is_empty() {
        let reader = StreamReader::try_new(&mut *input, None).map_err(|e| fail(&e))?;
        let name = reader.schema().metadata().get("nightcall.table").cloned().unwrap_or_default();
        let Some(table) = Table::from_name(&name) else {
            let message = format!("its schema's metadata has nightcall.table = {name:?}, which is no table");
            return Err(PipelineError::Stream(message));
        };
        for batch in reader {
            let batch = validate(table, &batch.map_err(|e| fail(&e))?).map_err(|e| fail(&e))?;
            let items = if table == Table::StageErrors {
                let rows = from_batch::<StageErrorRow>(&batch).map_err(|e| fail(&e))?;
                rows.into_iter().map(|row| Item::Failed(row.call_id)).collect()
            } else {
                vec![Item::Batch(table, batch)]
            };
            if !items.into_iter().all(&mut each) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A sink that writes each run of batches of one table as one stream.
///
/// Rows have the days of their calls, so they wait for the rows of these calls to be read, and those that come after them
/// wait too: what is written does not depend on which thread is faster.
struct TableWriter<'a, W: Write> {
    stage: StageName,
    days: &'a Mutex<Days>,
    waiting: VecDeque<(Table, RecordBatch)>,
    open: Open<W>,
    failures: Vec<CallFailure>,
}

enum Open<W: Write> {
    Idle(W),
    Stream(Table, Box<StreamWriter<W>>),
    Broken,
}

impl<'a, W: Write> TableWriter<'a, W> {
    fn new(stage: StageName, output: W, days: &'a Mutex<Days>) -> Self {
        Self { stage, days, waiting: VecDeque::new(), open: Open::Idle(output), failures: Vec::new() }
    }

    /// Writes the batches whose calls' days are known, up to the first of which they are not; at the end, all.
    fn flush(&mut self, end: bool) -> Result<(), StageError> {
        while let Some((table, batch)) = self.waiting.front() {
            let days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
            if !end && !days.are_known(*table, batch) {
                break;
            }
            let (table, batch) = (*table, days.write(*table, batch).map_err(|e| StageError::Internal(e.to_string()))?);
            drop(days);
            self.waiting.pop_front();
            self.write(table, &batch)?;
        }
        Ok(())
    }

    fn write(&mut self, table: Table, batch: &RecordBatch) -> Result<(), StageError> {
        if !matches!(self.open, Open::Stream(open, _) if open == table) {
            self.close()?;
            if let Open::Idle(output) = std::mem::replace(&mut self.open, Open::Broken) {
                let writer = StreamWriter::try_new(output, &table.schema()).map_err(|_| StageError::Closed)?;
                self.open = Open::Stream(table, Box::new(writer));
            }
        }
        match &mut self.open {
            // A reader that has gone away is no error of the stage.
            Open::Stream(_, writer) => writer.write(batch).map_err(|_| StageError::Closed),
            _ => Err(StageError::Closed),
        }
    }

    /// Ends the last stream. A reader that went away early has had what it wanted.
    fn finish(mut self) -> Result<Vec<CallFailure>, PipelineError> {
        match self.flush(true).and_then(|()| self.close()) {
            Ok(()) | Err(StageError::Closed) => Ok(self.failures),
            Err(e) => Err(e.into()),
        }
    }

    fn close(&mut self) -> Result<(), StageError> {
        self.open = match std::mem::replace(&mut self.open, Open::Broken) {
            Open::Stream(_, mut writer) => {
                writer.finish().map_err(|_| StageError::Closed)?;
                Open::Idle(writer.into_inner().map_err(|_| StageError::Closed)?)
            }
            open => open,
        };
        Ok(())
    }
}

impl<W: Write> Sink for TableWriter<'_, W> {
    fn batch(&mut self, table: Table, batch: RecordBatch) -> Result<(), StageError> {
        self.waiting.push_back((table, batch));
        self.flush(false)
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        let row = StageErrorRow {
            call_id: failure.call_id.clone(),
            stage: self.stage.to_string(),
            kind: failure.kind.as_str().to_owned(),
            message: failure.message.clone(),
            attempt: 1,
            at: Utc::now(),
        };
        self.failures.push(failure);
        self.batch(Table::StageErrors, to_batch(&[row])?)
    }
}
