//! Rows of the call list and files of the sources, brought together: consent first, then a look at what files hold.
//!
//! A file that a row denies, or may deny, is not opened even to see whether it is a recording. So rows are matched by names
//! alone; then the other files are looked at, and what is no recording is left out; and then the rows that found no file, or
//! several, are matched again with what is left.

use crate::{
    IngestError, Problem,
    call_list::{CallList, ListRow},
    decoder::open_file,
    matching::{Bars, Candidate, Claim, Fit, How, Index, Relation, Wanted, settle, spelling},
    names::Name,
    sniff::{Kind, SNIFFED, kind_of, of_ending},
    sources::{Found, Look, Sources},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::Read as _,
    path::Path,
};
use store::objects::{self, is_url};

/// Candidates that a message names at most.
const NAMED: usize = 2;

/// A file with its rows.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    pub found: Found,
    /// Best first.
    pub rows: Vec<&'a ListRow>,
    pub how: Option<How>,
    /// Why it must not be opened, though no row of its own denies.
    pub barred: Option<String>,
}

/// A row without a file, and why.
#[derive(Debug)]
pub(crate) struct Missing<'a> {
    pub row: &'a ListRow,
    pub found: Found,
    pub problem: String,
    /// Whether it denies, or cannot be trusted.
    pub bars: bool,
}

/// Files and rows together.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    pub files: Vec<Matched<'a>>,
    pub missing: Vec<Missing<'a>>,
    /// Rows that deny and whose recordings lie outside the sources.
    pub elsewhere: Vec<(&'a ListRow, Found)>,
    /// Rows that do not, and whose recordings lie there.
    pub outside: usize,
    /// Files that are no recordings.
    pub passed_over: Vec<String>,
    /// What rows that deny, and found no file of their own, barred.
    pub barred: Vec<Problem>,
}

/// What is asked of a row or an unlisted file, without a word about what is wrong with it.
pub(crate) trait Denials {
    /// Whether the row denies, or cannot be trusted.
    fn row(&self, row: &ListRow) -> bool;
    /// Whether the CRM row of an unlisted file's name denies.
    fn unlisted(&self, name: &str) -> bool;
}

/// A row on its way to a file.
struct Sought<'a> {
    row: &'a ListRow,
    wanted: Wanted,
    look: Look,
    bars: bool,
    relation: Relation,
}

/// Brings rows and files together.
pub(crate) fn bring_together<'a>(
    sources: &mut Sources,
    list: &'a CallList,
    denials: &dyn Denials,
) -> Result<Rows<'a>, IngestError> {
    let mut out = Rows::default();
    let mut files: Vec<(String, Found)> = std::mem::take(&mut sources.found).into_iter().collect();
    let mut sought = seek(sources, &mut files, list, denials, &mut out)?;
    let candidates: Vec<Candidate> = files.iter().map(|(_, found)| candidate(found)).collect();
    let roots = sources.roots(&list.file);
    let foreign = |file: usize| !files[file].1.sure && of_ending(files[file].1.ending()) == Some(Kind::Foreign);

    let index = Index::of(&candidates, |file| !foreign(file));
    for row in &mut sought {
        if let Look::Nowhere(_) | Look::Folder(..) = row.look {
            row.relation = index.relate(&row.wanted, &roots);
        }
    }
    let mut claims = claims_of(&sought, files.len());
    let barred = bar(&files, &candidates, &sought, &claims, &roots, &list.file);

    let unsure: Vec<usize> = (0..files.len()).filter(|&file| claims[file].is_empty()).collect();
    let dropped = look_inside(&files, &unsure, &barred, sources, denials);
    if !dropped.is_empty() {
        let index = Index::of(&candidates, |file| !dropped.contains(&file));
        for row in sought.iter_mut().filter(|row| !row.bars && !matches!(row.relation, Relation::One { .. })) {
            if let Look::Nowhere(_) = row.look {
                row.relation = index.relate(&row.wanted, &roots);
            }
        }
        claims = claims_of(&sought, files.len());
    }
    finish(files, sought, &claims, barred, &dropped, list, &mut out);
    Ok(out)
}

