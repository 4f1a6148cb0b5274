//! Offers of drivers that are not here, in tests/offers: what each pair of them agrees on, and why.
//!
//! `LUCARNE_RECORD_OFFERS=FOLDER` writes this machine's own offers there, ready to be sent with a report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lucarne::negotiate::OfferEntry;
use lucarne::{
    Agreement, DeviceId, Extent, Format, Frame, FrameLayout, Memory, MemoryPath, Modifier, Offer,
    Plane, Refusal, Request, Rung, Tiling, Usage,
    kernel::{DmaBuf, Memfd},
    negotiate,
};
use lucarne_tests::pair::Pair;
use serde::{Deserialize, Serialize};

/// A file in tests/offers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    /// The driver, its version and the device.
    driver: String,
    /// Where the facts are from.
    sources: Vec<String>,
    /// Recorded by a machine, or put together, and what was filled in.
    built: String,
    offer: Offer,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("offers")
}

fn recordings() -> BTreeMap<String, Recording> {
    let mut all = BTreeMap::new();
    for file in fs::read_dir(folder()).expect("tests/offers") {
        let path = file.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a recording");
        let recording = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().and_then(|name| name.to_str());
        all.insert(name.expect("UTF-8").to_owned(), recording);
    }
    assert!(all.len() >= 11, "{} recordings", all.len());
    all
}

fn code(entry: &OfferEntry) -> Option<u64> {
    entry.tiling.modifier().map(Modifier::code)
}

fn dma_bufs(offer: &Offer, format: Format) -> impl Iterator<Item = &OfferEntry> {
    let entries = offer.entries.iter();
    entries.filter(move |entry| entry.path == MemoryPath::DmaBuf && entry.format == format)
}

#[test]
fn recordings_have_sources_and_survive_being_written() {
    for (name, recording) in recordings() {
        assert!(!recording.sources.is_empty(), "{name}");
        assert!(
            recording.driver.len() > 5 && recording.built.len() > 5,
            "{name}"
        );
        let text = serde_json::to_string(&recording.offer).expect("JSON");
        let again: Offer = serde_json::from_str(&text).expect("the same");
        assert_eq!(again, recording.offer, "{name}");
        for entry in &recording.offer.entries {
            let Some(modifier) = entry.tiling.modifier() else {
                continue;
            };
            // What the code tells is what the source said.
            let told = modifier.auxiliary_planes().map(|auxiliary| 1 + auxiliary);
            assert_eq!(told, Some(entry.planes), "{name}: {modifier}");
        }
    }
}

