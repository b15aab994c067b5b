//! Small tables of text (call lists, CRM exports) from CSV, JSON Lines or Parquet, told apart by their content.
//!
//! CSV and JSON Lines are read by line, and not through Arrow's readers, which give a whole file up at its first bad
//! row: here a bad row costs itself alone.

use crate::{IngestError, Problem};
use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::DataType,
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use store::objects::is_url;

/// A file of rows, all cells as text.
#[derive(Debug)]
pub(crate) struct TextTable {
    pub file: PathBuf,
    /// In the order of the file.
    pub columns: Vec<String>,
    pub rows: Vec<TextRow>,
    /// Lines that held no row at all.
    pub problems: Vec<Problem>,
}

/// A row; empty cells are left out.
#[derive(Debug)]
pub(crate) struct TextRow {
    pub line: u64,
    pub cells: BTreeMap<String, String>,
    /// Why the cells cannot be trusted.
    pub problem: Option<String>,
}

/// Reads the file, which may be an object's URL. Fails where it cannot be opened or names no columns; bad rows are marked.
pub(crate) fn read_table(path: &Path) -> Result<TextTable, IngestError> {
    let content = read(path)?;
    if content.starts_with(b"PAR1") {
        return read_parquet(path, content);
    }
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    match text.iter().copied().find(|b| !b.is_ascii_whitespace()) {
        None => Err(wrong(path, "is empty; its first line must name the columns")),
        Some(b'[') => Err(wrong(path, "is a JSON array; write one object a line (JSON Lines) instead")),
        Some(b'{') => Ok(read_json_lines(path, text)),
        Some(_) => read_csv(path, text),
    }
}

fn read(path: &Path) -> Result<Bytes, IngestError> {
    if let Some(url) = path.to_str().filter(|location| is_url(location)) {
        return Ok(store::objects::read(url)?);
    }
    let io = |source| IngestError::Io { path: path.to_owned(), source };
    // Asked first: opening a pipe that nobody writes would wait for ever.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(wrong(path, "is not a file; give a CSV, JSON Lines or Parquet file"));
    }
    Ok(std::fs::read(path).map_err(io)?.into())
}

fn wrong(path: &Path, reason: impl Into<String>) -> IngestError {
    IngestError::List { path: path.to_owned(), reason: reason.into() }
}

fn insert(cells: &mut BTreeMap<String, String>, column: &str, value: &str) {
    let value = value.trim();
    if !value.is_empty() {
        cells.insert(column.to_owned(), value.to_owned());
    }
}

fn read_csv(path: &Path, content: &[u8]) -> Result<TextTable, IngestError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter(content)).from_reader(content);
    let headers = reader.headers().map_err(|e| wrong(path, format!("its first line cannot be read: {e}")))?;
    let columns: Vec<String> = headers.iter().map(|c| c.trim().to_owned()).collect();
    if let Some((_, twice)) = columns.iter().enumerate().find(|(i, c)| columns[..*i].contains(c)) {
        return Err(wrong(path, format!("names the column {twice:?} twice; rename one")));
    }
    let newlines = |from: usize, to: usize| content[from..to].iter().filter(|&&b| b == b'\n').count();
    let mut rows = Vec::new();
    let mut record = csv::ByteRecord::new();
    // The reader says where it began to look for a record; the record's own first line is counted here.
    let (mut line, mut counted) = (1, 0);
    while reader.read_byte_record(&mut record).map_err(|e| wrong(path, format!("cannot be read on: {e}")))? {
        let began = record.position().map_or(counted, |p| p.byte() as usize);
        let blank = content[began..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        line += newlines(counted, began + blank) as u64;
        counted = began + blank;
        let text = content[counted..reader.position().byte() as usize].trim_ascii_end();
        let further_lines = newlines(counted, counted + text.len());
        let odd = text.iter().filter(|&&b| b == b'"').count() % 2 == 1;
        // The lines that it swallows are rows whose recordings would pass for unlisted ones, whatever their consent: such a
        // list cannot be used.
        if further_lines > 0 && (odd || record.len() != columns.len()) {
            let end = line + further_lines as u64;
            return Err(wrong(
                path,
                format!("lines {line} to {end} are one row; close the quotation mark that opens there"),
            ));
        }
        let mut problem = None;
        if record.len() != columns.len() {
            problem = Some(format!("has {} fields, and the header names {}", record.len(), columns.len()));
        }
        let mut cells = BTreeMap::new();
        for (column, value) in columns.iter().zip(&record) {
            match str::from_utf8(value) {
                Ok(value) => insert(&mut cells, column, value),
                Err(_) => problem = Some(format!("{column} is not UTF-8; save the file as UTF-8")),
            }
        }
        rows.push(TextRow { line, cells, problem });
    }
    Ok(TextTable { file: path.to_owned(), columns, rows, problems: Vec::new() })
}

/// Comma, semicolon or tab: what the header line has most of.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
    let count = |d: u8| line.iter().filter(|&&b| b == d).count();
    // Of equals the last wins, so the comma stands last.
    [b'\t', b';', b','].into_iter().max_by_key(|&d| count(d)).unwrap_or(b',')
}

