//! Descriptors that a running stream needs: newcomers get none of them.

use rustix::process::{Resource, getrlimit};

/// Kept free where the limit is high: fences under way, and what a driver opens for a moment.
const RESERVE: u64 = 32;
/// The part of a low limit that is kept free instead.
const PART: u64 = 8;

/// How many descriptors newcomers may use. None where that cannot be found out for want of one.
pub(super) fn room() -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return usize::MAX;
    };
    let open = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries.count() as u64,
        // Without /proc nothing is known; what is opened too much is an error then, as it would be anyway.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return usize::MAX,
        Err(_) => return 0,
    };
    usize::try_from(left(limit, open)).unwrap_or(usize::MAX)
}

fn left(limit: u64, open: u64) -> u64 {
    let reserve = RESERVE.min(limit / PART);
    limit.saturating_sub(open).saturating_sub(reserve)
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn a_low_limit_keeps_a_part_and_a_high_one_a_number() {
        assert_eq!(left(64, 16), 40);
        assert_eq!(left(64, 56), 0);
        assert_eq!(left(1024, 92), 900);
        assert_eq!(left(8, 100), 0);
    }
}
