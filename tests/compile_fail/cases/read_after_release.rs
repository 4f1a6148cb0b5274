//! A frame that has been released is no longer the reader's.

use lucarne::{Fence, Frame, Received};

fn show(_: &Frame) {}

fn consume(received: Received) {
    let (reading, _fence) = received.acquire();
    reading.release(Fence::Signaled);
    show(reading.frame());
}

fn main() {
    let _ = consume;
}
