//! A stream with both ends in one process: what happens is told, turns come back whatever goes wrong, and data kept with an image
//! ends with it.

mod common;

use std::ffi::{CStr, CString, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{filled, made};
use lucarne_capi::ffi::*;
use tempfile::TempDir;

const SECOND: u64 = 1_000_000_000;
const LONG: u64 = 60 * SECOND;

/// Both ends, connected.
struct Ends {
    // Dropped in this order.
    consumer: Option<Box<lucarne_consumer>>,
    producer: Option<Box<lucarne_producer>>,
    device: Box<lucarne_device>,
    _folder: TempDir,
}

fn device() -> Box<lucarne_device> {
    made(|place| lucarne_cpu_device_open(LUCARNE_ALLOCATOR_HOST_MEMORY, Some(place), None))
}

fn request(width: u32) -> Box<lucarne_request> {
    made(|place| lucarne_request_new(width, 32, Some(place), None))
}

impl Ends {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = CString::new(folder.path().to_str().expect("UTF-8")).expect("no NUL");
        let device = device();
        let request = request(64);
        let slots = lucarne_producer_options {
            slots: 2,
            patience: LONG,
            ..Default::default()
        };
        let producer = made(|place| {
            let (path, name) = (path.as_ptr(), c"c".as_ptr());
            // SAFETY: both strings end with a NUL.
            unsafe {
                lucarne_producer_bind(
                    path,
                    name,
                    Some(&device),
                    Some(&request),
                    Some(&slots),
                    Some(place),
                    None,
                )
            }
        });
        let every = lucarne_consumer_options {
            delivery: LUCARNE_DELIVERY_EVERY,
            ..Default::default()
        };
        let consumer = made(|place| {
            let (path, name) = (path.as_ptr(), c"c".as_ptr());
            // SAFETY: both strings end with a NUL.
            unsafe {
                lucarne_consumer_connect(
                    path,
                    name,
                    Some(&device),
                    LUCARNE_USAGE_SAMPLE,
                    Some(&every),
                    SECOND,
                    Some(place),
                    None,
                )
            }
        });
        lucarne_request_free(Some(request));
        let mut ends = Self {
            consumer: Some(consumer),
            producer: Some(producer),
            device,
            _folder: folder,
        };
        ends.serve_until(|ends| lucarne_producer_consumers(ends.producer.as_deref()) == 1);
        ends
    }

    /// Serves both ends until something holds.
    fn serve_until(&mut self, holds: impl Fn(&Self) -> bool) {
        let begun = lucarne_now();
        while !holds(self) {
            assert!(lucarne_now() - begun < LONG, "it never held");
            self.serve();
        }
    }

    fn serve(&mut self) {
        let status = lucarne_producer_dispatch(self.producer.as_deref_mut(), None);
        assert_eq!(status, lucarne_status::Ok);
        let status = lucarne_consumer_dispatch(self.consumer.as_deref_mut(), None);
        assert_eq!(status, lucarne_status::Ok);
    }

    fn acquire(&mut self) -> Box<lucarne_writing> {
        let producer = self.producer.as_deref_mut();
        made(|place| lucarne_producer_acquire(producer, LONG, Some(place), None))
    }

    fn send(&mut self, writing: Option<Box<lucarne_writing>>) -> lucarne_status {
        let fence = made(|place| lucarne_fence_signaled(Some(place), None));
        let producer = self.producer.as_deref_mut();
        lucarne_producer_send(producer, writing, Some(&fence), 7, None, None)
    }

    fn receive(&mut self) -> Box<lucarne_reading> {
        let consumer = self.consumer.as_deref_mut();
        made(|place| lucarne_consumer_receive(consumer, LONG, Some(place), None))
    }

    fn try_receive(&mut self) -> lucarne_status {
        let mut place = MaybeUninit::new(None);
        let status =
            lucarne_consumer_try_receive(self.consumer.as_deref_mut(), Some(&mut place), None);
        // SAFETY: MaybeUninit::assume_init: initialised above, and written by the call.
        lucarne_reading_free(unsafe { place.assume_init() });
        status
    }

    /// Every event so far of one end, as numbers and text.
    fn events(&mut self, of_producer: bool) -> Vec<(lucarne_event_info, String)> {
        let mut found = Vec::new();
        loop {
            let event = if of_producer {
                lucarne_producer_event(self.producer.as_deref_mut())
            } else {
                lucarne_consumer_event(self.consumer.as_deref_mut())
            };
            let Some(event) = event else { return found };
            let info = filled(|place| lucarne_event_describe(Some(&event), Some(place), None));
            // SAFETY: CStr::from_ptr: a string of Lucarne's, while its event lives.
            let text = unsafe { CStr::from_ptr(lucarne_event_text(Some(&event))) };
            found.push((info, text.to_string_lossy().into_owned()));
            lucarne_event_free(Some(event));
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        lucarne_consumer_free(self.consumer.take());
        lucarne_producer_free(self.producer.take());
    }
}

/// Whether an event loop would wake.
fn is_readable(fd: i32) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: poll(2) of one structure of our own.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

#[test]
fn what_happens_is_told_to_both_ends() {
    let mut ends = Ends::new();
    let told = ends.events(true);
    let kinds: Vec<u32> = told.iter().map(|(info, _)| info.kind).collect();
    assert_eq!(
        kinds,
        [LUCARNE_EVENT_JOINED, LUCARNE_EVENT_GENERATION],
        "{told:?}"
    );
    assert_eq!(
        (told[1].0.width, told[1].0.height, told[1].0.rung),
        (64, 32, 4)
    );
    assert_eq!(told[0].0.pid, std::process::id());
    assert_eq!(told[0].0.delivery, LUCARNE_DELIVERY_EVERY);
    assert!(!told[0].1.is_empty(), "the device's name");
    let told = ends.events(false);
    assert_eq!(told[0].0.kind, LUCARNE_EVENT_GENERATION, "{told:?}");
    assert_eq!(told[0].0.acquire_fence, LUCARNE_FENCE_PATH_CPU_WAIT);

    lucarne_producer_end(ends.producer.take());
    assert_eq!(ends.try_receive(), lucarne_status::Ended);
    let told = ends.events(false);
    assert!(
        told.iter()
            .any(|(info, _)| info.kind == LUCARNE_EVENT_ENDED),
        "{told:?}"
    );
}

#[test]
fn an_event_loop_is_woken_by_a_frame() {
    let mut ends = Ends::new();
    assert_eq!(ends.try_receive(), lucarne_status::WouldBlock);
    let fd = lucarne_consumer_fd(ends.consumer.as_deref());
    assert!(!is_readable(fd), "nothing has come");
    let writing = ends.acquire();
    assert_eq!(ends.send(Some(writing)), lucarne_status::Ok);
    assert!(is_readable(fd), "a frame has come");
    assert_eq!(ends.try_receive(), lucarne_status::Ok);
}

#[test]
fn a_frame_is_told_with_its_damage() {
    let mut ends = Ends::new();
    for _ in 0..2 {
        let writing = ends.acquire();
        let none = lucarne_damage::default();
        let fence = made(|place| lucarne_fence_signaled(Some(place), None));
        let damage = [lucarne_damage {
            x: 1,
            y: 2,
            width: 3,
            height: 4,
        }];
        let consumers = filled(|place| {
            let producer = ends.producer.as_deref_mut();
            // SAFETY: the array's own length.
            unsafe {
                lucarne_producer_send_with_damage(
                    producer,
                    Some(writing),
                    Some(&fence),
                    9,
                    damage.as_ptr(),
                    1,
                    Some(place),
                    None,
                )
            }
        });
        assert_eq!(consumers, 1);
        let reading = ends.receive();
        let info = filled(|place| lucarne_reading_describe(Some(&reading), Some(place), None));
        assert_eq!((info.timestamp, info.dropped), (9, 0));
        // The first frame has none before it that it could differ from.
        if info.sequence > 1 {
            assert_eq!((info.has_damage, info.damage_count), (1, 1));
            assert_eq!(info.damage, [damage[0], none, none, none]);
        }
        lucarne_reading_free(Some(reading));
    }
}

#[test]
fn a_turn_that_fails_comes_back() {
    let mut ends = Ends::new();
    // With two slots, one that is lost shows at once.
    for _ in 0..4 {
        let writing = ends.acquire();
        let producer = ends.producer.as_deref_mut();
        let status = lucarne_producer_send(producer, Some(writing), None, 7, None, None);
        assert_eq!(status, lucarne_status::InvalidArgument, "without a fence");
    }
    for _ in 0..4 {
        let writing = ends.acquire();
        assert_eq!(ends.send(Some(writing)), lucarne_status::Ok);
        let reading = ends.receive();
        let status = lucarne_reading_release(Some(reading), None, None);
        assert_eq!(status, lucarne_status::InvalidArgument, "without a fence");
    }
}

#[test]
fn a_pools_turn_is_no_streams() {
    let mut ends = Ends::new();
    let writing = ends.acquire();
    let frame =
        made(|place| lucarne_frame_clone(lucarne_writing_frame(Some(&writing)), Some(place), None));
    let frames = [Some(&*frame)];
    // SAFETY: the array's own length.
    let pool = made(|place| unsafe { lucarne_pool_new(frames.as_ptr(), 1, Some(place), None) });
    let fence = made(|place| lucarne_fence_signaled(Some(place), None));
    let of_pool = made(|place| lucarne_pool_acquire(Some(&pool), Some(place), None));
    assert_eq!(lucarne_pool_free_frames(Some(&pool)), 0);
    assert_eq!(ends.send(Some(of_pool)), lucarne_status::InvalidArgument);
    assert_eq!(lucarne_pool_free_frames(Some(&pool)), 1, "it came back");
    let mut place = MaybeUninit::new(None);
    let status = lucarne_writing_send(Some(writing), Some(&fence), Some(&mut place), None);
    assert_eq!(status, lucarne_status::InvalidArgument);
    // SAFETY: MaybeUninit::assume_init: initialised above, and written by the call.
    assert!(unsafe { place.assume_init() }.is_none());
    // And so did the stream's.
    let (one, two) = (ends.acquire(), ends.acquire());
    lucarne_writing_free(Some(one));
    lucarne_writing_free(Some(two));
}

static ENDED: AtomicU32 = AtomicU32::new(0);

extern "C-unwind" fn count_end(data: *mut c_void) {
    assert!(data.is_null());
    ENDED.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn data_ends_with_its_image() {
    let mut ends = Ends::new();
    for _ in 0..2 {
        let writing = ends.acquire();
        let image = lucarne_writing_image(Some(&writing));
        // SAFETY: `count_end` takes NULL.
        let status = unsafe { lucarne_image_set_data(image, null_mut(), Some(count_end), None) };
        assert_eq!(status, lucarne_status::Ok);
        assert_eq!(lucarne_writing_generation(Some(&writing)), 1);
        assert_eq!(ends.send(Some(writing)), lucarne_status::Ok);
        lucarne_reading_free(Some(ends.receive()));
    }
    let before = ENDED.load(Ordering::Relaxed);
    let wider = request(128);
    let status = lucarne_producer_reconfigure(ends.producer.as_deref_mut(), Some(&wider), None);
    assert_eq!(status, lucarne_status::Ok);
    lucarne_request_free(Some(wider));
    // Each frame of the old size that is still sent is taken, until those of the new one come.
    let mut widths = Vec::new();
    while widths.last() != Some(&128) && widths.len() < 100 {
        let writing = ends.acquire();
        assert_eq!(ends.send(Some(writing)), lucarne_status::Ok);
        let reading = ends.receive();
        let frame = lucarne_reading_frame(Some(&reading));
        let layout = filled(|place| lucarne_frame_describe(frame, Some(place), None));
        widths.push(layout.width);
        lucarne_reading_free(Some(reading));
        ends.serve();
    }
    assert_eq!(widths.last(), Some(&128), "{widths:?}");
    ends.serve_until(|_| ENDED.load(Ordering::Relaxed) > before);
    lucarne_producer_end(ends.producer.take());
    assert_eq!(ENDED.load(Ordering::Relaxed), 2, "once for each image");
    assert_eq!(
        lucarne_device_backend(Some(&ends.device)),
        LUCARNE_BACKEND_CPU
    );
}
