//! Turns in Vulkan, on every path.

use lucarne::vulkan::{Access, Device, Image};
use lucarne::{Extent, Fence, Format, MemoryPath, Offer, Request, Usage, negotiate};
use lucarne_tests::TIMEOUT;
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::skip_case;

use super::allocations;

/// Enough for one allocation in each to show.
const TURNS: u64 = 20;

/// Allocations of this thread in some turns, after the first few.
fn counted(turn: impl Fn()) -> u64 {
    for _ in 0..3 {
        turn();
    }
    allocations(|| {
        for _ in 0..TURNS {
            turn();
        }
    })
}

fn image(vk: &Device, consumer: &Offer, path: MemoryPath) -> Option<Image> {
    let usage = Usage::TRANSFER_DESTINATION | Usage::TRANSFER_SOURCE;
    let request = Request::new(Extent::new(64, 48))
        .formats(&[Format::XRGB8888])
        .paths(&[path])
        .usage(usage, Usage::SAMPLE);
    let offer = vk.offer(usage).expect("an offer");
    match negotiate(&offer, consumer, &request) {
        Ok(agreement) => Some(vk.export(&agreement).expect("an image")),
        Err(refusal) => {
            skip_case(path.name(), &refusal.to_string());
            None
        }
    }
}

fn turns(vk: &Device, image: &Image, access: Access) -> u64 {
    counted(|| {
        let none = Fence::Signaled;
        let fence = match access {
            Access::TransferSource => vk.read(image, &none, TIMEOUT, access, |_| {}),
            _ => vk.write(image, &none, TIMEOUT, access, |_| {}),
        };
        assert!(fence.is_ok(), "a turn");
    })
}

fn check(vk: &Device, path: MemoryPath, image: &Image) {
    // A GPU's sync_file is shared by handle: one allocation.
    let exports = vk.offer(Usage::RENDER).expect("an offer").fences.export;
    let allowed = if exports.is_yes() { TURNS } else { 0 };
    let wrote = turns(vk, image, Access::TransferDestination);
    assert!(wrote <= allowed, "{path}: {wrote} in {TURNS} writes");
    let imported = vk.import(image.frame(), image.usage());
    let imported = imported.expect("its own frame");
    let read = turns(vk, &imported, Access::TransferSource);
    assert!(read <= allowed, "{path}: {read} in {TURNS} reads");
}

#[test]
fn a_turn_allocates_nothing() {
    let pair = Pair::open();
    let consumer = pair.consumer();
    for path in MemoryPath::ALL {
        if let Some(image) = image(&pair.vk, &consumer, path) {
            check(&pair.vk, path, &image);
        }
    }
    // Without extensions both sides copy, and so does the CPU.
    let adapter = pair.vk.adapter();
    let (queue, family) = (pair.vk.queue(), pair.vk.queue_family());
    // SAFETY: Device::from_raw: the pair's device lives on. Fewer extensions than it has make it do less.
    let bare = unsafe { Device::from_raw(adapter, pair.vk.raw().clone(), queue, family, &[]) };
    let bare = bare.expect("a device");
    let path = MemoryPath::HostMemory;
    let image = image(&bare, &consumer, path).expect("always there");
    assert_eq!(image.copies_per_frame(), 2);
    check(&bare, path, &image);
    drop((image, bare));
    pair.assert_valid();
}
