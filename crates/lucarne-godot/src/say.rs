//! Sentences for users: why frames go the way they do.

use lucarne::negotiate::RefusedRung;

/// What helps where Godot's device lacks extensions.
pub(crate) const LAYER: &str =
    "start Godot by `lucarne run -- godot …`, whose Vulkan layer enables what sharing needs";

/// Why no better rung was agreed on; empty where there is none. What holds of several rungs is said once.
pub(crate) fn refused(rungs: &[RefusedRung]) -> String {
    let mut reasons: Vec<(String, String)> = Vec::new();
    for refused in rungs {
        let (rung, reason) = (refused.rung.to_string(), refused.reason.to_string());
        match reasons.iter_mut().find(|(_, known)| *known == reason) {
            Some((rungs, _)) => *rungs = format!("{rungs}, {rung}"),
            None => reasons.push((rung, reason)),
        }
    }
    let each: Vec<String> = reasons
        .into_iter()
        .map(|(rungs, reason)| format!("{rungs}: {reason}"))
        .collect();
    each.join("\n")
}

/// Two reasons, each on a line of its own, of which either may be missing.
pub(crate) fn join(first: &str, second: &str) -> String {
    let parts = [first, second].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use lucarne::{Extent, Request, Usage, cpu, negotiate};

    use super::{join, refused};

    #[test]
    fn empty_parts_leave_no_mark() {
        assert_eq!(join("a", "b"), "a\nb");
        assert_eq!(join("a", ""), "a");
        assert_eq!(join("", ""), "");
    }

    #[test]
    fn what_holds_of_two_rungs_is_said_once() {
        let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open();
        let offer = device
            .and_then(|device| device.offer(Usage::SAMPLE))
            .unwrap();
        let agreement = negotiate(&offer, &offer, &Request::new(Extent::new(4, 4))).unwrap();
        let rungs = agreement.refused;
        assert_eq!(rungs.len(), 3, "both dma-bufs and the opaque fd: {rungs:?}");
        let said = refused(&[rungs.clone(), rungs.clone()].concat());
        assert_eq!(said.lines().count(), refused(&rungs).lines().count());
        for one in &rungs {
            assert!(said.contains(&one.rung.to_string()), "{said}");
            assert_eq!(said.matches(&one.reason.to_string()).count(), 1, "{said}");
        }
        assert_eq!(refused(&[]), "");
    }
}
