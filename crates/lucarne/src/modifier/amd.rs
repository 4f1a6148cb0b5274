//! AMD: tile modes of GFX9 and later, and delta colour compression (DCC).

use super::fields::Fields;

/// Bit places, as `AMD_FMT_MOD_*_SHIFT` in `drm_fourcc.h`.
mod shift {
    pub(super) const TILE_VERSION: u32 = 0;
    pub(super) const TILE: u32 = 8;
    pub(super) const DCC: u32 = 13;
    pub(super) const DCC_RETILE: u32 = 14;
    pub(super) const DCC_PIPE_ALIGN: u32 = 15;
    pub(super) const DCC_INDEPENDENT_64B: u32 = 16;
    pub(super) const DCC_INDEPENDENT_128B: u32 = 17;
    pub(super) const DCC_MAX_COMPRESSED_BLOCK: u32 = 18;
    pub(super) const DCC_CONSTANT_ENCODE: u32 = 20;
    pub(super) const PIPE_XOR_BITS: u32 = 21;
    pub(super) const BANK_XOR_BITS: u32 = 24;
    pub(super) const PACKERS: u32 = 27;
    pub(super) const RB: u32 = 30;
    pub(super) const PIPE: u32 = 33;
}

/// From this bit on codes must be zero.
const RESERVED: u32 = 36;

/// Values of the tile version.
const GFX6: u64 = 0;
const GFX12: u64 = 5;

const VERSIONS: &[(u64, &str)] = &[
    (0, "GFX6-8"),
    (1, "GFX9"),
    (2, "GFX10"),
    (3, "GFX10 RB+"),
    (4, "GFX11"),
    (GFX12, "GFX12"),
];

/// Tile modes of GFX9 to GFX11.5.
const TILES: &[(u64, &str)] = &[
    (9, "64K_S"),
    (10, "64K_D"),
    (25, "64K_S_X"),
    (26, "64K_D_X"),
    (27, "64K_R_X"),
    (31, "256K_R_X"),
];
const TILES_GFX6: &[(u64, &str)] = &[(2, "1D_TILED_THIN1"), (4, "2D_TILED_THIN1")];
const TILES_GFX12: &[(u64, &str)] = &[(1, "256B_2D"), (2, "4K_2D"), (3, "64K_2D"), (4, "256K_2D")];

/// The largest block that the hardware compresses as a whole.
const BLOCKS: &[(u64, &str)] = &[
    (0, "DCC blocks up to 64B"),
    (1, "DCC blocks up to 128B"),
    (2, "DCC blocks up to 256B"),
];

pub(super) fn describe(fields: &mut Fields) {
    let version = fields.take(shift::TILE_VERSION, 8);
    fields.choice(shift::TILE_VERSION, 8, VERSIONS, "tile version");
    let tiles = match version {
        GFX6 => TILES_GFX6,
        GFX12 => TILES_GFX12,
        _ => TILES,
    };
    fields.choice(shift::TILE, 5, tiles, "tile mode");
    // The fields of the oldest cards were still being settled when this was written; they stay unnamed.
    if version != GFX6 {
        dcc(fields);
        card(fields);
    }
}

fn dcc(fields: &mut Fields) {
    if !fields.peek(shift::DCC) {
        // The bits below mean nothing without DCC, so any that is set counts as unknown.
        return;
    }
    fields.flag(shift::DCC, "DCC");
    fields.flag(shift::DCC_RETILE, "DCC retile");
    fields.flag(shift::DCC_PIPE_ALIGN, "DCC pipe-aligned");
    fields.flag(shift::DCC_INDEPENDENT_64B, "DCC independent 64B");
    fields.flag(shift::DCC_INDEPENDENT_128B, "DCC independent 128B");
    fields.choice(shift::DCC_MAX_COMPRESSED_BLOCK, 2, BLOCKS, "DCC block");
    fields.flag(shift::DCC_CONSTANT_ENCODE, "DCC constant encode");
}

/// The fields that differ between cards of one generation.
fn card(fields: &mut Fields) {
    fields.number(shift::PIPE_XOR_BITS, 3, "pipe xor bits");
    fields.number(shift::BANK_XOR_BITS, 3, "bank xor bits");
    fields.number(shift::PACKERS, 3, "packers");
    fields.number(shift::RB, 3, "RB");
    fields.number(shift::PIPE, 3, "pipes");
}

/// One plane for DCC and one more for its copy in display order. GFX12 compresses without the programs'
/// knowledge, so its DCC bits add nothing.
pub(super) const fn auxiliary_planes(value: u64) -> Option<u8> {
    let dcc = value >> shift::DCC & 1 == 1;
    let retile = value >> shift::DCC_RETILE & 1 == 1;
    match value & 0xff {
        _ if value >> RESERVED != 0 => None,
        1..GFX12 if dcc && retile => Some(2),
        1..GFX12 if dcc => Some(1),
        1..=GFX12 => Some(0),
        GFX6 if !dcc => Some(0),
        _ => None,
    }
}
