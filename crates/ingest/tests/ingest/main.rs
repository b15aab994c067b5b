//! Ingest from outside: real files in, recordings, sound and rows out.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // Helpers of tests are tests.

mod discovery;
mod formats;
mod hostile;
mod matrix;
mod stage;
mod support;
