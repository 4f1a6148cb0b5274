//! Turns: every way out of every state gives the frame back once, gated by the right fence; and how fences wait.
//!
//! Fences are eventfds here: like a sync_file, an eventfd polls as readable once it has signalled.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lucarne::{
    DeviceId, Error, Extent, Fence, Format, Frame, FrameLayout, Free, Lent, Memory, Pool, Received,
    Sent, Writing,
    kernel::{Memfd, SyncFile},
};
use rustix::event::EventfdFlags;

/// Far beyond what any test here takes.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(60);

fn frame() -> Frame {
    let (layout, size) =
        FrameLayout::linear(Extent::new(4, 4), Format::XRGB8888).expect("a layout");
    let memory = Memfd::create("lucarne-test", size).expect("a memfd");
    Frame::new(layout, Memory::HostMemory(memory), DeviceId::default()).expect("a frame")
}

fn pool(frames: usize) -> Pool {
    Pool::new((0..frames).map(|_| frame()).collect())
}

/// A fence that has not signalled, and what makes it signal.
fn unsignaled() -> (Fence, OwnedFd) {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let event = rustix::event::eventfd(0, flags).expect("an eventfd");
    let signal = event.try_clone().expect("a descriptor");
    (Fence::sync_file(SyncFile::stand_in(event)), signal)
}

fn signal(event: &OwnedFd) {
    let written = rustix::io::write(event, &1_u64.to_ne_bytes()).expect("room for one");
    assert_eq!(written, 8);
}

/// Whether both are the same kernel fence, or both none.
#[track_caller]
fn assert_same(got: &Fence, want: &Fence) {
    let same = match (got, want) {
        (Fence::SyncFile(got), Fence::SyncFile(want)) => Arc::ptr_eq(got, want),
        (Fence::Signaled, Fence::Signaled) => true,
        _ => false,
    };
    assert!(same, "gated by {got:?}, must be {want:?}");
}

/// The frame is back in its pool of one, once, and the next writer waits for `gate`.
#[track_caller]
fn assert_back(pool: &Pool, gate: &Fence) {
    assert_eq!(pool.free(), 1, "the frame is back, once");
    let (writing, release) = pool.acquire().expect("a free frame").acquire();
    assert_same(&release, gate);
    assert!(pool.acquire().is_none(), "there is only one");
    // Puts it back as it came.
    drop(writing);
    assert_eq!(pool.free(), 1);
}

fn free(pool: &Pool) -> Free {
    pool.acquire().expect("a free frame")
}

fn writing(pool: &Pool) -> Writing {
    free(pool).acquire().0
}

#[test]
fn frames_start_free_and_ungated_in_order() {
    let pool = pool(3);
    assert_eq!((pool.free(), pool.frames().len()), (3, 3));
    let out: Vec<Free> = (0..3).map(|_| free(&pool)).collect();
    assert!(pool.acquire().is_none());
    assert_eq!(pool.free(), 0);
    for (index, free) in out.into_iter().enumerate() {
        assert_eq!(free.index(), index);
        assert!(free.frame().same_memory(&pool.frames()[index]));
        let (writing, gate) = free.acquire();
        assert_eq!(writing.index(), index);
        assert_same(&gate, &Fence::Signaled);
    }
    assert_eq!(pool.free(), 3);
}

#[test]
fn an_empty_pool_has_nothing_to_give() {
    let pool = Pool::new(Vec::new());
    assert!(pool.acquire().is_none());
    assert_eq!(pool.free(), 0);
}

#[test]
fn the_frame_that_came_back_first_goes_out_first() {
    let pool = pool(3);
    let [a, b, c] = [0, 1, 2].map(|_| free(&pool));
    drop(b);
    drop(c);
    drop(a);
    let order: Vec<usize> = [0, 1, 2]
        .map(|_| free(&pool))
        .iter()
        .map(Free::index)
        .collect();
    assert_eq!(order, [1, 2, 0]);
}

#[test]
fn a_released_frame_is_gated_by_its_release_fence() {
    let pool = pool(1);
    let (acquire, _signal) = unsignaled();
    let (release, _signal_release) = unsignaled();
    let sent = writing(&pool).send(acquire.clone());
    let (reading, gate) = sent.receive().acquire();
    assert_same(&gate, &acquire);
    assert_eq!(pool.free(), 0, "it is being read");
    reading.release(release.clone());
    assert_back(&pool, &release);
}

