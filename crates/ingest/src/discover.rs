//! Recordings, joined with their rows of the call list and the CRM file.

use crate::{
    IngestConfig, IngestError, Problem,
    call_list::{CallList, ListRow},
    columns::{Cells, Mapping, Meaning, zone},
    crm::Crm,
    sources::{Found, Sources},
};
use schema::Recording;
use std::{collections::HashMap, path::Path};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// A row a recording, in the order of `call_id`.
    pub recordings: Vec<Recording>,
    /// What was passed over, in the order of the files and their lines.
    pub problems: Vec<Problem>,
}

/// Finds recordings and joins them with their rows.
///
/// - `sources`: files, folders (walked recursively), prefixes of buckets (`s3://`, `az://`, `gs://`) and globs of either. Of
///   a folder's files, those with an ending of [`IngestConfig::extensions`] are recordings; a file that is named itself
///   always is.
/// - `calls`: the call list (CSV, JSON Lines or Parquet; a path or a URL). What its column `recording` names is looked for
///   in the list's folder, else in the sources. A row whose file is not there, or that cannot be trusted, becomes a
///   recording with a `problem`; one file has one row, and of several the first counts (a denied consent in any of them
///   counts too).
/// - `crm`: the CRM file, joined on [`IngestConfig::crm_key`]. Its columns join those that the list has under `crm`; where
///   both have one, the list's counts. [`IngestConfig::columns`] may take any other column from it too.
///
/// A `call_id` comes from the list, else it is the file's name without its ending; where that is taken, the path within
/// the source (`/` between folders), with the ending where needed. No file is opened but the list and the CRM file.
pub fn discover(
    sources: &[String],
    calls: Option<&Path>,
    crm: Option<&Path>,
    config: &IngestConfig,
) -> Result<Discovery, IngestError> {
    if let Some(name) = &config.time_zone {
        zone(name).map_err(|reason| IngestError::Config { key: "time_zone".into(), reason })?;
    }
    let mapping = Mapping::new(config)?;
    let lists: Vec<&Path> = [calls, crm].into_iter().flatten().collect();
    let mut sources = Sources::find(sources, &lists, config)?;
    let list = calls.map(|path| CallList::read(path, &mapping)).transpose()?.unwrap_or_default();
    let mut problems = std::mem::take(&mut sources.problems);
    let crm = crm.map(|path| Crm::read(path, &list, config, &mut problems)).transpose()?;
    mapping.check_crm(crm.as_ref().map(|crm| &crm.columns[..]), &list.columns)?;
    let mut drafts = match_rows(&mut sources, &list, &mut problems)?;
    name_calls(&mut drafts, &list, &mut problems);
    let joiner = Joiner { config, mapping, list: &list, crm };
    let mut recordings: Vec<Recording> = drafts.into_iter().map(|draft| joiner.finish(draft, &mut problems)).collect();
    recordings.sort_by(|a, b| a.call_id.cmp(&b.call_id));
    problems.extend(list.problems);
    problems.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
    Ok(Discovery { recordings, problems })
}

/// A recording on its way to a row.
struct Draft<'a> {
    found: Found,
    /// Rows of the call list; the first counts.
    rows: Vec<&'a ListRow>,
    call_id: String,
    /// Why it cannot be read, with its place in the list.
    problem: Option<String>,
}

/// A draft for every recording that the list names, and for every one that was found and it does not name.
fn match_rows<'a>(
    sources: &mut Sources,
    list: &'a CallList,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Draft<'a>>, IngestError> {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let names: Vec<&str> = list.rows.iter().map(|row| row.recording.as_str()).collect();
    for (row, (identity, place)) in list.rows.iter().zip(sources.look(&names, &list.file)?) {
        let mut note = |message| problems.push(Problem { file: list.file.clone(), line: Some(row.line), message });
        if let Some(&first) = seen.get(&identity) {
            let draft = &mut drafts[first];
            let mut message = format!("names the recording of line {} again", draft.rows[0].line);
            // Harmless where the two agree, else nobody knows which is right.
            if row.cells != draft.rows[0].cells {
                message += " and differs; keep one of the two";
                draft.problem.get_or_insert_with(|| at(list, row, &message));
            }
            note(message);
            draft.rows.push(row);
            continue;
        }
        seen.insert(identity.clone(), drafts.len());
        let found = sources.take(&identity).unwrap_or(place);
        let mut problem = row.problem.clone();
        if let Some(missing) = found.problem.clone() {
            note(missing.clone());
            problem.get_or_insert(missing);
        }
        let problem = problem.map(|p| at(list, row, &p));
        drafts.push(Draft { found, rows: vec![row], call_id: row.call_id.clone().unwrap_or_default(), problem });
    }
    drafts.extend(sources.rest().into_iter().map(|found| {
        let problem = found.problem.clone();
        Draft { found, rows: Vec::new(), call_id: String::new(), problem }
    }));
    Ok(drafts)
}

