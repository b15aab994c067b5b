//! Any text as a pipeline file: an error that names the file, or a pipeline.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    match pipeline::Spec::parse(text, Path::new("any.toml")) {
        Ok(spec) => drop(format!("{spec:?}")),
        Err(e) => assert!(e.to_string().contains("any.toml")),
    }
});
