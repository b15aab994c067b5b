//! What a user types.

mod bench;

pub use bench::{Bench, BenchAsr, BenchEncoder, BenchText, BenchWhat, BenchWhisper, Measured, WhisperEngine};

use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum};
use eval::WordLimit;
use pipeline::DeviceChoice;
use schema::{StageName, Table};
use std::path::PathBuf;

/// Turns stored call recordings into typed insight tables, overnight, on one machine.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Example:\n  nightcall run recordings/ --calls calls.csv --store store\n  nightcall show 8812 --store store"
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

/// Flags of every command.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// Say more (-v: models, shards, times, files passed over, every call that failed; -vv: how it was decided)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but results, errors and, where calls failed, a last line
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Folder of the models [default: the user's cache folder, nightcall/models]
    #[arg(long, global = true, env = "NIGHTCALL_MODELS", value_name = "DIR", hide_env_values = true)]
    pub models: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(Run),
    Rerun(Rerun),
    Stage(Stage),
    Status(Status),
    Show(Show),
    Tables(Tables),
    Eval(Eval),
    Models(Models),
    Bench(Bench),
    Doctor(Doctor),
}

/// Analyse recordings: from audio to every table, skipping what is done
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nightcall run recordings/ --calls calls.csv --crm crm.csv --pipeline pipelines/sales.toml --store store"
)]
pub struct Run {
    /// Recordings: files, folders, globs, or prefixes of buckets (s3://, az://, gs://)
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Where the tables are kept: a folder, made if need be, or a bucket's prefix (s3://, az://, gs://)
    #[arg(long, value_name = "STORE")]
    pub store: String,
    /// The call list: CSV, JSONL, Parquet or a workbook, a row a call
    #[arg(long, value_name = "LIST")]
    pub calls: Option<PathBuf>,
    /// CRM rows: CSV, JSONL, Parquet or a workbook
    #[arg(long, value_name = "FILE")]
    pub crm: Option<PathBuf>,
    #[command(flatten)]
    pub how: How,
    /// Calls that are worked on and committed together
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub shard_size: u16,
    /// Exit with 3 when a call failed or was refused
    #[arg(long)]
    pub strict: bool,
}

/// How models run.
#[derive(Clone, Debug, clap::Args)]
pub struct How {
    /// The pipeline file [default: the built-in one, pipelines/default.toml]
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// Where models run: auto, cpu, cuda, cuda:N or metal
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// Run a stage again over a store, and what depends on it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nightcall rerun extract --store store --pipeline pipelines/sales.toml")]
pub struct Rerun {
    /// ingest, transcribe, flow, summarize, extract or sentiment
    pub stage: StageName,
    /// The store
    #[arg(long, value_name = "STORE")]
    pub store: String,
    /// Only the shards of these calls
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub calls: Vec<String>,
    #[command(flatten)]
    pub how: How,
    /// Exit with 3 when a call failed or was refused
    #[arg(long)]
    pub strict: bool,
}

/// Run one stage as a filter over Arrow IPC streams
#[derive(Debug, clap::Args)]
#[command(
    subcommand_value_name = "STAGE",
    subcommand_help_heading = "Stages",
    after_help = "Example:\n  nightcall stage flow --in calls-and-segments.arrows --out flow.arrows\n\nInput and output are Arrow IPC streams, one after another; each names its table in the schema's metadata (nightcall.table). `nightcall tables TABLE` says which columns a table has."
)]
pub struct Stage {
    #[command(subcommand)]
    pub name: StageCommand,
}

/// A stage and how it is run; what each reads and writes is written into its help by [`command`].
#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
pub enum StageCommand {
    Ingest(Filter),
    Transcribe(Filter),
    Flow(Filter),
    Summarize(Filter),
    Extract(Filter),
    Sentiment(Filter),
}

impl StageCommand {
    /// The stage, and how it is run.
    pub fn parts(&self) -> (StageName, &Filter) {
        match self {
            Self::Ingest(filter) => (StageName::Ingest, filter),
            Self::Transcribe(filter) => (StageName::Transcribe, filter),
            Self::Flow(filter) => (StageName::Flow, filter),
            Self::Summarize(filter) => (StageName::Summarize, filter),
            Self::Extract(filter) => (StageName::Extract, filter),
            Self::Sentiment(filter) => (StageName::Sentiment, filter),
        }
    }
}

/// Where a filter reads and writes.
#[derive(Debug, clap::Args)]
pub struct Filter {
    /// Input; - is standard input
    #[arg(long = "in", value_name = "FILE", default_value = "-")]
    pub input: PathBuf,
    /// Output; - is standard output
    #[arg(long = "out", value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    #[command(flatten)]
    pub how: How,
}

