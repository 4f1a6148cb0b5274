//! Watches a stream within tokio: frames are awaited beside whatever else the program does.

use clap::Parser;
use lucarne::{Fence, Frame, Usage, cpu};
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{Album, Result, Stop, TICK, TIMEOUT, WatchOptions, exit, say};
use lucarne_stream::Error;
use lucarne_stream::tokio::AsyncConsumer;
use std::process::ExitCode;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit("tokio-consumer", run(&WatchOptions::parse()).await)
}

async fn run(options: &WatchOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    let cpu = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
    let offer = cpu.offer(Usage::SAMPLE)?;
    let mut album = Album::of_consumer("reader (CPU, tokio)", &offer.name, options)?;
    let import = || |frame: &Frame| cpu.import(frame);
    let Some(consumer) = options.connect((&offer, Usage::SAMPLE), &stop, import)? else {
        return album.finish(&stop);
    };
    let mut consumer = AsyncConsumer::new(consumer)?;

    // Something else that goes on meanwhile.
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    while album.is_open() && !stop.asked() {
        let received = tokio::select! {
            received = consumer.receive() => received,
            _ = clock.tick() => continue,
            () = asked(&stop) => break,
        };
        album.events(consumer.get_mut());
        let received = match received {
            Ok(received) => received,
            Err(Error::Ended) => break,
            Err(Error::PeerGone) => {
                say("the producer is gone; waiting for the next one");
                while !stop.asked() && consumer.get_mut().reconnect().is_err() {
                    tokio::time::sleep(TICK).await;
                }
                continue;
            }
            Err(error) => return Err(error.into()),
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

/// Ctrl-C, as the other examples take it.
async fn asked(stop: &Stop) {
    while !stop.asked() {
        tokio::time::sleep(TICK).await;
    }
}
