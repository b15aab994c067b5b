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
    let heard = guarded(heard, pending.chunk.speech_s(), &pending.language, pending.again);
    let Chunk { start, samples, spans } = &pending.chunk;
    let ms = |samples: usize| (samples * 1000 / SAMPLE_RATE) as i64;
    let spans: Vec<_> = spans.iter().map(|s| ms(s.start)..ms(s.end)).collect();
    let words = words(&heard.tokens, ms(*start), ms(samples.len()), &spans);
    let (first, last) = (words.first()?, words.last()?);
    Some(Segment {
        call_id: pending.call.to_string(),
        channel: pending.channel,
        segment_index: 0,
        start_ms: first.start_ms,
        end_ms: last.end_ms,
        text: text(&heard.tokens),
        language: Some(pending.language.to_string()),
        avg_logprob: thousandths(heard.avg_logprob.min(0.0)),
        no_speech_prob: heard.no_speech_prob.map(thousandths),
        words,
        engine: engine.to_owned(),
    })
}
