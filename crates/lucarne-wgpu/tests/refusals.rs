//! What cannot be done is refused by name, and the program goes on.

mod common;

use std::time::Duration;

use common::paint::Painter;
use common::{Bench, DRAWN, EXTENT};
use lucarne::negotiate::Agreement;
use lucarne::{Error, Extent, Fence, Format, Frame, MemoryPath, Request, Usage, negotiate};
use lucarne_tests::TIMEOUT;
use lucarne_tests::unsignalled::Source;
use lucarne_wgpu::{Device, Texture, lucarne};

/// An error, which says each of these.
fn says<T>(result: Result<T, Error>, parts: &[&str]) -> Error {
    let Err(error) = result else {
        panic!("should have been refused: {parts:?}");
    };
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    error
}

/// What a device agrees on with itself.
fn agreement(device: &Device, extent: Extent, usage: Usage) -> Agreement {
    let offer = device.offer(usage).expect("an offer");
    let formats = [Format::ABGR8888];
    let request = Request::new(extent).formats(&formats).usage(usage, usage);
    negotiate(&offer, &offer, &request).expect("with itself")
}

fn texture(device: &Device) -> Texture {
    let agreement = agreement(device, EXTENT, DRAWN);
    device.export(&agreement).expect("a texture")
}

fn drawing(device: &Device, texture: &Texture) -> wgpu::CommandBuffer {
    let painter = Painter::new(device, texture.texture().format());
    let grey = vec![[0.5; 4]; (EXTENT.width * EXTENT.height) as usize];
    painter.draw(&grey, texture.texture())
}

/// A turn that has to succeed, and to end.
fn turn(device: &Device, texture: &Texture) {
    let commands = drawing(device, texture);
    let done = device.submit([texture], &Fence::Signaled, TIMEOUT, [commands]);
    ended(done);
}

fn ended(turn: Result<Fence, Error>) {
    turn.expect("a turn").wait(TIMEOUT).expect("an end");
}

#[test]
fn another_backend_is_refused() {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = common::now(instance.enumerate_adapters(wgpu::Backends::NOOP));
    let adapter = adapters.first().expect("it needs no driver");
    let opened = common::now(adapter.request_device(&wgpu::DeviceDescriptor::default()));
    let (device, queue) = opened.expect("a device");
    says(
        Device::wrap(&device, &queue),
        &["device is of Noop", "Backends::VULKAN"],
    );
    says(
        lucarne_wgpu::device_extensions(adapter),
        &["adapter is of Noop"],
    );
    let descriptor = wgpu::DeviceDescriptor::default();
    says(
        lucarne_wgpu::request_device(adapter, &descriptor),
        &["adapter is of Noop"],
    );
}

#[test]
fn another_devices_queue_and_textures_are_refused() {
    let [one, other] = [common::wgpu_device(), common::wgpu_device()];
    says(
        Device::wrap(one.wgpu(), other.queue()),
        &["queue is of another device"],
    );
    let foreign = texture(&other);
    let refused = one.submit([&foreign], &Fence::Signaled, TIMEOUT, []);
    says(refused, &["texture is of another device"]);
    says(
        one.release([&foreign], TIMEOUT),
        &["texture is of another device"],
    );
    turn(&other, &foreign);
}

#[test]
fn what_the_adapter_lacks_is_refused_before_the_driver_is_asked() {
    let adapter = common::adapter();
    let missing = wgpu::Features::all() - adapter.features();
    let descriptor = wgpu::DeviceDescriptor {
        required_features: missing,
        ..Default::default()
    };
    says(
        lucarne_wgpu::request_device(&adapter, &descriptor),
        &["required_features", "lacks"],
    );
    let descriptor = wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits {
            max_texture_dimension_2d: u32::MAX,
            ..Default::default()
        },
        ..Default::default()
    };
    says(
        lucarne_wgpu::request_device(&adapter, &descriptor),
        &["required_limits"],
    );
}