/// Looks for every row's file as it is written. Those outside the sources are no part of the run; all are where there are no
/// sources.
fn seek<'a>(
    sources: &mut Sources,
    files: &mut Vec<(String, Found)>,
    list: &'a CallList,
    denials: &dyn Denials,
    out: &mut Rows<'a>,
) -> Result<Vec<Sought<'a>>, IngestError> {
    let mut places: HashMap<String, usize> = files.iter().enumerate().map(|(i, (id, _))| (id.clone(), i)).collect();
    let named: Vec<&str> = list.rows.iter().map(|row| row.recording.as_str()).filter(|name| !name.is_empty()).collect();
    let mut looks = sources.look(&named, &list.file, &|place| places.contains_key(place))?.into_iter();
    let mut sought = Vec::with_capacity(list.rows.len());
    for row in &list.rows {
        let bars = denials.row(row);
        let look = if row.recording.is_empty() { None } else { looks.next() };
        let mut look =
            look.unwrap_or_else(|| Look::Nowhere(Found::nowhere(String::new(), "", "names no recording".into())));
        if let Look::Elsewhere(found) = &look {
            let identity = found.paths.last().cloned().unwrap_or_default();
            if sources.origins.is_empty() || sources.hold(found) {
                if !places.contains_key(&identity) {
                    places.insert(identity.clone(), files.len());
                    files.push((identity.clone(), Found { sure: true, ..found.clone() }));
                }
                look = Look::Source(identity);
            } else if bars {
                out.elsewhere.push((row, found.clone()));
            } else {
                out.outside += 1;
            }
        }
        let relation = match &look {
            Look::Source(identity) => Relation::One { file: places[identity], fit: Fit::Exact },
            _ => Relation::None,
        };
        let mut texts = vec![row.recording.as_str()];
        if row.problem.is_some() {
            texts.extend(row.names.iter().map(String::as_str));
        }
        let wanted = Wanted::of(texts.into_iter().filter(|text| !text.is_empty()), row.call_id.as_deref());
        sought.push(Sought { row, wanted, look, bars, relation });
    }
    Ok(sought)
}

fn candidate(found: &Found) -> Candidate {
    let mut names: Vec<Name> = found.paths.iter().map(|path| Name::of(path)).collect();
    names.dedup();
    Candidate { names }
}

/// The claims of each file that count.
fn claims_of(sought: &[Sought], files: usize) -> Vec<Vec<Claim>> {
    let mut claims = vec![Vec::new(); files];
    for (row, sought) in sought.iter().enumerate() {
        if let Relation::One { file, fit } = sought.relation {
            claims[file].push(Claim { row, fit, bars: sought.bars });
        }
    }
    // A line that is there twice says one thing, whichever way it spells the recording.
    let alike = |a: usize, b: usize| {
        let cells = |row: usize| sought[row].row.cells.iter().filter(|(column, _)| *column != "recording");
        a == b || cells(a).eq(cells(b))
    };
    claims.into_iter().map(|claims| settle(claims, alike)).collect()
}

