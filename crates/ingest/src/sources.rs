//! Where recordings lie: files, folders, globs, and prefixes of buckets.

use crate::{IngestConfig, IngestError, Problem, names::Name};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf, absolute},
    time::UNIX_EPOCH,
};
use store::objects::{self, Object, is_url};

/// What changes when a recording does, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Bytes.
    pub byte_size: i64,
    /// Size and time of change, or ETag.
    pub version: String,
}

impl Version {
    fn of_file(metadata: &fs::Metadata) -> Self {
        let changed = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |d| d.as_nanos());
        Self { byte_size: metadata.len() as i64, version: format!("{}-{changed}", metadata.len()) }
    }

    fn of_object(object: &Object) -> Self {
        Self { byte_size: object.size as i64, version: format!("{}-{}", object.size, object.version) }
    }
}

/// The versions of recordings as they are now; none for each that is not there.
pub fn versions_of(uris: &[&str]) -> Result<Vec<Option<Version>>, IngestError> {
    let urls: Vec<String> = uris.iter().filter(|uri| is_url(uri)).map(|&uri| uri.to_owned()).collect();
    let mut objects = objects::find(&urls)?.into_iter();
    let mut versions = Vec::with_capacity(uris.len());
    for uri in uris {
        versions.push(if is_url(uri) {
            objects.next().transpose()?.flatten().as_ref().map(Version::of_object)
        } else {
            fs::metadata(uri).ok().as_ref().map(Version::of_file)
        });
    }
    Ok(versions)
}

/// A recording that was found, or the place where it is not.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Absolute path, links kept, or URL.
    pub uri: String,
    /// Within its source, `/` between folders.
    pub relative: String,
    pub version: Option<Version>,
    /// Why it cannot be read.
    pub problem: Option<String>,
    /// All its paths, where links give it several.
    pub paths: Vec<String>,
    /// Whether it is a recording whatever it holds: it was named itself.
    pub sure: bool,
    /// Device and inode, where several names may be one file.
    pub inode: Option<(u64, u64)>,
    /// Places of the sources that hold it.
    pub origins: Vec<usize>,
}

impl Found {
    fn new(uri: String, relative: &str) -> Self {
        Self {
            paths: vec![uri.clone()],
            uri,
            relative: relative.to_owned(),
            version: None,
            problem: None,
            sure: false,
            inode: None,
            origins: Vec::new(),
        }
    }

    /// A file; that it may not be there is a problem of its own.
    fn file(path: &Path, relative: &Path) -> Self {
        let relative = relative.to_string_lossy().replace('\\', "/");
        let mut found = Self::new(path.to_string_lossy().into_owned(), &relative);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                found.problem = Some(format!("{}: is a folder, not a recording; name a file in it", path.display()));
            }
            Ok(metadata) => {
                (found.version, found.inode) = (Some(Version::of_file(&metadata)), inode(&metadata));
            }
            Err(e) => found.problem = Some(format!("{}: {e}", path.display())),
        }
        let identity = identity(&found.uri);
        if identity != found.uri {
            found.paths.push(identity);
        }
        if path.to_str().is_none() {
            found.problem = Some(format!("{}: its name is not UTF-8; rename it", path.display()));
        }
        found
    }

    fn object(object: &Object, relative: &str) -> Self {
        Self { version: Some(Version::of_object(object)), ..Self::new(object.url.clone(), relative) }
    }

    /// What nothing was found behind.
    pub fn nowhere(uri: String, relative: &str, problem: String) -> Self {
        Self { problem: Some(problem), ..Self::new(uri, relative) }
    }

    /// The ending of its name, without the dot.
    pub fn ending(&self) -> Option<&str> {
        Path::new(&self.relative).extension().and_then(|ending| ending.to_str())
    }

    /// What the recording can be called, best first; the last is unique.
    pub fn names(&self) -> Vec<String> {
        let folder = self.relative.rfind('/').map_or(0, |slash| slash + 1);
        let dot = self.relative[folder..].rfind('.').filter(|&dot| dot > 0).map(|dot| folder + dot);
        let bare = &self.relative[..dot.unwrap_or(self.relative.len())];
        vec![bare[folder..].to_owned(), bare.to_owned(), self.relative.clone(), self.uri.clone()]
    }
}

/// A source as it was given.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub text: String,
    /// Whether all that lies in it is meant: a folder, a prefix. A row whose recording is missing is missing there.
    pub wide: bool,
}

