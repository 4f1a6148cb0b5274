//! `lucarne`: what this machine can share and why it cannot, and which streams of frames there are.
#![cfg_attr(not(feature = "window"), forbid(unsafe_code))]
#![deny(unsafe_code)]

mod canvas;
mod caps;
mod cli;
mod cli_values;
mod decode;
mod devices;
mod doctor;
mod explain;
mod hang_up;
mod list;
mod new_file;
mod output;
mod pattern;
mod pipewire;
mod pixels;
mod png_file;
mod record;
mod relay;
mod run;
mod serve;
mod snapshot;
mod stop;
mod top;
mod video_file;
#[cfg(feature = "window")]
mod view;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use output::Output;

/// Whatever keeps a command from its answer: printed after the program's name.
type Failure = Box<dyn std::error::Error>;

/// What a command found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    /// The command worked, and its answer is no: nothing can be agreed on, for instance.
    No,
    /// The doctor found no way at all.
    Nothing,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::FAILURE,
        Ok(Answer::Nothing) => ExitCode::from(2),
        Err(failure) if is_broken_pipe(&*failure) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(2)
        }
    }
}

/// Says why the command cannot go on.
fn complain(failure: &dyn std::fmt::Display) {
    let error = output::red("error:");
    let _ = writeln!(anstream::stderr(), "{error} {failure}");
}

fn run(cli: &Cli) -> Result<Answer, Failure> {
    let mut output = Output::new(cli.json);
    match &cli.command {
        Command::Caps(options) => caps::run(options, &mut output),
        Command::Decode(options) => decode::run(options, &mut output),
        Command::Doctor(options) => doctor::run(options, &mut output),
        Command::Trial(options) => doctor::trial(options, &mut output),
        Command::Display(options) => doctor::display(options, &mut output),
        Command::Explain(options) => explain::run(options, &mut output),
        Command::List(options) => list::run(options, &mut output),
        Command::Pipewire(options) => pipewire::run(options, cli.json),
        Command::Record(options) => record::run(options, &mut output),
        Command::Relay(options) => relay::run(options, &mut output),
        Command::Run(options) => run::run(options),
        Command::Serve(options) => serve::run(options, &mut output),
        Command::Snapshot(options) => snapshot::run(options, &mut output),
        Command::Top(options) => top::run(options, &mut output),
        #[cfg(feature = "window")]
        Command::View(options) => view::run(options, &mut output),
        Command::Completions { shell } => {
            clap_complete::generate(
                *shell,
                &mut Cli::command(),
                "lucarne",
                &mut std::io::stdout(),
            );
            Ok(Answer::Yes)
        }
        Command::Man { folder } => {
            clap_mangen::generate_to(Cli::command(), folder)
                .map_err(|error| format!("writing man pages to {}: {error}", folder.display()))?;
            Ok(Answer::Yes)
        }
    }
}

/// `lucarne list | head -1` ends in good order.
fn is_broken_pipe(failure: &(dyn std::error::Error + 'static)) -> bool {
    failure
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
