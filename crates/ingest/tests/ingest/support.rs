//! Sounds, files and a sink for the tests.

use arrow::array::RecordBatch;
use schema::{AudioBlock, Call, CallFailure, Item, Recording, Sink, Stage, StageError, Table, from_batch, to_batch};
use std::{
    f64::consts::TAU,
    path::{Path, PathBuf},
    process::Command,
};

/// What a sink was given, in order.
#[derive(Debug, Default)]
pub struct Collector {
    pub audio: Vec<AudioBlock>,
    pub calls: Vec<Call>,
    pub failures: Vec<CallFailure>,
    /// `audio ID`, `fail ID` and `calls ID`, each run of equal ones once.
    pub order: Vec<String>,
    /// Closes after this many batches.
    pub closes_after: Option<usize>,
    /// Drops the sound, as the recognizer does when it has heard it.
    pub drops_audio: bool,
}

impl Collector {
    fn step(&mut self, what: &str, call: &str) {
        let step = format!("{what} {call}");
        if self.order.last() != Some(&step) {
            self.order.push(step);
        }
    }

    pub fn call(&self, id: &str) -> &Call {
        self.calls.iter().find(|c| c.call_id == id).unwrap_or_else(|| panic!("no call {id}"))
    }

    /// All samples of a channel; its blocks must follow each other and end with a last one.
    pub fn samples(&self, call: &str, channel: i32) -> Vec<f32> {
        let mut samples = Vec::new();
        let mut ended = false;
        for block in self.audio.iter().filter(|b| b.call_id == call && b.channel == channel) {
            assert!(!ended, "a block after the last");
            assert_eq!(block.first_sample as usize, samples.len());
            samples.extend(&block.samples);
            ended = block.last;
        }
        assert!(ended, "channel {channel} of {call} has no last block");
        samples
    }
}

impl Sink for Collector {
    fn batch(&mut self, table: Table, batch: RecordBatch) -> Result<(), StageError> {
        if let Some(left) = &mut self.closes_after {
            *left = left.checked_sub(1).ok_or(StageError::Closed)?;
        }
        match table {
            Table::Audio => {
                for block in AudioBlock::from_batch(&batch)? {
                    self.step("audio", &block.call_id);
                    if !self.drops_audio {
                        self.audio.push(block);
                    }
                }
            }
            Table::Calls => {
                for call in from_batch::<Call>(&batch)? {
                    self.step("calls", &call.call_id);
                    self.calls.push(call);
                }
            }
            other => panic!("ingest wrote {other:?}"),
        }
        Ok(())
    }

    fn fail(&mut self, failure: CallFailure) -> Result<(), StageError> {
        self.step("fail", &failure.call_id);
        self.failures.push(failure);
        Ok(())
    }
}

/// Runs the stage over the recordings.
pub fn ingest(recordings: &[Recording], config: ingest::IngestConfig) -> Collector {
    let mut out = Collector::default();
    run(recordings, config, &mut out).unwrap();
    out
}

pub fn run(recordings: &[Recording], config: ingest::IngestConfig, out: &mut Collector) -> Result<(), StageError> {
    let batch = to_batch(recordings).unwrap();
    ingest::Ingest::new(config).run(&mut [Item::Batch(Table::Recordings, batch)].into_iter(), out)
}

/// A recording that no row names.
pub fn recording(id: &str, path: &Path) -> Recording {
    Recording {
        call_id: id.into(),
        started_on: None,
        source_uri: path.to_str().unwrap().into(),
        source_version: None,
        started_at: None,
        direction: None,
        language: None,
        participants: Vec::new(),
        crm: std::collections::BTreeMap::new(),
        problem: None,
        byte_size: None,
        content_sha256: None,
        duplicate_of: None,
        track: None,
        r#match: None,
    }
}

/// Something like speech in its band: a few gliding tones that swell and fade, different for each `seed`.
pub fn voice(rate: u32, seconds: f64, seed: u32) -> Vec<f64> {
    let rate = f64::from(rate);
    let base = 150.0 + 37.0 * f64::from(seed);
    (0..(rate * seconds).round() as usize)
        .map(|i| {
            let t = i as f64 / rate;
            let glide = TAU * (base * t + 20.0 * (TAU * 0.7 * t).sin());
            let swell = 0.55 + 0.45 * (TAU * 1.3 * t + f64::from(seed)).sin();
            swell * (0.3 * glide.sin() + 0.2 * (3.0 * glide).sin() + 0.12 * (7.0 * glide).sin())
        })
        .collect()
}

