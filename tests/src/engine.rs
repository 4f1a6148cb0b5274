//! What runs with engines and toolkits showed: the rows of the table in docs/engines.md.

use std::path::Path;

use lucarne::negotiate::FencePath;
use lucarne::{Agreement, MemoryPath};

/// The folder that rows are written to; `cargo xtask test` names one, and `cargo xtask engines` reads it.
pub const FOLDER: &str = "LUCARNE_RECORD_ENGINES";

/// Which way the frames went, seen from the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The engine shows frames of others.
    Import,
    /// Others show what the engine draws.
    Export,
}

/// One run whose pixels were compared and found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Without its version: "wgpu".
    pub engine: String,
    /// As the engine itself tells it.
    pub version: String,
    /// Which way the frames went.
    pub direction: Direction,
    /// The path of the agreement that the run was made with.
    pub path: MemoryPath,
    /// What its turns were gated with: [`fences`] of the agreement.
    pub fences: String,
    /// Of a frame's pixels, on its way between the two ends; those of the engine's own count, what the test does to look does not.
    pub copies: u32,
    /// How many pixels were compared; none was wrong.
    pub pixels: u64,
    /// See [`driver`].
    pub driver: String,
}

/// The fences that an agreement leads to, there and back.
pub fn fences(agreement: &Agreement) -> String {
    fences_of(&agreement.acquire, &agreement.release)
}

/// The same, as a consumer of a stream is told: there, and back.
pub fn fences_of(acquire: &FencePath, release: &FencePath) -> String {
    let word = |path: &FencePath| match path {
        FencePath::SyncFile => "sync_file",
        FencePath::CpuWait(_) => "CPU wait",
    };
    match (word(acquire), word(release)) {
        (there, back) if there == back => there.to_owned(),
        (there, back) => format!("{there}, back {back}"),
    }
}

/// The driver's own words, and whether the memory was an emulated dma-buf.
pub fn driver(name: &str, emulated: bool) -> String {
    let emulated = if emulated { ", dma-bufs emulated" } else { "" };
    format!("{name}{emulated}")
}

/// Leaves a row for the table, where [`FOLDER`] asks for it.
///
/// # Panics
///
/// Where no pixel was compared, or the file cannot be written.
pub fn record(seen: &Seen) {
    assert!(seen.pixels > 0, "nothing was compared: {seen:?}");
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let direction = match seen.direction {
        Direction::Import => "import",
        Direction::Export => "export",
    };
    let row = serde_json::json!({
        "engine": seen.engine,
        "version": seen.version,
        "direction": direction,
        "path": seen.path.name(),
        "fences": seen.fences,
        "copies": seen.copies,
        "pixels": seen.pixels,
        "driver": seen.driver,
    });
    let name = format!("{}-{direction}-{}.json", seen.engine, seen.path);
    let file = Path::new(&folder).join(name.replace(['/', ' '], "-"));
    std::fs::write(&file, row.to_string())
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
