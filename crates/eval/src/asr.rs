//! Recognition: the reference sets, the report, and the hypotheses as a file.

use crate::{Edits, EvalError, Listed};
use csv::StringRecord;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

/// A stretch of a recording and what is said in it.
#[derive(Clone, Debug, PartialEq)]
pub struct AsrItem {
    /// The recording; relative paths are joined to the folder of the set's file.
    pub audio: PathBuf,
    /// What is said.
    pub text: String,
    /// Unique in the set: the `id` column, else the recording's path with its channel and start.
    pub id: String,
    /// The channel, from 0; without one, all channels are mixed.
    pub channel: Option<i32>,
    /// Where the stretch begins, in seconds.
    pub start_s: Option<f64>,
    /// Where the stretch ends, in seconds.
    pub end_s: Option<f64>,
}

/// Reads a reference set: tab-separated, without quoting (texts hold quotes), the header naming `audio` and `text` and,
/// if wanted, `id`, `channel`, `start`, `end` (seconds). Other columns are passed over.
///
/// # Errors
/// A file that cannot be read; a header without `audio` or `text`; a row with another number of columns, without audio,
/// with a channel or time that is not a number, with an end before its start, or with the id of another row.
pub fn asr_set(path: &Path) -> Result<Vec<AsrItem>, EvalError> {
    let file = std::fs::File::open(path).map_err(|e| EvalError::io(path, e))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).flexible(true).from_reader(file);
    let header = reader.headers().map_err(|e| EvalError::csv(path, e))?.clone();
    let columns = Columns::of(path, &header)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut items = Vec::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|e| EvalError::csv(path, e))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let problem = format!(
                "the row has {} columns and the header {}; write one tab between columns and none inside them",
                record.len(),
                header.len()
            );
            return Err(EvalError::row(path, line, None, problem));
        }
        let item = columns.item(&Place { path, line }, folder, &record)?;
        if let Some(first) = lines.insert(item.id.clone(), line) {
            let problem = format!("{:?} is the id of line {first} too; give each row an id of its own", item.id);
            return Err(EvalError::row(path, line, Some("id"), problem));
        }
        items.push(item);
    }
    Ok(items)
}

/// A line of a file, for errors.
struct Place<'a> {
    path: &'a Path,
    line: u64,
}

impl Place<'_> {
    fn wrong(&self, column: &'static str, problem: impl Into<String>) -> EvalError {
        EvalError::row(self.path, self.line, Some(column), problem)
    }
}

/// Where the columns stand.
struct Columns {
    audio: usize,
    text: usize,
    id: Option<usize>,
    channel: Option<usize>,
    start: Option<usize>,
    end: Option<usize>,
}

impl Columns {
    fn of(path: &Path, header: &StringRecord) -> Result<Self, EvalError> {
        let find = |name| header.iter().position(|column| column.trim() == name);
        let must = |name| {
            find(name).ok_or_else(|| {
                let problem = "is missing; the first line must name the columns, audio and text among them, with tabs \
                               between them";
                EvalError::row(path, 1, Some(name), problem)
            })
        };
        Ok(Self {
            audio: must("audio")?,
            text: must("text")?,
            id: find("id"),
            channel: find("channel"),
            start: find("start"),
            end: find("end"),
        })
    }

    fn item(&self, place: &Place, folder: &Path, record: &StringRecord) -> Result<AsrItem, EvalError> {
        let cell = |column: Option<usize>| column.and_then(|c| record.get(c)).map(str::trim).filter(|c| !c.is_empty());
        let seconds = |name, column| match cell(column).map(str::parse::<f64>) {
            None => Ok(None),
            Some(Ok(s)) if s.is_finite() && s >= 0.0 => Ok(Some(s)),
            Some(_) => Err(place.wrong(name, format!("{:?} is not a time in seconds, such as 12.5", cell(column)))),
        };
        let Some(audio) = cell(Some(self.audio)) else {
            return Err(place.wrong("audio", "is empty; name the recording, relative to this file"));
        };
        let channel = match cell(self.channel).map(str::parse::<i32>) {
            None => None,
            Some(Ok(channel)) if channel >= 0 => Some(channel),
            Some(_) => {
                let problem = format!("{:?} is not a channel number; channels count from 0", cell(self.channel));
                return Err(place.wrong("channel", problem));
            }
        };
        let (start_s, end_s) = (seconds("start", self.start)?, seconds("end", self.end)?);
        if let Some(end) = end_s
            && end <= start_s.unwrap_or(0.0)
        {
            return Err(place.wrong("end", format!("{end} is not after the start, {}", start_s.unwrap_or(0.0))));
        }
        let id = cell(self.id).map_or_else(
            || {
                let channel = channel.map(|c| format!("#{c}")).unwrap_or_default();
                let start = start_s.map(|s| format!("@{s}")).unwrap_or_default();
                format!("{audio}{channel}{start}")
            },
            str::to_owned,
        );
        let text = cell(Some(self.text)).unwrap_or_default().to_owned();
        Ok(AsrItem { audio: folder.join(audio), text, id, channel, start_s, end_s })
    }
}

