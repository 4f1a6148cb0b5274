//! Drivers that hang: whom it is known of, and when there is no more time for them.

use std::time::{Duration, Instant};

use super::trials::{Pair, Place};

/// The pairs whose trials hung.
#[derive(Debug, Default)]
pub(super) struct Hangs {
    pairs: Vec<Pair>,
    /// When the first of them was given up.
    since: Option<Instant>,
}

impl Hangs {
    pub(super) fn note(&mut self, pair: Pair) {
        self.since.get_or_insert_with(Instant::now);
        self.pairs.push(pair);
    }

    /// Why a pair is not tried any more, as each hang costs as long as a driver may take; nothing where it is. Trials go on for
    /// `grace` after the first hang.
    pub(super) fn forbid(&self, pair: Pair, grace: Duration) -> Option<String> {
        let known = [pair.from, pair.to];
        if let Some(place) = known.into_iter().find(|place| self.blame(*place)) {
            return Some(format!("not tried: {place} hung before"));
        }
        let over = self.since.is_some_and(|since| since.elapsed() >= grace);
        over.then(|| {
            format!(
                "not tried: other trials hung, and {} s after the first of them no more are begun",
                grace.as_secs()
            )
        })
    }

    /// Whether a device hung by itself, or with two others: of a pair that hung either may be to blame.
    fn blame(&self, place: Place) -> bool {
        if self.hung_alone(place) {
            return true;
        }
        let mut others: Vec<Place> = Vec::new();
        for pair in &self.pairs {
            let other = match *pair {
                Pair { from, to } if from == place => to,
                Pair { from, to } if to == place => from,
                _ => continue,
            };
            if !others.contains(&other) && !self.hung_alone(other) {
                others.push(other);
            }
        }
        others.len() > 1
    }

    fn hung_alone(&self, place: Place) -> bool {
        let alone = |pair: &Pair| pair.from == place && pair.to == place;
        self.pairs.iter().any(alone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::Api;

    const LONG: Duration = Duration::from_secs(3600);

    fn vulkan(number: usize) -> Place {
        Place {
            api: Api::Vulkan,
            number,
        }
    }

    fn pair(from: usize, to: usize) -> Pair {
        Pair {
            from: vulkan(from),
            to: vulkan(to),
        }
    }

    fn hung(pairs: &[(usize, usize)]) -> Hangs {
        let mut hangs = Hangs::default();
        for (from, to) in pairs {
            hangs.note(pair(*from, *to));
        }
        hangs
    }

    fn is_forbidden(hangs: &Hangs, from: usize, to: usize) -> bool {
        hangs.forbid(pair(from, to), LONG).is_some()
    }

    #[test]
    fn who_hung_alone_is_to_blame_and_its_partners_are_not() {
        let hangs = hung(&[(0, 0), (0, 1), (2, 0), (0, 3)]);
        assert!(is_forbidden(&hangs, 0, 4) && is_forbidden(&hangs, 4, 0));
        for innocent in [1, 2, 3] {
            assert!(!is_forbidden(&hangs, innocent, innocent), "{innocent}");
        }
        let reason = hangs.forbid(pair(1, 0), LONG).expect("forbidden");
        assert_eq!(reason, "not tried: vulkan:0 hung before");
    }

    #[test]
    fn who_hung_with_two_others_is_to_blame() {
        let hangs = hung(&[(0, 1), (1, 0)]);
        assert!(!is_forbidden(&hangs, 0, 2) && !is_forbidden(&hangs, 2, 1));
        let hangs = hung(&[(0, 1), (2, 1)]);
        assert!(is_forbidden(&hangs, 3, 1));
        assert!(!is_forbidden(&hangs, 0, 2));
    }

    #[test]
    fn after_a_while_nothing_is_begun() {
        let none = Hangs::default();
        assert_eq!(none.forbid(pair(0, 1), Duration::ZERO), None);
        let hangs = hung(&[(0, 0)]);
        let reason = hangs.forbid(pair(1, 2), Duration::ZERO).expect("over");
        assert!(reason.contains("other trials hung"), "{reason}");
        assert_eq!(hangs.forbid(pair(1, 2), LONG), None);
    }
}
