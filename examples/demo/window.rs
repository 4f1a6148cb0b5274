//! A window with an OpenGL ES 3 context from EGL, on Wayland or X11.
//!
//! One thread does everything: the caller draws, presents, and polls for events in between.

use glutin::config::{Api, ConfigTemplateBuilder, GlConfig};
use glutin::context::{
    ContextApi, ContextAttributesBuilder, NotCurrentGlContext, PossiblyCurrentContext, Version,
};
use glutin::display::{GetGlDisplay, GlDisplay};
use glutin::surface::{GlSurface, Surface, SwapInterval, WindowSurface};
use glutin_winit::{DisplayBuilder, GlWindow};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::error::EventLoopError;
use winit::event::{ElementState, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::keyboard::{Key, NamedKey};
use winit::platform::pump_events::EventLoopExtPumpEvents;
use winit::platform::wayland::ActiveEventLoopExtWayland;
use winit::raw_window_handle::HasWindowHandle;
use winit::window::{Window as Native, WindowAttributes, WindowId};

/// How long a display server may take to show a window.
const PATIENCE: Duration = Duration::from_secs(10);

/// A window whose context is current on the thread that opened it, until it is dropped.
pub(crate) struct Window {
    // Dropped in this order: the window's objects before the connection.
    handler: Handler,
    event_loop: EventLoop<()>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window")
            .field("size", &self.size())
            .field("system", &self.system())
            .finish_non_exhaustive()
    }
}

/// What there is once the window is open.
struct Open {
    surface: Surface<WindowSurface>,
    context: PossiblyCurrentContext,
    native: Native,
    system: &'static str,
}

struct Handler {
    title: String,
    wanted: PhysicalSize<u32>,
    open: Option<Result<Open, String>>,
    closed: bool,
}

impl Window {
    /// Opens a window of this size in pixels and makes its context current.
    ///
    /// # Errors
    ///
    /// In words, if the display server, EGL or the driver refuses.
    pub(crate) fn open(title: &str, width: u32, height: u32) -> Result<Self, String> {
        let event_loop = EventLoop::new().map_err(|error| plainly(&error))?;
        let handler = Handler {
            title: title.to_owned(),
            wanted: PhysicalSize::new(width, height),
            open: None,
            closed: false,
        };
        let mut window = Self {
            handler,
            event_loop,
        };
        let start = Instant::now();
        while window.handler.open.is_none() {
            if start.elapsed() > PATIENCE {
                return Err(format!("no window after {} seconds", PATIENCE.as_secs()));
            }
            window.pump(Duration::from_millis(10));
        }
        if let Some(Err(reason)) = window.handler.open.take_if(|open| open.is_err()) {
            return Err(reason);
        }
        Ok(window)
    }

    /// Handles what happened since the last call: false once the user closed the window or pressed Escape.
    pub(crate) fn poll(&mut self) -> bool {
        self.pump(Duration::ZERO);
        !self.handler.closed
    }

    fn pump(&mut self, timeout: Duration) {
        // The loop's own wish to end is the handler's `closed`, which `poll` gives.
        let _ = self
            .event_loop
            .pump_app_events(Some(timeout), &mut self.handler);
    }

    fn opened(&self) -> Option<&Open> {
        self.handler
            .open
            .as_ref()
            .and_then(|open| open.as_ref().ok())
    }

    /// Width and height in pixels at the moment.
    pub(crate) fn size(&self) -> (u32, u32) {
        let size = self
            .opened()
            .map_or(self.handler.wanted, |open| open.native.inner_size());
        (size.width.max(1), size.height.max(1))
    }

    /// "Wayland" or "X11".
    pub(crate) fn system(&self) -> &'static str {
        self.opened().map_or("none", |open| open.system)
    }

    /// Shows what was drawn into the window's framebuffer.
    ///
    /// # Errors
    ///
    /// If EGL refuses, in its words.
    pub(crate) fn present(&self) -> Result<(), String> {
        let Some(open) = self.opened() else {
            return Ok(());
        };
        open.native.pre_present_notify();
        open.surface
            .swap_buffers(&open.context)
            .map_err(|error| error.to_string())
    }
}

/// Without the place in winit's source that its message starts with.
fn plainly(error: &EventLoopError) -> String {
    let text = error.to_string();
    match (error, text.split_once(": ")) {
        (EventLoopError::Os(_), Some((_, reason))) => reason.to_owned(),
        _ => text,
    }
}

impl Handler {
    fn create(&self, event_loop: &ActiveEventLoop) -> Result<Open, String> {
        let attributes = WindowAttributes::default()
            .with_title(self.title.clone())
            .with_inner_size(self.wanted)
            .with_min_inner_size(PhysicalSize::new(64, 64));
        let template = ConfigTemplateBuilder::new()
            .with_api(Api::GLES3)
            .with_depth_size(0);
        let (native, config) = DisplayBuilder::new()
            .with_window_attributes(Some(attributes))
            .build(event_loop, template, |mut configs| {
                // Without multisampling if there is a choice: the demo smooths its own edges.
                let first = configs
                    .next()
                    .expect("find_configs gives at least one or fails");
                configs.fold(first, |best, next| {
                    if next.num_samples() < best.num_samples() {
                        next
                    } else {
                        best
                    }
                })
            })
            .map_err(|error| error.to_string())?;
        let native = native.ok_or("the display made no window")?;
        let handle = native
            .window_handle()
            .map_err(|error| error.to_string())?
            .as_raw();
        let attributes = ContextAttributesBuilder::new()
            .with_context_api(ContextApi::Gles(Some(Version::new(3, 0))))
            .build(Some(handle));
        let display = config.display();
        // SAFETY: glutin asks for a valid window handle: `native` lives on in `Open`.
        let context = unsafe { display.create_context(&config, &attributes) }
            .map_err(|error| format!("no OpenGL ES 3 context: {error}"))?;
        let attributes = native
            .build_surface_attributes(Default::default())
            .map_err(|e| e.to_string())?;
        // SAFETY: glutin asks for a valid window handle: `native` outlives the surface in `Open`.
        let surface = unsafe { display.create_window_surface(&config, &attributes) }
            .map_err(|error| error.to_string())?;
        let context = context
            .make_current(&surface)
            .map_err(|error| error.to_string())?;
        // Waiting for a display that shows nothing would block this only thread: the demo keeps its
        // own pace instead. A driver that cannot do without waiting is no harm.
        let _ = surface.set_swap_interval(&context, SwapInterval::DontWait);
        let system = if event_loop.is_wayland() {
            "Wayland"
        } else {
            "X11"
        };
        Ok(Open {
            surface,
            context,
            native,
            system,
        })
    }
}

impl ApplicationHandler for Handler {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.open.is_none() {
            self.open = Some(self.create(event_loop));
        }
    }

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested | WindowEvent::Destroyed => self.closed = true,
            WindowEvent::KeyboardInput { event, .. } => {
                let escape = event.logical_key == Key::Named(NamedKey::Escape);
                self.closed |= escape && event.state == ElementState::Pressed;
            }
            WindowEvent::Resized(size) => {
                let sides = (NonZeroU32::new(size.width), NonZeroU32::new(size.height));
                if let (Some(Ok(open)), (Some(width), Some(height))) = (&self.open, sides) {
                    open.surface.resize(&open.context, width, height);
                }
            }
            _ => {}
        }
    }
}
