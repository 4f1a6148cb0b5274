//! Raw buffers of a stream: read once, and written field by field.
//!
//! The safe crate shows a buffer only between taking it from a stream and putting it back. Frames are held for longer, and a
//! buffer's descriptors are set before it is ever taken.

use std::cell::Cell;
use std::ffi::c_void;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use pipewire::spa::sys;
use pipewire::stream::Stream;
use pipewire::sys::{pw_buffer, pw_stream_events};

/// A buffer that a stream has added and not removed yet: whoever keeps it forgets it in `remove_buffer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawBuffer(NonNull<pw_buffer>);

/// `spa_data` with its chunk, as it was when it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data {
    /// `SPA_DATA_*`; while buffers are allocated, a mask of what the other side takes.
    pub(crate) kind: u32,
    /// `SPA_DATA_FLAG_*`.
    pub(crate) flags: u32,
    pub(crate) fd: RawFd,
    pub(crate) map_offset: u32,
    pub(crate) max_size: u32,
    pub(crate) chunk: Chunk,
}

/// `spa_chunk`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) offset: u32,
    pub(crate) size: u32,
    pub(crate) stride: i32,
    /// `SPA_CHUNK_FLAG_*`.
    pub(crate) flags: i32,
}

/// The blocks that are looked at: more than any format has planes, and descriptors of a timeline.
pub(crate) const MOST_BLOCKS: u32 = 8;

impl RawBuffer {
    /// What a callback of a stream was given; `None` where that is nothing.
    pub(crate) fn new(pointer: *mut pw_buffer) -> Option<Self> {
        NonNull::new(pointer).map(Self)
    }

    fn spa(self) -> Option<sys::spa_buffer> {
        // SAFETY: pw_stream, `add_buffer`: a buffer is valid until `remove_buffer`, and `Self` is forgotten then.
        let buffer = unsafe { self.0.as_ref() }.buffer;
        // SAFETY: stream.h, `struct pw_buffer`: points at its `spa_buffer`, which lives as long as it does, or is null.
        unsafe { buffer.cast::<sys::spa_buffer>().as_ref() }.copied()
    }

    fn data_at(self, index: u32) -> Option<NonNull<sys::spa_data>> {
        let buffer = self.spa()?;
        if index >= buffer.n_datas.min(MOST_BLOCKS) {
            return None;
        }
        let first = NonNull::new(buffer.datas)?;
        // SAFETY: `pointer::add`: buffer.h: `datas` is an array of `n_datas`, and the index is below that.
        Some(unsafe { first.add(index as usize) })
    }

    /// How many blocks it has, those beyond [`MOST_BLOCKS`] included.
    pub(crate) fn blocks(self) -> u32 {
        self.spa().map_or(0, |buffer| buffer.n_datas)
    }

    /// What a block holds now. The chunk is in memory that the peer writes: it is read here, once.
    pub(crate) fn data(self, index: u32) -> Option<Data> {
        let place = self.data_at(index)?;
        // SAFETY: `pointer::read`: as in `data_at`; this part of a buffer belongs to this process.
        let data = unsafe { place.read() };
        let chunk = NonNull::new(data.chunk)?;
        // SAFETY: `pointer::read_volatile`: buffer.h: points at the block's chunk, in memory that stays mapped as long as the
        // buffer lives; four integers, of which every pattern is valid.
        let chunk = unsafe { chunk.read_volatile() };
        Some(Data {
            kind: data.type_,
            flags: data.flags,
            fd: RawFd::try_from(data.fd).unwrap_or(-1),
            map_offset: data.mapoffset,
            max_size: data.maxsize,
            chunk: Chunk {
                offset: chunk.offset,
                size: chunk.size,
                stride: chunk.stride,
                flags: chunk.flags,
            },
        })
    }

    /// Sets what a block holds, its chunk included. The descriptor stays the caller's, and is open for as long as the buffer lives.
    pub(crate) fn set_data(self, index: u32, value: &Data) {
        let Some(mut place) = self.data_at(index) else {
            return;
        };
        // SAFETY: `NonNull::as_mut`: as in `data_at`; nobody else looks at it while the stream's callback runs.
        let data = unsafe { place.as_mut() };
        data.type_ = value.kind;
        data.flags = value.flags;
        data.fd = i64::from(value.fd);
        data.mapoffset = value.map_offset;
        data.maxsize = value.max_size;
        data.data = std::ptr::null_mut();
        self.set_chunk(index, value.chunk);
    }

    /// Sets what is valid in a block: before the buffer is queued.
    pub(crate) fn set_chunk(self, index: u32, value: Chunk) {
        let Some(place) = self.data_at(index) else {
            return;
        };
        // SAFETY: `pointer::read`: as in `data`.
        let chunk = unsafe { place.read() }.chunk;
        let Some(chunk) = NonNull::new(chunk) else {
            return;
        };
        let value = sys::spa_chunk {
            offset: value.offset,
            size: value.size,
            stride: value.stride,
            flags: value.flags,
        };
        // SAFETY: `pointer::write_volatile`: as in `data`; the buffer is this side's, and its chunk with it.
        unsafe { chunk.write_volatile(value) };
    }

