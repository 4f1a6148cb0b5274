//! Vulkan: adapters, devices, turns.
//!
//! `vulkan.h` is not needed to read the header: handles that Vulkan dispatches by are `void *`, others are `uint64_t`.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::time::Duration;

use ash::vk::{self, Handle as _};
use lucarne::vulkan::{Access, Adapter, Device as VulkanDevice};

use super::device::lucarne_device;
use super::error::{lucarne_error, lucarne_status};
use super::fence::lucarne_fence;
use super::guard::{self, given};
use super::image::lucarne_image;
use super::offer::lucarne_offer;
use crate::convert;
use crate::device::Device;
use crate::failure::Result;
use crate::text::c_text;

/// Any function: cast yours to this.
pub type lucarne_function = Option<unsafe extern "C" fn()>;

/// Records commands: gets a `VkCommandBuffer` and the `data` of the call. Must not unwind; a C++ exception must not leave it.
pub type lucarne_record =
    Option<unsafe extern "C-unwind" fn(command_buffer: *mut c_void, data: *mut c_void)>;

/// A `VkPhysicalDevice` of the caller's, asked before its device is created. End it with `lucarne_vulkan_adapter_free`. Any thread,
/// several at once.
#[derive(Debug)]
pub struct lucarne_vulkan_adapter {
    adapter: Adapter,
    instance: AshInstance,
    name: CString,
    extensions: Vec<&'static CStr>,
}

struct AshInstance(ash::Instance);

impl std::fmt::Debug for AshInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Instance").field(&self.0.handle()).finish()
    }
}

/// What Vulkan's handles of a device are.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lucarne_vulkan_handles {
    /// `VkPhysicalDevice`.
    pub physical_device: *mut c_void,
    /// `VkDevice`.
    pub device: *mut c_void,
    /// `VkQueue`.
    pub queue: *mut c_void,
    /// The queue's family.
    pub queue_family: u32,
    /// Always 0.
    pub reserved: u32,
}

impl Default for lucarne_vulkan_handles {
    fn default() -> Self {
        Self {
            physical_device: std::ptr::null_mut(),
            device: std::ptr::null_mut(),
            queue: std::ptr::null_mut(),
            queue_family: 0,
            reserved: 0,
        }
    }
}

/// What a program needs to use an image in Vulkan.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_vulkan_image {
    /// `VkImage`. It stays Lucarne's: do not destroy it.
    pub image: u64,
    /// `VkFormat`, for views, pipelines and render passes.
    pub format: i32,
    /// What the image may be used for: bits of `LUCARNE_USAGE_…`.
    pub usage: u32,
    /// `VkComponentSwizzle` of red, for a view that is sampled. Views to draw into take the identity.
    pub sampled_r: i32,
    /// The same of green.
    pub sampled_g: i32,
    /// The same of blue.
    pub sampled_b: i32,
    /// The same of alpha: `VK_COMPONENT_SWIZZLE_ONE` where the frame's format has padding there.
    pub sampled_a: i32,
}

fn raw(pointer: *mut c_void) -> u64 {
    pointer.expose_provenance() as u64
}

fn pointer(raw: u64) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(usize::try_from(raw).unwrap_or(0))
}

pub(super) fn live(pointer: *mut c_void, name: &str) -> Result<u64> {
    given((!pointer.is_null()).then(|| raw(pointer)), name)
}

/// Asks a physical device of the caller's what it could share. Then create your device with the extensions that
/// `lucarne_vulkan_adapter_extension` lists, and wrap it with `lucarne_vulkan_device_from_raw`. Nothing is taken.
///
/// `get_instance_proc_addr` is `vkGetInstanceProcAddr`, cast to `lucarne_function`.
///
/// # Safety
///
/// `physical_device` is of `instance`, which was created with an `apiVersion` of 1.1 or later through that function. It lives until the
/// adapter, and every device, image and stream made of it, has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_vulkan_adapter_from_raw(
    get_instance_proc_addr: lucarne_function,
    instance: *mut c_void,
    physical_device: *mut c_void,
    adapter: Option<&mut MaybeUninit<Option<Box<lucarne_vulkan_adapter>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(adapter, "adapter", error, || {
        let function = given(get_instance_proc_addr, "get_instance_proc_addr")?;
        let instance = vk::Instance::from_raw(live(instance, "instance")?);
        let physical = vk::PhysicalDevice::from_raw(live(physical_device, "physical_device")?);
        // SAFETY: mem::transmute between function pointers: the caller says that it is vkGetInstanceProcAddr.
        let get_instance_proc_addr: vk::PFN_vkGetInstanceProcAddr =
            unsafe { std::mem::transmute(function) };
        let functions = ash::StaticFn {
            get_instance_proc_addr,
        };
        // SAFETY: Entry::from_static_fn: as above.
        let entry = unsafe { ash::Entry::from_static_fn(functions) };
        // SAFETY: Instance::load: this function's contract.
        let instance = unsafe { ash::Instance::load(entry.static_fn(), instance) };
        // SAFETY: Adapter::from_raw: this function's contract.
        let adapter = unsafe { Adapter::from_raw(&entry, &instance, physical) }?;
        Ok(lucarne_vulkan_adapter {
            name: c_text(adapter.name()),
            extensions: adapter.device_extensions(),
            adapter,
            instance: AshInstance(instance),
        })
    })
}