#[test]
fn free_and_writing_frames_dropped_keep_their_release_fence() {
    let pool = pool(1);
    let (release, _signal) = unsignaled();
    let (reading, _) = writing(&pool).send(Fence::Signaled).receive().acquire();
    reading.release(release.clone());
    drop(free(&pool));
    assert_back(&pool, &release);
    drop(writing(&pool));
    assert_back(&pool, &release);
}

#[test]
fn a_frame_that_was_written_and_not_read_is_gated_by_its_acquire_fence() {
    let pool = pool(1);
    for received in [false, true] {
        let (acquire, _signal) = unsignaled();
        let sent = writing(&pool).send(acquire.clone());
        assert_eq!(pool.free(), 0);
        if received {
            drop(sent.receive());
        } else {
            drop(sent);
        }
        assert_back(&pool, &acquire);
    }
}

#[test]
fn a_reader_that_drops_its_frame_unread_leaves_the_writers_fence() {
    let pool = pool(1);
    let (acquire, _signal) = unsignaled();
    let (reading, _) = writing(&pool).send(acquire.clone()).receive().acquire();
    drop(reading);
    assert_back(&pool, &acquire);
}

#[test]
fn a_reader_that_drops_its_frame_first_waits_for_its_reads() {
    let pool = Arc::new(pool(1));
    let (acquire, _signal) = unsignaled();
    let (reading, _) = writing(&pool).send(acquire).receive().acquire();
    let calls = Arc::new(AtomicU32::new(0));
    let (counted, watched) = (Arc::clone(&calls), Arc::clone(&pool));
    let reading = reading.on_drop(move || {
        assert_eq!(watched.free(), 0, "the frame must not be back yet");
        counted.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    drop(reading);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_back(&pool, &Fence::Signaled);
}

#[test]
fn a_release_cancels_what_a_drop_would_do() {
    let pool = pool(1);
    let (reading, _) = writing(&pool).send(Fence::Signaled).receive().acquire();
    let called = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&called);
    let reading = reading.on_drop(move || flag.store(true, Ordering::Relaxed));
    let (release, _signal) = unsignaled();
    reading.release(release.clone());
    assert!(!called.load(Ordering::Relaxed));
    assert_back(&pool, &release);
}

#[test]
fn a_panic_gives_the_frame_back_too() {
    let pool = Arc::new(pool(1));
    for step in 0..3 {
        let shared = Arc::clone(&pool);
        let ended = thread::spawn(move || {
            let writing = writing(&shared);
            if step == 0 {
                // Like a panic, without the message.
                std::panic::resume_unwind(Box::new(writing.index()));
            }
            let sent = writing.send(Fence::Signaled);
            if step == 1 {
                std::panic::resume_unwind(Box::new(sent.index()));
            }
            let (reading, _) = sent.receive().acquire();
            std::panic::resume_unwind(Box::new(reading.index()));
        });
        assert!(ended.join().is_err());
        assert_back(&pool, &Fence::Signaled);
    }
}

#[test]
fn frames_outlive_their_pool() {
    let pool = pool(1);
    let memory = pool.frames()[0].clone();
    let sent = writing(&pool).send(Fence::Signaled);
    drop(pool);
    let (reading, _) = sent.receive().acquire();
    assert!(reading.frame().same_memory(&memory));
    reading.release(Fence::Signaled);
}

#[test]
fn readers_elsewhere_gate_the_next_writer() {
    let pool = pool(1);
    let (acquire, _signal) = unsignaled();
    let (release, _signal_release) = unsignaled();
    writing(&pool).send(acquire).release(release.clone());
    assert_back(&pool, &release);
}

/// A frame of somebody else's, who hears how it came back.
struct Foreign {
    frame: Frame,
    home: mpsc::Sender<Option<Fence>>,
}

impl Lent for Foreign {
    type Returned = Result<(), &'static str>;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn index(&self) -> usize {
        7
    }

    fn give_back(&mut self, release: Option<Fence>) -> Self::Returned {
        self.home.send(release).map_err(|_| "nobody is at home")
    }
}

