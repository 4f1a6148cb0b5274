//! A child process: one end of a pair, which measures when it is told to.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::messages::{Consumed, Mode, Order, Produced, Role, Used};
use crate::stamp::Stamp;
use crate::variants::{Consume, Produce, Setup, consumer, producer};
use crate::{ALLOCATOR, Result};

/// Serves until standard input ends. `core` is the only one that this process and its threads may use.
pub(crate) fn serve(role: Role, setup: &Setup, core: Option<usize>) -> Result<()> {
    if let Some(core) = core {
        // Before any driver starts its threads, which inherit it.
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set)?;
    }
    match role {
        Role::Producer => {
            let mut end = producer(setup)?;
            say(&end.ready())?;
            let mut count = 0;
            orders(|order| produce(&mut *end, order, &mut count))
        }
        Role::Consumer => {
            let mut end = consumer(setup)?;
            say(&end.ready())?;
            let mut count = None;
            orders(|order| consume(&mut *end, order, &mut count))
        }
    }
}

fn orders<T: Serialize>(mut obey: impl FnMut(Order) -> Result<T>) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        say(&obey(serde_json::from_str(&line?)?)?)?;
    }
    Ok(())
}

fn say(what: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(what)?)?;
    out.flush()?;
    Ok(())
}

fn used() -> Result<Used> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = Duration::try_from(time)?.as_nanos();
    let memory = ALLOCATOR.stats();
    // Without the folder that is being read.
    let descriptors = std::fs::read_dir("/proc/self/fd")?
        .count()
        .saturating_sub(1);
    Ok(Used {
        cpu: u64::try_from(cpu)?,
        allocations: u64::try_from(memory.allocations + memory.reallocations)?,
        descriptors: u64::try_from(descriptors)?,
    })
}

/// Frames that a slice of this order logs; more would have to allocate while it is measured.
fn room(order: Order) -> usize {
    let frames = (order.warm_up + order.seconds) * order.rate;
    match order.mode {
        // Some come late, never more often.
        Mode::Paced => {
            let frames = Duration::from_secs_f64(frames.max(0.0)).as_secs();
            usize::try_from(frames).unwrap_or_default() + 16
        }
        Mode::Free | Mode::Counted => 0,
    }
}

/// Callgrind counts what happens in here, and nothing else (`count`): it has to keep its name.
#[inline(never)]
fn counted_frame<T>(frame: impl FnOnce() -> T) -> T {
    // A call that came last would be a jump, and this function would be over.
    black_box(frame())
}

/// Callgrind forgets what it has counted when this is called.
#[inline(never)]
fn begin_to_count() {
    black_box("begin");
}

/// Callgrind writes down what it has counted when this is called. (Two functions with the same body would become one.)
#[inline(never)]
fn end_of_counting() {
    black_box("end");
}

fn produce(end: &mut dyn Produce, order: Order, count: &mut u32) -> Result<Produced> {
    let mut slice = Produced {
        log: Vec::with_capacity(room(order)),
        ..Produced::default()
    };
    let period = match order.mode {
        Mode::Paced | Mode::Counted => Duration::from_secs_f64(1.0 / order.rate),
        Mode::Free => Duration::ZERO,
    };
    let started = Instant::now();
    let warm = started + Duration::from_secs_f64(order.warm_up);
    let until = warm + Duration::from_secs_f64(order.seconds);
    let mut next = started;
    begin_to_count();
    let mut counts = false;
    let mut began = 0;
    loop {
        if order.mode != Mode::Free {
            next += period;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        let now = Instant::now();
        let first = !counts && now >= warm;
        if first {
            counts = true;
            slice.before = used()?;
        }
        *count = Stamp::next_count(*count);
        // At least two frames, so that there is a time between them.
        let stamp = Stamp {
            count: *count,
            first,
            last: counts && !first && now >= until,
        };
        let sent = match order.mode {
            Mode::Counted => counted_frame(|| end.frame(stamp))?,
            Mode::Paced | Mode::Free => end.frame(stamp)?,
        };
        if counts {
            slice.frames += 1;
        }
        if first {
            began = sent.began;
        }
        if counts && slice.log.len() < slice.log.capacity() {
            slice.log.push((stamp.count, sent.began, sent.published));
        }
        if stamp.last {
            end_of_counting();
            slice.after = used()?;
            slice.time = sent.began - began;
            return Ok(slice);
        }
    }
}

fn consume(end: &mut dyn Consume, order: Order, before: &mut Option<u32>) -> Result<Consumed> {
    let mut slice = Consumed {
        log: Vec::with_capacity(room(order)),
        ..Consumed::default()
    };
    let mut counts = false;
    let mut began = 0;
    begin_to_count();
    loop {
        let seen = match order.mode {
            Mode::Counted => counted_frame(|| end.frame())?,
            Mode::Paced | Mode::Free => end.frame()?,
        };
        let [stamp, other] = seen.stamps;
        if stamp.first && !counts {
            counts = true;
            began = seen.at;
            slice.before = used()?;
        }
        slice.torn += u64::from(stamp != other);
        match before.replace(stamp.count) {
            Some(same) if same == stamp.count => slice.repeated += 1,
            Some(before) => slice.dropped += u64::from(Stamp::missed(before, stamp.count)),
            None => slice.dropped += u64::from(stamp.count.saturating_sub(1)),
        }
        if counts {
            slice.frames += 1;
        }
        if counts && slice.log.len() < slice.log.capacity() {
            slice.log.push((stamp.count, seen.taken, seen.at));
        }
        if stamp.last {
            end_of_counting();
            slice.after = used()?;
            slice.time = seen.at - began;
            return Ok(slice);
        }
    }
}
