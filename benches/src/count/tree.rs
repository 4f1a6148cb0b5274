//! Who calls whom in a hand-off, down to the drivers' doors.

use serde::Serialize;

use super::COUNTED;
use super::callgrind::{Function, Profile};
use super::split::{Origin, is_left_out};

/// Less than so much of the whole is not shown.
const SMALLEST: f64 = 0.005;
const DEEPEST: usize = 9;

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) depth: usize,
    pub(crate) name: String,
    /// Whether this is a driver's or the C library's, whose inside is not shown.
    pub(crate) outside: bool,
    pub(crate) calls: f64,
    /// Instructions for each frame, with everything that is called from there.
    pub(crate) instructions: f64,
}

/// The calls below what is counted. A function that several others call is shown below each of them, with the mean of its
/// insides.
pub(super) fn lines(profile: &Profile, frames: u64) -> Vec<Line> {
    let root = |function: &Function| function.name.contains(COUNTED);
    let mut walk = Walk {
        profile,
        frames: frames as f64,
        least: 0.0,
        lines: Vec::new(),
    };
    let Some(root) = profile.functions.iter().position(root) else {
        return Vec::new();
    };
    let below = profile.arcs.iter().filter(|arc| arc.from == root);
    let all: u64 = below.map(|arc| arc.cost.instructions).sum();
    walk.least = all as f64 / walk.frames * SMALLEST;
    walk.below(root, 0, 1.0);
    walk.lines
}

struct Walk<'a> {
    profile: &'a Profile,
    frames: f64,
    least: f64,
    lines: Vec<Line>,
}

impl Walk<'_> {
    fn below(&mut self, from: usize, depth: usize, share: f64) {
        let profile = self.profile;
        let mut arcs: Vec<_> = profile.arcs.iter().filter(|arc| arc.from == from).collect();
        arcs.sort_by_key(|arc| std::cmp::Reverse(arc.cost.instructions));
        for arc in arcs {
            let instructions = arc.cost.instructions as f64 / self.frames * share;
            if instructions < self.least || depth > DEEPEST {
                continue;
            }
            let to = &profile.functions[arc.to];
            if is_left_out(to) {
                continue;
            }
            let outside = Origin::of(to) != Origin::Program;
            let object = if outside {
                format!(" [{}]", to.object)
            } else {
                String::new()
            };
            self.lines.push(Line {
                depth,
                name: format!("{}{object}", to.name),
                outside,
                calls: arc.calls as f64 / self.frames * share,
                instructions,
            });
            if !outside {
                let callers = profile.arcs.iter().filter(|other| other.to == arc.to);
                let all: u64 = callers.map(|other| other.cost.instructions).sum();
                let part = arc.cost.instructions as f64 / all.max(1) as f64;
                self.below(arc.to, depth + 1, share * part);
            }
        }
    }
}
