//! Every (path × format × size) that the machine's Vulkan and GL offer each other, pixel by pixel.

use std::collections::BTreeSet;

use lucarne::negotiate::{Offer, Rung};
use lucarne::{DmaBufKind, Extent, Fence, Format, FormatInfo, Memory, MemoryPath, Pool};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, in_guest, pattern};

/// Odd sizes: one pixel, prime numbers, a width no driver aligns to, a height that is not a multiple of 16.
const ODD: [Extent; 4] = [
    Extent::new(1, 1),
    Extent::new(3, 5),
    Extent::new(1366, 767),
    Extent::new(1600, 1068),
];

/// Formats that an offer lists for a path, in table order.
fn formats(offer: &Offer, path: MemoryPath) -> BTreeSet<Format> {
    offer
        .entries
        .iter()
        .filter(|entry| entry.path == path)
        .map(|entry| entry.format)
        .collect()
}

/// Writes two different frames into one image, and checks that one import shows both, in turn.
fn share(pair: &Pair, path: MemoryPath, format: Format, extent: Extent) {
    let info: &FormatInfo = format.info().expect("offered, so known");
    let agreement = pair.agree(path, format, extent).unwrap_or_else(|refusal| {
        panic!("{path} {format} {extent} is in both offers, but: {refusal}")
    });
    let image = pair.vk.export(&agreement).expect("an exported image");
    let reader = Reader::new(&pair.gl);
    let imports = pair.gl.imports();
    let mut gate = Fence::Signaled;
    for frame in 0..2 {
        let bytes = pattern::bytes(info, extent, frame);
        let writer = Writer::new(&pair.vk, bytes.len());
        let acquire = writer
            .write(&image, &gate, &bytes)
            .expect("a written frame");
        let texture = pair.gl.import(image.frame()).expect("an imported frame");
        pair.gl
            .read(&texture, &acquire, TIMEOUT)
            .expect("a turn to read");
        pattern::assert_equal(format, extent, frame, &reader.read(&texture));
        gate = pair.gl.fence(TIMEOUT).expect("a release fence");
    }
    assert_eq!(
        pair.gl.imports(),
        imports + 1,
        "imported once, not per frame"
    );
    pair.assert_valid();
}

/// Shares every format that both sides list; returns how many.
fn every_format(path: MemoryPath) {
    let pair = Pair::open();
    if !can(&pair, path) {
        return;
    }
    let common: Vec<Format> = formats(&pair.producer(), path)
        .intersection(&formats(&pair.consumer(), path))
        .copied()
        .collect();
    assert!(
        common.contains(&Format::XRGB8888) && common.contains(&Format::ABGR8888),
        "the formats of every driver are among the common ones: {common:?}"
    );
    for format in &common {
        share(&pair, path, *format, Extent::new(37, 21));
    }
    eprintln!(
        "{path}: {} formats, pixel for pixel: {}",
        common.len(),
        names(&common)
    );
}

fn names(formats: &[Format]) -> String {
    let names: Vec<&str> = formats.iter().filter_map(|format| format.name()).collect();
    names.join(" ")
}

/// Whether both sides have the path; a skip says why not.
fn can(pair: &Pair, path: MemoryPath) -> bool {
    for offer in [pair.producer(), pair.consumer()] {
        let support = offer.path(path);
        if !support.is_yes() {
            skip(
                path.name(),
                &format!("{}: {}", offer.name, support.reason()),
            );
            return false;
        }
    }
    true
}

fn odd_sizes(path: MemoryPath) {
    let pair = Pair::open();
    if !can(&pair, path) {
        return;
    }
    // In the guest only dma-bufs are new, and a large frame takes half a minute.
    let large = !in_guest() || path == MemoryPath::DmaBuf;
    for extent in ODD.into_iter().filter(|extent| large || extent.width < 100) {
        share(&pair, path, Format::XRGB8888, extent);
    }
    share(&pair, path, Format::ABGR16161616F, Extent::new(33, 7));
}

#[test]
fn every_format_as_dma_buf() {
    every_format(MemoryPath::DmaBuf);
}

#[test]
fn every_format_as_opaque_fd() {
    every_format(MemoryPath::OpaqueFd);
}

#[test]
fn every_format_through_host_memory() {
    every_format(MemoryPath::HostMemory);
}

#[test]
fn odd_sizes_as_dma_buf() {
    odd_sizes(MemoryPath::DmaBuf);
}

