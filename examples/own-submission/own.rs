//! What your engine has already: a Vulkan device, a queue, command buffers, and a timeline semaphore that counts its
//! submissions. Nothing in this file knows more of Lucarne than which extensions to enable.

use super::{Result, TIMEOUT};
use ash::vk;
use std::ffi::CStr;
use std::time::Duration;

type Extensions = Vec<&'static CStr>;

/// An engine that submits by itself.
pub(crate) struct Engine {
    pub(crate) device: ash::Device,
    pub(crate) queue: vk::Queue,
    pub(crate) family: u32,
    pub(crate) adapter: lucarne::vulkan::Adapter,
    pub(crate) enabled: Extensions,
    instance: ash::Instance,
    pool: vk::CommandPool,
    /// Counts submissions that have finished.
    timeline: vk::Semaphore,
    submitted: u64,
    _entry: ash::Entry,
}

impl Engine {
    /// A device with one graphics queue; `ask` says what to enable.
    pub(crate) fn new(
        ask: impl FnOnce(
            &ash::Entry,
            &ash::Instance,
            vk::PhysicalDevice,
        ) -> Result<(lucarne::vulkan::Adapter, Extensions)>,
    ) -> Result<Self> {
        // SAFETY: loads the system's Vulkan loader, which is trusted to initialise soundly.
        let entry = unsafe { ash::Entry::load() }?;
        // Timeline semaphores are Vulkan 1.2's.
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_2);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: vkCreateInstance: all pointers are locals that outlive the call.
        let instance = unsafe { entry.create_instance(&create, None) }?;
        // SAFETY: vkEnumeratePhysicalDevices of a live instance.
        let devices = unsafe { instance.enumerate_physical_devices() }?;
        let physical = *devices.first().ok_or("no Vulkan device")?;
        let (adapter, enabled) = ask(&entry, &instance, physical)?;
        let (device, family) = create_device(&instance, physical, &enabled)?;
        // SAFETY: vkGetDeviceQueue: the device was created with queue 0 of this family.
        let queue = unsafe { device.get_device_queue(family, 0) };
        let create = vk::CommandPoolCreateInfo::default()
            .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER)
            .queue_family_index(family);
        // SAFETY: vkCreateCommandPool with a family of this device.
        let pool = unsafe { device.create_command_pool(&create, None) }?;
        let mut kind =
            vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
        let create = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
        // SAFETY: vkCreateSemaphore: the feature is enabled.
        let timeline = unsafe { device.create_semaphore(&create, None) }?;
        Ok(Self {
            device,
            queue,
            family,
            adapter,
            enabled,
            instance,
            pool,
            timeline,
            submitted: 0,
            _entry: entry,
        })
    }

    pub(crate) fn allocate(&self) -> Result<vk::CommandBuffer> {
        let allocate = vk::CommandBufferAllocateInfo::default()
            .command_pool(self.pool)
            .command_buffer_count(1);
        // SAFETY: vkAllocateCommandBuffers from a pool of this device.
        let buffers = unsafe { self.device.allocate_command_buffers(&allocate) }?;
        Ok(buffers[0])
    }

    /// Starts recording; the buffer's last submission has finished.
    pub(crate) fn begin(&self, commands: vk::CommandBuffer) -> Result<()> {
        let begin = vk::CommandBufferBeginInfo::default()
            .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: vkBeginCommandBuffer: not pending, and its pool allows resets.
        Ok(unsafe { self.device.begin_command_buffer(commands, &begin) }?)
    }

    /// "Draws" into an image that is in `VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL`.
    pub(crate) fn clear(&self, commands: vk::CommandBuffer, image: vk::Image, color: [u8; 3]) {
        let [red, green, blue] = color.map(|value| f32::from(value) / 255.0);
        let color = vk::ClearColorValue {
            float32: [red, green, blue, 1.0],
        };
        let all = vk::ImageSubresourceRange::default()
            .aspect_mask(vk::ImageAspectFlags::COLOR)
            .level_count(1)
            .layer_count(1);
        let layout = vk::ImageLayout::TRANSFER_DST_OPTIMAL;
        // SAFETY: vkCmdClearColorImage: recording, and the image was made for it.
        unsafe {
            self.device
                .cmd_clear_color_image(commands, image, layout, &color, &[all]);
        };
    }

    /// Submits commands that wait for `wait` and signal `fence`, and the timeline's next value, which is returned.
    pub(crate) fn submit(
        &mut self,
        commands: vk::CommandBuffer,
        wait: Option<vk::Semaphore>,
        fence: vk::Fence,
    ) -> Result<u64> {
        // SAFETY: vkEndCommandBuffer: recording, outside a render pass.
        unsafe { self.device.end_command_buffer(commands) }?;
        let next = self.submitted + 1;
        let (buffers, signals, values) = ([commands], [self.timeline], [next]);
        let stages = [vk::PipelineStageFlags::ALL_COMMANDS];
        // Binary semaphores have no values: theirs are ignored.
        let unused = [0];
        let waits = wait.as_slice();
        let mut timeline = vk::TimelineSemaphoreSubmitInfo::default()
            .wait_semaphore_values(&unused[..waits.len()])
            .signal_semaphore_values(&values);
        let submit = vk::SubmitInfo::default()
            .command_buffers(&buffers)
            .wait_semaphores(waits)
            .wait_dst_stage_mask(&stages[..waits.len()])
            .signal_semaphores(&signals)
            .push_next(&mut timeline);
        // SAFETY: vkQueueSubmit: only this thread uses the queue; nothing else pending uses buffer, semaphore or fence.
        unsafe { self.device.queue_submit(self.queue, &[submit], fence) }?;
        self.submitted = next;
        Ok(next)
    }

    /// Waits for a value of the timeline.
    pub(crate) fn wait(&self, value: u64, timeout: Duration) -> Result<()> {
        let (semaphores, values) = ([self.timeline], [value]);
        let wait = vk::SemaphoreWaitInfo::default()
            .semaphores(&semaphores)
            .values(&values);
        let nanoseconds = u64::try_from(timeout.as_nanos())?;
        // SAFETY: vkWaitSemaphores of a timeline of this device.
        Ok(unsafe { self.device.wait_semaphores(&wait, nanoseconds) }?)
    }

    /// Waits for everything that was submitted.
    pub(crate) fn wait_for_all(&self) {
        // A device that was lost has nothing left to wait for.
        let _ = self.wait(self.submitted, TIMEOUT);
    }
}

