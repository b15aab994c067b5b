//! Ingest from outside: real files in, recordings, sound and rows out.

mod discovery;
mod formats;
mod hostile;
mod stage;
mod support;
