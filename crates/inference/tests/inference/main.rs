//! The inference core against its references, and the store of models against a hub of our own.

#![allow(clippy::unwrap_used)] // a test stops at the first thing that fails, helpers too

mod llm;
mod registry;
mod sentence;

use std::path::{Path, PathBuf};

/// A folder of `tests/data`.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The folder of an installed model, or a visible note that its test is skipped.
fn installed(model: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("NIGHTCALL_MODELS").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        Some(home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?.join("nightcall/models"))
    })?;
    let folder = cache.join(model);
    if folder.join("model.safetensors").exists() {
        return Some(folder);
    }
    eprintln!("skipped: needs the model {model} (nightcall models pull {model})");
    None
}