    /// A metadata's memory, where it was negotiated and is as large as `T`.
    fn meta<T>(self, kind: u32) -> Option<(NonNull<T>, usize)> {
        let buffer = self.spa()?;
        let first = NonNull::new(buffer.metas)?;
        for index in 0..buffer.n_metas.min(16) {
            // SAFETY: `pointer::add`: buffer.h: `metas` is an array of `n_metas`, and the index is below that.
            let place = unsafe { first.add(index as usize) };
            // SAFETY: `pointer::read`: as above; it belongs to this process, only what it points at is shared.
            let meta = unsafe { place.read() };
            let data = NonNull::new(meta.data)?.cast::<T>();
            if meta.type_ == kind && meta.size as usize >= size_of::<T>() && data.is_aligned() {
                return Some((data, meta.size as usize));
            }
        }
        None
    }

    /// A copy of metadata that is one plain structure.
    pub(crate) fn read_meta<T: Plain>(self, kind: u32) -> Option<T> {
        let (place, _) = self.meta::<T>(kind)?;
        // SAFETY: `pointer::read_volatile`: `meta` has found it aligned and large enough; `Plain`: every pattern is valid.
        Some(unsafe { place.read_volatile() })
    }

    /// Writes metadata that is one plain structure; nothing where it was not negotiated.
    pub(crate) fn write_meta<T: Plain>(self, kind: u32, value: T) {
        if let Some((place, _)) = self.meta::<T>(kind) {
            // SAFETY: `pointer::write_volatile`: `meta` has found it aligned and large enough; the buffer is this side's.
            unsafe { place.write_volatile(value) };
        }
    }

    /// Copies of metadata that is an array of plain structures, `most` at most.
    pub(crate) fn read_metas<T: Plain>(self, kind: u32, most: usize) -> Option<Vec<T>> {
        let (place, bytes) = self.meta::<T>(kind)?;
        let number = (bytes / size_of::<T>()).min(most);
        let read = |index| {
            // SAFETY: `pointer::add`: the metadata holds `number` of them at least, and the index is below that.
            let place = unsafe { place.add(index) };
            // SAFETY: `pointer::read_volatile`: as in `read_meta`.
            unsafe { place.read_volatile() }
        };
        Some((0..number).map(read).collect())
    }

    /// Writes an array, and `end` behind it where there is room; nothing where it was not negotiated or is too short.
    pub(crate) fn write_metas<T: Plain>(self, kind: u32, values: &[T], end: T) -> bool {
        let Some((place, bytes)) = self.meta::<T>(kind) else {
            return false;
        };
        let room = bytes / size_of::<T>();
        if values.len() > room {
            return false;
        }
        let last = (values.len() < room).then_some(end);
        for (index, value) in values.iter().copied().chain(last).enumerate() {
            // SAFETY: `pointer::add`: there is room for them, and the index is below that.
            let place = unsafe { place.add(index) };
            // SAFETY: `pointer::write_volatile`: as in `write_meta`.
            unsafe { place.write_volatile(value) };
        }
        true
    }
}

/// Structures of integers alone: every pattern of bits is a value.
///
/// # Safety
///
/// Implement it for nothing else.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: meta.h: integers alone.
unsafe impl Plain for sys::spa_meta_header {}
// SAFETY: meta.h: integers alone.
unsafe impl Plain for sys::spa_meta_region {}

/// The next buffer that can be filled, or that has arrived.
pub(crate) fn dequeue(stream: &Stream) -> Option<RawBuffer> {
    // SAFETY: `dequeue_raw_buffer`: the pointer may be null, which `RawBuffer::new` looks at; the buffer goes back by `queue`.
    RawBuffer::new(unsafe { stream.dequeue_raw_buffer() })
}

/// Sends a buffer on, or back.
pub(crate) fn queue(stream: &Stream, buffer: RawBuffer) {
    // SAFETY: `queue_raw_buffer`: the buffer came from this stream's `dequeue`, and has not been removed.
    unsafe { stream.queue_raw_buffer(buffer.0.as_ptr()) };
}

/// Whether a cycle is under way.
#[derive(Debug, Default)]
pub(crate) struct Cycle {
    /// Since when, until it is over.
    pub(crate) begun: Cell<Option<Instant>>,
    /// Something waits for the next one.
    pub(crate) wanted: Cell<bool>,
    /// How many were begun.
    pub(crate) number: Cell<u64>,
}

/// Hears of what the safe crate has no callback for, or calls with what belongs to another thread. Listens until it is dropped, which
/// must be before the stream is.
pub(crate) struct Listener<T> {
    hook: Box<sys::spa_hook>,
    _events: Box<pw_stream_events>,
    _data: T,
}

impl<T> Drop for Listener<T> {
    fn drop(&mut self) {
        pipewire::spa::utils::hook::remove(*self.hook);
    }
}

