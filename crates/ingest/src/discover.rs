//! Recordings on disk, joined with their rows of the call list and the CRM file.

use crate::{
    IngestConfig, IngestError, Problem,
    call_list::{CallList, ListRow},
    crm::join,
};
use schema::Recording;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf, absolute},
    time::UNIX_EPOCH,
};

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
/// - `sources`: files, folders (walked recursively) and globs. Of a folder's files, those with an ending of
///   [`IngestConfig::extensions`] are recordings; a file that is named itself always is.
/// - `calls`: the call list (CSV, JSON Lines or Parquet). The path in its column `recording` is taken from the list's
///   folder, else from a source folder. A row whose file is not there, or that cannot be trusted, becomes a recording
///   with a `problem`; one file has one row, and of several the first counts (a denied consent in any of them counts too).
/// - `crm`: the CRM file, joined on [`IngestConfig::crm_key`]. Its columns join those that the list has under `crm`; where
///   both have one, the list's counts.
///
/// A `call_id` comes from the list, else it is the file's name without its ending; where that is taken, the path within
/// the source (`/` between folders), with the ending where needed. No file is opened but the list and the CRM file.
pub fn discover(
    sources: &[String],
    calls: Option<&Path>,
    crm: Option<&Path>,
    config: &IngestConfig,
) -> Result<Discovery, IngestError> {
    let lists = [calls, crm].into_iter().flatten().filter_map(|p| p.canonicalize().ok()).collect();
    let mut finder = Finder { config, found: BTreeMap::new(), folders: Vec::new(), lists, problems: Vec::new() };
    for source in sources {
        finder.source(source)?;
    }
    let list = calls.map(CallList::read).transpose()?.unwrap_or_default();
    let mut drafts = finder.match_rows(&list);
    let Finder { mut problems, .. } = finder;
    name_calls(&mut drafts, &list, &mut problems);
    if let Some(crm) = crm {
        join(&mut drafts, &list, crm, config, &mut problems)?;
    }
    problems.extend(list.problems);
    problems.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
    let mut recordings: Vec<Recording> = drafts.into_iter().map(|d| d.recording).collect();
    recordings.sort_by(|a, b| a.call_id.cmp(&b.call_id));
    Ok(Discovery { recordings, problems })
}

/// A recording on its way to a row.
#[derive(Debug)]
pub(crate) struct Draft {
    pub recording: Recording,
    /// Line of the call list.
    pub line: Option<u64>,
    /// Cells of that line.
    pub cells: BTreeMap<String, String>,
    /// What it can be called, best first; the last is unique.
    names: Vec<String>,
}

/// A file that a source names.
struct Found {
    /// Absolute, links kept.
    path: PathBuf,
    /// Within its source.
    relative: PathBuf,
}

struct Finder<'a> {
    config: &'a IngestConfig,
    /// By canonical path, so that a file has one row however many sources name it.
    found: BTreeMap<PathBuf, Found>,
    folders: Vec<PathBuf>,
    /// The list and the CRM file, which are no recordings even where a glob matches them.
    lists: Vec<PathBuf>,
    problems: Vec<Problem>,
}