#[test]
fn recordings_that_make_no_sense_are_refused_by_name() {
    let path = folder().join("vulkan-intel-tgl-anv.json");
    let good = fs::read_to_string(path).expect("a recording");
    for (from, to, said) in [
        ("\"dma-buf\"", "\"dma-buff\"", "no memory path"),
        ("\"XRGB8888\"", "\"XRGB888888\"", "XRGB888888"),
        (
            "0x0100000000000008",
            "0x00ffffffffffffff",
            "0x00ffffffffffffff",
        ),
        ("\"RENDER | SAMPLE", "\"RENDER | SWALLOW", "usage"),
        (
            "\"driver_uuid\": null",
            "\"driver_uuid\": \"12\"",
            "no UUID",
        ),
        ("\"planes\"", "\"plains\"", "plains"),
        ("\"planes\": 3", "\"planes\": 300", "300"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from} is there");
        let error = serde_json::from_str::<Recording>(&bad).map(|_| ());
        let error = error.expect_err(to).to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// Rendered by the producer, sampled by the consumer.
fn request() -> Request {
    Request::new(Extent::new(1920, 1080)).formats(&[Format::XRGB8888])
}

fn outcome(producer: &Offer, consumer: &Offer, request: &Request) -> Result<Agreement, Refusal> {
    negotiate(producer, consumer, request).map_err(|refusal| *refusal)
}

/// Producers and consumers of one device: (producer, consumer, modifiers, most memory planes, why).
#[rustfmt::skip]
const ONE_DEVICE: &[(&str, &str, &[u64], u8, &str)] = &[
    ("vulkan-intel-tgl-anv", "egl-intel-tgl-iris",
     &[0x0100_0000_0000_0001, 0x0100_0000_0000_0002, 0x0100_0000_0000_0006, 0x0100_0000_0000_0008], 3,
     "X, Y, compressed, and compressed with a clear colour: pixels, state and colour are a plane each"),
    ("vulkan-intel-dg2-anv", "vulkan-intel-dg2-anv",
     &[0x0100_0000_0000_0001, 0x0100_0000_0000_0009, 0x0100_0000_0000_000a, 0x0100_0000_0000_000c], 2,
     "the compression state is outside of the buffer: only the clear colour has a plane"),
    ("vulkan-amd-gfx10.3-radv", "egl-amd-gfx10.3-radeonsi",
     &[0x0200_0000_0000_0901, 0x0200_0000_0080_1902, 0x0200_0000_1880_1b03, 0x0200_0000_1893_7b03,
       0x0200_0000_1896_7b03, 0x0200_0000_1896_bb03], 3,
     "DCC that the display reads is kept beside the one that is rendered with: pixels and two states"),
    ("vulkan-amd-gfx9-radv", "vulkan-amd-gfx9-radv",
     &[0x0200_0000_0040_1a01, 0x0200_0004_4051_7901, 0x0200_0004_4051_b901, 0x0200_0004_4051_ba01], 3,
     "as above, on an older card"),
    ("vulkan-amd-gfx12-radv", "vulkan-amd-gfx12-radv",
     &[0x0200_0000_0000_0105, 0x0200_0000_0000_0205, 0x0200_0000_0000_0305, 0x0200_0000_0000_0405,
       0x0200_0000_0004_2305], 1,
     "GFX12 keeps the state of DCC where no plane describes it"),
    ("vulkan-nvidia-570", "egl-nvidia-545",
     &[0x0300_0000_0060_6010, 0x0300_0000_0060_6011, 0x0300_0000_0060_6012, 0x0300_0000_0060_6013,
       0x0300_0000_0060_6014, 0x0300_0000_0060_6015, 0x0300_0000_00e0_8010, 0x0300_0000_00e0_8011,
       0x0300_0000_00e0_8012, 0x0300_0000_00e0_8013, 0x0300_0000_00e0_8014, 0x0300_0000_00e0_8015], 1,
     "block linear of every height, plain and compressed; the state of compression is not in the buffer"),
    ("vulkan-qcom-turnip", "vulkan-qcom-turnip", &[0x0500_0000_0000_0001], 1,
     "UBWC: the state is in the same plane"),
];

#[test]
fn one_device_shares_every_tiled_layout_that_both_sides_have() {
    let all = recordings();
    for (producer, consumer, modifiers, planes, why) in ONE_DEVICE {
        let (from, to) = (&all[*producer].offer, &all[*consumer].offer);
        let agreement = outcome(from, to, &request());
        let agreement = agreement.unwrap_or_else(|refusal| panic!("{why}: {refusal}"));
        assert_eq!(
            agreement.rung,
            Rung::TiledDmaBuf,
            "{producer} to {consumer}: {why}"
        );
        let codes: Vec<u64> = agreement.modifiers.iter().map(|one| one.code()).collect();
        assert_eq!(codes, *modifiers, "{producer} to {consumer}: {why}");
        let most = dma_bufs(from, agreement.format)
            .filter(|entry| code(entry).is_some_and(|code| codes.contains(&code)))
            .map(|entry| entry.planes)
            .max();
        assert_eq!(most, Some(*planes), "{producer} to {consumer}: {why}");
    }
}

/// Every other pair: two devices have only LINEAR in common, and NVIDIA does not render into that.
#[test]
fn two_devices_share_linear_memory_where_the_producer_can_render_into_it() {
    let all = recordings();
    let mut pairs = 0;
    for (producer, from) in &all {
        for (consumer, to) in &all {
            let known = ONE_DEVICE
                .iter()
                .any(|row| row.0 == producer && row.1 == consumer);
            let exports = from.offer.entries.iter().any(|entry| entry.exportable);
            let (a, b) = (&from.offer.device, &to.offer.device);
            if known || !exports || a.render_node == b.render_node || a.software || b.software {
                continue;
            }
            pairs += 1;
            let what = format!("{producer} to {consumer}");
            let agreement = outcome(&from.offer, &to.offer, &request());
            let agreement = agreement.unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
            let refused = |rung| {
                let found = agreement.refused.iter().find(|one| one.rung == rung);
                found.map_or(String::new(), |one| one.reason.to_string())
            };
            assert!(
                refused(Rung::TiledDmaBuf).contains("not the same device"),
                "{what}"
            );
            if producer.contains("nvidia") {
                assert_eq!(agreement.rung, Rung::HostMemory, "{what}");
                let reason = refused(Rung::LinearDmaBuf);
                assert!(
                    reason.contains("cannot use it for RENDER"),
                    "{what}: {reason}"
                );
                // A copy into it is possible, and saves the copies of host memory.
                let copied = request().usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
                let copied = outcome(&from.offer, &to.offer, &copied).expect("linear memory");
                assert_eq!(copied.rung, Rung::LinearDmaBuf, "{what}");
            } else {
                assert_eq!(agreement.rung, Rung::LinearDmaBuf, "{what}");
                assert_eq!(agreement.modifiers, [Modifier::LINEAR], "{what}");
            }
        }
    }
    assert!(pairs >= 60, "{pairs} pairs");
}

#[test]
fn rendering_into_foreign_linear_memory_is_refused_where_the_consumer_cannot() {
    let all = recordings();
    let (anv, nvidia) = (
        &all["vulkan-intel-tgl-anv"].offer,
        &all["egl-nvidia-545"].offer,
    );
    let paths = [MemoryPath::DmaBuf];
    let both = request().usage(Usage::RENDER, Usage::SAMPLE).paths(&paths);
    assert_eq!(
        outcome(anv, nvidia, &both).expect("sampled").rung,
        Rung::LinearDmaBuf
    );
    let back = request().usage(Usage::RENDER, Usage::RENDER).paths(&paths);
    let refusal = outcome(anv, nvidia, &back)
        .expect_err("not rendered to")
        .to_string();
    assert!(refusal.contains("cannot use it for RENDER"), "{refusal}");
}

#[test]
fn software_on_this_kind_of_machine_shares_linear_memory() {
    let all = recordings();
    let (lavapipe, llvmpipe) = (
        &all["vulkan-mesa-25.0.7-lavapipe"].offer,
        &all["egl-mesa-25.0.7-llvmpipe"].offer,
    );
    let agreement = outcome(lavapipe, llvmpipe, &request()).expect("an agreement");
    assert_eq!(
        agreement.rung,
        Rung::LinearDmaBuf,
        "software has nothing tiled"
    );
    let without = request().paths(&[MemoryPath::OpaqueFd, MemoryPath::HostMemory]);
    let agreement = outcome(lavapipe, llvmpipe, &without).expect("an agreement");
    assert_eq!(agreement.rung, Rung::OpaqueFd, "one build of one driver");
    let hardware = &all["vulkan-intel-tgl-anv"].offer;
    let agreement = outcome(lavapipe, hardware, &request()).expect("an agreement");
    assert_eq!(agreement.rung, Rung::LinearDmaBuf, "across devices");
}

/// Every recorded layout of several memory planes, in one buffer and in one buffer for each, and with planes left out.
#[test]
fn layouts_of_several_memory_planes_are_described_and_held() {
    let extent = Extent::new(1920, 1080);
    let mut counts = BTreeSet::new();
    for (name, recording) in recordings() {
        for entry in dma_bufs(&recording.offer, Format::XRGB8888) {
            counts.insert(entry.planes);
            for apart in [false, true] {
                describe(&name, entry, extent, apart);
            }
        }
    }
    assert_eq!(counts, BTreeSet::from([1, 2, 3]));
}

/// Pixels first, then state of a 256th of them, as drivers place them.
fn describe(name: &str, entry: &OfferEntry, extent: Extent, apart: bool) {
    let pixels = 7680 * 1088;
    let place = |plane: u8| {
        let state = u64::from(plane) * 0x1_0000;
        Plane {
            object: if apart { usize::from(plane) } else { 0 },
            offset: match (plane, apart) {
                (0, _) | (_, true) => 0,
                _ => pixels + state,
            },
            pitch: if plane == 0 { 7680 } else { 128 },
        }
    };
    let planes: Vec<Plane> = (0..entry.planes).map(place).collect();
    let objects = if apart { planes.len() } else { 1 };
    let sizes = vec![9 << 20; objects];
    let layout = |planes: &[Plane], sizes: &[u64]| {
        FrameLayout::new(extent, entry.format, entry.tiling, planes, sizes)
    };
    let described = layout(&planes, &sizes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(
        (described.planes().len(), described.objects()),
        (planes.len(), objects)
    );
    // What a peer is told is enough to say the same again.
    let again = FrameLayout::new(
        described.extent(),
        described.format(),
        described.tiling(),
        described.planes(),
        &sizes,
    );
    assert_eq!(again.expect("as before"), described);
    entry.check_planes(&described).expect("as many as listed");
    // A layout may leave out the planes of compression; the driver's own modifier may not.
    for count in 1..planes.len() {
        let objects = if apart { count } else { 1 };
        let fewer = layout(&planes[..count], &sizes[..objects]).expect("a layout");
        let error = entry.check_planes(&fewer).expect_err("planes are missing");
        let told = format!("planes.len() is {count}, but must be {}", entry.planes);
        let error = error.to_string();
        assert!(error.contains(&told), "{name}: {error}");
        assert!(error.contains(&entry.tiling.to_string()), "{name}: {error}");
    }
    let mut more = planes.clone();
    more.push(planes[0]);
    layout(&more, &sizes).expect_err("a plane too many for this modifier");
    // A buffer for each plane is held once, and in order.
    let buffers = || {
        let one = |_| DmaBuf::new(sealed(9 << 20)).expect("a stand-in");
        (0..objects).map(one).collect::<Vec<_>>()
    };
    let frame = |buffers| {
        Frame::new(
            described.clone(),
            Memory::DmaBuf(buffers),
            DeviceId::default(),
        )
    };
    frame(buffers()).expect("as many buffers as the layout says");
    let mut fewer = buffers();
    fewer.pop();
    frame(fewer).expect_err("a buffer is missing");
}

fn sealed(bytes: u64) -> rustix::fd::OwnedFd {
    let memory = Memfd::create("lucarne-test", bytes).expect("memory");
    rustix::io::fcntl_dupfd_cloexec(&memory, 3).expect("a descriptor")
}

/// One entry to a line: recordings are read by people.
fn write(recording: &Recording) -> String {
    let mut value = serde_json::to_value(recording).expect("JSON");
    let entries = value["offer"]["entries"].take();
    let lines = entries.as_array().expect("a list").iter();
    let lines: Vec<String> = lines.map(|entry| format!("      {entry}")).collect();
    value["offer"]["entries"] = "ENTRIES".into();
    let text = serde_json::to_string_pretty(&value).expect("JSON");
    let list = format!("[\n{}\n    ]", lines.join(",\n"));
    text.replacen("\"ENTRIES\"", &list, 1) + "\n"
}

#[test]
fn this_machine_writes_its_offers_down_and_reads_them() {
    let pair = Pair::open();
    let usage = Usage::RENDER | Usage::SAMPLE | Usage::TRANSFER_DESTINATION;
    let vulkan = pair.vk.offer(usage).expect("an offer");
    let adapter = pair.vk.adapter();
    let emulated = if lucarne::kernel::Udmabuf::probe().is_yes() {
        " (its /dev/udmabuf may be emulated)"
    } else {
        ""
    };
    let gl = format!("{}, {}", pair.gl.version(), pair.gl.renderer());
    for (name, driver, offer) in [
        ("vulkan", adapter.driver().to_owned(), vulkan),
        ("egl", gl, pair.consumer()),
    ] {
        let recording = Recording {
            driver,
            sources: vec![format!("this driver, on a machine that had it{emulated}")],
            built: "recorded".to_owned(),
            offer,
        };
        let text = write(&recording);
        let read: Recording = serde_json::from_str(&text).expect("the same");
        // Reasons come back as sentences, and are the same sentences.
        assert_eq!(write(&read), text);
        assert_eq!(read.offer.entries, recording.offer.entries);
        assert_eq!(read.offer.device, recording.offer.device);
        for path in MemoryPath::ALL {
            assert_eq!(
                read.offer.path(path).reason(),
                recording.offer.path(path).reason()
            );
        }
        if let Some(folder) = std::env::var_os("LUCARNE_RECORD_OFFERS") {
            let path = Path::new(&folder).join(format!("{name}.json"));
            fs::write(path, text).expect("a folder to write to");
        }
    }
}

#[test]
fn implicit_layouts_are_written_as_such() {
    let all = recordings();
    let llvmpipe = &all["egl-mesa-25.0.7-llvmpipe"].offer;
    let implicit = llvmpipe
        .entries
        .iter()
        .filter(|entry| entry.tiling == Tiling::Implicit);
    assert!(implicit.count() > 0, "opaque memory has no modifier");
}
