//! The window without a graphics API: the compositor samples the stream's own memory.

mod handles;
mod stage;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use lucarne::kernel::{Mapping, Memfd};
use lucarne::{
    DeviceId, Extent, Fence, Format, Frame, FrameLayout, Lent, Memory, Offer, Received,
    Requirement, Usage, cpu,
};
use lucarne_wayland::wayland_client::protocol::wl_surface::WlSurface;
use lucarne_wayland::{Buffer, Display, Surface};
use winit::event_loop::ActiveEventLoop;
use winit::window::{Window, WindowAttributes};

use super::overlay::Panel;
use super::samples::is_straight;
use super::scale::{Place, upright};
use super::screen::{Drawn, Importer, PANELS, Scene, Screen, Shown};
use crate::Failure;
use crate::pixels::{self, Picture};
use stage::{Part, Stage};

/// Longer than any compositor takes to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the compositor may take to give back the last frame.
const FAREWELL: Duration = Duration::from_millis(200);

/// A window of black ground, with the picture's surface and the panels' above it.
pub(super) struct WaylandScreen {
    // Dropped in this order: what is on the window, and the window.
    shown: Surface<Loan>,
    picture: Part,
    panels: [Option<Written>; PANELS],
    ground: Option<(Extent, Buffer)>,
    stage: Stage,
    display: Display,
    surface: WlSurface,
    cpu: cpu::Device,
    window: Window,
}

/// A panel's surface, and what is on it.
struct Written {
    panel: Rc<Panel>,
    part: Part,
    _buffer: Buffer,
}

/// A frame's buffer, and the way back of the frame that is in it.
pub(super) struct Import {
    buffer: Buffer,
    back: Rc<RefCell<Option<Fence>>>,
}

/// A frame that the compositor has. The viewer holds the stream's own loan, and hears by this when it may end.
pub(super) struct Loan {
    frame: Frame,
    back: Rc<RefCell<Option<Fence>>>,
}

impl Lent for Loan {
    type Returned = ();

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn index(&self) -> usize {
        0
    }

    fn give_back(&mut self, release: Option<Fence>) {
        *self.back.borrow_mut() = Some(release.unwrap_or(Fence::Signaled));
    }
}

impl Screen for WaylandScreen {
    type Image = Import;
    const USAGE: Usage = Usage::SAMPLE;

    fn open(event_loop: &ActiveEventLoop, wanted: WindowAttributes) -> Result<Self, Failure> {
        let window = event_loop.create_window(wanted)?;
        let (connection, surface) = handles::of(&window)?;
        let display = Display::wrap(&connection, TIMEOUT)?;
        let stage = Stage::new(&connection)?;
        let picture = stage.part(&surface);
        Ok(Self {
            shown: display.surface(&picture.surface, TIMEOUT)?,
            picture,
            panels: [None, None],
            ground: None,
            stage,
            display,
            surface,
            cpu: cpu::Adapter::new(cpu::Allocator::HostMemory).open()?,
            window,
        })
    }

    fn window(&self) -> &Window {
        &self.window
    }

    fn about(&self) -> String {
        let version = self.display.version("zwp_linux_dmabuf_v1");
        let dmabuf = version.map_or_else(
            || "host memory only".to_owned(),
            |version| format!("zwp_linux_dmabuf_v1, version {version}"),
        );
        let fences = if self.display.explicit_sync().is_yes() {
            "explicit fences"
        } else {
            "no explicit fences"
        };
        format!("the Wayland compositor ({dmabuf}, {fences})")
    }

    fn offer(&self) -> lucarne::Result<Offer> {
        Ok(self.shown.offer())
    }

    fn importer(&self) -> Importer<Import> {
        let display = self.display.clone();
        Box::new(move |frame| {
            let layout = frame.layout();
            if layout.format_info().alpha && is_straight(layout) {
                let why = "Wayland takes colours that are multiplied by alpha";
                return Err(lucarne::Error::Unsupported {
                    what: "colours beside alpha".to_owned(),
                    missing: vec![Requirement::other(why)],
                });
            }
            Ok(Import {
                buffer: display.export(frame, TIMEOUT)?,
                back: Rc::default(),
            })
        })
    }

    fn copies(image: &Import) -> u32 {
        image.buffer.copies_per_frame()
    }

    fn resized(&mut self, _: Extent) {
        // `draw` compares sizes.
    }

    fn draw(&mut self, scene: &Scene<'_, Import>) -> Result<Drawn, Failure> {
        if !stage::is_shown(scene.window) {
            return Ok(Drawn::NotNow);
        }
        let factor = self.window.scale_factor();
        if let Some(shown) = &scene.shown {
            self.place_picture(shown, scene.window, factor)?;
        }
        for (number, placed) in scene.panels.iter().enumerate() {
            let Some(placed) = placed else {
                self.panels[number] = None;
                continue;
            };
            self.write(number, &placed.panel)?;
            if let Some(written) = &self.panels[number] {
                written.part.put(placed.place, factor);
                written.part.surface.commit();
            }
        }
        self.window.pre_present_notify();
        self.commit_ground(scene.window)?;
        self.display.dispatch()?;
        Ok(Drawn::Done(scene.shown.as_ref().map(|_| Fence::Signaled)))
    }

