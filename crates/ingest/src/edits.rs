//! What the edit list of an MP4 file cuts off its sound: the encoder's delay at the start and its padding at the end.
//!
//! AAC encoders put about a thousand samples before the first sound and say so in the edit list (ISO/IEC 14496-12, 8.6.6).
//! Symphonia reads all samples; without the cut every word would be heard 20 to 130 ms late.

use std::io::{self, Read, Seek, SeekFrom};

/// Longer cuts than this are somebody's editing and not an encoder's delay; they are not made.
const MAX_CUT_S: f64 = 0.5;
/// Atoms looked at before a file is taken to have no edit list.
const MAX_ATOMS: usize = 10_000;

/// The part of a track that is to be heard, in seconds of its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::struct_field_names)] // all of them are seconds
pub(crate) struct Edit {
    pub start_s: f64,
    /// None: up to the end.
    pub length_s: Option<f64>,
    /// Silence before it, as players show it.
    pub delay_s: f64,
}

/// The edit of every track that has one; none of a file that is not MP4. The source's position is left anywhere.
pub(crate) fn edits<R: Read + Seek + ?Sized>(source: &mut R, total: u64) -> io::Result<Vec<(u32, Edit)>> {
    let mut movie_scale = 0;
    let mut tracks = Vec::new();
    // Ranges still to be looked through; the atoms that hold what is wanted are entered.
    let mut ranges = vec![(0, total)];
    let mut atoms = 0;
    while let Some((mut position, end)) = ranges.pop() {
        while position + 8 <= end && atoms < MAX_ATOMS {
            atoms += 1;
            source.seek(SeekFrom::Start(position))?;
            let (mut length, mut body) = (u64::from(u32_of(source)?), position + 8);
            let mut name = [0; 4];
            source.read_exact(&mut name)?;
            match length {
                0 => length = end - position,
                1 => {
                    length = u64_of(source)?;
                    body += 8;
                }
                _ => {}
            }
            let next = position.saturating_add(length).min(end);
            if next < body || (position == 0 && &name != b"ftyp") {
                break;
            }
            match &name {
                b"moov" | b"edts" | b"mdia" => ranges.push((body, next)),
                // A track's atoms are looked through before what follows the track.
                b"trak" => {
                    tracks.push(Track::default());
                    ranges.extend([(next, end), (body, next)]);
                    break;
                }
                b"mvhd" => movie_scale = scale(source)?,
                _ => {}
            }
            if let Some(track) = tracks.last_mut() {
                match &name {
                    b"tkhd" => track.id = scale(source)?,
                    b"mdhd" => track.scale = scale(source)?,
                    b"elst" => track.edit = read_edits(source)?,
                    _ => {}
                }
            }
            position = next;
        }
    }
    let edit = |track: &Track| {
        let (duration, media_time) = track.edit.filter(|_| movie_scale > 0 && track.scale > 0)?;
        let start_s = media_time as f64 / f64::from(track.scale);
        let length_s = (duration > 0).then(|| duration as f64 / f64::from(movie_scale));
        (start_s <= MAX_CUT_S).then_some((track.id, Edit { start_s, length_s, delay_s: 0.0 }))
    };
    Ok(tracks.iter().filter_map(edit).collect())
}

impl Edit {
    /// The first and the last frame that are heard. The end stays where it is if the edit cuts off more of the `whole_s`
    /// seconds than an encoder's padding.
    pub fn frames(self, rate: u32, whole_s: Option<f64>) -> (u64, Option<u64>) {
        let frames = |seconds: f64| (seconds * f64::from(rate)).round() as u64;
        let padding = |length: f64| whole_s.map(|whole| whole - self.start_s - length);
        let length = self.length_s.filter(|&l| padding(l).is_some_and(|p| p <= MAX_CUT_S));
        (frames(self.start_s), length.map(|l| frames(self.start_s + l)))
    }
}

#[derive(Default)]
struct Track {
    id: u32,
    scale: u32,
    /// Duration in the movie's ticks, and start in the track's.
    edit: Option<(u64, u64)>,
}

