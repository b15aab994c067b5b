//! CRM rows, by their key.

use crate::{
    IngestConfig, IngestError, Problem,
    call_list::CallList,
    columns::{Cells, bare},
    table::read_table,
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// A CRM file that was read.
pub(crate) struct Crm {
    pub file: PathBuf,
    pub columns: Vec<String>,
    key: String,
    /// The name of the call list's column that holds the key.
    pub key_in_calls: String,
    /// Rows by key, their columns without `crm.`; of several with one key the first counts.
    rows: HashMap<String, Vec<Cells>>,
}

impl Crm {
    /// Reads the file and finds the key that it shares with the call list.
    pub fn read(
        path: &Path,
        list: &CallList,
        config: &IngestConfig,
        problems: &mut Vec<Problem>,
    ) -> Result<Self, IngestError> {
        let table = read_table(path)?;
        problems.extend(table.problems.iter().cloned());
        let (key, key_in_calls) =
            keys(&table.columns, list, config).map_err(|reason| IngestError::List { path: path.to_owned(), reason })?;
        let mut note = |line, message| problems.push(Problem { file: path.to_owned(), line: Some(line), message });
        let mut lines: HashMap<String, u64> = HashMap::new();
        let mut rows: HashMap<String, Vec<Cells>> = HashMap::new();
        for row in table.rows {
            if let Some(problem) = row.problem {
                note(row.line, problem);
                continue;
            }
            let Some(value) = row.cells.get(key).cloned() else {
                note(row.line, format!("has no {key}; left out"));
                continue;
            };
            match lines.get(&value) {
                Some(first) => note(row.line, format!("{key} {value:?} is that of line {first}; left out")),
                None => drop(lines.insert(value.clone(), row.line)),
            }
            let cells = row.cells.into_iter().map(|(column, cell)| (bare(&column).to_owned(), cell)).collect();
            rows.entry(value).or_default().push(cells);
        }
        let (key, key_in_calls) = (key.to_owned(), key_in_calls.to_owned());
        Ok(Self { file: path.to_owned(), columns: table.columns, key, key_in_calls, rows })
    }

    /// The rows with this key. All but the first are left out, but for a denied consent.
    pub fn rows(&self, value: &str) -> &[Cells] {
        self.rows.get(value).map_or(&[], Vec::as_slice)
    }

    /// The column that is the key, `crm.` taken off.
    pub fn key(&self) -> &str {
        bare(&self.key)
    }

    /// What is wrong where no row has the key.
    pub fn missing(&self, value: &str) -> String {
        format!("no row of {} has the {} {value:?}", self.file.display(), self.key)
    }
}

/// The key column in the CRM file and in the call list.
fn keys<'a>(crm: &'a [String], list: &CallList, config: &'a IngestConfig) -> Result<(&'a str, &'a str), String> {
    let in_calls = |column: &str| column == "call_id" || list.has(column);
    let ours = crm.join(", ");
    let theirs = if list.columns.is_empty() { "call_id".into() } else { list.columns.join(", ") };
    let key = match &config.crm_key {
        Some(key) => crm
            .iter()
            .find(|c| *c == key)
            .ok_or_else(|| format!("has no column {key}, which [ingest] crm_key names; its columns are {ours}"))?,
        None if config.crm_key_in_calls.is_some() => {
            return Err("[ingest] crm_key_in_calls is set, and crm_key is not; set both".into());
        }
        None => crm.iter().find(|c| in_calls(bare(c))).ok_or_else(|| {
            format!(
                "shares no column with the call list, so its rows cannot be joined; set [ingest] crm_key and \
                 crm_key_in_calls (its columns: {ours}; the list's: {theirs})"
            )
        })?,
    };
    let key_in_calls = bare(config.crm_key_in_calls.as_deref().unwrap_or(key));
    if !in_calls(key_in_calls) {
        return Err(format!(
            "is joined on {key_in_calls}, which the call list does not have; set [ingest] crm_key_in_calls to one of {theirs}"
        ));
    }
    Ok((key, key_in_calls))
}