/// The device's name. Lives as long as `adapter`. `NULL` only for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_vulkan_adapter_name(
    adapter: Option<&lucarne_vulkan_adapter>,
) -> *const c_char {
    adapter.map_or(std::ptr::null(), |adapter| adapter.name.as_ptr())
}

/// How many device extensions are worth enabling: those that sharing can use and the driver has. 0 for `NULL`. None of them needs a
/// feature structure.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_vulkan_adapter_extensions(
    adapter: Option<&lucarne_vulkan_adapter>,
) -> usize {
    adapter.map_or(0, |adapter| adapter.extensions.len())
}

/// The extension at `index`, from 0; `NULL` beyond the end. Lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_vulkan_adapter_extension(
    adapter: Option<&lucarne_vulkan_adapter>,
    index: usize,
) -> *const c_char {
    let name = adapter.and_then(|adapter| adapter.extensions.get(index));
    name.map_or(std::ptr::null(), |name| name.as_ptr())
}

/// What a device that is created with all of those extensions can share, as `lucarne_device_offer` tells for one that exists.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_vulkan_adapter_offer(
    adapter: Option<&lucarne_vulkan_adapter>,
    usage: u32,
    offer: Option<&mut MaybeUninit<Option<Box<lucarne_offer>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(offer, "offer", error, || {
        let adapter = &given(adapter, "adapter")?.adapter;
        let usage = convert::usage("usage", usage)?;
        Ok(lucarne_offer::new(adapter.offer(usage)?))
    })
}

/// Ends an adapter. Devices that were made with it go on. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_vulkan_adapter_free(adapter: Option<Box<lucarne_vulkan_adapter>>) {
    guard::free(adapter);
}

/// Wraps a device of the caller's, and one of its queues. `extensions` are those that it was created with. Any may be missing: the
/// offer then tells which paths are lost, and why. Nothing is taken.
///
/// While `lucarne_vulkan_write`, `lucarne_vulkan_read` or `lucarne_image_write_plane` runs, nobody else may use the queue. Barriers
/// (`lucarne_vulkan_acquire_barrier`) use no queue.
///
/// # Safety
///
/// `device` was created from the adapter's physical device with exactly these extensions; `queue` is one of its queues, of
/// `queue_family`. Both live until the device here, and every image and stream made of it, has ended. `extensions` points to `count`
/// strings that end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_vulkan_device_from_raw(
    adapter: Option<&lucarne_vulkan_adapter>,
    vulkan_device: *mut c_void,
    queue: *mut c_void,
    queue_family: u32,
    extensions: *const *const c_char,
    count: usize,
    device: Option<&mut MaybeUninit<Option<Box<lucarne_device>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(device, "device", error, || {
        let adapter = given(adapter, "adapter")?;
        let raw_device = vk::Device::from_raw(live(vulkan_device, "vulkan_device")?);
        let queue = vk::Queue::from_raw(live(queue, "queue")?);
        // SAFETY: this function's contract.
        let pointers = unsafe { guard::array(extensions, count, "extensions") }?;
        let mut names = Vec::new();
        for name in pointers {
            given((!name.is_null()).then_some(()), "extensions[]")?;
            // SAFETY: CStr::from_ptr: not NULL, and this function's contract.
            names.push(unsafe { CStr::from_ptr(*name) });
        }
        // SAFETY: Device::load: this function's contract.
        let raw_device = unsafe { ash::Device::load(adapter.instance.0.fp_v1_0(), raw_device) };
        // SAFETY: Device::from_raw: this function's contract.
        let wrapped = unsafe {
            VulkanDevice::from_raw(&adapter.adapter, raw_device, queue, queue_family, &names)
        }?;
        Ok(lucarne_device(Device::Vulkan(wrapped)))
    })
}

