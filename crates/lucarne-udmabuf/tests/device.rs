//! The device's rules, the same ones for the emulated device and the kernel's.

mod common;

use std::io::{Seek, SeekFrom};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use common::*;
use libc::{EBADFD, EINVAL, ENOTTY, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_WRITE, MFD_CLOEXEC};

/// A shared mapping of one page.
struct Mapping(NonNull<u8>);

impl Mapping {
    fn new(file: &impl AsRawFd) -> Self {
        let length = usize::try_from(page()).expect("a page");
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: mmap(2): no fixed address, so that no memory in use is touched.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                access,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(
            at,
            libc::MAP_FAILED,
            "mmap: {}",
            std::io::Error::last_os_error()
        );
        Self(NonNull::new(at.cast()).expect("a mapping"))
    }

    fn byte(&self, at: usize) -> u8 {
        let byte = self.0.as_ptr().wrapping_add(at);
        // SAFETY: within the page that is mapped; volatile, as the memory is shared.
        unsafe { byte.read_volatile() }
    }

    fn set(&self, at: usize, value: u8) {
        let byte = self.0.as_ptr().wrapping_add(at);
        // SAFETY: within the page that is mapped; volatile, as the memory is shared.
        unsafe { byte.write_volatile(value) };
    }
}

/// What `UDMABUF_CREATE` of the whole memfd of two pages with these seals answers.
fn create_sealed(seals: i32) -> Result<(), i32> {
    let memory = memfd(2 * page(), seals);
    create(&device(), memory.as_raw_fd(), CLOEXEC, 0, 2 * page()).map(drop)
}

/// What `UDMABUF_CREATE` of this part of a good memfd of two pages answers.
fn create_part(offset: u64, size: u64) -> Result<(), i32> {
    let memory = memfd(2 * page(), F_SEAL_SHRINK);
    create(&device(), memory.as_raw_fd(), CLOEXEC, offset, size).map(drop)
}

