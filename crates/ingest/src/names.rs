//! Names of recordings in one form, so that a list and a folder that spell one name differently still mean one file.
//!
//! Lists come from other machines: with other slashes, in other case, percent-encoded, with letters and their accents
//! composed or apart, with the folders of the machine that recorded. [`fold`] takes all of that away but the folders;
//! [`Name`] keeps those apart, and [`Keys`] hashes a name from its end, part by part, so that names which share their last
//! parts share keys.

use std::hash::{DefaultHasher, Hash, Hasher};
use unicode_normalization::UnicodeNormalization;

/// Parts of a name that are compared, from its end. Folders above are the machine's and not the recording's.
pub(crate) const DEPTH: usize = 12;
/// Letters and digits of an ending at most; what is longer after a dot belongs to the name.
const LONGEST_ENDING: usize = 5;

/// Letters whose case, composition, width and percent-encoding make no difference, and blanks that are one.
pub(crate) fn fold(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if text.bytes().all(plain) {
        return text.to_owned(); // most names, and at once
    }
    let mut text = text.to_owned();
    // However often it was encoded: each time it grew.
    while let Some(less) = decoded(&text) {
        text = less;
    }
    // Folding may give letters that compose anew, hence twice.
    let once = fold_case(&text.nfkc().collect::<String>());
    let twice = fold_case(&once.nfkc().collect::<String>());
    let twice = twice.nfkc().collect::<String>();
    let visible: String = twice
        .chars()
        // A plus is a blank in the URLs of forms.
        .map(|c| if c == '+' { ' ' } else { c })
        .filter(|&c| c.is_whitespace() || !(c.is_control() || is_invisible(c)))
        .collect();
    let folded = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    // A name of nothing else is still a name, and no folder.
    if folded.trim_matches('.').is_empty() { twice } else { folded }
}

/// Upper and lower case of a letter are one, also where one is two letters.
pub(crate) fn fold_case(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// What is not seen and may stand in a name without anybody's knowing: marks of direction, joiners, byte order marks.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// The text with one layer of percent-encoding taken off; none where there is nothing to take off.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|&b| char::from(b).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    // Byte by byte where it is no UTF-8: the rest of the name is read as it is.
    let chars = |chunk: std::str::Utf8Chunk<'_>| {
        let invalid = chunk.invalid().iter().map(|&byte| char::from(byte));
        chunk.valid().chars().chain(invalid).collect::<String>()
    };
    (plain.len() < bytes.len()).then(|| plain.utf8_chunks().map(chars).collect())
}

/// A name without its ending; none where it has none. An ending has a few letters and digits, and not digits alone:
/// `call.2026.03` has none.
pub(crate) fn stem(base: &str) -> Option<&str> {
    let (stem, ending) = base.rsplit_once('.')?;
    let is_ending = (1..=LONGEST_ENDING).contains(&ending.chars().count())
        && ending.chars().all(char::is_alphanumeric)
        && ending.chars().any(char::is_alphabetic);
    (is_ending && !stem.trim_matches('.').is_empty()).then_some(stem)
}

/// A name as its parts: folders and, last, the file, each folded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub parts: Vec<String>,
}

impl Name {
    /// The parts of a path or URL, of this or of another system; `..` takes a folder off, and what is empty is none.
    pub fn of(text: &str) -> Self {
        let mut parts: Vec<String> = Vec::new();
        for part in path_of(text).split(['/', '\\']) {
            let part = fold(part);
            match part.as_str() {
                "" | "." => {}
                ".." => drop(parts.pop()),
                // What was a slash before it was encoded parts folders too.
                _ if part.contains(['/', '\\']) => {
                    parts.extend(part.split(['/', '\\']).map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned));
                }
                _ => parts.push(part),
            }
        }
        Self { parts }
    }

    /// What a text of a list may mean: its path, and what the query of a URL names.
    pub fn all_of(text: &str) -> Vec<Self> {
        let mut names = vec![Self::of(text)];
        if let Some((_, query)) = text.split_once('?').filter(|_| text.contains("://")) {
            names.extend(
                query.split(['&', ';', '#']).map(|pair| Self::of(pair.split_once('=').map_or(pair, |(_, v)| v))),
            );
        }
        names.retain(|name| !name.parts.is_empty());
        names
    }

    /// The parts of a folder and, below it, of this name.
    pub fn below(&self, folder: &Self) -> Self {
        Self { parts: folder.parts.iter().chain(&self.parts).cloned().collect() }
    }

    /// One key of all its parts.
    pub fn whole(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.parts.hash(&mut hasher);
        hasher.finish()
    }

    /// The file's name.
    pub fn base(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// Keys of the name as it is.
    pub fn keys(&self) -> Keys {
        Keys::of(&self.parts, self.base())
    }

    /// Keys of the name without its ending; none where it has none.
    pub fn stem_keys(&self) -> Option<Keys> {
        stem(self.base()).map(|stem| Keys::of(&self.parts, stem.trim()))
    }
}