/// Opens a Vulkan device of Lucarne's own, for programs that have none: a GPU before a software rasteriser. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_vulkan_device_open(
    device: Option<&mut MaybeUninit<Option<Box<lucarne_device>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(device, "device", error, || {
        Ok(lucarne_device(Device::open_vulkan()?))
    })
}

/// Vulkan's handles of a device. Those of a device of Lucarne's own stay Lucarne's, and live as long as `device`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_vulkan_device_handles(
    device: Option<&lucarne_device>,
    handles: Option<&mut MaybeUninit<lucarne_vulkan_handles>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(handles, "handles", error, || {
        let device = given(device, "device")?.0.vulkan()?;
        Ok(lucarne_vulkan_handles {
            physical_device: pointer(device.adapter().raw().as_raw()),
            device: pointer(device.raw().handle().as_raw()),
            queue: pointer(device.queue().as_raw()),
            queue_family: device.queue_family(),
            reserved: 0,
        })
    })
}

/// The `VkImage` of an image. One of another API is refused.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_vk_image(
    image: Option<&lucarne_image>,
    vk_image: Option<&mut MaybeUninit<lucarne_vulkan_image>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(vk_image, "vk_image", error, || {
        let (_, image) = given(image, "image")?.image().vulkan()?;
        let sampled = image.view_info(Access::Sampled).components;
        Ok(lucarne_vulkan_image {
            image: image.raw().as_raw(),
            format: image.vk_format().as_raw(),
            usage: image.usage().bits(),
            sampled_r: sampled.r.as_raw(),
            sampled_g: sampled.g.as_raw(),
            sampled_b: sampled.b.as_raw(),
            sampled_a: sampled.a.as_raw(),
        })
    })
}

/// The program's recording as a turn calls it.
///
/// # Safety
///
/// `record` may be called with `data`, and with a command buffer that is recording.
unsafe fn recorder(
    record: lucarne_record,
    data: *mut c_void,
) -> Result<impl FnOnce(vk::CommandBuffer)> {
    let record = given(record, "record")?;
    Ok(move |commands: vk::CommandBuffer| {
        // SAFETY: this function's contract.
        unsafe { record(pointer(commands.as_raw()), data) }
    })
}

/// Writes a frame in Vulkan: waits for `gate`, takes the image from its readers, has `record` record commands, gives the image back, and
/// submits. `gate` is the fence that came with the turn, and stays the caller's; `done` is the acquire fence for the next reader.
///
/// `record` is called once, before this returns, on this thread, with a command buffer that is recording outside a render pass, and with
/// `data`. It finds the image in the layout of `access` (`LUCARNE_ACCESS_…`, one that writes), with the contents of the last write, and
/// must leave it in that layout.
///
/// Blocks, each time for `timeout` nanoseconds at most: while another thread takes a turn of this image; until its last turn's commands
/// have ended; and until these have, where no fence can leave the driver.
///
/// # Safety
///
/// `record` may be called so. What it records is valid, and lives until `done` has signalled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_vulkan_write(
    image: Option<&lucarne_image>,
    gate: Option<&lucarne_fence>,
    timeout: u64,
    access: u32,
    record: lucarne_record,
    data: *mut c_void,
    done: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(done, "done", error, || {
        let (device, image) = given(image, "image")?.image().vulkan()?;
        let gate = given(gate, "gate")?.fence();
        let access = convert::access(access)?;
        // SAFETY: this function's contract.
        let record = unsafe { recorder(record, data) }?;
        let timeout = Duration::from_nanos(timeout);
        let done = device.write(image, gate, timeout, access, record)?;
        Ok(lucarne_fence::new(done))
    })
}

/// Reads a frame in Vulkan: as `lucarne_vulkan_write`, with an access that does not write. `acquire` is the fence that came with the
/// turn, and stays the caller's; `done` is the release fence for the next writer.
///
/// # Safety
///
/// As for `lucarne_vulkan_write`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_vulkan_read(
    image: Option<&lucarne_image>,
    acquire: Option<&lucarne_fence>,
    timeout: u64,
    access: u32,
    record: lucarne_record,
    data: *mut c_void,
    done: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(done, "done", error, || {
        let (device, image) = given(image, "image")?.image().vulkan()?;
        let acquire = given(acquire, "acquire")?.fence();
        let access = convert::access(access)?;
        // SAFETY: this function's contract.
        let record = unsafe { recorder(record, data) }?;
        let timeout = Duration::from_nanos(timeout);
        let done = device.read(image, acquire, timeout, access, record)?;
        Ok(lucarne_fence::new(done))
    })
}
