//! Every table of Nightcall: one Arrow schema each, a doc line per column.
//!
//! Times are milliseconds from the start of the call; shares, scores and probabilities are 0..1 unless said.

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::{collections::HashMap, sync::Arc};

/// Raised when a column is renamed or retyped; added columns leave it as it is.
pub const SCHEMA_VERSION: u32 = 1;

/// A table: what passes between two stages, and (but for the first two) what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What ingest is to read: a row per recording, joined with the call list and the CRM rows. Not stored.
    Recordings,
    /// Decoded sound: 16 kHz mono blocks, a channel at a time. Not stored.
    Audio,
    /// Every recording found, whatever became of it.
    Calls,
    /// What the recognizer returned.
    Segments,
    /// Speaker turns in time order.
    Turns,
    /// A speaker's share in a call.
    SpeakerMetrics,
    /// A call as a whole.
    CallMetrics,
    /// Stretches of a call on one topic.
    Topics,
    /// Points discussed.
    Summaries,
    /// Things somebody said they, or the other, would do.
    FollowUps,
    /// Phrases, trackers, amounts and dates in a call.
    Keywords,
    /// Sentiment of each turn.
    Sentiments,
    /// Sentiment of each speaker over the call.
    SentimentTrends,
    /// Calls that a stage could not finish.
    StageErrors,
}

impl Table {
    /// All tables, in the order in which a call meets them.
    pub const ALL: [Self; 14] = [
        Self::Recordings,
        Self::Audio,
        Self::Calls,
        Self::Segments,
        Self::Turns,
        Self::SpeakerMetrics,
        Self::CallMetrics,
        Self::Topics,
        Self::Summaries,
        Self::FollowUps,
        Self::Keywords,
        Self::Sentiments,
        Self::SentimentTrends,
        Self::StageErrors,
    ];

