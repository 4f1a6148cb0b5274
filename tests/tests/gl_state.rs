//! The caller's GL state neither harms what Lucarne reads back unasked (canaries, downloads), nor is it changed.

use glow::HasContext as _;
use lucarne::cpu::Allocator;
use lucarne::{Extent, Fence, Format, MemoryPath, Request, Usage, egl, negotiate};
use lucarne_tests::cpu::{open, write};
use lucarne_tests::skip::skip;
use lucarne_tests::{TIMEOUT, pattern};

/// Values that nobody has by accident, and that would make a careless read or write miss its memory by far.
const STATE: [(u32, i32); 8] = [
    (glow::PACK_ROW_LENGTH, 4099),
    (glow::PACK_SKIP_ROWS, 4001),
    (glow::PACK_SKIP_PIXELS, 3001),
    (glow::PACK_ALIGNMENT, 8),
    (glow::UNPACK_ROW_LENGTH, 4111),
    (glow::UNPACK_SKIP_ROWS, 4007),
    (glow::UNPACK_SKIP_PIXELS, 3011),
    (glow::UNPACK_ALIGNMENT, 2),
];

#[expect(unsafe_code, reason = "GL calls")]
fn set(gl: &glow::Context) {
    for (name, value) in STATE {
        // SAFETY: glPixelStorei with names and values of OpenGL ES 3; the context is current.
        unsafe { gl.pixel_store_i32(name, value) };
    }
    // SAFETY: glColorMask has no preconditions.
    unsafe { gl.color_mask(true, false, true, false) };
}

#[expect(unsafe_code, reason = "GL calls")]
fn assert_set(gl: &glow::Context, after: &str) {
    for (name, value) in STATE {
        // SAFETY: glGetIntegerv with names of OpenGL ES 3; the context is current.
        let found = unsafe { gl.get_parameter_i32(name) };
        assert_eq!(found, value, "{name:#06x} after {after}");
    }
    // SAFETY: glGetBooleanv writes four values for this name.
    let mask = unsafe { gl.get_parameter_bool_array::<4>(glow::COLOR_WRITEMASK) };
    assert_eq!(mask, [true, false, true, false], "after {after}");
}

#[test]
fn pixel_storage_of_the_caller_is_neither_used_nor_changed() {
    let adapters = egl::Adapter::enumerate().expect("EGL devices");
    let Some(adapter) = adapters.into_iter().find(egl::Adapter::is_software) else {
        skip("mesa", "no software EGL device");
        return;
    };
    let gl = adapter.open().expect("a context");
    set(gl.glow());
    // Looks at a small image of each Y'CbCr format that the driver lists.
    let offer = gl.offer(Usage::SAMPLE).expect("an offer");
    assert_set(gl.glow(), "an offer");

    let cpu = open(&Allocator::HostMemory);
    let written = cpu.offer(Usage::TRANSFER_DESTINATION).expect("an offer");
    let (format, extent) = (Format::ABGR8888, Extent::new(37, 21));
    let request = Request::new(extent)
        .formats(&[format])
        .paths(&[MemoryPath::HostMemory])
        .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
    let agreement = negotiate(&written, &offer, &request).expect("an agreement");
    let image = cpu.export(&agreement).expect("a frame");
    let bytes = pattern::bytes(format.info().expect("known"), extent, 3);
    let acquire = write(&image, &Fence::Signaled, &[bytes]);
    // Looks at a memfd of sixteen pixels.
    let texture = gl.import(image.frame()).expect("a texture");
    assert_set(gl.glow(), "an import");
    gl.read(&texture, &acquire, TIMEOUT)
        .expect("a turn to read");
    assert_set(gl.glow(), "a turn");
    let pixels = gl.download(&texture).expect("pixels");
    assert_set(gl.glow(), "a download");
    pattern::assert_equal(format, extent, 3, &pixels);
}
