//! The columns of every table, a doc and a unit each.

use crate::{
    Table,
    types::{
        COUNT, DAY, FLAG, INDEX, INT, LONG, MONEY, MOOD, REAL, SCORE, SHARE, TEXT, channel_sound, col, damage,
        evidence, instant, list, list_of_nullable, mentions, of, opt, participant, text_map, word,
    },
};
use arrow::datatypes::{DataType, Field};

/// Said of what cannot be told of a call that is heard on one channel, or in part.
macro_rules! unless_apart {
    ($doc:literal) => {
        concat!(
            $doc,
            "; null where the speakers are not told apart: several people on one channel, or one of them not heard"
        )
    };
}

pub(crate) fn columns(table: Table) -> Vec<Field> {
    let mut columns = vec![col("call_id", TEXT, "the call; the key of every table")];
    if table != Table::Audio {
        columns.push(opt(
            "started_on",
            DAY,
            "the day on which the call began, in its own time zone; null where unknown",
        ));
    }
    columns.extend(match table {
        Table::Recordings => recordings(),
        Table::Audio => vec![
            of(INDEX, col("channel", INT, "audio track")),
            of("samples at 16 kHz", col("first_sample", LONG, "position of the block's first sample")),
            col("last", FLAG, "whether the channel ends with this block"),
            opt("language", TEXT, "BCP 47 code of what is spoken, where known"),
            of("amplitude, -1..1", col("samples", list(REAL), "mono samples at 16 kHz")),
        ],
        Table::Calls => calls(),
        Table::Segments => vec![
            of(INDEX, col("channel", INT, "audio track")),
            of(INDEX, col("segment_index", INT, "position in the channel")),
            col("start_ms", LONG, "start of the first word"),
            col("end_ms", LONG, "end of the last word"),
            col("text", TEXT, "what was recognized"),
            opt("language", TEXT, "BCP 47 code of what was recognized"),
            of(
                "natural log of a probability",
                col("avg_logprob", REAL, "mean log probability of the tokens (0 or less)"),
            ),
            of("probability, 0..1", opt("no_speech_prob", REAL, "that nobody speaks, where the engine tells")),
            col("words", list(word()), "words with their times"),
            col("engine", TEXT, "engine and model, such as moonshine/moonshine-tiny-en"),
        ],
        Table::Turns => vec![
            of(INDEX, col("turn_index", INT, "position in the call")),
            of(INDEX, col("channel", INT, "audio track the speaker is on")),
            col("speaker", TEXT, "who speaks: participant_id, else channel-N"),
            opt("role", TEXT, "agent or customer; null where unknown"),
            col("start_ms", LONG, "start of the first word"),
            col("end_ms", LONG, "end of the last word"),
            col("text", TEXT, "the turn's words"),
            opt("language", TEXT, "BCP 47 code of what was recognized"),
            opt(
                "overlap_ms",
                LONG,
                unless_apart!("time of this turn during which another speaker's turn is under way"),
            ),
            col("pause_before_ms", LONG, "silence of all speakers right before this turn; 0 on overlap"),
            col("words", list(word()), "words with their times"),
        ],
        Table::SpeakerMetrics => speaker_metrics(),
        Table::CallMetrics => vec![
            col("speech_ms", LONG, "time in which anybody speaks"),
            col("silence_ms", LONG, "duration less speech_ms"),
            col("longest_silence_ms", LONG, "longest time in which nobody speaks"),
            opt("overlap_ms", LONG, unless_apart!("time in which two or more speak")),
            of("per hour", opt("switches_per_hour", REAL, unless_apart!("changes of speaker per hour of call"))),
            of("ratio", opt("talk_to_listen", REAL, "agent's talk over customer's; null without both")),
        ],
        Table::Topics => vec![
            of(INDEX, col("topic_index", INT, "position in the call")),
            col("start_ms", LONG, "start of its first turn"),
            col("end_ms", LONG, "end of its last turn"),
            of(INDEX, col("first_turn", INT, "turn_index of the first turn")),
            of(INDEX, col("last_turn", INT, "turn_index of the last turn, inclusive")),
            col("label", TEXT, "its keyphrases"),
            col(
                "kind",
                TEXT,
                "opening, discovery, pricing, objection, next_steps, closing, or body, which is none of these",
            ),
        ],
        Table::Summaries => vec![
            of(INDEX, col("point_index", INT, "position in the summary")),
            col("kind", TEXT, "reason, topic, outcome or next_step"),
            col("text", TEXT, "the point, said with the speaker's role"),
            opt("speaker", TEXT, "who said it"),
            opt("role", TEXT, "agent or customer"),
            of(
                SCORE,
                col("score", REAL, "how much of the call it covers; abstractive: how much of it the evidence holds"),
            ),
            col("method", TEXT, "extractive (said so) or abstractive (a language model's words)"),
            opt("start_ms", LONG, "when the first of its evidence begins"),
            opt("end_ms", LONG, "when the last of its evidence ends"),
            col("evidence", evidence(), "the words it came from"),
        ],
        Table::FollowUps => vec![
            of(INDEX, col("follow_up_index", INT, "position in the call")),
            col("action", TEXT, "what is to be done, as a clause"),
            opt("owner_role", TEXT, "agent or customer: who is to do it; null where that is not known"),
            opt("owner_name", TEXT, "name of the owner, where known"),
            opt("due_text", TEXT, "the words that say when"),
            opt("due_date", DAY, "due_text resolved against the day of the call"),
            col("kind", TEXT, "commitment, request or meeting"),
            of(SCORE, col("score", REAL, "confidence")),
            opt("start_ms", LONG, "when the first of its evidence begins"),
            opt("end_ms", LONG, "when the last of its evidence ends"),
            col("evidence", evidence(), "the words it came from"),
        ],
        Table::Keywords => keywords(),
        Table::Sentiments => vec![
            of(INDEX, col("turn_index", INT, "the turn")),
            opt("role", TEXT, "agent or customer"),
            opt("start_ms", LONG, "start of the turn"),
            opt("end_ms", LONG, "end of the turn"),
            col("label", TEXT, "negative, neutral or positive"),
            of(SHARE, col("negative", REAL, "how much of it is negative")),
            of(SHARE, col("neutral", REAL, "how much of it is neutral")),
            of(SHARE, col("positive", REAL, "how much of it is positive")),
        ],
        Table::SentimentTrends => vec![
            col("speaker", TEXT, "who speaks"),
            opt("role", TEXT, "agent or customer"),
            of(MOOD, col("score", REAL, "mean over the call")),
            of(
                MOOD,
                col(
                    "quarter_scores",
                    list_of_nullable(REAL),
                    "means over the quarters of the call's duration; null where nothing was understood",
                ),
            ),
            of("score, -10..10", opt("change", REAL, "fourth quarter minus the first; null where either is null")),
        ],
        Table::StageErrors => vec![
            col("stage", TEXT, "the stage that could not finish"),
            col("kind", TEXT, "bad_input, unavailable (the next run tries again), model, out_of_memory or internal"),
            col("message", TEXT, "what went wrong and the way out"),
            of("tries, from 1", col("attempt", INT, "which try it was")),
            col("at", instant(), "when"),
        ],
    });
    columns
}

