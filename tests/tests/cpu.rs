//! The CPU as one end: every format and odd size, between CPUs, to and from Vulkan, to GL; foreign layouts; canaries.

use lucarne::cpu::{self, Adapter, Allocator};
use lucarne::negotiate::{Agreement, Offer};
use lucarne::{
    DmaHeap, Extent, Fence, Format, FormatInfo, Frame, Memory, MemoryPath, Pool, Request, Usage,
    negotiate,
};
use lucarne_tests::download::Download;
use lucarne_tests::memory::{self, Placement};
use lucarne_tests::pair::{PRODUCER, Pair};
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, canary, in_guest, pattern};

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

fn system_heap() -> Allocator {
    Allocator::DmaHeap(DmaHeap::SYSTEM.to_owned())
}

fn path(allocator: &Allocator) -> MemoryPath {
    match allocator {
        Allocator::HostMemory => MemoryPath::HostMemory,
        _ => MemoryPath::DmaBuf,
    }
}

fn open(allocator: &Allocator) -> cpu::Device {
    Adapter::new(allocator.clone())
        .open()
        .expect("an allocator")
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

/// Bytes of a plane that tell planes, rows, columns and frames apart.
fn plane_bytes(image: &cpu::Image, plane: usize, frame: usize) -> Vec<u8> {
    let row_bytes = image.row_bytes(plane);
    (0..image.plane_bytes(plane))
        .map(|index| {
            let (x, y) = (index % row_bytes, index / row_bytes);
            let value = x * 7 + y * 31 + plane * 101 + frame * 53 + 1;
            u8::try_from(value % 251).expect("below 251")
        })
        .collect()
}

fn write(image: &cpu::Image, gate: &Fence, planes: &[Vec<u8>]) -> Fence {
    image
        .write(gate, TIMEOUT, |rows| {
            for (plane, bytes) in planes.iter().enumerate() {
                rows.write_plane(plane, bytes)?;
            }
            Ok(())
        })
        .expect("a written frame")
}

fn read(image: &cpu::Image, acquire: &Fence) -> (Vec<Vec<u8>>, Fence) {
    let mut planes: Vec<Vec<u8>> = (0..image.planes())
        .map(|plane| vec![0; image.plane_bytes(plane)])
        .collect();
    let release = image
        .read(acquire, TIMEOUT, |rows| {
            for (plane, bytes) in planes.iter_mut().enumerate() {
                rows.read_plane(plane, bytes)?;
            }
            Ok(())
        })
        .expect("a read frame");
    (planes, release)
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
                (&producer.offer(), Usage::RENDER),
                (&consumer.offer(), Usage::SAMPLE),
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
    let offer = device.offer();
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
        .filter(|info| info.planes.len() == 1)
        .collect();
    let names: Vec<_> = common.iter().map(|info| info.name).collect();
    assert!(
        names.contains(&"XRGB8888") && names.contains(&"ABGR8888"),
        "the formats of every driver are among the common ones: {names:?}"
    );
    eprintln!("{path}: {} formats: {}", names.len(), names.join(" "));
    common
}

/// Whether both ends have what `allocator` makes; a skip says why not.
fn can(allocator: &Allocator, other: &Offer) -> bool {
    let path = path(allocator);
    let support = other.path(path);
    if !support.is_yes() {
        let kind = if path == MemoryPath::DmaBuf {
            "udmabuf"
        } else {
            path.name()
        };
        skip(kind, &format!("{}: {}", other.name, support.reason()));
        return false;
    }
    memory::can(allocator)
}

/// The CPU writes two frames into one allocation, GL samples both.
fn cpu_to_gl(pair: &Pair, allocator: &Allocator, info: &FormatInfo, extent: Extent) {
    let device = open(allocator);
    let agreement = agree(
        (&device.offer(), Usage::RENDER),
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
        (&device.offer(), Usage::RENDER),
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
        let download = Download::new(&pair.vk, bytes.len());
        let (read, release) = download.read(&imported, &acquire).expect("a read frame");
        assert!(read == bytes, "{} {extent}, frame {frame}", info.format);
        gate = release;
    }
    canary::assert_untouched(image.frame(), "CPU to Vulkan");
}

/// Vulkan exports and writes two frames, the CPU reads both.
fn vulkan_to_cpu(pair: &Pair, path: MemoryPath, info: &FormatInfo, extent: Extent) {
    let device = open(&Allocator::HostMemory);
    let agreement = agree(
        (&pair.producer(), PRODUCER),
        (&device.offer(), Usage::SAMPLE),
        path,
        info.format,
        extent,
    );
    let image = pair.vk.export(&agreement).expect("an exported image");
    let imported = device.import(image.frame()).expect("a mapped frame");
    let mut gate = Fence::Signaled;
    for frame in 0..2 {
        let bytes = pattern::bytes(info, extent, frame);
        let writer = Writer::new(&pair.vk, bytes.len());
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
        (&device.offer(), Usage::RENDER),
        (&vulkan, PRODUCER),
        path(allocator),
        info.format,
        extent,
    );
    let image = device.export(&agreement).expect("an allocated frame");
    canary::fill(image.frame());
    let imported = pair.vk.import(image.frame(), PRODUCER).expect("an image");
    let bytes = pattern::bytes(info, extent, 3);
    let writer = Writer::new(&pair.vk, bytes.len());
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
    let ours = open(allocator).offer();
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
    let ours = open(allocator).offer();
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
    let ours = open(allocator).offer();
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

// ---- layouts that others chose ----

const PLACEMENTS: [Placement; 6] = [
    // What this crate does.
    Placement {
        offset: 0,
        pitch_alignment: 256,
        pitch_extra: 0,
        height_alignment: 16,
    },
    // More padding than anybody needs.
    Placement {
        offset: 0,
        pitch_alignment: 256,
        pitch_extra: 256,
        height_alignment: 16,
    },
    // A cache line, as software drivers choose.
    Placement {
        offset: 0,
        pitch_alignment: 64,
        pitch_extra: 64,
        height_alignment: 4,
    },
    // Behind another plane, or a header, of whole pages.
    Placement {
        offset: 8192,
        pitch_alignment: 256,
        pitch_extra: 256,
        height_alignment: 16,
    },
    // Behind a header of one cache line.
    Placement {
        offset: 64,
        pitch_alignment: 256,
        pitch_extra: 0,
        height_alignment: 16,
    },
    // All at once.
    Placement {
        offset: 4096 + 64,
        pitch_alignment: 64,
        pitch_extra: 192,
        height_alignment: 16,
    },
];

const PLACED: [Format; 4] = [
    Format::XRGB8888,
    Format::ABGR8888,
    Format::RGB565,
    Format::ABGR16161616F,
];

/// Writes by the CPU, reads by GL, Vulkan and the CPU, then writes by Vulkan and reads by the CPU.
fn placed(pair: &Pair, allocator: &Allocator, placement: Placement, info: &FormatInfo) {
    let extent = Extent::new(37, 21);
    let frame = placement.frame(allocator, extent, info.format);
    canary::fill(&frame);
    let device = open(&Allocator::HostMemory);
    let image = device.import(&frame).expect("a mapped frame");
    let bytes = pattern::bytes(info, extent, 1);
    let acquire = write(&image, &Fence::Signaled, std::slice::from_ref(&bytes));

    let texture = pair.gl.import(&frame).expect("a texture");
    pair.gl
        .read(&texture, &acquire, TIMEOUT)
        .expect("a turn to read");
    let pixels = Reader::new(&pair.gl).read(&texture);
    pattern::assert_equal(info.format, extent, 1, &pixels);

    let usage = Usage::TRANSFER_SOURCE;
    let imported = pair.vk.import(&frame, usage).expect("an image");
    let download = Download::new(&pair.vk, bytes.len());
    let (read_by_vulkan, release) = download.read(&imported, &acquire).expect("a read frame");
    let what = format!("{} {placement:?}", info.format);
    assert!(read_by_vulkan == bytes, "{what}: Vulkan reads");
    let (read_by_cpu, gate) = read(&image, &release);
    assert!(read_by_cpu == [bytes], "{what}: the CPU reads");

    if path(allocator) == MemoryPath::DmaBuf {
        let imported = pair.vk.import(&frame, PRODUCER).expect("an image");
        let bytes = pattern::bytes(info, extent, 2);
        let writer = Writer::new(&pair.vk, bytes.len());
        let acquire = writer.write(&imported, &gate, &bytes).expect("written");
        let (read, _) = read(&image, &acquire);
        assert!(read == [bytes], "{what}: Vulkan writes");
    }
    canary::assert_untouched(&frame, &what);
}

fn foreign_layouts(allocator: &Allocator) {
    let pair = Pair::open();
    let (reads, writes) = (pair.consumer(), pair.producer());
    if !can(allocator, &reads) || !can(allocator, &writes) {
        return;
    }
    for placement in PLACEMENTS {
        for format in PLACED {
            let info = format.info().expect("known");
            placed(&pair, allocator, placement, info);
        }
    }
    pair.assert_valid();
}

#[test]
fn foreign_layouts_in_udmabuf() {
    foreign_layouts(&Allocator::Udmabuf);
}

#[test]
fn foreign_layouts_in_a_dma_heap() {
    foreign_layouts(&system_heap());
}

#[test]
fn foreign_layouts_in_host_memory() {
    foreign_layouts(&Allocator::HostMemory);
}

/// A buffer that ends with its last row, at a height that software drivers round up: refused by name, not by a signal.
/// Drivers that take it must show it. The CPU takes every height.
fn tight_heights(allocator: &Allocator) {
    let pair = Pair::open();
    let (reads, writes) = (pair.consumer(), pair.producer());
    if !can(allocator, &reads) || !can(allocator, &writes) {
        return;
    }
    let info = Format::XRGB8888.info().expect("known");
    // A row is a page, so that the buffer's whole pages hide no rows.
    let tight = Placement {
        offset: 0,
        pitch_alignment: 4096,
        pitch_extra: 0,
        height_alignment: 1,
    };
    for height in [1, 3, 5, 20, 21] {
        let extent = Extent::new(1024, height);
        let frame = tight.frame(allocator, extent, info.format);
        let device = open(&Allocator::HostMemory);
        let image = device.import(&frame).expect("a mapped frame");
        let bytes = pattern::bytes(info, extent, 1);
        let acquire = write(&image, &Fence::Signaled, std::slice::from_ref(&bytes));
        let (read, _) = read(&image, &acquire);
        assert!(read == [bytes.clone()], "the CPU at {extent}");
        let padded = height % 4 == 0;
        let must_fail = |software| software && !padded && path(allocator) == MemoryPath::DmaBuf;
        match pair.gl.import(&frame) {
            Ok(texture) => {
                assert!(!must_fail(pair.gl.id().software), "GL took {extent}");
                pair.gl.read(&texture, &acquire, TIMEOUT).expect("a turn");
                let pixels = Reader::new(&pair.gl).read(&texture);
                pattern::assert_equal(info.format, extent, 1, &pixels);
            }
            Err(error) => assert_short(&error, padded, extent),
        }
        match pair.vk.import(&frame, Usage::TRANSFER_SOURCE) {
            Ok(imported) => {
                assert!(
                    !must_fail(pair.vk.adapter().id().software),
                    "Vulkan took {extent}"
                );
                let download = Download::new(&pair.vk, bytes.len());
                let (read, _) = download.read(&imported, &acquire).expect("a read frame");
                assert!(read == bytes, "Vulkan at {extent}");
            }
            Err(error) => assert_short(&error, padded, extent),
        }
    }
    pair.assert_valid();
}

fn assert_short(error: &lucarne::Error, padded: bool, extent: Extent) {
    assert!(!padded, "{extent}: {error}");
    match error {
        lucarne::Error::Invalid { field, .. } => assert_eq!(*field, "buffer size", "{error}"),
        other => panic!("{extent}: {other}"),
    }
}

#[test]
fn tight_heights_in_udmabuf() {
    tight_heights(&Allocator::Udmabuf);
}

#[test]
fn tight_heights_in_a_dma_heap() {
    tight_heights(&system_heap());
}

#[test]
fn tight_heights_in_host_memory() {
    tight_heights(&Allocator::HostMemory);
}

/// Frames whose planes lie in buffers of their own.
#[test]
fn planes_in_separate_buffers() {
    let allocator = Allocator::Udmabuf;
    if !memory::can(&allocator) {
        return;
    }
    let extent = Extent::new(37, 21);
    let (joined, _) = lucarne::FrameLayout::linear(extent, Format::YUV420).expect("a layout");
    let mut planes = joined.planes().to_vec();
    let mut buffers = Vec::new();
    for (index, plane) in planes.iter_mut().enumerate() {
        (plane.object, plane.offset) = (index, 64 * index as u64);
        let Memory::DmaBuf(memory) = memory::allocate(&allocator, 16 * 4096) else {
            panic!("udmabuf makes dma-bufs");
        };
        buffers.extend(memory);
    }
    let sizes: Vec<u64> = buffers.iter().map(lucarne::DmaBuf::size).collect();
    let layout =
        lucarne::FrameLayout::new(extent, Format::YUV420, joined.tiling(), &planes, &sizes)
            .expect("a layout");
    let device = open(&allocator);
    let frame = Frame::new(layout, Memory::DmaBuf(buffers), device.id()).expect("a frame");
    canary::fill(&frame);
    let image = device.import(&frame).expect("a mapped frame");
    let planes: Vec<Vec<u8>> = (0..3).map(|plane| plane_bytes(&image, plane, 1)).collect();
    let acquire = write(&image, &Fence::Signaled, &planes);
    assert!(read(&image, &acquire).0 == planes);
    canary::assert_untouched(&frame, "three buffers");
}

/// With everything allowed, a CPU and a device agree on the linear dma-buf, and say why not on a tiled one.
#[test]
fn the_ladder_of_a_cpu() {
    let pair = Pair::open();
    if !can(&Allocator::Udmabuf, &pair.consumer()) {
        return;
    }
    let request = Request::new(Extent::new(64, 64));
    let udmabuf = open(&Allocator::Udmabuf).offer();
    let agreement = negotiate(&udmabuf, &pair.consumer(), &request).expect("an agreement");
    assert_eq!(agreement.rung, lucarne::Rung::LinearDmaBuf);
    assert_ne!(agreement.devices, lucarne::Comparison::Same);
    assert_eq!(agreement.refused.len(), 1, "{:?}", agreement.refused);
    let host = open(&Allocator::HostMemory).offer();
    let agreement = negotiate(&host, &pair.consumer(), &request).expect("an agreement");
    assert_eq!(agreement.rung, lucarne::Rung::HostMemory);
    let reasons: Vec<String> = agreement.refused.iter().map(ToString::to_string).collect();
    assert!(
        reasons[1].contains("the CPU with host memory: can import it, but not export it"),
        "{reasons:?}"
    );
}