/// The message with its place in the list.
fn at(list: &CallList, row: &ListRow, message: &str) -> String {
    format!("{}:{}: {message}", list.file.display(), row.line)
}

/// Joins what is known of a recording.
struct Joiner<'a> {
    config: &'a IngestConfig,
    mapping: Mapping<'a>,
    list: &'a CallList,
    crm: Option<Crm>,
}

impl Joiner<'_> {
    fn finish(&self, draft: Draft, problems: &mut Vec<Problem>) -> Recording {
        let Draft { found, rows, call_id, mut problem } = draft;
        let mut meaning = self.read(rows.first().copied(), &call_id, problems);
        if let Some(wrong) = meaning.problem.take() {
            problem.get_or_insert_with(|| rows.first().map_or(wrong.clone(), |row| at(self.list, row, &wrong)));
        }
        for row in rows.iter().skip(1) {
            meaning.deny_as(&self.read(Some(row), &call_id, problems));
        }
        Recording {
            call_id,
            started_on: meaning.started_on,
            source_uri: found.uri,
            source_version: found.version.as_ref().map(|v| v.version.clone()),
            started_at: meaning.started_at,
            direction: meaning.direction,
            language: meaning.language.or_else(|| self.config.language.clone()),
            participants: meaning.participants,
            crm: meaning.crm,
            problem,
            byte_size: found.version.map(|v| v.byte_size),
            content_sha256: None,
            duplicate_of: None,
            track: meaning.track,
            r#match: None,
        }
    }

    /// What a row of the list means, with its CRM row; what is wrong with it is noted.
    fn read(&self, row: Option<&ListRow>, call_id: &str, problems: &mut Vec<Problem>) -> Meaning {
        let none = [Cells::new()];
        let (mut crm_rows, mut key) = (&none[..], "");
        let mut note = |row: &ListRow, message: String| {
            problems.push(Problem { file: self.list.file.clone(), line: Some(row.line), message });
        };
        if let Some(crm) = &self.crm {
            key = crm.key();
            let value = match row.and_then(|row| row.value(&crm.key_in_calls)) {
                None if crm.key_in_calls == "call_id" => Some(call_id),
                value => value.map(String::as_str),
            };
            let found = value.map_or(&[][..], |value| crm.rows(value));
            match (row, value) {
                (Some(row), Some(value)) if found.is_empty() => note(row, crm.missing(value)),
                _ => {}
            }
            crm_rows = if found.is_empty() { crm_rows } else { found };
        }
        let own = row.map_or(&none[0], |row| &row.cells);
        let mut meanings =
            crm_rows.iter().map(|crm| Meaning::of(&self.mapping.join(own, crm, key), self.config.time_zone.as_deref()));
        let mut meaning = meanings.next().unwrap_or_default();
        meanings.for_each(|other| meaning.deny_as(&other));
        if let Some(row) = row {
            // Of a row that cannot be trusted, one thing that is wrong is enough.
            let wrong = meaning.problem.iter().filter(|_| row.problem.is_none());
            wrong.chain(&meaning.notes).for_each(|message| note(row, message.clone()));
        }
        meaning
    }
}

/// Gives every recording a `call_id` of its own.
fn name_calls(drafts: &mut [Draft], list: &CallList, problems: &mut Vec<Problem>) {
    let mut taken: HashMap<String, u64> = HashMap::new();
    for draft in drafts.iter_mut().filter(|d| !d.call_id.is_empty()) {
        let line = draft.rows.first().map_or(0, |row| row.line);
        if let Some(first) = taken.get(&draft.call_id) {
            let message = format!("call_id {:?} is that of line {first}; give each call its own", draft.call_id);
            draft.call_id.clear();
            draft.problem.get_or_insert_with(|| format!("{}:{line}: {message}", list.file.display()));
            problems.push(Problem { file: list.file.clone(), line: Some(line), message });
        } else {
            taken.insert(draft.call_id.clone(), line);
        }
    }
    let mut unnamed: Vec<(&mut Draft, Vec<String>)> = drafts
        .iter_mut()
        .filter(|d| d.call_id.is_empty())
        .map(|draft| {
            let names = draft.found.names();
            (draft, names)
        })
        .collect();
    // Those that want one name all take their next, until no two want the same.
    let mut level = vec![0; unnamed.len()];
    loop {
        let mut wanted: HashMap<&str, usize> = HashMap::new();
        for ((_, names), &level) in unnamed.iter().zip(&level) {
            *wanted.entry(&names[level]).or_default() += 1;
        }
        let clash = |name: &str| wanted[name] > 1 || taken.contains_key(name) || name.is_empty();
        let next: Vec<usize> = unnamed
            .iter()
            .zip(&level)
            .map(|((_, names), &level)| level + usize::from(level + 1 < names.len() && clash(&names[level])))
            .collect();
        if next == level {
            break;
        }
        level = next;
    }
    for ((draft, names), level) in unnamed.iter_mut().zip(level) {
        draft.call_id.clone_from(&names[level]);
    }
}
