//! The only file that passes file descriptors between this process and the Vulkan driver.
//!
//! Going in, the caller's descriptor is lent: it is duplicated, and the duplicate is given up only once the driver
//! has taken it. Coming out, the driver's answer is checked before it is believed, and made close-on-exec.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use ash::vk;

use super::inner::DeviceInner;
use super::{failed, support};
use crate::error::{Error, Result};
use crate::frame::{Fence, OpaqueSemaphore};
use crate::kernel::dma_buf;
use crate::kernel::{BufferIdentity, SyncFile};

/// `vkGetMemoryFdKHR`: a new descriptor for exported memory, owned by the caller.
pub(super) fn memory_fd(
    device: &DeviceInner,
    memory: vk::DeviceMemory,
    handle: vk::ExternalMemoryHandleTypeFlags,
) -> Result<OwnedFd> {
    let Some(functions) = &device.memory_fd else {
        return Err(missing(device, ash::khr::external_memory_fd::NAME));
    };
    let info = vk::MemoryGetFdInfoKHR::default()
        .memory(memory)
        .handle_type(handle);
    // SAFETY: VUID-VkMemoryGetFdInfoKHR-handleType-00671: the caller allocated this memory with
    // VkExportMemoryAllocateInfo of exactly this type.
    let fd = unsafe { functions.get_memory_fd(&info) }.map_err(failed("vkGetMemoryFdKHR"))?;
    owned(fd, "vkGetMemoryFdKHR")
}

/// `vkGetMemoryFdPropertiesKHR`: the memory types that can import this descriptor. Lends it.
pub(super) fn memory_types(
    device: &DeviceInner,
    handle: vk::ExternalMemoryHandleTypeFlags,
    fd: BorrowedFd<'_>,
) -> Result<u32> {
    let Some(functions) = &device.memory_fd else {
        return Err(missing(device, ash::khr::external_memory_fd::NAME));
    };
    let mut properties = vk::MemoryFdPropertiesKHR::default();
    // SAFETY: vkGetMemoryFdPropertiesKHR: an open descriptor of this type (`DmaBuf` has checked), not OPAQUE_FD
    // (VUID-vkGetMemoryFdPropertiesKHR-handleType-00674).
    unsafe { functions.get_memory_fd_properties(handle, fd.as_raw_fd(), &mut properties) }
        .map_err(failed("vkGetMemoryFdPropertiesKHR"))?;
    Ok(properties.memory_type_bits)
}

/// `vkAllocateMemory` with `VkImportMemoryFdInfoKHR`: memory over somebody else's, for `image` alone where one is named.
///
/// `fd` is a duplicate made for this call: the driver owns it from success on, and it is closed otherwise.
pub(super) fn import_memory(
    device: &DeviceInner,
    image: Option<vk::Image>,
    handle: vk::ExternalMemoryHandleTypeFlags,
    fd: OwnedFd,
    size: u64,
    memory_type: u32,
) -> Result<vk::DeviceMemory> {
    give(fd, |fd| {
        let mut dedicated = vk::MemoryDedicatedAllocateInfo::default();
        let mut import = vk::ImportMemoryFdInfoKHR::default()
            .handle_type(handle)
            .fd(fd);
        let mut allocate = vk::MemoryAllocateInfo::default()
            .allocation_size(size)
            .memory_type_index(memory_type)
            .push_next(&mut import);
        if let Some(image) = image {
            dedicated = dedicated.image(image);
            allocate = allocate.push_next(&mut dedicated);
        }
        // SAFETY: vkAllocateMemory: a dedicated allocation's size is the image's own
        // (VUID-VkMemoryDedicatedAllocateInfo-image-02964), any other's the buffer's; the type is one that the driver
        // allows for this descriptor, which is open.
        unsafe { device.device.allocate_memory(&allocate, None) }
    })?
    .map_err(failed("vkAllocateMemory(VkImportMemoryFdInfoKHR)"))
}

