//! Files of JSON objects, one a line.

use crate::EvalError;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

/// What a line of a file is.
pub trait Line: DeserializeOwned {
    /// Its form, for errors.
    const FORM: &'static str;
}

/// Reads a file of JSON objects, one a line. Keys that `T` lacks are passed over, and so are empty lines.
///
/// # Errors
/// A file that cannot be read; a line that is no such object; a file without any.
pub fn read_lines<T: Line>(path: &Path) -> Result<Vec<T>, EvalError> {
    let file = File::open(path).map_err(|e| EvalError::io(path, e))?;
    let mut found = Vec::new();
    for (line, text) in (1..).zip(BufReader::new(file).lines()) {
        let text = text.map_err(|e| EvalError::io(path, e))?;
        if text.trim().is_empty() {
            continue;
        }
        // What serde_json quotes may be words of a call: its place in the line is enough to find what is wrong.
        let problem = |e: serde_json::Error| {
            EvalError::row(path, line, None, format!("at character {} the line is no {}", e.column(), T::FORM))
        };
        found.push(serde_json::from_str(&text).map_err(problem)?);
    }
    if found.is_empty() {
        return Err(EvalError::row(path, 1, None, format!("the file is empty; a line holds one {}", T::FORM)));
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
