//! `lucarne-conformance`: shares patterns over everything this machine's drivers offer, and reports each pixel.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use lucarne::MemoryPath;
use lucarne_conformance::{Machine, Report, Size};

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

fn run(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    let machine = Machine::open()?;
    let mut report = Report {
        devices: machine.devices(),
        kernel: kernel(),
        notes: machine.notes().to_vec(),
        rows: Vec::new(),
    };
    let odd = if options.quick {
        Size::OddSmall
    } else {
        Size::Odd
    };
    for path in MemoryPath::ALL {
        for size in [Size::Small, odd] {
            let (cases, rows) = machine.cases(path, size)?;
            if size == Size::Small {
                report.rows.extend(rows);
            }
            for (number, case) in cases.iter().enumerate() {
                progress(&format!("{} of {}: {case}", number + 1, cases.len()));
                report.rows.push(machine.run(case));
            }
        }
    }
    progress("");
    let mut out = anstream::stdout();
    if options.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{}", report.to_markdown())?;
        let (passed, failed) = (report.passed(), report.failures().len());
        writeln!(out, "\n{passed} passed, {failed} failed")?;
    }
    Ok(report.failures().is_empty() && report.passed() > 0)
}

/// One line that replaces itself, where somebody watches.
fn progress(line: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[2K{line}");
        let _ = stderr.flush();
    }
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}
