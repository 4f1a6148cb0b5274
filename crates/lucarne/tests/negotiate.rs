//! Negotiation, by example and by property: what is agreed on, what never is, and what a refusal says.

use lucarne::negotiate::{FencePath, FenceSupport, OfferEntry, Strike, StrikeReason};
use lucarne::{
    Agreement, Comparison, DeviceId, DrmNode, Extent, Format, MemoryPath, Modifier, Offer, Refusal,
    Request, Requirement, Rung, Support, Tiling, Usage, negotiate,
};

#[path = "negotiate/properties.rs"]
mod properties;
#[path = "negotiate/reasons.rs"]
mod reasons;

/// What drivers list: AMD GFX11 (plain, with compression), Intel (X, Y, CCS with and without clear colour), NVIDIA
/// (block linear of Turing and later, plain and compressed).
const AMD_PLAIN: u64 = 0x0200_0000_2080_1b04;
const AMD_DCC: u64 = 0x0200_0000_2086_bf04;
const INTEL_X: u64 = 0x0100_0000_0000_0001;
const INTEL_Y: u64 = 0x0100_0000_0000_0002;
const INTEL_CCS: u64 = 0x0100_0000_0000_0006;
const INTEL_CCS_CLEAR: u64 = 0x0100_0000_0000_0008;
const NVIDIA_PLAIN: u64 = 0x0300_0000_0060_6014;
const NVIDIA_COMPRESSED: u64 = 0x0300_0000_00e0_8014;
const LINEAR: u64 = 0;

fn modifier(code: u64) -> Modifier {
    Modifier::new(code).expect("an explicit layout")
}

fn gpu(number: u8) -> DeviceId {
    DeviceId {
        device_uuid: Some([number; 16]),
        driver_uuid: Some([number; 16]),
        render_node: Some(DrmNode {
            major: 226,
            minor: 128 + u32::from(number),
        }),
        ..DeviceId::default()
    }
}

fn entry(path: MemoryPath, format: Format, tiling: Tiling) -> OfferEntry {
    let auxiliary = tiling.modifier().and_then(Modifier::auxiliary_planes);
    OfferEntry {
        path,
        format,
        tiling,
        planes: 1 + auxiliary.unwrap_or(0),
        usage: Usage::all(),
        max_extent: Extent::new(16_384, 16_384),
        exportable: true,
        importable: true,
        dedicated_only: false,
        external_only: false,
    }
}

fn dma_buf(format: Format, code: u64) -> OfferEntry {
    entry(MemoryPath::DmaBuf, format, Tiling::Explicit(modifier(code)))
}

fn opaque(format: Format) -> OfferEntry {
    entry(MemoryPath::OpaqueFd, format, Tiling::Implicit)
}

fn host(format: Format) -> OfferEntry {
    let linear = Tiling::Explicit(Modifier::LINEAR);
    entry(MemoryPath::HostMemory, format, linear)
}

fn offer(name: &str, device: DeviceId, entries: Vec<OfferEntry>) -> Offer {
    Offer {
        name: name.to_owned(),
        device,
        paths: MemoryPath::ALL
            .map(|path| (path, Support::Yes(())))
            .to_vec(),
        entries,
        withdrawn: Vec::new(),
        fences: FenceSupport {
            export: Support::Yes(()),
            import: Support::Yes(()),
        },
    }
}

/// XRGB8888 in these layouts, and on the two other paths.
fn listing(name: &str, device: DeviceId, codes: &[u64]) -> Offer {
    let format = Format::XRGB8888;
    let mut entries: Vec<OfferEntry> = codes.iter().map(|code| dma_buf(format, *code)).collect();
    entries.extend([opaque(format), host(format)]);
    offer(name, device, entries)
}

fn request() -> Request {
    Request::new(Extent::new(1920, 1080)).formats(&[Format::XRGB8888])
}

