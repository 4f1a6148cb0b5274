//! The CPU as one end: every format and odd size, between CPUs, to and from Vulkan, to GL, with canaries in the padding.

use lucarne::cpu::{Allocator, Device};
use lucarne::negotiate::{Agreement, Offer};
use lucarne::{
    ColorKind, Extent, Fence, Format, FormatInfo, MemoryPath, Pool, Request, Usage, negotiate,
};
use lucarne_tests::cpu::{can, open, path, plane_bytes, read, system_heap, write};
use lucarne_tests::pair::{PRODUCER, Pair};
use lucarne_tests::reader::Reader;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, canary, in_guest, memory, pattern};

const SMALL: [Extent; 4] = [
    Extent::new(1, 1),
    Extent::new(3, 5),
    Extent::new(37, 21),
    Extent::new(64, 16),
];

fn odd() -> Vec<Extent> {
    let mut extents = SMALL.to_vec();
    if !in_guest() {
        extents.extend([Extent::new(1366, 767), Extent::new(1600, 1068)]);
    }
    extents
}

/// Agrees on one format and one path; the usages are the least that either end says it needs.
fn agree(
    producer: (&Offer, Usage),
    consumer: (&Offer, Usage),
    path: MemoryPath,
    format: Format,
    extent: Extent,
) -> Agreement {
    let request = Request::new(extent)
        .formats(&[format])
        .paths(&[path])
        .usage(producer.1, consumer.1);
    negotiate(producer.0, consumer.0, &request)
        .unwrap_or_else(|refusal| panic!("{path} {format} {extent}: {refusal}"))
}

fn offer(device: &Device, usage: Usage) -> Offer {
    device.offer(usage).expect("an offer")
}

// ---- between CPUs ----

/// Every format of the table, with all its planes, through one memory.
fn between_cpus(allocator: &Allocator) {
    if !memory::can(allocator) {
        return;
    }
    let producer = open(allocator);
    let consumer = open(&Allocator::HostMemory);
    for info in Format::ALL {
        for extent in SMALL {
            let agreement = agree(
                (&offer(&producer, Usage::RENDER), Usage::RENDER),
                (&offer(&consumer, Usage::SAMPLE), Usage::SAMPLE),
                path(allocator),
                info.format,
                extent,
            );
            let written = producer.export(&agreement).expect("an allocated frame");
            let seen = consumer.import(written.frame()).expect("a mapped frame");
            canary::fill(written.frame());
            let mut gate = Fence::Signaled;
            for frame in 0..2 {
                let planes: Vec<Vec<u8>> = (0..info.planes.len())
                    .map(|plane| plane_bytes(&written, plane, frame))
                    .collect();
                let acquire = write(&written, &gate, &planes);
                let (read, release) = read(&seen, &acquire);
                assert!(read == planes, "{} {extent}, frame {frame}", info.format);
                gate = release;
            }
            canary::assert_untouched(written.frame(), "CPU to CPU");
        }
    }
    eprintln!("{allocator}: {} formats, byte for byte", Format::ALL.len());
}

#[test]
fn every_format_between_cpus_in_udmabuf() {
    between_cpus(&Allocator::Udmabuf);
}

#[test]
fn every_format_between_cpus_in_a_dma_heap() {
    between_cpus(&system_heap());
}

#[test]
fn every_format_between_cpus_in_host_memory() {
    between_cpus(&Allocator::HostMemory);
}

/// Nine frames around a ring of three, as a program would do it.
#[test]
fn a_ring_of_three_in_turns() {
    let device = open(&Allocator::HostMemory);
    let (format, extent) = (Format::NV12, Extent::new(33, 17));
    let offer = offer(&device, Usage::RENDER);
    let agreement = agree(
        (&offer, Usage::RENDER),
        (&offer, Usage::SAMPLE),
        MemoryPath::HostMemory,
        format,
        extent,
    );
    let images: Vec<_> = (0..3)
        .map(|_| device.export(&agreement).expect("an allocated frame"))
        .collect();
    let pool = Pool::new(images.iter().map(|image| image.frame().clone()).collect());
    for number in 0..9 {
        let (writing, gate) = pool.acquire().expect("a free frame").acquire();
        let image = &images[writing.index()];
        let planes = vec![plane_bytes(image, 0, number), plane_bytes(image, 1, number)];
        let acquire = write(image, &gate, &planes);
        let (reading, acquire) = writing.send(acquire).receive().acquire();
        let seen = device.import(reading.frame()).expect("a mapped frame");
        let (read, release) = read(&seen, &acquire);
        assert!(read == planes, "frame {number}");
        reading.release(release);
    }
    assert_eq!(pool.free(), 3);
}

// ---- to and from devices ----

