//! The edit list of an MP4 file: which of its sound is to be heard, and when.
//!
//! AAC encoders put about a thousand samples before the first sound and say so in the edit list (ISO/IEC 14496-12, 8.6.6);
//! without the cut every word would be heard 20 to 130 ms late. People trim recordings on their telephones, which changes the
//! list and nothing else: what they cut off is not to be heard. And where sound begins later than the picture, the list begins
//! with nothing. Symphonia reads all samples, whatever the list says.

use std::{
    collections::VecDeque,
    io::{self, Read, Seek, SeekFrom},
};

/// Atoms looked at before a file is taken to have no edit list.
const MAX_ATOMS: usize = 10_000;
/// Atoms that such a file can begin with.
const FIRST: [&[u8; 4]; 11] =
    [b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot", b"styp", b"sidx", b"moof", b"emsg"];
/// Entries of one list; a call that was cut into more pieces is read as it lies.
const MAX_ENTRIES: u32 = 10_000;
/// Times in the list are rounded to the movie's ticks, often milliseconds: parts that overlap by less than this do not.
const ROUNDING_S: f64 = 0.005;

/// What of a track is to be heard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edit {
    /// Seconds of silence before all.
    pub delay_s: f64,
    /// In the order of the media; none reaches into the next.
    pub parts: Vec<Part>,
}

/// A stretch of a track's samples that is to be heard.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::struct_field_names)] // seconds, all of them
pub(crate) struct Part {
    /// Seconds of silence before it, but for the first.
    pub pause_s: f64,
    pub start_s: f64,
    /// None: up to the end.
    pub length_s: Option<f64>,
}

/// The edit of every track that has one; none of a file that is not MP4. The source's position is left anywhere.
pub(crate) fn edits<R: Read + Seek + ?Sized>(source: &mut R, total: u64) -> io::Result<Vec<(u32, Edit)>> {
    let (mut movie_scale, mut fragmented) = (0, false);
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
            if next < body || (position == 0 && !FIRST.contains(&&name)) {
                break;
            }
            match &name {
                b"moov" | b"edts" | b"mdia" => {
                    // What follows is looked at too: an edit list may stand before or behind the media's ticks.
                    ranges.extend([(next, end), (body, next)]);
                    break;
                }
                // Its durations are those of what the header describes, which is not the fragments.
                b"mvex" => fragmented = true,
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
                    b"elst" => track.entries = read_edits(source)?,
                    _ => {}
                }
            }
            position = next;
        }
    }
    let edit = |track: &Track| Some((track.id, edit_of(track, movie_scale, fragmented)?));
    Ok(tracks.iter().filter_map(edit).collect())
}

/// What a track's list means; none where it says nothing that can be kept to.
fn edit_of(track: &Track, movie_scale: u32, fragmented: bool) -> Option<Edit> {
    if movie_scale == 0 || track.scale == 0 {
        return None;
    }
    let movie = |ticks: u64| ticks as f64 / f64::from(movie_scale);
    let mut parts: Vec<Part> = Vec::new();
    let mut pause_s = 0.0;
    let last = track.entries.iter().rposition(|entry| entry.start.is_some());
    for (at, entry) in track.entries.iter().enumerate() {
        let Some(start) = entry.start else {
            pause_s += movie(entry.duration);
            continue;
        };
        let endless = entry.duration == 0 || fragmented && Some(at) == last;
        let length_s = (!endless).then(|| movie(entry.duration));
        parts.push(Part { pause_s, start_s: start as f64 / f64::from(track.scale), length_s });
        pause_s = 0.0;
    }
    let delay_s = parts.first()?.pause_s;
    if !parts.is_sorted_by(|a, b| a.length_s.is_some_and(|length| a.start_s + length <= b.start_s + ROUNDING_S)) {
        parts = in_order(parts);
    }
    parts[0].pause_s = 0.0;
    Some(Edit { delay_s, parts })
}