/// Samples of a WAV file and how they are written.
#[derive(Clone, Copy, Debug)]
pub enum Coding {
    Int(u16),
    Float(u16),
    MuLaw,
    ALaw,
}

impl Coding {
    fn tag_and_bits(self) -> (u16, u16) {
        match self {
            Self::Int(bits) => (1, bits),
            Self::Float(bits) => (3, bits),
            Self::ALaw => (6, 8),
            Self::MuLaw => (7, 8),
        }
    }

    fn write(self, sample: f64, data: &mut Vec<u8>) {
        match self {
            Self::Int(8) => data.push((sample * 127.0 + 128.0).round() as u8),
            Self::Int(bits) => {
                let full = 2f64.powi(i32::from(bits) - 1);
                let value = (sample * full).round().clamp(-full, full - 1.0) as i64;
                data.extend(&value.to_le_bytes()[..usize::from(bits / 8)]);
            }
            Self::Float(32) => data.extend((sample as f32).to_le_bytes()),
            Self::Float(_) => data.extend(sample.to_le_bytes()),
            Self::MuLaw => data.push(mu_law(sample)),
            Self::ALaw => data.push(a_law(sample)),
        }
    }
}

/// G.711 mu-law, from its definition: the sign, the segment, four bits within it, all inverted.
fn mu_law(sample: f64) -> u8 {
    let magnitude = ((sample.abs() * 32768.0) as u32).min(32635) + 132;
    let segment = magnitude.ilog2() - 7;
    let step = magnitude >> (segment + 3) & 15;
    !((u8::from(sample < 0.0) << 7) | (segment << 4 | step) as u8)
}

/// G.711 A-law: as above, but linear in the first segment, and every other bit inverted.
fn a_law(sample: f64) -> u8 {
    let magnitude = ((sample.abs() * 32768.0) as u32).min(32767);
    let segment = magnitude.max(128).ilog2() - 7;
    let step = magnitude >> (segment.max(1) + 3) & 15;
    ((u8::from(sample >= 0.0) << 7) | (segment << 4 | step) as u8) ^ 0x55
}

