//! CRM rows, by their key.

use crate::{
    IngestConfig, IngestError, Problem,
    call_list::CallList,
    columns::{Cells, bare, find, key_of},
    doubt::lookalike,
    mapping::{Mapping, stranger},
    names::fold_case,
    table::read_table,
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};
use unicode_normalization::UnicodeNormalization;

/// A CRM file that was read.
pub(crate) struct Crm {
    pub file: PathBuf,
    pub columns: Vec<String>,
    key: String,
    /// The name of the call list's column that holds the key.
    pub key_in_calls: String,
    /// Rows by key, their columns without `crm.`; of several with one key the first counts.
    rows: HashMap<String, Vec<Cells>>,
    /// Keys by what they are without case and blanks.
    alike: HashMap<String, Vec<String>>,
    none: Cells,
}

impl Crm {
    /// Reads the file and finds the key that it shares with the call list.
    pub fn read(
        path: &Path,
        list: &CallList,
        (config, mapping): (&IngestConfig, &Mapping),
        problems: &mut Vec<Problem>,
    ) -> Result<Self, IngestError> {
        let table = read_table(path, &|_| true)?;
        problems.extend(table.problems.iter().cloned());
        let (key, key_in_calls) =
            keys(&table.columns, list, config).map_err(|reason| IngestError::List { path: path.to_owned(), reason })?;
        for column in &table.columns {
            let known = column == key || mapping.crm.iter().any(|(_, theirs)| key_of(theirs) == key_of(bare(column)));
            if let Some(found) = lookalike(bare(column)).filter(|found| found.consent && !known) {
                let message = stranger(&format!("crm.{}", bare(column)), found.nearest);
                problems.push(Problem { file: path.to_owned(), line: None, message });
            }
        }
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
            let cells =
                row.cells.into_iter().map(|(column, cell)| (mapping.crm_name(&column).to_owned(), cell)).collect();
            rows.entry(value).or_default().push(cells);
        }
        let mut alike: HashMap<String, Vec<String>> = HashMap::new();
        for value in rows.keys() {
            alike.entry(plain(value)).or_default().push(value.clone());
        }
        for values in alike.values_mut() {
            values.sort();
        }
        let (key, none) = (mapping.crm_name(key).to_owned(), Cells::new());
        Ok(Self { file: path.to_owned(), columns: table.columns, key, key_in_calls, rows, alike, none })
    }

    /// The rows with this key, else with one that differs in case and blanks alone. All but the first are left out, but for a
    /// denied consent; where several keys differ so, all but an empty row are.
    pub fn rows(&self, value: &str) -> Vec<&Cells> {
        if let Some(rows) = self.rows.get(value) {
            return rows.iter().collect();
        }
        let alike = self.alike.get(&plain(value)).map_or(&[][..], Vec::as_slice);
        let rows = alike.iter().flat_map(|value| &self.rows[value]);
        if alike.len() > 1 { std::iter::once(&self.none).chain(rows).collect() } else { rows.collect() }
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

/// A key without case and blanks.
fn plain(value: &str) -> String {
    let text: String = value.nfkc().collect();
    fold_case(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The key column in the CRM file and in the call list.
fn keys<'a>(crm: &'a [String], list: &CallList, config: &IngestConfig) -> Result<(&'a str, String), String> {
    let ours = crm.join(", ");
    let theirs = if list.columns.is_empty() { "call_id".into() } else { list.columns.join(", ") };
    let key = match &config.crm_key {
        Some(key) => find(crm.iter().map(String::as_str), key)
            .ok_or_else(|| format!("has no column {key}, which [ingest] crm_key names; its columns are {ours}"))?,
        None if config.crm_key_in_calls.is_some() => {
            return Err("[ingest] crm_key_in_calls is set, and crm_key is not; set both".into());
        }
        None => crm
            .iter()
            .find(|c| bare(c) == "call_id" || list.has(bare(c)))
            .or_else(|| crm.iter().find(|c| list.column(bare(c)).is_some()))
            .ok_or_else(|| {
                format!(
                    "shares no column with the call list, so its rows cannot be joined; set [ingest] crm_key and \
                     crm_key_in_calls (its columns: {ours}; the list's: {theirs})"
                )
            })?,
    };
    let wanted = bare(config.crm_key_in_calls.as_deref().unwrap_or(key));
    match list.column(wanted) {
        Some(key_in_calls) => Ok((key, key_in_calls)),
        None => Err(format!(
            "is joined on {wanted}, which the call list does not have; set [ingest] crm_key_in_calls to one of {theirs}"
        )),
    }
}