/// `data` is what the functions are given; `owner` keeps it where it is.
fn listen<T>(
    stream: &Stream,
    set: impl FnOnce(&mut pw_stream_events),
    data: *mut c_void,
    owner: T,
) -> Listener<T> {
    // SAFETY: `mem::zeroed`: stream.h: integers and optional functions, for which zero is "none".
    let mut events: Box<pw_stream_events> = Box::new(unsafe { std::mem::zeroed() });
    events.version = pipewire::sys::PW_VERSION_STREAM_EVENTS;
    set(&mut events);
    // SAFETY: `mem::zeroed`: hook.h: a hook that is in no list is all zero.
    let mut hook: Box<sys::spa_hook> = Box::new(unsafe { std::mem::zeroed() });
    // SAFETY: pw_stream_add_listener: hook, events and data stay where they are until the hook is removed, in `drop`.
    unsafe {
        pipewire::sys::pw_stream_add_listener(
            stream.as_raw_ptr(),
            &raw mut *hook,
            &raw const *events,
            data,
        );
    }
    Listener {
        hook,
        _events: events,
        _data: owner,
    }
}

unsafe extern "C" fn trigger_done(data: *mut c_void) {
    // SAFETY: `listen_to_cycles` gave the stream a pointer to a `Cycle`, which lives as long as the listener. PipeWire calls this on
    // the stream's own thread, where the `Cycle` is.
    if let Some(cycle) = unsafe { data.cast::<Cycle>().as_ref() } {
        cycle.begun.set(None);
    }
}

/// Notes the end of each cycle that this stream has begun.
pub(crate) fn listen_to_cycles(stream: &Stream, cycle: &Rc<Cycle>) -> Listener<Rc<Cycle>> {
    let data = Rc::as_ptr(cycle).cast_mut().cast();
    let set = |events: &mut pw_stream_events| events.trigger_done = Some(trigger_done);
    listen(stream, set, data, Rc::clone(cycle))
}

unsafe extern "C" fn process(data: *mut c_void) {
    // SAFETY: `listen_to_arrivals` gave the stream a pointer to an `OwnedFd`, which lives as long as the listener. PipeWire calls this on
    // its own thread; a descriptor may be used from any.
    if let Some(wake) = unsafe { data.cast::<OwnedFd>().as_ref() } {
        // An eventfd that is full is readable as well.
        _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
    }
}

/// Writes to `wake` when a buffer has arrived.
pub(crate) fn listen_to_arrivals(stream: &Stream, wake: Arc<OwnedFd>) -> Listener<Arc<OwnedFd>> {
    let data = Arc::as_ptr(&wake).cast_mut().cast();
    let set = |events: &mut pw_stream_events| events.process = Some(process);
    listen(stream, set, data, wake)
}

/// A new descriptor for what a block's descriptor stands for.
///
/// # Errors
///
/// `EBADF` for a number that stands for nothing; `EMFILE` when the process has no descriptor left.
pub(crate) fn duplicate(fd: RawFd) -> rustix::io::Result<OwnedFd> {
    if fd < 0 {
        return Err(rustix::io::Errno::BADF);
    }
    // SAFETY: `BorrowedFd::borrow_raw`: PipeWire keeps a buffer's descriptors open until `remove_buffer`, and the caller
    // holds the buffer. A number that is not open makes the call below fail.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
}

/// Copies what is valid in a block of mapped memory, `block`, to a file's offset. The kernel copies: the peer may write at the same
/// time, and spoils its own frame then.
///
/// # Errors
///
/// Those of pwrite(2); `EFAULT` for a block that is not mapped.
pub(crate) fn copy_out(
    buffer: RawBuffer,
    index: u32,
    block: &Data,
    to: BorrowedFd<'_>,
    at: u64,
) -> rustix::io::Result<()> {
    let Some(place) = buffer.data_at(index) else {
        return Err(rustix::io::Errno::FAULT);
    };
    // SAFETY: `pointer::read`: as in `RawBuffer::data`.
    let data = unsafe { place.read() };
    let mut from = data.data.cast_const().cast::<u8>();
    if from.is_null()
        || u64::from(block.chunk.offset) + u64::from(block.chunk.size) > data.maxsize.into()
    {
        return Err(rustix::io::Errno::FAULT);
    }
    from = from.wrapping_add(block.chunk.offset as usize);
    let (mut left, mut at) = (block.chunk.size as usize, at.cast_signed());
    while left > 0 {
        // SAFETY: pwrite(2): buffer.h: `data` is mapped for `maxsize` bytes, and offset and size end within (checked above); a
        // pointer that is not mapped makes the call fail.
        let written = unsafe { libc::pwrite(to.as_raw_fd(), from.cast(), left, at) };
        match usize::try_from(written) {
            Ok(0) => return Err(rustix::io::Errno::NOSPC),
            Ok(written) => {
                from = from.wrapping_add(written);
                left -= written;
                at += i64::try_from(written).unwrap_or(0);
            }
            Err(_) => {
                let error = std::io::Error::last_os_error();
                match rustix::io::Errno::from_io_error(&error) {
                    Some(rustix::io::Errno::INTR) => {}
                    errno => return Err(errno.unwrap_or(rustix::io::Errno::IO)),
                }
            }
        }
    }
    Ok(())
}
