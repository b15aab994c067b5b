//! From what an engine heard in a chunk to a row.

use crate::{
    chunker::Chunk,
    engines::Recognition,
    guards::guarded,
    queue::Pending,
    words::{text, thousandths, words},
};
use schema::{SAMPLE_RATE, Segment};

/// The segment of a chunk, without its index; none where nothing is left of it. `engine` names engine and model.
pub(crate) fn segment(pending: &Pending, heard: Recognition, engine: &str) -> Option<Segment> {
    let heard =
        guarded(heard, pending.chunk.speech_s(), pending.language.as_deref().unwrap_or_default(), pending.again);
    let Chunk { samples, spans, .. } = &pending.chunk;
    let ms = |samples: usize| (samples * 1000 / SAMPLE_RATE) as i64;
    let spans: Vec<_> = spans.iter().map(|s| ms(s.start)..ms(s.end)).collect();
    let mut words = words(&heard.tokens, ms(samples.len()), &spans);
    for word in &mut words {
        // Milliseconds are whole samples.
        let at = |ms: i64| ms as usize * (SAMPLE_RATE / 1000);
        let place = pending.chunk.place(at(word.start_ms)..at(word.end_ms));
        (word.start_ms, word.end_ms) = (ms(place.start), ms(place.end));
    }
    let (first, last) = (words.first()?, words.last()?);
    Some(Segment {
        call_id: pending.call.to_string(),
        channel: pending.channel,
        segment_index: 0,
        start_ms: first.start_ms,
        end_ms: last.end_ms,
        text: text(&heard.tokens),
        language: pending.language.as_deref().map(str::to_owned),
        avg_logprob: thousandths(heard.avg_logprob.min(0.0)),
        no_speech_prob: heard.no_speech_prob.map(thousandths),
        words,
        engine: engine.to_owned(),
    })
}
