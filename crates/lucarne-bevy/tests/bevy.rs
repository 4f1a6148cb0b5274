//! Bevy without a window at one end of a stream, and something else at the other: the same pixels on both sides.

#[path = "bevy/export.rs"]
mod export;
#[path = "bevy/game.rs"]
mod game;
#[path = "bevy/import.rs"]
mod import;
#[path = "bevy/refusals.rs"]
mod refusals;
#[path = "../../lucarne-wgpu/tests/common/reports.rs"]
mod reports;
#[path = "bevy/two.rs"]
mod two;
