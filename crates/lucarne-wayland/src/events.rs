//! What comes from the compositor: each event is put where its asker looks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wayland_client::protocol::wl_buffer::{self, WlBuffer};
use wayland_client::protocol::wl_callback::{self, WlCallback};
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_shm::{self, WlShm};
use wayland_client::protocol::wl_shm_pool::WlShmPool;
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop, event_created_child};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_buffer_params_v1::{
    self as params, ZwpLinuxBufferParamsV1,
};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_feedback_v1::{
    self as feedback, ZwpLinuxDmabufFeedbackV1,
};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_v1::{
    self as dmabuf, ZwpLinuxDmabufV1,
};
use wayland_protocols::wp::linux_drm_syncobj::v1::client::{
    wp_linux_drm_syncobj_manager_v1::WpLinuxDrmSyncobjManagerV1,
    wp_linux_drm_syncobj_surface_v1::WpLinuxDrmSyncobjSurfaceV1,
    wp_linux_drm_syncobj_timeline_v1::WpLinuxDrmSyncobjTimelineV1,
};

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use lucarne::{Format, Tiling};

use crate::convert;
use crate::display::Global;
use crate::feedback::Collecting;

/// More than any compositor lists.
const MOST_LISTED: usize = 1 << 16;

/// What events of one kind are put into, and looked for in.
pub(crate) type Shared<T> = Arc<Mutex<T>>;

pub(crate) fn shared<T: Default>() -> Shared<T> {
    Shared::default()
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each event changes it in one step, so a panic elsewhere leaves no half state.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The queue's state: all that is heard is in the objects' data.
#[derive(Debug)]
pub(crate) struct State;

/// What came of asking for a `wl_buffer`.
#[derive(Debug, Default)]
pub(crate) enum Answer {
    #[default]
    None,
    Created(WlBuffer),
    Failed,
    /// Nobody waits for it any more.
    Unheard,
}

/// Whether the compositor has a buffer.
#[derive(Debug, Default)]
pub(crate) struct Lending(AtomicBool);

impl Lending {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Dispatch<WlRegistry, Shared<Vec<Global>>> for State {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        event: wl_registry::Event,
        globals: &Shared<Vec<Global>>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let mut globals = lock(globals);
        if let wl_registry::Event::Global {
            name,
            interface,
            version,
        } = event
            && globals.len() < MOST_LISTED
        {
            globals.push(Global {
                name,
                interface,
                version,
            });
        }
    }
}

impl Dispatch<WlCallback, Shared<bool>> for State {
    fn event(
        _: &mut Self,
        _: &WlCallback,
        event: wl_callback::Event,
        done: &Shared<bool>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_callback::Event::Done { .. } = event {
            *lock(done) = true;
        }
    }
}

impl Dispatch<WlShm, Shared<Vec<Format>>> for State {
    fn event(
        _: &mut Self,
        _: &WlShm,
        event: wl_shm::Event,
        formats: &Shared<Vec<Format>>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let mut formats = lock(formats);
        if let wl_shm::Event::Format { format } = event
            && formats.len() < MOST_LISTED
        {
            formats.push(convert::format(format));
        }
    }
}

impl Dispatch<ZwpLinuxDmabufV1, Shared<HashSet<(Format, Tiling)>>> for State {
    fn event(
        _: &mut Self,
        _: &ZwpLinuxDmabufV1,
        event: dmabuf::Event,
        pairs: &Shared<HashSet<(Format, Tiling)>>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let pair = match event {
            dmabuf::Event::Format { format } => (Format::from_fourcc(format), Tiling::Implicit),
            dmabuf::Event::Modifier {
                format,
                modifier_hi,
                modifier_lo,
            } => {
                let code = convert::join(modifier_hi, modifier_lo);
                (Format::from_fourcc(format), Tiling::from_code(code))
            }
            _ => return,
        };
        let mut pairs = lock(pairs);
        if pairs.len() < MOST_LISTED {
            pairs.insert(pair);
        }
    }
}

impl Dispatch<ZwpLinuxDmabufFeedbackV1, Shared<Collecting>> for State {
    fn event(
        _: &mut Self,
        _: &ZwpLinuxDmabufFeedbackV1,
        event: feedback::Event,
        said: &Shared<Collecting>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        lock(said).hear(event);
    }
}

impl Dispatch<ZwpLinuxBufferParamsV1, Shared<Answer>> for State {
    fn event(
        _: &mut Self,
        _: &ZwpLinuxBufferParamsV1,
        event: params::Event,
        answer: &Shared<Answer>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let mut answer = lock(answer);
        match event {
            params::Event::Created { buffer } if matches!(*answer, Answer::Unheard) => {
                buffer.destroy();
            }
            params::Event::Created { buffer } => *answer = Answer::Created(buffer),
            params::Event::Failed => *answer = Answer::Failed,
            _ => {}
        }
    }

    event_created_child!(State, ZwpLinuxBufferParamsV1, [
        params::EVT_CREATED_OPCODE => (WlBuffer, Arc::<Lending>::default()),
    ]);
}

impl Dispatch<WlBuffer, Arc<Lending>> for State {
    fn event(
        _: &mut Self,
        _: &WlBuffer,
        event: wl_buffer::Event,
        lending: &Arc<Lending>,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_buffer::Event::Release = event {
            lending.end();
        }
    }
}

delegate_noop!(State: ignore WlShmPool);
delegate_noop!(State: ignore WpLinuxDrmSyncobjManagerV1);
delegate_noop!(State: ignore WpLinuxDrmSyncobjTimelineV1);
delegate_noop!(State: ignore WpLinuxDrmSyncobjSurfaceV1);