fn create_device(
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
    extensions: &[&CStr],
) -> Result<(ash::Device, u32)> {
    // SAFETY: vkGetPhysicalDeviceQueueFamilyProperties: a physical device of this instance.
    let families = unsafe { instance.get_physical_device_queue_family_properties(physical) };
    let graphics =
        |family: &vk::QueueFamilyProperties| family.queue_flags.contains(vk::QueueFlags::GRAPHICS);
    let family = families.iter().position(graphics);
    let family = u32::try_from(family.ok_or("no queue with graphics")?)?;
    let queues = [vk::DeviceQueueCreateInfo::default()
        .queue_family_index(family)
        .queue_priorities(&[1.0])];
    let names: Vec<_> = extensions.iter().map(|name| name.as_ptr()).collect();
    let mut features = vk::PhysicalDeviceVulkan12Features::default().timeline_semaphore(true);
    let create = vk::DeviceCreateInfo::default()
        .queue_create_infos(&queues)
        .enabled_extension_names(&names)
        .push_next(&mut features);
    // SAFETY: vkCreateDevice: the family exists, the driver has the extensions, and every driver of 1.2 the feature.
    let device = unsafe { instance.create_device(physical, &create, None) }?;
    Ok((device, family))
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.wait_for_all();
        // SAFETY: vkDestroySemaphore: its submissions have finished.
        unsafe { self.device.destroy_semaphore(self.timeline, None) };
        // SAFETY: vkDestroyCommandPool: as above.
        unsafe { self.device.destroy_command_pool(self.pool, None) };
        // SAFETY: VUID-vkDestroyDevice-device-05137: main has dropped what Lucarne made of it.
        unsafe { self.device.destroy_device(None) };
        // SAFETY: VUID-vkDestroyInstance-instance-00629: its only device is gone.
        unsafe { self.instance.destroy_instance(None) };
    }
}
