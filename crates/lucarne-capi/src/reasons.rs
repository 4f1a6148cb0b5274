//! Reasons as C reads them: one line for each thing that stands in the way.

use std::ffi::CString;

use lucarne::Requirement;
use lucarne::negotiate::{Reason, RefusedRung};

use crate::convert;
use crate::ffi::lucarne_reason;
use crate::text::c_text;

/// One reason.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) reason: lucarne_reason,
    /// What is missing, where it has a name.
    pub(crate) name: CString,
    /// The whole reason, for people.
    pub(crate) text: CString,
}

impl Line {
    /// Something that is missing, and nobody asked on which rung.
    pub(crate) fn of_missing(missing: &Requirement) -> Self {
        Self::with(lucarne_reason::default(), missing)
    }

    fn with(mut reason: lucarne_reason, missing: &Requirement) -> Self {
        let named = convert::requirement(missing);
        reason.kind = named.kind;
        reason.available = u32::from(named.available);
        Self {
            reason,
            name: c_text(named.name),
            text: c_text(missing),
        }
    }
}

/// A line for each combination that was refused, and for each thing that it lacks.
pub(crate) fn lines(refused: &[RefusedRung]) -> Vec<Line> {
    refused.iter().flat_map(of_rung).collect()
}

fn of_rung(refused: &RefusedRung) -> Vec<Line> {
    let blank = lucarne_reason {
        rung: u32::from(refused.rung.number()),
        ..lucarne_reason::default()
    };
    let Reason::Candidates(candidates) = &refused.reason else {
        return of_reason(blank, &refused.reason);
    };
    let of_candidate = |candidate: &lucarne::negotiate::Candidate| {
        let about = lucarne_reason {
            format: candidate.format.fourcc(),
            modifier: candidate.tiling.code(),
            ..blank
        };
        of_reason(about, &candidate.reason)
    };
    candidates.iter().flat_map(of_candidate).collect()
}

fn of_reason(blank: lucarne_reason, reason: &Reason) -> Vec<Line> {
    let about = lucarne_reason {
        side: convert::side(reason.side()),
        ..blank
    };
    let missing = reason.requirements();
    if missing.is_empty() {
        return vec![Line {
            reason: about,
            name: CString::default(),
            text: c_text(reason),
        }];
    }
    missing.iter().map(|one| Line::with(about, one)).collect()
}

#[cfg(test)]
mod tests {
    use lucarne::{Extent, MemoryPath, Request, Usage, cpu, negotiate};

    use super::*;
    use crate::ffi::{LUCARNE_REQUIREMENT_OTHER, LUCARNE_SIDE_PRODUCER};

    #[test]
    fn a_refusal_has_a_line_for_each_thing_that_is_missing() {
        let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open();
        let offer = device.expect("opens").offer(Usage::SAMPLE).expect("offers");
        let request = Request::new(Extent::new(64, 64)).paths(&[MemoryPath::OpaqueFd]);
        let refusal = negotiate(&offer, &offer, &request).expect_err("a CPU has none");
        let lines = lines(&refusal.rungs);
        let opaque: Vec<_> = lines.iter().filter(|line| line.reason.rung == 3).collect();
        let [line] = &opaque[..] else {
            panic!("{opaque:?}")
        };
        assert_eq!(line.reason.side, LUCARNE_SIDE_PRODUCER);
        assert_eq!(line.reason.kind, LUCARNE_REQUIREMENT_OTHER);
        assert!(line.text.to_string_lossy().contains("driver"), "{line:?}");
        assert_eq!(lines.len(), 4, "one for each rung: {lines:?}");
    }
}
