//! Recordings, joined with their rows of the call list and the CRM file.

use crate::{
    IngestConfig, IngestError, Problem,
    call_list::{CallList, ListRow},
    columns::{Cells, Meaning, Reading, zone},
    consent::{Verdict, verdict},
    crm::Crm,
    mapping::Mapping,
    matching::How,
    rows::{Denials, Matched, Missing, Rows, bring_together},
    sources::{Found, Sources},
};
use schema::Recording;
use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

/// `calls.match` of a recording that must not be opened though no row of its own denies.
pub const BARRED: &str = "barred";

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// A row a recording, in the order of `call_id`.
    pub recordings: Vec<Recording>,
    /// What is wrong with lists and sources, in the order of the files and their lines.
    pub problems: Vec<Problem>,
    /// Files of folders, globs and prefixes that are no recordings.
    pub passed_over: Vec<String>,
    /// Rows that deny consent, or cannot be trusted, and found no recording of their own, with what they barred.
    pub barred: Vec<Problem>,
    /// Calls whose rows deny and whose recordings are no part of this run: what a store has of them is to go.
    pub withdrawn: Vec<Recording>,
}

/// Finds recordings and joins them with their rows.
///
/// - `sources`: files, folders (walked recursively), prefixes of buckets (`s3://`, `az://`, `gs://`) and globs of either. They
///   say what is run. What a file of a folder holds decides whether it is a recording; a file that is named itself always is
///   one. Where no source is given, the recordings are those that the list names.
/// - `calls`: the call list (CSV, JSON Lines, Parquet or a workbook; a path or a URL). It says what is known of a recording.
///   What its column `recording` names is looked for in the list's folder, else in the sources, else by what its path
///   has in common with those of the sources ([`Recording::match`](schema::Recording) says how it was found). A row whose file
///   is nowhere in a folder that is a source, or that cannot be trusted, becomes a recording with a `problem`; one file has
///   one row, and of several the first counts (a denied consent in any of them counts too).
/// - `crm`: the CRM file, joined on [`IngestConfig::crm_key`]. Its columns join those that the list has under `crm`; where
///   both have one, the list's counts. [`IngestConfig::columns`] may take any other column from it too.
///
/// A row that denies, or cannot be trusted, bars every recording that it may mean, whichever other source gives it.
///
/// A `call_id` comes from the list, else it is the file's name without its ending; where that is taken, the path within
/// the source (`/` between folders), with the ending where needed. Of the recordings, those are opened, for their first
/// bytes, whose endings do not tell what they are and which no row denies or bars.
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
    let crm = crm.map(|path| Crm::read(path, &list, (config, &mapping), &mut problems)).transpose()?;
    mapping.check_crm(crm.as_ref().map(|crm| &crm.columns[..]), &list.columns)?;
    let columns = list.columns.iter().chain(crm.iter().flat_map(|crm| &crm.columns));
    let reading = Reading::of(config, columns.map(String::as_str));
    let joiner = Joiner { config, mapping, list: &list, crm, reading };
    let rows = bring_together(&mut sources, &list, &joiner)?;
    problems.append(&mut sources.problems);
    empty_sources(&sources, &rows, &mut problems)?;
    let Rows { files, missing, elsewhere, outside, passed_over, barred } = rows;
    let mut drafts: Vec<Draft> = files.into_iter().map(|file| Draft::of_file(file, &list, &mut problems)).collect();
    if outside > 0 {
        let message = format!("{outside} rows name recordings that are in none of the sources; those are not run");
        problems.push(Problem { file: list.file.clone(), line: None, message });
    }
    let mut gone: Vec<Draft> =
        elsewhere.into_iter().map(|(row, found)| Draft::without_file(row, found, None)).collect();
    // A recording that is not there has one row, too, however many name it.
    let mut absent: HashMap<String, usize> = HashMap::new();
    for Missing { row, found, problem, bars } in missing {
        problems.push(Problem { file: list.file.clone(), line: Some(row.line), message: problem.clone() });
        let draft = Draft::without_file(row, found, Some(at(&list, row, row.problem.as_ref().unwrap_or(&problem))));
        if sources.are_wide() && !row.recording.is_empty() {
            if let Some(&first) = absent.get(&draft.found.uri) {
                let message = format!("names the recording of line {} again", drafts[first].rows[0].line);
                problems.push(Problem { file: list.file.clone(), line: Some(row.line), message });
                drafts[first].rows.push(row);
            } else {
                absent.insert(draft.found.uri.clone(), drafts.len());
                drafts.push(draft);
            }
        } else if bars {
            gone.push(draft);
        }
    }
    name_calls(&mut drafts, &list, &mut problems);
    let mut recordings: Vec<Recording> = drafts.into_iter().map(|draft| joiner.finish(draft, &mut problems)).collect();
    recordings.sort_by(|a, b| a.call_id.cmp(&b.call_id));
    let present: HashSet<&str> = recordings.iter().map(|r| r.call_id.as_str()).collect();
    gone.retain(|draft| !draft.call_id.is_empty() && !present.contains(draft.call_id.as_str()));
    let withdrawn = gone.into_iter().map(|draft| joiner.finish(draft, &mut Vec::new())).collect();
    problems.extend(list.problems);
    problems.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
    problems.dedup();
    Ok(Discovery { recordings, problems, passed_over, barred, withdrawn })
}

