//! The window and its events.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use lucarne::Extent;
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::error::EventLoopError;
use winit::event::{ElementState, KeyEvent, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::keyboard::{Key, NamedKey};
use winit::platform::pump_events::{EventLoopExtPumpEvents, PumpStatus};
use winit::window::{Fullscreen, WindowAttributes, WindowId};

use super::screen::Screen;
use crate::Failure;

/// How long a display may take to show a window.
const PATIENCE: Duration = Duration::from_secs(10);

/// The window's size until something says another one.
const SIZE: Extent = Extent::new(1280, 720);

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Close,
    /// Full screen, or back.
    FullScreen,
    /// Back from full screen.
    Leave,
    Facts,
    Keys,
    Filter,
    Save,
    /// Draw again: the window was covered, or has another size.
    Draw,
}

impl Wish {
    fn of_key(key: &Key) -> Option<Self> {
        match key {
            Key::Named(NamedKey::Escape) => Some(Self::Leave),
            Key::Named(NamedKey::F11) => Some(Self::FullScreen),
            Key::Character(text) => match text.to_lowercase().as_str() {
                "f" => Some(Self::FullScreen),
                "i" => Some(Self::Facts),
                "h" | "?" => Some(Self::Keys),
                "n" => Some(Self::Filter),
                "s" => Some(Self::Save),
                "q" => Some(Self::Close),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The window as it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) title: String,
    /// Nothing where that is the stream's affair, which is not there yet.
    pub(super) extent: Option<Extent>,
    pub(super) full_screen: bool,
}

/// The connection to the display.
pub(super) struct Events {
    event_loop: EventLoop<()>,
}

/// What happens while events are handled.
struct Handler<S> {
    wanted: Option<Wanted>,
    opened: Option<Result<S, Failure>>,
}

impl Events {
    /// Connects to the display, and opens a window.
    pub(super) fn open<S: Screen>(wanted: Wanted) -> Result<(Self, S), Failure> {
        let event_loop = EventLoop::new().map_err(|error| plainly(&error))?;
        let mut events = Self { event_loop };
        let mut handler = Handler {
            wanted: Some(wanted),
            opened: None,
        };
        let start = Instant::now();
        while handler.opened.is_none() {
            if start.elapsed() > PATIENCE {
                return Err(format!("no window after {} seconds", PATIENCE.as_secs()).into());
            }
            let moment = Some(Duration::from_millis(10));
            match events.event_loop.pump_app_events(moment, &mut handler) {
                PumpStatus::Continue => {}
                PumpStatus::Exit(_) => return Err("the display hung up".into()),
            }
        }
        let screen = handler.opened.ok_or("no window")??;
        Ok((events, screen))
    }

    /// What was wished for since the last call. `None` once the display is gone. Does not wait.
    pub(super) fn wishes<S: Screen>(&mut self, screen: &mut S) -> Option<Vec<Wish>> {
        let mut listener = Listener {
            screen,
            wishes: Vec::new(),
        };
        let moment = Some(Duration::ZERO);
        match self.event_loop.pump_app_events(moment, &mut listener) {
            PumpStatus::Continue => Some(listener.wishes),
            PumpStatus::Exit(_) => None,
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event_loop.as_fd()
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

impl Wanted {
    fn attributes(&self) -> WindowAttributes {
        let Extent { width, height } = self.extent.unwrap_or(SIZE);
        let attributes = WindowAttributes::default()
            .with_title(self.title.clone())
            .with_inner_size(PhysicalSize::new(width, height));
        if self.full_screen {
            attributes.with_fullscreen(Some(Fullscreen::Borderless(None)))
        } else {
            attributes
        }
    }
}

impl<S: Screen> ApplicationHandler for Handler<S> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if let Some(wanted) = self.wanted.take() {
            self.opened = Some(S::open(event_loop, wanted.attributes()));
        }
    }

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, _: WindowEvent) {}
}

/// Events of a window that is open.
struct Listener<'l, S> {
    screen: &'l mut S,
    wishes: Vec<Wish>,
}

impl<S: Screen> ApplicationHandler for Listener<'_, S> {
    fn resumed(&mut self, _: &ActiveEventLoop) {}

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let wish = match event {
            WindowEvent::CloseRequested | WindowEvent::Destroyed => Some(Wish::Close),
            WindowEvent::KeyboardInput {
                event:
                    KeyEvent {
                        logical_key,
                        state: ElementState::Pressed,
                        repeat: false,
                        ..
                    },
                is_synthetic: false,
                ..
            } => Wish::of_key(&logical_key),
            WindowEvent::Resized(size) => {
                self.screen.resized(Extent::new(size.width, size.height));
                Some(Wish::Draw)
            }
            WindowEvent::RedrawRequested | WindowEvent::ScaleFactorChanged { .. } => {
                Some(Wish::Draw)
            }
            _ => None,
        };
        self.wishes.extend(wish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::state::KEYS;

    #[test]
    fn every_key_that_is_listed_does_something_of_its_own() {
        let wish = |text: &str| Wish::of_key(&Key::Character(text.into()));
        let mut wishes: Vec<Option<Wish>> = Vec::new();
        for (keys, _) in KEYS {
            let found: Vec<_> = keys.split(" or ").map(wish).collect();
            assert!(
                found[0].is_some() && found.iter().all(|one| *one == found[0]),
                "{keys}"
            );
            assert!(!wishes.contains(&found[0]), "{keys}");
            wishes.push(found[0]);
        }
        assert_eq!(wish("F"), wish("f"), "caps lock is no matter");
        assert_eq!(wish("x"), None);
        assert_eq!(
            Wish::of_key(&Key::Named(NamedKey::Escape)),
            Some(Wish::Leave)
        );
    }
}
