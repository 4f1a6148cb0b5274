//! dma-buf: the kernel's buffers for devices; a GPU uses them as they are.

use crate::EXTENT;
use crate::child;
use crate::report::{Check, answer};
use lucarne::{Memory, MemoryPath, kernel::Udmabuf};
use lucarne_examples::card;
use lucarne_examples::stream::{Result, say};
use lucarne_stream::FrameTicket;
use rustix::fs::SeekFrom;

pub(crate) fn checks() -> Result<Vec<Check>> {
    if let lucarne::Support::No(missing) = Udmabuf::probe() {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        say(&format!("dma-buf is left out: {}", missing.join("; ")));
        return Ok(Vec::new());
    }
    let image = card::share(MemoryPath::DmaBuf, EXTENT)?;
    let frame = image.frame();
    let ticket = FrameTicket::new(frame)?;
    let fetched = child::ask("fetch", &ticket)?;
    let path = format!("/proc/{}/fd/{}", ticket.pid(), ticket.descriptors()[0]);
    let opened = child::ask("kernel-opens", &path)?;
    let Memory::DmaBuf(buffers) = frame.memory() else {
        return Err("a dma-buf was asked for".into());
    };
    let shrunk = answer(rustix::fs::ftruncate(&buffers[0], 0));
    let size = rustix::fs::seek(&buffers[0], SeekFrom::End(0))?;
    let fixed = shrunk != "ok" && size == buffers[0].size();
    // What stands in for a dma-buf is a memfd, and so can be opened.
    let (emulated, path_claim, path_says) = if frame.is_emulated() {
        let claim =
            "a real one cannot be opened by its path; the memfd that stands in for one here can";
        (" (emulated)", claim, "ok")
    } else {
        ("", "it cannot be opened by its path", "ENXIO")
    };
    Ok(vec![
        Check::new(
            "dma-buf:shared",
            "a child that may trace this process fetches it",
            format!("pidfd_getfd in a child{emulated}"),
            (fetched, "the same picture"),
        ),
        Check::new(
            "dma-buf:path",
            path_claim,
            format!("open of /proc/PID/fd/N in a child{emulated}"),
            (opened, path_says),
        ),
        Check::new(
            "dma-buf:fixed",
            "its size is fixed for ever",
            format!("ftruncate to 0, {shrunk}, then lseek{emulated}"),
            (
                if fixed {
                    "as long as before"
                } else {
                    "shorter"
                },
                "as long as before",
            ),
        ),
    ])
}
