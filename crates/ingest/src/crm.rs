//! CRM rows, joined to their calls.

use crate::{
    IngestConfig, IngestError, Problem,
    call_list::CallList,
    discover::Draft,
    table::{TextRow, read_table},
};
use std::{collections::HashMap, path::Path};

/// Adds to each draft the columns of its CRM row.
pub(crate) fn join(
    drafts: &mut [Draft],
    list: &CallList,
    path: &Path,
    config: &IngestConfig,
    problems: &mut Vec<Problem>,
) -> Result<(), IngestError> {
    let table = read_table(path)?;
    problems.extend(table.problems.iter().cloned());
    let (key, key_in_calls) = keys(&table.columns, &list.columns, config)
        .map_err(|reason| IngestError::List { path: path.to_owned(), reason })?;
    let mut note = |file: &Path, line, message| problems.push(Problem { file: file.to_owned(), line, message });
    let mut rows: HashMap<&str, &TextRow> = HashMap::new();
    for row in &table.rows {
        if let Some(problem) = &row.problem {
            note(path, Some(row.line), problem.clone());
        } else if let Some(value) = row.cells.get(key) {
            let first = *rows.entry(value).or_insert(row);
            if first.line != row.line {
                note(path, Some(row.line), format!("{key} {value:?} is that of line {}; left out", first.line));
            }
        } else {
            note(path, Some(row.line), format!("has no {key}; left out"));
        }
    }
    for draft in drafts {
        let value = match draft.cells.get(key_in_calls) {
            None if key_in_calls == "call_id" => Some(&draft.recording.call_id),
            value => value,
        };
        let Some(value) = value else { continue };
        let Some(row) = rows.get(value.as_str()) else {
            if draft.line.is_some() {
                note(&list.file, draft.line, format!("no row of {} has the {key} {value:?}", path.display()));
            }
            continue;
        };
        for (column, cell) in row.cells.iter().filter(|(column, _)| *column != key) {
            let column = column.strip_prefix("crm.").unwrap_or(column);
            draft.recording.crm.entry(column.to_owned()).or_insert_with(|| Some(cell.clone()));
        }
    }
    Ok(())
}

/// The key column in the CRM file and in the call list.
fn keys<'a>(crm: &'a [String], calls: &'a [String], config: &'a IngestConfig) -> Result<(&'a str, &'a str), String> {
    let bare = |column: &'a str| column.strip_prefix("crm.").unwrap_or(column);
    let in_calls = |column: &str| column == "call_id" || calls.iter().any(|c| c == column);
    let (ours, theirs) = (crm.join(", "), if calls.is_empty() { "call_id".into() } else { calls.join(", ") });
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