fn read_json_lines(path: &Path, content: &[u8]) -> TextTable {
    let mut table = TextTable { file: path.to_owned(), columns: Vec::new(), rows: Vec::new(), problems: Vec::new() };
    for (line, text) in (1..).zip(content.split(|&b| b == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(text) {
            Ok(object) => {
                let mut cells = BTreeMap::new();
                flatten(&mut table.columns, &mut cells, "", object);
                table.rows.push(TextRow { line, cells, problem: None });
            }
            Err(e) => {
                let message = format!("is not a JSON object ({:?} error in column {})", e.classify(), e.column());
                table.problems.push(Problem { file: path.to_owned(), line: Some(line), message });
            }
        }
    }
    table
}

/// Nested objects become columns with dotted names, so that `{"crm": {"stage": ..}}` is `crm.stage`.
fn flatten(
    columns: &mut Vec<String>,
    cells: &mut BTreeMap<String, String>,
    prefix: &str,
    object: serde_json::Map<String, serde_json::Value>,
) {
    for (key, value) in object {
        let column = format!("{prefix}{}", key.trim());
        let text = match value {
            serde_json::Value::Object(inner) => {
                flatten(columns, cells, &format!("{column}."), inner);
                continue;
            }
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        insert(cells, &column, &text);
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
}

fn read_parquet(path: &Path, file: Bytes) -> Result<TextTable, IngestError> {
    let unreadable = |e: &dyn std::fmt::Display| wrong(path, format!("is not a readable Parquet file: {e}"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| unreadable(&e))?;
    let reader = reader.build().map_err(|e| unreadable(&e))?;
    let mut table = TextTable { file: path.to_owned(), columns: Vec::new(), rows: Vec::new(), problems: Vec::new() };
    let mut line = 0;
    for batch in reader {
        let batch = batch.map_err(|e| unreadable(&e))?;
        let first = table.rows.len();
        for _ in 0..batch.num_rows() {
            line += 1;
            table.rows.push(TextRow { line, cells: BTreeMap::new(), problem: None });
        }
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let name = field.name().trim();
            let known = table.columns.iter().any(|c| c == name);
            if !known {
                table.columns.push(name.to_owned());
            }
            // Instants are written as RFC 3339 in UTC; a zone's name would need a table of zones.
            let instant = match column.data_type() {
                DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
                other => other.clone(),
            };
            let Ok(text) = cast(column, &instant).and_then(|column| cast(&column, &DataType::Utf8)) else {
                if !known {
                    let message = format!("column {name} is {} and cannot be read as text", field.data_type());
                    table.problems.push(Problem { file: path.to_owned(), line: None, message });
                }
                continue;
            };
            let text = text.as_string::<i32>();
            for (row, i) in table.rows[first..].iter_mut().zip(0..) {
                if text.is_valid(i) {
                    insert(&mut row.cells, name, text.value(i));
                }
            }
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn table(content: &[u8]) -> Result<TextTable, IngestError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        read_table(file.path())
    }

    #[test]
    fn csv_by_line() {
        let table = table(b"\xef\xbb\xbfrecording;note\r\na.wav;\"two\nlines\"\r\nb.wav\r\n\r\nc.wav; \r\n").unwrap();
        assert_eq!(table.columns, ["recording", "note"]);
        let lines: Vec<u64> = table.rows.iter().map(|r| r.line).collect();
        assert_eq!(lines, [2, 4, 6]);
        assert_eq!(table.rows[0].cells["note"], "two\nlines");
        assert_eq!(table.rows[1].problem.as_deref(), Some("has 1 fields, and the header names 2"));
        assert_eq!(table.rows[1].cells["recording"], "b.wav");
        assert!(!table.rows[2].cells.contains_key("note"));
    }

    #[test]
    fn csv_with_an_open_quotation_mark() {
        for rows in ["a.wav,\"ok\"\nb.wav,\"open\nc.wav,no\n", "a.wav,no\nb.wav,\"open\nc.wav,\"no\"\nd.wav,no\n"] {
            let error = table(format!("recording,note\n{rows}").as_bytes()).unwrap_err().to_string();
            assert!(error.contains("lines 3 to 4 are one row"), "{error}");
        }
    }

    #[test]
    fn csv_not_utf8() {
        let table = table(b"recording,name\na.wav,M\xfcller\n").unwrap();
        assert_eq!(table.rows[0].problem.as_deref(), Some("name is not UTF-8; save the file as UTF-8"));
    }

    #[test]
    fn json_lines() {
        let table =
            table(b"{\"recording\":\"a.wav\",\"crm\":{\"stage\":\"won\",\"n\":3}}\n\n{broken\n{\"recording\":null}\n")
                .unwrap();
        assert_eq!(table.columns, ["crm.n", "crm.stage", "recording"]);
        assert_eq!(table.rows[0].cells["crm.n"], "3");
        assert_eq!(table.problems[0].line, Some(3));
        assert_eq!(table.rows[1].line, 4);
        assert!(table.rows[1].cells.is_empty());
    }

    #[test]
    fn nothing_and_arrays() {
        assert!(table(b" \n").unwrap_err().to_string().ends_with("must name the columns"));
        assert!(table(b"[{}]").unwrap_err().to_string().contains("JSON Lines"));
        assert!(table(b"PAR1oops").unwrap_err().to_string().contains("Parquet"));
        assert!(table(b"a,b,a\n").unwrap_err().to_string().contains("\"a\" twice"));
    }
}
