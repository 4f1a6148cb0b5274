//! `lucarne pipewire`: a program of its own, as it needs PipeWire's library.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::{Answer, Failure};

/// Beside this program, or on the PATH.
const PROGRAM: &str = "lucarne-pipewire";

/// Arguments of `lucarne pipewire`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// What to do: publish, watch; `lucarne pipewire --help` tells
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<OsString>,
}

/// Becomes that program.
pub(crate) fn run(options: &Options, json: bool) -> Result<Answer, Failure> {
    let beside = std::env::current_exe().ok();
    let beside = beside.map(|own| own.with_file_name(PROGRAM));
    let program = beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(PROGRAM));
    let mut command = Command::new(&program);
    command.args(json.then_some("--json"));
    let error = command.args(&options.arguments).exec();
    Err(match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no {PROGRAM}, neither beside this program nor on the PATH: it is built apart, as it needs PipeWire's \
             library (cargo install lucarne-pipewire-cli, with libpipewire-0.3-dev and libclang-dev)"
        ),
        _ => format!("starting {}: {error}", program.display()),
    }
    .into())
}
