//! Who reads a file, by what is in it.

use crate::{
    container::{LOOKED_AT, container_of},
    edits::{Edit, edits},
    format::Format,
    frames::Frames,
    headers::Repaired,
    matroska::{Forward, is_cut_off},
    mp4::as_long_as_told,
    mpeg::id3_length,
    ogg::Ogg,
    packets::{NO_AUDIO, Refusal},
    stream::{Stream, Survey},
    window::Window,
};
use std::io::{self, Seek as _};

/// The reader of a file, what it has seen of it, and the edit that MP4 makes of the track.
pub(crate) fn find(mut header: Repaired, track: usize) -> Result<(Stream, Survey, Option<Edit>), Refusal> {
    let unreadable = |e: io::Error| format!("cannot be read: {e}");
    if !header.source.is_seekable() {
        return Ok((Stream::Format(Box::new(Format::open(header, track)?)), Survey::default(), None));
    }
    let (mut edits_of, mut cut) = (Vec::new(), false);
    if header.container.is_none() {
        let source = std::mem::replace(&mut header.source, Box::new(io::Cursor::new(Vec::new())));
        let mut window = Window::new(source);
        while let Some(length) = id3_length(window.peek(10)) {
            window.skip(length);
        }
        let container = container_of(window.peek(LOOKED_AT)).map(|container| container.name);
        let found = match container {
            Some("ogg") => Ogg::open(window, track).map(|ogg| Stream::Ogg(Box::new(ogg))),
            // A WAV header that could not be read is something else before frames.
            None | Some("aac" | "mp1" | "mp2" | "mp3" | "wav" | "w64" | "rf64") => {
                Frames::find(window).map(|frames| Stream::Frames(Box::new(frames)))
            }
            Some(_) => Err(window),
        };
        match found {
            Ok(mut stream) => {
                let survey = match &mut stream {
                    Stream::Frames(frames) => frames.survey(),
                    Stream::Ogg(ogg) => ogg.survey(),
                    Stream::Format(_) => Ok(Survey::default()),
                };
                return Ok((stream, survey.map_err(unreadable)?, None));
            }
            Err(_) if header.is_unknown => return Err(NO_AUDIO.into()),
            Err(window) => header.source = window.into_source().map_err(unreadable)?,
        }
        if let Some(total) = header.source.byte_len() {
            // A file that is cut within its edit lists has none; symphonia says what is wrong with it.
            edits_of = edits(&mut header.source, total).unwrap_or_default();
            if container == Some("mp4") {
                header.source = as_long_as_told(header.source, total);
            }
            if container == Some("matroska") {
                cut = is_cut_off(&mut header.source, total).unwrap_or_default();
            }
            header.source.rewind().map_err(unreadable)?;
            if cut {
                header.source = Box::new(Forward(header.source));
            }
        }
    }
    let mut format = Format::open(header, track)?;
    format.cut = cut;
    let edit = edits_of.into_iter().find(|(track, _)| *track == format.track).map(|(_, edit)| edit);
    Ok((Stream::Format(Box::new(format)), Survey::default(), edit))
}