/// Gives `take` a descriptor that becomes the driver's when it succeeds, and closes it when it does not.
fn give<T, E>(
    fd: OwnedFd,
    take: impl FnOnce(RawFd) -> std::result::Result<T, E>,
) -> Result<std::result::Result<T, E>> {
    let identity = dma_buf::identity(fd.as_fd())?;
    let fd = fd.into_raw_fd();
    let result = take(fd);
    if result.is_err() {
        close_unless_closed(fd, identity);
    }
    Ok(result)
}

/// Closes a descriptor that the driver did not take, unless the driver has closed it all the same
/// ([`CLOSES_FD_ON_FAILED_IMPORT`](crate::quirks::CLOSES_FD_ON_FAILED_IMPORT)): once more could close somebody else's.
fn close_unless_closed(fd: i32, identity: BufferIdentity) {
    // SAFETY: BorrowedFd::borrow_raw needs an open descriptor for its whole life. Should the driver have closed it,
    // fstat answers EBADF, or another object's identity; nothing else is done with it then.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    if dma_buf::identity(borrowed).is_ok_and(|found| found == identity) {
        // SAFETY: OwnedFd::from_raw_fd: still the duplicate that was made for the driver, which has not taken it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

/// `vkGetSemaphoreFdKHR`: the fence behind a semaphore whose signal has been submitted. Resets the semaphore.
pub(super) fn semaphore_fence(device: &DeviceInner, semaphore: vk::Semaphore) -> Result<Fence> {
    let Some(functions) = &device.semaphore_fd else {
        return Err(missing(device, ash::khr::external_semaphore_fd::NAME));
    };
    let info = vk::SemaphoreGetFdInfoKHR::default()
        .semaphore(semaphore)
        .handle_type(vk::ExternalSemaphoreHandleTypeFlags::SYNC_FD);
    // SAFETY: VUID-VkSemaphoreGetFdInfoKHR-handleType-01132 and -03253: the semaphore was created for export as
    // SYNC_FD, and the caller has submitted its signal operation.
    let fd = unsafe { functions.get_semaphore_fd(&info) }.map_err(failed("vkGetSemaphoreFdKHR"))?;
    if fd == -1 {
        // "-1 is treated as a valid sync file descriptor that has already signaled" (VkSemaphoreGetFdInfoKHR).
        return Ok(Fence::Signaled);
    }
    let fd = owned(fd, "vkGetSemaphoreFdKHR")?;
    Ok(Fence::sync_file(SyncFile::given(fd)))
}

/// `vkImportSemaphoreFdKHR`: makes the next wait of `semaphore` wait for `file`. Lends the descriptor.
pub(super) fn import_sync_file(
    device: &DeviceInner,
    semaphore: vk::Semaphore,
    file: &SyncFile,
) -> Result<()> {
    let Some(functions) = &device.semaphore_fd else {
        return Err(missing(device, ash::khr::external_semaphore_fd::NAME));
    };
    let duplicate = file.duplicate()?;
    let info = vk::ImportSemaphoreFdInfoKHR::default()
        .semaphore(semaphore)
        .flags(vk::SemaphoreImportFlags::TEMPORARY)
        .handle_type(vk::ExternalSemaphoreHandleTypeFlags::SYNC_FD)
        .fd(duplicate.as_raw_fd());
    // SAFETY: VUID-VkImportSemaphoreFdInfoKHR-handleType-07307: SYNC_FD with a temporary import, a valid
    // descriptor; VUID-vkImportSemaphoreFdKHR-semaphore-01142: no submitted work uses the semaphore any more, as
    // the caller has waited for its image's last submission.
    unsafe { functions.import_semaphore_fd(&info) }.map_err(failed("vkImportSemaphoreFdKHR"))?;
    // The driver owns the duplicate from a successful import on, and not before.
    let _taken = duplicate.into_raw_fd();
    Ok(())
}

/// `vkGetFenceFdKHR`: the moment when a submitted fence signals, as a sync_file. Resets the fence.
pub(super) fn fence_fd(device: &DeviceInner, fence: vk::Fence) -> Result<Fence> {
    let Some(functions) = &device.fence_fd else {
        return Err(missing(device, ash::khr::external_fence_fd::NAME));
    };
    let info = vk::FenceGetFdInfoKHR::default()
        .fence(fence)
        .handle_type(vk::ExternalFenceHandleTypeFlags::SYNC_FD);
    // SAFETY: VUID-VkFenceGetFdInfoKHR-handleType-01453 and -01454: the fence was created for export as SYNC_FD, and the
    // caller has submitted it.
    let fd = unsafe { functions.get_fence_fd(&info) }.map_err(failed("vkGetFenceFdKHR"))?;
    if fd == -1 {
        // "-1 is treated as a valid file descriptor that has already signaled" (VkFenceGetFdInfoKHR).
        return Ok(Fence::Signaled);
    }
    let fd = owned(fd, "vkGetFenceFdKHR")?;
    Ok(Fence::sync_file(SyncFile::given(fd)))
}

/// `vkImportFenceFdKHR`: makes the next wait for `fence` wait for `file`, or for nothing. Lends the descriptor.
pub(super) fn import_fence(
    device: &DeviceInner,
    fence: vk::Fence,
    file: Option<&SyncFile>,
) -> Result<()> {
    let Some(functions) = &device.fence_fd else {
        return Err(missing(device, ash::khr::external_fence_fd::NAME));
    };
    let duplicate = file.map(SyncFile::duplicate).transpose()?;
    let info = vk::ImportFenceFdInfoKHR::default()
        .fence(fence)
        .flags(vk::FenceImportFlags::TEMPORARY)
        .handle_type(vk::ExternalFenceHandleTypeFlags::SYNC_FD)
        .fd(duplicate.as_ref().map_or(-1, AsRawFd::as_raw_fd));
    // SAFETY: VUID-VkImportFenceFdInfoKHR-handleType-07306: SYNC_FD with a temporary import; -1 stands for one that has
    // signalled; VUID-vkImportFenceFdKHR-fence-01463: no submission uses the fence, by the caller's contract.
    unsafe { functions.import_fence_fd(&info) }.map_err(failed("vkImportFenceFdKHR"))?;
    // The driver owns the duplicate from a successful import on, and not before.
    let _taken = duplicate.map(IntoRawFd::into_raw_fd);
    Ok(())
}

/// `vkGetSemaphoreFdKHR(OPAQUE_FD)`: a new descriptor for a semaphore that others use too, owned by the caller.
pub(super) fn semaphore_fd(device: &DeviceInner, semaphore: vk::Semaphore) -> Result<OwnedFd> {
    let Some(functions) = &device.semaphore_fd else {
        return Err(missing(device, ash::khr::external_semaphore_fd::NAME));
    };
    let info = vk::SemaphoreGetFdInfoKHR::default()
        .semaphore(semaphore)
        .handle_type(vk::ExternalSemaphoreHandleTypeFlags::OPAQUE_FD);
    // SAFETY: VUID-VkSemaphoreGetFdInfoKHR-handleType-01132: the semaphore was created for export as OPAQUE_FD.
    let fd = unsafe { functions.get_semaphore_fd(&info) }.map_err(failed("vkGetSemaphoreFdKHR"))?;
    owned(fd, "vkGetSemaphoreFdKHR")
}

/// `vkImportSemaphoreFdKHR(OPAQUE_FD)`: makes `semaphore` the one behind `shared`, for good. Lends the descriptor.
pub(super) fn import_semaphore(
    device: &DeviceInner,
    semaphore: vk::Semaphore,
    shared: &OpaqueSemaphore,
) -> Result<()> {
    let Some(functions) = &device.semaphore_fd else {
        return Err(missing(device, ash::khr::external_semaphore_fd::NAME));
    };
    give(shared.duplicate()?, |fd| {
        let info = vk::ImportSemaphoreFdInfoKHR::default()
            .semaphore(semaphore)
            .handle_type(vk::ExternalSemaphoreHandleTypeFlags::OPAQUE_FD)
            .fd(fd);
        // SAFETY: VUID-VkImportSemaphoreFdInfoKHR-handleType-01143 and -03263: a descriptor that this driver exported of a
        // binary semaphore, into a binary one that nothing uses yet.
        unsafe { functions.import_semaphore_fd(&info) }
    })?
    .map_err(failed("vkImportSemaphoreFdKHR"))
}

fn owned(fd: i32, call: &'static str) -> Result<OwnedFd> {
    if fd < 0 {
        // Mesa answers success with -1 for memory that it cannot export.
        return Err(Error::Driver {
            call,
            code: format!("success, but file descriptor {fd}"),
            help: "the driver did not export this memory".to_owned(),
        });
    }
    // SAFETY: OwnedFd::from_raw_fd: "the application owns the file descriptor" that these calls return
    // (VK_KHR_external_memory_fd, VK_KHR_external_semaphore_fd), and it is not negative.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // Mesa's software driver duplicates without CLOEXEC; children must inherit nothing.
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)
        .map_err(|errno| Error::os("setting FD_CLOEXEC on a driver's descriptor", errno))?;
    Ok(fd)
}