/// Which files are barred, and by which row and why; files whose own rows deny are not among them.
fn bar(
    files: &[(String, Found)],
    candidates: &[Candidate],
    sought: &[Sought],
    claims: &[Vec<Claim>],
    roots: &[Vec<Name>],
    list: &Path,
) -> BTreeMap<usize, (usize, String)> {
    let at = |row: usize| format!("{}:{}", list.display(), sought[row].row.line);
    let (mut bars, mut weak, mut folders) = (Bars::default(), Bars::default(), Vec::new());
    let mut inodes: HashMap<(u64, u64), usize> = HashMap::new();
    for (row, sought) in sought.iter().enumerate().filter(|(_, sought)| sought.bars) {
        match &sought.look {
            Look::Source(_) => {
                if let Relation::One { file, .. } = sought.relation {
                    bars.add_exact(row, &candidates[file], &sought.wanted.call_id);
                }
            }
            // It names another file; this one may be a copy of that.
            Look::Elsewhere(found) => {
                weak.add(row, &sought.wanted, &[]);
                if let Some(inode) = found.inode {
                    inodes.entry(inode).or_insert(row);
                }
            }
            Look::Folder(identity, _) => {
                folders.push((row, format!("{}/", identity.trim_end_matches('/'))));
                bars.add(row, &sought.wanted, roots);
            }
            Look::Nowhere(_) => bars.add(row, &sought.wanted, roots),
        }
    }
    let denied_by = |file: usize| claims[file].iter().find(|claim| claim.bars).map(|claim| claim.row);
    let mut barred = BTreeMap::new();
    for (file, (identity, found)) in files.iter().enumerate() {
        if let (Some(row), Some(inode)) = (denied_by(file), found.inode) {
            inodes.entry(inode).or_insert(row);
        }
        let granted = claims[file].iter().find(|claim| !claim.bars);
        let call_id = granted.map_or("", |claim| sought[claim.row].wanted.call_id.as_str());
        let folder = folders.iter().find(|(_, folder)| identity.starts_with(folder)).map(|(row, _)| *row);
        let other = |row: &usize| denied_by(file) != Some(*row);
        let of_names = bars.of(&candidates[file], granted.map(|claim| claim.fit), call_id).filter(other);
        let of_copies = || weak.of(&candidates[file], None, "").filter(|_| granted.is_none());
        if let Some(row) = folder.filter(other) {
            barred.insert(
                file,
                (row, format!("{}: the row names the folder of this recording, and {}", at(row), why(&sought[row]))),
            );
        } else if let Some(row) = of_names.or_else(of_copies) {
            let said = sought[row].row.said();
            let named = if said.is_empty() { String::new() } else { format!(", names {said:?}") };
            let reason = format!(
                "{}: the row {}{named} and may mean this recording; correct its path if it means another",
                at(row),
                why(&sought[row])
            );
            barred.insert(file, (row, reason));
        }
    }
    // One file under several names is denied under all of them.
    for (file, (_, found)) in files.iter().enumerate() {
        if let (Some(&(row, _)), Some(inode)) = (barred.get(&file), found.inode) {
            inodes.entry(inode).or_insert(row);
        }
    }
    for (file, (_, found)) in files.iter().enumerate() {
        let row = found.inode.and_then(|inode| inodes.get(&inode));
        if let Some(&row) = row.filter(|_| denied_by(file).is_none() && !barred.contains_key(&file)) {
            let said = sought[row].row.said();
            let reason = format!(
                "{}: the row {}, and this is the file of {said:?} under another name",
                at(row),
                why(&sought[row])
            );
            barred.insert(file, (row, reason));
        }
    }
    barred
}

fn why(sought: &Sought) -> String {
    match &sought.row.problem {
        Some(problem) => format!("cannot be trusted ({problem})"),
        None => "denies consent or cannot be trusted".into(),
    }
}

/// Which files that no row names are no recordings, by their endings and by what they begin with. Of barred ones the ending
/// alone is asked.
fn look_inside(
    files: &[(String, Found)],
    unsure: &[usize],
    barred: &BTreeMap<usize, (usize, String)>,
    sources: &mut Sources,
    denials: &dyn Denials,
) -> HashSet<usize> {
    let mut dropped = HashSet::new();
    let mut asked: Vec<usize> = Vec::new();
    let mut problems = Vec::new();
    let mut note = |error: &str, uri: &str| {
        problems.push(Problem { file: uri.into(), line: None, message: format!("passed over: {error}") });
    };
    for &file in unsure {
        let found = &files[file].1;
        let by_ending = of_ending(found.ending());
        if found.sure || sources.is_configured(found.ending()) || by_ending == Some(Kind::Recording) {
            continue;
        }
        if barred.contains_key(&file) {
            dropped.extend((by_ending == Some(Kind::Foreign)).then_some(file));
        } else if let Some(problem) = &found.problem {
            note(problem, &found.uri);
            dropped.insert(file);
        } else if denials.unlisted(&found.names()[0]) {
            dropped.extend((by_ending == Some(Kind::Foreign)).then_some(file));
        } else if is_url(&found.uri) && by_ending == Some(Kind::Foreign) {
            dropped.insert(file); // a request for each would cost more than it tells
        } else {
            asked.push(file);
        }
    }
    let (objects, local): (Vec<usize>, Vec<usize>) = asked.into_iter().partition(|&file| is_url(&files[file].1.uri));
    for file in local {
        let found = &files[file].1;
        match start_of(&found.uri) {
            Ok(start) if kind_of(&start, found.ending()) == Kind::Recording => {}
            Ok(_) => drop(dropped.insert(file)),
            Err(error) => {
                note(&error, &found.uri);
                dropped.insert(file);
            }
        }
    }
    sources.problems.append(&mut problems);
    let sizes =
        |&file: &usize| (files[file].1.uri.clone(), files[file].1.version.as_ref().map_or(0, |v| v.byte_size as u64));
    let asked: Vec<(String, u64)> = objects.iter().map(sizes).collect();
    let starts = if asked.is_empty() { Ok(Vec::new()) } else { objects::starts(&asked, SNIFFED as u64) };
    for (file, start) in objects.into_iter().zip(starts.unwrap_or_default()) {
        // Where the store does not answer, the stage says so.
        if start.is_ok_and(|start| kind_of(&start, files[file].1.ending()) == Kind::Foreign) {
            dropped.insert(file);
        }
    }
    dropped
}

