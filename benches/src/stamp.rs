//! A frame's number, as it is drawn into the frame.
//!
//! 24 bits, the red, green and blue of a corner: a count of 22 bits, and two that mark where measuring begins and ends, so
//! that both processes measure the same frames without another word between them.

/// The first frame that counts.
const FIRST: u32 = 1 << 22;
/// The last frame of a slice.
const LAST: u32 = 1 << 23;
/// The highest count.
const MOST: u32 = FIRST - 1;

/// What a corner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Counts from 1, and begins anew after four million frames.
    pub(crate) count: u32,
    pub(crate) first: bool,
    pub(crate) last: bool,
}

impl Stamp {
    /// The stamp after this one.
    pub(crate) fn next_count(count: u32) -> u32 {
        if count == MOST { 1 } else { count + 1 }
    }

    /// How many counts lie between two that follow each other: 0 for the next one.
    pub(crate) fn missed(before: u32, now: u32) -> u32 {
        (now + MOST - before - 1) % MOST
    }

    pub(crate) fn bits(self) -> u32 {
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        self.count | flag(self.first, FIRST) | flag(self.last, LAST)
    }

    pub(crate) fn of_bits(bits: u32) -> Self {
        Self {
            count: bits & MOST,
            first: bits & FIRST != 0,
            last: bits & LAST != 0,
        }
    }

    /// A pixel in memory: red, green, blue, alpha.
    pub(crate) fn pixel(self) -> [u8; 4] {
        let [red, green, blue, _] = self.bits().to_le_bytes();
        [red, green, blue, 255]
    }

    pub(crate) fn of_pixel([red, green, blue, _]: [u8; 4]) -> Self {
        Self::of_bits(u32::from_le_bytes([red, green, blue, 0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_its_pixel() {
        for (count, first, last) in [
            (1, false, false),
            (MOST, true, false),
            (0x12_3456 & MOST, true, true),
        ] {
            let stamp = Stamp { count, first, last };
            assert_eq!(Stamp::of_pixel(stamp.pixel()), stamp);
        }
    }

    #[test]
    fn counts_go_around_without_a_gap() {
        assert_eq!(Stamp::next_count(MOST), 1);
        assert_eq!(Stamp::missed(1, 2), 0);
        assert_eq!(Stamp::missed(MOST, 1), 0);
        assert_eq!(Stamp::missed(3, 7), 3);
    }
}
