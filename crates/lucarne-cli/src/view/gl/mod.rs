//! The window's OpenGL side: the stream's textures are sampled by a context that the toolkit made.

mod calls;
mod context;
mod painter;

use std::rc::Rc;
use std::time::Duration;

use lucarne::glow;
use lucarne::{Extent, Offer, Usage, egl};
use winit::event_loop::ActiveEventLoop;
use winit::window::{Window, WindowAttributes};

use super::samples;
use super::scale::{Corners, Place, upright};
use super::screen::{Drawn, Importer, Scene, Screen, Shown};
use crate::Failure;
use crate::pixels::Picture;
use context::Context;
use painter::{Painter, Quad};

/// Longer than any driver takes for one frame.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A window with an OpenGL ES context.
pub(super) struct GlScreen {
    painter: Painter,
    context: Rc<Context>,
}

/// A frame's texture, which keeps the context alive that it belongs to.
pub(super) struct Import {
    texture: Rc<egl::Texture>,
    _context: Rc<Context>,
}

impl Screen for GlScreen {
    type Image = Import;
    const USAGE: Usage = Usage::SAMPLE;

    fn open(event_loop: &ActiveEventLoop, wanted: WindowAttributes) -> Result<Self, Failure> {
        let context = Context::open(event_loop, wanted)
            .map_err(|error| format!("{error}; `--api vulkan` may do better"))?;
        let context = Rc::new(context);
        Ok(Self {
            painter: Painter::new(&context)?,
            context,
        })
    }

    fn window(&self) -> &Window {
        self.context.window()
    }

    fn about(&self) -> String {
        let egl = self.context.egl();
        format!("{} on {}", egl.version(), egl.renderer())
    }

    fn offer(&self) -> lucarne::Result<Offer> {
        self.context.egl().offer(Self::USAGE)
    }

    fn importer(&self) -> Importer<Import> {
        let context = Rc::clone(&self.context);
        Box::new(move |frame| {
            Ok(Import {
                texture: context.egl().import(frame)?,
                _context: Rc::clone(&context),
            })
        })
    }

    fn copies(image: &Import) -> u32 {
        image.texture.copies_per_frame()
    }

    fn resized(&mut self, window: Extent) {
        self.context.resize(window);
    }

    fn draw(&mut self, scene: &Scene<'_, Import>) -> Result<Drawn, Failure> {
        if scene.window.width == 0 || scene.window.height == 0 {
            return Ok(Drawn::NotNow);
        }
        self.painter.begin(scene.window);
        if let Some(shown) = &scene.shown {
            self.draw_frame(shown, scene)?;
        }
        for (number, placed) in scene.panels.iter().enumerate() {
            let Some(placed) = placed else { continue };
            let texture = self.painter.panel(number, &placed.panel)?;
            self.painter.draw(&Quad {
                texture,
                target: glow::TEXTURE_2D,
                place: placed.place.clip(scene.window),
                corners: Corners::UPRIGHT,
                is_sharp: true,
                multiply: false,
            })?;
        }
        self.painter.end()?;
        let egl = self.context.egl();
        let read = scene
            .shown
            .as_ref()
            .map(|_| egl.fence(TIMEOUT))
            .transpose()?;
        self.context.present()?;
        Ok(Drawn::Done(read))
    }

    fn picture(&mut self, shown: &Shown<'_, Import>) -> Result<Picture, Failure> {
        let (egl, texture) = (self.context.egl(), &shown.image.texture);
        if shown.is_fresh {
            egl.read(texture, shown.acquire, TIMEOUT)?;
        }
        let samples = egl.download(texture)?;
        Ok(samples::picture(texture.frame().layout(), &samples))
    }
}

impl GlScreen {
    fn draw_frame(
        &mut self,
        shown: &Shown<'_, Import>,
        scene: &Scene<'_, Import>,
    ) -> Result<(), Failure> {
        let texture = &shown.image.texture;
        if shown.is_fresh {
            self.context.egl().read(texture, shown.acquire, TIMEOUT)?;
        }
        let layout = texture.frame().layout();
        let orientation = layout.color().orientation;
        let size = upright(layout.extent(), orientation);
        Ok(self.painter.draw(&Quad {
            texture: texture.name(),
            target: texture.target(),
            place: Place::fit(size, scene.window).clip(scene.window),
            corners: Corners::of(orientation),
            is_sharp: scene.filter == super::state::Filter::Nearest,
            multiply: samples::is_straight(layout),
        })?)
    }
}
