//! Draws an animated scene in Vulkan and publishes it as a stream, for any number of consumers.

use clap::Parser;
use lucarne::Agreement;
use lucarne_examples::stream::{
    Album, Drawing, PRODUCER_USAGE, ProducerOptions, Renderer, Result, Stop, TICK, exit, say,
};
use lucarne_stream::{Allocate, Error, Producer, ProducerEvent};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How many frames in a row may fail before the program ends.
const MOST_FAILURES: u32 = 100;

fn main() -> ExitCode {
    exit("producer", run(&ProducerOptions::parse()))
}

fn run(options: &ProducerOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    let renderer = Renderer::open(options.device.as_deref())?;
    let offer = renderer.device().offer(PRODUCER_USAGE)?;
    let mut album = Album::new("producer", &offer.name, &options.stream)?;

    // Takes the name. What frames look like is agreed on when somebody watches, and again when that changes: then this
    // closure makes the images.
    let allocate = |agreement: &Agreement| renderer.drawing(agreement);
    let name = &options.stream.name;
    let mut producer = Producer::bind(name, &offer, options.options(), allocate)?;
    say(&format!("{name:?} is on; Ctrl-C ends it"));

    let mut size = options.size;
    let mut watched = false;
    let mut failures = 0;
    let mut next = Instant::now();
    while !stop.asked() && (options.frames == 0 || producer.sequence() < options.frames) {
        tell(&mut producer, &mut album);
        watched = watched || producer.consumers() >= options.wait_for;
        if !watched {
            producer.dispatch()?;
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let wanted = options.size_after(producer.sequence());
        if wanted != size {
            // Frames of the old size until every consumer has imported the new images.
            size = wanted;
            producer.reconfigure(options.request(size))?;
        }
        let slot = match producer.acquire(TICK) {
            Ok(slot) => slot,
            // Nobody watches, or all slots are in use.
            Err(Error::Timeout { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let number = producer.sequence() + 1;
        let drawing: &Drawing = slot.image();
        let copies = drawing.copies_per_frame();
        let done = match drawing.draw(slot.gate(), number) {
            Ok(done) => done,
            // For want of descriptors, for instance: its consumers are still there, and the next one may succeed.
            Err(error) if failures < MOST_FAILURES => {
                failures += 1;
                say(&format!("frame {number} is left out: {error}"));
                std::thread::sleep(options.period());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        failures = 0;
        let wants = album.wants(number);
        let picture = wants.then(|| drawing.picture(&done)).transpose()?;
        producer.send(slot, done, lucarne_stream::now())?;
        // A frame of a generation that has ended meanwhile is nobody's, and has no number.
        if producer.sequence() == number {
            album.keep(number, copies, picture)?;
        }
        next = (next + options.period()).max(Instant::now());
        std::thread::sleep(next - Instant::now());
    }
    tell(&mut producer, &mut album);
    producer.end();
    album.finish(&stop)
}

fn tell<A: Allocate>(producer: &mut Producer<A>, album: &mut Album) {
    while let Some(event) = producer.event() {
        match event {
            ProducerEvent::Joined {
                consumer,
                credentials,
                name,
                delivery,
            } => {
                let pid = credentials.pid.unwrap_or_default();
                say(&format!(
                    "consumer {consumer} is here: process {pid}, {name}, {delivery:?}"
                ));
            }
            ProducerEvent::Left { consumer, reason } => {
                say(&format!("consumer {consumer} is gone: {reason}"));
            }
            ProducerEvent::Generation {
                number,
                extent,
                format,
                rung,
            } => {
                album.generation(&format.to_string(), &rung.to_string());
                say(&format!("generation {number}: {extent}, {format}, {rung}"));
            }
            other => say(&format!("{other:?}")),
        }
    }
}
