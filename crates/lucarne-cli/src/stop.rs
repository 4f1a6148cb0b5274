//! Ctrl-C, which ends a command in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// What asks a program to end.
const ENDS: [i32; 2] = [SIGINT, SIGTERM];

/// Whether somebody asked the program to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Takes Ctrl-C, SIGTERM and the end of the terminal as a request to end. A second one ends the program at once, with status 130.
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP].into_iter().chain(ENDS) {
            // Handlers run in this order: the first signal finds the flag unset.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Self(stop))
    }

    /// The same for a command that ends soon after the first one, and has a terminal to put back: a second one changes nothing. The
    /// end of the terminal ends the program at once.
    pub(crate) fn without_haste() -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in ENDS {
            flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Self(stop))
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
