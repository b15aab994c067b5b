//! Progress: a bar on a terminal, a plain line a shard otherwise.

use crate::logger;
use indicatif::{ProgressBar, ProgressStyle};
use pipeline::{Event, Progress};
use std::{
    io::IsTerminal,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

/// Draws a run.
pub struct Bar {
    drawn: ProgressBar,
    plain: bool,
    audio_ms: AtomicI64,
    began: Instant,
}

impl Bar {
    /// On standard error; nothing when quiet.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if quiet || !terminal { ProgressBar::hidden() } else { ProgressBar::no_length() };
        let style = ProgressStyle::with_template("{spinner} {prefix:12} {bar:30} {pos}/{len} calls  {msg}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(120));
        logger::above(&bar);
        let plain = !quiet && !terminal;
        Self { drawn: bar, plain, audio_ms: AtomicI64::new(0), began: Instant::now() }
    }

    /// Milliseconds of audio heard so far.
    pub fn audio_ms(&self) -> i64 {
        self.audio_ms.load(Ordering::Relaxed)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.drawn.finish_and_clear();
    }

    fn speed(&self) -> String {
        let hours = self.audio_ms() as f64 / 3.6e6;
        format!("{hours:.2} h audio  {:.0} RTFx", hours * 3600.0 / self.began.elapsed().as_secs_f64().max(1e-3))
    }
}

impl Progress for Bar {
    fn event(&self, event: Event) {
        match event {
            Event::Planned { calls, up_to_date } => {
                self.drawn.set_length((calls - up_to_date) as u64);
                if self.plain {
                    anstream::eprintln!("{calls} calls, {up_to_date} up to date");
                }
            }
            Event::Stage { stage, .. } => self.drawn.set_prefix(stage.to_string()),
            Event::Audio { ms } => {
                self.audio_ms.fetch_add(ms, Ordering::Relaxed);
                self.drawn.set_message(self.speed());
            }
            Event::Call => self.drawn.inc(1),
            Event::Shard { calls, shard, shards } => {
                if self.plain {
                    anstream::eprintln!("shard {shard}/{shards} done: {calls} calls, {}", self.speed());
                }
            }
        }
    }
}