impl Finder<'_> {
    fn source(&mut self, source: &str) -> Result<(), IngestError> {
        let local = source.strip_prefix("file://").unwrap_or(source);
        if local.contains("://") {
            return Err(IngestError::Scheme { url: source.to_owned() });
        }
        let path = Path::new(local);
        if path.is_dir() {
            self.walk(path)
        } else if fs::symlink_metadata(path).is_ok() {
            let name = path.file_name().unwrap_or(path.as_os_str());
            self.add(path, PathBuf::from(name))
        } else {
            self.glob(local)
        }
    }

    /// A pattern that spells out the ending (`*.raw`) takes every file; another takes those with a known ending.
    fn glob(&mut self, pattern: &str) -> Result<(), IngestError> {
        let paths = glob::glob(pattern).map_err(|source| IngestError::Glob { pattern: pattern.to_owned(), source })?;
        let spelled = Path::new(pattern).extension().and_then(|e| e.to_str());
        let spelled = spelled.is_some_and(|e| !e.contains(['*', '?', '[']));
        let mut any = false;
        for path in paths {
            match path {
                Ok(path) if path.is_dir() => {
                    any = true;
                    self.walk(&path)?;
                }
                Ok(path) if spelled || self.is_audio(&path) => {
                    any = true;
                    let name = PathBuf::from(path.file_name().unwrap_or_default());
                    self.add(&path, name)?;
                }
                Ok(_) => {}
                Err(e) => self.pass_over(e.path().to_owned(), e.error()),
            }
        }
        if any { Ok(()) } else { Err(IngestError::NoSuchSource { pattern: pattern.to_owned() }) }
    }

    /// All recordings below a folder. Hidden files and folders are passed over; links are followed, loops are not.
    fn walk(&mut self, root: &Path) -> Result<(), IngestError> {
        self.folders.push(root.to_owned());
        let (mut folders, mut seen) = (vec![root.to_owned()], BTreeSet::new());
        while let Some(folder) = folders.pop() {
            if folder.canonicalize().is_ok_and(|canonical| !seen.insert(canonical)) {
                continue;
            }
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) => {
                    self.pass_over(folder, &e);
                    continue;
                }
            };
            for entry in entries {
                let path = match entry {
                    Ok(entry) => entry.path(),
                    Err(e) => {
                        self.pass_over(folder.clone(), &e);
                        continue;
                    }
                };
                let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
                if hidden {
                } else if path.is_dir() {
                    folders.push(path);
                } else if self.is_audio(&path) {
                    let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
                    self.add(&path, relative)?;
                }
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, file: PathBuf, error: &std::io::Error) {
        self.problems.push(Problem { file, line: None, message: format!("passed over: {error}") });
    }

    fn is_audio(&self, path: &Path) -> bool {
        let ending = path.extension().and_then(|e| e.to_str());
        ending.is_some_and(|ending| self.config.extensions.iter().any(|e| e.eq_ignore_ascii_case(ending)))
    }

    fn add(&mut self, path: &Path, relative: PathBuf) -> Result<(), IngestError> {
        let path = full(path)?;
        let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
        if !self.lists.contains(&canonical) {
            // Of two spellings of one file the same one wins whatever the order of the sources.
            let found = Found { path, relative };
            match self.found.get_mut(&canonical) {
                Some(old) if (&old.relative, &old.path) <= (&found.relative, &found.path) => {}
                Some(old) => *old = found,
                None => drop(self.found.insert(canonical, found)),
            }
        }
        Ok(())
    }

    /// A draft for every row of the list, and for every file that no row names.
    fn match_rows(&mut self, list: &CallList) -> Vec<Draft> {
        let mut drafts: Vec<Draft> = Vec::new();
        let mut seen: HashMap<PathBuf, usize> = HashMap::new();
        for row in &list.rows {
            let place = self.place(row, &list.file);
            let (path, problem) = match &place {
                Ok(path) => (path.clone(), None),
                Err((path, problem)) => (path.clone(), Some(problem.clone())),
            };
            let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
            if let Some(&first) = seen.get(&canonical) {
                self.second_row(&mut drafts[first], row, list);
                continue;
            }
            seen.insert(canonical.clone(), drafts.len());
            let found = self.found.remove(&canonical).unwrap_or_else(|| {
                let relative = Path::new(&row.recording);
                let name = relative.file_name().unwrap_or(relative.as_os_str());
                let relative = if relative.is_relative() { relative.to_owned() } else { PathBuf::from(name) };
                Found { path: path.clone(), relative }
            });
            if let Some(problem) = &problem {
                let message = problem.clone();
                self.problems.push(Problem { file: list.file.clone(), line: Some(row.line), message });
            }
            let problem = row.problem.clone().or(problem).map(|p| at(list, row, &p));
            drafts.push(draft(&found, Some(row), problem, self.config));
        }
        let rest = std::mem::take(&mut self.found);
        drafts.extend(rest.values().map(|found| draft(found, None, None, self.config)));
        drafts
    }

    /// The file that a row means, or where it was looked for first and why it is not there.
    fn place(&self, row: &ListRow, list: &Path) -> Result<PathBuf, (PathBuf, String)> {
        let name = row.recording.strip_prefix("file://").unwrap_or(&row.recording);
        if name.contains("://") {
            let problem = format!("recording {name} is a URL; recordings are read from files only, so copy it first");
            return Err((PathBuf::from(name), problem));
        }
        let folder = list.parent().unwrap_or(Path::new(""));
        let places: Vec<PathBuf> = std::iter::once(folder)
            .chain(self.folders.iter().map(PathBuf::as_path))
            .map(|folder| full(&folder.join(name)).unwrap_or_else(|_| folder.join(name)))
            .collect();
        match places.iter().find(|p| fs::symlink_metadata(p).is_ok()) {
            Some(place) => Ok(place.clone()),
            None => Err((
                places[0].clone(),
                format!("recording {name}: no such file; correct the path, or copy the file there"),
            )),
        }
    }

    /// A file with a second row: harmless where the two agree, else nobody knows which is right.
    fn second_row(&mut self, draft: &mut Draft, row: &ListRow, list: &CallList) {
        let first = draft.line.unwrap_or_default();
        for participant in &row.participants {
            let same = |p: &&mut schema::Participant| p.role == participant.role && participant.consent == "denied";
            if let Some(first) = draft.recording.participants.iter_mut().find(same) {
                first.consent.clone_from(&participant.consent);
            }
        }
        let mut message = format!("names the recording of line {first} again");
        if row.cells != draft.cells {
            message += " and differs; keep one of the two";
            draft.recording.problem.get_or_insert_with(|| at(list, row, &message));
        }
        self.problems.push(Problem { file: list.file.clone(), line: Some(row.line), message });
    }
}

