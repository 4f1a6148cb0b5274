//! `Y'CbCr` frames taken apart: formats, sizes and places of the views.

use lucarne::color::{ColorDescription, Matrix};
use lucarne::{
    DeviceId, Extent, Format, Frame, FrameLayout, Memory, Modifier, Plane, Tiling, kernel::Memfd,
};

fn frame(extent: Extent, format: Format) -> Frame {
    let (layout, size) = FrameLayout::linear(extent, format).expect("a layout");
    let memory = Memory::HostMemory(Memfd::create("lucarne-test", size).expect("a memfd"));
    Frame::new(layout, memory, DeviceId::default()).expect("a frame")
}

type View = (Format, u32, u32);

#[track_caller]
fn assert_views(format: Format, views: &[View], places: [(usize, usize); 3], one: f64) {
    let frame = frame(Extent::new(37, 21), format);
    let components = frame.components().expect("components");
    let got: Vec<View> = components
        .frames()
        .iter()
        .map(|view| {
            let layout = view.layout();
            (
                layout.format(),
                layout.extent().width,
                layout.extent().height,
            )
        })
        .collect();
    assert_eq!(got, views, "{format}");
    let got = components.places().map(|place| (place.view, place.channel));
    assert_eq!(got, places, "{format}");
    assert!((components.codes_per_one() - one).abs() < 1e-9, "{format}");
    let whole = frame.layout().planes();
    for (index, view) in components.frames().iter().enumerate() {
        let plane = view.layout().planes()[0];
        assert_eq!(plane, whole[index.min(whole.len() - 1)], "{format}");
    }
}

#[test]
fn planes_are_frames_of_their_own() {
    let chroma = (Format::GR88, 19, 11);
    let luma = (Format::R8, 37, 21);
    assert_views(
        Format::NV12,
        &[luma, chroma],
        [(0, 0), (1, 0), (1, 1)],
        255.0,
    );
    assert_views(
        Format::NV21,
        &[luma, chroma],
        [(0, 0), (1, 1), (1, 0)],
        255.0,
    );
    let third = (Format::R8, 19, 11);
    let three = [luma, third, third];
    assert_views(Format::YUV420, &three, [(0, 0), (1, 0), (2, 0)], 255.0);
    assert_views(Format::YVU420, &three, [(0, 0), (2, 0), (1, 0)], 255.0);
    let deep = [(Format::R16, 37, 21), (Format::GR1616, 19, 11)];
    let places = [(0, 0), (1, 0), (1, 1)];
    assert_views(Format::P010, &deep, places, 65535.0 / 64.0);
    assert_views(Format::P012, &deep, places, 65535.0 / 16.0);
    assert_views(Format::P016, &deep, places, 65535.0);
    let packed = [(Format::GR88, 37, 21), (Format::ABGR8888, 19, 21)];
    assert_views(Format::YUYV, &packed, [(0, 0), (1, 1), (1, 3)], 255.0);
    assert_views(Format::YVYU, &packed, [(0, 0), (1, 3), (1, 1)], 255.0);
    assert_views(Format::UYVY, &packed, [(0, 1), (1, 0), (1, 2)], 255.0);
    assert_views(Format::VYUY, &packed, [(0, 1), (1, 2), (1, 0)], 255.0);
}

#[test]
fn what_cannot_be_taken_apart_is_named() {
    for format in [Format::XRGB8888, Format::NV15, Format::Y410, Format::Y210] {
        let error = frame(Extent::new(8, 8), format).components();
        let error = error.expect_err("no components").to_string();
        assert!(error.contains(&format.to_string()), "{error}");
        assert!(error.contains("whole bytes"), "{error}");
    }
    // A modifier that compresses blocks of all components.
    let afbc = Tiling::Explicit(Modifier::new(0x0800_0000_0000_0041).expect("explicit"));
    let planes = [0, 4096].map(|offset| Plane {
        object: 0,
        offset,
        pitch: 256,
    });
    let extent = Extent::new(16, 16);
    let layout = FrameLayout::new(extent, Format::NV12, afbc, &planes, &[8192]).expect("a layout");
    let memory = Memory::HostMemory(Memfd::create("lucarne-test", 8192).expect("a memfd"));
    let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
    assert!(frame.components().is_err());
}

#[test]
fn other_colours_are_another_picture_in_the_same_memory() {
    let frame = frame(Extent::new(8, 8), Format::NV12);
    let color = ColorDescription {
        matrix: Matrix::Bt601,
        ..frame.layout().color()
    };
    let other = frame.with_color(color).expect("a frame");
    assert_eq!(other.layout().color(), color);
    assert_eq!(other.identity(), frame.identity());
    assert!(
        !other.same_memory(&frame),
        "an import with other colours is another one"
    );
    let back = other.with_color(frame.layout().color()).expect("a frame");
    assert!(back.same_memory(&frame));
    assert!(frame.with_color(ColorDescription::SRGB).is_err());
}