/// Somebody moved pieces about, or has one heard twice. The media is decoded once and forwards, so each moment of it that is in
/// the list is heard once and in its place: nothing that was cut off, and nothing that was not is lost.
fn in_order(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    let mut merged: Vec<Part> = Vec::new();
    for part in parts {
        let end = part.length_s.map(|length| part.start_s + length);
        match merged.last_mut() {
            Some(last) if last.length_s.is_none_or(|length| last.start_s + length >= part.start_s) => {
                last.length_s = last.length_s.zip(end).map(|(length, end)| length.max(end - last.start_s));
            }
            _ => merged.push(Part { pause_s: 0.0, ..part }),
        }
    }
    merged
}

/// The frames of a track that are heard, taken out of those that are decoded.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Silence before, first frame, and the one after the last.
    all: Vec<(u64, u64, u64)>,
    /// Those that are not over.
    parts: VecDeque<(u64, u64, u64)>,
    /// Decoded and not yet looked at, with the first one's place.
    held: Option<(u64, Vec<Vec<f32>>)>,
}

impl Heard {
    /// Those of an edit list, at this rate.
    pub fn of(edit: &Edit, rate: u32) -> Self {
        let frames = |seconds: f64| (seconds * f64::from(rate)).round() as u64;
        let mut parts: VecDeque<_> = edit
            .parts
            .iter()
            .map(|part| {
                let end = part.length_s.map_or(u64::MAX, |length| frames(part.start_s + length));
                (frames(part.pause_s), frames(part.start_s), end)
            })
            .collect();
        if let Some(first) = parts.front_mut() {
            first.0 = frames(edit.delay_s);
        }
        Self { all: parts.iter().copied().collect(), parts, held: None }
    }

    /// Which frame of what is heard a decoded frame is, or the next one that is heard.
    pub fn place(&self, frame: u64) -> u64 {
        let before = self.all.iter().take_while(|(_, from, _)| *from <= frame);
        before.map(|(pause, from, to)| pause + (*to).min(frame).saturating_sub(*from)).sum()
    }

    /// Takes what was decoded, a vector a channel, of which the first frame is that of number `start`. All that was given
    /// before must have been taken out.
    pub fn push(&mut self, start: u64, planes: Vec<Vec<f32>>) {
        self.held = Some((start, planes));
    }

    /// What of it is heard next: some silence, at most `most` frames of it, or sound.
    pub fn pop(&mut self, most: u64) -> Option<Vec<Vec<f32>>> {
        loop {
            let (start, planes) = self.held.take()?;
            let end = start + planes[0].len() as u64;
            let (pause, from, to) = self.parts.front_mut()?;
            let (first, last) = (start.max(*from), end.min(*to));
            if start >= *to {
                self.parts.pop_front();
                self.held = Some((start, planes));
            } else if first >= last {
                // Before the part, or an empty one.
                if end > *from {
                    self.parts.pop_front();
                    self.held = Some((start, planes));
                }
            } else if *pause > 0 {
                let frames = (*pause).min(most.max(1));
                *pause -= frames;
                let silence = vec![vec![0.0; frames as usize]; planes.len()];
                self.held = Some((start, planes));
                return Some(silence);
            } else if (first, last) == (start, end) {
                return Some(planes);
            } else {
                let (mut heard, mut rest) = (planes, Vec::new());
                for plane in &mut heard {
                    rest.push(plane.split_off((last - start) as usize));
                    plane.drain(..(first - start) as usize);
                }
                if last < end {
                    self.held = Some((last, rest));
                }
                return Some(heard);
            }
        }
    }
}

#[derive(Default)]
struct Track {
    id: u32,
    scale: u32,
    entries: Vec<Entry>,
}

/// One entry of a list.
#[derive(Clone, Copy)]
struct Entry {
    /// In the movie's ticks.
    duration: u64,
    /// In the track's; none where nothing is heard.
    start: Option<u64>,
}

