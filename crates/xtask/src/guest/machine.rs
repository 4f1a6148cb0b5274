//! Running the guest: QEMU, its shares, its console and its deadline.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::kernel::Kernel;
use crate::error::{Error, Result};
use crate::process::{self, Ended, Job};
use crate::progress::Shown;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Accel {
    /// Software: slow, and works everywhere.
    Tcg,
    /// The processor's own virtualisation; some hosts offer a /dev/kvm on which nothing starts.
    Kvm,
}

/// A machine that is about to start.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    pub(crate) qemu: PathBuf,
    pub(crate) accel: Accel,
    pub(crate) kernel: &'a Kernel,
    pub(crate) initramfs: &'a Path,
    /// Whether it gets a display adapter whose driver has timelines. Without its module it is a device that nobody drives.
    pub(crate) virtio_gpu: bool,
    /// The folder that is the guest's root; the host's own where there is none.
    pub(crate) root: Option<&'a Path>,
    /// The folder that the guest writes into. Several share one, each with a number.
    pub(crate) results: &'a Path,
    pub(crate) number: usize,
    pub(crate) deadline: Duration,
}

impl Machine<'_> {
    fn command(&self) -> Command {
        let mut qemu = Command::new(&self.qemu);
        match self.accel {
            Accel::Tcg => qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max"]),
            Accel::Kvm => qemu.args(["-accel", "kvm", "-cpu", "host"]),
        };
        qemu.args([
            "-m",
            "4G",
            // Emulated processors of one machine often wait for each other: two machines with one each do more.
            "-smp",
            "1",
            "-nographic",
            "-no-reboot",
            "-nic",
            "none",
        ]);
        qemu.arg("-kernel").arg(&self.kernel.image);
        qemu.arg("-initrd").arg(self.initramfs);
        let number = self.number;
        let append = format!("console=ttyS0 quiet panic=-1 {NUMBER}={number}");
        qemu.args(["-append", &append]);
        if self.virtio_gpu {
            qemu.args(["-device", VIRTIO_GPU]);
        }
        let host = Path::new("/");
        share(&mut qemu, "root", self.root.unwrap_or(host), ",readonly=on");
        if self.root.is_some() {
            share(&mut qemu, "host", host, ",readonly=on");
        }
        share(&mut qemu, "results", self.results, "");
        qemu
    }

    /// Starts it and stays until it powers off or the deadline passes.
    pub(crate) fn run(
        &self,
        console: &Path,
        shown: Shown,
        on_line: impl FnMut(&str) -> Option<String>,
    ) -> Result<Ended> {
        let number = self.number;
        let title = format!("guest {number} with kernel {}", self.kernel.release);
        let mut job = Job::new(&title, self.command(), console.to_owned(), shown.verbose);
        job.shown = shown;
        job.deadline = Some(self.deadline);
        job.run(on_line)
    }
}

/// What a guest is told its number by: a word that the kernel does not know becomes a variable of the first program's.
pub(crate) const NUMBER: &str = "lucarne_guest";

const VIRTIO_GPU: &str = "virtio-gpu-pci";

/// Whether this QEMU has the adapter; distributions leave it out of their smaller packages.
pub(crate) fn has_virtio_gpu(qemu: &Path) -> bool {
    let mut ask = Command::new(qemu);
    ask.args(["-device", "help"]);
    process::output_of(&mut ask).is_ok_and(|list| list.contains(VIRTIO_GPU))
}

/// A folder of the host's, as the user who runs this sees it.
fn share(qemu: &mut Command, tag: &str, folder: &Path, more: &str) {
    // A comma in a value is written twice.
    let folder = folder.to_string_lossy().replace(',', ",,");
    qemu.arg("-fsdev").arg(format!(
        "local,id={tag},path={folder},security_model=none,multidevs=remap{more}"
    ));
    qemu.arg("-device")
        .arg(format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
}

/// An empty results folder for guests of this name, and no others that nobody uses any more.
pub(crate) fn results_folder(base: &Path, name: &str) -> Result<PathBuf> {
    if let Ok(entries) = fs::read_dir(base) {
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_str().and_then(|n| n.strip_prefix("run-"));
            let owner = name.and_then(|n| n.split('-').next());
            let stale = owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
            if stale {
                _ = fs::remove_dir_all(entry.path());
            }
        }
    }
    let folder = base.join(format!("run-{}-{name}", std::process::id()));
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|e| Error::io("creating", &folder, &e))?;
    Ok(folder)
}
