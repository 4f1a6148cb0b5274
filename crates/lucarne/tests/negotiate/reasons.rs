//! Each reason: what gives it, what a program finds in it, and how it reads.

use lucarne::negotiate::{Identity, Reason, Side, Strike, StrikeReason};
use lucarne::{
    Comparison, Extent, Format, MemoryPath, Offer, Refusal, Request, Requirement, Rung, Support,
    Usage,
};

use super::{
    AMD_DCC, AMD_PLAIN, INTEL_X, INTEL_Y, LINEAR, agree, dma_buf, gpu, host, listing, modifier,
    offer, refuse, request,
};

/// A pair that agrees on a tiled dma-buf, until a test takes something away.
fn pair() -> (Offer, Offer) {
    let side = |name| offer(name, gpu(1), vec![dma_buf(Format::XRGB8888, INTEL_Y)]);
    (side("Vulkan"), side("OpenGL"))
}

fn on_dma_bufs() -> Request {
    request().paths(&[MemoryPath::DmaBuf])
}

/// Why there is nothing on rung 1.
fn rung_1(producer: &Offer, consumer: &Offer, request: &Request) -> Reason {
    let refusal = refuse(producer, consumer, request);
    refusal.rungs[0].reason.clone()
}

/// The reason of the only combination.
#[track_caller]
fn only(reason: &Reason) -> &Reason {
    match reason {
        Reason::Candidates(candidates) if candidates.len() == 1 => &candidates[0].reason,
        other => panic!("not one combination: {other:?}"),
    }
}

fn strike(reason: StrikeReason) -> Strike {
    Strike {
        path: MemoryPath::DmaBuf,
        format: None,
        modifier: None,
        reason,
    }
}

#[test]
fn a_program_finds_the_missing_extension_without_reading() {
    let (producer, mut consumer) = (
        listing("Vulkan", gpu(1), &[INTEL_Y]),
        listing("OpenGL", gpu(1), &[INTEL_Y]),
    );
    let extension = Requirement::Extension {
        api: "EGL display",
        name: "EGL_EXT_image_dma_buf_import_modifiers",
        available: false,
    };
    consumer.paths[0].1 = Support::no(extension.clone());
    let agreement = agree(&producer, &consumer, &request());
    assert_eq!(agreement.rung, Rung::OpaqueFd);
    // Two rungs lack it, and it is told once.
    let found = agreement.requirements();
    assert_eq!(found, [(Side::Consumer, &extension)]);
    let Some((Side::Consumer, Requirement::Extension { name, .. })) = found.first() else {
        panic!("{found:?}");
    };
    assert_eq!(*name, "EGL_EXT_image_dma_buf_import_modifiers");
    let refusal = refuse(&producer, &consumer, &on_dma_bufs());
    assert_eq!(refusal.requirements(), found);
    let reason = &agreement.refused[0].reason;
    assert_eq!(reason.side(), Some(Side::Consumer));
    assert_eq!(reason.requirements(), [extension]);
    assert_eq!(
        reason.to_string(),
        "OpenGL: needs the EGL display extension EGL_EXT_image_dma_buf_import_modifiers, which the driver lacks"
    );
}

#[test]
fn a_side_that_gives_no_reason_is_named_all_the_same() {
    let (mut producer, consumer) = pair();
    producer.paths[0].1 = Support::No(Vec::new());
    let reason = rung_1(&producer, &consumer, &request());
    assert_eq!(reason.side(), Some(Side::Producer));
    assert_eq!(reason.to_string(), "Vulkan: gives no reason");
}

#[test]
fn what_lost_on_the_rung_that_won_has_its_reason_too() {
    let producer = listing("Vulkan", gpu(1), &[INTEL_X, INTEL_Y, LINEAR]);
    let consumer = listing("OpenGL", gpu(1), &[INTEL_X, INTEL_Y, AMD_PLAIN, LINEAR]);
    // The first is nobody's, and the last is not come to.
    let formats = [Format::NV12, Format::XRGB8888, Format::R8];
    let request = request().formats(&formats).strike(Strike {
        modifier: Some(modifier(INTEL_Y)),
        ..strike(StrikeReason::ImportFailed("it broke".to_owned()))
    });
    let agreement = agree(&producer, &consumer, &request);
    assert_eq!(agreement.format, Format::XRGB8888);
    assert_eq!(agreement.modifiers, [modifier(INTEL_X)]);
    let lost = agreement.candidates.iter();
    let lost: Vec<_> = lost
        .map(|one| (one.tiling.modifier(), one.reason.to_string()))
        .collect();
    let expected = [
        (INTEL_Y, "Vulkan: was tried and failed: it broke"),
        (AMD_PLAIN, "Vulkan does not list it"),
    ];
    let mut expected = expected.map(|(code, why)| (Some(modifier(code)), why.to_owned()));
    expected.sort();
    assert_eq!(lost, expected);
}

