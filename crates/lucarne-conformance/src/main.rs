//! `lucarne-conformance`: shares patterns over everything this machine's drivers offer, and reports each pixel.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lucarne::MemoryPath;
use lucarne_conformance::{Machine, Report, Set, kernel, table};

/// Shares patterns between the APIs of this machine, over every memory path, format, modifier and size that the drivers
/// offer, and compares each pixel. Exit status: 0 all right, 1 something was wrong, 2 could not start.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Leave out large frames: for emulated machines.
    #[arg(long)]
    quick: bool,
    /// What this machine is called in tables.
    #[arg(long, default_value = "this machine")]
    name: String,
    /// Share nothing: print the tables of these files, which --json wrote on machines of any kind.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["json", "quick", "name"])]
    table: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "lucarne-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn run(options: &Options) -> Result<bool, Failure> {
    let mut out = anstream::stdout();
    if !options.table.is_empty() {
        let reports = options.table.iter().map(read);
        let reports: Vec<Report> = reports.collect::<Result<_, _>>()?;
        write!(out, "{}", table::markdown(&reports))?;
        return Ok(true);
    }
    let report = measure(options)?;
    let (passed, failed) = (report.passed(), report.failures().len());
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        let refused = report.refusals();
        write!(out, "{}", table::markdown(std::slice::from_ref(&report)))?;
        writeln!(out, "\n{passed} passed, {failed} failed, {refused} refused")?;
    }
    Ok(failed == 0 && passed > 0)
}

fn read(path: &PathBuf) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("reading {}: {error}", path.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| format!("{} was not written by --json: {error}", path.display()).into())
}

fn measure(options: &Options) -> Result<Report, Failure> {
    let machine = Machine::open()?;
    let mut report = Report {
        machine: options.name.clone(),
        devices: machine.devices(),
        kernel: kernel(),
        notes: machine.notes().iter().map(|n| n.reason.clone()).collect(),
        rows: Vec::new(),
    };
    for path in MemoryPath::ALL {
        for set in Set::all(options.quick) {
            let rows = machine.run_all(path, set, |number, count, case| {
                progress(&format!("{number} of {count}: {case}"));
            })?;
            report.rows.extend(rows);
        }
    }
    progress("");
    Ok(report)
}

/// One line that replaces itself, where somebody watches.
fn progress(line: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[2K{line}");
        let _ = stderr.flush();
    }
}