/// A device as wgpu opens it shares dma-bufs and opaque memory; what it lacks has a name.
#[test]
fn a_device_of_wgpus_own_says_what_it_lacks() {
    let adapter = common::adapter();
    let opened = common::now(adapter.request_device(&common::descriptor(&adapter)));
    let (device, queue) = opened.expect("a device");
    let device = Device::wrap(&device, &queue).expect("of Vulkan");
    let offer = device.offer(DRAWN).expect("an offer");
    let host = offer.path(MemoryPath::HostMemory);
    assert!(
        host.reason().contains("VK_EXT_external_memory_host"),
        "{host:?}"
    );
    assert!(
        offer
            .fences
            .export
            .reason()
            .contains("VK_KHR_external_semaphore_fd"),
        "{offer:?}"
    );
    assert!(offer.path(MemoryPath::OpaqueFd).is_yes(), "{offer:?}");
    let mut agreement = agreement(&device, EXTENT, DRAWN);
    assert_ne!(agreement.path(), MemoryPath::HostMemory);
    turn(&device, &device.export(&agreement).expect("a texture"));
    agreement.rung = lucarne::Rung::HostMemory;
    agreement.modifiers.clear();
    says(
        device.export(&agreement),
        &["host memory", "VK_EXT_external_memory_host", "copy"],
    );
}

fn frame(format: Format, extent: Extent) -> Frame {
    use lucarne::cpu::Allocator;
    lucarne_tests::yuv::OURS.frame(&Allocator::HostMemory, extent, format)
}

#[test]
fn formats_that_wgpu_lacks_are_refused() {
    let device = common::wgpu_device();
    for format in [Format::NV12, Format::RGB565, Format::XRGB2101010] {
        let refused = device.import(&frame(format, EXTENT), Usage::SAMPLE);
        says(
            refused,
            &["a wgpu::Texture of", "for SAMPLE", "import_planes"],
        );
    }
    let rgb = frame(Format::ABGR8888, EXTENT);
    says(device.import_planes(&rgb, Usage::SAMPLE), &["Y'CbCr"]);
    says(
        device.import_srgb(&frame(Format::R8, EXTENT), Usage::SAMPLE),
        &["sRGB sibling"],
    );
    says(device.import(&rgb, Usage::empty()), &["usage is nothing"]);

    // Without the feature for textures of 16 bits.
    let plain = common::request_device(&common::adapter(), &wgpu::DeviceDescriptor::default());
    let wide = frame(Format::ABGR16161616, EXTENT);
    says(
        plain.import(&wide, Usage::SAMPLE),
        &["TEXTURE_FORMAT_16BIT_NORM"],
    );
    says(
        plain.import(&rgb, Usage::STORAGE | Usage::RENDER | Usage::SAMPLE),
        &[],
    );
}

#[test]
fn a_frame_beyond_wgpus_limit_is_refused() {
    let small = wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits {
            max_texture_dimension_2d: 64,
            max_texture_dimension_1d: 64,
            ..wgpu::Limits::downlevel_defaults()
        },
        ..Default::default()
    };
    let device = common::request_device(&common::adapter(), &small);
    let offer = device.offer(Usage::SAMPLE).expect("an offer");
    assert!(
        offer
            .entries
            .iter()
            .all(|entry| entry.max_extent.fits(Extent::new(64, 64)))
    );
    let wide = frame(Format::ABGR8888, Extent::new(65, 8));
    says(
        device.import(&wide, Usage::SAMPLE),
        &["extent is 65x8", "at most 64"],
    );
}

#[test]
fn turns_exclude_each_other() {
    let bench = Bench::open();
    let device = &bench.wgpu;
    let texture = texture(device);
    says(
        device.release([&texture], TIMEOUT),
        &["texture is not taken"],
    );
    device
        .acquire([&texture], &Fence::Signaled, TIMEOUT)
        .expect("free");
    says(
        device.acquire([&texture], &Fence::Signaled, TIMEOUT),
        &["taken by `acquire`"],
    );
    says(
        device.submit([&texture], &Fence::Signaled, TIMEOUT, []),
        &["taken by `acquire`"],
    );
    ended(device.release([&texture], TIMEOUT));
    // Twice in one turn: the first does not stay taken.
    let both = [&texture, &texture];
    says(
        device.acquire(both, &Fence::Signaled, TIMEOUT),
        &["another thread"],
    );
    turn(device, &texture);
    bench.assert_valid();
}

