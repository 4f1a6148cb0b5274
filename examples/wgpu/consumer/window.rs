//! The stream in a window: a frame of the stream and the window's next image in one turn.

use std::sync::Arc;
use std::time::Duration;

use lucarne::{Fence, Frame};
use lucarne_example_wgpu::{instance, open};
use lucarne_examples::stream::{Album, Result, Stop, TIMEOUT, WatchOptions, say};
use lucarne_stream::Reading;
use lucarne_wgpu::{Device, Texture};
use wgpu::{CurrentSurfaceTexture, Surface, SurfaceConfiguration};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::platform::pump_events::EventLoopExtPumpEvents;
use winit::window::{Window, WindowAttributes, WindowId};

use crate::USAGE;
use crate::show::Show;

/// What the window system has told.
#[derive(Default)]
struct Events {
    window: Option<Arc<Window>>,
    closed: bool,
    /// It wants to be drawn again, perhaps at another size.
    stale: bool,
}

impl ApplicationHandler for Events {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        let attributes = WindowAttributes::default()
            .with_title("wgpu-consumer")
            .with_inner_size(PhysicalSize::new(640, 360));
        match event_loop.create_window(attributes) {
            Ok(window) => self.window = Some(Arc::new(window)),
            Err(error) => {
                say(&error.to_string());
                self.closed = true;
            }
        }
    }

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => self.closed = true,
            WindowEvent::Resized(_) | WindowEvent::RedrawRequested => self.stale = true,
            _ => {}
        }
    }
}

/// What is drawn to.
struct Screen {
    window: Arc<Window>,
    surface: Surface<'static>,
    config: SurfaceConfiguration,
    show: Show,
}

impl Screen {
    /// Draws a frame in one turn, and shows it; returns the fence to give the frame back with. Without an image of the window's
    /// nothing is drawn.
    fn draw(&mut self, device: &Device, texture: &Texture, ready: &Fence) -> Result<Fence> {
        let size = self.window.inner_size();
        if (self.config.width, self.config.height) != (size.width, size.height) {
            (self.config.width, self.config.height) = (size.width.max(1), size.height.max(1));
            self.surface.configure(device.wgpu(), &self.config);
        }
        let (CurrentSurfaceTexture::Success(target) | CurrentSurfaceTexture::Suboptimal(target)) =
            self.surface.get_current_texture()
        else {
            // Hidden, or of another size by now.
            self.surface.configure(device.wgpu(), &self.config);
            return Ok(ready.clone());
        };
        let drawing = self.show.draw(texture.texture(), &target.texture);
        let done = device.submit([texture], ready, TIMEOUT, [drawing])?;
        self.window.pre_present_notify();
        device.queue().present(target);
        Ok(done)
    }
}

pub(crate) fn run(options: &WatchOptions) -> Result<()> {
    let stop = Stop::on_signals()?;
    let mut event_loop = EventLoop::new()?;
    let mut events = Events::default();
    while events.window.is_none() && !events.closed && !stop.asked() {
        event_loop.pump_app_events(Some(Duration::from_millis(10)), &mut events);
    }
    let window = events.window.clone().ok_or("no window")?;
    let instance = instance(Some(event_loop.owned_display_handle()));
    let surface = instance.create_surface(Arc::clone(&window))?;
    let (adapter, device) = open(&instance, Some(&surface), None)?;
    let PhysicalSize { width, height } = window.inner_size();
    let config = surface.get_default_config(&adapter, width.max(1), height.max(1));
    let mut config = config.ok_or("this device cannot show windows")?;
    // Frames hold codes, which a window takes as they are; into an sRGB format they would be encoded once more.
    let formats = surface.get_capabilities(&adapter).formats;
    if let Some(plain) = formats.into_iter().find(|one| !one.is_srgb()) {
        config.format = plain;
    }
    surface.configure(device.wgpu(), &config);
    let show = Show::new(device.wgpu(), config.format);
    let mut screen = Screen {
        window,
        surface,
        config,
        show,
    };

    let offer = device.offer(USAGE)?;
    let mut album = Album::of_consumer("consumer (wgpu, window)", &offer.name, options)?;
    let import = || |frame: &Frame| device.import(frame, USAGE);
    let Some(mut consumer) = options.connect((&offer, USAGE), &stop, import)? else {
        return album.finish(&stop);
    };
    // The last frame is kept until there is another: the window may want it again.
    let mut held: Option<(Reading<Texture>, Fence)> = None;
    while album.is_open() && !stop.asked() && !events.closed {
        event_loop.pump_app_events(Some(Duration::ZERO), &mut events);
        if let Some(received) = album.next(&mut consumer)? {
            if let Some((last, done)) = held.take() {
                last.release(done)?;
            }
            let (reading, acquire) = received.acquire();
            album.keep(reading.sequence(), 0, None)?;
            held = Some((reading, acquire));
            events.stale = true;
        }
        if let (true, Some((reading, done))) = (events.stale, &mut held) {
            *done = screen.draw(&device, reading.image(), done)?;
            events.stale = false;
        }
    }
    if let Some((last, done)) = held.take() {
        last.release(done)?;
    }
    album.finish(&stop)
}
