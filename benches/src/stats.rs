//! Numbers out of samples.

/// The value below which `part` of the samples lie; 0.5 is the median. `None` without samples.
pub(crate) fn quantile(samples: &[f64], part: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    // Between two samples: in proportion.
    let at = part.clamp(0.0, 1.0) * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the index of a sample, rounded down"
    )]
    let low = (at as usize).min(last);
    let high = (low + 1).min(last);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64))
}

/// The median of the ratios of samples that were taken together: one of each in every round. Whatever slows a whole round down
/// is in both, and so in no ratio.
pub(crate) fn paired_ratio(of: &[f64], to: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = of
        .iter()
        .zip(to)
        .filter(|(_, to)| **to > 0.0)
        .map(|(of, to)| of / to)
        .collect();
    quantile(&ratios, 0.5)
}

/// The median of the differences of samples that were taken together.
pub(crate) fn paired_difference(of: &[f64], to: &[f64]) -> Option<f64> {
    let differences: Vec<f64> = of.iter().zip(to).map(|(of, to)| of - to).collect();
    quantile(&differences, 0.5)
}

/// Numbers that look random and are the same for the same seed (xorshift64*): for the order of rounds.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.max(1))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(value % limit.max(1) as u64).unwrap_or_default()
    }

    /// Every order is as likely as every other (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_samples() {
        let samples = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&samples, 0.0), Some(1.0));
        assert_eq!(quantile(&samples, 0.5), Some(2.5));
        assert_eq!(quantile(&samples, 1.0), Some(4.0));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_slow_round_does_not_change_a_paired_ratio() {
        // The third round ran on a machine that was ten times slower.
        let (of, to) = ([11.0, 11.2, 110.0], [10.0, 10.0, 100.0]);
        let ratio = paired_ratio(&of, &to).expect("samples");
        assert!((ratio - 1.1).abs() < 1e-9, "{ratio}");
        assert_eq!(paired_ratio(&of, &[0.0; 3]), None);
        assert_eq!(paired_difference(&[3.0, 5.0], &[1.0, 2.0]), Some(2.5));
    }

    #[test]
    fn orders_are_complete_repeatable_and_differ() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..20).collect();
            Random::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(order(5), order(5));
        assert_ne!(order(5), order(6));
        let mut sorted = order(0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<u32>>());
    }
}
