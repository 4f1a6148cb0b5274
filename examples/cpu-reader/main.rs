//! Watches a stream without any graphics driver: maps the frames and reads their bytes.

use clap::Parser;
use lucarne::{Fence, Frame, Usage, cpu};
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{Album, Result, Stop, TIMEOUT, WatchOptions, exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    exit("cpu-reader", run(&WatchOptions::parse()))
}

fn run(options: &WatchOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    // An allocator is needed for exporting only; this one is everywhere.
    let cpu = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
    let offer = cpu.offer(Usage::SAMPLE)?;
    let mut album = Album::of_consumer("reader (CPU)", &offer.name, options)?;

    // Each image of the producer is mapped, once.
    let import = || |frame: &Frame| cpu.import(frame);
    let Some(mut consumer) = options.connect((&offer, Usage::SAMPLE), &stop, import)? else {
        return album.finish(&stop);
    };
    while album.is_open() && !stop.asked() {
        let Some(received) = album.next(&mut consumer)? else {
            continue;
        };
        let (reading, acquire) = received.acquire();
        let image = reading.image();
        let (sequence, copies) = (reading.sequence(), image.copies_per_frame());
        let (mut picture, mut done) = (None, Fence::Signaled);
        if album.wants(sequence) {
            let (seen, read) = Picture::from_mapping(image, &acquire, TIMEOUT)?;
            (picture, done) = (Some(seen), read);
        }
        reading.release(done)?;
        album.keep(sequence, copies, picture)?;
    }
    album.finish(&stop)
}
