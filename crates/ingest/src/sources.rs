//! Where recordings lie: files, folders, globs, and prefixes of buckets.

use crate::{IngestConfig, IngestError, Problem};
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
}

impl Found {
    /// A file; that it may not be there is a problem of its own.
    fn file(path: &Path, relative: &Path) -> Self {
        let (version, mut problem) = match fs::metadata(path) {
            Ok(metadata) => (Some(Version::of_file(&metadata)), None),
            Err(e) => (None, Some(format!("{}: {e}", path.display()))),
        };
        if path.to_str().is_none() {
            problem = Some(format!("{}: its name is not UTF-8; rename it", path.display()));
        }
        let relative = relative.to_string_lossy().replace('\\', "/");
        Self { uri: path.to_string_lossy().into_owned(), relative, version, problem }
    }

    fn object(object: &Object, relative: &str) -> Self {
        let version = Some(Version::of_object(object));
        Self { uri: object.url.clone(), relative: relative.to_owned(), version, problem: None }
    }

    /// What nothing was found behind.
    fn nowhere(uri: String, relative: &str, problem: String) -> Self {
        Self { uri, relative: relative.to_owned(), version: None, problem: Some(problem) }
    }

    /// What the recording can be called, best first; the last is unique.
    pub fn names(&self) -> Vec<String> {
        let folder = self.relative.rfind('/').map_or(0, |slash| slash + 1);
        let dot = self.relative[folder..].rfind('.').filter(|&dot| dot > 0).map(|dot| folder + dot);
        let bare = &self.relative[..dot.unwrap_or(self.relative.len())];
        vec![bare[folder..].to_owned(), bare.to_owned(), self.relative.clone(), self.uri.clone()]
    }
}

/// The recordings of all sources.
pub(crate) struct Sources<'a> {
    config: &'a IngestConfig,
    /// By canonical path or URL, so that a recording has one row however many sources name it.
    found: BTreeMap<String, Found>,
    /// Where names of a call list are looked for: folders, and buckets' prefixes.
    folders: Vec<String>,
    /// The list and the CRM file, which are no recordings even where a glob matches them.
    lists: Vec<String>,
    pub problems: Vec<Problem>,
}

impl<'a> Sources<'a> {
    /// Finds the recordings of the sources.
    pub fn find(sources: &[String], lists: &[&Path], config: &'a IngestConfig) -> Result<Self, IngestError> {
        let lists = lists.iter().map(|path| identity(&path.to_string_lossy())).collect();
        let mut all = Self { config, found: BTreeMap::new(), folders: Vec::new(), lists, problems: Vec::new() };
        for source in sources {
            let local = source.strip_prefix("file://").unwrap_or(source);
            let path = Path::new(local);
            if is_url(source) {
                all.bucket(source)?;
            } else if path.is_dir() {
                all.walk(path)?;
            } else if fs::symlink_metadata(path).is_ok() {
                all.file(path, Path::new(path.file_name().unwrap_or(path.as_os_str())))?;
            } else {
                all.glob(local)?;
            }
        }
        Ok(all)
    }

    /// Takes a recording out.
    pub fn take(&mut self, identity: &str) -> Option<Found> {
        self.found.remove(identity)
    }