/// RGB formats that both sides list for a path.
fn common(ours: &Offer, theirs: &Offer, path: MemoryPath) -> Vec<&'static FormatInfo> {
    let lists = |offer: &Offer, format: Format| {
        let entry = offer
            .entries
            .iter()
            .find(|entry| entry.path == path && entry.format == format);
        entry.is_some()
    };
    let common: Vec<_> = Format::ALL
        .iter()
        .filter(|info| lists(ours, info.format) && lists(theirs, info.format))
        .filter(|info| info.color == ColorKind::Rgb)
        .collect();
    let names: Vec<_> = common.iter().map(|info| info.name).collect();
    assert!(
        names.contains(&"XRGB8888") && names.contains(&"ABGR8888"),
        "the formats of every driver are among the common ones: {names:?}"
    );
    eprintln!("{path}: {} formats: {}", names.len(), names.join(" "));
    common
}

/// The CPU writes two frames into one allocation, GL samples both.
fn cpu_to_gl(pair: &Pair, allocator: &Allocator, info: &FormatInfo, extent: Extent) {
    let device = open(allocator);
    let agreement = agree(
        (&offer(&device, Usage::RENDER), Usage::RENDER),
        (&pair.consumer(), Usage::SAMPLE),
        path(allocator),
        info.format,
        extent,
    );
    let image = device.export(&agreement).expect("an allocated frame");
    canary::fill(image.frame());
    let reader = Reader::new(&pair.gl);
    let mut gate = Fence::Signaled;
    for frame in 0..2 {
        let acquire = write(&image, &gate, &[pattern::bytes(info, extent, frame)]);
        let texture = pair.gl.import(image.frame()).expect("a texture");
        pair.gl
            .read(&texture, &acquire, TIMEOUT)
            .expect("a turn to read");
        pattern::assert_equal(info.format, extent, frame, &reader.read(&texture));
        gate = pair.gl.fence(TIMEOUT).expect("a release fence");
    }
    canary::assert_untouched(image.frame(), "CPU to GL");
}

/// The CPU writes two frames into one allocation, Vulkan copies both out.
fn cpu_to_vulkan(pair: &Pair, allocator: &Allocator, info: &FormatInfo, extent: Extent) {
    let device = open(allocator);
    let usage = Usage::TRANSFER_SOURCE;
    let vulkan = pair.vk.offer(usage).expect("an offer");
    let agreement = agree(
        (&offer(&device, Usage::RENDER), Usage::RENDER),
        (&vulkan, usage),
        path(allocator),
        info.format,
        extent,
    );
    let image = device.export(&agreement).expect("an allocated frame");
    canary::fill(image.frame());
    let imported = pair.vk.import(image.frame(), usage).expect("an image");
    let mut gate = Fence::Signaled;
    for frame in 0..2 {
        let bytes = pattern::bytes(info, extent, frame);
        let acquire = write(&image, &gate, std::slice::from_ref(&bytes));
        let read = pair.vk.download(&imported, &acquire, TIMEOUT);
        let read = read.expect("a read frame");
        assert!(read == bytes, "{} {extent}, frame {frame}", info.format);
        // The copy has finished: nothing gates the next write.
        gate = Fence::Signaled;
    }
    canary::assert_untouched(image.frame(), "CPU to Vulkan");
}

/// Vulkan exports and writes two frames, the CPU reads both.
fn vulkan_to_cpu(pair: &Pair, path: MemoryPath, info: &FormatInfo, extent: Extent) {
    let device = open(&Allocator::HostMemory);
    let agreement = agree(
        (&pair.producer(), PRODUCER),
        (&offer(&device, Usage::SAMPLE), Usage::SAMPLE),
        path,
        info.format,
        extent,
    );
    let image = pair.vk.export(&agreement).expect("an exported image");
    let imported = device.import(image.frame()).expect("a mapped frame");
    let mut gate = Fence::Signaled;
    for frame in 0..2 {
        let bytes = pattern::bytes(info, extent, frame);
        let writer = Writer::new(&pair.vk);
        let acquire = writer
            .write(&image, &gate, &bytes)
            .expect("a written frame");
        let (read, release) = read(&imported, &acquire);
        assert!(read == [bytes], "{} {extent}, frame {frame}", info.format);
        gate = release;
    }
}

/// Vulkan writes into memory that the CPU allocated: its padding stays as it was.
fn vulkan_writes_cpu_memory(pair: &Pair, allocator: &Allocator, info: &FormatInfo, extent: Extent) {
    let device = open(allocator);
    let vulkan = pair.producer();
    let agreement = agree(
        (&offer(&device, Usage::RENDER), Usage::RENDER),
        (&vulkan, PRODUCER),
        path(allocator),
        info.format,
        extent,
    );
    let image = device.export(&agreement).expect("an allocated frame");
    canary::fill(image.frame());
    let imported = pair.vk.import(image.frame(), PRODUCER).expect("an image");
    let bytes = pattern::bytes(info, extent, 3);
    let writer = Writer::new(&pair.vk);
    let acquire = writer
        .write(&imported, &Fence::Signaled, &bytes)
        .expect("a written frame");
    let (read, _) = read(&image, &acquire);
    assert!(read == [bytes], "{} {extent}", info.format);
    canary::assert_untouched(image.frame(), "Vulkan to CPU");
}

