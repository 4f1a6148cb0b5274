//! Whether the machine did anything else meanwhile. Figures of time mean little where it did.

use std::time::Instant;

use serde::Serialize;

/// Of one core: what a machine that does nothing else stays below, its kernel's own work included.
const LITTLE: f64 = 0.15;
/// In a second; a promise of the kernel to user space on every usual machine.
const TICKS: f64 = 100.0;

/// How busy others were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Calm {
    /// The load average of the minute before.
    pub(crate) load_before: f64,
    /// Cores that other programs kept busy, on average over the run.
    pub(crate) others: f64,
}

impl Calm {
    /// Whether times can be judged.
    pub(crate) fn is_calm(self) -> bool {
        self.others <= LITTLE
    }
}

/// Looks from its creation on.
#[derive(Debug)]
pub(crate) struct Watch {
    began: Instant,
    load_before: f64,
    others: f64,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().and_then(|word| word.parse().ok());
        Self {
            began: Instant::now(),
            load_before: load.unwrap_or_default(),
            others: others(),
        }
    }

    /// What others did so far; every child was waited for.
    pub(crate) fn calm(&self) -> Calm {
        let seconds = self.began.elapsed().as_secs_f64().max(0.01);
        Calm {
            load_before: self.load_before,
            others: ((others() - self.others) / TICKS / seconds).max(0.0),
        }
    }
}

/// Ticks of all cores that neither this process nor its children took.
fn others() -> f64 {
    let all = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let mine = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    busy(&all) - own(&mine)
}

/// The first line of `/proc/stat`, without what is idle or waits for disks.
fn busy(stat: &str) -> f64 {
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_ascii_whitespace().skip(1).take(8);
    let ticks = ticks.map(|word| word.parse::<f64>().unwrap_or_default());
    let waits = |at: &usize| matches!(at, 3 | 4);
    let busy = ticks.enumerate().filter(|(at, _)| !waits(at));
    busy.map(|(_, ticks)| ticks).sum()
}

/// `utime`, `stime`, `cutime` and `cstime` of `/proc/self/stat` (proc(5)), the 14th to the 17th field.
fn own(stat: &str) -> f64 {
    // A name may have spaces in it, and ends with the last bracket.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_ascii_whitespace().skip(11).take(4);
    ticks
        .map(|word| word.parse::<f64>().unwrap_or_default())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_nobodys() {
        let stat = "cpu  100 1 20 9000 700 3 4 5 0 0\ncpu0 50 0 10 4500 350 1 2 2 0 0\n";
        assert!((busy(stat) - 133.0).abs() < 1e-9);
    }

    #[test]
    fn a_name_with_brackets_hides_no_field() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 5";
        assert!((own(stat) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_busy_neighbour_is_no_calm() {
        let with = |others| Calm {
            load_before: 3.0,
            others,
        };
        assert!(with(0.05).is_calm() && !with(0.5).is_calm());
    }
}
