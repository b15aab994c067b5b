//! What the decoder makes of files, a JSON object a line: for `scripts/ingest-table`, which compares it with others.
//!
//!     lengths FILE...
//!
//! Each line has `file`, and either `duration_ms`, `container`, `codec`, `channels`, `decoder` and `damage`, or `error`.
#![allow(clippy::print_stdout)] // its output is what it is for

use ingest::{Decoder, IngestError};
use serde_json::{Value, json};
use std::path::Path;

fn main() {
    for file in std::env::args().skip(1) {
        let read = read(Path::new(&file)).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        let mut line = json!({ "file": file });
        if let (Some(line), Value::Object(read)) = (line.as_object_mut(), read) {
            line.extend(read);
        }
        println!("{line}");
    }
}

fn read(file: &Path) -> Result<Value, IngestError> {
    let mut decoder = Decoder::open(file)?;
    while decoder.next_block()?.is_some() {}
    let info = decoder.info();
    let damage: Vec<Value> = decoder
        .damage()
        .iter()
        .map(|d| json!({ "kind": d.kind, "at_ms": d.at_ms, "length_ms": d.length_ms }))
        .collect();
    Ok(json!({
        "duration_ms": decoder.duration_ms(),
        "container": info.container,
        "codec": info.codec,
        "channels": info.channel_count,
        "decoder": info.decoder,
        "damage": damage,
    }))
}
