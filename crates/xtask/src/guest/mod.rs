//! The guest: a stock kernel in QEMU, where /dev/udmabuf and its dma-bufs are real (docs/testing.md).

pub(crate) mod binaries;
mod initramfs;
pub(crate) mod kernel;
mod machine;
mod results;
mod root;
mod script;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use machine::Accel;
pub(crate) use root::Drivers;

use crate::distribution::Distribution;
use crate::error::{Error, Result, UNABLE};
use crate::module;
use crate::process;
use crate::progress::{self, Shown};
use crate::report::{Report, Require, Tier};
use crate::workspace::Workspace;

/// How the guest is run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// What runs the guest's instructions.
    #[arg(long, value_enum, default_value_t = Accel::Tcg)]
    pub(crate) accel: Accel,
    /// The kernel's release as `uname -r` prints it; without this the one that the distribution's newest package holds.
    #[arg(long, value_name = "RELEASE")]
    pub(crate) kernel_version: Option<String>,
    /// Which drivers the guest runs.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) drivers: Drivers,
    /// Minutes after which the guest is ended.
    #[arg(long, value_name = "MINUTES", default_value_t = 40)]
    pub(crate) deadline: u64,
    /// A further kernel module to load, for example vgem (can be given more than once).
    #[arg(long, value_name = "MODULE")]
    pub(crate) load: Vec<String>,
    /// How many machines share the work, each with one processor and up to 4 GiB of memory.
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) machines: u8,
    /// Leave the demo out.
    #[arg(long)]
    pub(crate) no_demo: bool,
    /// Run only the test program of this name, for example matrix (can be given more than once).
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) only: Vec<String>,
    /// Arguments for the test programs: a filter, as with `cargo test`.
    #[arg(last = true)]
    pub(crate) filter: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accel: Accel::Tcg,
            kernel_version: None,
            drivers: Drivers::Host,
            deadline: 40,
            load: Vec::new(),
            machines: 2,
            no_demo: false,
            only: Vec::new(),
            filter: Vec::new(),
        }
    }
}

/// What the second guest is called in results.
const NEWER: &str = "guest with newer drivers";

/// The test program that loads lucarne_exporter, and its kind of skip.
const EXPORTER: &str = "exporter";

/// What a guest is made of.
#[derive(Debug)]
struct Parts {
    qemu: PathBuf,
    busybox: PathBuf,
    kernel: kernel::Kernel,
    /// The root, where it is not the host's own.
    root: Option<PathBuf>,
    /// lucarne_exporter.ko, or why there is none.
    exporter: std::result::Result<PathBuf, String>,
    virtio_gpu: bool,
}

/// What it runs.
#[derive(Debug, Default)]
struct Programs {
    tests: Vec<binaries::TestProgram>,
    demo: Option<PathBuf>,
    matrix: Option<Matrix>,
}

/// The program lucarne-conformance, and what its report calls the machine.
#[derive(Debug)]
struct Matrix {
    program: PathBuf,
    name: String,
}

/// A guest that can be started: all that it is made of is here, and what it runs is built.
#[derive(Debug)]
pub(crate) struct Ready {
    options: Options,
    require: Require,
    parts: Parts,
    programs: Programs,
}

/// A guest, or the row that says why there is none.
#[derive(Debug)]
pub(crate) enum Guest {
    Ready(Box<Ready>),
    Absent(Tier),
}

/// Fetches and builds. What cannot be done on this machine is a skip, unless `guest` is required.
pub(crate) fn ready(
    workspace: &Workspace,
    options: &Options,
    require: &Require,
    verbose: bool,
) -> Result<Guest> {
    let mut parts = match prepare(workspace, options, verbose) {
        Ok(parts) => parts,
        Err(error) if error.status() == UNABLE => {
            let (name, kind) = match options.drivers {
                Drivers::Host => ("guest", "guest"),
                Drivers::Newer => (NEWER, "newer-drivers"),
            };
            let tier = Tier::not_run(name, kind, &error.to_string(), require);
            return Ok(Guest::Absent(tier));
        }
        Err(error) => return Err(error),
    };
    let programs = build(workspace, options, verbose)?;
    if programs.tests.iter().any(|test| test.name == EXPORTER) {
        parts.exporter = exporter(workspace, &parts.kernel, verbose)?;
    }
    let require = with_modules(require, &parts);
    Ok(Guest::Ready(Box::new(Ready {
        options: options.clone(),
        require,
        parts,
        programs,
    })))
}

