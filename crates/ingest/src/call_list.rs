//! The call list: a row a call, from a file of text cells.

use crate::{
    IngestError, Problem,
    columns::{Cells, Mapping, bare},
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
    pub recording: String,
    pub call_id: Option<String>,
    /// Under our names.
    pub cells: Cells,
    /// As the file names them.
    pub raw: Cells,
    /// Why the row cannot be trusted. Its recording must not be read: what the row says of consent is not known.
    pub problem: Option<String>,
}

impl ListRow {
    /// The value of a column, by our name or the list's, with `crm.` or without.
    pub fn value(&self, column: &str) -> Option<&String> {
        let marked = format!("crm.{column}");
        [&self.cells, &self.raw].into_iter().find_map(|cells| cells.get(&marked).or_else(|| cells.get(column)))
    }
}

impl CallList {
    /// Reads the file. Fails where it is no list at all; what is wrong with single rows is a problem.
    pub fn read(path: &Path, mapping: &Mapping) -> Result<Self, IngestError> {
        let table = read_table(path)?;
        if !table.columns.is_empty() {
            mapping.check_list(&table.columns)?;
            let named = table.columns.iter().any(|c| c == "recording");
            if !named && !mapping.list.iter().any(|(ours, _)| *ours == "recording") {
                let found = table.columns.join(", ");
                let reason = format!(
                    "has no column recording (path or URL of the recording); its columns are {found}; rename one, or set \
                     [ingest] columns"
                );
                return Err(IngestError::List { path: path.to_owned(), reason });
            }
        }
        let mut list = Self { file: table.file, columns: table.columns, rows: Vec::new(), problems: table.problems };
        for TextRow { line, cells: raw, problem } in table.rows {
            let cells = mapping.of_list(&raw);
            let (recording, call_id) = (cells.get("recording").cloned(), cells.get("call_id").cloned());
            let mut note = |message| list.problems.push(Problem { file: list.file.clone(), line: Some(line), message });
            match recording {
                Some(recording) => {
                    problem.clone().into_iter().for_each(note);
                    list.rows.push(ListRow { line, recording, call_id, cells, raw, problem });
                }
                None => note(problem.unwrap_or_else(|| "names no recording".into())),
            }
        }
        Ok(list)
    }

    /// Whether some row may have a value for the column, by whichever name.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|c| bare(c) == column) || self.rows.iter().any(|row| row.value(column).is_some())
    }
}
