//! Watches a stream within calloop: frames are an event source beside timers, windows and sockets.

use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, PostAction};
use clap::Parser;
use lucarne::{Fence, Frame, Usage, cpu};
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{Album, Result, Stop, TICK, TIMEOUT, WatchOptions, exit, say};
use lucarne_stream::calloop::{ConsumerInput, ConsumerSource};
use lucarne_stream::{Consumer, Error, Import, Received};
use std::process::ExitCode;

fn main() -> ExitCode {
    exit("calloop-consumer", run(&WatchOptions::parse()))
}

/// What the callbacks share.
struct State {
    album: Album,
    stop: Stop,
    outcome: Result<()>,
    done: bool,
}

fn run(options: &WatchOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    let cpu = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
    let offer = cpu.offer(Usage::SAMPLE)?;
    let album = Album::of_consumer("reader (CPU, calloop)", &offer.name, options)?;
    let import = || |frame: &Frame| cpu.import(frame);
    let Some(consumer) = options.connect((&offer, Usage::SAMPLE), &stop, import)? else {
        return album.finish(&stop);
    };
    let mut state = State {
        album,
        stop: stop.clone(),
        outcome: Ok(()),
        done: false,
    };
    let mut events: EventLoop<'_, State> = EventLoop::try_new()?;
    let handle = events.handle();
    let inserted =
        handle.insert_source(ConsumerSource::new(consumer)?, |input, consumer, state| {
            let action = handle_input(input, consumer, state);
            action.unwrap_or_else(|error| {
                (state.outcome, state.done) = (Err(error), true);
                PostAction::Remove
            })
        });
    inserted.map_err(|error| error.error)?;
    let tick = |_, (): &mut (), state: &mut State| {
        state.done = state.done || state.stop.asked() || !state.album.is_open();
        TimeoutAction::ToDuration(TICK)
    };
    let inserted = handle.insert_source(Timer::from_duration(TICK), tick);
    inserted.map_err(|error| error.error)?;
    while !state.done {
        events.dispatch(None, &mut state)?;
    }
    state.outcome.and_then(|()| state.album.finish(&stop))
}

fn handle_input<I: Import<Image = cpu::Image>>(
    input: ConsumerInput<cpu::Image>,
    consumer: &mut Consumer<I>,
    state: &mut State,
) -> Result<PostAction> {
    match input {
        ConsumerInput::Frame(received) if state.album.is_open() => {
            keep(received, &mut state.album)?;
        }
        // Given back unread.
        ConsumerInput::Frame(_) => state.done = true,
        ConsumerInput::Event(event) => state.album.event(event),
        ConsumerInput::Closed(Error::Ended) => {
            state.done = true;
            return Ok(PostAction::Remove);
        }
        ConsumerInput::Closed(Error::PeerGone) => {
            say("the producer is gone; waiting for the next one");
            // A program with a window would disable the source, and try again by a timer.
            while !state.stop.asked() && consumer.reconnect().is_err() {
                std::thread::sleep(TICK);
            }
        }
        ConsumerInput::Closed(error) => return Err(error.into()),
    }
    Ok(PostAction::Continue)
}

fn keep(received: Received<cpu::Image>, album: &mut Album) -> Result<()> {
    let (reading, acquire) = received.acquire();
    let image = reading.image();
    let (sequence, copies) = (reading.sequence(), image.copies_per_frame());
    let (mut picture, mut done) = (None, Fence::Signaled);
    if album.wants(sequence) {
        let (seen, read) = Picture::from_mapping(image, &acquire, TIMEOUT)?;
        (picture, done) = (Some(seen), read);
    }
    reading.release(done)?;
    album.keep(sequence, copies, picture)
}
