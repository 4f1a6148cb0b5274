//! Whose instructions they are: the hand-off's own, or a driver's.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::callgrind::{Cost, Function, Profile};
use super::{COUNTED, LEFT_OUT, tree};
use crate::Result;

/// What one side of a hand-off costs, for each frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Side {
    /// Instructions of the hand-off's own code, with what it calls of Rust's library and of libc.
    pub(crate) own: f64,
    /// Its system calls, without reading the clock (which is none outside of callgrind).
    pub(crate) system_calls: f64,
    /// How often it reads the clock.
    pub(crate) clock_reads: f64,
    /// Instructions of drivers, in the calls that the hand-off makes on its own thread.
    pub(crate) driver: f64,
    /// System calls of drivers in there.
    pub(crate) driver_system_calls: f64,
    /// The own instructions by source file, most first.
    pub(crate) files: Vec<(String, f64)>,
    /// The same by function.
    pub(crate) functions: Vec<(String, f64)>,
    /// Who calls whom.
    pub(crate) tree: Vec<tree::Line>,
}

/// How the names of the files begin that libc and the dynamic linker are in.
const SYSTEM: [&str; 6] = [
    "libc.so",
    "libc-",
    "libm.",
    "libgcc",
    "ld-linux",
    "libpthread",
];

/// Where a function comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This program: Lucarne or the hand-written loop, and Rust's library in them.
    Program,
    /// libc and the dynamic linker: belongs to whoever calls.
    System,
    /// All else, with what drivers compile themselves.
    Driver,
}

impl Origin {
    pub(super) fn of(function: &Function) -> Self {
        let object = function.object.as_str();
        if object.starts_with("lucarne-bench") {
            Self::Program
        } else if SYSTEM.iter().any(|name| object.starts_with(name)) {
            Self::System
        } else {
            Self::Driver
        }
    }
}

/// Callgrind hides the kernel's page of clocks, so that reading them becomes a system call.
fn reads_clock(function: &Function) -> bool {
    function.name.contains("clock_gettime")
}

impl Side {
    /// Out of a run of so many frames.
    pub(super) fn new(profile: &Profile, frames: u64) -> Result<Self> {
        let (mut own, mut driver) = (Cost::default(), Cost::default());
        let mut clocks = 0;
        let (mut files, mut functions) = (BTreeMap::new(), BTreeMap::new());
        let counted = counted(profile);
        for index in &counted {
            let function = &profile.functions[*index];
            own += function.own;
            *functions.entry(function.name.clone()).or_default() += function.own.instructions;
            if reads_clock(function) {
                clocks += function.own.system_calls;
            }
            for (file, instructions) in &function.files {
                *files.entry(tidy(file)).or_default() += *instructions;
            }
        }
        for arc in &profile.arcs {
            if !counted.contains(&arc.from) {
                continue;
            }
            let to = &profile.functions[arc.to];
            match Origin::of(to) {
                Origin::Program => {}
                Origin::System => {
                    own += arc.cost;
                    *files.entry(to.name.clone()).or_default() += arc.cost.instructions;
                    *functions.entry(to.name.clone()).or_default() += arc.cost.instructions;
                    if reads_clock(to) {
                        clocks += arc.cost.system_calls;
                    }
                }
                Origin::Driver => driver += arc.cost,
            }
        }
        if frames == 0 || own.instructions == 0 {
            return Err("callgrind counted nothing".into());
        }
        let each = |count: u64| count as f64 / frames as f64;
        let most_first = |of: BTreeMap<String, u64>| {
            let mut of: Vec<_> = of.into_iter().map(|(name, n)| (name, each(n))).collect();
            of.retain(|(_, instructions)| *instructions > 0.0);
            of.sort_by(|a, b| b.1.total_cmp(&a.1));
            of
        };
        Ok(Self {
            own: each(own.instructions),
            system_calls: each(own.system_calls.saturating_sub(clocks)),
            clock_reads: each(clocks),
            driver: each(driver.instructions),
            driver_system_calls: each(driver.system_calls),
            files: most_first(files),
            functions: most_first(functions),
            tree: tree::lines(profile, frames),
        })
    }
}

