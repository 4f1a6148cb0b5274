//! A few buffers that come with new descriptors for each frame are imported once each, by every backend.

use std::os::fd::{AsFd, OwnedFd};

use lucarne::cpu::Allocator;
use lucarne::kernel::{DmaBuf, Memfd};
use lucarne::{Extent, Fence, Format, Frame, FrameLayout, ImportCache, Memory, Usage};
use lucarne_tests::cpu::{can, open, read, write};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::{TIMEOUT, pattern};

const FORMAT: Format = Format::ABGR8888;
const EXTENT: Extent = Extent::new(16, 16);
const FRAMES: u32 = 300;

/// Three frames, each with its own pattern.
fn buffers(allocator: &Allocator) -> Vec<Frame> {
    let device = open(allocator);
    let info = FORMAT.info().expect("known");
    let offer = device.offer(Usage::SAMPLE).expect("an offer");
    let request = lucarne::Request::new(EXTENT).formats(&[FORMAT]);
    let agreement = lucarne::negotiate(&offer, &offer, &request).expect("an agreement");
    let frames = (0..3).map(|number| {
        let image = device.export(&agreement).expect("a frame");
        let bytes = [pattern::bytes(info, EXTENT, number)];
        let written = write(&image, &Fence::Signaled, &bytes);
        written.wait(TIMEOUT).expect("written");
        image.frame().clone()
    });
    frames.collect()
}

fn copy(fd: impl AsFd) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).expect("a descriptor")
}

/// The same buffer as a peer would send it: nothing of it is known but the descriptor and the layout.
fn sent_again(frame: &Frame) -> Frame {
    let memory = match frame.memory() {
        Memory::DmaBuf(buffers) => {
            let again = buffers.iter().map(|one| DmaBuf::new(copy(one)));
            Memory::DmaBuf(again.collect::<Result<_, _>>().expect("dma-bufs"))
        }
        Memory::HostMemory(memfd) => Memory::HostMemory(Memfd::new(copy(memfd)).expect("a memfd")),
        Memory::OpaqueFd(_) => panic!("the CPU makes none"),
    };
    Frame::new(frame.layout().clone(), memory, frame.device().clone()).expect("a frame")
}

#[test]
fn three_buffers_are_three_imports_whatever_their_descriptors() {
    let pair = Pair::open();
    for allocator in [Allocator::HostMemory, Allocator::Udmabuf] {
        if !can(&allocator, &pair.vk.offer(USAGE).expect("an offer")) {
            continue;
        }
        let buffers = buffers(&allocator);
        let (cpu, reader) = (open(&allocator), Reader::new(&pair.gl));
        let mut images = ImportCache::new(4);
        let mut textures = ImportCache::new(4);
        let mut mapped = ImportCache::new(4);
        for number in 0..FRAMES {
            let which = number % 3;
            let frame = sent_again(&buffers[which as usize]);
            let info = FORMAT.info().expect("known");
            let expected = pattern::bytes(info, EXTENT, which);

            let image = images.get_or_import(&frame, |frame| pair.vk.import(frame, USAGE));
            let image = image.expect("an image");
            let texture = textures.get_or_import(&frame, |frame| pair.gl.import(frame));
            let texture = texture.expect("a texture");
            let map = mapped.get_or_import(&frame, |frame| cpu.import(frame));
            assert_eq!(read(map.expect("mapped"), &Fence::Signaled).0[0], expected);
            if number >= FRAMES - 3 {
                let pixels = pair.vk.download(image, &Fence::Signaled, TIMEOUT);
                assert_eq!(pixels.expect("pixels"), expected);
                let turn = pair.gl.read(texture, &Fence::Signaled, TIMEOUT);
                turn.expect("a turn");
                pattern::assert_equal(FORMAT, EXTENT, which, &reader.read(texture));
            }
        }
        let counts = [images.imports(), textures.imports(), mapped.imports()];
        assert_eq!(counts, [3; 3], "{allocator:?}");
        assert_eq!(images.len(), 3);
    }
    pair.assert_valid();
}

const USAGE: Usage = Usage::TRANSFER_SOURCE;

fn host_frame(memory: &Memfd, width: u32) -> Frame {
    let layout = FrameLayout::linear(Extent::new(width, 4), FORMAT)
        .expect("a layout")
        .0;
    let memory = Memory::HostMemory(Memfd::new(copy(memory)).expect("a memfd"));
    Frame::new(layout, memory, lucarne::DeviceId::default()).expect("a frame")
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let memory: Vec<Memfd> = (0..3)
        .map(|_| Memfd::create("lucarne-test", 1 << 16).expect("memory"))
        .collect();
    let mut cache = ImportCache::new(2);
    let mut get = |number: usize| {
        let frame = host_frame(&memory[number], 4);
        *cache.get_or_import(&frame, |_| Ok(number)).expect("made")
    };
    // 0 is used after 1, so that 2 takes the place of 1.
    for number in [0, 1, 0, 2, 0] {
        assert_eq!(get(number), number);
    }
    assert_eq!((cache.imports(), cache.len()), (3, 2));
    // Another picture in the same memory is another import.
    let wider = host_frame(&memory[0], 8);
    let made = cache.get_or_import(&wider, |_| Ok(7)).expect("made");
    assert_eq!(*made, 7);
    // What cannot be imported costs nobody their place.
    let third = host_frame(&memory[1], 4);
    let refused = |_: &Frame| {
        Err(lucarne::Error::NotCurrent {
            call: "a call",
            found: "nothing is",
            help: "",
        })
    };
    cache.get_or_import(&third, refused).expect_err("refused");
    let kept = cache.get_or_import(&wider, |_| Ok(8)).expect("kept");
    assert_eq!(*kept, 7);
    assert_eq!((cache.imports(), cache.len()), (4, 2));
    cache.clear();
    assert!(cache.is_empty());
}
