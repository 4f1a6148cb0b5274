//! A frame that is still on its way cannot be read.

use lucarne::{Fence, Sent};

fn consume(sent: Sent) {
    let (reading, _fence) = sent.acquire();
    reading.release(Fence::Signaled);
}

fn main() {
    let _ = consume;
}