/// Where a name of the call list leads as it is written.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// To this file of the sources.
    Source(String),
    /// To a file that is not among the sources.
    Elsewhere(Found),
    /// To a folder: its canonical path.
    Folder(String, Found),
    /// Nowhere.
    Nowhere(Found),
}

/// The files of all sources, hidden ones left out.
pub(crate) struct Sources<'a> {
    config: &'a IngestConfig,
    /// By canonical path or URL, so that a recording has one row however many sources name it.
    pub found: BTreeMap<String, Found>,
    pub origins: Vec<Origin>,
    /// Folders and prefixes whose files are all found.
    folders: Vec<String>,
    /// Where names of a call list are looked for: folders and prefixes that were named, and those that globs begin with.
    bases: Vec<String>,
    /// Where they are looked for then: the folders of files that were named or that globs match, and folders that these do.
    near: BTreeSet<String>,
    /// The list and the CRM file, which are no recordings even where a glob matches them.
    lists: Vec<String>,
    pub problems: Vec<Problem>,
}

impl<'a> Sources<'a> {
    /// Finds the files of the sources; what they hold is not looked at.
    pub fn find(sources: &[String], lists: &[&Path], config: &'a IngestConfig) -> Result<Self, IngestError> {
        let lists = lists.iter().map(|path| identity(&path.to_string_lossy())).collect();
        let (found, origins, near) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        let (folders, bases, problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut all = Self { config, found, origins, folders, bases, near, lists, problems };
        for source in sources {
            all.origins.push(Origin { text: source.clone(), wide: false });
            let local = source.strip_prefix("file://").unwrap_or(source);
            let path = Path::new(local);
            if is_url(source) {
                all.bucket(source)?;
            } else if path.is_dir() {
                all.bases.push(local.to_owned());
                all.walk(path)?;
            } else if fs::symlink_metadata(path).is_ok() {
                all.parent(path)?;
                all.file(path, Path::new(path.file_name().unwrap_or(path.as_os_str())), true)?;
            } else {
                all.glob(local)?;
            }
        }
        Ok(all)
    }

    /// Whether a row of the list whose recording is nowhere is missing here.
    pub fn are_wide(&self) -> bool {
        self.origins.is_empty() || self.origins.iter().any(|origin| origin.wide)
    }

    fn wide(&mut self) {
        if let Some(origin) = self.origins.last_mut() {
            origin.wide = true;
        }
    }

    /// All objects below a prefix, the object of that name, or those that a glob matches.
    fn bucket(&mut self, url: &str) -> Result<(), IngestError> {
        let prefix = url.trim_end_matches('/');
        let listed = objects::list(prefix)?;
        if let Some(object) = listed.iter().find(|object| object.url == prefix) {
            let name = prefix.rsplit('/').next().unwrap_or(prefix);
            self.add(object.url.clone(), Found::object(object, name), true);
            return Ok(());
        }
        if !listed.is_empty() {
            self.folders.push(prefix.to_owned());
            self.bases.push(prefix.to_owned());
            self.wide();
            for object in &listed {
                let relative = object.url.strip_prefix(prefix).unwrap_or(&object.url).trim_start_matches('/');
                let hidden = relative.split('/').any(|part| part.starts_with('.'));
                if !hidden {
                    self.add(object.url.clone(), Found::object(object, relative), false);
                }
            }
            return Ok(());
        }
        let none = || IngestError::NoSuchSource { pattern: url.to_owned() };
        let wild = url.find(['*', '?', '[']).ok_or_else(none)?;
        let base = url[..wild].rfind('/').filter(|&slash| !url[..slash].ends_with('/')).ok_or_else(none)?;
        let pattern =
            glob::Pattern::new(url).map_err(|source| IngestError::Glob { pattern: url.to_owned(), source })?;
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        let spelled = spells_ending(url);
        self.bases.push(url[..base].to_owned());
        let mut any = false;
        for object in objects::list(&url[..base])? {
            if pattern.matches_with(&object.url, options) {
                any = true;
                let name = object.url.rsplit('/').next().unwrap_or(&object.url).to_owned();
                self.near.extend(object.url.rsplit_once('/').map(|(parent, _)| parent.to_owned()));
                self.add(object.url.clone(), Found::object(&object, &name), spelled);
            }
        }
        if any { Ok(()) } else { Err(none()) }
    }

    /// A pattern that spells out the ending (`*.raw`) takes every file; another takes recordings.
    fn glob(&mut self, pattern: &str) -> Result<(), IngestError> {
        let paths = glob::glob(pattern).map_err(|source| IngestError::Glob { pattern: pattern.to_owned(), source })?;
        let spelled = spells_ending(pattern);
        let fixed = pattern.find(['*', '?', '[']).map_or(pattern, |wild| &pattern[..wild]);
        self.bases.push(fixed.rfind('/').map_or(".", |slash| &fixed[..=slash]).to_owned());
        let mut any = false;
        for path in paths {
            match path {
                Ok(path) if path.is_dir() => {
                    any = true;
                    self.near.insert(path.to_string_lossy().into_owned());
                    self.walk(&path)?;
                }
                Ok(path) => {
                    any = true;
                    self.parent(&path)?;
                    self.file(&path, Path::new(path.file_name().unwrap_or_default()), spelled)?;
                }
                Err(e) => self.pass_over(e.path().to_owned(), e.error()),
            }
        }
        if any { Ok(()) } else { Err(IngestError::NoSuchSource { pattern: pattern.to_owned() }) }
    }

    /// All files below a folder. Hidden files and folders are passed over; links are followed, loops are not.
    fn walk(&mut self, root: &Path) -> Result<(), IngestError> {
        self.folders.push(root.to_string_lossy().into_owned());
        self.wide();
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
                } else {
                    let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
                    self.file(&path, &relative, false)?;
                }
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, file: PathBuf, error: &std::io::Error) {
        self.problems.push(Problem { file, line: None, message: format!("passed over: {error}") });
    }