/// The program's functions below what is counted, without what is left out.
fn counted(profile: &Profile) -> BTreeSet<usize> {
    let all = profile.functions.iter().enumerate();
    let roots = all.filter(|(_, function)| function.name.contains(COUNTED));
    let mut next: Vec<usize> = roots.map(|(index, _)| index).collect();
    let mut found = BTreeSet::new();
    while let Some(index) = next.pop() {
        let function = &profile.functions[index];
        if Origin::of(function) == Origin::Program && !is_left_out(function) && found.insert(index)
        {
            let arcs = profile.arcs.iter().filter(|arc| arc.from == index);
            next.extend(arcs.map(|arc| arc.to));
        }
    }
    found
}

pub(super) fn is_left_out(function: &Function) -> bool {
    LEFT_OUT.iter().any(|name| function.name.contains(name))
}

/// A source file without the folders that differ from machine to machine.
fn tidy(file: &str) -> String {
    for (mark, keep) in [("/registry/src/", 1), ("/library/", 0)] {
        if let Some((_, rest)) = file.split_once(mark) {
            let rest = rest.splitn(keep + 1, '/').last();
            return rest.unwrap_or_default().to_owned();
        }
    }
    let mine = file.find("crates/").or_else(|| file.find("benches/"));
    mine.map_or(file, |at| &file[at..]).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two frames: a turn, which draws, calls a driver, libc and its own queue, and reads the clock.
    const DUMP: &str = "\
events: Ir sysCount sysTime
ob=(1) /somewhere/lucarne-bench
fl=(1) /somewhere/benches/src/roles.rs
fn=(1) lucarne_bench::roles::counted_frame
10 4
cfi=(2) /somewhere/crates/lucarne/src/turn.rs
cfn=(2) lucarne::turn
calls=2 5
10 1000 5 90
fl=(2)
fn=(2)
5 100
fi=(3) /rustc/abc/library/core/src/option.rs
+1 40
fe=(2)
cfn=(3) lucarne_bench::vk::Marks::record
calls=2 1
* 500
cob=(2) /usr/lib/libvulkan_lvp.so
cfn=(4) 0x1234
calls=2 0
7 300 2
cob=(3) /usr/lib/libc.so.6
cfn=(5) memcpy
calls=4 0
7 20
cob=(3)
cfn=(6) clock_gettime@@GLIBC_2.17
calls=2 0
7 10 2
fn=(3)
1 500

fn=(7) lucarne_bench::never_called_in_a_frame
1 9000 7
";

    #[test]
    fn what_is_drawn_and_what_drivers_do_is_not_the_hand_offs_own() {
        let side = Side::new(&Profile::parse(DUMP), 2).expect("it counts something");
        // (4 + 140 + 20 + 10) / 2
        assert_eq!((side.own, side.driver), (87.0, 150.0));
        assert_eq!((side.clock_reads, side.system_calls), (1.0, 0.0));
        assert_eq!(side.driver_system_calls, 1.0);
        let file = |name: &str| side.files.iter().find(|(file, _)| file == name);
        let inlined = file("core/src/option.rs").expect("it was inlined");
        assert_eq!(inlined.1, 20.0);
        assert!(
            file("crates/lucarne/src/turn.rs").is_some(),
            "{:?}",
            side.files
        );
        let names: Vec<&str> = side.tree.iter().map(|line| line.name.as_str()).collect();
        let driver = "0x1234 [libvulkan_lvp.so]";
        assert_eq!(
            names[..2],
            ["lucarne::turn", driver],
            "what draws is not shown"
        );
    }

    #[test]
    fn a_run_without_a_frame_is_an_error() {
        assert!(Side::new(&Profile::parse("events: Ir\n"), 0).is_err());
    }
}