#[test]
fn what_the_request_rules_out_is_nobodys_fault() {
    let (producer, consumer) = pair();
    let other = request().paths(&[MemoryPath::HostMemory]);
    let reason = rung_1(&producer, &consumer, &other);
    assert_eq!(reason, Reason::NotAskedFor(MemoryPath::DmaBuf));
    assert_eq!(reason.to_string(), "not among the paths asked for");
    assert_eq!(reason.side(), None);
    let nothing = request().formats(&[]);
    let reason = rung_1(&producer, &consumer, &nothing);
    assert_eq!(reason, Reason::NoFormats);
    assert_eq!(reason.to_string(), "the request names no format");
}

#[test]
fn devices_are_compared_with_both_at_hand() {
    let (producer, mut consumer) = pair();
    consumer.device = gpu(2);
    let Reason::OtherDevice(mismatch) = rung_1(&producer, &consumer, &request()) else {
        panic!("two devices");
    };
    assert_eq!(mismatch.identity, Identity::Device);
    assert_eq!(mismatch.comparison, Comparison::Different);
    assert_eq!(mismatch.producer_device, producer.device);
    assert_eq!(mismatch.consumer_device, consumer.device);
    assert_eq!(
        mismatch.to_string(),
        format!(
            "not the same device: Vulkan is {}; OpenGL is {}",
            producer.device, consumer.device
        )
    );
}

#[test]
fn what_nobody_lists_and_what_one_side_lists_are_two_things() {
    let (producer, mut consumer) = pair();
    let other = on_dma_bufs().formats(&[Format::R8, Format::GR88]);
    let reason = rung_1(&producer, &consumer, &other);
    assert!(matches!(&reason, Reason::NothingListed { formats, .. } if formats.len() == 2));
    assert_eq!(
        reason.to_string(),
        "neither side lists a modifier other than LINEAR for R8, GR88"
    );
    consumer.entries = vec![host(Format::XRGB8888)];
    let reason = rung_1(&producer, &consumer, &request());
    assert!(matches!(&reason, Reason::ListsNothing { end, .. } if end.side == Side::Consumer));
    assert_eq!(
        reason.to_string(),
        "OpenGL lists no format at all as dma-buf"
    );
}

#[test]
fn a_format_that_one_side_lacks_is_told_with_its_twin() {
    let (producer, mut consumer) = pair();
    consumer.entries[0].format = Format::ARGB8888;
    let both = on_dma_bufs().formats(&[Format::XRGB8888, Format::ARGB8888]);
    let reason = rung_1(&producer, &consumer, &both);
    assert_eq!(
        reason.to_string(),
        "XRGB8888: OpenGL does not list it, but ARGB8888, the same with alpha; \
         ARGB8888: Vulkan does not list it, but XRGB8888, the same without alpha"
    );
    let reason = rung_1(&producer, &consumer, &on_dma_bufs());
    let Reason::FormatNotListed { end, twin } = only(&reason) else {
        panic!("{reason}");
    };
    assert_eq!((end.side, *twin), (Side::Consumer, Some(Format::ARGB8888)));
    consumer.entries[0].format = Format::R8;
    let reason = rung_1(&producer, &consumer, &on_dma_bufs());
    assert_eq!(reason.to_string(), "XRGB8888: OpenGL does not list it");
}

#[test]
fn layouts_that_one_side_lacks_are_counted() {
    let producer = listing("Vulkan", gpu(1), &[AMD_DCC, AMD_PLAIN]);
    let consumer = listing("OpenGL", gpu(1), &[INTEL_X]);
    let reason = rung_1(&producer, &consumer, &on_dma_bufs());
    let text = reason.to_string();
    let x = modifier(INTEL_X);
    assert_eq!(
        text,
        format!(
            "XRGB8888 in {x}: Vulkan does not list it; XRGB8888 in 2 layouts: OpenGL does not list it"
        )
    );
    let sides: Vec<_> = reason.flatten().map(Reason::side).collect();
    assert_eq!(
        sides,
        [Side::Producer, Side::Consumer, Side::Consumer].map(Some)
    );
}