    fn picture(&mut self, shown: &Shown<'_, Import>) -> Result<Picture, Failure> {
        let frame = shown.image.buffer.frame();
        let image = self.cpu.import(frame)?;
        let mut bytes = vec![0; image.plane_bytes(0)];
        let read = image.read(shown.acquire, TIMEOUT, |rows| {
            rows.read_plane(0, &mut bytes)
        });
        let _ended = read?;
        let picture = pixels::picture(frame.layout(), &bytes);
        let format = frame.layout().format();
        picture.ok_or_else(|| {
            format!("frames of {format} cannot be saved here; `--api gl` can").into()
        })
    }

    fn left(&mut self, image: &Import, _: &Fence) -> Result<Option<Fence>, Failure> {
        Ok(image.back.borrow_mut().take())
    }

    fn hear(&mut self) -> Result<Option<Offer>, Failure> {
        self.stage.forget_events()?;
        self.shown.give_back()?;
        Ok(self.shown.changed_offer()?)
    }

    fn end(&mut self) {
        // What it keeps for longer it does not read: the surface shows nothing any more.
        let _in_time = self.shown.clear(FAREWELL);
    }
}

impl WaylandScreen {
    fn place_picture(
        &mut self,
        shown: &Shown<'_, Import>,
        window: Extent,
        factor: f64,
    ) -> Result<(), Failure> {
        let Import { buffer, back } = shown.image;
        let layout = buffer.frame().layout();
        let size = upright(layout.extent(), layout.color().orientation);
        self.picture.put(Place::fit(size, window), factor);
        if !shown.is_fresh {
            self.picture.surface.commit();
            return Ok(());
        }
        let loan = Loan {
            frame: buffer.frame().clone(),
            back: Rc::clone(back),
        };
        let received = Received::new(loan, shown.acquire.clone());
        Ok(self.shown.present(buffer, received, TIMEOUT)?)
    }

    /// Puts the panel's pixels on its surface, where others are there.
    fn write(&mut self, number: usize, panel: &Rc<Panel>) -> Result<(), Failure> {
        let known = self.panels[number].as_ref();
        if known.is_some_and(|written| Rc::ptr_eq(&written.panel, panel)) {
            return Ok(());
        }
        let frame = still(panel.extent, Format::ABGR8888, &panel.pixels)?;
        let buffer = self.export_still(panel.extent, &frame, panel)?;
        let part = match self.panels[number].take() {
            Some(written) => written.part,
            None => self.stage.part(&self.surface),
        };
        part.show(Some(&buffer));
        self.panels[number] = Some(Written {
            panel: Rc::clone(panel),
            part,
            _buffer: buffer,
        });
        Ok(())
    }

    /// A panel has red first. Not every compositor takes that in host memory; blue first is always taken.
    fn export_still(
        &self,
        extent: Extent,
        frame: &Frame,
        panel: &Panel,
    ) -> Result<Buffer, Failure> {
        if let Ok(buffer) = self.display.export(frame, TIMEOUT) {
            return Ok(buffer);
        }
        let mut pixels = panel.pixels.clone();
        pixels
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .for_each(|pixel| pixel.swap(0, 2));
        let frame = still(extent, Format::ARGB8888, &pixels)?;
        Ok(self.display.export(&frame, TIMEOUT)?)
    }

    /// Black, as large as the window. Its commit shows everything else, too.
    fn commit_ground(&mut self, window: Extent) -> Result<(), Failure> {
        let known = self.ground.as_ref();
        if known.is_some_and(|(size, _)| *size == window) {
            self.surface.commit();
            return Ok(());
        }
        let frame = still(window, Format::XRGB8888, &[])?;
        let buffer = self.display.export(&frame, TIMEOUT)?;
        stage::show(&self.surface, Some(&buffer));
        self.ground = Some((window, buffer));
        Ok(())
    }
}

/// Rows of four bytes to a pixel in host memory; black where no bytes are given.
fn still(extent: Extent, format: Format, pixels: &[u8]) -> Result<Frame, Failure> {
    let (layout, bytes) = FrameLayout::linear(extent, format)?;
    let memory = Memfd::create("lucarne-view", bytes)?;
    let mut mapping = Mapping::new(&memory)?;
    let pitch = usize::try_from(layout.planes()[0].pitch)?;
    let rows = pixels.chunks_exact(4 * extent.width as usize);
    for (number, row) in rows.enumerate() {
        mapping.copy_in(number * pitch, row)?;
    }
    let memory = Memory::HostMemory(memory);
    Ok(Frame::new(layout, memory, DeviceId::default())?)
}
