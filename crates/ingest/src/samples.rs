//! From a packet to samples.

use crate::{
    codecs::{codec_name, registry},
    packets::{CONVERT, Refusal, check_shape},
};
use symphonia::core::{
    codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known as codecs},
    errors::Error,
    packet::Packet,
    units::{Duration, Timestamp},
};

/// Rate that stands in where a header says 0; the first packet will tell.
const UNKNOWN_RATE: u32 = 8000;

/// The decoder of a part.
pub(crate) struct Samples {
    decoder: Box<dyn AudioDecoder>,
    /// Of G.711, what each byte stands for.
    table: Option<Box<[f32; 256]>>,
    gain: f32,
    /// Rate and channels of the last packet.
    shape: Option<(u32, usize)>,
}

/// Samples, a vector a channel, and their rate.
pub(crate) struct Piece {
    pub rate: u32,
    pub planes: Vec<Vec<f32>>,
}

/// Why a packet gives none.
pub(crate) enum Failed {
    Damaged,
    /// The decoder does not know what is in it.
    Unread(String),
}

impl Samples {
    /// A decoder; samples are multiplied with `gain`.
    pub fn new(codec: &AudioCodecParameters, gain: f32) -> Result<Self, Refusal> {
        let mut decoder = make_decoder(codec)?;
        let table = table_of(&mut *decoder);
        Ok(Self { decoder, table, gain, shape: None })
    }

    /// The codec's name.
    pub fn codec(&self) -> &'static str {
        self.decoder.codec_info().short_name
    }

    /// The samples of a packet; there may be none in it.
    pub fn decode(&mut self, packet: &Packet) -> Result<Piece, Failed> {
        if let (Some(table), Some((rate, channels))) = (self.table.as_deref(), self.shape) {
            // A fifth of the time that a WAV file takes is saved beside symphonia's call a sample and the copy.
            return Ok(Piece { rate, planes: spread(table, &packet.data, channels) });
        }
        let buffer = match self.decoder.decode(packet) {
            Ok(buffer) => buffer,
            Err(Error::Unsupported(what)) => {
                return Err(Failed::Unread(format!("{} ({what})", self.decoder.codec_info().short_name)));
            }
            Err(_) => return Err(Failed::Damaged),
        };
        let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
        let mut planes: Vec<Vec<f32>> = Vec::new();
        if buffer.frames() > 0 {
            check_shape(rate, channels).map_err(|_| Failed::Damaged)?;
            self.shape = Some((rate, channels));
            buffer.copy_to_vecs_planar(&mut planes);
        }
        // Floating point can hold anything, and one infinity would spoil a block of the resampler's output.
        for sample in planes.iter_mut().flatten() {
            *sample = if sample.is_finite() { (*sample * self.gain).clamp(-1.0, 1.0) } else { 0.0 };
        }
        Ok(Piece { rate, planes })
    }
}

/// What the bytes of G.711 stand for, by the decoder itself; none of another codec, in which a sample is not a byte.
fn table_of(decoder: &mut dyn AudioDecoder) -> Option<Box<[f32; 256]>> {
    let parameters = decoder.codec_params();
    if !matches!(parameters.codec, codecs::CODEC_ID_PCM_ALAW | codecs::CODEC_ID_PCM_MULAW) {
        return None;
    }
    let channels = parameters.channels.as_ref()?.count();
    let bytes: Vec<u8> = (0..=u8::MAX).flat_map(|byte| std::iter::repeat_n(byte, channels)).collect();
    let buffer = decoder.decode(&Packet::new(0, Timestamp::new(0), Duration::new(256), bytes)).ok()?;
    let mut planes: Vec<Vec<f32>> = Vec::new();
    buffer.copy_to_vecs_planar(&mut planes);
    planes.swap_remove(0).into_boxed_slice().try_into().ok()
}

/// The samples of a packet of G.711, a vector a channel; a frame that is cut short is left out.
fn spread(table: &[f32; 256], data: &[u8], channels: usize) -> Vec<Vec<f32>> {
    let frames = data.len() / channels;
    let plane =
        |channel| data[channel..].iter().step_by(channels).take(frames).map(|&b| table[usize::from(b)]).collect();
    (0..channels).map(|channel| if frames == 0 { Vec::new() } else { plane(channel) }).collect()
}

fn make_decoder(codec: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, Refusal> {
    let mut parameters = codec.clone();
    // Before symphonia makes room for them.
    let rate = parameters.sample_rate.filter(|&rate| rate > 0).unwrap_or(UNKNOWN_RATE);
    let channels = parameters.channels.as_ref().map_or(1, |channels| channels.count().max(1));
    check_shape(rate, channels)?;
    match parameters.codec {
        // Containers give the bits that come out, or the one byte that goes in; the decoder takes the former only.
        codecs::CODEC_ID_PCM_ALAW | codecs::CODEC_ID_PCM_MULAW => {
            (parameters.bits_per_sample, parameters.bits_per_coded_sample) = (None, None);
        }
        // Symphonia 0.6 makes noise of four channels at 44.1 and 48 kHz.
        codecs::CODEC_ID_VORBIS if channels > 2 => {
            return Err(Refusal::Unread(format!("vorbis of {channels} channels")));
        }
        _ => {}
    }
    registry().make_audio_decoder(&parameters, &AudioDecoderOptions::default()).map_err(|e| match e {
        Error::Unsupported(what) if what.starts_with("core (codec)") => Refusal::Unread(codec_name(parameters.codec)),
        Error::Unsupported(what) => Refusal::Unread(format!("{} ({what})", codec_name(parameters.codec))),
        e => format!("its codec cannot be set up ({e}); {CONVERT}").into(),
    })
}