    /// Whether the file's ending makes it a recording by the pipeline's word.
    pub fn is_configured(&self, ending: Option<&str>) -> bool {
        ending.is_some_and(|ending| self.config.extensions.iter().any(|e| e.eq_ignore_ascii_case(ending)))
    }

    fn parent(&mut self, path: &Path) -> Result<(), IngestError> {
        self.near.extend(full(path)?.parent().map(|parent| parent.to_string_lossy().into_owned()));
        Ok(())
    }

    fn file(&mut self, path: &Path, relative: &Path, sure: bool) -> Result<(), IngestError> {
        let path = full(path)?;
        self.add(identity(&path.to_string_lossy()), Found::file(&path, relative), sure);
        Ok(())
    }

    fn add(&mut self, identity: String, mut found: Found, sure: bool) {
        if self.lists.contains(&identity) {
            return;
        }
        found.sure = sure;
        found.origins.push(self.origins.len().saturating_sub(1));
        if !found.paths.contains(&identity) {
            found.paths.push(identity.clone());
        }
        let Some(old) = self.found.get_mut(&identity) else {
            self.found.insert(identity, found);
            return;
        };
        // Of two spellings of one file the same one wins whatever the order of the sources.
        if (&old.relative, &old.uri) > (&found.relative, &found.uri) {
            std::mem::swap(old, &mut found);
        }
        old.sure |= found.sure;
        old.paths.extend(found.paths);
        old.paths.sort();
        old.paths.dedup();
        old.origins.extend(found.origins);
        old.origins.dedup();
    }

