//! One row for each variant and size: figures, and ratios to what was measured beside it.

use lucarne::Extent;
use serde::Serialize;

use crate::measure::Series;
use crate::messages::Variant;
use crate::pairs::Slice;
use crate::stats::{paired_difference, paired_ratio, quantile};

/// What one variant showed at one size. Times are in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) variant: String,
    pub(crate) size: String,
    pub(crate) paced: Paced,
    pub(crate) free: Free,
    /// Copies of each frame, on both sides.
    pub(crate) copies: u32,
    /// Allocations by Rust code for each frame, on both sides, the steady state of free running.
    pub(crate) allocations: f64,
    /// Descriptors that were opened and not closed, in all slices.
    pub(crate) descriptors: i64,
    pub(crate) frames: u64,
    pub(crate) torn: u64,
    pub(crate) repeated: u64,
    pub(crate) lost: u64,
    /// Beside `raw`, round by round.
    pub(crate) to_raw: Option<Ratios>,
    /// Beside `raw-sync-file`, which makes the same calls to Vulkan as Lucarne.
    pub(crate) to_raw_sync_file: Option<Ratios>,
    /// How much later than over `floor` a frame is in hand, at the median, round by round.
    pub(crate) over_floor: Option<f64>,
    /// How long its way into the other's hand takes beside the same variant's at 1920x1080, round by round.
    pub(crate) to_1080p: Option<f64>,
}

/// Sixty frames a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Paced {
    /// Published to in hand, the median.
    pub(crate) in_hand: f64,
    /// Published to seen.
    pub(crate) p50: f64,
    /// The same of a thousand frames a second, where there are such slices.
    pub(crate) p99: f64,
    /// Slot free to seen.
    pub(crate) with_drawing: f64,
    /// Processor time for each frame, of both sides.
    pub(crate) cpu: f64,
    /// The producer's part of it.
    pub(crate) producer_cpu: f64,
}

/// As fast as both can.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Free {
    /// Frames per second.
    pub(crate) rate: f64,
    pub(crate) cpu: f64,
    pub(crate) producer_cpu: f64,
}

/// How it compares with another row; 1 is as much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Ratios {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) with_drawing: f64,
    pub(crate) cpu_paced: f64,
    pub(crate) rate: f64,
    pub(crate) cpu_free: f64,
}

/// All rows, in the order of the series.
pub(crate) fn rows(series: &[Series]) -> Vec<Row> {
    let find = |variant, extent: Extent| {
        let mut others = series.iter();
        others.find(|other| other.variant == variant && other.extent == extent)
    };
    let row = |one: &Series| {
        let mut row = figures(one);
        row.to_raw = find(one.variant.beside(), one.extent).map(|raw| ratios(one, raw));
        row.to_raw_sync_file = find(Variant::RawSyncFile, one.extent).map(|raw| ratios(one, raw));
        row.over_floor = find(Variant::Floor, one.extent).and_then(|floor| {
            let (mine, floors) = together(&one.paced, &floor.paced, in_hand);
            paired_difference(&mine, &floors)
        });
        row.to_1080p = find(one.variant, Extent::new(1920, 1080)).and_then(|other| {
            let (mine, others) = together(&one.paced, &other.paced, in_hand);
            paired_ratio(&mine, &others)
        });
        row
    };
    series.iter().map(row).collect()
}

fn figures(one: &Series) -> Row {
    let all = || one.paced.iter().chain(&one.often).chain(&one.free);
    let count = |field: fn(&Slice) -> u64| all().map(field).sum();
    let latencies = pooled(&one.paced);
    let with_drawing = each(&one.paced, with_drawing);
    Row {
        variant: one.variant.name().to_owned(),
        size: one.extent.to_string(),
        paced: Paced {
            in_hand: median(&each(&one.paced, in_hand)),
            p50: quantile(&latencies, 0.5).unwrap_or_default(),
            p99: undisturbed_p99(tail(one)).unwrap_or_default(),
            with_drawing: median(&with_drawing),
            cpu: median(&each(&one.paced, |slice| slice.cpu)),
            producer_cpu: median(&each(&one.paced, |slice| slice.producer_cpu)),
        },
        free: Free {
            rate: median(&each(&one.free, |slice| slice.rate)),
            cpu: median(&each(&one.free, |slice| slice.cpu)),
            producer_cpu: median(&each(&one.free, |slice| slice.producer_cpu)),
        },
        copies: one.copies,
        allocations: median(&each(&one.free, |slice| slice.allocations)),
        descriptors: all().map(|slice| slice.descriptors).sum(),
        frames: count(|slice| slice.frames),
        torn: count(|slice| slice.torn),
        repeated: count(|slice| slice.repeated),
        lost: count(|slice| slice.lost),
        to_raw: None,
        to_raw_sync_file: None,
        over_floor: None,
        to_1080p: None,
    }
}

fn ratios(of: &Series, to: &Series) -> Ratios {
    let ratio = |field: fn(&Slice) -> f64, of: &[Slice], to: &[Slice]| {
        let (of, to) = together(of, to, field);
        paired_ratio(&of, &to).unwrap_or_default()
    };
    Ratios {
        p50: ratio(latency, &of.paced, &to.paced),
        p99: undisturbed_p99(tail(of))
            .zip(undisturbed_p99(tail(to)).filter(|to| *to > 0.0))
            .map_or(0.0, |(of, to)| of / to),
        with_drawing: ratio(with_drawing, &of.paced, &to.paced),
        cpu_paced: ratio(|slice| slice.cpu, &of.paced, &to.paced),
        rate: ratio(|slice| slice.rate, &of.free, &to.free),
        cpu_free: ratio(|slice| slice.cpu, &of.free, &to.free),
    }
}

