//! Recordings of several parts: files put together, chained links, channels and rates that change half way.

use crate::support::{Coding, Collector, correlate, decode, run, tool, voice, wav, write};
use ingest::{ConsentRule, IngestConfig};
use schema::Participant;
use std::path::Path;

/// One part: rate, channels, seconds.
type Shape = (u32, usize, f64);

/// Encodes a few seconds of sound, different for each `seed`; none where there is no ffmpeg or lame.
fn part(folder: &Path, name: &str, shape: Shape, seed: u32, arguments: &str) -> Option<Vec<u8>> {
    let (rate, channels, seconds) = shape;
    let sounds: Vec<_> = (0..channels as u32).map(|channel| voice(rate, seconds, seed + 3 * channel)).collect();
    let source = write(folder, "source.wav", &wav(Coding::Int(16), rate, &sounds));
    let path = folder.join(name);
    let (source, target) = (source.to_str().unwrap(), path.to_str().unwrap());
    let arguments: Vec<&str> = arguments.split(' ').filter(|a| !a.is_empty()).collect();
    let made = if arguments.first() == Some(&"lame") {
        tool("lame", &[&["--quiet"], &arguments[1..], &[source, target]].concat())
    } else {
        tool("ffmpeg", &[&["-v", "error", "-y", "-i", source], &arguments[..], &[target]].concat())
    };
    made.then(|| std::fs::read(path).unwrap())
}

/// What a file of these parts decodes to, held against what each decodes to alone: the same sound, one after another, each on
/// the first channels that it has.
fn is_the_sum(folder: &Path, name: &str, parts: &[Vec<u8>], between: &[u8]) {
    let mut channels = 0;
    let alone: Vec<Vec<Vec<f32>>> = parts
        .iter()
        .map(|bytes| {
            let (info, sound) = decode(&write(folder, &format!("alone-{name}"), bytes)).unwrap();
            channels = channels.max(info.channel_count);
            sound
        })
        .collect();
    let path = write(folder, name, &parts.join(between));
    let (info, whole) = decode(&path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(info.channel_count, channels, "{name}");
    let mut at = 0;
    for (i, part) in alone.iter().enumerate() {
        let length = part[0].len();
        for (channel, samples) in whole.iter().enumerate() {
            let there = &samples[at.min(samples.len())..(at + length).min(samples.len())];
            if let Some(want) = part.get(channel) {
                let (correlation, shift) = correlate(there, want, 400);
                println!("{name} part {i} channel {channel}: {correlation:.4} at {shift}, {} of {length}", there.len());
                // A part without a header of its own is decoded by the decoder of the last one.
                assert!(
                    correlation > 0.98 && shift.abs() <= 320,
                    "{name} part {i} channel {channel}: {correlation} at {shift}"
                );
            } else {
                // The filter of a resampler that two parts share reaches over their border.
                let inner = &there[2000.min(there.len())..there.len().saturating_sub(2000)];
                assert!(inner.iter().all(|s| s.abs() < 1e-4), "{name} part {i} channel {channel} is not silent");
            }
        }
        at += length;
    }
    assert!(whole[0].len().abs_diff(at) <= 16 * 50, "{name}: {} of {at} samples", whole[0].len());
}

/// A tag of the kind that stands at the end of MP3 files, and one that stands at their start.
fn id3v1() -> Vec<u8> {
    [&b"TAGa call"[..], &[0; 119]].concat()
}

fn id3v2(length: usize) -> Vec<u8> {
    let size = [21, 14, 7, 0].map(|shift| (length >> shift & 0x7f) as u8);
    [&b"ID3\x04\0\0"[..], &size, &vec![b'x'; length]].concat()
}

fn ape() -> Vec<u8> {
    let mut tag = b"APETAGEX\xd0\x07\0\0\x28\0\0\0\0\0\0\0\0\0\0\xa0".to_vec();
    tag.extend([0; 8]);
    tag.extend([b'y'; 8]);
    tag.extend(b"APETAGEX\xd0\x07\0\0\x28\0\0\0\0\0\0\0\0\0\0\x80");
    tag.extend([0; 8]);
    tag
}

#[test]
fn files_put_together() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mono = |rate| (rate, 1, 2.5);
    let files: [(&str, &str, Shape, usize, Vec<u8>); 9] = [
        ("cbr.mp3", "lame -b 32", mono(16_000), 2, Vec::new()),
        ("vbr.mp3", "lame -V 5", mono(44_100), 3, Vec::new()),
        ("half.mp3", "lame -b 48", mono(22_050), 3, id3v1()),
        ("tagged.mp3", "lame -b 64", (44_100, 2, 2.5), 4, [id3v1(), id3v2(70_000)].concat()),
        ("plain.mp3", "-c:a libmp3lame -b:a 40k -write_xing 0 -id3v2_version 0", mono(24_000), 2, ape()),
        ("two.mp2", "-c:a mp2 -b:a 64k", mono(24_000), 2, Vec::new()),
        ("adts.aac", "-c:a aac -b:a 48k", mono(16_000), 3, Vec::new()),
        ("tagged.aac", "-c:a aac -b:a 64k", (44_100, 2, 2.5), 2, id3v2(300)),
        ("chain.ogg", "-c:a libvorbis", mono(16_000), 3, Vec::new()),
    ];
    for (name, arguments, shape, count, between) in files {
        let parts: Option<Vec<_>> = (0..count as u32).map(|i| part(folder, name, shape, 1 + i, arguments)).collect();
        let Some(parts) = parts else { return };
        is_the_sum(folder, &format!("joined-{name}"), &parts, &between);
    }
}

