//! What the libraries log, on standard error: warnings as a rule, more with -v, errors alone with -q.
//!
//! Libraries log call ids, places and numbers, never what was said. What other people's crates log is kept to -vvv.

use crate::term::{DIM, RED, YELLOW, one_line, paint};
use indicatif::ProgressBar;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::sync::OnceLock;

/// The crates of this project, by the names under which they log.
const OURS: [&str; 12] = [
    "eval",
    "extract",
    "flow",
    "inference",
    "ingest",
    "nightcall",
    "pipeline",
    "schema",
    "sentiment",
    "store",
    "summarize",
    "transcribe",
];
/// The bar that is drawn, which must be taken away while a line is printed.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

struct Logger {
    /// Whether other people's crates are heard too.
    others: bool,
}

static OURS_ALONE: Logger = Logger { others: false };
static ALL: Logger = Logger { others: true };

/// Begins to print; `verbose` is the number of `-v`.
pub fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Warn,
        (false, 1) => LevelFilter::Info,
        (false, _) => LevelFilter::Debug,
    };
    // Fails where a logger is set already, which is ours.
    if log::set_logger(if verbose > 2 { &ALL } else { &OURS_ALONE }).is_ok() {
        log::set_max_level(level);
    }
}

/// Lets lines be printed above this bar from now on.
pub fn above(bar: &ProgressBar) {
    let _ = BAR.set(bar.clone());
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        let krate = metadata.target().split("::").next().unwrap_or_default();
        self.others || OURS.contains(&krate)
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let text = one_line(&text);
        let line = match record.level() {
            Level::Error => format!("{} {text}", paint(RED, "error:")),
            Level::Warn => format!("{} {text}", paint(YELLOW, "warning:")),
            _ => paint(DIM, text),
        };
        let print = || anstream::eprintln!("{line}");
        BAR.get().map_or_else(print, |bar| bar.suspend(print));
    }

    fn flush(&self) {}
}
