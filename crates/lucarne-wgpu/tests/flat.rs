//! Ten thousand frames from wgpu to wgpu leave nothing behind.

mod common;

use std::sync::{Arc, Barrier};

use common::paint::reader;
use common::{Bench, agree, import_usage};
use lucarne::cpu::Allocator;
use lucarne::{Extent, Fence, Format, Frame, MemoryPath, Pool, Request, Usage, negotiate};
use lucarne_tests::memory::resident;
use lucarne_tests::yuv::OURS;
use lucarne_tests::{TIMEOUT, fds, in_guest};
use lucarne_wgpu::{Device, Texture, lucarne};

const FORMAT: Format = Format::ABGR8888;
const DRAWN: Usage = Usage::RENDER;
const SHOWN: Usage = Usage::SAMPLE;

// Each test is alone before it opens anything: descriptors are counted by process.

/// Frames of a pool, as both ends have them.
struct Slots {
    pool: Pool,
    drawn: Vec<Texture>,
    shown: Vec<Texture>,
}

impl Slots {
    fn new(from: &Device, to: &Device, path: MemoryPath) -> Option<Self> {
        let (offer, accept) = (from.offer(DRAWN), to.offer(SHOWN));
        let (offer, accept) = (offer.expect("an offer"), accept.expect("an offer"));
        let agreement = agree(&offer, &accept, (path, FORMAT), (DRAWN, SHOWN))?;
        let usage = import_usage(&agreement);
        let drawn: Vec<_> = (0..3)
            .map(|_| from.export(&agreement).expect("a texture"))
            .collect();
        let frames: Vec<Frame> = drawn.iter().map(|one| one.frame().clone()).collect();
        let shown = frames
            .iter()
            .map(|frame| to.import(frame, usage).expect("a texture"));
        Some(Self {
            shown: shown.collect(),
            drawn,
            pool: Pool::new(frames),
        })
    }

    /// One frame of a colour of its own; whether the other end is to look is up to the caller.
    fn frame(&self, from: &Device, to: &Device, number: u32, looks: bool) {
        let (writing, gate) = self.pool.acquire().expect("one is free").acquire();
        let index = writing.index();
        let color = color(number);
        let clear = clear(from, &self.drawn[index], color);
        let drawn = from.submit([&self.drawn[index]], &gate, TIMEOUT, [clear]);
        let sent = writing.send(drawn.expect("a turn"));
        let (reading, ready) = sent.receive().acquire();
        let shown = &self.shown[index];
        if !looks {
            let read = to.submit([shown], &ready, TIMEOUT, []).expect("a turn");
            return reading.release(read);
        }
        let reader = reader(to);
        let exact = reader.exact(common::EXTENT);
        let copy = reader.copy(shown.texture(), &exact);
        let read = to.submit([shown], &ready, TIMEOUT, [copy]).expect("a turn");
        let texels = reader.read(&exact);
        let near = |texel: &[f32; 4]| {
            let both = texel.iter().zip(color);
            both.into_iter()
                .all(|(found, wanted)| (f64::from(*found) - wanted).abs() < 0.002)
        };
        assert!(
            texels.iter().all(near),
            "frame {number}: {:?} for {color:?}",
            texels[0]
        );
        reading.release(read);
    }
}

fn color(number: u32) -> [f64; 4] {
    let part = |step: u32| f64::from(number * step % 256) / 255.0;
    [part(1), part(7), part(31), 1.0]
}

/// Commands that fill a texture.
fn clear(device: &Device, texture: &Texture, [r, g, b, a]: [f64; 4]) -> wgpu::CommandBuffer {
    let mut encoder = device.wgpu().create_command_encoder(&Default::default());
    let view = texture.texture().create_view(&Default::default());
    drop(encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations {
                load: wgpu::LoadOp::Clear(wgpu::Color { r, g, b, a }),
                store: wgpu::StoreOp::Store,
            },
        })],
        ..Default::default()
    }));
    encoder.finish()
}

fn flat(bench: &Bench, frames: u32) {
    let (from, to) = (&bench.wgpu, common::wgpu_device());
    for path in [MemoryPath::DmaBuf, MemoryPath::OpaqueFd] {
        let Some(slots) = Slots::new(from, &to, path) else {
            continue;
        };
        // What drivers, wgpu and allocators set up once.
        let first = if in_guest() { 50 } else { 500 };
        (0..first).for_each(|number| slots.frame(from, &to, number, number % 50 == 0));
        let (before, descriptors) = (resident(), fds::list());
        (0..frames).for_each(|number| slots.frame(from, &to, number, number % 1000 == 0));
        fds::assert_as_many(&descriptors);
        let grown = resident().saturating_sub(before) / 1024;
        eprintln!("{path}: {frames} frames, {grown} kB more in memory");
        // A leak of one hundred bytes per frame would show; the layer and the allocator need some room. The guest's few frames
        // do not tell a leak from what is set up late, so memory is judged outside.
        assert!(
            in_guest() || grown < 2048,
            "{path}: {grown} kB in {frames} frames"
        );
    }
}

