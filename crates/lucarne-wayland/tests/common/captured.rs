//! Frames that screens are captured into.

use std::time::Duration;

use lucarne::cpu::{self, Image};
use lucarne::{Fence, Request, Usage, negotiate};
use lucarne_tests::TIMEOUT;
use lucarne_wayland::{Buffer, Capture, Display};

/// Longer than a compositor takes to see that something has changed.
pub(crate) const SHORT: Duration = Duration::from_millis(200);

/// A frame for the capture, and its buffer.
pub(crate) fn allocate(
    display: &Display,
    capture: &Capture,
    device: &cpu::Device,
) -> (Image, Buffer) {
    let own = device.offer(Usage::all()).expect("an offer");
    let extent = capture.extent().expect("a size");
    let agreement = negotiate(&capture.offer(&own), &own, &Request::new(extent));
    let image = device
        .export(&agreement.expect("something in common"))
        .expect("an image");
    let buffer = display.export(image.frame(), TIMEOUT).expect("a buffer");
    (image, buffer)
}

pub(crate) fn read(image: &Image, fence: &Fence) -> Vec<u8> {
    lucarne_tests::cpu::read(image, fence).0.swap_remove(0)
}
