//! Which processes hold a kernel object.

use std::fmt;
use std::fs;

use serde::Serialize;

/// Which kernel object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// A process that has descriptors of the object.
#[derive(Debug, Serialize)]
pub(crate) struct Holder {
    pid: u32,
    process: String,
    descriptors: Vec<u32>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.descriptors.iter().map(u32::to_string).collect();
        let word = if numbers.len() == 1 {
            "descriptor"
        } else {
            "descriptors"
        };
        write!(
            f,
            "process {} ({}), {word} {}",
            self.pid,
            self.process,
            numbers.join(", ")
        )
    }
}

/// The name of a process's program.
pub(super) fn command(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.map_or_else(|_| "?".to_owned(), |name| name.trim_end().to_owned())
}

/// Everybody who has a descriptor of this object, and how many processes may not be asked. Mappings without a descriptor are
/// not seen. `name` is the kernel's name for it: others are not even asked for their identity.
pub(super) fn of(identity: Identity, name: &str) -> (Vec<Holder>, usize) {
    let mut holders = Vec::new();
    let mut closed = 0;
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            closed += 1;
            continue;
        };
        let numbers = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut descriptors: Vec<u32> = numbers
            .filter(|number| is_it(pid, *number, identity, name))
            .collect();
        if !descriptors.is_empty() {
            descriptors.sort_unstable();
            holders.push(Holder {
                pid,
                process: command(pid),
                descriptors,
            });
        }
    }
    holders.sort_by_key(|holder| holder.pid);
    (holders, closed)
}

fn is_it(pid: u32, number: u32, identity: Identity, name: &str) -> bool {
    let path = format!("/proc/{pid}/fd/{number}");
    fs::read_link(&path).is_ok_and(|link| link.to_string_lossy() == name)
        && rustix::fs::stat(path).is_ok_and(|stat| {
            Identity {
                device: stat.st_dev,
                inode: stat.st_ino,
            } == identity
        })
}