fn agree(producer: &Offer, consumer: &Offer, request: &Request) -> Agreement {
    negotiate(producer, consumer, request).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn refuse(producer: &Offer, consumer: &Offer, request: &Request) -> Refusal {
    match negotiate(producer, consumer, request) {
        Ok(agreement) => panic!("agreed on {agreement:?}"),
        Err(refusal) => *refusal,
    }
}

/// Why a rung was refused, in an agreement on a lower one.
fn reason(agreement: &Agreement, rung: Rung) -> String {
    let refused = agreement.refused.iter().find(|one| one.rung == rung);
    refused.expect("a rung that was refused").reason.to_string()
}

fn refusal_reason(refusal: &Refusal, rung: Rung) -> String {
    let refused = refusal.rungs.iter().find(|one| one.rung == rung);
    refused.expect("each rung has a reason").reason.to_string()
}

#[track_caller]
fn assert_says(text: impl AsRef<str>, parts: &[&str]) {
    let text = text.as_ref();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn common_tiled_layouts_win_and_linear_is_not_among_them() {
    for (vendor, codes, other) in [
        (1, vec![AMD_DCC, AMD_PLAIN, LINEAR], vec![LINEAR, AMD_PLAIN]),
        (
            2,
            vec![INTEL_CCS_CLEAR, INTEL_CCS, INTEL_Y, INTEL_X, LINEAR],
            vec![INTEL_X, LINEAR],
        ),
        (
            3,
            vec![NVIDIA_COMPRESSED, NVIDIA_PLAIN, LINEAR],
            vec![NVIDIA_PLAIN],
        ),
    ] {
        let producer = listing("Vulkan", gpu(vendor), &codes);
        let consumer = listing("OpenGL", gpu(vendor), &other);
        let agreement = agree(&producer, &consumer, &request());
        let common: Vec<u64> = codes
            .iter()
            .copied()
            .filter(|code| *code != LINEAR && other.contains(code))
            .collect();
        let agreed: Vec<u64> = agreement.modifiers.iter().map(|one| one.code()).collect();
        assert_eq!(agreement.rung, Rung::TiledDmaBuf);
        assert_eq!(agreed, common);
        assert_eq!(agreement.refused, []);
        assert_eq!(agreement.devices, Comparison::Same);
    }
}

#[test]
fn every_common_layout_is_agreed_on_in_order_of_code() {
    let producer = listing("Vulkan", gpu(1), &[INTEL_CCS, INTEL_Y, INTEL_X, LINEAR]);
    let consumer = listing("OpenGL", gpu(1), &[LINEAR, INTEL_X, INTEL_CCS, INTEL_Y]);
    let agreement = agree(&producer, &consumer, &request());
    let all = [INTEL_X, INTEL_Y, INTEL_CCS].map(modifier);
    assert_eq!(agreement.modifiers, all);
}

#[test]
fn linear_is_taken_when_nothing_tiled_is_common() {
    let producer = listing("Vulkan", gpu(1), &[AMD_DCC, LINEAR]);
    let consumer = listing("OpenGL", gpu(1), &[AMD_PLAIN, LINEAR]);
    let agreement = agree(&producer, &consumer, &request());
    assert_eq!(agreement.rung, Rung::LinearDmaBuf);
    assert_eq!(agreement.modifiers, [Modifier::LINEAR]);
    let why = reason(&agreement, Rung::TiledDmaBuf);
    assert_says(why, &["Vulkan does not list it", "OpenGL does not list it"]);
}

#[test]
fn another_device_gets_neither_tiled_nor_opaque_memory() {
    let producer = listing("Vulkan", gpu(1), &[AMD_PLAIN, LINEAR]);
    let consumer = listing("OpenGL", gpu(2), &[AMD_PLAIN, LINEAR]);
    let agreement = agree(&producer, &consumer, &request());
    assert_eq!(agreement.rung, Rung::LinearDmaBuf);
    assert_eq!(agreement.devices, Comparison::Different);
    let both = [&*producer.device.to_string(), &*consumer.device.to_string()];
    let why = reason(&agreement, Rung::TiledDmaBuf);
    assert_says(&why, &["not the same device", "Vulkan is", "OpenGL is"]);
    assert_says(&why, &both);
    let opaque_only = request().paths(&[MemoryPath::OpaqueFd]);
    let refusal = refuse(&producer, &consumer, &opaque_only);
    let why = refusal_reason(&refusal, Rung::OpaqueFd);
    assert_says(&why, &["not the same device and driver"]);
    assert_says(&why, &both);
}

#[test]
fn another_driver_of_one_device_gets_tiled_but_no_opaque_memory() {
    let producer = listing("Vulkan", gpu(1), &[AMD_PLAIN]);
    let mut consumer = listing("OpenGL", gpu(1), &[AMD_PLAIN]);
    consumer.device.driver_uuid = Some([9; 16]);
    let agreement = agree(&producer, &consumer, &request());
    assert_eq!(agreement.rung, Rung::TiledDmaBuf);
    let refusal = refuse(
        &producer,
        &consumer,
        &request().paths(&[MemoryPath::OpaqueFd]),
    );
    assert_says(
        refusal_reason(&refusal, Rung::OpaqueFd),
        &["not the same device and driver"],
    );
}

#[test]
fn silent_drivers_get_nothing_that_only_one_device_understands() {
    let producer = listing("Vulkan", gpu(1), &[AMD_PLAIN]);
    let consumer = listing("OpenGL", DeviceId::default(), &[AMD_PLAIN]);
    let request = request().paths(&[MemoryPath::DmaBuf, MemoryPath::OpaqueFd]);
    let refusal = refuse(&producer, &consumer, &request);
    for rung in [Rung::TiledDmaBuf, Rung::OpaqueFd] {
        assert_says(refusal_reason(&refusal, rung), &["cannot tell"]);
    }
}

#[test]
fn software_is_never_the_same_device_as_hardware() {
    let producer = listing("Vulkan", gpu(1), &[AMD_PLAIN, LINEAR]);
    let software = DeviceId {
        software: true,
        ..gpu(1)
    };
    let consumer = listing("OpenGL", software, &[AMD_PLAIN, LINEAR]);
    let agreement = agree(&producer, &consumer, &request());
    assert_eq!(agreement.rung, Rung::LinearDmaBuf);
    assert_says(
        reason(&agreement, Rung::TiledDmaBuf),
        &["a GPU", "a software device"],
    );
}

#[test]
fn external_only_layouts_are_sampled_and_never_rendered_to() {
    let producer = listing("Vulkan", gpu(1), &[INTEL_Y]);
    let mut consumer = listing("OpenGL", gpu(1), &[INTEL_Y]);
    consumer.entries[0].external_only = true;
    let sampled = agree(&producer, &consumer, &request());
    assert_eq!(sampled.rung, Rung::TiledDmaBuf);
    let rendered = request()
        .usage(Usage::RENDER, Usage::RENDER)
        .paths(&[MemoryPath::DmaBuf]);
    let refusal = refuse(&producer, &consumer, &rendered);
    assert_says(
        refusal_reason(&refusal, Rung::TiledDmaBuf),
        &["OpenGL", "external-only"],
    );
}

#[test]
fn an_extent_beyond_the_largest_names_both() {
    let mut producer = listing("Vulkan", gpu(1), &[INTEL_Y]);
    producer.entries[0].max_extent = Extent::new(4096, 1000);
    let consumer = listing("OpenGL", gpu(1), &[INTEL_Y]);
    let agreement = agree(&producer, &consumer, &request());
    assert_eq!(agreement.rung, Rung::OpaqueFd);
    assert_says(
        reason(&agreement, Rung::TiledDmaBuf),
        &["Vulkan: ", "1920x1080", "4096x1000"],
    );
}

#[test]
fn a_missing_usage_names_the_usage_and_the_side() {
    let mut producer = listing("Vulkan", gpu(1), &[INTEL_Y]);
    let consumer = listing("OpenGL", gpu(1), &[INTEL_Y]);
    producer.entries[0].usage = Usage::SAMPLE | Usage::TRANSFER_SOURCE;
    let wanted = request()
        .usage(Usage::RENDER | Usage::STORAGE, Usage::SAMPLE)
        .paths(&[MemoryPath::DmaBuf]);
    let refusal = refuse(&producer, &consumer, &wanted);
    let why = refusal_reason(&refusal, Rung::TiledDmaBuf);
    assert_says(&why, &["Vulkan: ", "RENDER", "STORAGE"]);
    assert!(!why.contains("SAMPLE"), "only what is missing: {why}");
}

#[test]
fn what_cannot_be_exported_or_imported_is_refused() {
    let mut producer = listing("Vulkan", gpu(1), &[INTEL_Y]);
    let mut consumer = listing("OpenGL", gpu(1), &[INTEL_Y]);
    let only = request().paths(&[MemoryPath::DmaBuf]);
    producer.entries[0].exportable = false;
    let refusal = refuse(&producer, &consumer, &only);
    assert_says(
        refusal_reason(&refusal, Rung::TiledDmaBuf),
        &["Vulkan: can import it, but not export it"],
    );
    producer.entries[0].exportable = true;
    consumer.entries[0].importable = false;
    let refusal = refuse(&producer, &consumer, &only);
    assert_says(
        refusal_reason(&refusal, Rung::TiledDmaBuf),
        &["OpenGL: can export it, but not import it"],
    );
}

#[test]
fn the_first_format_asked_for_is_taken_on_the_best_rung() {
    let (first, second) = (Format::XRGB2101010, Format::ARGB8888);
    let both = |codes: [u64; 2]| {
        vec![
            dma_buf(first, codes[0]),
            dma_buf(second, codes[1]),
            host(first),
        ]
    };
    let tiled = offer("Vulkan", gpu(1), both([INTEL_Y, INTEL_Y]));
    let forwards = request().formats(&[first, second]);
    let backwards = request().formats(&[second, first]);
    assert_eq!(agree(&tiled, &tiled, &forwards).format, first);
    assert_eq!(agree(&tiled, &tiled, &backwards).format, second);
    // The rung comes before the format: the second one tiled is better than the first one linear.
    let mixed = offer("Vulkan", gpu(1), both([LINEAR, INTEL_Y]));
    let agreement = agree(&mixed, &mixed, &forwards);
    assert_eq!(agreement.rung, Rung::TiledDmaBuf);
    assert_eq!(agreement.format, second);
    assert_eq!(agreement.modifiers, [modifier(INTEL_Y)]);
}

#[test]
fn struck_entries_do_not_come_back_and_say_why() {
    let side = listing("Vulkan", gpu(1), &[INTEL_Y, INTEL_X]);
    let strike = |code: Option<u64>, format: Option<Format>| Strike {
        path: MemoryPath::DmaBuf,
        format,
        modifier: code.map(modifier),
        reason: StrikeReason::ImportFailed("eglCreateImageKHR failed with BadMatch".to_owned()),
    };
    let one = request().strike(strike(Some(INTEL_Y), Some(Format::XRGB8888)));
    assert_eq!(agree(&side, &side, &one).modifiers, [modifier(INTEL_X)]);
    let other_format = request().strike(strike(Some(INTEL_Y), Some(Format::ARGB8888)));
    assert_eq!(agree(&side, &side, &other_format).modifiers.len(), 2);
    let whole_path = request().strike(strike(None, None));
    let agreement = agree(&side, &side, &whole_path);
    assert_eq!(agreement.rung, Rung::OpaqueFd);
    assert_says(
        reason(&agreement, Rung::TiledDmaBuf),
        &["was tried and failed", "BadMatch"],
    );
}

#[test]
fn a_path_that_is_missing_or_not_asked_for_says_so() {
    let mut producer = listing("Vulkan", gpu(1), &[INTEL_Y]);
    let consumer = listing("OpenGL", gpu(1), &[INTEL_Y]);
    producer.paths[0].1 = Support::No(vec![
        Requirement::Extension {
            api: "Vulkan device",
            name: "VK_EXT_external_memory_dma_buf",
            available: true,
        },
        Requirement::other("needs a kernel with dma-bufs"),
    ]);
    let agreement = agree(
        &producer,
        &consumer,
        &request().paths(&[MemoryPath::DmaBuf, MemoryPath::HostMemory]),
    );
    assert_eq!(agreement.rung, Rung::HostMemory);
    assert_eq!(agreement.modifiers, [Modifier::LINEAR]);
    for rung in [Rung::TiledDmaBuf, Rung::LinearDmaBuf] {
        assert_says(
            reason(&agreement, rung),
            &[
                "Vulkan: ",
                "VK_EXT_external_memory_dma_buf",
                "enable it",
                "a kernel",
            ],
        );
    }
    assert_says(
        reason(&agreement, Rung::OpaqueFd),
        &["not among the paths asked for"],
    );
    producer.paths.clear();
    let refusal = refuse(&producer, &consumer, &request());
    assert_says(
        refusal_reason(&refusal, Rung::HostMemory),
        &["Vulkan says nothing of it"],
    );
}

#[test]
fn a_refusal_names_both_sides_each_rung_and_each_candidate() {
    let producer = offer(
        "Vulkan on A",
        gpu(1),
        vec![dma_buf(Format::XRGB8888, INTEL_Y)],
    );
    let consumer = offer(
        "OpenGL on B",
        gpu(1),
        vec![dma_buf(Format::XRGB8888, LINEAR)],
    );
    let refusal = refuse(&producer, &consumer, &request());
    let text = refusal.to_string();
    assert_says(&text, &["Vulkan on A", "OpenGL on B", "1920x1080"]);
    for rung in Rung::ALL {
        assert_says(&text, &[&rung.to_string()]);
    }
    assert_eq!(refusal.candidates().count(), 2);
    for (_, candidate) in refusal.candidates() {
        let reason = candidate.reason.to_string();
        assert_says(candidate.to_string(), &[&reason, "XRGB8888"]);
    }
    let none = refuse(&producer, &consumer, &request().formats(&[Format::R8]));
    assert_says(
        refusal_reason(&none, Rung::TiledDmaBuf),
        &["neither side", "R8"],
    );
}

#[test]
fn fences_that_one_side_cannot_pass_are_cpu_waits_with_its_reason() {
    let producer = listing("Vulkan", gpu(1), &[INTEL_Y]);
    let consumer = listing("OpenGL", gpu(1), &[INTEL_Y]);
    let agreement = agree(&producer, &consumer, &request());
    assert_eq!(agreement.acquire, FencePath::SyncFile);
    assert_eq!(agreement.release, FencePath::SyncFile);

    let no = || Support::no(Requirement::other("lacks the extension"));
    // Which side lacks what, and which of the two fences that costs.
    for (vulkan, import, acquire) in [
        (true, false, true),
        (true, true, false),
        (false, false, false),
        (false, true, true),
    ] {
        let (mut producer, mut consumer) = (producer.clone(), consumer.clone());
        let side = if vulkan { &mut producer } else { &mut consumer };
        let ability = if import {
            &mut side.fences.import
        } else {
            &mut side.fences.export
        };
        *ability = no();
        let agreement = agree(&producer, &consumer, &request());
        let (lost, kept) = if acquire {
            (&agreement.acquire, &agreement.release)
        } else {
            (&agreement.release, &agreement.acquire)
        };
        assert_eq!(*kept, FencePath::SyncFile);
        let FencePath::CpuWait(why) = lost else {
            panic!("{vulkan} {import}: {lost}");
        };
        let name = if vulkan { "Vulkan" } else { "OpenGL" };
        assert_eq!(why.to_string(), format!("{name}: lacks the extension"));
    }
}