cases! {
    fn an_offset_within_a_page_is_refused() {
        assert_eq!(create_part(page() / 2, page()), Err(EINVAL));
        assert_eq!(create_part(1, page()), Err(EINVAL));
    }

    fn a_size_that_is_no_multiple_of_a_page_is_refused() {
        assert_eq!(create_part(0, page() + 1), Err(EINVAL));
        assert_eq!(create_part(0, page() / 2), Err(EINVAL));
        let memory = memfd(page() + 1, F_SEAL_SHRINK);
        assert_eq!(create(&device(), memory.as_raw_fd(), CLOEXEC, 0, page() + 1).map(drop), Err(EINVAL));
    }

    fn no_size_is_refused() {
        assert_eq!(create_part(0, 0), Err(EINVAL));
    }

    fn a_part_beyond_the_end_is_refused() {
        assert_eq!(create_part(0, 3 * page()), Err(EINVAL));
        assert_eq!(create_part(page(), 2 * page()), Err(EINVAL));
        assert_eq!(create_part(2 * page(), page()), Err(EINVAL));
    }

    fn an_offset_that_overflows_is_refused() {
        assert_eq!(create_part(u64::MAX - page() + 1, page()), Err(EINVAL));
        assert_eq!(create_part(page(), u64::MAX - page() + 1), Err(EINVAL));
    }

    fn the_size_limit_is_64_mib() {
        let limit = 64 << 20;
        let memory = memfd(limit + page(), F_SEAL_SHRINK);
        assert_eq!(create(&device(), memory.as_raw_fd(), CLOEXEC, 0, limit + page()).map(drop), Err(EINVAL));
        let memory = memfd(limit, F_SEAL_SHRINK);
        assert_eq!(create(&device(), memory.as_raw_fd(), CLOEXEC, 0, limit).map(drop), Ok(()));
    }

    fn a_file_that_is_no_memfd_is_refused() {
        let (reader, _writer) = std::io::pipe().expect("pipe");
        let null = std::fs::File::open("/dev/null").expect("/dev/null");
        let folder = std::fs::File::open("/proc").expect("/proc");
        for (file, name) in [(reader.as_raw_fd(), "pipe"), (null.as_raw_fd(), "/dev/null"), (folder.as_raw_fd(), "folder")] {
            assert_eq!(create(&device(), file, CLOEXEC, 0, page()).map(drop), Err(EBADFD), "{name}");
        }
    }

    fn a_descriptor_that_is_not_open_is_refused() {
        let closed: RawFd = 987;
        assert_eq!(create(&device(), closed, CLOEXEC, 0, page()).map(drop), Err(EBADFD));
        assert_eq!(create(&device(), -1, CLOEXEC, 0, page()).map(drop), Err(EBADFD));
    }

    fn the_geometry_is_checked_before_the_descriptor() {
        assert_eq!(create(&device(), -1, CLOEXEC, 1, page()).map(drop), Err(EINVAL));
        assert_eq!(create(&device(), -1, CLOEXEC, 0, 0).map(drop), Err(EINVAL));
    }

    fn a_memfd_that_can_shrink_is_refused() {
        assert_eq!(create_sealed(0), Err(EINVAL));
        assert_eq!(create_sealed(F_SEAL_GROW), Err(EINVAL));
    }

    fn a_memfd_that_cannot_be_sealed_is_refused() {
        let memory = memfd_flags(page(), MFD_CLOEXEC);
        assert_eq!(create(&device(), memory.as_raw_fd(), CLOEXEC, 0, page()).map(drop), Err(EINVAL));
    }

    fn a_memfd_sealed_against_writing_is_refused() {
        assert_eq!(create_sealed(F_SEAL_SHRINK | F_SEAL_WRITE), Err(EINVAL));
    }

    fn a_memfd_sealed_against_future_writing_is_refused() {
        assert_eq!(create_sealed(F_SEAL_SHRINK | libc::F_SEAL_FUTURE_WRITE), Err(EINVAL));
    }

    fn a_file_in_shared_memory_is_refused_for_its_seals() {
        let flags = libc::O_RDWR | libc::O_TMPFILE | libc::O_CLOEXEC;
        // SAFETY: open(2): a NUL-terminated path; with O_TMPFILE a mode follows.
        let file = owned(unsafe { libc::open(c"/dev/shm".as_ptr(), flags, 0o600) });
        assert_eq!(create(&device(), file.as_raw_fd(), CLOEXEC, 0, page()).map(drop), Err(EINVAL));
    }

    fn a_dma_buf_keeps_its_size_and_takes_no_seal() {
        let memory = memfd(2 * page(), F_SEAL_SHRINK);
        let dma_buf = create(&device(), memory.as_raw_fd(), CLOEXEC, 0, 2 * page()).expect("a dma-buf");
        for seal in [F_SEAL_GROW, F_SEAL_WRITE, libc::F_SEAL_FUTURE_WRITE] {
            // SAFETY: fcntl(2): F_ADD_SEALS takes a set of seals and touches no memory.
            let answer = unsafe { libc::fcntl(dma_buf.as_raw_fd(), libc::F_ADD_SEALS, seal) };
            assert_eq!(answer, -1, "{seal}");
        }
        // SAFETY: ftruncate(2) takes two numbers and touches no memory.
        let answer = unsafe { libc::ftruncate(dma_buf.as_raw_fd(), 3 * 4096 * 16) };
        assert_eq!(answer, -1);
    }

    fn other_seals_do_no_harm() {
        assert_eq!(create_sealed(F_SEAL_SHRINK | F_SEAL_GROW | libc::F_SEAL_SEAL), Ok(()));
    }

    fn the_memory_is_shared_both_ways() {
        let memory = memfd(page(), F_SEAL_SHRINK);
        let dma_buf = create(&device(), memory.as_raw_fd(), CLOEXEC, 0, page()).expect("UDMABUF_CREATE");
        memory.write_all_at(&[1, 2, 3], 5).expect("pwrite");
        let mapping = Mapping::new(&dma_buf);
        assert_eq!([mapping.byte(5), mapping.byte(6), mapping.byte(7)], [1, 2, 3]);
        mapping.set(4095, 77);
        let mut last = [0];
        memory.read_exact_at(&mut last, 4095).expect("pread");
        assert_eq!(last, [77]);
    }

    fn the_memory_outlives_the_device_and_the_memfd() {
        let device = device();
        let memory = memfd(page(), F_SEAL_SHRINK);
        memory.write_all_at(b"still here", 0).expect("pwrite");
        let dma_buf = create(&device, memory.as_raw_fd(), CLOEXEC, 0, page()).expect("UDMABUF_CREATE");
        drop((device, memory));
        let mapping = Mapping::new(&dma_buf);
        drop(dma_buf);
        assert_eq!(mapping.byte(0), b's');
    }

    fn the_size_is_found_by_seeking_and_the_memfds_offset_stays() {
        let mut memory = memfd(3 * page(), F_SEAL_SHRINK);
        memory.seek(SeekFrom::Start(7)).expect("lseek");
        let mut dma_buf = create(&device(), memory.as_raw_fd(), CLOEXEC, 0, 3 * page()).expect("UDMABUF_CREATE");
        assert_eq!(dma_buf.seek(SeekFrom::End(0)).expect("lseek"), 3 * page());
        assert_eq!(dma_buf.seek(SeekFrom::Start(0)).expect("lseek"), 0);
        assert_eq!(memory.stream_position().expect("lseek"), 7);
    }

    fn a_memfd_opened_for_reading_gives_a_writable_dma_buf() {
        let memory = memfd(page(), F_SEAL_SHRINK);
        let reader = std::fs::File::open(format!("/proc/self/fd/{}", memory.as_raw_fd())).expect("open again");
        let dma_buf = create(&device(), reader.as_raw_fd(), CLOEXEC, 0, page()).expect("UDMABUF_CREATE");
        Mapping::new(&dma_buf).set(0, 9);
    }

    fn close_on_exec_is_as_asked() {
        let memory = memfd(page(), F_SEAL_SHRINK);
        let kept = create(&device(), memory.as_raw_fd(), 0, 0, page()).expect("without");
        assert!(!closes_on_exec(&kept));
        let closed = create(&device(), memory.as_raw_fd(), CLOEXEC, 0, page()).expect("with");
        assert!(closes_on_exec(&closed));
        assert!(closes_on_exec(&device()), "std opens with O_CLOEXEC");
        // SAFETY: open(2): a NUL-terminated path, and flags that create nothing.
        let inherited = owned(unsafe { libc::open(c"/dev/udmabuf".as_ptr(), libc::O_RDWR) });
        assert!(!closes_on_exec(&inherited));
    }

    fn a_list_of_one_is_one() {
        let memory = memfd(page(), F_SEAL_SHRINK);
        memory.write_all_at(&[42], 0).expect("pwrite");
        let mut list =
            CreateListOfOne { flags: CLOEXEC, count: 1, memfd: memory.as_raw_fd(), pad: 0, offset: 0, size: page() };
        let dma_buf = owned(ioctl(&device(), UDMABUF_CREATE_LIST, &mut list).expect("UDMABUF_CREATE_LIST"));
        assert!(closes_on_exec(&dma_buf));
        assert_eq!(Mapping::new(&dma_buf).byte(0), 42);
        list.count = 0;
        assert_eq!(ioctl(&device(), UDMABUF_CREATE_LIST, &mut list), Err(EINVAL));
        list.count = 1025;
        assert_eq!(ioctl(&device(), UDMABUF_CREATE_LIST, &mut list), Err(EINVAL));
    }

    fn no_descriptor_is_lost() {
        let device = device();
        let memory = memfd(page(), F_SEAL_SHRINK);
        let bad = memfd(page(), 0);
        let before = open_fds();
        for _ in 0..2000 {
            let dma_buf = create(&device, memory.as_raw_fd(), CLOEXEC, 0, page()).expect("UDMABUF_CREATE");
            drop(export_sync_file(&dma_buf, READ).expect("export"));
            assert_eq!(create(&device, bad.as_raw_fd(), CLOEXEC, 0, page()).map(drop), Err(EINVAL));
            assert_eq!(create(&device, -1, CLOEXEC, 0, page()).map(drop), Err(EBADFD));
            assert_eq!(export_sync_file(&dma_buf, 8).map(drop), Err(EINVAL));
        }
        for _ in 0..200 {
            drop(common::device());
        }
        assert_eq!(open_fds(), before);
    }

    fn other_requests_are_unknown() {
        let mut argument = [0_u64; 8];
        assert_eq!(ioctl(&device(), DMA_BUF_IOCTL_SYNC, &mut argument), Err(ENOTTY));
        assert_eq!(ioctl(&device(), libc::TIOCGWINSZ, &mut argument), Err(ENOTTY));
        assert_eq!(ioctl(&good(), libc::TIOCGWINSZ, &mut argument), Err(ENOTTY));
        assert_eq!(ioctl(&good(), UDMABUF_CREATE, &mut argument), Err(ENOTTY));
    }

    fn the_device_is_known_by_what_it_is_and_not_by_its_number() {
        let memory = memfd(page(), F_SEAL_SHRINK);
        let opened = device();
        let number = opened.as_raw_fd();
        let copy = opened.try_clone().expect("dup");
        drop(opened);
        drop(create(&copy, memory.as_raw_fd(), CLOEXEC, 0, page()).expect("by the copy"));
        let other = reuse_number(&memory, number);
        assert_eq!(create(&other, memory.as_raw_fd(), CLOEXEC, 0, page()).map(drop), Err(ENOTTY));
    }

    fn every_way_to_open_opens_it() {
        let path = c"/dev/udmabuf".as_ptr();
        let memory = memfd(page(), F_SEAL_SHRINK);
        let flags = libc::O_RDWR | libc::O_CLOEXEC;
        let ways = [
            // SAFETY: open(2): a NUL-terminated path, and flags that create nothing.
            ("open", unsafe { libc::open(path, flags) }),
            // SAFETY: as above.
            ("open64", unsafe { libc::open64(path, flags) }),
            // SAFETY: as above.
            ("openat", unsafe { libc::openat(libc::AT_FDCWD, path, flags) }),
            // SAFETY: as above.
            ("openat64", unsafe { libc::openat64(libc::AT_FDCWD, path, flags) }),
            // SAFETY: as above.
            ("__open_2", unsafe { __open_2(path, flags) }),
            // SAFETY: as above.
            ("__open64_2", unsafe { __open64_2(path, flags) }),
            // SAFETY: as above.
            ("__openat_2", unsafe { __openat_2(libc::AT_FDCWD, path, flags) }),
            // SAFETY: as above.
            ("__openat64_2", unsafe { __openat64_2(libc::AT_FDCWD, path, flags) }),
        ];
        for (name, fd) in ways {
            assert!(fd >= 0, "{name}");
            let device = std::fs::File::from(owned(fd));
            assert!(closes_on_exec(&device), "{name}");
            drop(create(&device, memory.as_raw_fd(), CLOEXEC, 0, page()).expect(name));
        }
    }

    fn many_threads_may_open_and_create() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| drop(export_sync_file(&good(), WRITE).expect("export"))));
            }
        });
    }
}

// glibc's checked variants, which its headers use in programs built with _FORTIFY_SOURCE.
unsafe extern "C" {
    fn __open_2(path: *const libc::c_char, flags: i32) -> i32;
    fn __open64_2(path: *const libc::c_char, flags: i32) -> i32;
    fn __openat_2(directory: i32, path: *const libc::c_char, flags: i32) -> i32;
    fn __openat64_2(directory: i32, path: *const libc::c_char, flags: i32) -> i32;
}
