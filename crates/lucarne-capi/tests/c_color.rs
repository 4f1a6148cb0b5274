//! Colours: what is said of a frame or a stream comes out as it went in, and what is no colour is named.

mod common;

use std::ffi::CString;
use std::mem::MaybeUninit;

use common::frames::{LONG, cpu, frame_of, image, refused, request};
use common::{filled, made};
use lucarne_capi::ffi::*;

fn color_of(frame: &lucarne_frame) -> lucarne_color {
    filled(|place| lucarne_frame_color(Some(frame), Some(place), None))
}

fn default_of(format: u32) -> lucarne_color {
    filled(|place| lucarne_format_default_color(format, Some(place), None))
}

#[test]
fn colours_go_in_and_come_out() {
    let rgb = default_of(LUCARNE_FORMAT_ABGR8888);
    assert_eq!(
        (rgb.primaries, rgb.transfer, rgb.matrix, rgb.range),
        (1, 13, 0, 1)
    );
    assert_eq!(rgb.alpha, LUCARNE_ALPHA_PREMULTIPLIED);
    let video = default_of(LUCARNE_FORMAT_NV12);
    assert_eq!(
        (video.transfer, video.matrix, video.range, video.siting),
        (1, 1, 0, 0)
    );

    let image = image(LUCARNE_FORMAT_ABGR8888, LUCARNE_ALLOCATOR_HOST_MEMORY);
    let frame = frame_of(&image);
    assert_eq!(color_of(frame), rgb);
    let other = lucarne_color {
        primaries: 9,
        transfer: 16,
        alpha: LUCARNE_ALPHA_STRAIGHT,
        orientation: 6,
        siting: 2,
        range: 0,
        ..rgb
    };
    let colored =
        made(|place| lucarne_frame_with_color(Some(frame), Some(&other), Some(place), None));
    assert_eq!(color_of(&colored), other);
    assert_eq!(color_of(frame), rgb, "the first one is as it was");
}

#[test]
fn what_is_no_colour_is_named() {
    let image = image(LUCARNE_FORMAT_XRGB8888, LUCARNE_ALLOCATOR_HOST_MEMORY);
    let frame = frame_of(&image);
    let good = color_of(frame);
    let cases = [
        (
            lucarne_color {
                primaries: 2,
                ..good
            },
            "color.primaries is 2, but must be one of 1, 4,",
        ),
        (
            lucarne_color {
                transfer: 300,
                ..good
            },
            "color.transfer is 300, but must be one of 1,",
        ),
        (lucarne_color { matrix: 99, ..good }, "color.matrix is 99"),
        (
            lucarne_color { range: 2, ..good },
            "color.range is 2, but must be one of 0, 1",
        ),
        (lucarne_color { siting: 4, ..good }, "color.siting is 4"),
        (
            lucarne_color { alpha: 0, ..good },
            "color.alpha is 0, but must be one of 1, 2, 3, 4",
        ),
        (
            lucarne_color {
                orientation: 8,
                ..good
            },
            "color.orientation is 8",
        ),
        (
            lucarne_color {
                reserved: 1,
                ..good
            },
            "color.reserved is 1",
        ),
        (lucarne_color { matrix: 1, ..good }, "color.matrix"),
        (
            lucarne_color {
                alpha: LUCARNE_ALPHA_STRAIGHT,
                ..good
            },
            "color.alpha",
        ),
    ];
    for (color, message) in cases {
        let (status, text) = refused(|place, error| {
            lucarne_frame_with_color(Some(frame), Some(&color), Some(place), Some(error))
        });
        assert_eq!(status, lucarne_status::InvalidArgument, "{text}");
        assert!(text.contains(message), "{text}");
    }
    let unknown = refused(|place, error| lucarne_format_default_color(1, Some(place), Some(error)));
    assert_eq!(unknown.0, lucarne_status::InvalidArgument);
}

