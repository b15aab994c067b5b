//! Which file a row of the call list means, and which files a row that denies may mean.
//!
//! A row names its recording as the machine does that wrote the list. It means the file whose path, spelled in one form
//! ([`Name`]), shares most of its last parts with the row's: all of them, some, the file's name alone, its name without the
//! ending; else the file that bears the row's `call_id`. A row that grants must mean one file, and no other row may mean it
//! better or as well: otherwise it means none. A row that denies bars every file that it may mean, but for those that another
//! row fits better.
//!
//! Everything is looked up by keys: rows and files are never held against each other one by one.

use crate::names::{Keys, Name, fold, stem};
use std::collections::{HashMap, HashSet};

/// How a row found its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As it is written.
    Exact,
    /// Spelled otherwise: backslashes.
    Slash,
    /// Spelled otherwise: percent-encoded.
    Percent,
    /// Spelled otherwise: upper and lower case.
    Case,
    /// Spelled otherwise: another form of Unicode.
    Unicode,
    /// By its last folders and its name.
    Suffix,
    /// By its name alone.
    Name,
    /// By its name without the ending.
    Stem,
    /// By the row's `call_id`, which is the file's name.
    CallId,
}

impl How {
    /// As `calls.match` spells it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Slash => "slash",
            Self::Percent => "percent",
            Self::Case => "case",
            Self::Unicode => "unicode",
            Self::Suffix => "suffix",
            Self::Name => "name",
            Self::Stem => "stem",
            Self::CallId => "call_id",
        }
    }
}

/// How well a row fits a file: the greater, the better. Within a kind, the parts that they share decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// The row's `call_id` is the file's name.
    CallId,
    /// Name without ending, and parts that are shared.
    Stem(usize),
    /// Name, and parts that are shared.
    Parts(usize),
    /// The whole path of the row, without ending.
    WholeStem,
    /// The whole path of the row, in whichever folder.
    Whole,
    /// The place that the row names, but for its spelling.
    Place,
    /// The file as the row writes it.
    Exact,
}

impl Fit {
    /// Whether nothing in the row speaks against it: such a denial counts whatever other rows say.
    fn is_full(self) -> bool {
        self >= Self::WholeStem
    }

    /// As far as messages and `calls.match` tell them apart; `How` of a place is told by its spelling.
    pub fn how(self) -> How {
        match self {
            Self::CallId => How::CallId,
            Self::Stem(_) | Self::WholeStem => How::Stem,
            Self::Parts(1) => How::Name,
            Self::Parts(_) | Self::Whole => How::Suffix,
            Self::Place | Self::Exact => How::Exact,
        }
    }
}

/// A file that rows are matched with, in all its spellings: links, canonical path.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub names: Vec<Name>,
}

/// What a row may mean, in one form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Its path first, then what else in it may be one.
    pub names: Vec<Name>,
    /// Folded; empty where there is none.
    pub call_id: String,
}

impl Wanted {
    /// Of a row's texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>, call_id: Option<&str>) -> Self {
        Self {
            names: texts.into_iter().flat_map(Name::all_of).collect(),
            call_id: call_id.map(fold).unwrap_or_default(),
        }
    }
}

/// The files that share a key.
#[derive(Clone, Copy, Debug)]
struct Group {
    first: usize,
    last: usize,
    count: usize,
}

/// Files by the keys of their names.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By all parts.
    places: HashMap<u64, Group>,
    /// By the name and folders from the end.
    parts: HashMap<u64, Group>,
    /// By the name without ending, and folders from the end.
    stems: HashMap<u64, Group>,
    /// Keys of the folders that hold files, one part each: whoever names one of them means a file in it.
    folders: HashSet<String>,
}

/// What a row means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// No file.
    None,
    /// This one.
    One { file: usize, fit: Fit },
    /// Two or more that fit as well as each other: the first and the last of so many.
    Several { files: [usize; 2], count: usize },
}

