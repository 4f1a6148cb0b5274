//! Turns of one Vulkan image exclude each other: inside themselves, and between threads.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ash::vk;
use lucarne::vulkan::{self, Access, Image};
use lucarne::{Error, Extent, Fence, Format, MemoryPath};
use lucarne_tests::TIMEOUT;
use lucarne_tests::pair::Pair;

const TO: Access = Access::TransferDestination;
/// A machine that is busy needs seconds at most.
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(60);

fn image(pair: &Pair) -> Arc<Image> {
    let extent = Extent::new(16, 16);
    let agreement = pair.agree(MemoryPath::HostMemory, Format::XRGB8888, extent);
    let image = pair.vk.export(&agreement.expect("an agreement"));
    Arc::new(image.expect("an image"))
}

fn write(
    device: &vulkan::Device,
    image: &Image,
    timeout: Duration,
    record: impl FnOnce(vk::CommandBuffer),
) -> Result<Fence, Error> {
    device.write(image, &Fence::Signaled, timeout, TO, record)
}

/// Runs `body` on a thread, with a deadline: what locks itself does so for ever.
fn within_deadline(body: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        body();
        done.send(()).expect("the test waits");
    });
    match ended.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it waits for itself"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => thread.join().expect("no panic"),
    }
}

fn assert_refused(result: Result<(), Error>) {
    let error = result.expect_err("the image's own turn");
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    assert!(error.to_string().contains("being recorded"), "{error}");
}

#[test]
fn a_turn_inside_the_images_own_turn_is_refused() {
    let pair = Pair::open();
    let (device, image) = (pair.vk.clone(), image(&pair));
    within_deadline(move || {
        let nested = |commands| {
            assert_refused(write(&device, &image, TIMEOUT, |_| {}).map(drop));
            assert_refused(
                device
                    .upload(&image, &Fence::Signaled, TIMEOUT, &[0; 1024])
                    .map(drop),
            );
            let family = device.queue_family();
            // SAFETY: Image::acquire_barrier: recording, outside a render pass; nothing is recorded, as it is refused.
            assert_refused(unsafe { image.acquire_barrier(commands, family, TO) });
            // SAFETY: as above.
            assert_refused(unsafe { image.release_barrier(commands, TO) });
        };
        drop(write(&device, &image, TIMEOUT, nested).expect("the outer turn"));
        drop(write(&device, &image, TIMEOUT, |_| {}).expect("the next one"));
    });
    pair.assert_valid();
}

#[test]
fn a_turn_on_another_thread_is_waited_for() {
    let pair = Pair::open();
    let (device, image) = (pair.vk.clone(), image(&pair));
    within_deadline(move || {
        let (begun, begins) = mpsc::channel();
        let (let_go, goes_on) = mpsc::channel();
        let (other, same) = (device.clone(), Arc::clone(&image));
        let first = thread::spawn(move || {
            let slow = |_| {
                begun.send(()).expect("the test waits");
                goes_on.recv().expect("the test lets go");
            };
            write(&other, &same, TIMEOUT, slow).map(drop)
        });
        begins.recv().expect("begun");
        let start = Instant::now();
        let error = write(&device, &image, SHORT, |_| {}).expect_err("the other's turn");
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
        // SAFETY: Image::release_barrier: refused, so that nothing is recorded.
        let barrier = unsafe { image.release_barrier(vk::CommandBuffer::null(), TO) };
        assert_refused(barrier);
        let later = thread::spawn(move || {
            thread::sleep(SHORT);
            let_go.send(()).expect("the first waits");
        });
        drop(write(&device, &image, TIMEOUT, |_| {}).expect("after the other's turn"));
        first.join().expect("no panic").expect("its turn");
        later.join().expect("no panic");
    });
    pair.assert_valid();
}

/// A closure that panics ends its turn.
#[test]
fn a_turn_that_panics_is_over() {
    let pair = Pair::open();
    let image = image(&pair);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        write(&pair.vk, &image, TIMEOUT, |_| panic!("on purpose")).map(drop)
    }));
    panicked.expect_err("the closure's panic");
    drop(write(&pair.vk, &image, TIMEOUT, |_| {}).expect("the next turn"));
    pair.assert_valid();
}
