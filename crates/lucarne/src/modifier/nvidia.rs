//! NVIDIA: block-linear layouts, and Tegra's older tiles.

use super::fields::Fields;

/// Bit 4 tells block-linear codes from the rest.
const BLOCK_LINEAR: u32 = 4;

/// Bits 25:23 tell the compression.
const COMPRESSION: u32 = 23;
/// Greater ones have no meaning yet.
const MOST_COMPRESSION: u64 = 4;

/// The bits of a block-linear code that must be zero: 8:5, 11:9 and 55:28.
const RESERVED: u64 = 0x00ff_ffff_f000_0fe0;

pub(super) fn describe(fields: &mut Fields) {
    if fields.peek(BLOCK_LINEAR) {
        return block_linear(fields);
    }
    match fields.take(0, 56) {
        1 => fields.say("Tegra tiled, tiles of 16 x 16 bytes"),
        other => fields.say(format_args!("unknown layout {other:#x}")),
    }
}

/// The sector layout has grown: Linux 6.12 knows bit 22 alone, later versions add bits 26 and 27 for
/// Blackwell (GB20x), whose 8-bit and 16-bit surfaces differ from all others.
fn block_linear(fields: &mut Fields) {
    fields.take(BLOCK_LINEAR, 1);
    let height = fields.take(0, 4);
    let kind = fields.take(12, 8);
    let generation = fields.take(20, 2);
    let sector = fields.take(22, 1) | fields.take(26, 2) << 1;
    let compression = fields.take(COMPRESSION, 3);

    let gobs = 1_u32 << height;
    let plural = if gobs == 1 { "" } else { "s" };
    fields.say(format_args!(
        "block linear 2D, height {gobs} gob{plural} (h={height})"
    ));
    match kind {
        // Kept from before kinds were part of the code; drivers take it as the generic kind.
        0 => fields.say("kind 0x00 (generic, 0xfe)"),
        kind => fields.say(format_args!("kind {kind:#04x}")),
    }
    fields.say(format_args!("generation {generation}"));
    match sector {
        0 => fields.say("sector layout 0 (Tegra K1 to X2)"),
        2 => fields.say("sector layout 2 (GB20x, 8 bits per pixel)"),
        3 => fields.say("sector layout 3 (GB20x, 16 bits per pixel)"),
        sector => fields.say(format_args!("sector layout {sector}")),
    }
    match compression {
        0 => {}
        1 => fields.say("compression 1 (ROP/3D, layout 1)"),
        2 => fields.say("compression 2 (ROP/3D, layout 2)"),
        3 => fields.say("compression 3 (CDE horizontal)"),
        4 => fields.say("compression 4 (CDE vertical)"),
        other => fields.say(format_args!("unknown compression {other}")),
    }
}

/// Compression state is in memory that the driver keeps to itself.
pub(super) const fn auxiliary_planes(value: u64) -> Option<u8> {
    let block_linear = value >> BLOCK_LINEAR & 1 == 1 && value & RESERVED == 0;
    let compression = value >> COMPRESSION & 7;
    if block_linear && compression <= MOST_COMPRESSION || value == 1 {
        Some(0)
    } else {
        None
    }
}
