//! Pairs of child processes, and slices of measuring.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use lucarne::Extent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::messages::{Consumed, Fault, Order, Produced, Ready, Role, Shape, Used, Variant};
use crate::{Result, count};

/// A child process that obeys orders. Ends with this value.
#[derive(Debug)]
pub(crate) struct End {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    what: String,
    /// Where it complains.
    errors: PathBuf,
}

impl End {
    pub(crate) fn start(role: Role, plan: &PairPlan, folder: &TempDir) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = if plan.counted {
            count::wrapped(&program, &count::file(folder.path(), role))
        } else {
            Command::new(program)
        };
        command
            .args(["end", role.name(), plan.variant.name()])
            .arg(plan.extent.to_string())
            .arg(folder.path());
        if let Some(core) = match role {
            Role::Producer => plan.cores.map(|(first, _)| first),
            Role::Consumer => plan.cores.map(|(_, second)| second),
        } {
            command.args(["--core", &core.to_string()]);
        }
        let fault = plan.fault.filter(|_| plan.variant == Variant::Lucarne);
        if let Some(fault) = fault.and_then(|fault| clap::ValueEnum::to_possible_value(&fault)) {
            command.args(["--break", fault.get_name()]);
        }
        let Shape {
            consumers,
            slots,
            idle,
        } = plan.shape;
        for (name, value) in [
            ("--consumers", consumers),
            ("--slots", slots),
            ("--idle", idle),
        ] {
            command.args([name, &value.to_string()]);
        }
        let errors = folder.path().join(role.name()).with_extension("errors");
        // Rasterising on threads of its own would hide what a hand-off costs, and take the other side's core.
        let mut child = command
            .env("LP_NUM_THREADS", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("a child without an output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
            what: format!("{} {} at {}", plan.variant, role.name(), plan.extent),
            errors,
        })
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.input.take());
        if self.child.wait()?.success() {
            return Ok(());
        }
        Err(self.complaint())
    }

    fn complaint(&self) -> Box<dyn std::error::Error> {
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        match errors.trim() {
            "" => format!("{} ended before its time", self.what).into(),
            errors => errors.into(),
        }
    }

    pub(crate) fn tell(&mut self, what: &impl Serialize) -> Result<()> {
        let input = self.input.as_mut().ok_or("it has ended")?;
        writeln!(input, "{}", serde_json::to_string(what)?)?;
        Ok(())
    }

    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(self.complaint());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Those that wait for orders end by themselves; after an error one may wait for its other half.
        drop(self.input.take());
        if std::thread::panicking() || !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// What a pair is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairPlan {
    pub(crate) variant: Variant,
    pub(crate) extent: Extent,
    /// The producer's core and the consumer's.
    pub(crate) cores: Option<(usize, usize)>,
    pub(crate) fault: Option<Fault>,
    /// Whether both run in callgrind.
    pub(crate) counted: bool,
    pub(crate) shape: Shape,
}

/// A producer and a consumer that hand over frames in one way.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) ready: [Ready; 2],
    producer: End,
    /// None of those that are one process.
    consumer: Option<End>,
    folder: TempDir,
}

impl Pair {
    /// Starts both, and waits until they have met.
    pub(crate) fn start(plan: PairPlan) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("lucarne-bench").tempdir()?;
        let mut producer = End::start(Role::Producer, &plan, &folder)?;
        let mut consumer = if plan.variant.within() {
            None
        } else {
            Some(End::start(Role::Consumer, &plan, &folder)?)
        };
        let first: Ready = producer.hear()?;
        let second = consumer.as_mut().map(End::hear).transpose()?;
        let ready = [first, second.unwrap_or_default()];
        Ok(Self {
            ready,
            producer,
            consumer,
            folder,
        })
    }

    /// Measures once.
    pub(crate) fn run(&mut self, order: Order, round: u32) -> Result<Slice> {
        if let Some(consumer) = &mut self.consumer {
            consumer.tell(&order)?;
        }
        self.producer.tell(&order)?;
        let produced: Produced = self.producer.hear()?;
        let consumed = match &mut self.consumer {
            Some(consumer) => consumer.hear()?,
            // It has seen every frame itself.
            None => Consumed {
                frames: produced.frames,
                time: produced.time,
                ..Consumed::default()
            },
        };
        Ok(Slice {
            round,
            ..Slice::new(&produced, &consumed)
        })
    }

    /// Lets both end, and gives the folder with what they wrote.
    pub(crate) fn end(self) -> Result<TempDir> {
        self.producer.end()?;
        if let Some(consumer) = self.consumer {
            consumer.end()?;
        }
        Ok(self.folder)
    }
}

