//! Container by codec by rate by channels: every combination, made by ffmpeg or sox, decoded, and held against what ffmpeg
//! decodes it to.

use crate::support::{Coding, correlate, decode, ffmpeg_decode, tool, voice, wav, write};
use std::{fmt::Write as _, path::Path};

/// Who makes a file.
#[derive(Clone, Copy)]
enum Maker {
    /// With these arguments between input and output.
    Ffmpeg(&'static str),
    /// The same, and a picture track beside the sound.
    Video(&'static str),
    /// With these arguments before the output.
    Sox(&'static str),
}
use Maker::{Ffmpeg, Sox, Video};

const TELEPHONE: &[u32] = &[8000];
const WIDE: &[u32] = &[16000];
const ALL: &[u32] = &[8000, 16000, 44100, 48000];
const MPEG: &[u32] = &[16000, 44100, 48000];

/// Ending, maker, rates, most channels, container, codec.
type Row = (&'static str, Maker, &'static [u32], usize, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("wav", Ffmpeg("-c:a pcm_u8"), ALL, 4, "wav", "pcm_u8"),
    ("wav", Ffmpeg("-c:a pcm_s16le"), ALL, 4, "wav", "pcm_s16le"),
    ("wav", Ffmpeg("-c:a pcm_s24le"), ALL, 4, "wav", "pcm_s24le"),
    ("wav", Ffmpeg("-c:a pcm_s32le"), ALL, 4, "wav", "pcm_s32le"),
    ("wav", Ffmpeg("-c:a pcm_f32le"), ALL, 4, "wav", "pcm_f32le"),
    ("wav", Ffmpeg("-c:a pcm_f64le"), ALL, 4, "wav", "pcm_f64le"),
    ("wav", Ffmpeg("-c:a pcm_mulaw"), ALL, 4, "wav", "pcm_mulaw"),
    ("wav", Ffmpeg("-c:a pcm_alaw"), ALL, 4, "wav", "pcm_alaw"),
    ("wav", Ffmpeg("-c:a adpcm_ms"), ALL, 2, "wav", "adpcm_ms"),
    ("wav", Ffmpeg("-c:a adpcm_ima_wav"), ALL, 2, "wav", "adpcm_ima_wav"),
    ("wav", Sox("-e ms-adpcm"), TELEPHONE, 2, "wav", "adpcm_ms"),
    ("wav", Sox("-e ima-adpcm"), TELEPHONE, 2, "wav", "adpcm_ima_wav"),
    ("wav", Sox("-e mu-law"), TELEPHONE, 2, "wav", "pcm_mulaw"),
    ("wav", Ffmpeg("-c:a pcm_mulaw -rf64 always"), ALL, 2, "rf64", "pcm_mulaw"),
    ("wav", Ffmpeg("-c:a pcm_s16le -rf64 always"), ALL, 2, "rf64", "pcm_s16le"),
    ("w64", Ffmpeg("-c:a pcm_s16le"), ALL, 2, "w64", "pcm_s16le"),
    ("w64", Ffmpeg("-c:a pcm_mulaw"), ALL, 2, "w64", "pcm_mulaw"),
    ("w64", Sox("-e floating-point"), ALL, 2, "w64", "pcm_f32le"),
    ("aiff", Ffmpeg("-c:a pcm_s16be"), ALL, 4, "aiff", "pcm_s16be"),
    ("aifc", Ffmpeg("-c:a pcm_mulaw -f aiff"), ALL, 2, "aiff", "pcm_mulaw"),
    ("caf", Ffmpeg("-c:a pcm_s16le"), ALL, 4, "caf", "pcm_s16le"),
    ("caf", Ffmpeg("-c:a pcm_alaw"), ALL, 2, "caf", "pcm_alaw"),
    ("flac", Ffmpeg("-c:a flac"), ALL, 4, "flac", "flac"),
    ("ogg", Ffmpeg("-c:a flac"), ALL, 2, "ogg", "flac"),
    ("m4a", Ffmpeg("-c:a alac"), ALL, 2, "mp4", "alac"),
    ("caf", Ffmpeg("-c:a alac"), ALL, 2, "caf", "alac"),
    ("mp3", Ffmpeg("-c:a libmp3lame -b:a 48k"), ALL, 2, "mp3", "mp3"),
    ("mp3", Ffmpeg("-c:a libmp3lame -q:a 4 -write_xing 0"), ALL, 2, "mp3", "mp3"),
    ("mp2", Ffmpeg("-c:a mp2 -b:a 64k"), MPEG, 2, "mp2", "mp2"),
    ("ogg", Ffmpeg("-c:a libvorbis"), ALL, 2, "ogg", "vorbis"),
    ("mka", Ffmpeg("-c:a libvorbis"), ALL, 2, "matroska", "vorbis"),
    ("opus", Ffmpeg("-c:a libopus -b:a 16k"), ALL, 2, "ogg", "opus"),
    ("opus", Ffmpeg("-c:a libopus -b:a 64k -frame_duration 60"), WIDE, 2, "ogg", "opus"),
    ("webm", Ffmpeg("-c:a libopus -b:a 32k"), ALL, 2, "matroska", "opus"),
    ("mka", Ffmpeg("-c:a libopus -b:a 32k"), ALL, 2, "matroska", "opus"),
    ("m4a", Ffmpeg("-c:a aac -b:a 64k"), ALL, 2, "mp4", "aac"),
    ("mov", Ffmpeg("-c:a aac -b:a 64k"), ALL, 2, "mp4", "aac"),
    ("mov", Ffmpeg("-c:a pcm_s16le"), ALL, 2, "mp4", "pcm_s16le"),
    ("mp4", Ffmpeg("-c:a aac -b:a 64k -movflags frag_keyframe+empty_moov"), ALL, 2, "mp4", "aac"),
    ("aac", Ffmpeg("-c:a aac -b:a 64k"), ALL, 2, "aac", "aac"),
    ("mp4", Video("-c:a aac -b:a 64k"), ALL, 2, "mp4", "aac"),
    ("mkv", Video("-c:a libopus -b:a 32k"), ALL, 2, "matroska", "opus"),
    ("mkv", Video("-c:a aac -b:a 64k"), ALL, 2, "matroska", "aac"),
    // Through ffmpeg.
    ("wav", Ffmpeg("-c:a libgsm_ms"), TELEPHONE, 1, "wav", "gsm_ms"),
    ("wav", Ffmpeg("-c:a g726 -b:a 32k"), TELEPHONE, 1, "wav", "adpcm_g726"),
    ("wav", Ffmpeg("-c:a g722"), WIDE, 1, "wav", "adpcm_g722"),
    ("wav", Ffmpeg("-c:a g723_1 -b:a 6300"), TELEPHONE, 1, "wav", "g723_1"),
    ("wav", Ffmpeg("-c:a libmp3lame -b:a 48k"), ALL, 2, "wav", "mp3"),
    ("amr", Sox("-t amr-nb"), TELEPHONE, 1, "amr", "amr_nb"),
    ("wma", Ffmpeg("-c:a wmav2 -b:a 64k"), ALL, 2, "asf", "wmav2"),
    ("wmv", Video("-c:a wmav2 -b:a 64k"), MPEG, 2, "asf", "wmav2"),
    ("avi", Video("-c:a pcm_mulaw"), ALL, 2, "avi", "pcm_mulaw"),
    ("avi", Video("-c:a libmp3lame -b:a 48k"), MPEG, 2, "avi", "mp3"),
    ("spx", Ffmpeg("-c:a libspeex -f ogg"), WIDE, 1, "ogg", "speex"),
    ("au", Ffmpeg("-c:a pcm_mulaw"), ALL, 2, "au", "pcm_mulaw"),
    ("sph", Sox("-t sph"), ALL, 2, "sph", "pcm_s16le"),
    ("ts", Ffmpeg("-c:a aac -b:a 64k -f mpegts"), MPEG, 2, "mpegts", "aac"),
    ("m4a", Ffmpeg("-c:a ac3 -f mp4"), &[48000], 4, "mp4", "ac3"),
    ("wv", Ffmpeg("-c:a wavpack"), ALL, 2, "wavpack", "wavpack"),
];

const SECONDS: f64 = 3.0;

#[test]
fn every_combination() {
    if !tool("ffmpeg", &["-version"]) || !tool("sox", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut table, mut wrong) = (String::new(), Vec::new());
    let sox = std::process::Command::new("sox").arg("--help").output().unwrap().stdout;
    let amr = String::from_utf8_lossy(&sox).contains("amr-nb");
    for &(ending, maker, rates, most, container, codec) in ROWS {
        if container == "amr" && !amr {
            println!("skipped: the row of AMR needs libsox-fmt-base");
            continue;
        }
        let (mut least, mut apart, mut count, mut decoder) = (1.0f64, 0.0f64, 0, String::new());
        for &rate in rates {
            for channels in [1, 2, 4].into_iter().filter(|&channels| channels <= most) {
                let what = format!("{container} {codec} {rate} Hz {channels} channels ({ending})");
                let path = folder.path().join(format!("call.{ending}"));
                make(folder.path(), &path, maker, rate, channels);
                match compare(&path, container, codec, channels) {
                    Ok((correlation, ms, who)) => {
                        (least, apart) = (least.min(correlation), apart.max(ms));
                        (count, decoder) = (count + 1, who);
                    }
                    Err(why) => wrong.push(format!("{what}: {why}")),
                }
            }
        }
        let decoder = decoder.split(' ').next().unwrap_or_default();
        writeln!(
            table,
            "| {container} | {codec} | {ending} | {} | {} | {decoder} | {count} | {least:.5} | {apart:.1} |",
            rates.iter().map(|r| format!("{}", f64::from(*r) / 1000.0)).collect::<Vec<_>>().join(", "),
            [1, 2, 4].into_iter().filter(|&c| c <= most).map(|c| c.to_string()).collect::<Vec<_>>().join(", "),
        )
        .unwrap();
    }
    println!("\n| container | codec | ending | kHz | channels | decoder | files | least correlation | most ms apart |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n{table}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn make(folder: &Path, path: &Path, maker: Maker, rate: u32, channels: usize) {
    let sounds: Vec<_> = (0..channels as u32).map(|seed| voice(rate, SECONDS, seed)).collect();
    let source = write(folder, "source.wav", &wav(Coding::Int(16), rate, &sounds));
    let (source, target) = (source.to_str().unwrap(), path.to_str().unwrap());
    let made = match maker {
        Ffmpeg(arguments) => {
            let arguments: Vec<&str> = arguments.split(' ').collect();
            tool("ffmpeg", &[&["-v", "error", "-y", "-i", source], &arguments[..], &[target]].concat())
        }
        Video(arguments) => {
            let arguments: Vec<&str> = arguments.split(' ').collect();
            let picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=3", "-c:v", "mpeg4"];
            let picture = if target.ends_with("wmv") { [&picture[..5], &["wmv2"]].concat() } else { picture.to_vec() };
            tool("ffmpeg", &[&["-v", "error", "-y", "-i", source], &picture[..], &arguments, &[target]].concat())
        }
        Sox(arguments) => {
            let arguments: Vec<&str> = arguments.split(' ').collect();
            tool("sox", &[&[source], &arguments[..], &[target]].concat())
        }
    };
    assert!(made);
}

/// The least correlation of a channel with what ffmpeg makes of it, how many milliseconds their lengths differ, and who
/// decoded.
fn compare(path: &Path, container: &str, codec: &str, channels: usize) -> Result<(f64, f64, String), String> {
    let (info, got) = decode(path).map_err(|e| e.to_string())?;
    if (info.container.as_str(), info.codec.as_str(), info.channel_count) != (container, codec, channels) {
        return Err(format!("was taken for {info:?}"));
    }
    let want = ffmpeg_decode(path, codec, channels);
    let (mut least, mut apart) = (1.0f64, 0.0f64);
    for (got, want) in got.iter().zip(&want) {
        let (correlation, shift) = correlate(got, want, 24);
        // Of AAC in MP4 ffmpeg gives the padding of the last packet, too; here the edit list cuts it off.
        let padding =
            if codec == "aac" && got.len() < want.len() { 1024 * 16_000 / info.sample_rate_hz as usize } else { 0 };
        let ms = (got.len().abs_diff(want.len()).saturating_sub(padding)) as f64 / 16.0;
        (least, apart) = (least.min(correlation), apart.max(ms));
        if correlation < 0.999 || ms > 20.0 {
            return Err(format!("correlation {correlation:.5} at {shift}, {ms:.1} ms apart"));
        }
    }
    Ok((least, apart, info.decoder))
}