/// A WAV file of these channels.
pub fn wav(coding: Coding, rate: u32, channels: &[Vec<f64>]) -> Vec<u8> {
    let mut data = Vec::new();
    for i in 0..channels[0].len() {
        for channel in channels {
            coding.write(channel[i], &mut data);
        }
    }
    let (tag, bits) = coding.tag_and_bits();
    let frame = bits / 8 * channels.len() as u16;
    let mut format = Vec::new();
    for field in [tag, channels.len() as u16] {
        format.extend(field.to_le_bytes());
    }
    for field in [rate, rate * u32::from(frame)] {
        format.extend(field.to_le_bytes());
    }
    for field in [frame, bits] {
        format.extend(field.to_le_bytes());
    }
    if tag != 1 {
        format.extend(0u16.to_le_bytes());
    }
    let mut file = b"RIFF".to_vec();
    file.extend((4 + 8 + format.len() as u32 + 8 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend((format.len() as u32).to_le_bytes());
    file.extend(format);
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

pub fn sha256(bytes: &[u8]) -> String {
    use {sha2::Digest as _, std::fmt::Write as _};
    sha2::Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Runs a tool on the machine; false where it is not installed.
pub fn tool(name: &str, arguments: &[&str]) -> bool {
    let Ok(output) = Command::new(name).args(arguments).output() else {
        println!("skipped: needs {name}");
        return false;
    };
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    true
}

/// A whole recording as the decoder gives it, before its channels are made fit to be listened to.
pub fn decode(path: &Path) -> Result<(ingest::AudioInfo, Vec<Vec<f32>>), ingest::IngestError> {
    let mut decoder = ingest::Decoder::open(path)?;
    let mut channels = vec![Vec::new(); decoder.info().channel_count];
    while let Some(block) = decoder.next_block()? {
        for (channel, samples) in channels.iter_mut().zip(block) {
            channel.extend(samples);
        }
    }
    Ok((decoder.info().clone(), channels))
}

/// What ffmpeg decodes a file to: 16 kHz, a vector a channel. Opus through libopus, the reference: ffmpeg's own decoder of it
/// is another, and correlates with libopus by 0.995 on speech.
pub fn ffmpeg_decode(path: &Path, codec: &str, channels: usize) -> Vec<Vec<f32>> {
    let decoder: &[&str] = if codec == "opus" { &["-c:a", "libopus"] } else { &[] };
    let output = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(decoder)
        .args(["-i", path.to_str().unwrap(), "-map", "0:a:0", "-ar", "16000", "-f", "f32le", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let samples: Vec<f32> = output.stdout.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    (0..channels).map(|c| samples.iter().skip(c).step_by(channels).copied().collect()).collect()
}

/// The best correlation of two signals over shifts of up to `reach` samples, and the shift (positive: `a` is later). The
/// shift is looked for in two seconds from the middle.
pub fn correlate(a: &[f32], b: &[f32], reach: i64) -> (f64, i64) {
    let shifted = |a: &[f32], b: &[f32], shift: i64| {
        let (a, b) = (&a[(shift.max(0) as usize).min(a.len())..], &b[((-shift).max(0) as usize).min(b.len())..]);
        let (mut ab, mut aa, mut bb) = (0.0f64, 1e-12f64, 1e-12f64);
        for (x, y) in a.iter().zip(b) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
        }
        ab / (aa * bb).sqrt()
    };
    let length = a.len().min(b.len());
    let middle = (length / 2).saturating_sub(16_000)..(length / 2 + 16_000).min(length);
    let (short_a, short_b) = (&a[middle.clone()], &b[middle]);
    let best = (-reach..=reach).max_by(|x, y| shifted(short_a, short_b, *x).total_cmp(&shifted(short_a, short_b, *y)));
    let shift = best.unwrap_or_default();
    (shifted(a, b, shift), shift)
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/calls")
}

/// A folder beside the checkout, where there is one.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    let there = path.is_dir();
    if !there {
        println!("skipped: needs shared/{name} beside the checkout");
    }
    there.then_some(path)
}

/// An .xlsx file with these rows as text in its only sheet.
pub fn workbook(rows: &[Vec<String>]) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut sheet =
        String::from("<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>");
    for (number, row) in (1..).zip(rows) {
        write!(sheet, "<row r=\"{number}\">").unwrap();
        for (column, cell) in (b'A'..).zip(row) {
            let text = cell.replace('&', "&amp;").replace('<', "&lt;");
            let place = format!("{}{number}", char::from(column));
            write!(sheet, "<c r=\"{place}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{text}</t></is></c>")
                .unwrap();
        }
        sheet += "</row>";
    }
    sheet += "</sheetData></worksheet>";
    archive(&[
        (
            "[Content_Types].xml",
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"xml\" \
             ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.\
             openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/></Types>",
        ),
        (
            "_rels/.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" \
             Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
             Target=\"xl/workbook.xml\"/></Relationships>",
        ),
        (
            "xl/workbook.xml",
            "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.\
             openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"Calls\" sheetId=\"1\" \
             r:id=\"rId1\"/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" \
             Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" \
             Target=\"worksheets/sheet1.xml\"/></Relationships>",
        ),
        ("xl/worksheets/sheet1.xml", &sheet),
    ])
}

/// A ZIP archive of stored files.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut sum = u32::MAX;
        for byte in content.bytes() {
            sum ^= u32::from(byte);
            (0..8).for_each(|_| sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 });
        }
        let at = out.len() as u32;
        let mut header = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x5a];
        header.extend((!sum).to_le_bytes());
        header.extend((content.len() as u32).to_le_bytes().repeat(2));
        header.extend((name.len() as u16).to_le_bytes());
        header.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&header);
        out.extend(name.bytes().chain(content.bytes()));
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&header);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.bytes());
    }
    let at = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((files.len() as u16).to_le_bytes().repeat(2));
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}
