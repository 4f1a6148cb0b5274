//! Vulkan objects that destroy themselves, so that every early return cleans up.

use std::sync::Arc;

use ash::vk;

use super::inner::DeviceInner;

/// An object of a device, destroyed on drop. Whoever drops it has seen to it that no submitted work uses it.
pub(super) struct Owned<T: Destroy> {
    raw: T,
    device: Arc<DeviceInner>,
}

impl<T: Destroy> Owned<T> {
    /// Takes an object that `device` has just created and nobody else owns.
    pub(super) fn new(device: &Arc<DeviceInner>, raw: T) -> Self {
        Self {
            raw,
            device: Arc::clone(device),
        }
    }

    pub(super) fn device(&self) -> &DeviceInner {
        &self.device
    }

    pub(super) fn raw(&self) -> T {
        self.raw
    }
}

impl<T: Destroy> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: vkDestroy* needs an object of this device that no pending command uses: `new`'s contract and the
        // owner's, which waits for its submissions first.
        unsafe { self.raw.destroy(&self.device.device) };
    }
}

pub(super) trait Destroy: Copy {
    /// # Safety
    ///
    /// `self` belongs to `device`, is in no pending use, and is not used again.
    unsafe fn destroy(self, device: &ash::Device);
}

macro_rules! destroy {
    ($($object:ident $function:ident;)*) => {$(
        impl Destroy for vk::$object {
            unsafe fn destroy(self, device: &ash::Device) {
                // SAFETY: the caller's contract.
                unsafe { device.$function(self, None) }
            }
        }
    )*};
}

destroy! {
    Image destroy_image;
    Buffer destroy_buffer;
    DeviceMemory free_memory;
    Semaphore destroy_semaphore;
    Fence destroy_fence;
    CommandPool destroy_command_pool;
    ImageView destroy_image_view;
    ShaderModule destroy_shader_module;
    Pipeline destroy_pipeline;
    PipelineLayout destroy_pipeline_layout;
    DescriptorSetLayout destroy_descriptor_set_layout;
    DescriptorPool destroy_descriptor_pool;
    RenderPass destroy_render_pass;
    Framebuffer destroy_framebuffer;
}
