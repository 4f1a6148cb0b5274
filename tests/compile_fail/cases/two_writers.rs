//! One free frame makes one writer.

use lucarne::Free;

fn produce(free: Free) {
    let (first, _fence) = free.acquire();
    let (second, _fence) = free.acquire();
    drop((first, second));
}

fn main() {
    let _ = produce;
}