/// What one slice showed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slice {
    /// Of which round it is.
    pub(crate) round: u32,
    /// From published to in hand, of each paced frame, in microseconds.
    pub(crate) in_hand: Vec<f64>,
    /// From published to seen.
    pub(crate) latency: Vec<f64>,
    /// From a slot that is free to seen: with the drawing.
    pub(crate) with_drawing: Vec<f64>,
    /// Frames per second that the consumer saw.
    pub(crate) rate: f64,
    /// Microseconds of processor time of both sides, for each frame.
    pub(crate) cpu: f64,
    /// The same of the producer alone.
    pub(crate) producer_cpu: f64,
    /// Allocations by Rust code of both sides, for each frame.
    pub(crate) allocations: f64,
    /// Descriptors that the producer has open.
    pub(crate) open: u64,
    /// How many descriptors more are open on both sides.
    pub(crate) descriptors: i64,
    pub(crate) frames: u64,
    pub(crate) torn: u64,
    pub(crate) repeated: u64,
    /// Those that were never seen.
    pub(crate) lost: u64,
}

impl Slice {
    fn new(produced: &Produced, consumed: &Consumed) -> Self {
        let mut slice = Self {
            frames: consumed.frames,
            torn: consumed.torn,
            repeated: consumed.repeated,
            lost: consumed.dropped + produced.frames.saturating_sub(consumed.frames),
            ..Self::default()
        };
        for (sent, seen) in produced.log.iter().zip(&consumed.log) {
            // Counted above where they are not the same.
            if sent.0 == seen.0 {
                slice.with_drawing.push(micros(sent.1, seen.2));
                slice.in_hand.push(micros(sent.2, seen.1));
                slice.latency.push(micros(sent.2, seen.2));
            }
        }
        let frames = consumed.frames.max(1) as f64;
        if consumed.time > 0 {
            slice.rate = (frames - 1.0) * 1e9 / consumed.time as f64;
        }
        let grown = |field: fn(&Used) -> u64| {
            let of = |before, after| field(after) as f64 - field(before) as f64;
            of(&produced.before, &produced.after) + of(&consumed.before, &consumed.after)
        };
        slice.cpu = grown(|used| used.cpu) / 1000.0 / frames;
        slice.allocations = grown(|used| used.allocations) / frames;
        let producer = produced.after.cpu as f64 - produced.before.cpu as f64;
        slice.producer_cpu = producer / 1000.0 / frames;
        slice.open = produced.after.descriptors;
        let open = |used: &Used| used.descriptors.cast_signed();
        slice.descriptors = open(&produced.after) - open(&produced.before) + open(&consumed.after)
            - open(&consumed.before);
        slice
    }
}

fn micros(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_joins_what_both_sides_saw() {
        let used = |cpu, allocations, descriptors| Used {
            cpu,
            allocations,
            descriptors,
        };
        let produced = Produced {
            frames: 3,
            time: 0,
            before: used(0, 5, 10),
            after: used(60_000, 5, 10),
            log: vec![(1, 1000, 2000), (2, 11_000, 12_000), (3, 21_000, 22_000)],
        };
        let consumed = Consumed {
            frames: 3,
            time: 2_000_000_000,
            before: used(1000, 0, 20),
            after: used(31_000, 3, 21),
            log: vec![(1, 2500, 5000), (2, 13_000, 16_000), (9, 80_000, 90_000)],
            ..Consumed::default()
        };
        let slice = Slice::new(&produced, &consumed);
        assert_eq!(slice.latency, [3.0, 4.0], "the third is another frame");
        assert_eq!(slice.in_hand, [0.5, 1.0]);
        assert_eq!(slice.with_drawing, [4.0, 5.0]);
        assert_eq!((slice.rate, slice.cpu), (1.0, 30.0));
        assert_eq!((slice.allocations, slice.descriptors), (1.0, 1));
    }
}