/// How well and how fast a set was recognized. Serializes to what `nightcall eval asr --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AsrReport {
    /// Word error rate after the Whisper English normalizer, a share.
    pub wer: f64,
    /// What it is made of.
    #[serde(flatten)]
    pub edits: Edits,
    /// Seconds of audio.
    pub audio_s: f64,
    /// Seconds that recognizing took.
    pub compute_s: f64,
    /// Seconds of audio per second of compute; 0 if no time was measured.
    pub rtfx: f64,
    /// The engine.
    pub engine: String,
    /// The model.
    pub model: String,
    /// What the pipeline's vocabulary did, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<Listed>,
}

impl AsrReport {
    /// Scores pairs of reference and hypothesis.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        audio_s: f64,
        compute_s: f64,
        engine: &str,
        model: &str,
    ) -> Self {
        let edits: Edits = pairs.into_iter().map(|(reference, hypothesis)| Edits::of(reference, hypothesis)).sum();
        Self {
            wer: edits.wer(),
            edits,
            audio_s,
            compute_s,
            rtfx: if compute_s > 0.0 { audio_s / compute_s } else { 0.0 },
            engine: engine.to_owned(),
            model: model.to_owned(),
            vocabulary: None,
        }
    }
}

/// Writes what was recognized beside what was said: tab-separated, a row an item, with the columns `id`, `words`,
/// `errors`, `text`, `hypothesis`. White space inside texts becomes one space.
///
/// # Errors
/// What the writer says.
pub fn write_hypotheses<'a>(
    out: impl Write,
    pairs: impl IntoIterator<Item = (&'a AsrItem, &'a str)>,
) -> Result<(), csv::Error> {
    let mut out = csv::WriterBuilder::new().delimiter(b'\t').quote_style(csv::QuoteStyle::Never).from_writer(out);
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    out.write_record(["id", "words", "errors", "text", "hypothesis"])?;
    for (item, hypothesis) in pairs {
        let edits = Edits::of(&item.text, hypothesis);
        let numbers = [edits.words.to_string(), edits.errors().to_string()];
        out.write_record([&flat(&item.id), &numbers[0], &numbers[1], &flat(&item.text), &flat(hypothesis)])?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(content: &str) -> Result<Vec<AsrItem>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.tsv");
        std::fs::write(&path, content).unwrap();
        asr_set(&path).map_err(|e| e.to_string().replace(&folder.path().display().to_string(), "F"))
    }

    #[test]
    fn reads_every_column_and_leaves_quotes_alone() {
        let items =
            set("\u{feff}audio\ttext\tchannel\tstart\tend\tnote\r\na.wav\t\"Hm,\" he said\t1\t0.5\t2\tx\n").unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].text, "\"Hm,\" he said");
        assert_eq!(items[0].id, "a.wav#1@0.5");
        assert_eq!((items[0].channel, items[0].start_s, items[0].end_s), (Some(1), Some(0.5), Some(2.0)));
        assert!(items[0].audio.ends_with("a.wav") && items[0].audio.is_absolute());
        assert_eq!(set("audio\ttext\na.wav\t\n").unwrap()[0].text, "");
    }

    #[test]
    fn errors_name_line_and_column() {
        let problem = |content| set(content).unwrap_err();
        assert!(problem("audio,text\na,b\n").starts_with("F/set.tsv: line 1, column audio: is missing"));
        assert!(problem("audio\ttext\na\tb\n\tc\n").starts_with("F/set.tsv: line 3, column audio: is empty"));
        assert!(problem("audio\ttext\na\tb\tc\n").starts_with("F/set.tsv: line 2: the row has 3 columns"));
        let times = problem("audio\ttext\tstart\na\tsecret\tsoon\n");
        assert!(times.starts_with("F/set.tsv: line 2, column start: ") && times.contains("soon"), "{times}");
        assert!(!times.contains("secret"));
        assert!(problem("audio\ttext\tend\tstart\na\tb\t1\t2\n").contains("column end: 1 is not after the start, 2"));
        assert!(problem("audio\ttext\tchannel\na\tb\t-1\n").contains("column channel"));
        assert!(
            problem("audio\ttext\tid\na\tb\tx\nc\td\tx\n").contains("line 3, column id: \"x\" is the id of line 2")
        );
    }

    #[test]
    fn a_report_sums_over_the_set() {
        let pairs = [("the red house", "the red"), ("sold", "told today")];
        let report = AsrReport::new(pairs, 10.0, 0.5, "moonshine", "moonshine-tiny-en");
        assert_eq!((report.edits.words, report.edits.errors()), (4, 3));
        let json = serde_json::to_value(&report).unwrap();
        let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let wanted = [
            "audio_s",
            "compute_s",
            "deletions",
            "engine",
            "insertions",
            "model",
            "rtfx",
            "substitutions",
            "wer",
            "words",
        ];
        assert_eq!(keys, wanted);
        assert_eq!(serde_json::from_value::<AsrReport>(json).unwrap(), report);
    }

    #[test]
    fn hypotheses_are_a_row_each() {
        let items = set("audio\ttext\na.wav\t\"Hi\" there\n").unwrap();
        let mut out = Vec::new();
        write_hypotheses(&mut out, items.iter().zip(["high\tthere"])).unwrap();
        let wanted = "id\twords\terrors\ttext\thypothesis\na.wav\t2\t1\t\"Hi\" there\thigh there\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