#[test]
fn ten_thousand_frames_leave_descriptors_and_memory_as_they_were() {
    let _alone = fds::alone();
    flat(&Bench::open(), if in_guest() { 50 } else { 10_000 });
}

#[test]
fn so_do_frames_whose_fences_pass_through_the_driver() {
    let _alone = fds::alone();
    flat(
        &Bench::with_driver_fences(),
        if in_guest() { 50 } else { 2_000 },
    );
}

/// Textures, devices and all go, in any order, and leave no descriptor.
#[test]
fn what_goes_in_any_order_leaves_nothing() {
    let _alone = fds::alone();
    let bench = Bench::open();
    let to = common::wgpu_device();
    let once = |early: bool| {
        let from = common::wgpu_device();
        let Some(slots) = Slots::new(&from, &to, MemoryPath::OpaqueFd) else {
            return;
        };
        slots.frame(&from, &to, 3, true);
        let kept = slots.drawn[0].texture().clone();
        // wgpu's clone keeps the image; Lucarne's value may go before the work has finished.
        let clear = clear(&from, &slots.drawn[1], [0.0; 4]);
        let drawn = from.submit([&slots.drawn[1]], &Fence::Signaled, TIMEOUT, [clear]);
        drop(drawn.expect("a turn"));
        if early {
            drop(slots);
            drop(from);
            drop(kept);
        } else {
            drop(kept);
            drop(from);
            drop(slots);
        }
        to.wgpu()
            .poll(wgpu::PollType::wait_indefinitely())
            .expect("an end");
    };
    once(true);
    let before = fds::list();
    [true, false, true].into_iter().for_each(once);
    fds::assert_as_many(&before);
    bench.assert_valid();
}

/// Other threads submit to the same queue meanwhile: the pixels are right and the layer is content.
#[test]
fn other_threads_submit_meanwhile() {
    let _alone = fds::alone();
    for open in [Bench::open, Bench::with_driver_fences] {
        let bench = open();
        let to = common::wgpu_device();
        let Some(slots) = Slots::new(&bench.wgpu, &to, MemoryPath::OpaqueFd) else {
            continue;
        };
        let start = Arc::new(Barrier::new(2));
        let (device, begun) = (bench.wgpu.clone(), Arc::clone(&start));
        let other = std::thread::spawn(move || {
            begun.wait();
            for _ in 0..300 {
                let encoder = device.wgpu().create_command_encoder(&Default::default());
                device.queue().submit([encoder.finish()]);
            }
        });
        start.wait();
        (0..100).for_each(|number| slots.frame(&bench.wgpu, &to, number, number % 10 == 0));
        other.join().expect("no panic");
        bench.assert_valid();
    }
}

/// A stream that changes its size with each frame, and imports that are refused among them.
#[test]
fn a_hundred_sizes_leave_nothing() {
    let _alone = fds::alone();
    let device = common::wgpu_device();
    let offer = device.offer(DRAWN).expect("an offer");
    let once = |index: u32| {
        let extent = Extent::new(64, 8 + index % 31);
        let request = Request::new(extent).formats(&[FORMAT]).usage(DRAWN, DRAWN);
        let agreement = negotiate(&offer, &offer, &request).expect("with itself");
        let made = device.export(&agreement).expect("a texture");
        let done = device.submit([&made], &Fence::Signaled, TIMEOUT, []);
        done.expect("a turn").wait(TIMEOUT).expect("an end");
        let frame = |format| OURS.frame(&Allocator::HostMemory, extent, format);
        device
            .import(&frame(FORMAT), SHOWN)
            .expect("rows as the driver places them");
        let lacked = device.import(&frame(Format::RGB565), SHOWN);
        lacked.expect_err("wgpu has no such format");
    };
    let settle = || device.wgpu().poll(wgpu::PollType::wait_indefinitely());
    once(0);
    settle().expect("an end");
    let before = fds::list();
    (1..100).for_each(once);
    settle().expect("an end");
    fds::assert_as_many(&before);
}
