//! Every format: what comes out is what went in, or what ffmpeg makes of it.

use crate::support::{
    Coding, correlate, decode, ffmpeg_decode, fixtures, ingest, recording, shared, tool, voice, wav, write,
};
use ingest::{Decoder, IngestConfig};
use std::path::Path;

#[test]
fn pcm_of_every_width() {
    let folder = tempfile::tempdir().unwrap();
    let channels = [voice(16000, 1.5, 1), voice(16000, 1.5, 2)];
    let codings = [
        (Coding::Int(8), "pcm_u8", 0.01),
        (Coding::Int(16), "pcm_s16le", 1e-4),
        (Coding::Int(24), "pcm_s24le", 1e-6),
        (Coding::Int(32), "pcm_s32le", 1e-6),
        (Coding::Float(32), "pcm_f32le", 1e-6),
        (Coding::Float(64), "pcm_f64le", 1e-6),
        (Coding::MuLaw, "pcm_mulaw", 0.03),
        (Coding::ALaw, "pcm_alaw", 0.03),
    ];
    for (coding, codec, tolerance) in codings {
        let path = write(folder.path(), "call.wav", &wav(coding, 16000, &channels));
        let (info, got) = decode(&path).unwrap();
        assert_eq!((info.container.as_str(), info.codec.as_str()), ("wav", codec));
        assert_eq!((info.sample_rate_hz, info.channel_count), (16000, 2));
        for (got, want) in got.iter().zip(&channels) {
            assert_eq!(got.len(), want.len());
            let worst = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max);
            assert!(worst < tolerance, "{codec}: {worst}");
        }
    }
}

#[test]
fn other_rates_keep_their_times() {
    let folder = tempfile::tempdir().unwrap();
    for rate in [8000, 11025, 22050, 44100, 48000] {
        let path = write(folder.path(), "call.wav", &wav(Coding::Int(16), rate, &[voice(rate, 2.0, 3)]));
        let (_, got) = decode(&path).unwrap();
        let want: Vec<f32> = voice(16000, 2.0, 3).into_iter().map(|s| s as f32).collect();
        assert!(got[0].len().abs_diff(want.len()) <= 16, "{rate}: {} samples", got[0].len());
        let (correlation, shift) = correlate(&got[0], &want, 3);
        assert!(correlation > 0.9999 && shift == 0, "{rate}: {correlation} at {shift}");
    }
}

/// The same sound as ffmpeg's decoder and resampler give, at most 20 ms apart in length.
fn agrees_with_ffmpeg(path: &Path) -> ingest::AudioInfo {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (info, got) = decode(path).unwrap();
    let want = ffmpeg_decode(path, &info.codec, info.channel_count);
    for (channel, (got, want)) in got.iter().zip(&want).enumerate() {
        let apart = got.len().abs_diff(want.len()) / 16;
        // A channel of a film that is silent has nothing to be correlated.
        if got.iter().chain(want).all(|s| s.abs() < 1e-3) {
            continue;
        }
        let (correlation, shift) = correlate(got, want, 1200);
        println!(
            "{name} channel {channel}: {} codec, correlation {correlation:.6}, shift {shift}, {apart} ms apart",
            info.codec
        );
        assert!(correlation > 0.999, "{name} channel {channel}: correlation {correlation} at {shift}");
        // Of AAC ffmpeg gives the padding in the last packet, too; here it is cut off as the edit list says.
        let allowed = if info.codec == "aac" { 64 } else { 20 };
        assert!(apart <= allowed, "{name} channel {channel}: {apart} ms apart");
    }
    info
}

#[test]
fn the_fixture_calls() {
    let ffmpeg = tool("ffmpeg", &["-version"]);
    let mut names: Vec<_> = std::fs::read_dir(fixtures()).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|p| p.extension().is_some_and(|e| e != "csv"));
    names.sort();
    assert!(names.len() >= 11);
    for path in names {
        if ffmpeg {
            agrees_with_ffmpeg(&path);
        }
        let mut decoder = Decoder::open(&path).unwrap();
        while let Some(block) = decoder.next_block().unwrap() {
            assert!(block[0].len() <= ingest::BLOCK_SAMPLES);
        }
        let id = path.file_stem().unwrap().to_str().unwrap();
        let truth = std::fs::read_to_string(fixtures().join(format!("../truth/{id}.json"))).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
        let apart = (decoder.duration_ms() - truth["duration_ms"].as_i64().unwrap()).abs();
        assert!(apart <= 70, "{id}: {apart} ms");
    }
}

