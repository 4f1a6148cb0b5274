//! A window's OpenGL ES 3 context from EGL, on Wayland or X11.
#![allow(
    unsafe_code,
    reason = "glutin's contexts and surfaces need valid windows"
)]

use std::num::NonZeroU32;
use std::rc::Rc;

use glutin::config::{Api, Config, ConfigTemplateBuilder, GlConfig};
use glutin::context::{
    ContextApi, ContextAttributesBuilder, NotCurrentGlContext, PossiblyCurrentContext, Version,
};
use glutin::display::{GetGlDisplay, GlDisplay};
use glutin::surface::{GlSurface, Surface, SwapInterval, WindowSurface};
use glutin_winit::{DisplayBuilder, GlWindow};
use lucarne::{Extent, egl};
use winit::event_loop::ActiveEventLoop;
use winit::raw_window_handle::HasWindowHandle;
use winit::window::{Window, WindowAttributes};

use crate::Failure;

/// A context that is current on the thread that opened it, until it is dropped.
pub(in crate::view) struct Context {
    // Dropped in this order: what is made in a context before it, and that before the window.
    egl: Rc<egl::Device>,
    surface: Surface<WindowSurface>,
    context: PossiblyCurrentContext,
    window: Window,
}

impl Context {
    pub(super) fn open(
        event_loop: &ActiveEventLoop,
        wanted: WindowAttributes,
    ) -> Result<Self, Failure> {
        let template = ConfigTemplateBuilder::new()
            .with_api(Api::GLES3)
            .with_depth_size(0);
        let (window, config) = DisplayBuilder::new()
            .with_window_attributes(Some(wanted))
            .build(event_loop, template, |configs| {
                // Nothing here has edges to smooth.
                let best = configs.min_by_key(GlConfig::num_samples);
                best.expect("find_configs gives at least one or fails")
            })
            .map_err(|error| error.to_string())?;
        let window = window.ok_or("the display made no window")?;
        let (surface, context) = current(&window, &config)?;
        // Waiting for a display that shows nothing would block this only thread: the stream gives the pace. A driver that
        // cannot do without waiting is no harm.
        let _ = surface.set_swap_interval(&context, SwapInterval::DontWait);
        // SAFETY: `egl::Device::from_current` asks that display and context outlive the device and its textures: the device is
        // dropped before them here, and each import holds this value.
        let egl = unsafe { egl::Device::from_current() }?;
        Ok(Self {
            egl: Rc::new(egl),
            surface,
            context,
            window,
        })
    }

    pub(in crate::view) fn window(&self) -> &Window {
        &self.window
    }

    pub(super) fn egl(&self) -> &egl::Device {
        &self.egl
    }

    pub(super) fn resize(&self, window: Extent) {
        let sides = (
            NonZeroU32::new(window.width),
            NonZeroU32::new(window.height),
        );
        if let (Some(width), Some(height)) = sides {
            self.surface.resize(&self.context, width, height);
        }
    }

    /// Shows what was drawn into the window's framebuffer.
    pub(super) fn present(&self) -> Result<(), Failure> {
        self.window.pre_present_notify();
        self.surface
            .swap_buffers(&self.context)
            .map_err(|error| format!("showing a frame: {error}").into())
    }
}

/// A surface of the window, and a context that is current with it.
fn current(
    window: &Window,
    config: &Config,
) -> Result<(Surface<WindowSurface>, PossiblyCurrentContext), Failure> {
    let handle = window.window_handle().map_err(|error| error.to_string())?;
    let attributes = ContextAttributesBuilder::new()
        .with_context_api(ContextApi::Gles(Some(Version::new(3, 0))))
        .build(Some(handle.as_raw()));
    let display = config.display();
    // SAFETY: `GlDisplay::create_context` asks for a valid window handle: the window is alive, and outlives the context in
    // `Context`.
    let context = unsafe { display.create_context(config, &attributes) }
        .map_err(|error| format!("no OpenGL ES 3 context: {error}"))?;
    let attributes = window
        .build_surface_attributes(Default::default())
        .map_err(|error| error.to_string())?;
    // SAFETY: `GlDisplay::create_window_surface` asks for a valid window handle: as above.
    let surface = unsafe { display.create_window_surface(config, &attributes) }
        .map_err(|error| error.to_string())?;
    let context = context
        .make_current(&surface)
        .map_err(|error| error.to_string())?;
    Ok((surface, context))
}