fn missing(device: &DeviceInner, name: &'static std::ffi::CStr) -> Error {
    let adapter = device.adapter.inner();
    Error::unsupported(
        format!("passing file descriptors on {}", adapter.name()),
        vec![support::extension(adapter, name)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memfd() -> OwnedFd {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        rustix::fs::memfd_create("lucarne-test", flags).expect("a memfd")
    }

    /// Another descriptor of the same object, by which its end can be seen: the last one's `st_nlink` is no help.
    fn is_open(fd: RawFd, as_what: BufferIdentity) -> bool {
        // SAFETY: BorrowedFd::borrow_raw: asked only whether it is open; fstat answers EBADF otherwise.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        dma_buf::identity(borrowed).is_ok_and(|found| found == as_what)
    }

    /// What stands in for a driver: it takes the descriptor, refuses it, or refuses and closes it.
    #[test]
    fn a_refused_descriptor_is_closed_once() {
        let identity_of = |fd: &OwnedFd| dma_buf::identity(fd.as_fd()).expect("an identity");
        let fd = memfd();
        let identity = identity_of(&fd);
        let taken = give(fd, Ok::<_, ()>).expect("asked").expect("taken");
        assert!(is_open(taken, identity), "what was taken is the driver's");
        // SAFETY: OwnedFd::from_raw_fd: taken, and so this test's.
        drop(unsafe { OwnedFd::from_raw_fd(taken) });

        let fd = memfd();
        let identity = identity_of(&fd);
        let refused = give(fd, Err::<(), _>).expect("asked").expect_err("refused");
        assert!(!is_open(refused, identity), "what was refused is closed");

        // The worst case: the driver closes it, and another thread opens something under the same number at once. Should a
        // third one of this program be quicker, it is tried again.
        let hit = (0..100).any(|_| {
            let (fd, other) = (memfd(), memfd());
            let identity = identity_of(&other);
            let refused = give(fd, |fd| {
                // SAFETY: OwnedFd::from_raw_fd: as a driver does that closes what it refuses.
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
                let others = rustix::io::fcntl_dupfd_cloexec(&other, fd).expect("a descriptor");
                Err::<(), _>((others, fd))
            });
            let (others, number) = refused.expect("asked").expect_err("refused");
            let still = is_open(others.as_raw_fd(), identity);
            assert!(still, "somebody else's stays open");
            others.as_raw_fd() == number
        });
        assert!(hit, "the number was never free");
    }

    #[test]
    fn success_without_a_descriptor_is_an_error() {
        let error = owned(-1, "vkGetMemoryFdKHR").expect_err("no descriptor");
        assert!(
            error
                .to_string()
                .contains("success, but file descriptor -1"),
            "{error}"
        );
        let fd = memfd();
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).expect("inherited from here on");
        let owned = owned(fd.into_raw_fd(), "vkGetMemoryFdKHR").expect("a descriptor");
        let flags = rustix::io::fcntl_getfd(&owned).expect("flags");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
}