/// A figure of both, of those rounds in which both were measured.
fn together(of: &[Slice], to: &[Slice], field: fn(&Slice) -> f64) -> (Vec<f64>, Vec<f64>) {
    let other = |slice: &Slice| to.iter().find(|other| other.round == slice.round);
    let both = of.iter().filter_map(|slice| Some((slice, other(slice)?)));
    both.map(|(of, to)| (field(of), field(to))).unzip()
}

/// Where the slowest frames are looked for. At large sizes there are those of sixty a second alone.
fn tail(one: &Series) -> &[Slice] {
    if one.often.is_empty() {
        &one.paced
    } else {
        &one.often
    }
}

fn each(slices: &[Slice], field: fn(&Slice) -> f64) -> Vec<f64> {
    slices.iter().map(field).collect()
}

fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5).unwrap_or_default()
}

fn latency(slice: &Slice) -> f64 {
    median(&slice.latency)
}

/// The p99 of slices that the machine left alone: a quarter of all slices have less. A stall of some milliseconds makes a hundredth
/// of a slice late, is in every second slice even of an idle virtual machine, and makes nothing quicker; what a variant does
/// itself to a hundredth of its frames is in every slice.
fn undisturbed_p99(slices: &[Slice]) -> Option<f64> {
    let each: Vec<f64> = slices
        .iter()
        .filter_map(|slice| quantile(&slice.latency, 0.99))
        .collect();
    quantile(&each, 0.25)
}

fn in_hand(slice: &Slice) -> f64 {
    median(&slice.in_hand)
}

fn with_drawing(slice: &Slice) -> f64 {
    median(&slice.with_drawing)
}

fn pooled(slices: &[Slice]) -> Vec<f64> {
    let all = slices.iter().flat_map(|slice| &slice.latency);
    all.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(variant: Variant, latencies: &[f64], rate: f64) -> Series {
        let slice = |latency: &f64| Slice {
            in_hand: vec![*latency; 3],
            latency: vec![*latency; 3],
            with_drawing: vec![*latency + 10.0; 3],
            rate,
            cpu: 2.0 * *latency,
            frames: 3,
            descriptors: 1,
            ..Slice::default()
        };
        let mut slices: Vec<Slice> = latencies.iter().map(slice).collect();
        for (round, slice) in (1..).zip(&mut slices) {
            slice.round = round;
        }
        Series {
            variant,
            extent: Extent::new(640, 480),
            copies: 0,
            paced: slices.clone(),
            often: Vec::new(),
            free: slices,
        }
    }

    #[test]
    fn rows_compare_round_by_round() {
        let rows = rows(&[
            series(Variant::Floor, &[5.0, 50.0], 9.0),
            series(Variant::Raw, &[10.0, 100.0], 4.0),
            series(Variant::Lucarne, &[11.0, 110.0], 2.0),
        ]);
        let row = &rows[2];
        let ratios = row.to_raw.expect("raw is there");
        assert!((ratios.p50 - 1.1).abs() < 1e-9, "{ratios:?}");
        assert!((ratios.cpu_free - 1.1).abs() < 1e-9, "{ratios:?}");
        assert!((ratios.rate - 0.5).abs() < 1e-9, "{ratios:?}");
        // 6 and 60 more than the floor.
        assert_eq!(row.over_floor, Some(33.0));
        assert_eq!((row.frames, row.descriptors), (12, 4));
        assert_eq!(rows[1].to_raw.map(|ratios| ratios.p50), Some(1.0));
    }

    #[test]
    fn only_rounds_with_both_are_compared() {
        let raw = series(Variant::Raw, &[10.0, 100.0, 1000.0], 4.0);
        let mut shm = series(Variant::Shm, &[30.0, 3000.0], 4.0);
        shm.paced[1].round = 3;
        let ratios = rows(&[raw, shm])[1].to_raw.expect("raw is there");
        assert!((ratios.p50 - 3.0).abs() < 1e-9, "{ratios:?}");
    }

    #[test]
    fn a_stall_of_the_machine_is_in_no_p99_and_slow_frames_of_a_variant_are() {
        let series = |variant, latencies: &dyn Fn(u32, usize) -> f64| {
            let mut one = series(variant, &[10.0; 9], 1.0);
            let slice = |round| Slice {
                round,
                latency: (0..400).map(|frame| latencies(round, frame)).collect(),
                ..Slice::default()
            };
            one.often = (1..=9).map(slice).collect();
            one
        };
        let raw = series(Variant::Raw, &|_, _| 10.0);
        let stalled = series(Variant::RawAgain, &|round, frame| {
            if round % 3 != 0 && frame < 20 {
                9000.0
            } else {
                10.0
            }
        });
        let slow = series(Variant::Lucarne, &|_, frame| {
            if frame % 50 == 0 { 90.0 } else { 10.0 }
        });
        let rows = rows(&[raw, stalled, slow]);
        let p99 = |row: &Row| (row.paced.p99, row.to_raw.expect("raw is there").p99);
        assert_eq!(p99(&rows[1]), (10.0, 1.0));
        assert_eq!(p99(&rows[2]), (90.0, 9.0));
    }
}
