//! `stage`: one stage as a filter.

use super::{registry, threads};
use crate::{
    Outcome,
    args::{Common, Stage},
    term::one_line,
};
use anyhow::{Context, Result};
use pipeline::{Assembly, Spec};
use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    path::Path,
};

pub fn run(args: &Stage, common: &Common) -> Result<Outcome> {
    let (name, args) = args.name.parts();
    threads(&args.how)?;
    let spec = Spec::load(args.how.pipeline.as_deref())?;
    let registry = registry(common)?;
    let mut stage = Assembly::new(&spec, &registry, args.how.device)?.stage(name)?;
    let dash = Path::new("-");
    let input: Box<dyn Read + Send> = if args.input == dash {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(&args.input).with_context(|| args.input.display().to_string())?)
    };
    let mut output: Box<dyn Write> = if args.output == dash {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(File::create(&args.output).with_context(|| args.output.display().to_string())?)
    };
    let mut buffered = BufWriter::new(&mut output);
    let failures = pipeline::run_as_filter(stage.as_mut(), input, &mut buffered)?;
    buffered.flush().or_else(|e| if e.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(e) })?;
    if !common.quiet {
        for failure in failures {
            let line = format!("failed {} ({name}): {}", failure.call_id, failure.message);
            anstream::eprintln!("{}", one_line(&line));
        }
    }
    Ok(Outcome::Done)
}
