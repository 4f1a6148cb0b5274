//! `VK_LAYER_LUCARNE_extensions`: a Vulkan layer that adds to every `vkCreateDevice` the extensions and features that Lucarne
//! wants, as far as the driver has them, and lets one thread at a time use a queue. It changes nothing else.
//!
//! It is for engines that create their own device and have no hook to say what to enable: `lucarne run -- PROGRAM` loads it.
//! What was added can be asked for with `vkEnumerateAddedExtensionsLUCARNE`, what is enabled in all with `vkEnumerateEnabledExtensionsLUCARNE`
//! (`lucarne::vulkan::Adapter::enabled_extensions` does that). `docs/layer.md` tells how to use it.
//!
//! What Lucarne wants is the core's knowledge (`Adapter::device_extensions`, `Adapter::device_features`); here is only what a
//! layer must do. A device that cannot be created with the additions is created as the program asked, and that is said on
//! standard error, as is each other reason for adding nothing. Its threads, allocators and memory are the program's: the layer
//! keeps one entry for each instance and device until that is destroyed.

/// A function as `PFN_vkVoidFunction`, checked to be of the type that it is asked for as.
macro_rules! void {
    ($function:path as $of_type:ty) => {{
        let function: $of_type = $function;
        // SAFETY: all functions are of one size; whoever asked for it by its name casts it back (vkGetInstanceProcAddr).
        Some(unsafe { std::mem::transmute::<$of_type, unsafe extern "system" fn()>(function) })
    }};
}

mod additions;
mod answer;
mod convert;
mod device;
pub mod ffi;
mod instance;
mod log;
mod queue;
mod registry;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ash::vk;
use ffi::NegotiateLayerInterface;

/// The version of the interface between loader and layers that has this negotiation: the newest one.
const INTERFACE: u32 = 2;

/// The loader's first call: says where the layer's functions are. It looks for this name (LoaderLayerInterface.md, Layer Version
/// Negotiation).
///
/// # Safety
///
/// `asked` must be null or point to a structure that this may write.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vkNegotiateLoaderLayerInterfaceVersion(
    asked: *mut NegotiateLayerInterface,
) -> vk::Result {
    // SAFETY: the caller's promise.
    let Some(asked) = (unsafe { asked.as_mut() }) else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    if asked.s_type != ffi::LAYER_NEGOTIATE_INTERFACE_STRUCT || asked.version < INTERFACE {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    }
    asked.version = INTERFACE;
    asked.get_instance_proc_addr = Some(instance::get_instance_proc_addr);
    asked.get_device_proc_addr = Some(device::get_device_proc_addr);
    // No physical-device function is the layer's.
    asked.get_physical_device_proc_addr = None;
    vk::Result::SUCCESS
}

/// Runs `body`. A panic in it, which must not cross into the program, becomes `otherwise`.
fn guarded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stays_inside() {
        assert_eq!(guarded(1, || panic!("for the test")), 1);
        assert_eq!(guarded(1, || 2), 2);
    }
}