fn add(groups: &mut HashMap<u64, Group>, key: u64, file: usize) {
    groups
        .entry(key)
        .and_modify(|group| {
            // A file's second spelling is no second file.
            if group.last != file {
                (group.last, group.count) = (file, group.count + 1);
            }
        })
        .or_insert(Group { first: file, last: file, count: 1 });
}

/// Keys of a file's name without ending; of one without an ending, those of its name.
fn stems_of(name: &Name) -> Keys {
    name.stem_keys().unwrap_or_else(|| name.keys())
}

impl Index {
    /// Of the files that `counted` lets through.
    pub fn of(candidates: &[Candidate], counted: impl Fn(usize) -> bool) -> Self {
        let mut index = Self::default();
        for (file, candidate) in candidates.iter().enumerate().filter(|(file, _)| counted(*file)) {
            for name in &candidate.names {
                add(&mut index.places, name.whole(), file);
                name.keys().0.into_iter().for_each(|key| add(&mut index.parts, key, file));
                stems_of(name).0.into_iter().for_each(|key| add(&mut index.stems, key, file));
                if let [.., folder, _] = &name.parts[..] {
                    index.folders.insert(folder.clone());
                }
            }
        }
        index
    }

    /// What a row means that is no file's own path. `roots` are the folders that its path may be relative to, the nearest
    /// tier first.
    pub fn relate(&self, wanted: &Wanted, roots: &[Vec<Name>]) -> Relation {
        let mut best = Relation::None;
        for name in &wanted.names {
            let own = [self.places.get(&name.whole()).copied()];
            let tiers =
                roots.iter().map(|tier| together(tier.iter().map(|root| self.places.get(&name.below(root).whole()))));
            if let Some(group) = own.into_iter().chain(tiers).flatten().next() {
                return relation(&group, Fit::Place);
            }
            if let Relation::None = best {
                best = self.by_parts(name);
            }
        }
        for name in &wanted.names {
            if let Relation::None = best {
                best = self.by_stem(name);
            }
        }
        if let (Relation::None, false) = (&best, wanted.call_id.is_empty()) {
            best = self.stems.get(&key_of_stem(&wanted.call_id)).map_or(Relation::None, |g| relation(g, Fit::CallId));
        }
        best
    }

    fn by_parts(&self, name: &Name) -> Relation {
        let keys = name.keys().0;
        let Some((shared, group)) = longest(&self.parts, &keys) else { return Relation::None };
        let whole = shared == name.parts.len();
        // A folder that holds other files, and not this one: the row means a file that is not there.
        let elsewhere = || name.parts.iter().rev().nth(1).is_some_and(|folder| self.folders.contains(folder));
        match (whole, shared) {
            (true, 1) => relation(group, Fit::Parts(1)),
            (true, _) => relation(group, Fit::Whole),
            (false, 1) if elsewhere() => Relation::None,
            (false, shared) => relation(group, Fit::Parts(shared)),
        }
    }

    fn by_stem(&self, name: &Name) -> Relation {
        for keys in [Some(name.keys()), name.stem_keys()].into_iter().flatten() {
            if let Some((shared, group)) = longest(&self.stems, &keys.0) {
                let whole = shared == name.parts.len();
                let elsewhere = || name.parts.iter().rev().nth(1).is_some_and(|f| self.folders.contains(f));
                return match (whole, shared) {
                    (true, shared) if shared > 1 => relation(group, Fit::WholeStem),
                    (false, 1) if elsewhere() => Relation::None,
                    (_, shared) => relation(group, Fit::Stem(shared)),
                };
            }
        }
        Relation::None
    }
}

/// The files of several groups.
fn together<'a>(groups: impl Iterator<Item = Option<&'a Group>>) -> Option<Group> {
    groups.flatten().copied().reduce(|one, other| {
        // Two roots may be one, by a link: then they hold one file.
        let same = one.count == 1 && other.count == 1 && one.first == other.first;
        if same { one } else { Group { first: one.first, last: other.last, count: one.count + other.count } }
    })
}

