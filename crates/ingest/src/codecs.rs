//! The codecs that this build reads.

use std::sync::LazyLock;
use symphonia::core::codecs::{
    audio::{AudioCodecId, well_known as id},
    registry::CodecRegistry,
};
use symphonia_adapter_libopus::OpusDecoder;

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
    id::CODEC_ID_MP2,
    id::CODEC_ID_MP3,
    id::CODEC_ID_VORBIS,
    id::CODEC_ID_OPUS,
    id::CODEC_ID_AAC,
];

/// Symphonia's decoders, and libopus for Opus.
pub(crate) fn registry() -> &'static CodecRegistry {
    static REGISTRY: LazyLock<CodecRegistry> = LazyLock::new(|| {
        let mut registry = CodecRegistry::new();
        symphonia::default::register_enabled_codecs(&mut registry);
        registry.register_audio_decoder::<OpusDecoder>();
        registry
    });
    &REGISTRY
}

/// The names of the codecs that are read without ffmpeg, as `calls.codec` spells them.
pub fn codecs() -> Vec<&'static str> {
    let registry = registry();
    MET.iter().filter_map(|&codec| Some(registry.get_audio_decoder(codec)?.codec.info.short_name)).collect()
}

/// The name of a codec that has no decoder here.
pub(crate) fn codec_name(id: AudioCodecId) -> String {
    if let Some(decoder) = registry().get_audio_decoder(id) {
        return decoder.codec.info.short_name.into();
    }
    match id {
        id::CODEC_ID_SPEEX => "speex".into(),
        id::CODEC_ID_MP1 => "mp1".into(),
        id::CODEC_ID_AC3 => "ac3".into(),
        id::CODEC_ID_EAC3 => "eac3".into(),
        id::CODEC_ID_WMA => "wma".into(),
        id::CODEC_ID_ADPCM_G722 => "g722".into(),
        id::CODEC_ID_ADPCM_G726 | id::CODEC_ID_ADPCM_G726LE => "g726".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn telephone_codecs_are_read() {
        let codecs = super::codecs();
        for codec in ["pcm_mulaw", "pcm_alaw", "adpcm_ms", "flac", "mp3", "vorbis", "opus", "aac"] {
            assert!(codecs.contains(&codec), "{codec} is not among {codecs:?}");
        }
    }
}