#[test]
fn whoever_lends_a_frame_gets_it_back_once_in_every_way() {
    let (home, back) = mpsc::channel();
    let (acquire, _signal) = unsignaled();
    let (release, _signal_release) = unsignaled();
    let lend = || {
        let home = home.clone();
        let frame = frame();
        Received::new(Foreign { frame, home }, acquire.clone())
    };
    let read = || {
        let (reading, gate) = lend().acquire();
        assert_same(&gate, &acquire);
        assert_eq!(reading.index(), 7);
        assert!(reading.home.send(None).is_ok(), "what the lender knows");
        assert!(back.recv().expect("what was just sent").is_none());
        reading
    };
    let once = || {
        let came = back.try_recv().expect("it is back");
        assert!(back.try_recv().is_err(), "it came back twice");
        came
    };

    drop(lend());
    assert!(once().is_none(), "nobody has read it");
    drop(read());
    assert!(once().is_none(), "nobody has read it");
    read().release(release.clone()).expect("a lender");
    assert_same(&once().expect("a fence"), &release);
    drop(read().on_drop(|| {}));
    assert_same(&once().expect("a fence"), &Fence::Signaled);
    let unwound = lend();
    let ended = thread::spawn(move || std::panic::resume_unwind(Box::new(unwound.index())));
    assert!(ended.join().is_err());
    assert!(once().is_none(), "nobody has read it");

    let last = read();
    drop(back);
    assert_eq!(last.release(Fence::Signaled), Err("nobody is at home"));
}

#[test]
fn states_that_pass_between_threads_may() {
    fn sends<T: Send>() {}
    sends::<Pool>();
    sends::<Free>();
    sends::<Writing>();
    sends::<Sent>();
    sends::<Received>();
    sends::<Fence>();
}

/// The next frame that comes back.
fn next(pool: &Pool) -> Free {
    let start = Instant::now();
    loop {
        match pool.acquire() {
            Some(free) => return free,
            None => thread::yield_now(),
        }
        assert!(start.elapsed() < LONG, "a frame is lost");
    }
}

/// Two writers and a reader share three frames: nobody ever holds a frame that another holds, and none is lost.
#[test]
fn threads_share_a_pool() {
    const TURNS: usize = 2000;
    let pool = pool(3);
    let held: [AtomicBool; 3] = Default::default();
    let read = AtomicU32::new(0);
    let (to_reader, from_writers) = mpsc::channel::<Sent>();
    thread::scope(|scope| {
        for _ in 0..2 {
            let to_reader = to_reader.clone();
            scope.spawn(|| {
                let to_reader = to_reader;
                for _ in 0..TURNS {
                    let free = next(&pool);
                    let already = held[free.index()].swap(true, Ordering::SeqCst);
                    assert!(!already, "frame {} is held twice", free.index());
                    let sent = free.acquire().0.send(Fence::Signaled);
                    to_reader.send(sent).expect("the reader lives");
                }
            });
        }
        drop(to_reader);
        for sent in from_writers {
            let (reading, _) = sent.receive().acquire();
            assert!(held[reading.index()].swap(false, Ordering::SeqCst));
            read.fetch_add(1, Ordering::Relaxed);
            reading.release(Fence::Signaled);
        }
    });
    assert_eq!(read.load(Ordering::Relaxed), 2 * 2000);
    assert_eq!(pool.free(), 3);
}

fn sync_file(fence: &Fence) -> &SyncFile {
    let Fence::SyncFile(file) = fence else {
        panic!("{fence:?}");
    };
    file
}

#[track_caller]
fn assert_times_out(fence: &Fence, timeout: Duration) {
    let start = Instant::now();
    let error = fence.wait(timeout).expect_err("nothing signals it");
    assert!(start.elapsed() >= timeout, "only {:?}", start.elapsed());
    let text = error.to_string();
    let Error::Timeout { after, .. } = error else {
        panic!("{text}");
    };
    assert_eq!(after, timeout);
    let limit = format!("within {} ms", timeout.as_millis());
    assert!(text.contains("signal") && text.contains(&limit), "{text}");
}

#[test]
fn a_fence_signals_once_and_for_all() {
    let (fence, event) = unsignaled();
    let copy = fence.clone();
    let other = SyncFile::stand_in(sync_file(&fence).duplicate().expect("a descriptor"));
    assert!(!sync_file(&fence).is_signaled().expect("an answer"));
    assert!(!other.is_signaled().expect("an answer"));
    signal(&event);
    for _ in 0..2 {
        assert!(sync_file(&fence).is_signaled().expect("an answer"));
        fence.wait(Duration::ZERO).expect("it has signalled");
        copy.wait(LONG).expect("it has signalled");
        other.wait(Duration::ZERO).expect("it has signalled");
    }
    Fence::Signaled.wait(Duration::ZERO).expect("already");
}