/// The first bytes of a plain file.
fn start_of(path: &str) -> Result<Vec<u8>, String> {
    let file = open_file(Path::new(path)).map_err(|e| e.to_string())?;
    let mut start = Vec::with_capacity(SNIFFED);
    file.take(SNIFFED as u64).read_to_end(&mut start).map_err(|e| e.to_string())?;
    Ok(start)
}

/// Hands out files with their rows, and rows without files.
fn finish<'a>(
    files: Vec<(String, Found)>,
    sought: Vec<Sought<'a>>,
    claims: &[Vec<Claim>],
    mut barred: BTreeMap<usize, (usize, String)>,
    dropped: &HashSet<usize>,
    list: &CallList,
    out: &mut Rows<'a>,
) {
    let mut placed = vec![false; sought.len()];
    let mut bars: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let paths: Vec<String> = files.iter().map(|(_, found)| found.uri.clone()).collect();
    for (file, ((_, found), claims)) in files.into_iter().zip(claims).enumerate() {
        if dropped.contains(&file) {
            out.passed_over.push(found.uri);
            continue;
        }
        for claim in claims {
            placed[claim.row] = true;
        }
        let how = claims.first().map(|claim| match claim.fit {
            Fit::Place => spelling(&sought[claim.row].row.recording, &found.uri),
            fit => fit.how(),
        });
        let reason = barred.remove(&file).map(|(row, reason)| {
            bars.entry(row).or_default().push(found.uri.clone());
            reason
        });
        let rows = claims.iter().map(|claim| sought[claim.row].row).collect();
        out.files.push(Matched { found, rows, how, barred: reason });
    }
    for (row, sought) in sought.into_iter().enumerate().filter(|(row, _)| !placed[*row]) {
        let problem = match &sought.relation {
            Relation::Several { files, count } => {
                let named: Vec<&str> = files.iter().take(NAMED).map(|&file| paths[file].as_str()).collect();
                let more = if *count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
                format!(
                    "recording {} can be {}{more}; write a path that is one of them",
                    sought.row.said(),
                    named.join(" or ")
                )
            }
            Relation::One { file, .. } => {
                format!(
                    "recording {} can be {}, which another row names better or as well",
                    sought.row.said(),
                    paths[*file]
                )
            }
            Relation::None => String::new(),
        };
        let (Look::Nowhere(found) | Look::Folder(_, found)) = &sought.look else { continue };
        let own = found.problem.clone().unwrap_or_default();
        let problem = if problem.is_empty() { own } else { problem };
        let nameless = sought.row.recording.is_empty() && sought.row.call_id.is_none();
        if sought.bars && nameless && !bars.contains_key(&row) {
            let message = format!("{}, and names no recording: nobody knows which one it means", why(&sought));
            out.barred.push(Problem { file: list.file.clone(), line: Some(sought.row.line), message });
        }
        out.missing.push(Missing { row: sought.row, found: found.clone(), problem, bars: sought.bars });
    }
    for (row, files) in bars {
        let count = if files.len() == 1 { "1 recording".into() } else { format!("{} recordings", files.len()) };
        let row = &list.rows[row];
        let message =
            format!("denies consent or cannot be trusted, and may mean {count} (such as {}): refused", files[0]);
        out.barred.push(Problem { file: list.file.clone(), line: Some(row.line), message });
    }
}
