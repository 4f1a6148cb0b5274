//! Frames from one stream to the other, until somebody ends it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use lucarne::Fence;
use lucarne::vulkan::{Redraw, RedrawSource};
use lucarne_stream::wire::FarewellReason;
use lucarne_stream::{Consumer, ConsumerEvent, Error, Producer, Reading, Received};

use super::event::{Event, input, made, tell};
use super::out::{Images, Out, Wanted};
use super::{Import, LOOK, Options};
use crate::output::{Output, progress};
use crate::serve::tell_all;
use crate::stop::Stop;
use crate::{Answer, Failure, watch};

/// How long a wait for a frame lasts before the other side and Ctrl-C are looked at.
const TICK: Duration = Duration::from_millis(20);
/// What a fence that never signals may cost.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How often the rate is told.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many frames in a row may be too late before the relay gives up.
const MOST_LATE: usize = 3;

struct Counts {
    frames: u64,
    missed: u64,
    since: Instant,
    frames_then: u64,
}

impl Counts {
    fn new() -> Self {
        Self {
            frames: 0,
            missed: 0,
            since: Instant::now(),
            frames_then: 0,
        }
    }

    /// The rate since it was told last, if that is long ago.
    #[expect(clippy::cast_precision_loss, reason = "frames of a second")]
    fn rate(&mut self) -> Option<f64> {
        let length = self.since.elapsed();
        if length < INTERVAL {
            return None;
        }
        let frames = self.frames - self.frames_then;
        (self.since, self.frames_then) = (Instant::now(), self.frames);
        Some(frames as f64 / length.as_secs_f64())
    }
}

/// The generations that were told.
#[derive(Default)]
struct Told {
    from: u64,
    to: u64,
}

pub(super) struct Relay {
    consumer: Consumer<Import>,
    redraw: Rc<Redraw>,
    out: Out,
    counts: Counts,
    told: Told,
    /// Frames whose drawing was not seen to finish: the device may still read them, until a later drawing succeeds. Dropped
    /// last, when OUT's images have waited for it.
    late: Vec<Reading<RedrawSource>>,
}

impl Relay {
    pub(super) fn new(consumer: Consumer<Import>, redraw: Rc<Redraw>, out: Out) -> Self {
        Self {
            consumer,
            redraw,
            out,
            counts: Counts::new(),
            told: Told::default(),
            late: Vec::new(),
        }
    }

    pub(super) fn run(
        mut self,
        options: &Options,
        stop: &Stop,
        output: &mut Output,
    ) -> Result<Answer, Failure> {
        let mut making: Option<(Producer<Images>, Wanted)> = None;
        let enough = |counts: &Counts| options.frames.is_some_and(|most| counts.frames >= most);
        while !stop.asked() && !enough(&self.counts) {
            if let Some((producer, _)) = &mut making {
                producer.dispatch()?;
                tell_all(producer, output)?;
            }
            self.tell_rate(output)?;
            match self.consumer.receive(TICK) {
                Ok(received) => self.pass_on(received, &mut making, output)?,
                Err(Error::Timeout { .. }) => {}
                Err(error) if comes_back(&error) => {
                    self.wait_for_return(options, making.as_mut(), stop, output)?;
                }
                Err(error) => return Err(error.into()),
            }
            while let Some(event) = self.consumer.event() {
                note_pauses(&event, making.as_mut());
            }
        }
        progress("");
        if let Some((producer, _)) = making {
            producer.end();
        }
        let (frames, missed) = (self.counts.frames, self.counts.missed);
        tell(&Event::Ended { frames, missed }, output)?;
        Ok(if frames > 0 { Answer::Yes } else { Answer::No })
    }

    fn tell_rate(&mut self, output: &mut Output) -> Result<(), Failure> {
        let Some(rate) = self.counts.rate() else {
            return Ok(());
        };
        let (frames, missed) = (self.counts.frames, self.counts.missed);
        if output.is_json() {
            return output.json(&Event::Rate {
                rate,
                frames,
                missed,
            });
        }
        progress(&format!("{rate:.1} frames a second, {missed} missed"));
        Ok(())
    }