#[test]
fn strikes_say_what_failed() {
    let (producer, consumer) = pair();
    for (why, said) in [
        (
            StrikeReason::ExportFailed("no memory".to_owned()),
            "was tried and failed: no memory",
        ),
        (
            StrikeReason::ImportFailed("no match".to_owned()),
            "was tried and failed: no match",
        ),
        (
            StrikeReason::Text("as recorded".to_owned()),
            "was tried and failed: as recorded",
        ),
        (
            StrikeReason::Unwanted("another case".to_owned()),
            "not wanted: another case",
        ),
    ] {
        let struck = on_dma_bufs().strike(strike(why.clone()));
        let reason = rung_1(&producer, &consumer, &struck);
        let Reason::Struck { strike, .. } = only(&reason) else {
            panic!("{reason}");
        };
        assert_eq!(strike.reason, why);
        assert_eq!(
            reason.to_string(),
            format!("XRGB8888 in {}: Vulkan: {said}", modifier(INTEL_Y))
        );
    }
}

#[test]
fn what_an_offer_takes_back_names_the_quirk() {
    let (producer, mut consumer) = pair();
    let quirk = Requirement::Quirk {
        name: "nvidia-foreign-import",
        effect: "its driver samples wrong pages".to_owned(),
    };
    let seen = strike(StrikeReason::SelfTest(quirk.clone()));
    consumer.withdrawn.push(seen);
    let refusal = refuse(&producer, &consumer, &on_dma_bufs());
    let reason = only(&refusal.rungs[0].reason);
    assert!(matches!(reason, Reason::Withdrawn { end, .. } if end.side == Side::Consumer));
    assert_eq!(reason.requirements(), std::slice::from_ref(&quirk));
    assert_eq!(refusal.requirements(), [(Side::Consumer, &quirk)]);
    assert_eq!(
        reason.to_string(),
        "OpenGL: lists it, but: its driver samples wrong pages (quirk nvidia-foreign-import)"
    );
}

#[test]
fn what_a_request_strikes_out_names_the_quirk() {
    let (producer, consumer) = pair();
    let quirk = Requirement::Quirk {
        name: "nvidia-foreign-import",
        effect: "its driver samples wrong pages".to_owned(),
    };
    let struck = on_dma_bufs().strike(strike(StrikeReason::SelfTest(quirk.clone())));
    let refusal = refuse(&producer, &consumer, &struck);
    let reason = only(&refusal.rungs[0].reason);
    assert!(matches!(reason, Reason::Struck { .. }), "{reason}");
    let side = reason.side().expect("whose entry it was");
    assert_eq!(reason.requirements(), std::slice::from_ref(&quirk));
    assert_eq!(refusal.requirements(), [(side, &quirk)]);
}

#[test]
fn abilities_that_are_missing_are_named_with_their_side() {
    let (good_producer, good_consumer) = pair();
    let (mut producer, mut consumer) = pair();
    producer.entries[0].exportable = false;
    consumer.entries[0].importable = false;
    let reason = rung_1(&producer, &good_consumer, &on_dma_bufs());
    assert!(matches!(only(&reason), Reason::NotExportable(end) if end.side == Side::Producer));
    let reason = rung_1(&good_producer, &consumer, &on_dma_bufs());
    assert!(matches!(only(&reason), Reason::NotImportable(end) if end.side == Side::Consumer));

    let (producer, mut consumer) = pair();
    consumer.entries[0].usage = Usage::SAMPLE;
    let wanted = on_dma_bufs().usage(Usage::RENDER, Usage::SAMPLE | Usage::STORAGE);
    let reason = rung_1(&producer, &consumer, &wanted);
    let Reason::Usage { end, missing } = only(&reason) else {
        panic!("{reason}");
    };
    assert_eq!((end.side, *missing), (Side::Consumer, Usage::STORAGE));
    assert_eq!(
        only(&reason).to_string(),
        "OpenGL: cannot use it for STORAGE"
    );

    let (producer, mut consumer) = pair();
    consumer.entries[0].external_only = true;
    let wanted = on_dma_bufs().usage(Usage::RENDER, Usage::RENDER);
    let reason = rung_1(&producer, &consumer, &wanted);
    assert!(matches!(only(&reason), Reason::ExternalOnly(end) if end.side == Side::Consumer));

    let (mut producer, consumer) = pair();
    producer.entries[0].max_extent = Extent::new(640, 480);
    let reason = rung_1(&producer, &consumer, &on_dma_bufs());
    let Reason::TooLarge { asked, largest, .. } = only(&reason) else {
        panic!("{reason}");
    };
    assert_eq!(
        (*asked, *largest),
        (Extent::new(1920, 1080), Extent::new(640, 480))
    );
}

