//! The demo: renders in Vulkan, shows in OpenGL, and says how.

mod options;
mod progress;
mod report;
mod run;
mod setup;
#[cfg_attr(not(feature = "window"), path = "no_window.rs")]
mod window;

pub use options::Options;
pub use report::{Common, Milliseconds, Refused, Report};

use lucarne::negotiate::FencePath;
use lucarne::{Agreement, Format, MemoryPath, Offer};
use setup::{Ring, Sides};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Errors are for reading.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Turns the emulated /dev/udmabuf off.
const NO_EMULATION: &str = "LUCARNE_NO_EMULATION";

/// Runs the demo as asked, from device to report.
///
/// # Errors
///
/// Whatever keeps it from showing every frame, in words.
pub fn run(options: &Options) -> Result<Report> {
    let (mut sides, ring) = setup::open(options)?;
    let outcome = run::run(options, &mut sides, &ring)?;
    report(options, &sides, &ring, outcome)
}

/// Starts this program again without the emulation, which must be absent before any driver asks for it.
/// Returns if that is already so.
///
/// # Errors
///
/// If the program cannot be started again.
pub fn leave_emulation() -> Result<()> {
    if std::env::var_os(NO_EMULATION).is_some_and(|value| value == "1") {
        return Ok(());
    }
    let mut again = Command::new(std::env::current_exe()?);
    again
        .args(std::env::args_os().skip(1))
        .env(NO_EMULATION, "1");
    let preloaded = std::env::var_os("LD_PRELOAD").unwrap_or_default();
    let others: Vec<&str> = preloaded
        .to_str()
        .map(without_emulation)
        .unwrap_or_default();
    if others.is_empty() {
        again.env_remove("LD_PRELOAD");
    } else {
        again.env("LD_PRELOAD", others.join(":"));
    }
    Err(format!("cannot start again without the emulation: {}", again.exec()).into())
}

/// What else is preloaded.
fn without_emulation(preloaded: &str) -> Vec<&str> {
    let others = preloaded
        .split([':', ' '])
        .filter(|library| !library.is_empty());
    others
        .filter(|library| {
            let name = std::path::Path::new(library)
                .file_name()
                .and_then(OsStr::to_str);
            !name.is_some_and(|name| name.starts_with("liblucarne_udmabuf"))
        })
        .collect()
}

fn report(options: &Options, sides: &Sides, ring: &Ring, outcome: run::Outcome) -> Result<Report> {
    let Ring {
        agreement, images, ..
    } = ring;
    let (first, adapter) = (&images[0], sides.vulkan.adapter());
    let modifier = setup::modifier(first.frame());
    let imports = sides.egl.imports();
    let texture = sides.egl.import(first.frame())?;
    Ok(Report {
        vulkan_device: adapter.name().to_owned(),
        vulkan_driver: adapter.driver().to_owned(),
        gl_renderer: sides.egl.renderer().to_owned(),
        gl_version: sides.egl.version().to_owned(),
        window: sides
            .window
            .as_ref()
            .map(|window| window.system().to_owned()),
        off_screen: sides.off_screen.clone(),
        path: agreement.path().to_string(),
        rung: agreement.rung.number(),
        emulated: first.frame().is_emulated(),
        emulated_fences: emulates_fences(sides, agreement),
        format: name(agreement.format),
        modifier: modifier.map_or("implicit".to_owned(), |modifier| modifier.to_string()),
        modifier_code: modifier.map(|modifier| format!("{:#018x}", modifier.code())),
        chosen_by: chosen_by(agreement),
        common: common(&sides.vulkan_offer, &sides.egl_offer),
        refused: agreement
            .refused
            .iter()
            .map(|refused| Refused {
                path: refused.rung.path().to_string(),
                rung: refused.rung.number(),
                reason: refused.reason.to_string(),
            })
            .collect(),
        copies_per_frame: first.copies_per_frame() + texture.copies_per_frame(),
        acquire_fence: agreement.acquire.to_string(),
        release_fence: agreement.release.to_string(),
        frames: outcome.frames,
        frames_wanted: options.frames,
        imports,
        fps: f64::from(outcome.frames) / outcome.seconds.max(f64::MIN_POSITIVE),
        ms_per_frame: outcome.total.per_frame(outcome.frames),
        images: outcome
            .images
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
    })
}

/// The emulated device gives software drivers signalled sync_files; GPUs have fences of their own.
fn emulates_fences(sides: &Sides, agreement: &Agreement) -> bool {
    let passed = [&agreement.acquire, &agreement.release].contains(&&FencePath::SyncFile);
    passed && sides.vulkan.adapter().id().software && emulation_is_active()
}

/// Whether lucarne-udmabuf is preloaded and at work.
fn emulation_is_active() -> bool {
    type Emulated = unsafe extern "C" fn() -> std::ffi::c_int;
    let program = libloading::os::unix::Library::this();
    // SAFETY: libloading asks for the symbol's true type, which lucarne-udmabuf documents as
    // `int lucarne_udmabuf_emulated(void)`; nothing else has that name.
    let symbol = unsafe { program.get::<Emulated>(b"lucarne_udmabuf_emulated\0") };
    // SAFETY: a function without preconditions, callable from any thread.
    symbol.is_ok_and(|emulated| unsafe { emulated() } == 1)
}

fn name(format: Format) -> String {
    format.name().map_or(format.to_string(), str::to_owned)
}

fn chosen_by(agreement: &Agreement) -> String {
    match (agreement.path(), agreement.modifiers.len()) {
        (MemoryPath::DmaBuf, 1) => "the only one that both sides have on this rung".to_owned(),
        (MemoryPath::DmaBuf, count) => {
            format!("chosen by the Vulkan driver among {count} that both sides have")
        }
        (MemoryPath::OpaqueFd, _) => "the driver's secret, which both sides share".to_owned(),
        (MemoryPath::HostMemory, _) => "as the CPU needs it".to_owned(),
    }
}

/// Every (format, modifier) that one side can export and the other import as a dma-buf.
fn common(producer: &Offer, consumer: &Offer) -> Vec<Common> {
    let dma_bufs = |offer: &Offer| {
        let entries = offer
            .entries
            .iter()
            .filter(|entry| entry.path == MemoryPath::DmaBuf);
        entries.cloned().collect::<Vec<_>>()
    };
    let importable = dma_bufs(consumer);
    let mut common: Vec<Common> = dma_bufs(producer)
        .iter()
        .filter(|mine| {
            let same = |theirs: &&_| fits(mine, theirs);
            mine.exportable && importable.iter().any(|theirs| same(&theirs))
        })
        .filter_map(|mine| {
            let modifier = mine.tiling.modifier()?.to_string();
            Some(Common {
                format: name(mine.format),
                modifier,
            })
        })
        .collect();
    common.sort_by(|a, b| (&a.modifier, &a.format).cmp(&(&b.modifier, &b.format)));
    common
}

fn fits(mine: &lucarne::negotiate::OfferEntry, theirs: &lucarne::negotiate::OfferEntry) -> bool {
    theirs.importable && mine.format == theirs.format && mine.tiling == theirs.tiling
}

#[cfg(test)]
mod tests {
    use super::without_emulation;

    #[test]
    fn only_the_emulation_is_left_out() {
        let preloaded = "/a/liblucarne_udmabuf.so:/b/libother.so /c/deps/liblucarne_udmabuf-1f.so";
        assert_eq!(without_emulation(preloaded), ["/b/libother.so"]);
        assert!(without_emulation("").is_empty());
    }
}