/// A stream in this process, served until there is a frame to read.
fn stream(request: &lucarne_request, check: impl FnOnce(&lucarne_frame, lucarne_color)) {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = CString::new(folder.path().to_str().expect("UTF-8")).expect("no NUL");
    let device = cpu(LUCARNE_ALLOCATOR_HOST_MEMORY);
    let name = c"color".as_ptr();
    let mut producer = made(|place| {
        // SAFETY: both strings end with a NUL.
        unsafe {
            lucarne_producer_bind(
                folder.as_ptr(),
                name,
                Some(&device),
                Some(request),
                None,
                Some(place),
                None,
            )
        }
    });
    let usage = LUCARNE_USAGE_SAMPLE;
    let mut consumer = made(|place| {
        // SAFETY: as above.
        unsafe {
            lucarne_consumer_connect(
                folder.as_ptr(),
                name,
                Some(&device),
                usage,
                None,
                LONG,
                Some(place),
                None,
            )
        }
    });
    let begun = lucarne_now();
    let writing = loop {
        assert!(lucarne_now() - begun < LONG, "no slot");
        assert_eq!(
            lucarne_consumer_dispatch(Some(&mut consumer), None),
            lucarne_status::Ok
        );
        let mut place = MaybeUninit::new(None);
        let status = lucarne_producer_try_acquire(Some(&mut producer), Some(&mut place), None);
        if status == lucarne_status::Ok {
            // SAFETY: MaybeUninit::assume_init: initialised above, and written by the call.
            break unsafe { place.assume_init() }.expect("a slot");
        }
        assert_eq!(status, lucarne_status::WouldBlock);
    };
    let written = color_of(lucarne_writing_frame(Some(&writing)).expect("a frame"));
    let image = lucarne_writing_image(Some(&writing)).expect("an image");
    assert_eq!(color_of(frame_of(image)), written);
    let fence = made(|place| lucarne_fence_signaled(Some(place), None));
    let sent = lucarne_producer_send(
        Some(&mut producer),
        Some(writing),
        Some(&fence),
        1,
        None,
        None,
    );
    assert_eq!(sent, lucarne_status::Ok);
    let reading =
        made(|place| lucarne_consumer_receive(Some(&mut consumer), LONG, Some(place), None));
    let frame = lucarne_reading_frame(Some(&reading)).expect("a frame");
    assert_eq!(color_of(frame), written);
    let event = loop {
        let event = lucarne_consumer_event(Some(&mut consumer)).expect("an event");
        let info = filled(|place| lucarne_event_describe(Some(&event), Some(place), None));
        if info.kind == LUCARNE_EVENT_GENERATION {
            break event;
        }
    };
    let told = filled(|place| lucarne_event_color(Some(&event), Some(place), None));
    check(frame, told);
    let joined = lucarne_producer_event(Some(&mut producer)).expect("an event");
    let (status, text) =
        refused(|place, error| lucarne_event_color(Some(&joined), Some(place), Some(error)));
    assert_eq!(status, lucarne_status::InvalidArgument, "{text}");
    lucarne_reading_free(Some(reading));
}

#[test]
fn a_streams_colours_reach_its_consumers() {
    let color = lucarne_color {
        primaries: 6,
        matrix: 6,
        range: 1,
        siting: 1,
        ..default_of(LUCARNE_FORMAT_NV12)
    };
    let mut asked = request(LUCARNE_FORMAT_NV12);
    let status = lucarne_request_set_color(Some(&mut asked), Some(&color), None);
    assert_eq!(status, lucarne_status::Ok);
    stream(&asked, |frame, told| {
        assert_eq!(color_of(frame), color);
        assert_eq!(told, color);
    });
    stream(&request(LUCARNE_FORMAT_NV12), |frame, told| {
        assert_eq!(color_of(frame), default_of(LUCARNE_FORMAT_NV12));
        assert_eq!(told, default_of(LUCARNE_FORMAT_NV12));
    });
    // Of two formats the one that the colours suit.
    let formats = [LUCARNE_FORMAT_XRGB8888, LUCARNE_FORMAT_NV12];
    // SAFETY: two formats.
    let status =
        unsafe { lucarne_request_set_formats(Some(&mut asked), formats.as_ptr(), 2, None) };
    assert_eq!(status, lucarne_status::Ok);
    stream(&asked, |frame, told| {
        let layout = filled(|place| lucarne_frame_describe(Some(frame), Some(place), None));
        assert_eq!((layout.format, told), (LUCARNE_FORMAT_NV12, color));
    });
    // None that they suit.
    // SAFETY: one format.
    let status =
        unsafe { lucarne_request_set_formats(Some(&mut asked), formats.as_ptr(), 1, None) };
    assert_eq!(status, lucarne_status::Ok);
    let device = cpu(LUCARNE_ALLOCATOR_HOST_MEMORY);
    let (status, text) = refused(|place, error| {
        let name = c"none".as_ptr();
        // SAFETY: the string ends with a NUL, and the folder is not given.
        unsafe {
            lucarne_producer_bind(
                std::ptr::null(),
                name,
                Some(&device),
                Some(&asked),
                None,
                Some(place),
                Some(error),
            )
        }
    });
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(text.contains("color.matrix"), "{text}");
}
