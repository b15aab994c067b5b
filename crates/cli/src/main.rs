//! The `nightcall` binary: arguments, progress bars, exit codes. Glue only; the work is done in the libraries.

mod args;
mod commands;
mod progress;
mod term;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;

/// Tensors come and go by the thousand, and the system's own allocator gives large ones back each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a command came to, as an exit code. Wrong arguments (2) are clap's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All done.
    Done,
    /// Ran, and some calls failed or were refused under `--strict`.
    Incomplete,
}

fn main() -> ExitCode {
    quiet_panics();
    let args = Args::parse();
    let outcome = match &args.command {
        Command::Run(run) => commands::run::run(run, &args.common),
        Command::Rerun(rerun) => commands::run::rerun(rerun, &args.common),
        Command::Stage(stage) => commands::stage::run(stage, &args.common),
        Command::Status(status) => commands::status::run(status, &args.common),
        Command::Show(show) => commands::show::run(show, &args.common),
        Command::Eval(eval) => commands::eval::run(eval, &args.common),
        Command::Models(models) => commands::models::run(models, &args.common),
        Command::Bench(bench) => commands::bench::run(&bench.what, &args.common),
        Command::Doctor(doctor) => commands::doctor::run(doctor, &args.common),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(3),
        Err(error) => {
            anstream::eprintln!("{}error:{} {error:#}", term::RED.render(), term::RED.render_reset());
            ExitCode::FAILURE
        }
    }
}

/// A panic's message may quote a call, so the log names its place alone.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        anstream::eprintln!("nightcall: a bug at {place}; please report it");
    }));
}
