//! The call list: a row a call, from a file of text cells.

use crate::{
    IngestError, Problem,
    columns::{Cells, bare, find, key_of},
    mapping::Mapping,
    table::{TextRow, read_table},
};
use std::path::{Path, PathBuf};

/// A call list that was read.
#[derive(Debug, Default)]
pub(crate) struct CallList {
    pub file: PathBuf,
    /// Names of the columns, as the file spells them.
    pub columns: Vec<String>,
    pub rows: Vec<ListRow>,
    pub problems: Vec<Problem>,
}

/// A row of the call list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListRow {
    pub line: u64,
    /// Path or URL; empty where the row has none.
    pub recording: String,
    pub call_id: Option<String>,
    /// Under our names.
    pub cells: Cells,
    /// As the file names them.
    pub raw: Cells,
    /// Why the row cannot be trusted. Its recording must not be read: what the row says of consent is not known.
    pub problem: Option<String>,
    /// Of such a row: what else in it may name its recording.
    pub names: Vec<String>,
}

impl ListRow {
    /// The value of a column, by our name or the list's, with `crm.` or without.
    pub fn value(&self, column: &str) -> Option<&String> {
        let marked = format!("crm.{column}");
        [&self.cells, &self.raw].into_iter().find_map(|cells| cells.get(&marked).or_else(|| cells.get(column)))
    }

    /// What the row calls its recording, for messages.
    pub fn said(&self) -> &str {
        match (self.recording.as_str(), &self.call_id) {
            ("", Some(call_id)) => call_id,
            (recording, _) => recording,
        }
    }
}

impl CallList {
    /// Reads the file. Fails where it is no list at all; what is wrong with single rows is a problem.
    pub fn read(path: &Path, mapping: &Mapping) -> Result<Self, IngestError> {
        let names_recordings = |columns: &[String]| mapping.plan(columns).is_ok_and(|p| p.has(columns, "recording"));
        let table = read_table(path, &names_recordings)?;
        let plan =
            if table.columns.is_empty() { Mapping::default().plan(&[])? } else { mapping.plan(&table.columns)? };
        if !table.columns.is_empty() && !plan.has(&table.columns, "recording") {
            let found = table.columns.join(", ");
            let reason = format!(
                "has no column recording (path or URL of the recording); its columns are {found}; rename one, or set \
                 [ingest] columns"
            );
            return Err(IngestError::List { path: path.to_owned(), reason });
        }
        let mut list = Self { file: table.file, columns: table.columns, rows: Vec::new(), problems: table.problems };
        let strangers = plan.strangers(&list.columns);
        list.problems.extend(strangers.map(|message| Problem { file: path.to_owned(), line: None, message }));
        for TextRow { line, cells: raw, problem, names } in table.rows {
            let (cells, twice) = plan.apply(&raw);
            let problem = problem.or(twice);
            if raw.is_empty() && problem.is_none() {
                continue;
            }
            let (recording, call_id) = (cells.get("recording").cloned(), cells.get("call_id").cloned());
            let mut note = |message| list.problems.push(Problem { file: list.file.clone(), line: Some(line), message });
            problem.clone().into_iter().for_each(&mut note);
            if recording.is_none() && problem.is_none() {
                note(match &call_id {
                    Some(_) => "names no recording; looked for by its call_id".into(),
                    None => "names no recording".into(),
                });
            }
            let recording = recording.unwrap_or_default();
            list.rows.push(ListRow { line, recording, call_id, cells, raw, problem, names });
        }
        Ok(list)
    }

    /// Whether some row may have a value for the column, by whichever name.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|c| bare(c) == column) || self.rows.iter().any(|row| row.value(column).is_some())
    }

    /// The name that [`ListRow::value`] knows for a column that is spelled so, or so but for case, blanks and underscores.
    pub fn column(&self, name: &str) -> Option<String> {
        if key_of(name) == key_of("call_id") {
            return Some("call_id".into());
        }
        if self.has(name) {
            return Some(name.to_owned());
        }
        find(self.columns.iter().map(|c| bare(c)), name).map(str::to_owned)
    }
}