#[test]
fn formats_with_one_reason_are_told_together_and_long_lists_end() {
    let formats: Vec<Format> = Format::ALL.iter().map(|info| info.format).collect();
    let all = |name| {
        let entries = formats.iter().map(|format| dma_buf(*format, LINEAR));
        offer(name, gpu(1), entries.collect())
    };
    let (producer, mut consumer) = (all("Vulkan"), all("OpenGL"));
    for entry in &mut consumer.entries {
        entry.importable = false;
    }
    let four = Request::new(Extent::new(64, 64)).paths(&[MemoryPath::DmaBuf]);
    let refusal = refuse(&producer, &consumer, &four);
    assert_eq!(
        refusal.rungs[1].reason.to_string(),
        "XBGR8888, XRGB8888, ABGR8888, ARGB8888: OpenGL: can export it, but not import it"
    );
    let refusal = refuse(&producer, &consumer, &four.formats(&formats));
    let text = refusal.rungs[1].reason.to_string();
    let more = format!("and {} more: OpenGL", formats.len() - 6);
    assert!(text.contains(&more), "{text}");
    let names = text.split(" and ").next().expect("names");
    assert_eq!(names.split(", ").count(), 6, "{text}");
    assert_eq!(refusal.candidates().count(), formats.len());
}

#[test]
fn two_ends_of_one_name_are_told_apart() {
    let (mut producer, mut consumer) = pair();
    for side in [&mut producer, &mut consumer] {
        "python".clone_into(&mut side.name);
    }
    consumer.entries[0].importable = false;
    let refusal = refuse(&producer, &consumer, &on_dma_bufs());
    let text = refusal.to_string();
    assert!(
        text.starts_with("python (producer) and python (consumer) cannot share 1920x1080 frames: "),
        "{text}"
    );
    let reason = only(&refusal.rungs[0].reason).to_string();
    assert_eq!(
        reason,
        "python (consumer): can export it, but not import it"
    );
}

#[test]
fn a_refusal_is_debugged_a_line_a_rung_and_what_was_tried_comes_first() {
    let (producer, consumer) = pair();
    let paths = [MemoryPath::OpaqueFd, MemoryPath::HostMemory];
    let other = request().formats(&[Format::R8]).paths(&paths);
    let refusal = refuse(&producer, &consumer, &other);
    assert_eq!(
        format!("{refusal:?}"),
        "Vulkan and OpenGL cannot share 1920x1080 frames:
  opaque-fd: Vulkan lists no format at all as opaque-fd
  host-memory: Vulkan lists no format at all as host-memory
  dma-buf (tiled): not among the paths asked for
  dma-buf (linear): not among the paths asked for"
    );
    let lines = format!("{refusal:?}").replace(":\n  ", ": ");
    assert_eq!(lines.replace("\n  ", "; "), refusal.to_string());
    let ended: Result<(), Box<dyn std::error::Error>> = Err(Box::new(refusal));
    assert!(format!("{ended:?}").contains("\n  opaque-fd: "));
}

#[test]
fn a_fault_of_the_request_is_told_once() {
    let (producer, consumer) = pair();
    let empty = |width, height| Request {
        extent: Extent::new(width, height),
        ..request()
    };
    let faults = [
        (
            request().formats(&[]),
            "1920x1080",
            "the request names no format",
        ),
        (
            request().paths(&[]),
            "1920x1080",
            "the request names no memory path",
        ),
        (
            empty(0, 720),
            "0x720",
            "the request's extent is 0x720, but both sides must be 1 to 32768 pixels",
        ),
        (
            empty(64, 40_000),
            "64x40000",
            "the request's extent is 64x40000, but both sides must be 1 to 32768 pixels",
        ),
    ];
    for (request, extent, fault) in faults {
        let refusal = refuse(&producer, &consumer, &request);
        let said = format!("Vulkan and OpenGL cannot share {extent} frames: {fault}");
        assert_eq!(refusal.to_string(), said);
        assert_eq!(
            refusal.rungs.len(),
            4,
            "each rung has its reason all the same"
        );
    }
}

/// Said once, however many rungs lack it, with what makes and what reads such frames.
fn says_how(refusal: &Refusal) -> bool {
    let said = refusal.to_string();
    let hint = "NV12: few drivers take Y'CbCr frames whole; share them plane by plane: ";
    let ways = ["RgbToYcbcr::export", "import_ycbcr", "Frame::components"];
    said.matches(hint).count() == 1 && ways.iter().all(|way| said.contains(way))
}

#[test]
fn video_formats_are_shared_by_planes_and_a_refusal_says_so() {
    let (producer, consumer) = pair();
    let nv12 = request().formats(&[Format::NV12]);
    assert!(says_how(&refuse(&producer, &consumer, &nv12)));
    let entries = [dma_buf(Format::NV12, LINEAR), host(Format::NV12)];
    let whole = offer("the CPU", gpu(1), entries.to_vec());
    assert!(says_how(&refuse(&whole, &consumer, &nv12)));
    assert!(!says_how(&refuse(
        &producer,
        &consumer,
        &request().formats(&[Format::R8])
    )));
}