/// The command line, with what each stage reads and writes in its help.
pub fn command() -> clap::Command {
    StageName::ALL.into_iter().fold(Args::command(), |command, stage| {
        let (inputs, outputs) = pipeline::tables_of(stage);
        let about = format!("Reads {}; writes {}", names(inputs), names(outputs));
        let list = |tables: &[Table]| -> String {
            let line = |table: &Table| format!("\n  {:17}{}", table.name(), table.doc());
            tables.iter().map(line).collect::<Vec<_>>().concat()
        };
        let more = format!(
            "Reads:{}\n\nWrites:{}\n  {:17}{}\n\nExample:\n  nightcall stage {stage} --in FILE.arrows --out {stage}.arrows\n\n\
             Input and output are Arrow IPC streams, one after another; each names its table in the schema's metadata \
             (nightcall.table). Tables that the stage does not read are passed over. Columns: `nightcall tables TABLE`.",
            list(inputs),
            list(outputs),
            Table::StageErrors.name(),
            Table::StageErrors.doc(),
        );
        command.mut_subcommand("stage", |command| {
            command.mut_subcommand(stage.as_str(), |command| command.about(about).after_help(more))
        })
    })
}

fn names(tables: &[Table]) -> String {
    tables.iter().map(|table| table.name()).collect::<Vec<_>>().join(", ")
}

/// Print the tables: their columns, types, units and what they mean
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nightcall tables follow_ups\n  nightcall tables turns --ipc > empty-turns.arrows")]
pub struct Tables {
    /// A table [default: all]
    #[arg(value_parser = table)]
    pub table: Option<Table>,
    /// As one JSON object
    #[arg(long, group = "form")]
    pub json: bool,
    /// As Arrow IPC streams without rows, one after another
    #[arg(long, group = "form")]
    pub ipc: bool,
    /// As a page in Markdown: docs/tables.md
    #[arg(long, group = "form")]
    pub markdown: bool,
}

fn table(name: &str) -> Result<Table, String> {
    Table::from_name(name).ok_or_else(|| format!("there is no such table; the tables are {}", names(&Table::ALL)))
}

/// Say what is done, stale, failed and refused
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nightcall status --store store --json")]
pub struct Status {
    /// The store
    #[arg(long, value_name = "STORE")]
    pub store: String,
    /// The pipeline to hold the tables against
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Show one call: flow, summary, follow-ups, keywords, sentiment
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nightcall show sales-pricing --store store")]
pub struct Show {
    /// The call
    pub call_id: String,
    /// The store
    #[arg(long, value_name = "STORE")]
    pub store: String,
    /// The transcript too
    #[arg(long)]
    pub transcript: bool,
    /// Every row of the call as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Measure accuracy on a reference set
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nightcall eval asr --data refs.tsv --json\n  nightcall eval summary --data dialogues.jsonl --words reference\n  nightcall eval fixtures --data fixtures --store store"
)]
pub struct Eval {
    /// What to measure
    #[arg(value_enum)]
    pub what: EvalKind,
    /// The reference set: for asr a TSV with the columns audio and text; for fixtures their folder; else a JSON object a line
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// For fixtures: the store of a run over them
    #[arg(long, value_name = "STORE", required_if_eq("what", "fixtures"))]
    pub store: Option<String>,
    /// For asr: the engine, moonshine or whisper_cpp [default: that of the model]
    #[arg(long)]
    pub engine: Option<String>,
    /// For asr: the model [default: the pipeline's first]
    #[arg(long)]
    pub model: Option<String>,
    /// For asr: write what was recognized
    #[arg(long, value_name = "OUT.tsv")]
    pub hypotheses: Option<PathBuf>,
    /// For summary: words of a summary at most; reference: as many as the references have [default: what the pipeline says]
    #[arg(long, value_name = "N|reference")]
    pub words: Option<WordLimit>,
    /// For follow-ups: the confidence from which a turn counts [default: the pipeline's follow_up_min_score, for meetings the
    /// head's]
    #[arg(long, value_name = "SHARE")]
    pub threshold: Option<f32>,
    /// For flow, summary, follow-ups, keywords and sentiment: write what was said beside what was meant
    #[arg(long, value_name = "OUT.jsonl")]
    pub predictions: Option<PathBuf>,
    /// Score the predictions of another method, in the form that --predictions writes
    #[arg(long, value_name = "FILE.jsonl", conflicts_with = "predictions")]
    pub from: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub how: How,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EvalKind {
    /// Word error rate after the Whisper English normalizer
    Asr,
    /// ROUGE of the summary, the best over the references
    Summary,
    /// Pk and WindowDiff of where topics begin, and how often a topic's kind is right
    Flow,
    /// Precision and recall of turns that are part of a follow-up; where each talk has more than two speakers, of action items,
    /// by our head for meetings
    FollowUps,
    /// Keyphrases by exact match after Porter stemming
    Keywords,
    /// Accuracy, F1 and calibration of each turn's sentiment; by our head, or as --pipeline says
    Sentiment,
    /// What the pipeline found in the fixtures, beside what their scripts say
    Fixtures,
}

/// List, bring and check models
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nightcall models pull moonshine-tiny-en all-minilm-l6-v2")]
pub struct Models {
    #[command(subcommand)]
    pub command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models that are known, and which are here
    List {
        /// As one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Bring models and verify every file
    Pull {
        /// Their names [default: those of the default pipeline]
        names: Vec<String>,
        /// Look in this folder first: it holds a folder a model
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
    },
    /// Hash every file again
    Verify {
        /// Their names [default: all that are here]
        names: Vec<String>,
    },
}

/// Say what this machine can do
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nightcall doctor --json")]
pub struct Doctor {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}
