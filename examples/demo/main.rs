//! Renders an animated scene in Vulkan and shows it in OpenGL. `cargo xtask demo` runs it.

use clap::Parser;
use lucarne_demo::Options;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(anstream::stderr(), "demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> lucarne_demo::Result<()> {
    if options.no_emulation {
        lucarne_demo::leave_emulation()?;
    }
    let report = lucarne_demo::run(options)?;
    if options.json {
        let json = serde_json::to_string_pretty(&report)?;
        writeln!(io::stdout(), "{json}")?;
    } else {
        write!(anstream::stdout(), "{report}")?;
    }
    Ok(())
}