/// Commands that wgpu finds wrong end as an error of the turn, and not in wgpu's handler, which would end the program.
#[test]
fn commands_that_wgpu_refuses_are_an_error() {
    let bench = Bench::open();
    let device = &bench.wgpu;
    let texture = texture(device);
    let destroyed = device.wgpu().create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: texture.texture().size(),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Float,
        usage: wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    });
    let painter = Painter::new(device, texture.texture().format());
    let commands = painter.copy(&destroyed, texture.texture());
    destroyed.destroy();
    let refused = device.submit([&texture], &Fence::Signaled, TIMEOUT, [commands]);
    says(refused, &["wgpu::Queue::submit", "destroyed"]);
    // Nobody knows what became of it; the next one is as good as new.
    let again = device.submit([&texture], &Fence::Signaled, TIMEOUT, []);
    says(again, &["submission that failed", "anew"]);
    drop(texture);
    turn(device, &self::texture(device));
    bench.assert_valid();
}

#[test]
fn a_destroyed_texture_is_refused() {
    let bench = Bench::open();
    let device = &bench.wgpu;
    let texture = texture(device);
    turn(device, &texture);
    texture.texture().destroy();
    let refused = device.submit([&texture], &Fence::Signaled, TIMEOUT, []);
    says(refused, &["destroyed"]);
    turn(device, &self::texture(device));
    bench.assert_valid();
}

#[test]
fn a_lost_device_is_named() {
    let device = common::wgpu_device();
    let (texture, taken) = (texture(&device), texture(&device));
    turn(&device, &texture);
    device
        .acquire([&taken], &Fence::Signaled, TIMEOUT)
        .expect("free");
    let agreement = agreement(&device, EXTENT, DRAWN);
    let frame = texture.frame().clone();
    device.wgpu().destroy();
    let lost = ["the wgpu::Device is lost or destroyed"];
    says(
        device.submit([&texture], &Fence::Signaled, TIMEOUT, []),
        &lost,
    );
    says(device.release([&taken], TIMEOUT), &lost);
    // The Vulkan device is still there; what matters is that nobody panics.
    let made = (
        device.export(&agreement),
        device.import(&frame, Usage::SAMPLE),
    );
    if let (Ok(exported), Ok(imported)) = &made {
        let both = [exported, imported];
        says(device.submit(both, &Fence::Signaled, TIMEOUT, []), &lost);
    }
    drop((made, taken));
    // The frame's memory is nobody's but its own: another device shows the last picture.
    let next = common::wgpu_device();
    let texture = next.import(&frame, Usage::SAMPLE).expect("a texture");
    ended(next.submit([&texture], &Fence::Signaled, TIMEOUT, []));
}

#[test]
fn a_gate_that_does_not_signal_ends_at_the_deadline() {
    for open in [Bench::open, Bench::with_driver_fences] {
        let bench = open();
        let device = &bench.wgpu;
        if !bench.pair.vk.adapter().id().software {
            lucarne_tests::skip::skip(
                "software",
                "a GPU takes the stand-in for a fence of its own",
            );
            return;
        }
        let texture = texture(device);
        let (fence, deadline) = (Source::StandIn.unsignalled(), Duration::from_millis(50));
        let late = device.submit([&texture], fence.fence(), deadline, []);
        assert!(matches!(says(late, &[]), Error::Timeout { .. }));
        turn(device, &texture);
        // So does one for several textures, in memory of either kind.
        let host = frame(Format::ABGR8888, Extent::new(64, 8));
        let host = device.import(&host, Usage::SAMPLE).expect("a texture");
        for several in [[&texture, &host], [&host, &texture]] {
            let late = device.submit(several, fence.fence(), deadline, []);
            assert!(matches!(says(late, &[]), Error::Timeout { .. }));
            ended(device.submit(several, &Fence::Signaled, TIMEOUT, []));
        }
        bench.assert_valid();
    }
}
