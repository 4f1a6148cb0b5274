//! Watches a stream in Vulkan: pictures of chosen frames.

use clap::Parser;
use lucarne::{Frame, Usage};
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{Album, Renderer, Result, Stop, TIMEOUT, WatchOptions, exit};
use std::process::ExitCode;

/// Frames are copied out of; a program with a renderer would say `Usage::SAMPLE`.
const USAGE: Usage = Usage::TRANSFER_SOURCE;

fn main() -> ExitCode {
    exit("consumer-vulkan", run(&WatchOptions::parse()))
}

fn run(options: &WatchOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    let renderer = Renderer::open(None)?;
    let vulkan = renderer.device();
    let offer = vulkan.offer(USAGE)?;
    let mut album = Album::of_consumer("consumer (Vulkan)", &offer.name, options)?;

    // Each image of the producer becomes a VkImage here, once.
    let import = || |frame: &Frame| vulkan.import(frame, USAGE);
    let Some(mut consumer) = options.connect((&offer, USAGE), &stop, import)? else {
        return album.finish(&stop);
    };
    while album.is_open() && !stop.asked() {
        let Some(received) = album.next(&mut consumer)? else {
            continue;
        };
        let (reading, acquire) = received.acquire();
        let image = reading.image();
        let (sequence, copies) = (reading.sequence(), image.copies_per_frame());
        let mut picture = None;
        if album.wants(sequence) {
            let layout = reading.frame().layout();
            let bytes = vulkan.download(image, &acquire, TIMEOUT)?;
            picture = Some(Picture::from_frame(
                layout.extent(),
                layout.format(),
                bytes,
            )?);
        }
        // `download` has finished reading. With `Device::read` the fence to release with is what it returns; a frame that
        // nobody reads goes back with the fence that it came with.
        reading.release(acquire)?;
        album.keep(sequence, copies, picture)?;
    }
    album.finish(&stop)
}