/// The files of the zoo that cannot be read, and a piece of the reason.
const REFUSED: [(&str, &str); 4] = [
    ("headerless-16k-s16le.raw", "no audio is found in it"),
    ("bad-header.wav", "header"),
    ("header-only.wav", "holds no sound"),
    ("zero-bytes.wav", "is empty (0 bytes)"),
];
/// The one that ends before its header says, and how many milliseconds of it are there.
const CUT_OFF: (&str, i64) = ("truncated.wav", 713);
/// Those that ffmpeg reads, and what is said where there is none.
const FOREIGN: [(&str, &str); 3] = [
    ("video-aac-6ch.mp4", "holds aac (aac: aac too complex), which only ffmpeg reads here; install ffmpeg"),
    ("stereo-8k.sph", "holds sph, which only ffmpeg reads here; install ffmpeg"),
    ("gsm-8k.wav", "holds gsm_ms, which only ffmpeg reads here; install ffmpeg"),
];

#[test]
fn the_zoo() {
    let Some(zoo) = shared("data/audio-zoo") else { return };
    let ffmpeg = tool("ffmpeg", &["-version"]);
    let manifest = std::fs::read_to_string(zoo.join("MANIFEST.tsv")).unwrap();
    for line in manifest.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let (name, rate, channels, duration) = (cells[0], cells[3], cells[4], cells[5]);
        let path = zoo.join(name);
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            let error = decode(&path).map(|_| name).unwrap_err().to_string();
            println!("{error}");
            assert!(error.contains(reason) && error.contains(name), "{error}");
            continue;
        }
        let foreign = FOREIGN.iter().find(|(foreign, _)| *foreign == name);
        if let Some((_, reason)) = foreign.filter(|_| !ffmpeg) {
            let error = decode(&path).map(|_| name).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            continue;
        }
        let (info, got) = decode(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(info.decoder.starts_with("ffmpeg "), foreign.is_some(), "{name}: {}", info.decoder);
        assert_eq!(info.sample_rate_hz.to_string(), rate, "{name}");
        assert_eq!(info.channel_count.to_string(), channels, "{name}");
        if name == CUT_OFF.0 {
            let out = ingest(&[recording("a", &path)], IngestConfig::default());
            let damage = out.call("a").damage.as_deref().unwrap_or_default();
            assert_eq!(damage.iter().map(|d| d.kind.as_str()).collect::<Vec<_>>(), ["cut_off"]);
            assert!((damage[0].at_ms - CUT_OFF.1).abs() < 10, "{damage:?}");
            continue;
        }
        let apart = (got[0].len() as f64 / 16000.0 - duration.parse::<f64>().unwrap()).abs();
        assert!(apart < 0.07, "{name}: {apart} s");
        // What is silent or a few samples long has no correlation to speak of.
        if ffmpeg && !["silence-1s.wav", "one-sample.wav"].contains(&name) {
            agrees_with_ffmpeg(&path);
        }
    }
}

#[test]
fn a_picture_track_is_left_alone() {
    let (info, channels) = decode(&fixtures().join("billing-question.mp4")).unwrap();
    assert_eq!((info.container.as_str(), info.codec.as_str(), channels.len()), ("mp4", "aac", 2));
}

/// A WAV file from its chunks, with the lengths that are given.
fn riff(form: [u8; 4], length: u32, chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
    let mut file = [&form, &length.to_le_bytes()[..], b"WAVE"].concat();
    for (name, length, body) in chunks {
        file.extend([*name, &length.to_le_bytes()[..], *body].concat());
    }
    file
}

