//! Arm: lossless (AFBC) and fixed-rate (AFRC) compression, and plain tiles.

use super::fields::Fields;

/// The upper 4 of the 56 bits say which of these it is.
const TYPE: u32 = 52;
const AFBC: u64 = 0;
const MISC: u64 = 1;
const AFRC: u64 = 2;

const SUPERBLOCKS: &[(u64, &str)] = &[
    (1, "AFBC, superblocks 16x16"),
    (2, "AFBC, superblocks 32x8"),
    (3, "AFBC, superblocks 64x4"),
    (4, "AFBC, superblocks 32x8 (luma) and 64x4 (chroma)"),
];

const AFBC_FLAGS: &[(u32, &str)] = &[
    (4, "YTR (colour transform)"),
    (5, "SPLIT"),
    (6, "SPARSE"),
    (7, "CBR (copy-block restrict)"),
    (8, "TILED"),
    (9, "SC (solid colour)"),
    (10, "DB (double buffer)"),
    (11, "BCH (content hints)"),
    (12, "USM (uncompressed storage)"),
];

pub(super) fn describe(fields: &mut Fields) {
    match fields.take(TYPE, 4) {
        AFBC => {
            fields.choice(0, 4, SUPERBLOCKS, "AFBC superblock size");
            for (bit, name) in AFBC_FLAGS {
                fields.flag(*bit, name);
            }
        }
        MISC => match fields.take(0, 52) {
            1 => fields.say("16x16 block U-interleaved"),
            2 => fields.say("64k interleaved"),
            other => fields.say(format_args!("unknown layout {other:#x}")),
        },
        AFRC => afrc(fields),
        other => fields.say(format_args!("unknown category {other:#x}")),
    }
}

fn afrc(fields: &mut Fields) {
    let scan = fields.take(8, 1) == 1;
    fields.say(if scan {
        "AFRC, scanline layout"
    } else {
        "AFRC, rotated layout"
    });
    for (shift, place) in [(0, "first plane"), (4, "other planes")] {
        match fields.take(shift, 4) {
            0 => {}
            1 => fields.say(format_args!("16-byte units in the {place}")),
            2 => fields.say(format_args!("24-byte units in the {place}")),
            3 => fields.say(format_args!("32-byte units in the {place}")),
            other => fields.say(format_args!("unknown unit size {other} in the {place}")),
        }
    }
}

/// Headers and bodies share a plane in both compressions.
pub(super) const fn auxiliary_planes(value: u64) -> Option<u8> {
    let mode = value & ((1 << TYPE) - 1);
    match value >> TYPE {
        AFBC if mode < 1 << 13 && matches!(mode & 0xf, 1..=4) => Some(0),
        AFRC if mode < 1 << 9
            && matches!(mode & 0xf, 1..=3)
            && matches!(mode >> 4 & 0xf, 0..=3) =>
        {
            Some(0)
        }
        MISC if matches!(mode, 1 | 2) => Some(0),
        _ => None,
    }
}
