//! POSIX: files in /dev/shm, with names.

use crate::child;
use crate::report::{Check, answer};
use lucarne_examples::card;
use lucarne_examples::stream::Result;
use rustix::fs::{Mode, SealFlags};
use rustix::shm::{self, OFlags};
use std::io::Read as _;
use std::os::fd::OwnedFd;

/// Unlinks the name also where a check fails: it would stay until the machine is switched off.
struct Unlinked(String);

impl Drop for Unlinked {
    fn drop(&mut self) {
        let _ = shm::unlink(&self.0);
    }
}

fn open(name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    // Close-on-exec by itself (shm_open(3)).
    shm::open(name, flags, Mode::RUSR | Mode::WUSR)
}

/// What is in it.
pub(crate) fn read(name: &str) -> Result<Vec<u8>> {
    let mut file = std::fs::File::from(open(name, OFlags::RDONLY)?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes it empty, which any process may do that may write it.
pub(crate) fn shrink(name: &str) -> String {
    answer(open(name, OFlags::RDWR).and_then(|file| rustix::fs::ftruncate(file, 0)))
}

pub(crate) fn checks() -> Result<Vec<Check>> {
    let name = format!("/lucarne-example-{}", std::process::id());
    let bytes = card::draw(crate::EXTENT);
    let file = open(&name, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR)?;
    let _unlinked = Unlinked(name.clone());
    rustix::fs::ftruncate(&file, bytes.len() as u64)?;
    let mut written = 0;
    while written < bytes.len() {
        written += rustix::io::pwrite(&file, &bytes[written..], written as u64)?;
    }
    let seen = child::ask("posix", &name)?;
    let listed = std::path::Path::new("/dev/shm").join(&name[1..]).exists();
    let sealed = answer(rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK));
    let shrunk = child::ask("posix-shrink", &name)?;
    let left = rustix::fs::fstat(&file)?.st_size;
    drop(file);
    let stays = answer(open(&name, OFlags::RDONLY));
    shm::unlink(&name)?;
    let gone = answer(open(&name, OFlags::RDONLY));
    Ok(vec![
        Check::new(
            "posix:shared",
            "a child that knows the name sees the picture",
            "shm_open in a child",
            (seen, "the same picture"),
        ),
        Check::new(
            "posix:listed",
            "its name is in a folder that every program of the user can list",
            "/dev/shm",
            (if listed { "listed" } else { "not listed" }, "listed"),
        ),
        Check::new(
            "posix:unsealable",
            "it cannot be sealed",
            "F_ADD_SEALS",
            (sealed, "EPERM"),
        ),
        Check::new(
            "posix:shrinks",
            "whoever may write it may shrink it under a reader",
            "ftruncate to 0 in a child",
            (format!("{shrunk}, {left} bytes left"), "ok, 0 bytes left"),
        ),
        Check::new(
            "posix:stays",
            "it stays when nobody uses it any more",
            "shm_open after the last close",
            (stays, "ok"),
        ),
        Check::new(
            "posix:removed",
            "somebody must unlink it",
            "shm_open after shm_unlink",
            (gone, "ENOENT"),
        ),
    ])
}
