//! Passes a frame over D-Bus: one program offers it, others fetch it, and nobody copies a pixel.

mod bus;

use bus::{NAME, OBJECT, RemoteProxy, Shared, explained};
use clap::Parser;
use lucarne::{Extent, Fence, MemoryPath, cpu};
use lucarne_examples::card;
use lucarne_examples::options::extent;
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{Result, Stop, TICK, TIMEOUT, exit, say};
use lucarne_stream::decode_frame;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zbus::blocking::{Connection, connection};
use zbus::fdo::RequestNameFlags;

/// Passes a frame over the session bus
#[derive(Parser)]
#[command(name = "dbus", version)]
enum Options {
    /// Draw a picture and offer it until Ctrl-C
    Offer {
        /// Width and height in pixels
        #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "640x360", value_parser = extent)]
        size: Extent,
        /// Put it into a dma-buf, which a GPU can use too
        #[arg(long)]
        dma_buf: bool,
    },
    /// Fetch the picture and save it
    Fetch {
        /// The file for the picture
        #[arg(value_name = "PNG", default_value = "target/dbus.png")]
        picture: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Options::parse() {
        Options::Offer {
            size,
            dma_buf: true,
        } => offer(size, MemoryPath::DmaBuf),
        Options::Offer { size, .. } => offer(size, MemoryPath::HostMemory),
        Options::Fetch { picture } => fetch(&picture),
    };
    exit("dbus", outcome)
}

fn offer(size: Extent, path: MemoryPath) -> Result<()> {
    let stop = Stop::on_signals()?;
    let image = card::share(path, size)?;
    let shared = Shared(image.frame().clone());
    let serve = || {
        connection::Builder::session()?
            .serve_at(OBJECT, shared)?
            .build()
    };
    let connection = serve().map_err(explained)?;
    // The name comes last: whoever sees it finds the object. Without this flag it would wait for the name.
    let flags = RequestNameFlags::DoNotQueue;
    connection
        .request_name_with_flags(NAME, flags.into())
        .map_err(explained)?;
    say(&format!(
        "{} in {path}, on the bus as {NAME}; Ctrl-C ends it",
        image.frame().layout()
    ));
    while !stop.asked() {
        std::thread::sleep(TICK);
    }
    Ok(())
}

fn fetch(picture: &Path) -> Result<()> {
    let connection = Connection::session().map_err(explained)?;
    let (message, memory) = RemoteProxy::new(&connection)?.frame().map_err(explained)?;
    // Whoever has the name on the bus can send anything: this is where it is checked.
    let frame = decode_frame(&message, memory.into_iter().map(Into::into).collect())?;
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
    let image = device.import(&frame)?;
    let (seen, _read) = Picture::from_mapping(&image, &Fence::Signaled, TIMEOUT)?;
    if let Some(folder) = picture.parent() {
        std::fs::create_dir_all(folder)?;
    }
    seen.save(picture)?;
    let emulated = if frame.is_emulated() {
        " (emulated)"
    } else {
        ""
    };
    say(&format!(
        "{} in {}{emulated}",
        frame.layout(),
        frame.memory().path()
    ));
    say(&format!("picture: {}", picture.display()));
    Ok(())
}
