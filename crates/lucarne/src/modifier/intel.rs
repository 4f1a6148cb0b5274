//! Intel: one number for each layout.

use super::fields::Fields;

/// A layout: its number, its name, and the memory planes it adds.
struct Layout {
    number: u64,
    name: &'static str,
    auxiliary_planes: u8,
}

const fn layout(number: u64, name: &'static str, auxiliary_planes: u8) -> Layout {
    Layout {
        number,
        name,
        auxiliary_planes,
    }
}

/// "RC" is render compression, "MC" media compression; both keep their state in a colour control surface
/// (CCS). Where CCS adds no plane, it lies in memory that the kernel sets aside ("flat CCS").
const LAYOUTS: &[Layout] = &[
    layout(1, "X tiled", 0),
    layout(2, "Y tiled", 0),
    layout(3, "Yf tiled", 0),
    layout(4, "Y tiled, CCS", 1),
    layout(5, "Yf tiled, CCS", 1),
    layout(6, "Y tiled, gen 12 RC CCS", 1),
    layout(7, "Y tiled, gen 12 MC CCS", 1),
    layout(8, "Y tiled, gen 12 RC CCS, clear colour", 2),
    layout(9, "tile 4", 0),
    layout(10, "tile 4, DG2 RC flat CCS", 0),
    layout(11, "tile 4, DG2 MC flat CCS", 0),
    layout(12, "tile 4, DG2 RC flat CCS, clear colour", 1),
    layout(13, "tile 4, Meteor Lake RC CCS", 1),
    layout(14, "tile 4, Meteor Lake MC CCS", 1),
    layout(15, "tile 4, Meteor Lake RC CCS, clear colour", 2),
    layout(16, "tile 4, Lunar Lake flat CCS", 0),
    layout(17, "tile 4, Battlemage flat CCS", 0),
];

const fn find(number: u64) -> Option<&'static Layout> {
    let mut index = 0;
    while index < LAYOUTS.len() {
        if LAYOUTS[index].number == number {
            return Some(&LAYOUTS[index]);
        }
        index += 1;
    }
    None
}

pub(super) fn describe(fields: &mut Fields) {
    let number = fields.take(0, 56);
    match find(number) {
        Some(layout) => fields.say(layout.name),
        None => fields.say(format_args!("unknown layout {number:#x}")),
    }
}

pub(super) const fn auxiliary_planes(value: u64) -> Option<u8> {
    match find(value) {
        Some(layout) => Some(layout.auxiliary_planes),
        None => None,
    }
}