fn recordings() -> Vec<Field> {
    vec![
        col("source_uri", TEXT, "path or URL of the recording"),
        opt("source_version", TEXT, "size and time of change (or ETag): changes when the file does"),
        opt("started_at", instant(), "when the call began, from the call list"),
        opt("direction", TEXT, "inbound or outbound, from the call list"),
        opt("language", TEXT, "BCP 47 code, from the call list or the pipeline"),
        col("participants", list(participant()), "who takes part"),
        col("crm", text_map(), "CRM columns of the call"),
        opt("problem", TEXT, "why the row cannot be read (no such file, two rows for one file, ...)"),
        of("bytes", opt("byte_size", LONG, "size of the recording; null where it is not there")),
        opt("content_sha256", TEXT, "hash of the bytes, of duplicates only"),
        opt("duplicate_of", TEXT, "the call that has the same bytes and is transcribed for both"),
        of(INDEX, opt("track", INT, "audio track to be read, from the call list; null: the first")),
        opt("match", TEXT, MATCH),
    ]
}

fn calls() -> Vec<Field> {
    vec![
        col("source_uri", TEXT, "path or URL of the recording"),
        opt("content_sha256", TEXT, "hash of the file's bytes; null where it was never opened"),
        opt("container", TEXT, "container found in the bytes, such as wav"),
        opt("codec", TEXT, "codec found in the bytes, such as pcm_mulaw"),
        opt("duration_ms", LONG, "length of the decoded audio"),
        of("Hz", opt("sample_rate_hz", INT, "rate of the recording before resampling")),
        of(COUNT, opt("channel_count", INT, "channels of the audio track that was read")),
        opt("started_at", instant(), "when the call began"),
        opt("direction", TEXT, "inbound or outbound"),
        opt("language", TEXT, "BCP 47 code of what is spoken, where known"),
        col("participants", list(participant()), "who takes part"),
        col("crm", text_map(), "CRM columns of the call"),
        col(
            "status",
            TEXT,
            "what became of the recording: ready; partial (ready, but for the channels of those who denied consent, which \
             were not decoded but to see that the others are no copies); refused (consent: never opened, or found to be \
             mono); duplicate (transcribed as duplicate_of: no other table has rows of it) or failed",
        ),
        opt("status_reason", TEXT, "why it is not ready"),
        opt(
            "outcome",
            TEXT,
            "what all stages together made of the call: complete; partial (a channel withheld, sound missing, or a stage over \
             text gave it up: stage_errors says which); not_understood (heard, but hardly any words, or in a language that is \
             not read); refused, failed or duplicate; null until the stages are done with it",
        ),
        opt("source_version", TEXT, "size and time of change (or ETag): changes when the file does"),
        of("bytes", opt("byte_size", LONG, "size of the recording; null where it is not there")),
        opt("duplicate_of", TEXT, "the call that has the same bytes; null where there is none"),
        opt("decoder", TEXT, "what decoded it: symphonia (Opus by libopus), or ffmpeg and its version"),
        of(INDEX, opt("track", INT, "audio track that the call list asks for; null: the first")),
        of(COUNT, opt("track_count", INT, "audio tracks in the file")),
        opt("channels", list(channel_sound()), "how each channel sounded; null where it was not decoded"),
        opt(
            "damage",
            list(damage()),
            "what is missing or wrong in the recording, in order of time; empty: nothing; null where it was not decoded",
        ),
        opt("match", TEXT, MATCH),
    ]
}

