//! The `nightcall` binary: arguments, progress bars, exit codes. Glue only; the work is done in the libraries.

mod allocator;
mod args;
mod commands;
mod logger;
mod progress;
mod term;

use args::{Args, Command};
use clap::FromArgMatches;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::BySize = allocator::BySize;

/// What a command came to, as an exit code. Wrong arguments (2) are clap's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All done.
    Done,
    /// Ran, and some calls failed or were refused under `--strict`.
    Incomplete,
}

fn main() -> ExitCode {
    allocator::keep_freed_blocks();
    quiet_panics();
    let args = Args::from_arg_matches(&args::command().get_matches()).unwrap_or_else(|error| error.exit());
    logger::start(args.common.verbose, args.common.quiet);
    let outcome = match &args.command {
        Command::Run(run) => commands::run::run(run, &args.common),
        Command::Rerun(rerun) => commands::run::rerun(rerun, &args.common),
        Command::Stage(stage) => commands::stage::run(stage, &args.common),
        Command::Status(status) => commands::status::run(status, &args.common),
        Command::Show(show) => commands::show::run(show, &args.common),
        Command::Tables(tables) => commands::tables::run(tables, &args.common),
        Command::Eval(eval) => commands::eval::run(eval, &args.common),
        Command::Models(models) => commands::models::run(models, &args.common),
        Command::Bench(bench) => commands::bench::run(&bench.what, &args.common),
        Command::Doctor(doctor) => commands::doctor::run(doctor, &args.common),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(3),
        Err(error) => {
            anstream::eprintln!(
                "{}error:{} {}",
                term::RED.render(),
                term::RED.render_reset(),
                term::lines(&told(&error))
            );
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, those that its message does not quote already.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        told if told.contains(&cause) => told.to_owned(),
        told => format!("{told}: {cause}"),
    })
}

/// A panic's message may quote a call, so the log names its place alone.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        anstream::eprintln!("nightcall: a bug at {place}; please report it");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = |context: &'static str| anyhow::Error::new(std::io::Error::other("no room")).context(context);
        assert_eq!(told(&error("cannot write x: no room; make some")), "cannot write x: no room; make some");
        assert_eq!(told(&error("writing x")), "writing x: no room");
    }
}