/// What recorders really write: each of these files has the same second of sound.
#[test]
fn headers_as_recorders_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let plain = wav(Coding::MuLaw, 8000, &[voice(8000, 1.0, 1), voice(8000, 1.0, 2)]);
    let (format, data) = (&plain[20..38], &plain[46..]);
    assert_eq!(data.len(), 16_000);
    let short = &format[..16];
    let padded = [format, &[0; 6]].concat();
    let mut wrong_bits = short.to_vec();
    wrong_bits[14] = 16;
    let mut long = Vec::new();
    for length in [16_100u64, 16_000, 8000] {
        long.extend(length.to_le_bytes());
    }
    long.extend([0; 4]);
    let tags = b"INFOISFT\x04\0\0\0rec\0";
    let max = u32::MAX;
    let files = [
        (
            "streamed by ffmpeg",
            riff(*b"RIFF", max, &[(b"fmt ", 18, format), (b"LIST", 16, tags), (b"data", max, data)]),
        ),
        ("streamed by sox", riff(*b"RIFF", 0x7fff_f024, &[(b"fmt ", 18, format), (b"data", 0x7fff_f000, data)])),
        ("stopped", riff(*b"RIFF", 0, &[(b"fmt ", 18, format), (b"data", 0, data)])),
        ("stopped, too", riff(*b"RIFF", 38, &[(b"fmt ", 18, format), (b"data", 0, data)])),
        ("short format", riff(*b"RIFF", 16_036, &[(b"fmt ", 16, short), (b"data", 16_000, data)])),
        ("long format", riff(*b"RIFF", 16_044, &[(b"fmt ", 24, &padded), (b"data", 16_000, data)])),
        ("wrong bits", riff(*b"RIFF", 16_036, &[(b"fmt ", 16, &wrong_bits), (b"data", 16_000, data)])),
        ("wrong length", riff(*b"RIFF", 99, &[(b"fmt ", 18, format), (b"data", 16_000, data)])),
        ("rf64", riff(*b"RF64", max, &[(b"ds64", 28, &long), (b"fmt ", 18, format), (b"data", max, data)])),
        ("tags after", riff(*b"RIFF", 16_062, &[(b"fmt ", 18, format), (b"data", 16_000, data), (b"LIST", 16, tags)])),
        (
            "rubbish after",
            riff(*b"RIFF", 16_038, &[(b"fmt ", 18, format), (b"data", 16_000, data), (b"\0\0\0\0", 7, b"\xff")]),
        ),
    ];
    let (_, want) = decode(&write(folder.path(), "plain.wav", &plain)).unwrap();
    for (name, bytes) in files {
        let (info, got) = decode(&write(folder.path(), "odd.wav", &bytes)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((info.codec.as_str(), info.channel_count), ("pcm_mulaw", 2), "{name}");
        assert!(got == want, "{name}: {} of {} samples", got[0].len(), want[0].len());
    }
    let cut = riff(*b"RIFF", 160_038, &[(b"fmt ", 18, format), (b"data", 160_000, data)]);
    let mut decoder = Decoder::open(&write(folder.path(), "cut.wav", &cut)).unwrap();
    while decoder.next_block().unwrap().is_some() {}
    let told: Vec<_> = decoder.damage().into_iter().map(|d| (d.kind, d.at_ms, d.length_ms)).collect();
    assert_eq!(told, [("cut_off".to_owned(), 1000, 9000)]);
    let nothing = riff(*b"RIFF", 62, &[(b"fmt ", 18, format), (b"data", 0, b""), (b"LIST", 16, tags)]);
    let error = decode(&write(folder.path(), "nothing.wav", &nothing)).unwrap_err().to_string();
    assert!(error.contains("holds no sound"), "{error}");
}

/// AAC's delay is cut off as the edit list says, so that words are heard when they were said.
#[test]
fn times_survive_aac() {
    let folder = tempfile::tempdir().unwrap();
    let sound = voice(16000, 3.0, 2);
    let source = write(folder.path(), "source.wav", &wav(Coding::Int(16), 16000, std::slice::from_ref(&sound)));
    for name in ["call.m4a", "call.mp3", "call.ogg"] {
        let path = folder.path().join(name);
        if !tool("ffmpeg", &["-v", "error", "-i", source.to_str().unwrap(), path.to_str().unwrap()]) {
            return;
        }
        let (_, got) = decode(&path).unwrap();
        let want: Vec<f32> = sound.iter().map(|s| *s as f32).collect();
        let (correlation, shift) = correlate(&got[0], &want, 1500);
        println!(
            "{name}: correlation {correlation:.5}, shift {shift} samples, {} of {} samples",
            got[0].len(),
            want.len()
        );
        assert!(correlation > 0.99 && shift.abs() <= 16, "{name}: {correlation} at {shift}");
        assert!(got[0].len().abs_diff(want.len()) <= 320, "{name}: {} samples", got[0].len());
    }
}