impl Guest {
    /// Runs it, from its start to its end.
    pub(crate) fn run(self, workspace: &Workspace, shown: Shown) -> Result<Report> {
        let mut report = Report::default();
        let ready = match self {
            Self::Ready(ready) => ready,
            Self::Absent(tier) => {
                report.add(tier);
                return Ok(report);
            }
        };
        let Ready {
            options,
            require,
            parts,
            programs,
        } = *ready;
        let (folder, killed) = boot(workspace, &options, &require, shown, &parts, &programs)?;
        let demo = programs.demo.is_some();
        let mut report = results::read(&folder, &programs.tests, demo, &killed, &require);
        if options.drivers == Drivers::Newer {
            report.rename("guest", NEWER);
        }
        Ok(report)
    }
}

/// Runs the guest by itself.
pub(crate) fn run(
    workspace: &Workspace,
    options: &Options,
    require: &Require,
    verbose: bool,
) -> Result<Report> {
    ready(workspace, options, require, verbose)?.run(workspace, Shown::foreground(verbose))
}

/// Runs the conformance matrix in the guest and gives its report, as JSON.
pub(crate) fn matrix(workspace: &Workspace, drivers: Drivers, verbose: bool) -> Result<String> {
    let options = Options {
        drivers,
        // GBM allocates on it, and EGL has a display on it.
        load: vec!["vgem".to_owned()],
        machines: 1,
        ..Options::default()
    };
    let parts = prepare(workspace, &options, verbose)?;
    let name = match drivers {
        Drivers::Host => "guest",
        Drivers::Newer => "guest, newer drivers",
    };
    let programs = Programs {
        matrix: Some(Matrix {
            program: binaries::matrix(workspace, verbose)?,
            name: name.to_owned(),
        }),
        ..Programs::default()
    };
    let require = Require::default();
    let shown = Shown::foreground(verbose);
    let (folder, killed) = boot(workspace, &options, &require, shown, &parts, &programs)?;
    let said = || {
        let log = process::tail(&folder.join("matrix.log"), 20);
        let console = process::tail(&folder.join("console-1.log"), 10);
        format!("{log}\n{console}")
    };
    if killed.contains(&true) {
        return Err(Error::failed(format!(
            "the guest was ended at its deadline:\n{}",
            said()
        )));
    }
    let path = folder.join("matrix.json");
    match fs::read_to_string(&path) {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => Err(Error::failed(format!(
            "no report came back from the guest:\n{}",
            said()
        ))),
    }
}

/// Finds or fetches what a guest is made of.
fn prepare(workspace: &Workspace, options: &Options, verbose: bool) -> Result<Parts> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Error::unable("the guest is made for x86-64 only so far"));
    }
    // These are the guest's own there.
    if let Some(masked) = ["/run", "/dev", "/proc", "/sys"]
        .into_iter()
        .find(|m| workspace.target.starts_with(m))
    {
        return Err(Error::unable(format!(
            "what cargo builds lies under {masked}, which a guest cannot see"
        )));
    }
    let tool = |name: &str, package: &str| {
        process::find_program(name)
            .ok_or_else(|| Error::unable(format!("{name} is missing (package {package})")))
    };
    let qemu = tool("qemu-system-x86_64", "qemu-system-x86")?;
    let busybox = tool("busybox", "busybox-static")?;
    let log = workspace.log("kernel");
    let kernel = kernel::find(
        Distribution::detect(),
        options.kernel_version.as_deref(),
        &log,
    )?;
    let root = match options.drivers {
        Drivers::Host => None,
        Drivers::Newer => Some(root::NEWER.ready(&workspace.log("root"), verbose)?),
    };
    let virtio_gpu = kernel.has_module("virtio-gpu.ko") && machine::has_virtio_gpu(&qemu);
    Ok(Parts {
        qemu,
        busybox,
        kernel,
        root,
        exporter: Err("no test of this run asked for it".to_owned()),
        virtio_gpu,
    })
}

