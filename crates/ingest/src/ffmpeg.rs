//! What symphonia does not read, through an installed ffmpeg.
//!
//! Ffmpeg is a child process over foreign bytes, and is trusted with nothing: it gets the open file as its standard input
//! and the name of the demuxer, so that it neither guesses nor follows what a playlist or a movie refers to; it may open
//! plain files only and write none; its memory and its processor time are limited by the system; and while we wait for
//! samples, a clock runs. Samples come as 32-bit floats at the recording's own rate, and are resampled here like all others.

use crate::{
    container::Container,
    damage::{Damages, Kind},
    packets::{AudioInfo, CONVERT, check_shape, no_such_track},
};
use serde::Deserialize;
use std::{
    fs::File,
    io::{self, Read, Seek as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Address space of the child in KiB: ffmpeg with all its libraries maps 300 MiB before it reads a byte.
const MEMORY_KIB: u32 = 768 * 1024;
/// Processor seconds of the child. Ten hours of recording take a few minutes.
const PROCESSOR_S: u32 = 1800;
/// How long nothing may come while we wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Exit status of our shell where the program is not there.
const NOT_INSTALLED: i32 = 97;
/// Bytes of one message from the pipe.
const PIECE: usize = 1 << 16;
/// Pieces that wait for us; ffmpeg waits after that.
const PIECES: usize = 4;
/// What is kept of the child's complaints, in bytes.
const MAX_COMPLAINTS: u64 = 4096;
/// Bytes of ffprobe's answer; more than thousands of streams need.
const MAX_ANSWER: usize = 1 << 22;
/// Fills what no packet stands for with silence.
const BY_THE_CLOCK: &str = "aresample=async=1";
/// The same, and begins at the file's beginning: of sound that begins later. Of other sound it would cut off what codecs put
/// before the first stamp, which ffmpeg's own decoding keeps.
const BY_THE_CLOCK_FROM_0: &str = "aresample=async=1:first_pts=0";
/// Sound that begins later than this begins late; less is a codec's delay.
const LATE_S: f64 = 0.15;
/// Demuxers of which ffmpeg has the sound that it is asked for begin at once, whatever begins before it.
const AT_ONCE: [&str; 2] = ["mpegts", "mpeg"];
/// Sound that begins later than this after the picture has a clock that is wrong.
const MAX_LATE_S: f64 = 3600.0;
/// What ffmpeg says, by its version, when a packet cannot be decoded.
const LOST: [&str; 2] = ["Error while decoding", "Error submitting packet to decoder"];
/// Recordings may end this much before what their header promises: 1 s, and 2 %.
const END_TOLERANCE_S: f64 = 1.0;
const END_TOLERANCE: f64 = 0.02;

/// A track that a child process decodes.
pub(crate) struct Ffmpeg {
    pub info: AudioInfo,
    child: Running,
    /// Bytes that are not a whole frame yet.
    rest: Vec<u8>,
    given: u64,
    promised_s: Option<f64>,
    /// Frames of silence before the first, until they were given.
    late: u64,
    /// The first frames, decoded to see whether there are any.
    first: Option<Vec<Vec<f32>>>,
    /// What is missing or wrong, up to here.
    pub damages: Damages,
}

/// Why ffmpeg does not read a file.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is not installed; what to tell.
    Missing(String),
    /// It does not read it either.
    Failed(String),
}

impl From<String> for Unread {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

/// What ffprobe says of a file.
#[derive(Deserialize)]
struct Probe {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    program_version: ProgramVersion,
}

#[derive(Default, Deserialize)]
struct ProgramVersion {
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Stream {
    codec_type: Option<String>,
    codec_name: Option<String>,
    /// A number in quotation marks.
    sample_rate: Option<String>,
    channels: Option<usize>,
    /// Seconds in quotation marks.
    duration: Option<String>,
    /// The same; from anywhere.
    start_time: Option<String>,
}

impl Ffmpeg {
    /// Starts ffmpeg on audio track `track` of the file, of which it must give some samples. `what` is what symphonia found
    /// and does not read.
    pub fn open(mut file: File, container: Container, track: usize, what: &str) -> Result<Self, Unread> {
        let unreadable = |e: io::Error| format!("cannot be read: {e}");
        file.rewind().map_err(unreadable)?;
        let probe = probe(file.try_clone().map_err(unreadable)?, container, what)?;
        let tracks: Vec<&Stream> = probe.streams.iter().filter(|s| s.codec_type.as_deref() == Some("audio")).collect();
        let Some(stream) = tracks.get(track) else {
            return Err(Unread::Failed(match tracks.len() {
                0 => format!("has no audio track; {CONVERT}"),
                count => no_such_track(track, count),
            }));
        };
        let rate = stream.sample_rate.as_deref().and_then(|r| r.parse().ok()).unwrap_or(0);
        let channels = stream.channels.unwrap_or(0);
        check_shape(rate, channels)?;
        let version = probe.program_version.version.split_whitespace().next().unwrap_or_default().to_owned();
        let info = AudioInfo {
            container: container.name.into(),
            codec: stream.codec_name.clone().unwrap_or_else(|| "unknown".into()),
            sample_rate_hz: rate,
            channel_count: channels,
            track_count: tracks.len(),
            decoder: format!("ffmpeg {version}").trim_end().to_owned(),
        };
        let promised_s = stream.duration.as_deref().filter(|_| container.knows_length).and_then(|d| d.parse().ok());
        let after_others_s = late_s(&probe.streams, stream);
        let late_s = if AT_ONCE.contains(&container.demuxer) { after_others_s } else { 0.0 };
        file.rewind().map_err(unreadable)?;
        // The channels are not asked for: ffmpeg would mix those of one layout to the usual one of as many.
        let late = (late_s * f64::from(rate)).round() as u64;
        let (map, rate) = (format!("0:a:{track}"), rate.to_string());
        let mut arguments = vec!["-nostdin", "-threads", "1"];
        arguments.extend(input(container));
        arguments.extend(["-vn", "-map", &map]);
        if container.has_clock() {
            let is_late = after_others_s > LATE_S;
            arguments.extend(["-af", if is_late { BY_THE_CLOCK_FROM_0 } else { BY_THE_CLOCK }]);
        }
        arguments.extend(["-c:a", "pcm_f32le", "-ar", &rate, "-f", "f32le", "pipe:1"]);
        let child = Running::start("ffmpeg", &arguments, file)?;
        let (rest, damages) = (Vec::new(), Damages::default());
        let mut ffmpeg = Self { info, child, rest, given: 0, promised_s, late: 0, first: None, damages };
        ffmpeg.first = ffmpeg.next()?;
        if ffmpeg.first.is_none() {
            return Err(Unread::Failed("holds no sound (0 samples)".into()));
        }
        (ffmpeg.given, ffmpeg.late) = (0, late);
        Ok(ffmpeg)
    }

    /// The next frames, a vector a channel; none at the end.
    pub fn next(&mut self) -> Result<Option<Vec<Vec<f32>>>, String> {
        if self.late > 0 {
            let frames = self.late.min(u64::from(self.info.sample_rate_hz));
            self.late -= frames;
            self.given += frames;
            return Ok(Some(vec![vec![0.0; frames as usize]; self.info.channel_count]));
        }
        if let Some(planes) = self.first.take() {
            self.given += planes[0].len() as u64;
            return Ok(Some(planes));
        }
        let channels = self.info.channel_count;
        let frame = channels * size_of::<f32>();
        loop {
            match self.child.next() {
                Ok(Some(bytes)) => self.rest.extend(bytes),
                Ok(None) => return self.check_end().map(|()| None),
                // What came before is heard.
                Err(_) if self.given > 0 => {
                    self.damages.note(Kind::CutOff, self.seconds(), 0.0);
                    return Ok(None);
                }
                Err(why) => return Err(why),
            }
            let frames = self.rest.len() / frame;
            if frames == 0 {
                continue;
            }
            let mut planes = vec![Vec::with_capacity(frames); channels];
            for bytes in self.rest[..frames * frame].chunks_exact(frame) {
                for (plane, sample) in planes.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    let sample = f32::from_le_bytes(*sample);
                    plane.push(if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 });
                }
            }
            self.rest.drain(..frames * frame);
            self.given += frames as u64;
            return Ok(Some(planes));
        }
    }

    fn seconds(&self) -> f64 {
        self.given as f64 / f64::from(self.info.sample_rate_hz)
    }

    /// What the end says of the recording: it may have come early, and packets may have been lost on the way.
    fn check_end(&mut self) -> Result<(), String> {
        let (end, said) = self.child.end()?;
        let read = self.seconds();
        match end {
            End::Failed(why) if self.given == 0 => {
                return Err(format!("cannot be read by ffmpeg ({why}); copy the recording again, or {CONVERT}"));
            }
            End::Missing => return Err(format!("ffmpeg is gone; install it again, or {CONVERT}")),
            End::Well | End::Failed(_) if self.given == 0 => return Ok(()),
            End::Failed(_) => self.damages.note(Kind::CutOff, read, 0.0),
            End::Well => {}
        }
        if LOST.iter().any(|lost| said.contains(lost)) {
            // Where, ffmpeg does not say.
            self.damages.note(Kind::Lost, 0.0, 0.0);
        }
        if let Some(promised) = self.promised_s
            && read + END_TOLERANCE_S.max(promised * END_TOLERANCE) < promised
        {
            self.damages.note(Kind::CutOff, read, promised - read);
        }
        Ok(())
    }
}

/// Seconds that a stream begins after the first of the others; none where that makes no sense.
fn late_s(streams: &[Stream], stream: &Stream) -> f64 {
    let start = |stream: &Stream| stream.start_time.as_deref().and_then(|start| start.parse::<f64>().ok());
    let is_played = |stream: &&Stream| matches!(stream.codec_type.as_deref(), Some("audio" | "video"));
    let first = streams.iter().filter(is_played).filter_map(start).min_by(f64::total_cmp);
    let late_s = start(stream).zip(first).map_or(0.0, |(own, first)| own - first);
    if (0.0..MAX_LATE_S).contains(&late_s) { late_s } else { 0.0 }
}

/// Arguments of ffmpeg and ffprobe for the file on their standard input. It is named as a file, for a pipe could not be read
/// backwards, and the index of AVI and MP4 may stand at the end.
fn input(container: Container) -> [&'static str; 11] {
    let demuxer = container.demuxer;
    [
        "-hide_banner",
        "-v",
        "error",
        "-protocol_whitelist",
        "file",
        "-format_whitelist",
        demuxer,
        "-f",
        demuxer,
        "-i",
        "file:/dev/stdin",
    ]
}

/// What the file's streams are.
fn probe(file: File, container: Container, what: &str) -> Result<Probe, Unread> {
    let mut arguments = vec!["-show_streams", "-show_program_version", "-of", "json"];
    arguments.extend(input(container));
    let mut child = Running::start("ffprobe", &arguments, file)?;
    let mut answer = Vec::new();
    while let Some(bytes) = child.next()? {
        answer.extend(bytes);
        if answer.len() > MAX_ANSWER {
            return Err(format!("lists more streams than any recording has; {CONVERT}").into());
        }
    }
    match child.end()?.0 {
        End::Missing => Err(Unread::Missing(format!(
            "holds {what}, which only ffmpeg reads here; install ffmpeg (on Debian: sudo apt-get install ffmpeg), or {CONVERT}"
        ))),
        End::Failed(why) => {
            Err(format!("cannot be read by ffmpeg ({why}); copy the recording again, or {CONVERT}").into())
        }
        End::Well => {
            serde_json::from_slice(&answer).map_err(|e| format!("ffprobe's answer makes no sense: {e}").into())
        }
    }
}

/// The version of the ffmpeg that is installed; none where there is none.
pub fn ffmpeg_version() -> Option<String> {
    let output = Command::new("ffmpeg").arg("-version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.strip_prefix("ffmpeg version ")?.split_whitespace().next()?.to_owned())
}

/// How a child ended.
enum End {
    Well,
    /// The program is not installed.
    Missing,
    /// It gave up; why.
    Failed(String),
}

/// A child process under its limits, and what it writes. It ends with this value.
struct Running {
    child: Child,
    output: Receiver<Vec<u8>>,
    complaints: Option<JoinHandle<String>>,
}

impl Running {
    fn start(program: &str, arguments: &[&str], input: File) -> Result<Self, String> {
        // The shell sets the limits and becomes the program. No file may be written at all.
        let memory = if cfg!(target_os = "linux") { format!("ulimit -v {MEMORY_KIB} && ") } else { String::new() };
        let script = format!(
            "command -v \"$0\" >/dev/null || exit {NOT_INSTALLED}; \
             {memory}ulimit -t {PROCESSOR_S} && ulimit -f 0 && exec \"$0\" \"$@\""
        );
        let failed = |e: io::Error| format!("{program} cannot be started: {e}");
        let mut child = Command::new("sh")
            .args(["-c", &script, program])
            .args(arguments)
            .env_remove("FFREPORT") // would write a log file
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let (send, output) = sync_channel(PIECES);
        // They end with the pipes, and those with the child.
        thread::spawn(move || {
            let mut piece = vec![0; PIECE];
            while let Ok(read @ 1..) = out.read(&mut piece) {
                if send.send(piece[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let complaints = thread::spawn(move || {
            let mut kept = Vec::new();
            let _ = err.by_ref().take(MAX_COMPLAINTS).read_to_end(&mut kept);
            let _ = io::copy(&mut err, &mut io::sink());
            String::from_utf8_lossy(&kept).into_owned()
        });
        Ok(Self { child, output, complaints: Some(complaints) })
    }

    /// The next piece of its output; none at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.output.recv_timeout(PATIENCE) {
            Ok(piece) => Ok(Some(piece)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("ffmpeg gives nothing for {} s; {CONVERT}", PATIENCE.as_secs()))
            }
        }
    }

    /// Waits for the child, whose output has ended: how it ended, and what it said.
    fn end(&mut self) -> Result<(End, String), String> {
        let status = self.child.wait().map_err(|e| format!("ffmpeg is lost: {e}"))?;
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let why = complaint(&said);
        let end = match status.code() {
            Some(0) => End::Well,
            Some(NOT_INSTALLED) => End::Missing,
            Some(_) if !why.is_empty() => End::Failed(why),
            _ => End::Failed(status.to_string()),
        };
        Ok((end, said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Neither fails for a child that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last line of what the child said, without the address that ffmpeg puts before it.
fn complaint(said: &str) -> String {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let line = if line.starts_with('[') { line.split_once("] ").map_or(line, |(_, rest)| rest) } else { line };
    line.replace("file:/dev/stdin: ", "").chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_the_same_each_time() {
        let said = "[mov,mp4 @ 0x5581] first\n[mov,mp4 @ 0x5582] moov atom not found\n\n";
        assert_eq!(complaint(said), "moov atom not found");
        assert_eq!(
            complaint("file:/dev/stdin: Invalid data found when processing input\n"),
            "Invalid data found when processing input"
        );
        assert_eq!(complaint(""), "");
    }

    #[test]
    fn a_program_that_is_not_there() {
        let file = tempfile::tempfile().unwrap();
        let mut child = Running::start("no-such-program", &[], file).unwrap();
        assert!(child.next().unwrap().is_none());
        assert!(matches!(child.end().unwrap().0, End::Missing));
    }

    #[test]
    fn limits_are_set_in_the_child() {
        let file = tempfile::tempfile().unwrap();
        let mut child = Running::start("sh", &["-c", "ulimit -t; ulimit -f; ulimit -v"], file).unwrap();
        let mut said = Vec::new();
        while let Some(piece) = child.next().unwrap() {
            said.extend(piece);
        }
        assert!(matches!(child.end().unwrap().0, End::Well));
        let said = String::from_utf8(said).unwrap();
        let limits: Vec<&str> = said.lines().collect();
        assert_eq!(limits[..2], [&PROCESSOR_S.to_string(), "0"]);
        if cfg!(target_os = "linux") {
            assert_eq!(limits[2], MEMORY_KIB.to_string());
        }
    }
}
