//! Small tables of text (call lists, CRM exports) from CSV, JSON Lines, Parquet or a workbook, told apart by their content.
//!
//! CSV and JSON Lines are read by line, and not through Arrow's readers, which give a whole file up at its first bad
//! row: here a bad row costs itself alone.

use crate::{IngestError, Problem, delimited, text, text::latin, workbook};
use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::DataType,
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
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
    /// Of a row that cannot be trusted: what in it may name a recording, beside the cells.
    pub names: Vec<String>,
}

/// Reads the file, which may be an object's URL. Fails where it cannot be opened or names no columns; bad rows are marked.
/// `wanted` says of a workbook's sheet whether its columns are those that are looked for; where none are, the first counts.
pub(crate) fn read_table(path: &Path, wanted: &dyn Fn(&[String]) -> bool) -> Result<TextTable, IngestError> {
    let content = read(path)?;
    if content.starts_with(b"PAR1") {
        return read_parquet(path, content);
    }
    if workbook::is_workbook(&content) {
        return read_workbook(path, content, wanted);
    }
    let text = text::decode(&content).map_err(|reason| wrong(path, reason))?;
    match text.iter().copied().find(|b| !b.is_ascii_whitespace()) {
        None => Err(wrong(path, "is empty; its first line must name the columns")),
        Some(b'[') => Err(wrong(path, "is a JSON array; write one object a line (JSON Lines) instead")),
        Some(b'{') => Ok(read_json_lines(path, &text)),
        Some(_) => {
            let (columns, rows) = delimited::read(&text).map_err(|reason| wrong(path, reason))?;
            Ok(TextTable { file: path.to_owned(), columns, rows, problems: Vec::new() })
        }
    }
}

/// The first sheet whose columns are wanted, its first row the header.
fn read_workbook(path: &Path, content: Bytes, wanted: &dyn Fn(&[String]) -> bool) -> Result<TextTable, IngestError> {
    // Foreign code over foreign bytes: a panic in it is a file that cannot be read, not our end.
    let sheets = catch_unwind(AssertUnwindSafe(|| workbook::sheets(content)))
        .unwrap_or_else(|_| Err("is a workbook that cannot be read; save it as CSV".into()))
        .map_err(|reason| wrong(path, reason))?;
    let columns_of = |sheet: &workbook::Sheet| -> Vec<String> {
        let named = sheet.rows[0].1.values().map(|cell| cell.as_deref().unwrap_or_default().trim());
        named.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let chosen = sheets.iter().find(|sheet| wanted(&columns_of(sheet))).or(sheets.first());
    let sheet = chosen
        .ok_or_else(|| wrong(path, "is a workbook without a filled cell; its first row must name the columns"))?;
    let columns = columns_of(sheet);
    if let Some((_, twice)) = columns.iter().enumerate().find(|(i, c)| columns[..*i].contains(c)) {
        return Err(wrong(path, format!("names the column {twice:?} twice in its sheet {:?}; rename one", sheet.name)));
    }
    let header = &sheet.rows[0].1;
    let last = header.keys().next_back().copied().unwrap_or_default();
    let mut rows = Vec::new();
    for (line, values) in &sheet.rows[1..] {
        let (mut cells, mut problem, mut names) = (BTreeMap::new(), None, Vec::new());
        for (place, value) in values {
            let column = header.get(place).and_then(|name| name.as_deref().ok()).unwrap_or_default().trim();
            match value {
                Ok(value) if !column.is_empty() => insert(&mut cells, column, value),
                Ok(value) if *place > last && !value.trim().is_empty() => {
                    problem = Some(format!("has a value in its column {}, which the header does not name", place + 1));
                    names.push(value.trim().to_owned());
                }
                Ok(_) => {}
                Err(reason) => problem = Some(format!("column {column:?} {reason}")),
            }
        }
        rows.push(TextRow { line: *line, cells, problem, names });
    }
    Ok(TextTable { file: path.to_owned(), columns, rows, problems: Vec::new() })
}

fn read(path: &Path) -> Result<Bytes, IngestError> {
    if let Some(url) = path.to_str().filter(|location| is_url(location)) {
        return Ok(store::objects::read(url)?);
    }
    let io = |source| IngestError::Io { path: path.to_owned(), source };
    // Asked first: opening a pipe that nobody writes would wait for ever.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(wrong(path, "is not a file; give a CSV, JSON Lines or Parquet file, or a workbook"));
    }
    Ok(std::fs::read(path).map_err(io)?.into())
}

fn wrong(path: &Path, reason: impl Into<String>) -> IngestError {
    IngestError::List { path: path.to_owned(), reason: reason.into() }
}

pub(crate) fn insert(cells: &mut BTreeMap<String, String>, column: &str, value: &str) {
    let value = value.trim();
    if !value.is_empty() {
        cells.insert(column.to_owned(), value.to_owned());
    }
}

fn read_json_lines(path: &Path, content: &[u8]) -> TextTable {
    let mut table = TextTable { file: path.to_owned(), columns: Vec::new(), rows: Vec::new(), problems: Vec::new() };
    for (line, text) in (1..).zip(content.split(|&b| b == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        let mut cells = BTreeMap::new();
        let row = match serde_json::from_slice::<Pairs>(text) {
            Ok(Pairs(pairs)) => {
                let twice = pairs.iter().enumerate().find(|(i, (key, _))| pairs[..*i].iter().any(|(k, _)| k == key));
                let problem = twice.map(|(_, (key, _))| format!("has the key {key:?} twice; keep one"));
                flatten(&mut table.columns, &mut cells, "", pairs);
                TextRow { line, cells, problem, names: Vec::new() }
            }
            Err(e) => {
                let problem = format!("is not a JSON object ({:?} error in column {})", e.classify(), e.column());
                // What stands within quotation marks may be the recording's name, and its customer may have denied.
                let names = latin(text).split('"').map(|name| name.replace("\\/", "/").trim().to_owned()).collect();
                TextRow { line, cells, problem: Some(problem), names }
            }
        };
        table.rows.push(row);
    }
    table
}

/// A JSON object's members as they come: of a key that is there twice, a map would keep one value and tell nobody.
struct Pairs(Vec<(String, serde_json::Value)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Nested objects become columns with dotted names, so that `{"crm": {"stage": ..}}` is `crm.stage`.
fn flatten(
    columns: &mut Vec<String>,
    cells: &mut BTreeMap<String, String>,
    prefix: &str,
    object: impl IntoIterator<Item = (String, serde_json::Value)>,
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
            table.rows.push(TextRow { line, cells: BTreeMap::new(), problem: None, names: Vec::new() });
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
        read_table(file.path(), &|_| true)
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
        assert_eq!(table.columns, ["recording", "crm.n", "crm.stage"]);
        assert_eq!(table.rows[0].cells["crm.n"], "3");
        assert!(table.rows[1].problem.as_ref().unwrap().contains("not a JSON object"));
        assert_eq!(table.rows[2].line, 4);
        assert!(table.rows[2].cells.is_empty());
    }

    #[test]
    fn nothing_and_arrays() {
        assert!(table(b" \n").unwrap_err().to_string().ends_with("must name the columns"));
        assert!(table(b"[{}]").unwrap_err().to_string().contains("JSON Lines"));
        assert!(table(b"PAR1oops").unwrap_err().to_string().contains("Parquet"));
        assert!(table(b"a,b,a\n").unwrap_err().to_string().contains("\"a\" twice"));
    }
}