/// The one edit that starts within the media, perhaps after an empty one.
fn read_edits<R: Read + ?Sized>(source: &mut R) -> io::Result<Option<(u64, u64)>> {
    let long = version(source)? == 1;
    let count = u32_of(source)?;
    let mut edit = None;
    for _ in 0..count.min(3) {
        let (duration, start) = if long {
            (u64_of(source)?, u64_of(source)? as i64)
        } else {
            (u64::from(u32_of(source)?), i64::from(u32_of(source)? as i32))
        };
        let _rate = u32_of(source)?;
        match (u64::try_from(start), edit) {
            (Err(_), None) => {}
            (Ok(start), None) => edit = Some((duration, start)),
            _ => return Ok(None),
        }
    }
    Ok(edit)
}

/// The field after an atom's times of creation and change: ticks a second (`mvhd`, `mdhd`), or the track's id (`tkhd`).
fn scale<R: Read + Seek + ?Sized>(source: &mut R) -> io::Result<u32> {
    let long = version(source)? == 1;
    source.seek(SeekFrom::Current(if long { 16 } else { 8 }))?;
    u32_of(source)
}

/// An atom's version; its flags are passed over.
fn version<R: Read + ?Sized>(source: &mut R) -> io::Result<u8> {
    Ok((u32_of(source)? >> 24) as u8)
}

fn u32_of<R: Read + ?Sized>(source: &mut R) -> io::Result<u32> {
    let mut bytes = [0; 4];
    source.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn u64_of<R: Read + ?Sized>(source: &mut R) -> io::Result<u64> {
    Ok(u64::from(u32_of(source)?) << 32 | u64::from(u32_of(source)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn atom(name: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut atom = (8 + body.len() as u32).to_be_bytes().to_vec();
        atom.extend(name);
        atom.extend(body);
        atom
    }

    fn header(version: u8, value: u32) -> Vec<u8> {
        let mut body = vec![version, 0, 0, 0];
        body.extend(vec![0; if version == 1 { 16 } else { 8 }]);
        body.extend(value.to_be_bytes());
        body
    }

    fn track(id: u32, scale: u32, entries: &[(u32, i32)]) -> Vec<u8> {
        let mut list = vec![0; 4];
        list.extend((entries.len() as u32).to_be_bytes());
        for (duration, start) in entries {
            list.extend(duration.to_be_bytes());
            list.extend(start.to_be_bytes());
            list.extend(0x10000u32.to_be_bytes());
        }
        let edit = atom(*b"edts", &atom(*b"elst", &list));
        atom(
            *b"trak",
            &[atom(*b"tkhd", &header(1, id)), edit, atom(*b"mdia", &atom(*b"mdhd", &header(0, scale)))].concat(),
        )
    }

    fn found(tracks: &[Vec<u8>]) -> Vec<(u32, Edit)> {
        let movie = atom(*b"moov", &[atom(*b"mvhd", &header(0, 1000)), tracks.concat()].concat());
        let file = [atom(*b"ftyp", b"M4A "), atom(*b"mdat", &[0; 99]), movie].concat();
        edits(&mut Cursor::new(&file), file.len() as u64).unwrap()
    }

    #[test]
    fn each_track_has_its_own() {
        let got = found(&[track(1, 12800, &[(5000, 512)]), track(2, 16000, &[(100, -1), (5000, 1024)])]);
        assert_eq!(got[0], (1, Edit { start_s: 0.04, length_s: Some(5.0), delay_s: 0.0 }));
        assert_eq!(got[1], (2, Edit { start_s: 0.064, length_s: Some(5.0), delay_s: 0.0 }));
        assert_eq!(got[1].1.frames(16000, Some(5.1)), (1024, Some(81024)));
        assert_eq!(got[1].1.frames(16000, Some(9.0)), (1024, None));
    }

    #[test]
    fn real_editing_is_left_alone() {
        assert_eq!(found(&[track(1, 16000, &[(5000, 16000)]), track(2, 16000, &[(50, 0), (50, 9000)])]), []);
        assert_eq!(found(&[track(1, 0, &[(5000, 16)])]), []);
    }
}
