//! Where this meets Godot's interface and Vulkan raw.

mod device;
mod picture;
mod slot;

use godot::init::{ExtensionLibrary, InitStage, gdextension};

pub(crate) use device::{Opened, open, wait_idle};
pub(crate) use picture::Picture;
pub(crate) use slot::{Retired, Slot};

struct Extension;

// SAFETY: the entry point is this library's only one, and nothing else initialises gdext.
#[gdextension]
unsafe impl ExtensionLibrary for Extension {
    fn on_stage_deinit(stage: InitStage) {
        if stage == InitStage::Scene {
            crate::gpu::end();
        }
    }
}
