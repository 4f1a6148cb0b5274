//! Instructions instead of time: both ends of a pair run in callgrind, a few frames long. What is counted is the hand-off, once
//! a frame, without the drawing and the looking; it comes out the same on a busy machine.

mod callgrind;
mod split;
mod tree;

use std::path::{Path, PathBuf};
use std::process::Command;

use lucarne::Extent;
use serde::Serialize;

use crate::Result;
use crate::messages::{Fault, Mode, Order, Ready, Role, Shape, Variant};
use crate::pairs::{Pair, PairPlan};
use callgrind::Profile;
pub(crate) use split::Side;

/// Functions of this program whose instructions are counted, with all that they call (`roles.rs`).
const COUNTED: &str = "roles::counted_frame";
/// Where it begins: warming up does not count.
const BEGIN: &str = "roles::begin_to_count";
/// Where it ends: going away does not count either.
const END: &str = "roles::end_of_counting";
/// Those below that do not count: drawing, looking, and the bench's own clock.
const LEFT_OUT: [&str; 3] = ["Marks::record", "gl::Context::stamps", "variants::now"];
/// Slow enough for callgrind: each side sleeps when the other one is done.
const RATE: f64 = 30.0;

/// What a hand-off costs in one variant.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Count {
    pub(crate) variant: Variant,
    pub(crate) size: String,
    #[serde(skip)]
    pub(crate) ready: [Ready; 2],
    pub(crate) producer: Side,
    /// None of those that are one process.
    pub(crate) consumer: Option<Side>,
}

/// What a pair is made for, and for how many frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountPlan {
    pub(crate) extent: Extent,
    pub(crate) cores: Option<(usize, usize)>,
    pub(crate) fault: Option<Fault>,
    pub(crate) frames: u32,
    pub(crate) shape: Shape,
}

/// Whether callgrind is here.
pub(crate) fn is_there() -> bool {
    let version = Command::new("valgrind").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// How a child is started in callgrind, which writes to `file`.
pub(crate) fn wrapped(program: &Path, file: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--collect-systime=yes"]);
    command
        .arg(format!("--toggle-collect=*{COUNTED}*"))
        .arg(format!("--zero-before=*{BEGIN}*"))
        .arg(format!("--dump-before=*{END}*"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program);
    command
}

/// Where the callgrind of one end writes.
pub(crate) fn file(folder: &Path, role: Role) -> PathBuf {
    folder.join(role.name()).with_extension("callgrind")
}

/// Counts one variant.
pub(crate) fn count(variant: Variant, plan: CountPlan) -> Result<Count> {
    let mut pair = Pair::start(PairPlan {
        variant,
        extent: plan.extent,
        cores: plan.cores,
        fault: plan.fault,
        counted: true,
        shape: plan.shape,
    })?;
    let order = |mode, frames: u32| Order {
        mode,
        warm_up: 0.0,
        seconds: f64::from(frames) / RATE,
        rate: RATE,
    };
    // Whatever is done once: caches fill, symbols are bound, every slot was used.
    pair.run(order(Mode::Counted, 8), 0)?;
    let slice = pair.run(order(Mode::Counted, plan.frames), 0)?;
    let ready = pair.ready.clone();
    let folder = pair.end()?;
    let side = |role| -> Result<Side> {
        // The first dump is of warming up, and what comes after the second is of going away.
        let dump = file(folder.path(), role).with_extension("callgrind.2");
        let text = std::fs::read_to_string(dump)?;
        Side::new(&Profile::parse(&text), slice.frames)
    };
    Ok(Count {
        variant,
        size: plan.extent.to_string(),
        ready,
        producer: side(Role::Producer)?,
        consumer: if variant.within() {
            None
        } else {
            Some(side(Role::Consumer)?)
        },
    })
}
