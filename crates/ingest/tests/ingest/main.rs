//! Ingest from outside: real files in, recordings, sound and rows out.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // Helpers of tests are tests.

mod buckets;
mod consent;
mod damage;
mod discovery;
mod formats;
mod hostile;
mod matrix;
mod parts;
#[path = "../../../store/tests/store/servers.rs"]
mod servers;
mod stage;
mod support;