#[test]
fn odd_sizes_as_opaque_fd() {
    odd_sizes(MemoryPath::OpaqueFd);
}

#[test]
fn odd_sizes_through_host_memory() {
    odd_sizes(MemoryPath::HostMemory);
}

/// In the guest the kernel makes dma-bufs; elsewhere they may be emulated, and then must say so.
#[test]
fn a_dma_buf_says_whether_the_kernel_made_it() {
    let pair = Pair::open();
    if !can(&pair, MemoryPath::DmaBuf) {
        return;
    }
    let agreement = pair
        .agree(MemoryPath::DmaBuf, Format::XRGB8888, Extent::new(64, 64))
        .expect("an agreement");
    let image = pair.vk.export(&agreement).expect("an exported image");
    let Memory::DmaBuf(buffers) = image.frame().memory() else {
        panic!("a dma-buf was agreed on");
    };
    let buffer = buffers.first().expect("at least one buffer");
    let number = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(buffer));
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).expect("fdinfo");
    let link = std::fs::read_link(format!("/proc/self/fd/{number}")).expect("a link");
    eprintln!("{} {:?}\n{info}", link.display(), buffer.kind());
    // Only dma-bufs have an exporter's name (linux/drivers/dma-buf/dma-buf.c).
    let by_kernel = info.contains("exp_name:");
    assert_eq!(by_kernel, buffer.kind() == DmaBufKind::Kernel);
    assert_eq!(image.frame().is_emulated(), !by_kernel);
    if in_guest() {
        assert!(by_kernel, "the guest has a real /dev/udmabuf: {info}");
    }
}

/// Nine frames around a ring of three, each gated by the fence of the one before it in its slot.
#[test]
fn a_ring_of_three_in_turns() {
    let pair = Pair::open();
    for path in MemoryPath::ALL {
        if can(&pair, path) {
            ring(&pair, path);
        }
    }
}

fn ring(pair: &Pair, path: MemoryPath) {
    let format = Format::ABGR8888;
    let info = format.info().expect("known");
    let extent = Extent::new(40, 30);
    let agreement = pair.agree(path, format, extent).expect("an agreement");
    let images: Vec<_> = (0..3)
        .map(|_| pair.vk.export(&agreement).expect("an exported image"))
        .collect();
    let pool = Pool::new(images.iter().map(|image| image.frame().clone()).collect());
    let reader = Reader::new(&pair.gl);
    let imports = pair.gl.imports();
    for number in 0..9 {
        let (writing, gate) = pool.acquire().expect("a free frame").acquire();
        let bytes = pattern::bytes(info, extent, number);
        let writer = Writer::new(&pair.vk, bytes.len());
        let image = &images[writing.index()];
        let acquire = writer.write(image, &gate, &bytes).expect("a written frame");
        let (reading, acquire) = writing.send(acquire).receive().acquire();
        let texture = pair.gl.import(reading.frame()).expect("a texture");
        pair.gl
            .read(&texture, &acquire, TIMEOUT)
            .expect("a turn to read");
        pattern::assert_equal(format, extent, number, &reader.read(&texture));
        reading.release(pair.gl.fence(TIMEOUT).expect("a release fence"));
    }
    assert_eq!(pool.free(), 3);
    assert_eq!(
        pair.gl.imports(),
        imports + 3,
        "{path}: one import for each image"
    );
    pair.assert_valid();
}

/// The ladder: with everything allowed, the best rung that the machine has is taken, and each better one is explained.
#[test]
fn the_best_rung_is_taken_and_the_others_are_explained() {
    let pair = Pair::open();
    let request = lucarne::Request::new(Extent::new(64, 64))
        .usage(lucarne_tests::pair::PRODUCER, lucarne::Usage::SAMPLE);
    let (producer, consumer) = (pair.producer(), pair.consumer());
    let agreement = lucarne::negotiate(&producer, &consumer, &request).expect("an agreement");
    let refused: Vec<Rung> = agreement
        .refused
        .iter()
        .map(|refused| refused.rung)
        .collect();
    let better: Vec<Rung> = Rung::ALL
        .into_iter()
        .filter(|rung| *rung < agreement.rung)
        .collect();
    assert_eq!(refused, better, "every better rung, and no other");
    for refused in &agreement.refused {
        assert!(!refused.reason.is_empty(), "{}", refused.rung);
        eprintln!("{refused}");
    }
    eprintln!("taken: {}", agreement.rung);
}
