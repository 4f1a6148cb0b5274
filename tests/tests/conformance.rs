//! What the matrix of lucarne-conformance does not say: whether buffers are real, rings in turns, and the ladder.

use lucarne::negotiate::Rung;
use lucarne::{Extent, Format, Memory, MemoryPath, Pool, kernel::DmaBufKind};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, in_guest, pattern};

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
        let writer = Writer::new(&pair.vk);
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
        assert!(!refused.reason.to_string().is_empty(), "{}", refused.rung);
        eprintln!("{refused}");
    }
    eprintln!("taken: {}", agreement.rung);
}
