//! What a frame costs from one wgpu device to another: through Lucarne, and as programs do it without, read back into a buffer
//! and uploaded. Both take turns in one run.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use lucarne::{Extent, Fence, Format, MemoryPath, Request, Usage, negotiate};
use lucarne_example_wgpu::{Snapshot, finish, instance, open};
use lucarne_examples::options::extent;
use lucarne_examples::stream::{Result, TIMEOUT, exit};
use lucarne_wgpu::{Device, Texture};

const DRAWN: Usage = Usage::RENDER.union(Usage::TRANSFER_SOURCE);
const SHOWN: Usage = Usage::SAMPLE;

/// Compares sharing a frame with copying it through the CPU.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Width and height of the frames in pixels
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1920x1080", value_parser = extent)]
    size: Extent,
    /// How many frames each way takes
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    frames: u32,
}

fn main() -> ExitCode {
    exit("wgpu-copies", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let (_, from) = open(&instance(None), None, None)?;
    let (adapter, to) = open(&instance(None), None, None)?;
    let (offer, accept) = (from.offer(DRAWN)?, to.offer(SHOWN)?);
    let request = Request::new(options.size)
        .formats(&[Format::ABGR8888])
        .usage(DRAWN, SHOWN);
    let agreement = negotiate(&offer, &accept, &request)?;
    let drawn = from.export(&agreement)?;
    let usage = match agreement.path() {
        MemoryPath::OpaqueFd => DRAWN | SHOWN,
        _ => SHOWN,
    };
    let shown = to.import(drawn.frame(), usage)?;
    let uploaded = to.wgpu().create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: shown.texture().size(),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: shown.texture().format(),
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });

    let mut shared = Vec::new();
    let mut copied = Vec::new();
    let mut gate = Fence::Signaled;
    for number in 0..options.frames + 5 {
        // Both ways end when the other device has done everything.
        let start = Instant::now();
        let done = from.submit([&drawn], &gate, TIMEOUT, [clear(&from, &drawn, number)])?;
        gate = to.submit([&shown], &done, TIMEOUT, [])?;
        finish(&to)?;
        let middle = Instant::now();
        let (copy, snapshot) = Snapshot::record(&from, &drawn);
        let done = from.submit(
            [&drawn],
            &gate,
            TIMEOUT,
            [clear(&from, &drawn, number), copy],
        )?;
        let bytes = snapshot.bytes(&from)?;
        upload(&to, &uploaded, &bytes);
        finish(&to)?;
        gate = done;
        // The first few make what is made once.
        if number >= 5 {
            shared.push(middle - start);
            copied.push(middle.elapsed());
        }
    }
    let (shared, copied) = (median(shared), median(copied));
    let mut out = io::stdout();
    writeln!(
        out,
        "{}, {}, {}",
        adapter.get_info().name,
        options.size,
        agreement.path()
    )?;
    writeln!(
        out,
        "shared by Lucarne    {:8.3} ms per frame",
        millis(shared)
    )?;
    writeln!(
        out,
        "read back, uploaded  {:8.3} ms per frame",
        millis(copied)
    )?;
    writeln!(
        out,
        "ratio                {:8.1}",
        copied.as_secs_f64() / shared.as_secs_f64()
    )?;
    Ok(())
}

/// Something to draw that costs the same each time.
fn clear(device: &Device, texture: &Texture, number: u32) -> wgpu::CommandBuffer {
    let mut encoder = device.wgpu().create_command_encoder(&Default::default());
    let view = texture.texture().create_view(&Default::default());
    let color = wgpu::Color {
        r: f64::from(number % 256) / 255.0,
        ..wgpu::Color::BLACK
    };
    drop(encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations {
                load: wgpu::LoadOp::Clear(color),
                store: wgpu::StoreOp::Store,
            },
        })],
        ..Default::default()
    }));
    encoder.finish()
}

fn upload(device: &Device, texture: &wgpu::Texture, bytes: &[u8]) {
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(texture.width() * 4),
        rows_per_image: None,
    };
    let target = texture.as_image_copy();
    device
        .queue()
        .write_texture(target, bytes, layout, texture.size());
    device.queue().submit([]);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
