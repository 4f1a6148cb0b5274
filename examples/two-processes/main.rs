//! One producer and two consumers in processes of their own. `cargo xtask demo --two-processes` runs it.

use clap::Parser;
use lucarne_examples::stream::exit;
use lucarne_examples::stream::two_processes::{Options, print, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = run(&options).and_then(|reports| print(&options, &reports));
    exit("two-processes", outcome)
}
