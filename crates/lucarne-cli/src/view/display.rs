//! Whether there is a display, and whether it is still there.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use x11rb::rust_connection::RustConnection;

use crate::hang_up;

/// What is said when it goes.
pub(super) const GONE: &str = "the display has gone, and the window with it";
/// What needs no display.
const OTHERWISE: &str = "`lucarne snapshot` and `lucarne record` need none";

/// Says what to do where no display is named, or where a library for keys is missing, without which winit would panic.
pub(super) fn check() -> Result<(), String> {
    let is_wayland = is_wayland();
    if !is_wayland && !is_named("DISPLAY") {
        return Err(format!(
            "there is no display: neither WAYLAND_DISPLAY nor DISPLAY is set; {OTHERWISE}"
        ));
    }
    let library = if xkbcommon_dl::xkbcommon_option().is_none() {
        "libxkbcommon.so.0"
    } else if !is_wayland && xkbcommon_dl::x11::xkbcommon_x11_option().is_none() {
        "libxkbcommon-x11.so.0"
    } else {
        return Ok(());
    };
    Err(no_window(&format_args!(
        "the library {library} is missing; on Debian and Ubuntu: apt install libxkbcommon-x11-0"
    )))
}

/// Where winit opens windows: on Wayland if both are there.
fn is_wayland() -> bool {
    is_named("WAYLAND_DISPLAY") || is_named("WAYLAND_SOCKET")
}

fn is_named(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// Why there is no window.
pub(super) fn no_window(reason: &dyn std::fmt::Display) -> String {
    format!("no window can be opened: {reason}; {OTHERWISE}")
}

/// Notices when the display goes. Of an X server a second connection is told, which only listens. A compositor's end the event
/// loop says, but drivers may fail sooner by it.
#[derive(Debug)]
pub(super) enum Watch {
    Wayland,
    /// Without a connection nothing is missing but the message.
    X11(Option<Box<RustConnection>>),
}

impl Watch {
    /// On the display that windows open on.
    pub(super) fn new() -> Self {
        if is_wayland() {
            return Self::Wayland;
        }
        Self::X11(
            x11rb::connect(None)
                .ok()
                .map(|(connection, _)| Box::new(connection)),
        )
    }

    /// To be polled for nothing: the end of the connection is told in any case.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Wayland => None,
            Self::X11(connection) => Some(connection.as_ref()?.stream().as_fd()),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.hangs_up(Duration::ZERO)
    }

    /// Whether it is gone where something failed: who failed may have heard of it first.
    pub(super) fn is_why(&self) -> bool {
        const LONGEST: Duration = Duration::from_millis(200);
        match self {
            // A socket that was inherited says nothing by its end that could be asked here.
            Self::Wayland if !is_named("WAYLAND_DISPLAY") => false,
            Self::Wayland => (0..10).any(|_| {
                let refuses =
                    lucarne_wayland::wayland_client::Connection::connect_to_env().is_err();
                if !refuses {
                    std::thread::sleep(LONGEST / 10);
                }
                refuses
            }),
            Self::X11(_) => self.hangs_up(LONGEST),
        }
    }

    fn hangs_up(&self, within: Duration) -> bool {
        let gone = |fd| hang_up::hangs_up(fd, PollFlags::empty(), within);
        self.fd().is_some_and(|fd| gone(fd).unwrap_or(false))
    }

    /// winit panics where the X server goes in the middle of a call. The user is told what happened instead.
    pub(super) fn explain_panics(self: &Arc<Self>) {
        let (watch, others) = (Arc::clone(self), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            if watch.is_why() {
                crate::complain(&GONE);
                std::process::exit(2);
            }
            others(panic);
        }));
    }
}
