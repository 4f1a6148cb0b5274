//! What callgrind writes down: who ran how many instructions, and who called whom. (valgrind's manual, "Callgrind Format
//! Specification".)

use std::collections::{BTreeMap, HashMap};
use std::ops::{AddAssign, SubAssign};

/// Instructions, and calls of the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    pub(crate) system_calls: u64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.instructions += other.instructions;
        self.system_calls += other.system_calls;
    }
}

impl SubAssign for Cost {
    fn sub_assign(&mut self, other: Self) {
        self.instructions = self.instructions.saturating_sub(other.instructions);
        self.system_calls = self.system_calls.saturating_sub(other.system_calls);
    }
}

/// A function of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The file that it was loaded from, without folders; empty for code that a driver has made.
    pub(crate) object: String,
    /// What it costs itself.
    pub(crate) own: Cost,
    /// Its instructions by source file: code that was inlined has another than its function.
    pub(crate) files: BTreeMap<String, u64>,
}

/// Calls of one function by another; functions are indices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Arc {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) calls: u64,
    /// With everything that was called from there.
    pub(crate) cost: Cost,
}

/// One run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile {
    pub(crate) functions: Vec<Function>,
    pub(crate) arcs: Vec<Arc>,
}

impl Profile {
    /// Reads what was written with `--collect-systime=yes`. Lines that are not understood are headers.
    pub(crate) fn parse(text: &str) -> Self {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        let arcs = reader.arcs.into_iter();
        Self {
            functions: reader.functions,
            arcs: arcs
                .map(|((from, to), (calls, cost))| Arc {
                    from,
                    to,
                    calls,
                    cost,
                })
                .collect(),
        }
    }
}

/// Names are written once, with a number that stands for them afterwards.
#[derive(Debug, Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn name(&mut self, text: &str) -> String {
        let Some((number, name)) = text.split_once(')') else {
            return text.to_owned();
        };
        let name = name.trim();
        if name.is_empty() {
            return self.0.get(number).cloned().unwrap_or_default();
        }
        self.0.insert(number.to_owned(), name.to_owned());
        name.to_owned()
    }
}

#[derive(Debug, Default)]
struct Reader {
    objects: Names,
    files: Names,
    names: Names,
    functions: Vec<Function>,
    known: HashMap<(String, String), usize>,
    arcs: BTreeMap<(usize, usize), (u64, Cost)>,
    // Where it is.
    object: String,
    file: String,
    function: usize,
    called_object: Option<String>,
    called: usize,
    /// The next line of costs is that of so many calls.
    calls: Option<u64>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let Some((key, value)) = line.split_once('=') else {
            return self.costs(line);
        };
        match key {
            "ob" => self.object = self.objects.name(value),
            "fl" | "fi" | "fe" => self.file = self.files.name(value),
            "fn" => {
                let name = self.names.name(value);
                self.function = self.function(name, self.object.clone());
            }
            "cob" => self.called_object = Some(self.objects.name(value)),
            // The file of what is called; its name may be told here first.
            "cfl" | "cfi" => drop(self.files.name(value)),
            "cfn" => {
                let name = self.names.name(value);
                let object = self.called_object.take();
                let object = object.unwrap_or_else(|| self.object.clone());
                self.called = self.function(name, object);
            }
            "calls" => {
                let count = value.split(' ').next();
                self.calls = count.and_then(|count| count.parse().ok());
            }
            _ => {}
        }
    }

    fn function(&mut self, name: String, object: String) -> usize {
        let folder = object.rfind('/').map_or(0, |at| at + 1);
        let object = object[folder..].to_owned();
        let functions = &mut self.functions;
        let new = || {
            functions.push(Function {
                name: name.clone(),
                object: object.clone(),
                ..Function::default()
            });
            functions.len() - 1
        };
        *self
            .known
            .entry((object.clone(), name.clone()))
            .or_insert_with(new)
    }

    /// `LINE INSTRUCTIONS [SYSTEM CALLS [TIMES]]`; zeros at the end are left out.
    fn costs(&mut self, line: &str) {
        if !line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            return;
        }
        let mut numbers = line.split(' ').skip(1).map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten().unwrap_or_default();
        let cost = Cost {
            instructions: next(),
            system_calls: next(),
        };
        if let Some(calls) = self.calls.take() {
            let arc = self.arcs.entry((self.function, self.called)).or_default();
            arc.0 += calls;
            arc.1 += cost;
        } else if let Some(function) = self.functions.get_mut(self.function) {
            function.own += cost;
            *function.files.entry(self.file.clone()).or_default() += cost.instructions;
        }
    }
}
