//! A frame that OpenGL has seen before.

use std::rc::Rc;

use lucarne::cpu::Allocator;
use lucarne::{Extent, Fence, Format, Frame, MemoryPath, Request, Usage, egl, negotiate};
use lucarne_tests::TIMEOUT;
use lucarne_tests::cpu::open;
use lucarne_tests::skip::skip;

use super::allocations;

/// The adapter that software Vulkan would share with, or the first.
fn context() -> Option<egl::Device> {
    let adapters = egl::Adapter::enumerate().unwrap_or_default();
    let software = adapters.iter().find(|adapter| adapter.is_software());
    let Some(adapter) = software.or(adapters.first()) else {
        skip("egl", "no EGL device");
        return None;
    };
    Some(adapter.open().expect("a context"))
}

fn frames(gl: &egl::Device) -> Vec<Frame> {
    let cpu = open(&Allocator::HostMemory);
    let request = Request::new(Extent::new(64, 32))
        .formats(&[Format::XRGB8888])
        .paths(&[MemoryPath::HostMemory]);
    let producer = cpu.offer(Usage::RENDER).expect("an offer");
    let consumer = gl.offer(Usage::SAMPLE).expect("an offer");
    let agreement = negotiate(&producer, &consumer, &request).expect("an agreement");
    let frame = |_| cpu.export(&agreement).expect("a frame").frame().clone();
    (0..4).map(frame).collect()
}

#[test]
fn a_turn_of_a_frame_that_was_seen_before_allocates_nothing() {
    let Some(gl) = context() else {
        return;
    };
    let frames = frames(&gl);
    let import = |frame: &Frame| gl.import(frame).expect("a texture");
    let imported: Vec<Rc<egl::Texture>> = frames.iter().map(import).collect();
    let uploaded = gl.import_srgb(&frames[0]).expect("a texture");
    assert_eq!(uploaded.copies_per_frame(), 1);
    // A fence that is exported is a new one for each turn.
    let fences = gl.offer(Usage::SAMPLE).expect("an offer").fences;
    let exported = u64::from(fences.export.is_yes());
    let turn = || {
        for frame in &frames {
            let texture = gl.import(frame).expect("the same texture");
            let read = gl.read(&texture, &Fence::Signaled, TIMEOUT);
            read.expect("nothing to wait for");
        }
        let read = gl.read(&uploaded, &Fence::Signaled, TIMEOUT);
        read.expect("nothing to wait for");
        let _release = gl.fence(TIMEOUT).expect("a fence");
    };
    turn();
    assert_eq!(allocations(turn), exported);
    assert_eq!(gl.imports(), 4);
    drop(imported);
}
