//! The steps of an arrangement: images are made, consumers configured, and frames come out of the next generation.

use std::time::Instant;

use lucarne::{Agreement, Frame, Pool};

use super::{Producer, ProducerEvent, reserve};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::frame_message;
use crate::generation::{Allocate, Slots};
use crate::wire::{Configure, FarewellReason};

use super::arrangement::Step;

impl<A: Allocate> Producer<A> {
    /// Brings consumers and generations together: configures newcomers, makes a new generation where they need one, and
    /// moves on to it once everybody is ready.
    pub(super) fn arrange(&mut self) {
        while let Some(step) = self.arrangement.next_step(Instant::now()) {
            match step {
                Step::Refuse(id, text) => self.dismiss(id, FarewellReason::Incompatible, &text),
                Step::Make(agreement) => self.make(agreement),
                Step::Configure(id) => {
                    if let Err(error) = self.configure(id) {
                        self.hang_up(id, &error);
                    }
                }
                Step::MoveOn => self.move_on(),
            }
        }
        if self.arrangement.current().is_none() {
            self.flights.let_go();
        }
    }

    /// Makes the images of a new generation.
    fn make(&mut self, agreement: Agreement) {
        let images = (0..self.options.slots).map(|_| {
            let (image, frame) = self.allocate.allocate(&agreement)?;
            check_made(&agreement, &frame)?;
            Ok((image, frame))
        });
        match images.collect::<lucarne::Result<(Vec<_>, Vec<_>)>>() {
            // What is left is for those who get frames; they go on with what they have.
            Ok(_) if self.peers.served() > 0 && reserve::room() == 0 => {
                let error = lucarne::Error::Os {
                    operation: "making a generation",
                    source: rustix::io::Errno::MFILE.into(),
                    help: "",
                };
                self.arrangement
                    .not_made(&agreement, &error, Instant::now());
            }
            Ok((images, frames)) => {
                let tilings = frames.iter().map(|frame| frame.layout().tiling());
                let modifiers = tilings.filter_map(lucarne::Tiling::modifier).collect();
                let pool = Pool::new(frames);
                let slots = Slots { pool, images };
                self.arrangement
                    .made(agreement, modifiers, slots, Instant::now());
            }
            Err(error) => self
                .arrangement
                .not_made(&agreement, &error, Instant::now()),
        }
    }

    /// Sends the newest generation to a consumer.
    fn configure(&mut self, id: u64) -> Result<()> {
        let arrangement = &self.arrangement;
        let (Some(generation), Some(usage)) = (arrangement.newest(), arrangement.usage(id)) else {
            return Ok(());
        };
        let Some(peer) = self.peers.find(id) else {
            return Ok(());
        };
        let frames = generation.slots.pool.frames();
        let (Some(joined), Some(first)) = (&peer.joined, frames.first()) else {
            return Ok(());
        };
        // Its ring is one more descriptor, and others have come since it was let in.
        if !peer.is_served() && reserve::room() == 0 {
            return Err(Error::Os {
                operation: "configuring a newcomer",
                source: rustix::io::Errno::MFILE.into(),
                help: "the producer keeps its last descriptors for those who get frames (RLIMIT_NOFILE)",
            });
        }
        let agreement = &generation.agreement;
        let configure = Configure {
            version: joined.version,
            generation: generation.number,
            extent: agreement.extent,
            format: agreement.format,
            // All slots are one program's work, and mean the same.
            color: first.layout().color(),
            rung: agreement.rung,
            devices: agreement.devices,
            producer_usage: agreement.producer,
            consumer_usage: usage,
            device: first.device().clone(),
            acquire: agreement.acquire.clone(),
            release: agreement.release.clone(),
            refused: agreement.refused.clone(),
            producer: arrangement.offer().name.clone(),
            slots: frames.iter().map(frame_message::slot_layout).collect(),
        };
        let current = arrangement.current().map(|current| current.number);
        peer.configure(configure, frames, current)?;
        peer.deadline = Some(Deadline::new(self.options.patience));
        Ok(())
    }

    /// Goes over to the generation that was on trial.
    fn move_on(&mut self) {
        let Some(generation) = self.arrangement.current() else {
            return;
        };
        let (number, agreement) = (generation.number, &generation.agreement);
        self.events.report(ProducerEvent::Generation {
            number,
            extent: agreement.extent,
            format: agreement.format,
            rung: agreement.rung,
        });
        self.flights.restart(&generation.slots.pool, &self.epoll);
        if self.peers.each(|peer, _| peer.move_on(number)).is_err() {
            self.hang_up_on_broken();
        }
    }
}

/// Refuses what a program has made otherwise than agreed: no consumer would take it.
fn check_made(agreement: &Agreement, frame: &Frame) -> lucarne::Result<()> {
    let (layout, path) = (frame.layout(), frame.memory().path());
    let is_agreed = (layout.extent(), layout.format()) == (agreement.extent, agreement.format)
        && agreement.rung.takes(path, layout.tiling());
    if is_agreed {
        return Ok(());
    }
    Err(lucarne::Error::Invalid {
        field: "the frame that the program allocated",
        got: format!("{layout} in {path}"),
        limit: format!(
            "{} {} on {}, as was agreed",
            agreement.extent, agreement.format, agreement.rung
        ),
    })
}