fn relation(group: &Group, fit: Fit) -> Relation {
    match group.count {
        1 => Relation::One { file: group.first, fit },
        count => Relation::Several { files: [group.first, group.last], count },
    }
}

fn longest<'a, T>(map: &'a HashMap<u64, T>, keys: &[u64]) -> Option<(usize, &'a T)> {
    // Where names do not share a part, they share none of those before it.
    let shared = keys.iter().take_while(|key| map.contains_key(key)).count();
    (shared > 0).then(|| (shared, &map[&keys[shared - 1]]))
}

/// The key of a name without folders.
fn key_of_stem(folded: &str) -> u64 {
    Name { parts: vec![folded.to_owned()] }.keys().0[0]
}

/// What rows that deny, or cannot be trusted, and that are no file's own path may mean. The numbers are those of rows.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    places: HashMap<u64, usize>,
    parts: HashMap<u64, usize>,
    whole: HashMap<u64, usize>,
    stems: HashMap<u64, usize>,
    whole_stems: HashMap<u64, usize>,
    /// Of rows that are no file's own path: a file may bear the name.
    call_ids: HashMap<String, usize>,
    /// Of all rows: another row with the same is of the same call.
    same_call: HashMap<String, usize>,
    siblings: HashMap<u64, usize>,
}

impl Bars {
    /// Adds a row that is no file's own path.
    pub fn add(&mut self, row: usize, wanted: &Wanted, roots: &[Vec<Name>]) {
        for name in &wanted.names {
            for place in roots.iter().flatten().map(|root| name.below(root)).chain([name.clone()]) {
                self.places.entry(place.whole()).or_insert(row);
            }
            let depth = name.parts.len();
            let put = |some: &mut HashMap<u64, usize>, whole: &mut HashMap<u64, usize>, keys: Keys| {
                if keys.0.len() == depth {
                    whole.entry(keys.0[depth - 1]).or_insert(row);
                }
                for key in keys.0 {
                    some.entry(key).or_insert(row);
                }
            };
            put(&mut self.parts, &mut self.whole, name.keys());
            // Without an ending, or with another one.
            put(&mut self.stems, &mut self.whole_stems, name.keys());
            name.stem_keys().into_iter().for_each(|keys| put(&mut self.stems, &mut self.whole_stems, keys));
        }
        if !wanted.call_id.is_empty() {
            self.call_ids.entry(wanted.call_id.clone()).or_insert(row);
            self.same_call.entry(wanted.call_id.clone()).or_insert(row);
        }
    }

    /// Adds a row that is a file's own path: what lies beside that file under the same name with another ending is most likely
    /// the same call.
    pub fn add_exact(&mut self, row: usize, file: &Candidate, call_id: &str) {
        for name in &file.names {
            self.siblings.entry(place_of_stem(name)).or_insert(row);
        }
        if !call_id.is_empty() {
            self.same_call.entry(call_id.to_owned()).or_insert(row);
        }
    }

    /// The row that bars a file, where the best row that names it and does not deny fits it like this, and has this `call_id`.
    pub fn of(&self, file: &Candidate, granted: Option<Fit>, call_id: &str) -> Option<usize> {
        let same_call = || if call_id.is_empty() { None } else { self.same_call.get(call_id).copied() };
        file.names.iter().find_map(|name| self.of_name(name, granted)).or_else(same_call)
    }