    /// Where names of the call list lead as they are written: looked for in the list's folder first, then in the folders and
    /// prefixes that the sources name. What is there first is meant, in a source or not. What lies beside a file that was named
    /// itself is left to [`roots`](Self::roots): a name alone may mean others too.
    pub fn look(
        &self,
        names: &[&str],
        list: &Path,
        is_source: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Look>, IngestError> {
        /// Folders that are asked for files that are in no source: with more, each row would cost as many calls.
        const ASKED: usize = 8;
        let places: Vec<[Vec<String>; 2]> = names.iter().map(|name| self.places(name, list)).collect();
        let known = |place: &String| is_source(place);
        let unknown = places.iter().filter(|tiers| !tiers.iter().flatten().any(known));
        let mut urls: Vec<String> = unknown.flatten().flatten().filter(|place| is_url(place)).cloned().collect();
        urls.sort();
        urls.dedup();
        let objects: HashMap<String, _> = urls.iter().cloned().zip(objects::find(&urls)?).collect();
        let look = |name: &&str, tiers: &[Vec<String>; 2]| {
            let last = name.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or(name);
            let relative = if is_url(name) || Path::new(name).is_absolute() { last } else { name };
            let first = tiers.iter().flatten().next().cloned().unwrap_or_default();
            let mut problem = None;
            for tier in tiers {
                let (mut sources, mut elsewhere) = (BTreeSet::new(), None);
                for place in tier {
                    match objects.get(place) {
                        _ if known(place) => drop(sources.insert(place.clone())),
                        Some(Ok(Some(object))) => {
                            elsewhere.get_or_insert_with(|| Look::Elsewhere(Found::object(object, relative)));
                        }
                        Some(Err(e)) => drop(problem.get_or_insert_with(|| e.to_string())),
                        None if tier.len() <= ASKED && !is_url(place) && fs::symlink_metadata(place).is_ok() => {
                            let identity = identity(place);
                            let found = Found::file(Path::new(place), Path::new(relative));
                            if known(&identity) {
                                sources.insert(identity);
                            } else if Path::new(place).is_dir() {
                                elsewhere.get_or_insert(Look::Folder(identity, found));
                            } else {
                                elsewhere.get_or_insert(Look::Elsewhere(found));
                            }
                        }
                        _ => {}
                    }
                }
                // Two that are as near are a guess.
                match (sources.len(), sources.pop_first(), elsewhere) {
                    (1, Some(source), _) => return Look::Source(source),
                    (0, _, Some(elsewhere)) => return elsewhere,
                    (0, ..) => {}
                    _ => {
                        let problem =
                            format!("recording {name} can be several files; write a path that is one of them");
                        return Look::Nowhere(Found::nowhere(first, relative, problem));
                    }
                }
            }
            let problem = problem.unwrap_or_else(|| {
                let there = if is_url(name) { "object; correct the URL" } else { "file; correct the path" };
                format!("recording {name}: no such {there}, or copy it there")
            });
            Look::Nowhere(Found::nowhere(first, relative, problem))
        };
        Ok(names.iter().zip(&places).map(|(name, tiers)| look(name, tiers)).collect())
    }

    /// Whether a file lies in a folder of the sources: hidden there, or not to be told from others.
    pub fn hold(&self, found: &Found) -> bool {
        let place = identity(&found.uri);
        self.folders.iter().any(|folder| {
            let folder = if is_url(folder) { folder.clone() } else { identity(folder) };
            place.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/') || folder.ends_with('/'))
        })
    }

    /// The folders that names of the list may be relative to, in one form; those of one tier are as near as each other.
    pub fn roots(&self, list: &Path) -> [Vec<Name>; 3] {
        self.tiers(list).map(|folders| {
            let absolute = |folder: String| {
                if is_url(&folder) {
                    return Name::of(&folder);
                }
                Name::of(&full(Path::new(&folder)).unwrap_or_else(|_| folder.into()).to_string_lossy())
            };
            let mut roots: Vec<Name> = folders.into_iter().map(absolute).collect();
            roots.sort();
            roots.dedup();
            roots
        })
    }

    /// The list's folder, those that the sources name, and those that files of the sources lie in.
    fn tiers(&self, list: &Path) -> [Vec<String>; 3] {
        [vec![list_folder(list)], self.bases.clone(), self.near.iter().cloned().collect()]
    }

    /// Where a name of the call list may lie, best first; never empty.
    fn places(&self, name: &str, list: &Path) -> [Vec<String>; 2] {
        if is_url(name) {
            return [vec![name.to_owned()], Vec::new()];
        }
        let name = name.strip_prefix("file://").unwrap_or(name);
        let join = |folder: String| {
            if is_url(&folder) && !Path::new(name).is_absolute() {
                return format!("{folder}/{}", name.trim_start_matches("./"));
            }
            let path = Path::new(&folder).join(name);
            full(&path).unwrap_or(path).to_string_lossy().into_owned()
        };
        if Path::new(name).is_absolute() {
            return [vec![join(String::new())], Vec::new()];
        }
        let [own, bases, _] = self.tiers(list);
        [own, bases].map(|folders| folders.into_iter().map(join).collect())
    }
}

/// The folder, or prefix, in which the list lies.
fn list_folder(list: &Path) -> String {
    let text = list.to_string_lossy();
    if is_url(&text) {
        return text.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    }
    list.parent().unwrap_or(Path::new("")).to_string_lossy().into_owned()
}

/// What is the same for the names of one file that has several.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.nlink() > 1).then(|| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// The same for all spellings of one place.
fn identity(place: &str) -> String {
    if is_url(place) {
        return place.to_owned();
    }
    Path::new(place).canonicalize().map_or_else(|_| place.to_owned(), |path| path.to_string_lossy().into_owned())
}

fn spells_ending(pattern: &str) -> bool {
    let ending = Path::new(pattern).extension().and_then(|e| e.to_str());
    ending.is_some_and(|e| !e.contains(['*', '?', '[']))
}

fn full(path: &Path) -> Result<PathBuf, IngestError> {
    absolute(path).map_err(|source| IngestError::Io { path: path.to_owned(), source })
}
