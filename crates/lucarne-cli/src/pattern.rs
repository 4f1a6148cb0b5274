//! Test patterns: what a producer draws that has nothing else to show.

use clap::ValueEnum;
use lucarne::Extent;

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pattern {
    /// Red to the right, green downwards, blue with time.
    Gradient,
    /// Eight bars of colour, and a white line that moves.
    Bars,
    /// A hand that goes round once a second.
    Clock,
    /// Another colour for each pixel of each frame.
    Noise,
    /// The frame's number in 64 columns, black for 0 and white for 1, the highest bit first.
    Stamp,
}

/// One frame of a pattern.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawing {
    pattern: Pattern,
    extent: Extent,
    number: u64,
    /// From 0 to 1 in four seconds.
    phase: f64,
    /// Sine and cosine of the clock's hand.
    hand: (f64, f64),
}

impl Drawing {
    /// `seconds` is the stream's time, `number` the frame's.
    pub(crate) fn new(pattern: Pattern, extent: Extent, seconds: f64, number: u64) -> Self {
        let angle = seconds.fract() * std::f64::consts::TAU;
        Self {
            pattern,
            extent,
            number,
            phase: (seconds * 0.25).fract(),
            hand: angle.sin_cos(),
        }
    }

    /// Red, green and blue of one pixel, from 0 to 1.
    pub(crate) fn colour(&self, at: [u32; 2]) -> [f64; 3] {
        let extent = self.extent;
        let [x, y] = [
            f64::from(at[0]) / f64::from(extent.width),
            f64::from(at[1]) / f64::from(extent.height),
        ];
        match self.pattern {
            Pattern::Gradient => [x, y, self.phase],
            Pattern::Bars => self.bars(x),
            Pattern::Clock => self.clock(at),
            Pattern::Noise => noise(at, self.number),
            Pattern::Stamp => {
                let column = at[0] * 64 / extent.width;
                let bit = self.number >> (63 - column.min(63)) & 1;
                if bit == 1 { [1.0; 3] } else { [0.0; 3] }
            }
        }
    }

    /// White, yellow, cyan, green, magenta, red, blue, black: from the brightest to the darkest.
    fn bars(&self, x: f64) -> [f64; 3] {
        if (x - self.phase).abs() < 1.0 / f64::from(self.extent.width) {
            return [1.0; 3];
        }
        const BARS: [[f64; 3]; 8] = [
            [1.0, 1.0, 1.0],
            [1.0, 1.0, 0.0],
            [0.0, 1.0, 1.0],
            [0.0, 1.0, 0.0],
            [1.0, 0.0, 1.0],
            [1.0, 0.0, 0.0],
            [0.0, 0.0, 1.0],
            [0.0, 0.0, 0.0],
        ];
        let bar = BARS
            .iter()
            .zip(1..)
            .find(|(_, next)| x < f64::from(*next) / 8.0);
        bar.map_or([0.0; 3], |(bar, _)| bar.map(|value| value * 0.75))
    }

    /// A disc with a hand, which points up when a second begins and turns to the right.
    fn clock(&self, at: [u32; 2]) -> [f64; 3] {
        let extent = self.extent;
        let radius = f64::from(extent.width.min(extent.height)) * 0.45;
        let x = f64::from(at[0]) + 0.5 - f64::from(extent.width) / 2.0;
        let y = f64::from(at[1]) + 0.5 - f64::from(extent.height) / 2.0;
        if x.hypot(y) > radius {
            return [0.1, 0.1, 0.15];
        }
        let (sine, cosine) = self.hand;
        // Along the hand, and across it.
        let (along, across) = (x * sine - y * cosine, x * cosine + y * sine);
        let is_hand = along > 0.0 && along < radius * 0.9 && across.abs() < radius * 0.03;
        if is_hand { [0.9, 0.2, 0.1] } else { [0.95; 3] }
    }
}

/// SplitMix64 of place and number: the same for everybody who asks.
fn noise(at: [u32; 2], number: u64) -> [f64; 3] {
    let seed = u64::from(at[0]) << 32 | u64::from(at[1]);
    let mut state = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^= state >> 31;
    let [red, green, blue, ..] = state.to_le_bytes();
    [red, green, blue].map(|byte| f64::from(byte) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Extent = Extent::new(128, 64);

    #[test]
    fn a_stamp_is_the_frames_number() {
        let drawing = Drawing::new(Pattern::Stamp, EXTENT, 0.0, 5);
        let column = |bit: u32| drawing.colour([bit * 2, 0])[0];
        assert_eq!([61, 62, 63].map(column), [1.0, 0.0, 1.0]);
        assert!((0..61).all(|bit| column(bit) == 0.0));
    }

    #[test]
    fn patterns_move() {
        let frame = |pattern, seconds, number| {
            let pixels = (0..64).flat_map(|y| (0..128).map(move |x| [x, y]));
            pixels
                .map(|at| Drawing::new(pattern, EXTENT, seconds, number).colour(at))
                .collect::<Vec<_>>()
        };
        for pattern in Pattern::value_variants() {
            assert_ne!(
                frame(*pattern, 0.2, 1),
                frame(*pattern, 0.4, 2),
                "{pattern:?}"
            );
            assert!(
                frame(*pattern, 0.2, 1)
                    .iter()
                    .flatten()
                    .all(|value| (0.0..=1.0).contains(value))
            );
        }
    }
}