#[test]
fn channels_and_rates_that_change() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let files: [(&str, &str, &[Shape]); 12] = [
        ("a.mp3", "lame -b 64", &[(44_100, 1, 2.5), (44_100, 2, 2.5)]),
        ("b.mp3", "lame -b 64", &[(44_100, 2, 2.5), (44_100, 1, 2.5), (44_100, 2, 3.0)]),
        ("c.mp3", "-c:a libmp3lame -b:a 64k -write_xing 0 -id3v2_version 0", &[(16_000, 1, 2.5), (16_000, 2, 2.5)]),
        ("d.mp3", "lame -b 32", &[(44_100, 1, 2.5), (22_050, 1, 2.5), (16_000, 2, 2.5)]),
        ("e.mp3", "-c:a libmp3lame -b:a 40k -write_xing 0 -id3v2_version 0", &[(8000, 1, 2.5), (48_000, 1, 2.5)]),
        ("f.aac", "-c:a aac -b:a 64k", &[(16_000, 1, 2.5), (16_000, 2, 2.5)]),
        ("g.aac", "-c:a aac -b:a 64k", &[(44_100, 2, 2.5), (22_050, 1, 2.5), (44_100, 2, 2.5)]),
        ("h.opus", "-c:a libopus -b:a 24k", &[(48_000, 1, 2.5), (48_000, 2, 2.5)]),
        ("i.opus", "-c:a libopus -b:a 24k", &[(48_000, 2, 2.5), (16_000, 1, 2.5), (48_000, 2, 2.5)]),
        ("j.ogg", "-c:a libvorbis", &[(44_100, 1, 2.5), (22_050, 1, 2.5)]),
        ("k.ogg", "-c:a libvorbis", &[(16_000, 2, 2.5), (44_100, 1, 2.5), (8000, 2, 2.5)]),
        ("l.mp2", "-c:a mp2 -b:a 64k", &[(48_000, 1, 2.5), (24_000, 1, 2.5)]),
    ];
    for (name, arguments, shapes) in files {
        let parts: Option<Vec<_>> =
            (1..).zip(shapes).map(|(seed, &shape)| part(folder, name, shape, seed, arguments)).collect();
        let Some(parts) = parts else { return };
        is_the_sum(folder, &format!("joined-{name}"), &parts, &[]);
    }
}

/// A link of another codec is a part as well.
#[test]
fn a_chain_of_two_codecs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let opus = part(folder, "a.opus", (48_000, 1, 2.5), 1, "-c:a libopus -b:a 24k");
    let vorbis = part(folder, "b.ogg", (22_050, 2, 2.5), 2, "-c:a libvorbis");
    let (Some(opus), Some(vorbis)) = (opus, vorbis) else { return };
    is_the_sum(folder, "joined.ogg", &[opus.clone(), vorbis.clone()], &[]);
    is_the_sum(folder, "joined.ogg", &[vorbis, opus], &[]);
}

/// Where a customer denied consent, a part in which everybody is on one channel is not heard, wherever it stands.
#[test]
fn a_mono_part_of_a_call_that_is_heard_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (mono, stereo) = ((44_100, 1, 3.0), (44_100, 2, 8.0));
    let (low, chain) = ((22_050, 1, 3.0), "-c:a libopus -b:a 24k");
    let files: [(&str, &str, &[Shape]); 5] = [
        ("a.mp3", "lame -b 64", &[mono, stereo]),
        ("b.mp3", "lame -b 64", &[stereo, mono]),
        ("c.aac", "-c:a aac -b:a 64k", &[stereo, mono, stereo]),
        ("d.opus", chain, &[(48_000, 1, 3.0), (48_000, 2, 8.0)]),
        ("e.ogg", "-c:a libvorbis", &[stereo, low]),
    ];
    for (name, arguments, shapes) in files {
        let parts: Option<Vec<_>> =
            (1..).zip(shapes).map(|(seed, &shape)| part(folder, name, shape, seed, arguments)).collect();
        let Some(parts) = parts else { return };
        let path = write(folder, &format!("joined-{name}"), &parts.concat());
        let mut row = crate::support::recording("a", &path);
        row.participants = [("agent", 0, "granted"), ("customer", 1, "denied")]
            .map(|(role, channel, consent)| Participant {
                participant_id: role.into(),
                channel: Some(channel),
                role: Some(role.into()),
                name: None,
                person_id: None,
                consent: consent.into(),
            })
            .to_vec();
        let mut out = Collector::default();
        let config = IngestConfig { consent: ConsentRule::AllParties, ..IngestConfig::default() };
        run(&[row], config, &mut out).unwrap();
        let call = out.call("a");
        assert_eq!(call.status, "partial", "{name}: {:?}", call.status_reason);
        assert!(out.audio.iter().all(|block| block.channel == 0));
        let samples = out.samples("a", 0);
        let (mut at, mut withheld) = (0.0, 0.0);
        for &(_, channels, seconds) in shapes {
            // Between the edges of the part, where encoders' delays lie.
            let inner = &samples[((at + 0.3) * 16_000.0) as usize..((at + seconds - 0.3) * 16_000.0) as usize];
            let silent = inner.iter().all(|s| s.abs() < 1e-3);
            assert_eq!(silent, channels == 1, "{name}: the part at {at} s");
            withheld += if channels == 1 { seconds } else { 0.0 };
            at += seconds;
        }
        let told: i64 = call.damage.iter().flatten().filter(|d| d.kind == "withheld").map(|d| d.length_ms).sum();
        assert!((told as f64 / 1000.0 - withheld).abs() < 0.2, "{name}: {:?}", call.damage);
    }
}
