//! The vendors with few layouts.

use super::fields::Fields;

pub(super) fn samsung(fields: &mut Fields) {
    fields.choice(0, 56, &[(1, "64x32 tiles"), (2, "16x16 tiles")], "layout");
}

pub(super) fn qcom(fields: &mut Fields) {
    fields.choice(
        0,
        56,
        &[(1, "compressed (UBWC)"), (2, "tiled 2"), (3, "tiled 3")],
        "layout",
    );
}

pub(super) fn allwinner(fields: &mut Fields) {
    fields.choice(
        0,
        56,
        &[(1, "tiled, 32x32 luma and 32x64 chroma")],
        "layout",
    );
}

/// Compressed pixels are followed by their state in the same plane.
pub(super) fn apple(fields: &mut Fields) {
    fields.choice(
        0,
        56,
        &[(1, "GPU tiled"), (2, "GPU tiled, compressed")],
        "layout",
    );
}

/// Tile status ("TS") and compression ride on a plain layout.
pub(super) fn vivante(fields: &mut Fields) {
    let layouts: &[(u64, &str)] = &[
        (0, "linear"),
        (1, "4x4 tiles"),
        (2, "64x64 super tiles"),
        (3, "split 4x4 tiles"),
        (4, "split 64x64 super tiles"),
    ];
    fields.choice(0, 48, layouts, "layout");
    match fields.take(48, 4) {
        0 => {}
        1 => fields.say("tile status 64 bytes, 4 bits"),
        2 => fields.say("tile status 64 bytes, 2 bits"),
        3 => fields.say("tile status 128 bytes, 4 bits"),
        4 => fields.say("tile status 256 bytes, 4 bits"),
        other => fields.say(format_args!("unknown tile status {other}")),
    }
    match fields.take(52, 4) {
        0 => {}
        1 => fields.say("DEC400 compression"),
        other => fields.say(format_args!("unknown compression {other}")),
    }
}

/// Tile status is a buffer of its own.
pub(super) const fn vivante_auxiliary_planes(value: u64) -> Option<u8> {
    let layout = value & 0x0000_ffff_ffff_ffff;
    let (status, compression) = (value >> 48 & 0xf, value >> 52 & 0xf);
    match (layout, status, compression) {
        (1..=4, 0, 0) => Some(0),
        (0..=4, 1..=4, 0 | 1) => Some(1),
        _ => None,
    }
}

/// SAND codes carry the height of a column, 0 where it is given elsewhere.
pub(super) fn broadcom(fields: &mut Fields) {
    let columns = match fields.take(0, 8) {
        1 => return fields.say("VC4 T tiled"),
        6 => return fields.say("UIF"),
        2 => 32,
        3 => 64,
        4 => 128,
        5 => 256,
        other => return fields.say(format_args!("unknown layout {other:#x}")),
    };
    fields.say(format_args!("SAND{columns}"));
    fields.number(8, 48, "column height");
}

pub(super) fn amlogic(fields: &mut Fields) {
    fields.choice(
        0,
        8,
        &[(1, "FBC, basic layout"), (2, "FBC, scatter layout")],
        "FBC layout",
    );
    fields.flag(8, "memory saving");
}

/// MediaTek's modifiers came to `drm_fourcc.h` in Linux 6.15.
pub(super) fn mediatek(fields: &mut Fields) {
    fields.choice(0, 4, &[(0, "not tiled"), (1, "16L32S tiles")], "tiling");
    fields.choice(
        8,
        4,
        &[(0, "not compressed"), (1, "compression 1")],
        "compression",
    );
    let layouts: &[(u64, &str)] = &[
        (0, "10-bit packed"),
        (1, "10-bit low bits in tiles"),
        (2, "10-bit low bits in rows"),
    ];
    fields.choice(16, 4, layouts, "10-bit layout");
}
