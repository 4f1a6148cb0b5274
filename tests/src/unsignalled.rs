//! Fences that have not signalled: the kernel's where a test can have them, stand-ins elsewhere.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use lucarne::{Fence, kernel::SyncFile};
use rustix::event::EventfdFlags;

use crate::skip::skip;
use crate::vgem::{Vgem, VgemFence};

/// Where such fences come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// vgem: fences of the kernel, which expire after ten seconds.
    Vgem(Vgem),
    /// An eventfd: what a thread can poll like a fence, and nothing else. Only waits on the CPU can be tested with it.
    StandIn,
}

/// A fence that signals when a test says so.
#[derive(Debug)]
pub struct Unsignalled {
    fence: Fence,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Vgem(VgemFence),
    StandIn(Arc<OwnedFd>),
}

impl Source {
    /// The kernel's fences, or `None` after a skip that says why not.
    pub fn kernel() -> Option<Self> {
        match Vgem::open() {
            Ok(vgem) => Some(Self::Vgem(vgem)),
            Err(reason) => {
                skip("vgem", &reason);
                None
            }
        }
    }

    /// A fence that has not signalled.
    ///
    /// # Panics
    ///
    /// When the kernel refuses.
    pub fn unsignalled(&self) -> Unsignalled {
        match self {
            Self::Vgem(vgem) => {
                let mut fence = vgem.fence();
                Unsignalled {
                    fence: Fence::sync_file(fence.sync_file()),
                    way: Way::Vgem(fence),
                }
            }
            Self::StandIn => {
                let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC);
                let eventfd = eventfd.expect("an eventfd");
                let own = eventfd.try_clone().expect("a descriptor");
                Unsignalled {
                    fence: Fence::sync_file(SyncFile::stand_in(own)),
                    way: Way::StandIn(Arc::new(eventfd)),
                }
            }
        }
    }
}

impl Unsignalled {
    /// The fence.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Signals it.
    ///
    /// # Panics
    ///
    /// When it cannot be: vgem's expires after ten seconds, and a test that took longer has shown nothing.
    pub fn signal(&self) {
        match &self.way {
            Way::Vgem(fence) => fence
                .signal()
                .expect("a fence that has not expired after ten seconds"),
            Way::StandIn(eventfd) => {
                let one = 1_u64.to_ne_bytes();
                rustix::io::write(eventfd, &one).expect("eight bytes for an eventfd");
            }
        }
    }
}