/// Where there is no ffmpeg, the reason names the codec and what to install.
#[test]
fn without_ffmpeg() {
    let Some(zoo) = shared("data/audio-zoo") else { return };
    // The environment is a process's own: this test again, in one whose path has a shell and nothing else.
    let folder = tempfile::tempdir().unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("sh")).unwrap();
    if std::env::var_os("PATH").is_some_and(|path| path != *folder.path() && std::env::var_os("ALONE").is_none()) {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "formats::without_ffmpeg", "--nocapture"])
            .env("PATH", folder.path())
            .env("ALONE", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    for (name, reason) in FOREIGN {
        let out = ingest(&[recording("a", &zoo.join(name))], IngestConfig::default());
        let call = out.call("a");
        assert!(call.status_reason.as_ref().unwrap().contains(reason), "{:?}", call.status_reason);
        assert_eq!((call.status.as_str(), &call.decoder), ("failed", &None));
    }
}

/// What names other files is no recording, whatever ffmpeg could make of it.
#[test]
fn playlists_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let secret = write(folder.path(), "secret.wav", &wav(Coding::Int(16), 8000, &[voice(8000, 1.0, 1)]));
    let secret = secret.display();
    let lists = [
        ("list.wma", format!("ffconcat version 1.0\nfile '{secret}'\n")),
        ("list.avi", format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n")),
        ("list.amr", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n".into()),
    ];
    for (name, text) in lists {
        let error = decode(&write(folder.path(), name, text.as_bytes())).map(|_| name).unwrap_err().to_string();
        assert!(error.contains("no audio is found in it"), "{error}");
    }
}

/// Symphonia 0.6 makes noise of Vorbis with more than two channels; ffmpeg reads it.
#[test]
fn vorbis_of_four_channels() {
    let folder = tempfile::tempdir().unwrap();
    let sounds: Vec<_> = (0..4).map(|seed| voice(44_100, 2.0, seed)).collect();
    let source = write(folder.path(), "source.wav", &wav(Coding::Int(16), 44_100, &sounds));
    let path = folder.path().join("call.ogg");
    if tool("ffmpeg", &["-v", "error", "-i", source.to_str().unwrap(), "-c:a", "libvorbis", path.to_str().unwrap()]) {
        let info = agrees_with_ffmpeg(&path);
        assert_eq!((info.codec.as_str(), info.channel_count), ("vorbis", 4));
        assert!(info.decoder.starts_with("ffmpeg "));
    }
}

/// The call list says which of several tracks is read; the row says how many there are.
#[test]
fn the_track_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let sounds = [voice(16000, 3.0, 1), voice(16000, 3.0, 5)];
    let files: Vec<_> = [("one.wav", &sounds[0]), ("two.wav", &sounds[1])]
        .map(|(name, sound)| write(folder.path(), name, &wav(Coding::Int(16), 16000, std::slice::from_ref(sound))))
        .into_iter()
        .collect();
    let encoders = [("two.mka", "libvorbis"), ("two.mp4", "aac"), ("two.webm", "libopus"), ("two.avi", "pcm_mulaw")];
    for (name, encoder) in encoders {
        let path = folder.path().join(name);
        let (one, two) = (files[0].to_str().unwrap(), files[1].to_str().unwrap());
        let arguments = ["-v", "error", "-i", one, "-i", two, "-map", "0", "-map", "1", "-c:a", encoder];
        if !tool("ffmpeg", &[&arguments[..], &[path.to_str().unwrap()]].concat()) {
            return;
        }
        for track in [None, Some(0), Some(1)] {
            let mut row = recording("a", &path);
            row.track = track;
            let out = ingest(&[row], IngestConfig::default());
            assert_eq!((out.call("a").track, out.call("a").track_count), (track, Some(2)), "{name}");
            let want: Vec<f32> = sounds[track.unwrap_or(0) as usize].iter().map(|s| *s as f32).collect();
            let (correlation, _) = correlate(&out.samples("a", 0), &want, 400);
            assert!(correlation > 0.95, "{name} {track:?}: {correlation}");
        }
        let mut row = recording("a", &path);
        row.track = Some(2);
        let out = ingest(&[row], IngestConfig::default());
        let reason = out.call("a").status_reason.as_ref().unwrap();
        assert!(reason.contains("has no audio track 2, but 2 audio tracks, from 0; correct the call list"), "{reason}");
    }
}