fn speaker_metrics() -> Vec<Field> {
    vec![
        col("speaker", TEXT, "who speaks"),
        opt("role", TEXT, "agent or customer"),
        col("talk_ms", LONG, "time spent speaking: the sum of the speaker's utterances"),
        of(SHARE, opt("talk_share", REAL, unless_apart!("talk_ms over that of all speakers, silence left out"))),
        of(COUNT, col("turn_count", INT, "turns")),
        of(COUNT, col("word_count", INT, "words")),
        of("words per minute", opt("words_per_minute", REAL, "words per minute of talk; null without talk")),
        opt(
            "longest_monologue_ms",
            LONG,
            unless_apart!(
                "longest stretch held by the speaker; backchannels of the other side under 1 s do not end it"
            ),
        ),
        of(COUNT, col("question_count", INT, "sentences that ask")),
        of(
            COUNT,
            opt(
                "interruption_count",
                INT,
                unless_apart!("turns that start at least 300 ms before another speaker's turn ends and outlast it"),
            ),
        ),
        opt("pause_median_ms", LONG, "median silence before the speaker's turns, overlaps left out"),
        of(SHARE, col("filler_share", REAL, "fillers (um, uh, ...) over words")),
    ]
}

fn keywords() -> Vec<Field> {
    vec![
        col("phrase", TEXT, "as said, or as the tracker spells it"),
        col("kind", TEXT, "keyphrase, tracker, money, date or percent"),
        opt("tracker", TEXT, "name of the tracker"),
        of("currency", opt("amount", MONEY, "of money: the sum; null where it has more than sixteen digits")),
        opt(
            "currency",
            TEXT,
            "of money: ISO 4217 code of the currency; null where the words leave it open, as \"cents\" do",
        ),
        opt(
            "date",
            DAY,
            "of a date: the day that the words name, seen from the day of the call; null where they name none (\"next \
             month\", \"last Friday\"), or the call's day is unknown",
        ),
        of("percent", opt("percent", DataType::Float64, "of a percentage: 12.5 for \"12.5 percent\"")),
        of(SCORE, col("score", REAL, "weight in the call")),
        of(COUNT, col("mention_count", INT, "how often it is said")),
        col("first_ms", LONG, "when it is first said"),
        opt("start_ms", LONG, "when the first mention begins"),
        opt("end_ms", LONG, "when the first mention ends"),
        col("evidence", evidence(), "the words, a mention each"),
        opt("mentions", mentions(), "the same with the time of each mention"),
    ]
}

const MATCH: &str = "how the call list's row found the recording: exact (as written), slash, percent, case or unicode (the same path \
                     spelled otherwise), suffix (by its last folders and name), name (by its name alone), stem (without the \
                     ending), call_id; barred: it was not opened because a row that denies consent or cannot be trusted may mean \
                     it, or because a column seems to deny; null where no row names it";
