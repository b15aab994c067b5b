//! The codecs that this build reads.

use symphonia::core::codecs::audio::{AudioCodecId, well_known as id};

/// Those that call recordings come in.
const MET: &[AudioCodecId] = &[
    id::CODEC_ID_PCM_U8,
    id::CODEC_ID_PCM_S16LE,
    id::CODEC_ID_PCM_S24LE,
    id::CODEC_ID_PCM_S32LE,
    id::CODEC_ID_PCM_F32LE,
    id::CODEC_ID_PCM_F64LE,
    id::CODEC_ID_PCM_MULAW,
    id::CODEC_ID_PCM_ALAW,
    id::CODEC_ID_ADPCM_MS,
    id::CODEC_ID_ADPCM_IMA_WAV,
    id::CODEC_ID_FLAC,
    id::CODEC_ID_ALAC,
    id::CODEC_ID_MP3,
    id::CODEC_ID_VORBIS,
    id::CODEC_ID_OPUS,
    id::CODEC_ID_AAC,
];

/// The names of the codecs that are read, as `calls.codec` spells them.
pub fn codecs() -> Vec<&'static str> {
    let registry = symphonia::default::get_codecs();
    MET.iter().filter_map(|&codec| Some(registry.get_audio_decoder(codec)?.codec.info.short_name)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn telephone_codecs_are_read() {
        let codecs = super::codecs();
        for codec in ["pcm_mulaw", "pcm_alaw", "adpcm_ms", "flac", "mp3", "vorbis", "aac"] {
            assert!(codecs.contains(&codec), "{codec} is not among {codecs:?}");
        }
    }
}