    /// Draws one frame into a slot of OUT's, if there is one.
    fn pass_on(
        &mut self,
        received: Received<RedrawSource>,
        making: &mut Option<(Producer<Images>, Wanted)>,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let wanted = self.out.wanted(received.frame().layout());
        let producer = match making {
            None => {
                let producer = self.out.bind(&wanted)?;
                &mut making.insert((producer, wanted)).0
            }
            Some((producer, now)) => {
                if *now != wanted {
                    *now = wanted;
                    self.out.color.set(wanted.color);
                    producer.reconfigure(Out::request(&wanted))?;
                }
                producer
            }
        };
        let (generation, timestamp) = (received.generation(), received.timestamp());
        let (reading, acquire) = received.acquire();
        let source = reading.image();
        if self.told.from != generation {
            self.told.from = generation;
            tell(&input(source), output)?;
        }
        let Some(slot) = producer.try_acquire()? else {
            // Where nobody reads OUT, nothing is missed.
            self.counts.missed += u64::from(producer.consumers() > 0);
            return Ok(reading.release(Fence::Signaled)?);
        };
        if self.told.to != slot.generation() {
            self.told.to = slot.generation();
            tell(&made(slot.image(), slot.agreement()), output)?;
        }
        let image = slot.image();
        match self
            .redraw
            .draw(source, &acquire, image, slot.gate(), TIMEOUT)
        {
            Ok(done) => {
                producer.send(slot, done, timestamp)?;
                self.counts.frames += 1;
            }
            Err(error) => return self.keep(reading, error),
        }
        // A drawing that succeeds has waited for those before it.
        for late in self.late.drain(..) {
            late.release(Fence::Signaled)?;
        }
        Ok(reading.release(Fence::Signaled)?)
    }

    /// Keeps a frame that the device may still read. A timeout loses the frame, and the next one may be better.
    fn keep(
        &mut self,
        reading: Reading<RedrawSource>,
        error: lucarne::Error,
    ) -> Result<(), Failure> {
        self.late.push(reading);
        match error {
            lucarne::Error::Timeout { .. } if self.late.len() < MOST_LATE => {
                self.counts.missed += 1;
                Ok(())
            }
            lucarne::Error::Timeout { .. } => {
                let what = format!("{MOST_LATE} frames in a row were not drawn in time: {error}");
                Err(what.into())
            }
            error => Err(error.into()),
        }
    }

    /// Serves OUT's consumers, who are told that it is paused, until IN is back.
    fn wait_for_return(
        &mut self,
        options: &Options,
        mut making: Option<&mut (Producer<Images>, Wanted)>,
        stop: &Stop,
        output: &mut Output,
    ) -> Result<(), Failure> {
        progress("");
        let name = options.from.as_str();
        tell(&Event::Gone { name }, output)?;
        if let Some((producer, _)) = &mut making {
            producer.pause();
        }
        let mut next = Instant::now();
        while !stop.asked() {
            if next <= Instant::now() {
                next = Instant::now() + LOOK;
                match self.consumer.reconnect() {
                    Ok(()) => {
                        self.told.from = 0;
                        tell(&Event::Back { name }, output)?;
                        if let Some((producer, _)) = &mut making {
                            producer.resume();
                        }
                        return Ok(());
                    }
                    Err(error) if comes_back(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some((producer, _)) = &mut making {
                producer.dispatch()?;
                tell_all(producer, output)?;
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }
}

/// Passes on that IN's frames stop for a while.
fn note_pauses(event: &ConsumerEvent, making: Option<&mut (Producer<Images>, Wanted)>) {
    match (event, making) {
        (ConsumerEvent::Paused, Some((producer, _))) => producer.pause(),
        (ConsumerEvent::Resumed, Some((producer, _))) => producer.resume(),
        _ => {}
    }
}

/// Whether another producer of the name would help.
fn comes_back(error: &Error) -> bool {
    match error {
        Error::Ended => true,
        Error::Refused(farewell) => matches!(
            farewell.reason,
            FarewellReason::Ended
                | FarewellReason::TooSlow
                | FarewellReason::Resources
                | FarewellReason::Done
        ),
        error => watch::is_not_there(error),
    }
}
