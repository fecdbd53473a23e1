//! The command line: arguments in, an exit code out.
//!
//! It speaks to a cluster only as any other client does, over HTTP; what it does in a data directory is what the operator of that directory may
//! do by hand. It never takes a credential from the arguments, which other users of the machine can read, and `serve` is not its business: it
//! loads the settings and hands them to whoever was given.

mod api_keys;
mod args;
mod check;
mod cluster;
mod error;
mod follow;
mod http;
mod session;
mod show;
mod sse;
mod target;

use crate::config::Config;
use args::{Args, Command, ServeArgs};
use clap::Parser as _;
use error::CliError;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Runs what `args` ask for (the first is the program's name): exit code 0 is done, 1 refused or failed, 2 a usage or configuration that cannot
/// work. `serve` is called with checked settings for `curfew serve`, which is also what happens without a subcommand.
pub fn run(args: impl IntoIterator<Item = OsString>, serve: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    let mut console = Console { out: &mut io::stdout(), err: &mut io::stderr(), input: &mut io::stdin() };
    run_on(&mut console, args, serve)
}

/// The streams that a command speaks through.
struct Console<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    input: &'a mut dyn Read,
}

impl Console<'_> {
    /// Prints what was asked for. A reader that has gone away ends the command.
    fn print(&mut self, text: &str) -> Result<(), CliError> {
        let written = writeln!(self.out, "{}", text.trim_end_matches('\n')).and_then(|()| self.out.flush());
        written.map_err(|_| CliError::ReaderGone)
    }

    /// Says what is going on, beside what was asked for.
    fn note(&mut self, text: &str) {
        // Nobody listens any more: what was asked for may still be wanted.
        let _ = writeln!(self.err, "{text}");
    }
}

fn run_on(console: &mut Console<'_>, args: impl IntoIterator<Item = OsString>, serve: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return usage(console, &error),
    };
    let done = match args.command {
        None => return load_and_serve(console, &args.serve, serve),
        Some(_) if args.serve != ServeArgs::default() => {
            Err(CliError::Usage("--config and --data-dir stand behind the subcommand, as in `curfew serve --config FILE`".to_owned()))
        }
        Some(Command::Serve(serve_args)) => return load_and_serve(console, &serve_args, serve),
        Some(Command::Config(args)) => check::run(console, args),
        Some(Command::Cluster(args)) => cluster::run(console, args),
        Some(Command::Session(args)) => session::run(console, args),
        Some(Command::Revocations(args)) => follow::run(console, args),
        Some(Command::ApiKeys(args)) => api_keys::run(console, args),
    };
    finish(console, done)
}

fn load_and_serve(console: &mut Console<'_>, args: &ServeArgs, serve: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match Config::load(&args.flags()) {
        Ok(config) => serve(config),
        Err(error) => finish(console, Err(error.into())),
    }
}

fn finish(console: &mut Console<'_>, done: Result<(), CliError>) -> ExitCode {
    match done {
        Ok(()) | Err(CliError::ReaderGone) => ExitCode::SUCCESS,
        Err(error) => {
            console.note(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help and version are answers, on standard output; everything else is a wrong usage.
fn usage(console: &mut Console<'_>, error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if error.use_stderr() {
        console.note(text.trim_end());
        return ExitCode::from(error::USAGE);
    }
    let printed = console.print(&text);
    finish(console, printed)
}

#[cfg(test)]
mod tests;
