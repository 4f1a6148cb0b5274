//! The guest's first file system: busybox, a few modules and a script, as a cpio archive in the "newc" form.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::kernel::Kernel;
use crate::error::{Error, Result};

/// What must be loaded before the host's root can be mounted; their own needs are found in `modules.dep`.
/// What a kernel has built in is not listed there and needs no loading.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

/// Mounts the host's root read-only with memory laid over it, the results folder, and hands over.
const INIT: &str = include_str!("init.sh");

/// Builds the archive. `folders` are the host's that a root of its own must show, none where the root is the host's.
pub(crate) fn build(
    kernel: &Kernel,
    busybox: &Path,
    extra: &[String],
    folders: &[&Path],
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in [
        "bin", "proc", "sys", "dev", "lower", "upper", "root", "host", "modules",
    ] {
        archive.folder(folder);
    }
    let lines = folders
        .iter()
        .map(|folder| format!("{}\n", folder.display()));
    archive.file("folders", 0o644, lines.collect::<String>().as_bytes());
    let program = read(busybox)?;
    if !is_static(&program) {
        return Err(Error::unable(format!(
            "{} is not statically linked (package busybox-static has one that is)",
            busybox.display()
        )));
    }
    archive.file("bin/busybox", 0o755, &program);
    archive.file("init", 0o755, INIT.as_bytes());

    let index = kernel.modules.join("modules.dep");
    let index = fs::read_to_string(&index).map_err(|e| Error::io("reading", &index, &e))?;
    if let Some(unknown) = extra
        .iter()
        .find(|module| !is_known(kernel, &index, module))
    {
        let release = &kernel.release;
        return Err(Error::unable(format!(
            "kernel {release} has no module {unknown}"
        )));
    }
    let wanted = MODULES
        .iter()
        .copied()
        .chain(extra.iter().map(String::as_str));
    for (number, module) in load_order(&index, wanted).iter().enumerate() {
        let name = format!("modules/{number:02}-{}.ko", module_name(module));
        archive.file(&name, 0o644, &decompressed(&kernel.modules.join(module))?);
    }
    Ok(archive.finish())
}

/// The modules' files in the order in which they can be loaded. `modules.dep` has one line per module:
/// its file, a colon, and the files it needs, the first needed loaded last.
fn load_order<'a>(index: &'a str, wanted: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut order = Vec::new();
    for name in wanted {
        let line = index
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(file, _)| module_name(file) == module_name(name));
        let Some((file, needs)) = line else { continue };
        for file in needs.split_whitespace().rev().chain([file]) {
            if !order.contains(&file) {
                order.push(file);
            }
        }
    }
    order
}

/// Whether the kernel has a module, to load or built in.
fn is_known(kernel: &Kernel, index: &str, module: &str) -> bool {
    let built_in = fs::read_to_string(kernel.modules.join("modules.builtin")).unwrap_or_default();
    let files = index.lines().filter_map(|line| line.split(':').next());
    files
        .chain(built_in.lines())
        .any(|file| module_name(file) == module_name(module))
}

/// A module's name: file names use `-` and `_` as they like, the kernel does not tell them apart.
fn module_name(file: &str) -> String {
    let file = file.rsplit('/').next().unwrap_or(file);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

fn decompressed(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|e| e.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return read(path),
    };
    let output = Command::new(program)
        .arg("-dc")
        .arg(path)
        .output()
        .map_err(|e| {
            Error::unable(format!(
                "cannot run {program} to unpack kernel modules: {e}"
            ))
        })?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Error::failed(format!(
            "{} cannot be unpacked: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        )))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Error::io("reading", path, &e))
}

/// Whether a program runs without a loader: its first page would name the loader otherwise.
fn is_static(program: &[u8]) -> bool {
    let page = &program[..program.len().min(4096)];
    !page.windows(6).any(|w| w == b"ld-lin" || w == b"ld-mus")
}

/// A cpio archive of the "newc" form (`Documentation/driver-api/early-userspace/buffer-format.rst`).
#[derive(Debug, Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    fn file(&mut self, name: &str, permissions: u32, content: &[u8]) {
        self.entry(name, 0o100_000 | permissions, content);
    }

    /// Header, name with its final zero, content: the latter two padded to four bytes.
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        let (links, zero) = (1, 0);
        let fields = [
            u64::from(self.inode),
            u64::from(mode),
            zero, // user
            zero, // group
            links,
            zero, // time
            content.len() as u64,
            zero, // device, major and minor
            zero,
            zero, // device of a device file, major and minor
            zero,
            name.len() as u64 + 1,
            zero, // checksum, unused in this form
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "\
kernel/fs/overlayfs/overlay.ko.xz:
kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet.ko.xz: kernel/fs/netfs/netfs.ko.xz
kernel/drivers/gpu/drm/virtio/virtio-gpu.ko.xz:
";

    #[test]
    fn needed_modules_come_first_and_once() {
        let order = load_order(
            INDEX,
            ["9p", "overlay", "9p", "virtio_gpu", "built_in"].into_iter(),
        );
        assert_eq!(
            order,
            [
                "kernel/fs/netfs/netfs.ko.xz",
                "kernel/net/9p/9pnet.ko.xz",
                "kernel/fs/9p/9p.ko.xz",
                "kernel/fs/overlayfs/overlay.ko.xz",
                "kernel/drivers/gpu/drm/virtio/virtio-gpu.ko.xz",
            ]
        );
    }

    #[test]
    fn archive_is_what_cpio_reads() {
        let mut archive = Archive::default();
        archive.folder("bin");
        archive.file("bin/x", 0o755, b"hello");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        // Header of 110 bytes, "bin" and a zero, padded; then the second header with size 5 in field 7.
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[110..114], b"bin\0");
        let second = (110_usize + 4).next_multiple_of(4);
        assert_eq!(&bytes[second..second + 6], b"070701");
        assert_eq!(&bytes[second + 6 + 8 * 6..second + 6 + 8 * 7], b"00000005");
        assert!(bytes.windows(10).any(|w| w == b"TRAILER!!!"));
    }

    #[test]
    fn loaders_are_noticed() {
        assert!(is_static(b"\x7fELF and so on"));
        assert!(!is_static(b"\x7fELF ... /lib64/ld-linux-x86-64.so.2"));
    }
}
