//! A dma-buf's and a sync file's requests, the same expectations for the emulated ones and the kernel's.

mod common;

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use common::*;
use libc::{EINVAL, ENOENT, ENOTTY, POLLIN, POLLOUT};

/// What `poll` says without waiting.
fn poll(file: &impl AsRawFd, events: i16) -> i16 {
    let mut entry = libc::pollfd {
        fd: file.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: poll(2): one entry, which is writable.
    let ready = unsafe { libc::poll(&raw mut entry, 1, 0) };
    assert!(ready >= 0, "poll: {}", std::io::Error::last_os_error());
    entry.revents
}

/// `DMA_BUF_IOCTL_SYNC` with these flags.
fn sync(dma_buf: &File, flags: u32) -> Result<i32, i32> {
    ioctl(dma_buf, DMA_BUF_IOCTL_SYNC, &mut u64::from(flags))
}

/// `DMA_BUF_IOCTL_IMPORT_SYNC_FILE`.
fn import_sync_file(dma_buf: &File, flags: u32, fd: RawFd) -> Result<i32, i32> {
    ioctl(
        dma_buf,
        DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
        &mut SyncFileOf { flags, fd },
    )
}

/// A signalled sync file.
fn sync_file() -> OwnedFd {
    export_sync_file(&good(), READ | WRITE).expect("export")
}

fn name(text: &[u8]) -> [u8; 32] {
    let mut name = [0; 32];
    name[..text.len()].copy_from_slice(text);
    name
}

fn eventfd() -> OwnedFd {
    // SAFETY: eventfd(2): takes numbers.
    owned(unsafe { libc::eventfd(1, libc::EFD_CLOEXEC) })
}

cases! {
    fn cpu_access_begins_and_ends() {
        let dma_buf = good();
        for access in [READ, WRITE, READ | WRITE] {
            assert_eq!(sync(&dma_buf, access), Ok(0));
            assert_eq!(sync(&dma_buf, access | END), Ok(0));
        }
    }

    fn cpu_access_with_wrong_flags_is_refused() {
        let dma_buf = good();
        assert_eq!(sync(&dma_buf, 0), Err(EINVAL));
        assert_eq!(sync(&dma_buf, END), Err(EINVAL));
        assert_eq!(sync(&dma_buf, READ | 8), Err(EINVAL));
        assert_eq!(ioctl(&dma_buf, DMA_BUF_IOCTL_SYNC, &mut (1_u64 << 32 | 1)), Err(EINVAL));
    }

    fn a_name_is_taken_and_a_long_one_refused() {
        let dma_buf = good();
        let (mut short, mut longest, mut too_long) = (*b"lucarne\0", [b'n'; 32], [b'n'; 33]);
        (longest[31], too_long[32]) = (0, 0);
        for request in [DMA_BUF_SET_NAME_A, DMA_BUF_SET_NAME_B] {
            assert_eq!(ioctl(&dma_buf, request, &mut short), Ok(0));
            assert_eq!(ioctl(&dma_buf, request, &mut longest), Ok(0));
            assert_eq!(ioctl(&dma_buf, request, &mut too_long), Err(EINVAL));
        }
    }

    fn an_exported_sync_file_has_signalled() {
        for flags in [READ, WRITE, READ | WRITE] {
            let file = export_sync_file(&good(), flags).expect("export");
            assert!(closes_on_exec(&file));
            assert_eq!(poll(&file, POLLIN | POLLOUT), POLLIN, "readable, and never writable");
        }
    }

    fn an_export_with_wrong_flags_is_refused() {
        assert_eq!(export_sync_file(&good(), 0).map(drop), Err(EINVAL));
        assert_eq!(export_sync_file(&good(), END | READ).map(drop), Err(EINVAL));
    }

    fn epoll_takes_a_sync_file() {
        // SAFETY: epoll_create1(2): takes flags.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) });
        let file = sync_file();
        let mut event = libc::epoll_event { events: 1, u64: 7 };
        let (to, what) = (epoll.as_raw_fd(), file.as_raw_fd());
        // SAFETY: epoll_ctl(2): the event is readable.
        assert_eq!(unsafe { libc::epoll_ctl(to, libc::EPOLL_CTL_ADD, what, &raw mut event) }, 0);
        event.u64 = 0;
        // SAFETY: epoll_wait(2): there is room for the one event asked for.
        assert_eq!(unsafe { libc::epoll_wait(to, &raw mut event, 1, 0) }, 1);
        assert_eq!({ event.u64 }, 7);
    }

    fn a_sync_file_says_that_it_has_signalled() {
        let file = sync_file();
        let mut info = FileInfo::default();
        assert_eq!(ioctl(&file, SYNC_IOC_FILE_INFO, &mut info), Ok(0));
        assert_eq!((info.status, info.num_fences), (1, 1));
        let mut fence = FenceInfo::default();
        info.sync_fence_info = (&raw mut fence).expose_provenance() as u64;
        assert_eq!(ioctl(&file, SYNC_IOC_FILE_INFO, &mut info), Ok(0));
        assert_eq!((info.status, info.num_fences, fence.status), (1, 1, 1));
        assert_ne!(fence.timestamp_ns, 0);
        assert_ne!(fence.driver_name[0], 0);
        info.flags = 1;
        assert_eq!(ioctl(&file, SYNC_IOC_FILE_INFO, &mut info), Err(EINVAL));
    }

    fn sync_files_merge() {
        let (one, two) = (sync_file(), sync_file());
        let mut merge = Merge { name: name(b"both"), fd2: two.as_raw_fd(), fence: -1, ..Merge::default() };
        assert_eq!(ioctl(&one, SYNC_IOC_MERGE, &mut merge), Ok(0));
        let both = owned(merge.fence);
        assert!(closes_on_exec(&both));
        drop((one, two));
        assert_eq!(poll(&both, POLLIN), POLLIN);
        let mut info = FileInfo::default();
        assert_eq!(ioctl(&both, SYNC_IOC_FILE_INFO, &mut info), Ok(0));
        assert_eq!(info.status, 1);
    }

    fn a_merge_with_something_else_is_refused() {
        let file = sync_file();
        let other = eventfd();
        let before = open_fds();
        for fd2 in [other.as_raw_fd(), -1] {
            let mut merge = Merge { fd2, ..Merge::default() };
            assert_eq!(ioctl(&file, SYNC_IOC_MERGE, &mut merge), Err(ENOENT));
        }
        let mut merge = Merge { fd2: file.as_raw_fd(), flags: 1, ..Merge::default() };
        assert_eq!(ioctl(&file, SYNC_IOC_MERGE, &mut merge), Err(EINVAL));
        assert_eq!(open_fds(), before);
    }

    fn a_signalled_sync_file_is_imported() {
        let dma_buf = good();
        let file = sync_file();
        for flags in [READ, WRITE, READ | WRITE] {
            assert_eq!(import_sync_file(&dma_buf, flags, file.as_raw_fd()), Ok(0));
        }
        assert_eq!(poll(&export_sync_file(&dma_buf, WRITE).expect("export"), POLLIN), POLLIN);
    }

    fn an_import_of_something_else_is_refused() {
        let dma_buf = good();
        let file = sync_file();
        assert_eq!(import_sync_file(&dma_buf, 0, file.as_raw_fd()), Err(EINVAL));
        assert_eq!(import_sync_file(&dma_buf, READ | 8, file.as_raw_fd()), Err(EINVAL));
        assert_eq!(import_sync_file(&dma_buf, READ, eventfd().as_raw_fd()), Err(EINVAL));
        assert_eq!(import_sync_file(&dma_buf, READ, dma_buf.as_raw_fd()), Err(EINVAL));
        assert_eq!(import_sync_file(&dma_buf, READ, -1), Err(EINVAL));
    }

    fn what_only_looks_alike_is_no_dma_buf_and_no_sync_file() {
        let memory = memfd(page(), libc::F_SEAL_SHRINK);
        assert_eq!(sync(&memory, READ), Err(ENOTTY));
        assert_eq!(export_sync_file(&memory, READ).map(drop), Err(ENOTTY));
        assert_eq!(ioctl(&eventfd(), SYNC_IOC_FILE_INFO, &mut FileInfo::default()), Err(ENOTTY));
        assert_eq!(ioctl(&good(), SYNC_IOC_FILE_INFO, &mut FileInfo::default()), Err(ENOTTY));
        let mut export = SyncFileOf { flags: READ, fd: -1 };
        assert_eq!(ioctl(&sync_file(), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &mut export), Err(ENOTTY));
    }

    fn the_memfd_behind_a_dma_buf_is_not_one_itself() {
        let memory = memfd(page(), libc::F_SEAL_SHRINK);
        let dma_buf = create(&device(), memory.as_raw_fd(), CLOEXEC, 0, page()).expect("UDMABUF_CREATE");
        assert_eq!(sync(&memory, READ), Err(ENOTTY));
        assert_eq!(sync(&dma_buf, READ), Ok(0));
    }

    fn a_dma_buf_is_known_by_what_it_is_and_not_by_its_number() {
        let dma_buf = good();
        let number = dma_buf.as_raw_fd();
        let copy = dma_buf.try_clone().expect("dup");
        drop(dma_buf);
        assert_eq!(sync(&copy, READ), Ok(0));
        let other = reuse_number(&memfd(page(), libc::F_SEAL_SHRINK), number);
        assert_eq!(sync(&other, READ), Err(ENOTTY));
    }

    fn a_child_process_knows_them_too() {
        let (dma_buf, file) = (good(), sync_file());
        // SAFETY: fork(2): the child calls functions that are safe after fork in a process with threads, and leaves by
        // _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let works = sync(&dma_buf, READ) == Ok(0)
                && export_sync_file(&dma_buf, READ).is_ok()
                && ioctl(&file, SYNC_IOC_FILE_INFO, &mut FileInfo::default()) == Ok(0);
            // SAFETY: _exit(2): ends the child at once.
            unsafe { libc::_exit(if works { 0 } else { 1 }) };
        }
        let mut status = -1;
        // SAFETY: waitpid(2): the status is writable.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }

    fn a_dma_buf_received_over_a_socket_is_still_one() {
        let (here, there) = std::os::unix::net::UnixDatagram::pair().expect("socketpair");
        send(&here, &good());
        let received = receive(&there);
        assert_eq!(sync(&received, READ), Ok(0));
        assert_eq!(poll(&export_sync_file(&received, READ).expect("export"), POLLIN), POLLIN);
    }
}

/// Room for one descriptor in a control message, aligned as `cmsghdr` wants it.
#[repr(align(8))]
struct Control([u8; 64]);

fn message(data: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: msghdr is plain numbers and pointers, for which zero is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = data;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE(3): arithmetic on a length.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    message
}

fn send(socket: &impl AsRawFd, file: &File) {
    let (mut byte, mut control) = ([0_u8], Control([0; 64]));
    let mut data = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let message = message(&mut data, &mut control);
    // SAFETY: CMSG_FIRSTHDR(3): the message has room for a control message.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: CMSG_LEN(3): arithmetic on a length.
    let length = unsafe { libc::CMSG_LEN(4) } as _;
    let head = libc::cmsghdr {
        cmsg_len: length,
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    // SAFETY: the header lies in `control`, which is aligned for it.
    unsafe { header.write(head) };
    // SAFETY: CMSG_DATA(3): the address after the header, within `control`.
    let payload = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: there are four bytes for the descriptor.
    unsafe { payload.cast::<RawFd>().write_unaligned(file.as_raw_fd()) };
    // SAFETY: sendmsg(2): everything that the message points at lives until here.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) };
    assert_eq!(sent, 1);
}

fn receive(socket: &impl AsRawFd) -> File {
    let (mut byte, mut control) = ([0_u8], Control([0; 64]));
    let mut data = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut message = message(&mut data, &mut control);
    // SAFETY: recvmsg(2): everything that the message points at is writable and lives until here.
    let received =
        unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    assert_eq!(received, 1);
    // SAFETY: CMSG_FIRSTHDR(3): recvmsg has filled the message in.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    assert!(!header.is_null(), "a descriptor came");
    // SAFETY: CMSG_DATA(3): the address after the header, within `control`.
    let payload = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: four bytes came with the one descriptor that was sent.
    let fd = unsafe { payload.cast::<RawFd>().read_unaligned() };
    // SAFETY: the kernel has just made this descriptor for this process, and nobody else has it.
    unsafe { File::from_raw_fd(fd) }
}
