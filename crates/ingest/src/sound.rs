//! A recording as the recognizer is to hear it: decoded, and each channel made fit to be listened to.

use crate::{AudioInfo, Decoder, IngestError, crosstalk::Crosstalk, level::Level};
use schema::{ChannelSound, Damage};
use std::path::Path;

/// A decoder whose channels are freed of their offset, of what another channel says louder, and of being too quiet. A
/// block's sound depends on the blocks before it and on nothing else.
pub struct Sound {
    decoder: Decoder,
    levels: Vec<Level>,
    crosstalk: Crosstalk,
}

impl Sound {
    /// The sound that a decoder gives from here on.
    pub fn new(decoder: Decoder) -> Self {
        let channels = decoder.info().channel_count;
        Self { decoder, levels: vec![Level::new(); channels], crosstalk: Crosstalk::new(channels) }
    }

    /// Leaves channels silent from here on, as [`Decoder::withhold`] does.
    pub(crate) fn withhold(&mut self, channels: &[usize]) {
        self.decoder.withhold(channels);
    }

    /// What the recording is.
    pub fn info(&self) -> &AudioInfo {
        self.decoder.info()
    }

    /// Length of what was decoded so far.
    pub fn duration_ms(&self) -> i64 {
        self.decoder.duration_ms()
    }

    /// What is missing or wrong, up to here, as [`Decoder::damage`] tells it.
    pub fn damage(&self) -> Vec<Damage> {
        self.decoder.damage()
    }

    /// The next samples, as [`Decoder::next_block`] gives them.
    pub fn next_block(&mut self) -> Result<Option<Vec<Vec<f32>>>, IngestError> {
        let Some(mut block) = self.decoder.next_block()? else { return Ok(None) };
        for (level, samples) in self.levels.iter_mut().zip(&mut block) {
            level.center(samples);
        }
        self.crosstalk.silence(&mut block);
        for (level, samples) in self.levels.iter_mut().zip(&mut block) {
            level.raise(samples);
        }
        Ok(Some(block))
    }

    /// How each channel sounded, up to here.
    pub fn channels(&self) -> Vec<ChannelSound> {
        let sound = |(channel, level): (usize, &Level)| {
            let copy_of = self.crosstalk.copy_of(channel);
            ChannelSound {
                channel: channel as i32,
                level_db: level.level_db().map(|level| level as f32),
                clipped: self.decoder.is_clipped(channel),
                quiet: level.is_quiet(),
                silent: level.level_db().is_none() && copy_of.is_none(),
                copy_of: copy_of.map(|other| other as i32),
                crosstalk: self.crosstalk.share(channel) as f32,
            }
        };
        self.levels.iter().enumerate().map(sound).collect()
    }
}

/// The first of `withheld` channels that is one recording with a channel that is to be heard, and that channel: a mono call
/// stored as two channels, of which withholding one would withhold nothing. Second, milliseconds that were read to know it.
///
/// To know that, both must be looked at. Blocks are decoded from the start, compared in windows of half a second and dropped;
/// no more of them than until each channel of every such pair has had 5 s of speech that is not on the other, which is the
/// first blocks of most calls, and all where one channel has little of its own.
pub(crate) fn stored_twice(decoder: Decoder, withheld: &[usize]) -> Result<(Option<(usize, usize)>, i64), IngestError> {
    let mut sound = Sound::new(decoder);
    let channels = sound.info().channel_count;
    let heard = |channel: &usize| !withheld.contains(channel);
    let pairs: Vec<(usize, usize)> = withheld
        .iter()
        .filter(|&&channel| channel < channels)
        .flat_map(|&channel| (0..channels).filter(heard).map(move |other| (channel, other)))
        .collect();
    while !pairs.iter().all(|&(a, b)| sound.crosstalk.are_apart(a, b)) {
        if sound.next_block()?.is_none() {
            let twice = pairs.into_iter().find(|&(a, b)| sound.crosstalk.are_one(a, b));
            return Ok((twice, sound.duration_ms()));
        }
    }
    Ok((None, sound.duration_ms()))
}

/// A whole recording at 16 kHz, a vector a channel: for evaluation and benches, which hold little audio.
pub fn decode(path: &Path) -> Result<(AudioInfo, Vec<Vec<f32>>), IngestError> {
    let mut sound = Sound::new(Decoder::open(path)?);
    let mut channels = vec![Vec::new(); sound.info().channel_count];
    while let Some(block) = sound.next_block()? {
        for (channel, samples) in channels.iter_mut().zip(block) {
            channel.extend(samples);
        }
    }
    Ok((sound.info().clone(), channels))
}