/// Builds lucarne_exporter. What cannot be had on this machine is told now, and its tests skip.
fn exporter(
    workspace: &Workspace,
    kernel: &kernel::Kernel,
    verbose: bool,
) -> Result<std::result::Result<PathBuf, String>> {
    match module::build(workspace, Distribution::detect(), kernel, verbose) {
        Ok(file) => Ok(Ok(file)),
        Err(error) if error.status() == UNABLE => {
            progress::notice(format!("no kernel module lucarne_exporter: {error}"));
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// Builds the test programs, and the demo where it is wanted.
fn build(workspace: &Workspace, options: &Options, verbose: bool) -> Result<Programs> {
    let binaries::Built { mut tests, demo } = binaries::tests(workspace, verbose)?;
    if let Some(unknown) = options
        .only
        .iter()
        .find(|only| !tests.iter().any(|test| test.name == **only))
    {
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        return Err(Error::failed(format!(
            "no test program is called {unknown}; there are {}",
            names.join(", ")
        )));
    }
    tests.retain(|test| options.only.is_empty() || options.only.contains(&test.name));
    let wants_demo = !options.no_demo && options.filter.is_empty() && options.only.is_empty();
    Ok(Programs {
        tests,
        demo: wants_demo.then_some(demo),
        matrix: None,
    })
}

/// Starts the guests and waits for their end: the results folder, and for each whether the deadline ended it.
fn boot(
    workspace: &Workspace,
    options: &Options,
    require: &Require,
    shown: Shown,
    parts: &Parts,
    programs: &Programs,
) -> Result<(PathBuf, Vec<bool>)> {
    let kernel = &parts.kernel;
    let base = workspace.target.join("guest");
    let drivers = match options.drivers {
        Drivers::Host => "host",
        Drivers::Newer => "newer",
    };
    let folder = machine::results_folder(&base, drivers)?;
    let plan = script::Plan {
        kernel,
        tests: &programs.tests,
        demo: programs.demo.as_deref(),
        matrix: programs.matrix.as_ref().map(|m| (&*m.program, &*m.name)),
        filter: &options.filter,
        require: &require.text(),
        exporter: parts.exporter.as_deref().map_err(String::as_str),
        limit: options.deadline * 60 * 3 / 4,
    };
    write(&folder.join("guest.sh"), plan.script().as_bytes())?;
    let initramfs = folder.join("initramfs");
    let mut folders = Vec::new();
    if parts.root.is_some() {
        folders.extend([&*workspace.root, &*workspace.target, &*kernel.modules]);
        let built = parts.exporter.as_deref().ok();
        folders.extend(built.and_then(Path::parent));
    }
    write(
        &initramfs,
        &initramfs::build(kernel, &parts.busybox, &options.load, &folders)?,
    )?;

    // More machines than steps would have nothing to do.
    let steps = programs.tests.len().max(1);
    let machines = (1..=usize::from(options.machines).min(steps)).map(|number| machine::Machine {
        qemu: parts.qemu.clone(),
        accel: options.accel,
        kernel,
        initramfs: &initramfs,
        virtio_gpu: parts.virtio_gpu,
        root: parts.root.as_deref(),
        results: &folder,
        number,
        deadline: Duration::from_secs(options.deadline * 60),
    });
    let ended = std::thread::scope(|scope| {
        let running: Vec<_> = machines
            .map(|machine| {
                // One line of the terminal can tell of one machine.
                let first = machine.number == 1;
                let shown = if first {
                    shown
                } else {
                    Shown::background(shown.verbose)
                };
                scope.spawn(move || run_machine(&machine, shown, &programs.tests))
            })
            .collect();
        let ended = running.into_iter().map(|running| match running.join() {
            Ok(killed) => killed,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect::<Result<Vec<_>>>()
    });
    _ = fs::remove_file(&initramfs);
    let killed = ended?;
    progress::say(format!("guest results: {}", workspace.shown(&folder)));
    Ok((folder, killed))
}

/// Runs one machine to its end: whether its deadline was that.
fn run_machine(
    machine: &machine::Machine<'_>,
    shown: Shown,
    tests: &[binaries::TestProgram],
) -> Result<bool> {
    let console = machine
        .results
        .join(format!("console-{}.log", machine.number));
    let ended = machine.run(&console, shown, |line| {
        let (_, step) = line.split_once("lucarne-guest: ")?;
        Some(
            step.strip_prefix("begin ")
                .map_or(step, |number| name_of(tests, number))
                .to_owned(),
        )
    });
    Ok(ended?.killed)
}

/// What a guest can have, its tests must not skip: they load the modules that they need.
fn with_modules(require: &Require, parts: &Parts) -> Require {
    let mut require = require.clone();
    if parts.exporter.is_ok() {
        require = require.with(EXPORTER);
    }
    if parts.kernel.has_module("vgem.ko") {
        // Mesa's EGL needs libgbm, so that it is there.
        require = require.with("vgem").with("gbm");
    }
    if parts.virtio_gpu {
        require = require.with("syncobj");
    }
    require
}

/// The name behind a number in the script.
fn name_of<'a>(tests: &'a [binaries::TestProgram], number: &'a str) -> &'a str {
    let test = number.parse().ok().and_then(|n: usize| tests.get(n));
    test.map_or(number, |t| t.name.as_str())
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).map_err(|e| Error::io("writing", path, &e))
}
