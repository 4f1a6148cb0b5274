//! Watches a stream in OpenGL, without a window: pictures of chosen frames.

use clap::Parser;
use lucarne::{Frame, MemoryPath, Offer, Usage, egl};
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{Album, Result, Stop, TIMEOUT, WatchOptions, exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    exit("consumer", run(&WatchOptions::parse()))
}

fn run(options: &WatchOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    let (egl, offer) = open()?;
    let mut album = Album::of_consumer("consumer (OpenGL)", &offer.name, options)?;

    // Each image of the producer becomes a texture, once.
    let import = || |frame: &Frame| egl.import(frame);
    let Some(mut consumer) = options.connect((&offer, Usage::SAMPLE), &stop, import)? else {
        return album.finish(&stop);
    };
    while album.is_open() && !stop.asked() {
        let Some(received) = album.next(&mut consumer)? else {
            // A producer that is gone leaves its textures behind, and the next one may be long in coming.
            egl.trim()?;
            continue;
        };
        let (reading, acquire) = received.acquire();
        let texture = reading.image();
        egl.read(texture, &acquire, TIMEOUT)?;
        // A program with something to show would draw with `texture.name()` here.
        let sequence = reading.sequence();
        let mut picture = None;
        if album.wants(sequence) {
            let extent = reading.frame().layout().extent();
            picture = Some(Picture::from_shader(extent, &egl.download(texture)?)?);
        }
        let copies = texture.copies_per_frame();
        reading.release(egl.fence(TIMEOUT)?)?;
        album.keep(sequence, copies, picture)?;
    }
    album.finish(&stop)
}

/// The first device that takes dma-bufs; without one, the first that opens.
fn open() -> Result<(egl::Device, Offer)> {
    let mut other = None;
    for adapter in egl::Adapter::enumerate()? {
        let Ok(device) = adapter.open() else { continue };
        let offer = device.offer(Usage::SAMPLE)?;
        if offer.path(MemoryPath::DmaBuf).is_yes() {
            return Ok((device, offer));
        }
        other.get_or_insert((device, offer));
    }
    other.ok_or_else(|| "EGL lists no device that opens".into())
}