    /// The name of the table, which is its folder in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::Audio => "audio",
            Self::Calls => "calls",
            Self::Segments => "segments",
            Self::Turns => "turns",
            Self::SpeakerMetrics => "speaker_metrics",
            Self::CallMetrics => "call_metrics",
            Self::Topics => "topics",
            Self::Summaries => "summaries",
            Self::FollowUps => "follow_ups",
            Self::Keywords => "keywords",
            Self::Sentiments => "sentiments",
            Self::SentimentTrends => "sentiment_trends",
            Self::StageErrors => "stage_errors",
        }
    }

    /// The table of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// Whether the store keeps it; the others only pass between stages.
    pub const fn stored(self) -> bool {
        !matches!(self, Self::Recordings | Self::Audio)
    }

    /// The Arrow schema. Its metadata names the table (`nightcall.table`) and the schema version.
    pub fn schema(self) -> SchemaRef {
        let metadata = HashMap::from([
            ("nightcall.table".to_owned(), self.name().to_owned()),
            ("nightcall.schema_version".to_owned(), SCHEMA_VERSION.to_string()),
        ]);
        Arc::new(Schema::new_with_metadata(self.columns(), metadata))
    }

    fn columns(self) -> Vec<Field> {
        let call_id = col("call_id", DataType::Utf8, "the call; the key of every table");
        let mut columns = vec![call_id];
        columns.extend(match self {
            Self::Recordings => vec![
                col("source_uri", DataType::Utf8, "path or URL of the recording"),
                opt("source_version", DataType::Utf8, "size and time of change (or ETag): changes when the file does"),
                opt("started_at", instant(), "when the call began, from the call list"),
                opt("direction", DataType::Utf8, "inbound or outbound, from the call list"),
                opt("language", DataType::Utf8, "BCP 47 code, from the call list or the pipeline"),
                col("participants", list(participant()), "who takes part"),
                col("crm", text_map(), "CRM columns of the call"),
                opt("problem", DataType::Utf8, "why the row cannot be read (no such file, two rows for one file, ...)"),
                opt("byte_size", DataType::Int64, "bytes of the recording; null where it is not there"),
                opt("content_sha256", DataType::Utf8, "hash of the bytes, of duplicates only"),
                opt("duplicate_of", DataType::Utf8, "the call that has the same bytes and is transcribed for both"),
                opt("track", DataType::Int32, "audio track to be read, from 0, from the call list; null: the first"),
                opt("match", DataType::Utf8, "how the call list's row found the recording; null where no row names it"),
            ],
            Self::Audio => vec![
                col("channel", DataType::Int32, "audio track, from 0"),
                col("first_sample", DataType::Int64, "position of the block's first sample at 16 kHz"),
                col("last", DataType::Boolean, "whether the channel ends with this block"),
                opt("language", DataType::Utf8, "BCP 47 code of what is spoken, where known"),
                col("samples", list(DataType::Float32), "mono samples at 16 kHz, -1..1"),
            ],
            Self::Calls => vec![
                col("source_uri", DataType::Utf8, "path or URL of the recording"),
                opt("content_sha256", DataType::Utf8, "hash of the file's bytes; null where it was never opened"),
                opt("container", DataType::Utf8, "container found in the bytes, such as wav"),
                opt("codec", DataType::Utf8, "codec found in the bytes, such as pcm_mulaw"),
                opt("duration_ms", DataType::Int64, "length of the decoded audio"),
                opt("sample_rate_hz", DataType::Int32, "rate of the recording before resampling"),
                opt("channel_count", DataType::Int32, "channels of the audio track that was read"),
                opt("started_at", instant(), "when the call began"),
                opt("direction", DataType::Utf8, "inbound or outbound"),
                opt("language", DataType::Utf8, "BCP 47 code of what is spoken, where known"),
                col("participants", list(participant()), "who takes part"),
                col("crm", text_map(), "CRM columns of the call"),
                col(
                    "status",
                    DataType::Utf8,
                    "ready; partial (ready, but for the channels of those who denied consent, which were not decoded but to see \
                     that the others are no copies); refused (consent: never opened, or found to be mono); duplicate \
                     (transcribed as duplicate_of: no other table has rows of it) or failed",
                ),
                opt("status_reason", DataType::Utf8, "why it is not ready"),
                opt("source_version", DataType::Utf8, "size and time of change (or ETag): changes when the file does"),
                opt("byte_size", DataType::Int64, "bytes of the recording; null where it is not there"),
                opt("duplicate_of", DataType::Utf8, "the call that has the same bytes; null where there is none"),
                opt(
                    "decoder",
                    DataType::Utf8,
                    "what decoded it: symphonia (Opus by libopus), or ffmpeg and its version",
                ),
                opt("track", DataType::Int32, "audio track that the call list asks for, from 0; null: the first"),
                opt("track_count", DataType::Int32, "audio tracks in the file"),
                opt("channels", list(channel_sound()), "how each channel sounded; null where it was not decoded"),
                opt(
                    "damage",
                    list(damage()),
                    "what is missing or wrong in the recording, in order of time; empty: nothing; null where it was not decoded",
                ),
                opt("match", DataType::Utf8, "how the call list's row found the recording; null where no row names it"),
            ],
            Self::Segments => vec![
                col("channel", DataType::Int32, "audio track, from 0"),
                col("segment_index", DataType::Int32, "position in the channel, from 0"),
                col("start_ms", DataType::Int64, "start of the first word"),
                col("end_ms", DataType::Int64, "end of the last word"),
                col("text", DataType::Utf8, "what was recognized"),
                opt("language", DataType::Utf8, "BCP 47 code of what was recognized"),
                col("avg_logprob", DataType::Float32, "mean natural log probability of the tokens (0 or less)"),
                opt("no_speech_prob", DataType::Float32, "probability that nobody speaks, where the engine tells"),
                col("words", list(word()), "words with their times"),
                col("engine", DataType::Utf8, "engine and model, such as moonshine/moonshine-tiny-en"),
            ],
            Self::Turns => vec![
                col("turn_index", DataType::Int32, "position in the call, from 0"),
                col("channel", DataType::Int32, "audio track the speaker is on"),
                col("speaker", DataType::Utf8, "who speaks: participant_id, else channel-N"),
                opt("role", DataType::Utf8, "agent or customer; null where unknown"),
                col("start_ms", DataType::Int64, "start of the first word"),
                col("end_ms", DataType::Int64, "end of the last word"),
                col("text", DataType::Utf8, "the turn's words"),
                opt("language", DataType::Utf8, "BCP 47 code of what was recognized"),
                col(
                    "overlap_ms",
                    DataType::Int64,
                    "time of this turn during which another speaker's turn is under way",
                ),
                col("pause_before_ms", DataType::Int64, "silence of all speakers right before this turn; 0 on overlap"),
                col("words", list(word()), "words with their times"),
            ],
            Self::SpeakerMetrics => vec![
                col("speaker", DataType::Utf8, "who speaks"),
                opt("role", DataType::Utf8, "agent or customer"),
                col("talk_ms", DataType::Int64, "time spent speaking: the sum of the speaker's utterances"),
                col("talk_share", DataType::Float32, "talk_ms over that of all speakers, silence left out"),
                col("turn_count", DataType::Int32, "turns"),
                col("word_count", DataType::Int32, "words"),
                opt("words_per_minute", DataType::Float32, "words per minute of talk; null without talk"),
                col(
                    "longest_monologue_ms",
                    DataType::Int64,
                    "longest stretch held by the speaker; backchannels of the other side under 1 s do not end it",
                ),
                col("question_count", DataType::Int32, "sentences that ask"),
                col(
                    "interruption_count",
                    DataType::Int32,
                    "turns that start at least 300 ms before another speaker's turn ends and outlast it",
                ),
                opt("pause_median_ms", DataType::Int64, "median silence before the speaker's turns, overlaps left out"),
                col("filler_share", DataType::Float32, "fillers (um, uh, ...) over words"),
            ],
            Self::CallMetrics => vec![
                col("speech_ms", DataType::Int64, "time in which anybody speaks"),
                col("silence_ms", DataType::Int64, "duration less speech_ms"),
                col("longest_silence_ms", DataType::Int64, "longest time in which nobody speaks"),
                col("overlap_ms", DataType::Int64, "time in which two or more speak"),
                col("switches_per_hour", DataType::Float32, "changes of speaker per hour of call (not a share)"),
                opt(
                    "talk_to_listen",
                    DataType::Float32,
                    "agent's talk over customer's (not a share); null without both",
                ),
            ],
            Self::Topics => vec![
                col("topic_index", DataType::Int32, "position in the call, from 0"),
                col("start_ms", DataType::Int64, "start of its first turn"),
                col("end_ms", DataType::Int64, "end of its last turn"),
                col("first_turn", DataType::Int32, "turn_index of the first turn"),
                col("last_turn", DataType::Int32, "turn_index of the last turn, inclusive"),
                col("label", DataType::Utf8, "its keyphrases"),
                col("kind", DataType::Utf8, "opening, discovery, pricing, objection, next_steps, closing, or body, which is none of these"),
            ],
            Self::Summaries => vec![
                col("point_index", DataType::Int32, "position in the summary, from 0"),
                col("kind", DataType::Utf8, "reason, topic, outcome or next_step"),
                col("text", DataType::Utf8, "the point, said with the speaker's role"),
                opt("speaker", DataType::Utf8, "who said it"),
                opt("role", DataType::Utf8, "agent or customer"),
                col("score", DataType::Float32, "how much of the call it covers; abstractive: how much of it the evidence holds"),
                col("method", DataType::Utf8, "extractive (said so) or abstractive (a language model's words)"),
                col("evidence", evidence(), "the words it came from"),
            ],
            Self::FollowUps => vec![
                col("follow_up_index", DataType::Int32, "position in the call, from 0"),
                col("action", DataType::Utf8, "what is to be done, as a clause"),
                opt("owner_role", DataType::Utf8, "agent or customer: who is to do it"),
                opt("owner_name", DataType::Utf8, "name of the owner, where known"),
                opt("due_text", DataType::Utf8, "the words that say when"),
                opt("due_date", DataType::Date32, "due_text resolved against the day of the call"),
                col("kind", DataType::Utf8, "commitment, request or meeting"),
                col("score", DataType::Float32, "confidence"),
                col("evidence", evidence(), "the words it came from"),
            ],
            Self::Keywords => vec![
                col("phrase", DataType::Utf8, "as said, or as the tracker spells it"),
                col("kind", DataType::Utf8, "keyphrase, tracker, money, date or percent"),
                opt("tracker", DataType::Utf8, "name of the tracker"),
                col("score", DataType::Float32, "weight in the call"),
                col("mention_count", DataType::Int32, "how often it is said"),
                col("first_ms", DataType::Int64, "when it is first said"),
                col("evidence", evidence(), "the words, a mention each"),
            ],
            Self::Sentiments => vec![
                col("turn_index", DataType::Int32, "the turn"),
                opt("role", DataType::Utf8, "agent or customer"),
                col("label", DataType::Utf8, "negative, neutral or positive"),
                col("negative", DataType::Float32, "share of negative"),
                col("neutral", DataType::Float32, "share of neutral"),
                col("positive", DataType::Float32, "share of positive"),
            ],
            Self::SentimentTrends => vec![
                col("speaker", DataType::Utf8, "who speaks"),
                opt("role", DataType::Utf8, "agent or customer"),
                col("score", DataType::Float32, "mean over the call, -5..5"),
                col(
                    "quarter_scores",
                    list_of_nullable(DataType::Float32),
                    "means over the quarters of the call's duration, -5..5; null where nothing was understood",
                ),
                opt(
                    "change",
                    DataType::Float32,
                    "fourth quarter minus the first, -10..10; null where either is null",
                ),
            ],
            Self::StageErrors => vec![
                col("stage", DataType::Utf8, "the stage that could not finish"),
                col("kind", DataType::Utf8, "bad_input, unavailable (the next run tries again), model, out_of_memory or internal"),
                col("message", DataType::Utf8, "what went wrong and the way out"),
                col("attempt", DataType::Int32, "from 1"),
                col("at", instant(), "when"),
            ],
        });
        columns
    }
}