/// The entries of a list.
fn read_edits<R: Read + ?Sized>(source: &mut R) -> io::Result<Vec<Entry>> {
    let long = version(source)? == 1;
    let count = u32_of(source)?;
    let mut entries = Vec::new();
    for _ in 0..if count > MAX_ENTRIES { 0 } else { count } {
        let (duration, start) = if long {
            (u64_of(source)?, u64_of(source)? as i64)
        } else {
            (u64::from(u32_of(source)?), i64::from(u32_of(source)? as i32))
        };
        // The rate; of 0 where one moment is shown for as long.
        let stands = u32_of(source)? >> 16 == 0;
        entries.push(Entry { duration, start: u64::try_from(start).ok().filter(|_| !stands || count == 1) });
    }
    Ok(entries)
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

    fn part(pause_s: f64, start_s: f64, length_s: f64) -> Part {
        Part { pause_s, start_s, length_s: (length_s > 0.0).then_some(length_s) }
    }

    fn edit(delay_s: f64, parts: &[Part]) -> Edit {
        Edit { delay_s, parts: parts.to_vec() }
    }

    #[test]
    fn each_track_has_its_own() {
        let got = found(&[track(1, 12800, &[(5000, 512)]), track(2, 16000, &[(100, -1), (5000, 1024)])]);
        assert_eq!(got[0], (1, edit(0.0, &[part(0.0, 0.04, 5.0)])));
        assert_eq!(got[1], (2, edit(0.1, &[part(0.0, 0.064, 5.0)])));
        assert_eq!(found(&[track(1, 0, &[(5000, 16)])]), []);
        assert_eq!(found(&[track(1, 8000, &[])]), []);
    }

    #[test]
    fn pieces_of_a_call() {
        let one = |entries: &[(u32, i32)]| found(&[track(1, 1000, entries)]).swap_remove(0).1;
        assert_eq!(one(&[(7000, 4000)]), edit(0.0, &[part(0.0, 4.0, 7.0)]));
        assert_eq!(one(&[(0, 40)]), edit(0.0, &[part(0.0, 0.04, 0.0)]));
        let two = edit(0.5, &[part(0.0, 1.0, 2.0), part(0.25, 6.0, 3.0)]);
        assert_eq!(one(&[(300, -1), (200, -1), (2000, 1000), (250, -1), (3000, 6000)]), two);
        // Out of order, and one twice.
        let merged = edit(0.0, &[part(0.0, 1.0, 3.0), part(0.0, 9.0, 1.0)]);
        assert_eq!(one(&[(1000, 9000), (2000, 2000), (2000, 1000)]), merged);
        assert_eq!(one(&[(0, 2000), (2000, 1000)]), edit(0.0, &[part(0.0, 1.0, 0.0)]));
    }

    #[test]
    fn what_is_heard_depends_on_no_packets() {
        let edit = edit(0.3, &[part(0.0, 0.2, 0.5), part(0.1, 1.0, 0.0)]);
        let whole: Vec<f32> = (0..2000u16).map(f32::from).collect();
        let want = [&[0.0; 300], &whole[200..700], &[0.0; 100], &whole[1000..]].concat();
        for packet in [1, 7, 64, 333, 1000, 2000] {
            let (mut heard, mut got, mut start) = (Heard::of(&edit, 1000), Vec::<f32>::new(), 0);
            for frames in whole.chunks(packet) {
                heard.push(start, vec![frames.to_vec(), frames.to_vec()]);
                while let Some(planes) = heard.pop(77) {
                    assert_eq!(planes[0], planes[1]);
                    got.extend(&planes[0]);
                }
                start += frames.len() as u64;
            }
            assert_eq!(got, want, "{packet}");
        }
        let heard = Heard::of(&edit, 1000);
        let places = [(0, 0), (200, 300), (450, 550), (900, 800), (1000, 900), (1500, 1400)];
        for (frame, place) in places {
            assert_eq!(heard.place(frame), place, "{frame}");
        }
    }
}