/// The path of a URL, without scheme, server, query and fragment; other text as it is.
fn path_of(text: &str) -> &str {
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    if scheme.is_empty() || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '-' || c == '.') {
        return text;
    }
    let path = rest.find(['/', '\\']).map_or(rest, |slash| &rest[slash..]);
    // In the names of files and objects a question mark is a character.
    if scheme.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("http")) {
        path.split(['?', '#']).next().unwrap_or(path)
    } else {
        path
    }
}

/// Hashes of a name's last part, of its last two, and so on, up to [`DEPTH`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys(pub Vec<u64>);

impl Keys {
    fn of(parts: &[String], base: &str) -> Self {
        let mut key = 0;
        let folders = parts.iter().rev().skip(1).map(String::as_str);
        let keys = std::iter::once(base).chain(folders).take(DEPTH).map(|part| {
            // Keys that are made without a secret are the same in every run.
            let mut hasher = DefaultHasher::new();
            (key, part).hash(&mut hasher);
            key = hasher.finish();
            key
        });
        Self(keys.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        let same: &[&[&str]] = &[
            &[
                "Müller.wav",
                "Mu\u{308}ller.WAV",
                "M%C3%BCller.wav",
                "M%FCller.wav",
                "m%25C3%25BCller.wav",
                "MÜLLER.wav",
            ],
            &["a b.wav", "a%20b.wav", "a+b.wav", " A\u{a0}B.wav ", "a \u{200e}b.wav", "ａ ｂ.wav"],
            &["straße", "STRASSE", "Strasse"],
            &["ﬁle №1", "FILE NO1"],
            &["Σίσυφος", "σίσυφοσ"],
            &["100%", "100%"],
        ];
        for names in same {
            names.iter().for_each(|name| assert_eq!(fold(name), fold(names[0]), "{name}"));
        }
        assert_ne!(fold("a.wav"), fold("á.wav"));
        for text in ["ΐ ŉ ǰ ẖ", "%4d%25%32%30", "İstanbul", "\u{1e9e}", "ͅα"] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }

    #[test]
    fn names_that_are_encoded_in_part() {
        for name in ["Gü.Gü.%ec:r", "Müller%20%FC.wav", "é%e9", "100%C3%A9ñ", "Ü%DF%FF"] {
            assert_eq!(fold(name), fold(&name.to_uppercase()), "{name}");
            assert_eq!(fold(name), fold(&name.to_lowercase()), "{name}");
        }
        assert_eq!(fold("M%FCller"), fold("Müller"));
    }

    #[test]
    fn names_of_nothing_that_is_seen_are_names() {
        for name in ["%11.", "\u{1}", "%00", "\u{200b}.", "..\u{7f}"] {
            let encoded = name.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
            assert_eq!(Name::of(name).parts.len(), 1, "{name:?}");
            assert_eq!(Name::of(&format!("https://pbx.example/{encoded}")).parts.last(), Name::of(name).parts.last());
        }
        assert!(Name::of("./.").parts.is_empty());
    }

    #[test]
    fn parts_of_paths_of_every_system() {
        let parts = |text: &str| Name::of(text).parts.join("|");
        assert_eq!(parts(r"C:\Rec\2026\A.wav"), "c:|rec|2026|a.wav");
        assert_eq!(parts(r"\\server\share\a.wav"), "server|share|a.wav");
        assert_eq!(parts("./rec//x/../a.wav"), "rec|a.wav");
        assert_eq!(parts("../../a.wav"), "a.wav");
        assert_eq!(parts("file:///data/rec/a%20b.wav"), "data|rec|a b.wav");
        assert_eq!(parts("https://pbx.example/rec/a.wav?token=x/y#t"), "rec|a.wav");
        assert_eq!(parts("s3://bucket/rec/what?.wav"), "rec|what?.wav");
        assert_eq!(parts("rec%2Fa.wav"), "rec|a.wav");
        assert_eq!(parts(""), "");
        let all = Name::all_of("https://pbx.example/play?id=77&file=2026%2Fa+b.wav");
        assert_eq!(all.iter().map(|n| n.parts.join("|")).collect::<Vec<_>>(), ["play", "77", "2026|a b.wav"]);
    }

    #[test]
    fn endings() {
        assert_eq!(stem("a.wav"), Some("a"));
        assert_eq!(stem("a.b.mp3"), Some("a.b"));
        for without in ["a", "call.2026.03", ".wav", "a.", "v1.final take", "a.recording"] {
            assert_eq!(stem(without), None, "{without}");
        }
    }

    #[test]
    fn keys_from_the_end() {
        let keys = |text: &str| Name::of(text).keys().0;
        let (long, short) = (keys("/export/2026/rec/a.wav"), keys("rec/A.WAV"));
        assert_eq!(long[..2], short[..]);
        assert_ne!(long[1], keys("other/a.wav")[1]);
        assert_eq!(Name::of("rec/a.mp3").stem_keys().unwrap().0, keys("rec/a"));
        assert_eq!(Name::of("rec/a").stem_keys(), None);
    }
}