fn documented(field: Field, doc: &str) -> Field {
    field.with_metadata(HashMap::from([("doc".to_owned(), doc.to_owned())]))
}

fn col(name: &str, kind: DataType, doc: &str) -> Field {
    documented(Field::new(name, kind, false), doc)
}

fn opt(name: &str, kind: DataType, doc: &str) -> Field {
    documented(Field::new(name, kind, true), doc)
}

fn list(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", of, false)))
}

fn list_of_nullable(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", of, true)))
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn text_map() -> DataType {
    let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
}

fn participant() -> DataType {
    DataType::Struct(Fields::from(vec![
        col("participant_id", DataType::Utf8, "unique in the call"),
        opt("channel", DataType::Int32, "the audio track the participant is heard on; null where unknown"),
        opt("role", DataType::Utf8, "agent or customer"),
        opt("name", DataType::Utf8, "as the call list spells it"),
        opt("person_id", DataType::Utf8, "the company's key of the person"),
        col("consent", DataType::Utf8, "granted, denied or unknown"),
    ]))
}

fn channel_sound() -> DataType {
    DataType::Struct(Fields::from(vec![
        col("channel", DataType::Int32, "channel of the track, from 0"),
        opt(
            "level_db",
            DataType::Float32,
            "level of its speech as recorded, dB of full scale; null where there is none",
        ),
        col("clipped", DataType::Boolean, "whether more than 0.1 % of its loud samples are cut at full scale"),
        col("quiet", DataType::Boolean, "whether its speech is below -45 dB of full scale"),
        col("silent", DataType::Boolean, "whether nothing is heard on it"),
        opt("copy_of", DataType::Int32, "channel that 90 % of it repeat; it was not recognized again"),
        col("crosstalk", DataType::Float32, "share of what is heard on it that a louder channel says, 0..1; left out"),
    ]))
}

fn damage() -> DataType {
    DataType::Struct(Fields::from(vec![
        col(
            "kind",
            DataType::Utf8,
            "cut_off (the end that the header promises is not there, or the file ends within a packet), lost (packets are missing or \
             damaged: silence of that length stands there, and later times are right), garbage (bytes between packets that are no \
             sound), header (it says something untrue; the sound was read by what is there) or withheld (a part of other channels \
             than the call's, which was not heard where somebody denied consent)",
        ),
        col("at_ms", DataType::Int64, "where, in the time of the call"),
        col("length_ms", DataType::Int64, "how much sound is missing; 0 where none is, or it is not known"),
    ]))
}

fn word() -> DataType {
    DataType::Struct(Fields::from(vec![
        col("text", DataType::Utf8, "the word with its punctuation"),
        col("start_ms", DataType::Int64, "start"),
        col("end_ms", DataType::Int64, "end"),
        col("probability", DataType::Float32, "mean probability of its tokens"),
    ]))
}

/// Character offsets (Unicode scalars) into `turns.text`, half open.
fn evidence() -> DataType {
    list(DataType::Struct(Fields::from(vec![
        col("turn_index", DataType::Int32, "the turn"),
        col("char_start", DataType::Int32, "first character"),
        col("char_end", DataType::Int32, "one past the last character"),
    ])))
}
