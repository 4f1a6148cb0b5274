//! Frames that the CPU draws, in a window of a Wayland compositor, which samples their memory: no OpenGL and no Vulkan.

mod window;

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use clap::Parser;
use lucarne::cpu::{self, Image};
use lucarne::{
    Agreement, Extent, Format, Frame, ImportCache, MemoryPath, Pool, Request, Usage, negotiate,
};
use lucarne_wayland::{Buffer, Display, Surface};
use wayland_client::Connection;
use window::Window;

/// Longer than any compositor takes to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const EXTENT: Extent = Extent::new(320, 240);
const PERIOD: Duration = Duration::from_millis(16);

#[derive(Parser)]
#[command(about = "Shows a pattern that moves, in a Wayland window, without OpenGL or Vulkan")]
struct Options {
    /// Stops moving after so many frames; the last stays until the window is closed.
    #[arg(long, value_name = "COUNT")]
    frames: Option<u32>,
    /// Asks for the whole screen.
    #[arg(long)]
    fullscreen: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let title = "Lucarne: frames without a graphics API";
    let mut window = Window::open(Connection::connect_to_env()?, title, options.fullscreen)?;
    let display = Display::wrap(window.connection(), TIMEOUT)?;
    let surface = display.surface(window.surface(), TIMEOUT)?;

    // What can the CPU make that the compositor can show? dma-bufs, where this machine has them.
    let device = cpu::Adapter::enumerate()
        .into_iter()
        .find_map(|adapter| adapter.open().ok())
        .ok_or("there is no memory to share")?;
    let request = Request::new(EXTENT)
        .formats(&[Format::XRGB8888])
        .paths(&[MemoryPath::DmaBuf, MemoryPath::HostMemory])
        .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
    let own = device.offer(Usage::TRANSFER_DESTINATION)?;
    let agreement = negotiate(&own, &surface.offer(), &request)?;
    tell(&agreement)?;

    // One is shown, one is on its way, one is drawn.
    let images: Vec<Image> = (0..3)
        .map(|_| device.export(&agreement))
        .collect::<Result<_, _>>()?;
    let frames: Vec<Frame> = images.iter().map(|image| image.frame().clone()).collect();
    let mut show = Show {
        pool: Pool::new(frames),
        buffers: ImportCache::new(images.len()),
        images,
        display,
        surface,
    };
    let mut number = 0;
    while window.is_open()? {
        if options.frames.is_none_or(|most| number < most) && show.show(number)? {
            number += 1;
        }
        show.surface.give_back()?;
        show.display.wait(PERIOD)?;
    }
    Ok(())
}

struct Show {
    surface: Surface,
    buffers: ImportCache<Buffer>,
    pool: Pool,
    images: Vec<Image>,
    display: Display,
}

impl Show {
    /// Draws and shows a frame; says no where the compositor has them all.
    fn show(&mut self, number: u32) -> Result<bool, lucarne::Error> {
        let Some(free) = self.pool.acquire() else {
            return Ok(false);
        };
        let (writing, gate) = free.acquire();
        let image = &self.images[writing.index()];
        let pixels = pattern(number);
        let drawn = image.write(&gate, TIMEOUT, |rows| rows.write_plane(0, &pixels))?;
        let sent = writing.send(drawn);
        // Once for each of the three; the memory stays the same.
        let display = &self.display;
        let export = |frame: &Frame| display.export(frame, TIMEOUT);
        let buffer = self.buffers.get_or_import(sent.frame(), export)?;
        self.surface.present(buffer, sent.receive(), TIMEOUT)?;
        Ok(true)
    }
}

/// Blue, green, red and padding of each pixel.
fn pattern(number: u32) -> Vec<u8> {
    let low = |value: u32| value.to_le_bytes()[0];
    let rows = (0..EXTENT.height).flat_map(|y| (0..EXTENT.width).map(move |x| (x, y)));
    rows.flat_map(|(x, y)| [low(x + number), low(y), low((x ^ y) + 2 * number), 0])
        .collect()
}

/// How the frames get there, and why nothing better.
fn tell(agreement: &Agreement) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "shows {} over {}", agreement.format, agreement.rung)?;
    let mut refused = agreement.refused.iter();
    refused.try_for_each(|refused| writeln!(out, "not {refused}"))
}