/// Names the sources that hold no recording; fails where none does.
fn empty_sources(sources: &Sources, rows: &Rows, problems: &mut Vec<Problem>) -> Result<(), IngestError> {
    let mut counts = vec![0; sources.origins.len()];
    rows.files.iter().flat_map(|file| &file.found.origins).for_each(|&origin| counts[origin] += 1);
    if !counts.is_empty() && rows.files.is_empty() {
        let sources = sources.origins.iter().map(|origin| origin.text.clone()).collect();
        return Err(IngestError::NoRecording { sources, passed_over: rows.passed_over.len() });
    }
    for (origin, _) in sources.origins.iter().zip(counts).filter(|(_, count)| *count == 0) {
        let message = "found no recording in it".to_owned();
        problems.push(Problem { file: origin.text.clone().into(), line: None, message });
    }
    Ok(())
}

/// A recording on its way to a row.
struct Draft<'a> {
    found: Found,
    /// Rows of the call list; the first counts.
    rows: Vec<&'a ListRow>,
    how: Option<How>,
    call_id: String,
    /// Why it cannot be read, with its place in the list.
    problem: Option<String>,
    /// Why it must not be opened, though no row of its own denies.
    barred: Option<String>,
}

impl<'a> Draft<'a> {
    fn of_file(file: Matched<'a>, list: &CallList, problems: &mut Vec<Problem>) -> Self {
        let Matched { found, rows, how, barred } = file;
        let mut problem =
            rows.first().and_then(|row| row.problem.as_ref().or(found.problem.as_ref()).map(|p| at(list, row, p)));
        if rows.is_empty() {
            problem.clone_from(&found.problem);
        }
        for row in rows.iter().skip(1) {
            let mut message = format!("names the recording of line {} again", rows[0].line);
            // Harmless where the two agree, else nobody knows which is right.
            if !row.cells.iter().filter(is_said).eq(rows[0].cells.iter().filter(is_said)) {
                message += " and differs; keep one of the two";
                problem.get_or_insert_with(|| at(list, row, &message));
            }
            problems.push(Problem { file: list.file.clone(), line: Some(row.line), message });
        }
        let call_id = rows.first().and_then(|row| row.call_id.clone()).unwrap_or_default();
        Self { found, rows, how, call_id, problem, barred }
    }

    fn without_file(row: &'a ListRow, found: Found, problem: Option<String>) -> Self {
        let call_id = row.call_id.clone().unwrap_or_default();
        Self { found, rows: vec![row], how: None, call_id, problem, barred: None }
    }
}

/// What a row says, but for how it spells its recording.
fn is_said(cell: &(&String, &String)) -> bool {
    cell.0 != "recording"
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
    reading: Reading<'a>,
}

impl Denials for Joiner<'_> {
    fn row(&self, row: &ListRow) -> bool {
        let call_id = row.call_id.clone().unwrap_or_else(|| name_of(&row.recording).to_owned());
        row.problem.is_some() || self.read(Some(row), &call_id, &mut Vec::new()).bars()
    }

    fn unlisted(&self, name: &str) -> bool {
        self.crm.is_some() && self.read(None, name, &mut Vec::new()).bars()
    }
}

/// The name that a recording has as a call where its row gives none.
fn name_of(recording: &str) -> &str {
    let base = recording.rsplit(['/', '\\']).next().unwrap_or(recording);
    base.rfind('.').filter(|&dot| dot > 0).map_or(base, |dot| &base[..dot])
}

impl Joiner<'_> {
    fn finish(&self, draft: Draft, problems: &mut Vec<Problem>) -> Recording {
        let Draft { found, rows, how, call_id, mut problem, mut barred } = draft;
        let mut meaning = self.read(rows.first().copied(), &call_id, problems);
        if let Some(wrong) = meaning.problem.take() {
            problem.get_or_insert_with(|| rows.first().map_or(wrong.clone(), |row| at(self.list, row, &wrong)));
        }
        for row in rows.iter().skip(1) {
            meaning.deny_as(&self.read(Some(row), &call_id, problems));
        }
        let place = |what: &str| rows.first().map_or(what.to_owned(), |row| at(self.list, row, what));
        if let Some(doubt) = meaning.doubt.take() {
            barred.get_or_insert_with(|| place(&doubt));
        }
        let mut r#match = how.map(|how| how.text().to_owned());
        if barred.is_some() {
            (r#match, problem) = (Some(BARRED.to_owned()), barred);
        } else if problem.is_none()
            && how.is_some_and(|how| how != How::Exact)
            && matches!(verdict(self.config.consent, &meaning.participants), Verdict::Refused(_))
        {
            // Whoever reads why a call was refused sees which row of the list was taken for its own.
            problem = rows.first().map(|row| at(self.list, row, &format!("the row names {:?}", row.said())));
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
            r#match,
        }
    }

    /// What a row of the list means, with its CRM row; what is wrong with it is noted.
    fn read(&self, row: Option<&ListRow>, call_id: &str, problems: &mut Vec<Problem>) -> Meaning {
        let none = Cells::new();
        let (mut crm_rows, mut key) = (vec![&none], "");
        let mut note = |row: &ListRow, message: String| {
            problems.push(Problem { file: self.list.file.clone(), line: Some(row.line), message });
        };
        if let Some(crm) = &self.crm {
            key = crm.key();
            let value = match row.and_then(|row| row.value(&crm.key_in_calls)) {
                None if crm.key_in_calls == "call_id" => Some(call_id),
                value => value.map(String::as_str),
            };
            let found = value.map_or_else(Vec::new, |value| crm.rows(value));
            match (row, value) {
                (Some(row), Some(value)) if found.is_empty() => note(row, crm.missing(value)),
                _ => {}
            }
            crm_rows = if found.is_empty() { crm_rows } else { found };
        }
        let own = row.map_or(&none, |row| &row.cells);
        let mut meanings = crm_rows.iter().map(|crm| Meaning::of(&self.mapping.join(own, crm, key), &self.reading));
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