#[test]
fn a_fence_that_does_not_signal_ends_at_the_deadline() {
    let (fence, _event) = unsignaled();
    assert_times_out(&fence, Duration::ZERO);
    assert_times_out(&fence, Duration::from_micros(1500));
    assert_times_out(&fence, SHORT);
}

#[test]
fn a_wait_ends_when_the_fence_signals() {
    // The longest duration is no deadline at all.
    for timeout in [
        LONG,
        Duration::from_secs(u64::from(u32::MAX)),
        Duration::MAX,
    ] {
        let (fence, event) = unsignaled();
        let waiter = thread::spawn(move || fence.wait(timeout));
        thread::sleep(Duration::from_millis(20));
        assert!(!waiter.is_finished(), "it must wait for the signal");
        signal(&event);
        waiter.join().expect("no panic").expect("a signal");
    }
}

extern "C" fn on_signal(_: libc::c_int) {}

/// Installs a handler without `SA_RESTART`, so that system calls are interrupted.
fn handle_signals() {
    // SAFETY: sigaction is plain data, and all zeroes is "no flags, nothing blocked".
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    // SAFETY: sigaction(2) reads `action`; the handler does nothing, which is async-signal-safe.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// Interrupts `waiter` every few milliseconds until it ends.
fn interrupt<T>(waiter: &thread::JoinHandle<T>) {
    while !waiter.is_finished() {
        // SAFETY: pthread_kill(3) with a thread that has not been joined.
        let result = unsafe { libc::pthread_kill(waiter.as_pthread_t(), libc::SIGUSR1) };
        // It may have ended since.
        assert!(result == 0 || result == libc::ESRCH, "{result}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn signals_neither_end_nor_prolong_a_wait() {
    handle_signals();
    let (fence, _event) = unsignaled();
    let waiter = thread::spawn(move || {
        let start = Instant::now();
        assert_times_out(&fence, SHORT);
        start.elapsed()
    });
    interrupt(&waiter);
    let took = waiter.join().expect("no panic");
    assert!(took < LONG, "{took:?}: each signal must not start anew");
    let (fence, _event) = unsignaled();
    let asker = thread::spawn(move || {
        let start = Instant::now();
        while start.elapsed() < SHORT {
            let signaled = sync_file(&fence).is_signaled();
            assert!(!signaled.expect("signals are no answer"));
        }
    });
    interrupt(&asker);
    asker.join().expect("no panic");
}

#[test]
fn descriptors_that_are_no_fences_are_errors_not_waits() {
    let (reader, writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    drop(writer);
    let hung_up = SyncFile::stand_in(reader);
    let (reader, writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    drop(reader);
    let broken = SyncFile::stand_in(writer);
    for file in [hung_up, broken] {
        let start = Instant::now();
        for error in [
            file.wait(LONG).expect_err("it will never signal"),
            file.is_signaled().expect_err("it is no fence"),
        ] {
            let text = error.to_string();
            assert!(matches!(error, Error::Os { .. }), "{text}");
            assert!(text.contains("poll of a sync_file"), "{text}");
        }
        assert!(start.elapsed() < LONG);
    }
}

#[test]
fn duplicates_of_fences_are_not_inherited() {
    let (fence, _event) = unsignaled();
    let copy = sync_file(&fence).duplicate().expect("a descriptor");
    let flags = rustix::io::fcntl_getfd(copy.as_fd()).expect("open");
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn a_sent_frame_that_its_lender_takes_back_is_free_past_the_others() {
    let pool = pool(2);
    let (writing, _gate) = pool.acquire().expect("a free frame").acquire();
    let (drawn, _event) = unsignaled();
    let free = writing.send(drawn.clone()).take_back();
    assert_eq!((free.index(), pool.free()), (0, 1));
    let (writing, gate) = free.acquire();
    assert_same(&gate, &drawn);
    assert_same(writing.gate(), &drawn);
    drop(writing);
    assert_eq!(pool.free(), 2, "it is in its pool, once");
}
