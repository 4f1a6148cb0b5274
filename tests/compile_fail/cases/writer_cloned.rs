//! A turn cannot be copied.

use lucarne::{Fence, Writing};

fn produce(writing: Writing) {
    let other = writing.clone();
    drop(other.send(Fence::Signaled));
    drop(writing.send(Fence::Signaled));
}

fn main() {
    let _ = produce;
}
