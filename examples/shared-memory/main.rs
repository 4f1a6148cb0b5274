//! Four kinds of shared memory, tried: a picture goes from this process to a child through each, and what docs/shared-memory.md
//! says about them is asked of the kernel.

mod child;
mod dma_buf;
mod map;
mod memfd;
mod posix;
mod report;
mod seals;
mod sysv;

use clap::{Parser, ValueEnum};
use lucarne::Extent;
use lucarne_examples::stream::{Result, exit};
use report::Check;
use std::process::ExitCode;

/// The picture's size: small, and more than a page.
const EXTENT: Extent = Extent::new(120, 80);

/// Tries System V, POSIX, memfd and dma-buf sharing, and what seals prevent
#[derive(Parser)]
#[command(name = "shared-memory", version)]
struct Options {
    /// Only these
    #[arg(value_enum)]
    only: Vec<Section>,
    /// Print what was found as one JSON object
    #[arg(long)]
    json: bool,
    /// What a child is to do
    #[arg(long, hide = true)]
    child: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// shmget: a number for each segment
    Sysv,
    /// shm_open: a name for each file
    Posix,
    /// memfd_create: descriptors, and seals
    Memfd,
    /// The kernel's buffers for devices
    DmaBuf,
    /// What each seal of a memfd prevents
    Seals,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.child {
        Some(part) => child::play(part),
        None => run(&options),
    };
    exit("shared-memory", outcome)
}

fn run(options: &Options) -> Result<()> {
    let wanted = |section: &Section| options.only.is_empty() || options.only.contains(section);
    let mut checks = Vec::new();
    for section in Section::value_variants().iter().copied().filter(wanted) {
        checks.extend(tried(section)?);
    }
    report::print(&checks, options.json)?;
    let broken: Vec<&Check> = checks.iter().filter(|check| !check.holds).collect();
    match &broken[..] {
        [] => Ok(()),
        [first, ..] => {
            let (count, id) = (broken.len(), first.id);
            Err(format!("{count} of these claims do not hold here, {id} for one").into())
        }
    }
}

fn tried(section: Section) -> Result<Vec<Check>> {
    match section {
        Section::Sysv => sysv::checks(),
        Section::Posix => posix::checks(),
        Section::Memfd => memfd::checks(),
        Section::DmaBuf => dma_buf::checks(),
        Section::Seals => seals::checks(),
    }
}