fn to_gl(allocator: &Allocator) {
    let pair = Pair::open();
    let theirs = pair.consumer();
    if !can(allocator, &theirs) {
        return;
    }
    let ours = offer(&open(allocator), Usage::RENDER);
    for info in common(&ours, &theirs, path(allocator)) {
        cpu_to_gl(&pair, allocator, info, Extent::new(37, 21));
    }
    for extent in odd() {
        let info = Format::XRGB8888.info().expect("known");
        cpu_to_gl(&pair, allocator, info, extent);
    }
    pair.assert_valid();
}

#[test]
fn cpu_to_gl_in_udmabuf() {
    to_gl(&Allocator::Udmabuf);
}

#[test]
fn cpu_to_gl_in_a_dma_heap() {
    to_gl(&system_heap());
}

#[test]
fn cpu_to_gl_in_host_memory() {
    to_gl(&Allocator::HostMemory);
}

fn to_vulkan(allocator: &Allocator) {
    let pair = Pair::open();
    let theirs = pair.vk.offer(Usage::TRANSFER_SOURCE).expect("an offer");
    if !can(allocator, &theirs) {
        return;
    }
    let ours = offer(&open(allocator), Usage::RENDER);
    for info in common(&ours, &theirs, path(allocator)) {
        cpu_to_vulkan(&pair, allocator, info, Extent::new(37, 21));
    }
    for extent in odd() {
        let info = Format::XRGB8888.info().expect("known");
        cpu_to_vulkan(&pair, allocator, info, extent);
    }
    pair.assert_valid();
}

#[test]
fn cpu_to_vulkan_in_udmabuf() {
    to_vulkan(&Allocator::Udmabuf);
}

#[test]
fn cpu_to_vulkan_in_a_dma_heap() {
    to_vulkan(&system_heap());
}

#[test]
fn cpu_to_vulkan_in_host_memory() {
    to_vulkan(&Allocator::HostMemory);
}

fn from_vulkan(allocator: &Allocator) {
    let pair = Pair::open();
    let theirs = pair.producer();
    if !can(allocator, &theirs) {
        return;
    }
    let ours = offer(&open(allocator), Usage::SAMPLE);
    let path = path(allocator);
    for info in common(&ours, &theirs, path) {
        vulkan_to_cpu(&pair, path, info, Extent::new(37, 21));
        // Host memory goes one way only: from its exporter.
        if path == MemoryPath::DmaBuf {
            vulkan_writes_cpu_memory(&pair, allocator, info, Extent::new(37, 21));
        }
    }
    for extent in odd() {
        let info = Format::XRGB8888.info().expect("known");
        vulkan_to_cpu(&pair, path, info, extent);
        if path == MemoryPath::DmaBuf {
            vulkan_writes_cpu_memory(&pair, allocator, info, extent);
        }
    }
    pair.assert_valid();
}

#[test]
fn vulkan_to_cpu_in_udmabuf() {
    from_vulkan(&Allocator::Udmabuf);
}

#[test]
fn vulkan_to_cpu_in_a_dma_heap() {
    from_vulkan(&system_heap());
}

#[test]
fn vulkan_to_cpu_in_host_memory() {
    from_vulkan(&Allocator::HostMemory);
}

/// With everything allowed, a CPU and a device agree on the linear dma-buf, and say why not on a tiled one.
#[test]
fn the_ladder_of_a_cpu() {
    let pair = Pair::open();
    if !can(&Allocator::Udmabuf, &pair.consumer()) {
        return;
    }
    let request = Request::new(Extent::new(64, 64));
    let udmabuf = offer(&open(&Allocator::Udmabuf), Usage::RENDER);
    let agreement = negotiate(&udmabuf, &pair.consumer(), &request).expect("an agreement");
    assert_eq!(agreement.rung, lucarne::Rung::LinearDmaBuf);
    assert_ne!(agreement.devices, lucarne::Comparison::Same);
    assert_eq!(agreement.refused.len(), 1, "{:?}", agreement.refused);
    let host = offer(&open(&Allocator::HostMemory), Usage::RENDER);
    let agreement = negotiate(&host, &pair.consumer(), &request).expect("an agreement");
    assert_eq!(agreement.rung, lucarne::Rung::HostMemory);
    let reasons: Vec<String> = agreement.refused.iter().map(ToString::to_string).collect();
    assert!(
        reasons[1].contains("the CPU with host memory: can import it, but not export it"),
        "{reasons:?}"
    );
}
