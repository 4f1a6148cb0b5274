//! A frame that has been sent is no longer the writer's.

use lucarne::{Fence, Writing};

fn draw(_: &Writing) {}

fn produce(writing: Writing) {
    let sent = writing.send(Fence::Signaled);
    draw(&writing);
    drop(sent);
}

fn main() {
    let _ = produce;
}