/// The message with its place in the list.
fn at(list: &CallList, row: &ListRow, message: &str) -> String {
    format!("{}:{}: {message}", list.file.display(), row.line)
}

fn full(path: &Path) -> Result<PathBuf, IngestError> {
    absolute(path).map_err(|source| IngestError::Io { path: path.to_owned(), source })
}

/// What changes when a recording does: its size and the time it was written. None where it is not there.
pub fn version_of(source_uri: &str) -> Option<String> {
    fs::metadata(source_uri).ok().map(|metadata| version(&metadata))
}

fn version(metadata: &fs::Metadata) -> String {
    let changed = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    format!("{}-{}", metadata.len(), changed.map_or(0, |d| d.as_nanos()))
}

fn draft(found: &Found, row: Option<&ListRow>, problem: Option<String>, config: &IngestConfig) -> Draft {
    let path = &found.path;
    let mut recording = Recording {
        call_id: row.and_then(|r| r.call_id.clone()).unwrap_or_default(),
        source_uri: path.to_string_lossy().into_owned(),
        source_version: None,
        started_at: row.and_then(|r| r.started_at),
        direction: row.and_then(|r| r.direction.clone()),
        language: row.and_then(|r| r.language.clone()).or_else(|| config.language.clone()),
        participants: row.map(|r| r.participants.clone()).unwrap_or_default(),
        crm: row.map(|r| r.crm.clone()).unwrap_or_default(),
        problem,
        track: row.and_then(|r| r.track),
    };
    match fs::metadata(path) {
        Ok(metadata) => recording.source_version = Some(version(&metadata)),
        Err(e) => drop(recording.problem.get_or_insert_with(|| format!("{}: {e}", path.display()))),
    }
    if path.to_str().is_none() {
        recording.problem = Some(format!("{}: its name is not UTF-8; rename it", path.display()));
    }
    let relative = found.relative.to_string_lossy().replace('\\', "/");
    let bare = found.relative.with_extension("").to_string_lossy().replace('\\', "/");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names = vec![stem, bare, relative, recording.source_uri.clone()];
    let (line, cells) = row.map_or((None, BTreeMap::new()), |r| (Some(r.line), r.cells.clone()));
    Draft { recording, line, cells, names }
}

/// Gives every recording a `call_id` of its own.
fn name_calls(drafts: &mut [Draft], list: &CallList, problems: &mut Vec<Problem>) {
    let mut taken: HashMap<String, u64> = HashMap::new();
    for draft in drafts.iter_mut().filter(|d| !d.recording.call_id.is_empty()) {
        let line = draft.line.unwrap_or_default();
        if let Some(first) = taken.get(&draft.recording.call_id) {
            let message =
                format!("call_id {:?} is that of line {first}; give each call its own", draft.recording.call_id);
            draft.recording.call_id.clear();
            draft.recording.problem.get_or_insert_with(|| format!("{}:{line}: {message}", list.file.display()));
            problems.push(Problem { file: list.file.clone(), line: Some(line), message });
        } else {
            taken.insert(draft.recording.call_id.clone(), line);
        }
    }
    let mut unnamed: Vec<&mut Draft> = drafts.iter_mut().filter(|d| d.recording.call_id.is_empty()).collect();
    // Those that want one name all take their next, until no two want the same.
    let mut level = vec![0; unnamed.len()];
    loop {
        let mut wanted: HashMap<&str, usize> = HashMap::new();
        for (draft, &level) in unnamed.iter().zip(&level) {
            *wanted.entry(&draft.names[level]).or_default() += 1;
        }
        let clash = |name: &str| wanted[name] > 1 || taken.contains_key(name) || name.is_empty();
        let next: Vec<usize> = unnamed
            .iter()
            .zip(&level)
            .map(|(draft, &level)| level + usize::from(level + 1 < draft.names.len() && clash(&draft.names[level])))
            .collect();
        if next == level {
            break;
        }
        level = next;
    }
    for (draft, level) in unnamed.iter_mut().zip(level) {
        draft.recording.call_id.clone_from(&draft.names[level]);
    }
}
