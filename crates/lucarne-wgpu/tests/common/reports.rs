//! What Vulkan's validation layer reports on wgpu's instances: wgpu passes it on to the crate `log`.

use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use lucarne_conformance::validation;
use lucarne_wgpu::lucarne::vulkan::Adapter;

static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collector;

impl Log for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_hal::vulkan")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        // "VALIDATION [VUID-… (0x…)]", and a line for each object: those have no bracket.
        let is_report = text.starts_with("VALIDATION") || text.starts_with("PERFORMANCE");
        if record.level() == Level::Error && is_report {
            let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
            reports.push(text);
        }
    }

    fn flush(&self) {}
}

/// Begins to collect; once for each process.
pub(crate) fn collect() {
    static COLLECTOR: Collector = Collector;
    if log::set_logger(&COLLECTOR).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// A report that a semaphore is signalled again that nobody has waited for. Its signal has left as a sync_file, which resets it
/// as a wait does (Vulkan, "Importing Semaphore Payloads" and "Exporting": copy transference), and its submission has finished, as
/// wgpu has seen by its timeline's value. The layer (1.3.239) counts neither; where the CPU waits, as in
/// tests/tests/barriers.rs, it is content with the same calls.
fn overlooks_an_export(report: &str) -> bool {
    report.contains("QueueForwardProgress") && report.contains("pSignalSemaphores[0] is signaling")
}

/// A report that a shader's source language is none: SPIR-V has had a number for WGSL (10) for longer than this layer knows.
fn knows_no_wgsl(report: &str) -> bool {
    report.contains("SPIR-V module not valid: Invalid source language operand: 10")
}

/// The reports so far, less those that are the layer's own mistake; they are taken.
pub(crate) fn taken(adapter: &Adapter) -> Vec<String> {
    let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = std::mem::take(&mut *reports);
    taken.retain(|one| !validation::is_mistaken(one, adapter));
    taken.retain(|one| !overlooks_an_export(one) && !knows_no_wgsl(one));
    taken.dedup();
    taken
}
