//! Watches a stream with wgpu: in a window, or without one as pictures of chosen frames.

mod show;
mod window;

use std::process::ExitCode;

use clap::Parser;
use lucarne::{Frame, Usage};
use lucarne_example_wgpu::{Snapshot, instance, open};
use lucarne_examples::stream::{Album, Result, Stop, TIMEOUT, WatchOptions, exit};

/// What becomes of frames: they are drawn, and a few of them copied for pictures.
const USAGE: Usage = Usage::SAMPLE.union(Usage::TRANSFER_SOURCE);

/// Watches a stream with wgpu.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Which stream, and which pictures
    #[command(flatten)]
    watch: WatchOptions,
    /// Show the frames in a window
    #[arg(long)]
    window: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let run = if options.window { window::run } else { watch };
    exit("wgpu-consumer", run(&options.watch))
}

fn watch(options: &WatchOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    let (_, device) = open(&instance(None), None, None)?;
    let offer = device.offer(USAGE)?;
    let mut album = Album::of_consumer("consumer (wgpu)", &offer.name, options)?;

    // Each image of the producer becomes a texture here, once.
    let import = || |frame: &Frame| device.import(frame, USAGE);
    let Some(mut consumer) = options.connect((&offer, USAGE), &stop, import)? else {
        return album.finish(&stop);
    };
    while album.is_open() && !stop.asked() {
        let Some(received) = album.next(&mut consumer)? else {
            continue;
        };
        let (reading, acquire) = received.acquire();
        let (sequence, texture) = (reading.sequence(), reading.image());
        let (mut picture, mut done) = (None, acquire);
        if album.wants(sequence) {
            // A turn. A program with a renderer samples `texture.texture()` in these commands.
            let (copy, snapshot) = Snapshot::record(&device, texture);
            done = device.submit([texture], &done, TIMEOUT, [copy])?;
            picture = Some(snapshot.picture(&device, texture)?);
        }
        // A frame that nobody reads goes back with the fence that it came with.
        reading.release(done)?;
        album.keep(sequence, 0, picture)?;
    }
    album.finish(&stop)
}