    /// Takes all that are left.
    pub fn rest(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found).into_values().collect()
    }

    /// All objects below a prefix, the object of that name, or those that a glob matches.
    fn bucket(&mut self, url: &str) -> Result<(), IngestError> {
        let prefix = url.trim_end_matches('/');
        let listed = objects::list(prefix)?;
        if let Some(object) = listed.iter().find(|object| object.url == prefix) {
            let name = prefix.rsplit('/').next().unwrap_or(prefix);
            self.add(object.url.clone(), Found::object(object, name));
            return Ok(());
        }
        if !listed.is_empty() {
            self.folders.push(prefix.to_owned());
            for object in &listed {
                let relative = object.url.strip_prefix(prefix).unwrap_or(&object.url).trim_start_matches('/');
                let hidden = relative.split('/').any(|part| part.starts_with('.'));
                if !hidden && self.is_audio(Path::new(&object.url)) {
                    self.add(object.url.clone(), Found::object(object, relative));
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
        let mut any = false;
        for object in objects::list(&url[..base])? {
            if pattern.matches_with(&object.url, options) && (spelled || self.is_audio(Path::new(&object.url))) {
                any = true;
                let name = object.url.rsplit('/').next().unwrap_or(&object.url).to_owned();
                self.add(object.url.clone(), Found::object(&object, &name));
            }
        }
        if any { Ok(()) } else { Err(none()) }
    }

    /// A pattern that spells out the ending (`*.raw`) takes every file; another takes those with a known ending.
    fn glob(&mut self, pattern: &str) -> Result<(), IngestError> {
        let paths = glob::glob(pattern).map_err(|source| IngestError::Glob { pattern: pattern.to_owned(), source })?;
        let spelled = spells_ending(pattern);
        let mut any = false;
        for path in paths {
            match path {
                Ok(path) if path.is_dir() => {
                    any = true;
                    self.walk(&path)?;
                }
                Ok(path) if spelled || self.is_audio(&path) => {
                    any = true;
                    self.file(&path, Path::new(path.file_name().unwrap_or_default()))?;
                }
                Ok(_) => {}
                Err(e) => self.pass_over(e.path().to_owned(), e.error()),
            }
        }
        if any { Ok(()) } else { Err(IngestError::NoSuchSource { pattern: pattern.to_owned() }) }
    }

    /// All recordings below a folder. Hidden files and folders are passed over; links are followed, loops are not.
    fn walk(&mut self, root: &Path) -> Result<(), IngestError> {
        self.folders.push(root.to_string_lossy().into_owned());
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
                    self.file(&path, &relative)?;
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

    fn file(&mut self, path: &Path, relative: &Path) -> Result<(), IngestError> {
        let path = full(path)?;
        self.add(identity(&path.to_string_lossy()), Found::file(&path, relative));
        Ok(())
    }

    fn add(&mut self, identity: String, found: Found) {
        if self.lists.contains(&identity) {
            return;
        }
        // Of two spellings of one file the same one wins whatever the order of the sources.
        match self.found.get_mut(&identity) {
            Some(old) if (&old.relative, &old.uri) <= (&found.relative, &found.uri) => {}
            Some(old) => *old = found,
            None => drop(self.found.insert(identity, found)),
        }
    }

    /// What the names of a call list mean, each with its identity: looked for in the list's folder first, then in the
    /// sources' folders and prefixes.
    pub fn look(&self, names: &[&str], list: &Path) -> Result<Vec<(String, Found)>, IngestError> {
        let places: Vec<Vec<String>> = names.iter().map(|name| self.places(name, list)).collect();
        let known = |place: &String| self.found.contains_key(place);
        let mut urls: Vec<String> = places
            .iter()
            .filter(|places| !places.iter().any(known))
            .flatten()
            .filter(|place| is_url(place))
            .cloned()
            .collect();
        urls.sort();
        urls.dedup();
        let objects: HashMap<String, _> = urls.iter().cloned().zip(objects::find(&urls)?).collect();
        let look = |name: &&str, places: &Vec<String>| {
            let last = name.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or(name);
            let relative = if is_url(name) || Path::new(name).is_absolute() { last } else { name };
            let mut problem = None;
            for place in places {
                if known(place) {
                    return (place.clone(), self.found[place].clone());
                }
                match objects.get(place) {
                    Some(Ok(Some(object))) => return (place.clone(), Found::object(object, relative)),
                    Some(Err(e)) => drop(problem.get_or_insert_with(|| e.to_string())),
                    None if !is_url(place) && fs::symlink_metadata(place).is_ok() => {
                        return (identity(place), Found::file(Path::new(place), Path::new(relative)));
                    }
                    _ => {}
                }
            }
            let problem = problem.unwrap_or_else(|| {
                let there = if is_url(name) { "object; correct the URL" } else { "file; correct the path" };
                format!("recording {name}: no such {there}, or copy it there")
            });
            (places[0].clone(), Found::nowhere(places[0].clone(), relative, problem))
        };
        Ok(names.iter().zip(&places).map(|(name, places)| look(name, places)).collect())
    }

    /// Where a name of the call list may lie, best first; never empty.
    fn places(&self, name: &str, list: &Path) -> Vec<String> {
        if is_url(name) {
            return vec![name.to_owned()];
        }
        let name = name.strip_prefix("file://").unwrap_or(name);
        let list = list.to_string_lossy();
        let folder = if is_url(&list) {
            list.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
        } else {
            Path::new(&*list).parent().unwrap_or(Path::new("")).to_string_lossy().into_owned()
        };
        let join = |folder: &String| {
            if is_url(folder) && !Path::new(name).is_absolute() {
                return format!("{folder}/{}", name.trim_start_matches("./"));
            }
            let path = Path::new(folder).join(name);
            full(&path).unwrap_or(path).to_string_lossy().into_owned()
        };
        std::iter::once(&folder).chain(&self.folders).map(join).collect()
    }
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