    fn of_name(&self, name: &Name, granted: Option<Fit>) -> Option<usize> {
        let keys = name.keys().0;
        let stems = stems_of(name).0;
        let full = [&name.whole()]
            .into_iter()
            .find_map(|key| self.places.get(key))
            .or_else(|| keys.iter().find_map(|key| self.whole.get(key)))
            .or_else(|| stems.iter().find_map(|key| self.whole_stems.get(key)));
        if let Some(&row) = full {
            return Some(row);
        }
        let counts = |fit: Fit| granted.is_none_or(|granted| granted <= fit);
        if let Some((_, &row)) = longest(&self.parts, &keys).filter(|(shared, _)| counts(Fit::Parts(*shared))) {
            return Some(row);
        }
        if let Some((_, &row)) = longest(&self.stems, &stems).filter(|(shared, _)| counts(Fit::Stem(*shared))) {
            return Some(row);
        }
        if !counts(Fit::CallId) {
            return None;
        }
        let by_id =
            || [Some(name.base()), stem(name.base())].into_iter().flatten().find_map(|id| self.call_ids.get(id.trim()));
        self.siblings.get(&place_of_stem(name)).or_else(by_id).copied()
    }
}

/// One key of a file's folders and its name without the ending.
fn place_of_stem(name: &Name) -> u64 {
    let mut name = name.clone();
    if let Some(base) = name.parts.last_mut()
        && let Some(stem) = stem(base)
    {
        *base = stem.trim().to_owned();
    }
    name.whole()
}

/// A row's relation to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub row: usize,
    pub fit: Fit,
    /// Whether the row denies, or cannot be trusted.
    pub bars: bool,
}

/// Which of the rows that mean one file count: those that deny and are not outdone, and of the others the best, if it is one
/// or all of the best are `alike`. Best first.
pub(crate) fn settle(mut claims: Vec<Claim>, alike: impl Fn(usize, usize) -> bool) -> Vec<Claim> {
    let granted = claims.iter().filter(|claim| !claim.bars).map(|claim| claim.fit).max();
    let best: Vec<usize> = claims.iter().filter(|c| !c.bars && Some(c.fit) == granted).map(|c| c.row).collect();
    // Of rows that write the file's own path each counts: where they differ, nobody knows which is right.
    let sure = granted == Some(Fit::Exact) || best.iter().all(|&row| alike(best[0], row));
    claims.retain(|claim| {
        if claim.bars {
            claim.fit.is_full() || granted.is_none_or(|granted| claim.fit >= granted)
        } else {
            sure && Some(claim.fit) == granted
        }
    });
    claims.sort_by_key(|claim| (std::cmp::Reverse(claim.fit), claim.row));
    claims
}

