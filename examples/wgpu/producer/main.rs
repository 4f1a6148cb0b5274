//! Draws an animated scene with wgpu and publishes it as a stream, for any number of consumers.

mod scene;

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use lucarne::Agreement;
use lucarne_example_wgpu::{Snapshot, instance, open};
use lucarne_examples::stream::{
    Album, PRODUCER_USAGE, ProducerOptions, Result, Stop, TICK, TIMEOUT, exit, say,
};
use lucarne_stream::{Allocate, Error, Producer, ProducerEvent};
use scene::Scene;

fn main() -> ExitCode {
    exit("wgpu-producer", run(&ProducerOptions::parse()))
}

fn run(options: &ProducerOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    let (_, device) = open(&instance(None), None, options.device.as_deref())?;
    let offer = device.offer(PRODUCER_USAGE)?;
    let mut album = Album::new("producer (wgpu)", &offer.name, &options.stream)?;

    // Makes the textures of each generation, and what draws into their format.
    let scene: RefCell<Option<Scene>> = RefCell::default();
    let allocate = |agreement: &Agreement| {
        let texture = device.export(agreement)?;
        let format = texture.texture().format();
        let mut scene = scene.borrow_mut();
        if scene.as_ref().is_none_or(|scene| scene.format() != format) {
            *scene = Some(Scene::new(device.wgpu(), format));
        }
        let frame = texture.frame().clone();
        Ok((texture, frame))
    };
    let name = &options.stream.name;
    let mut producer = Producer::bind(name, &offer, options.options(), allocate)?;
    say(&format!("{name:?} is on; Ctrl-C ends it"));

    let mut size = options.size;
    let mut watched = false;
    let mut next = Instant::now();
    while !stop.asked() && (options.frames == 0 || producer.sequence() < options.frames) {
        tell(&mut producer, &mut album);
        watched = watched || producer.consumers() >= options.wait_for;
        if !watched {
            producer.dispatch()?;
            std::thread::sleep(TICK / 20);
            continue;
        }
        let wanted = options.size_after(producer.sequence());
        if wanted != size {
            // Frames of the old size until every consumer has imported the new textures.
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
        let texture = slot.image();
        let drawing = {
            let scene = scene.borrow();
            let scene = scene.as_ref().ok_or("a slot, and no generation")?;
            scene.draw(device.queue(), texture.texture(), number)
        };
        // One turn: wgpu's commands, and a copy of the frames that become pictures.
        let mut commands = vec![drawing];
        let snapshot = album.wants(number).then(|| {
            let (copy, snapshot) = Snapshot::record(&device, texture);
            commands.push(copy);
            snapshot
        });
        let done = device.submit([texture], slot.gate(), TIMEOUT, commands)?;
        let picture = snapshot
            .map(|taken| taken.picture(&device, texture))
            .transpose()?;
        producer.send(slot, done, lucarne_stream::now())?;
        // A frame of a generation that has ended meanwhile is nobody's, and has no number.
        if producer.sequence() == number {
            album.keep(number, 0, picture)?;
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
        if let ProducerEvent::Generation { format, rung, .. } = &event {
            album.generation(&format.to_string(), &rung.to_string());
        }
        say(&format!("{event:?}"));
    }
}
