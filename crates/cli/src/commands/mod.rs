//! A file a command.

pub mod bench;
pub mod doctor;
pub mod eval;
pub mod eval_texts;
mod hint;
pub mod models;
pub mod run;
pub mod show;
pub mod stage;
pub mod status;
pub mod tables;

use crate::args::{Common, How};
use anyhow::{Context, Result};
use pipeline::models::Registry;

/// The models of this machine: NIGHTCALL_MODELS, else the user's cache folder.
fn registry(common: &Common) -> Result<Registry> {
    let folder = match &common.models {
        Some(folder) => folder.clone(),
        None => dirs::cache_dir()
            .context("this user has no cache folder; name a folder for the models with --models or NIGHTCALL_MODELS")?
            .join("nightcall")
            .join("models"),
    };
    Ok(Registry::new(folder))
}

/// Fits the thread pool to `--jobs`.
fn threads(how: &How) -> Result<()> {
    threads_of(how.jobs)
}

fn threads_of(jobs: Option<u16>) -> Result<()> {
    pipeline::set_threads(jobs.map_or(0, usize::from)).context("--jobs")
}