/// How a row's text and a file's path differ that mean one place.
pub(crate) fn spelling(row: &str, path: &str) -> How {
    let row = row.trim();
    let row = row.strip_prefix("file://").map_or(row, |path| path.strip_prefix("localhost").unwrap_or(path));
    let ends = |text: &str| {
        let text = text.trim_start_matches("./");
        path == text
            || path
                .strip_suffix(text)
                .is_some_and(|before| before.is_empty() || before.ends_with('/') || text.starts_with('/'))
    };
    let slashes = row.replace('\\', "/");
    if ends(row) {
        return How::Exact;
    }
    if ends(&slashes) {
        return How::Slash;
    }
    let plain = crate::names::decoded(&slashes).unwrap_or_else(|| slashes.clone());
    if ends(&plain) {
        return How::Percent;
    }
    let lower = |text: &str| text.to_lowercase();
    if lower(path).ends_with(lower(&plain).trim_start_matches("./")) { How::Case } else { How::Unicode }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Vec<Candidate> {
        paths.iter().map(|path| Candidate { names: vec![Name::of(path)] }).collect()
    }

    fn meant(paths: &[&str], row: &str) -> Relation {
        Index::of(&files(paths), |_| true).relate(&Wanted::of([row], Some("c1")), &[vec![Name::of("/d")]])
    }

    fn one(file: usize, fit: Fit) -> Relation {
        Relation::One { file, fit }
    }

    #[test]
    fn what_a_row_means() {
        let paths = ["/d/rec/a.wav", "/d/rec/b.wav", "/d/old/a.wav", "/d/rec/c1.wav", "/d/x/call.flac"];
        assert_eq!(meant(&paths, r"REC\A.WAV"), one(0, Fit::Place));
        assert_eq!(meant(&paths, "/export/2026/old/a.wav"), one(2, Fit::Parts(2)));
        assert_eq!(meant(&paths, "/export/b.wav"), one(1, Fit::Parts(1)));
        assert_eq!(meant(&paths, "/export/a.wav"), Relation::Several { files: [0, 2], count: 2 });
        assert_eq!(meant(&paths, "a.wav"), Relation::Several { files: [0, 2], count: 2 });
        assert_eq!(meant(&paths, "/export/x/call.mp3"), one(4, Fit::Stem(2)));
        assert_eq!(meant(&paths, "x/call"), one(4, Fit::WholeStem));
        assert_eq!(meant(&paths, "gone.wav"), one(3, Fit::CallId));
        // The folder is there, and the file is not in it.
        assert_eq!(meant(&paths[..3], "old/b.wav"), Relation::None);
        assert_eq!(meant(&paths[..3], "gone.wav"), Relation::None);
    }

    #[test]
    fn whom_a_denial_bars() {
        let paths = ["/d/rec/a.wav", "/d/old/A.mp3", "/d/rec/b.wav", "/d/rec/c1.wav"];
        let barred = |row: &str, granted: Option<Fit>| {
            let mut bars = Bars::default();
            bars.add(7, &Wanted::of([row], Some("C1")), &[vec![Name::of("/d")]]);
            let files = files(&paths);
            (0..paths.len()).filter(|&file| bars.of(&files[file], granted, "") == Some(7)).collect::<Vec<_>>()
        };
        // Whatever may be meant and has no row of its own; the last by its call_id.
        assert_eq!(barred("/export/rec/a.wav", None), [0, 1, 3]);
        assert_eq!(barred("b.wav", None), [2, 3]);
        // Rows of their own stand against a name alone, and not against the whole of what a row says.
        assert_eq!(barred("/export/2026/a.wav", Some(Fit::Exact)), [0; 0]);
        assert_eq!(barred("REC/A.WAV", Some(Fit::Exact)), [0]);
        assert_eq!(barred("rec/a", Some(Fit::Exact)), [0]);
        assert_eq!(barred("/export/rec/a.wav", Some(Fit::Parts(2))), [0]);
        assert_eq!(barred("/export/rec/a.wav", Some(Fit::Parts(3))), [0; 0]);
    }

    #[test]
    fn rows_that_mean_one_file() {
        let claim = |row, fit, bars| Claim { row, fit, bars };
        let rows = |claims: &[Claim], alike: bool| -> Vec<usize> {
            settle(claims.to_vec(), |a, b| alike || a == b).iter().map(|claim| claim.row).collect()
        };
        let (exact, near) = (claim(0, Fit::Exact, false), claim(1, Fit::Parts(2), false));
        assert_eq!(rows(&[near, exact], false), [0]);
        assert_eq!(rows(&[near, claim(2, Fit::Parts(2), false)], false), [0; 0]);
        assert_eq!(rows(&[near, claim(2, Fit::Parts(2), false)], true), [1, 2]);
        assert_eq!(rows(&[exact, claim(2, Fit::Exact, false)], false), [0, 2]);
        assert_eq!(rows(&[exact, claim(2, Fit::Parts(3), true)], false), [0]);
        assert_eq!(rows(&[exact, claim(2, Fit::Place, true)], false), [0, 2]);
        assert_eq!(rows(&[near, claim(2, Fit::Parts(2), true)], false), [1, 2]);
    }

    #[test]
    fn spellings() {
        let path = "/d/rec/Müller 1.wav";
        assert_eq!(spelling("rec/Müller 1.wav", path), How::Exact);
        assert_eq!(spelling(r"rec\Müller 1.wav", path), How::Slash);
        assert_eq!(spelling("file:///d/rec/M%C3%BCller%201.wav", path), How::Percent);
        assert_eq!(spelling("REC/MÜLLER 1.WAV", path), How::Case);
        assert_eq!(spelling("rec/Mu\u{308}ller 1.wav", path), How::Unicode);
    }
}
