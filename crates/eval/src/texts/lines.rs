//! Files of JSON objects, one a line.

use crate::EvalError;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

/// Reads a file of JSON objects, one a line. Keys that `T` lacks are passed over, and so are empty lines.
///
/// # Errors
/// A file that cannot be read; a line that is no such object; a file without any.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, EvalError> {
    let file = File::open(path).map_err(|e| EvalError::io(path, e))?;
    let mut found = Vec::new();
    for (line, text) in (1..).zip(BufReader::new(file).lines()) {
        let text = text.map_err(|e| EvalError::io(path, e))?;
        if !text.trim().is_empty() {
            // serde_json names the key and the column, and its own line, which is always 1 here.
            let row = |e: serde_json::Error| EvalError::row(path, line, None, e.to_string().replace(" at line 1", ""));
            found.push(serde_json::from_str(&text).map_err(row)?);
        }
    }
    if found.is_empty() {
        return Err(EvalError::row(path, 1, None, "the file is empty; write a JSON object a line"));
    }
    Ok(found)
}

/// Writes JSON objects, one a line.
///
/// # Errors
/// A file that cannot be written.
pub fn write_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), EvalError> {
    let file = File::create(path).map_err(|e| EvalError::io(path, e))?;
    let mut out = BufWriter::new(file);
    for row in rows {
        let wrong = |source| EvalError::Json { path: path.to_owned(), source };
        serde_json::to_writer(&mut out, row).map_err(wrong)?;
        out.write_all(b"\n").map_err(|e| EvalError::io(path, e))?;
    }
    out.flush().map_err(|e| EvalError::io(path, e))
}
