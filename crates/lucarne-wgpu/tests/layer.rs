//! The other tests are content when the validation layer is: here it is not.

mod common;

use common::paint::Painter;
use common::{Bench, DRAWN, agree, reports};
use lucarne::{Format, MemoryPath};
use lucarne_wgpu::lucarne;

/// A texture that is drawn into without a turn: wgpu believes it in a state that nobody has brought it to.
#[test]
fn a_turn_that_is_left_out_is_caught() {
    let bench = Bench::open();
    let device = &bench.wgpu;
    let offer = device.offer(DRAWN).expect("an offer");
    let what = (MemoryPath::OpaqueFd, Format::ABGR8888);
    let agreement = agree(&offer, &offer, what, (DRAWN, DRAWN)).expect("with itself");
    let texture = device.export(&agreement).expect("a texture");
    let painter = Painter::new(device, texture.texture().format());
    let grey = vec![[0.5; 4]; (agreement.extent.width * agreement.extent.height) as usize];
    bench.assert_valid();
    device
        .queue()
        .submit([painter.draw(&grey, texture.texture())]);
    let waited = device.wgpu().poll(wgpu::PollType::wait_indefinitely());
    waited.expect("an end");
    if !bench.pair.is_validated() {
        return;
    }
    let found = reports::taken(bench.pair.vk.adapter());
    let layout = |one: &String| one.contains("layout") && one.contains("UNDEFINED");
    assert!(found.iter().any(layout), "{found:#?}");
}
