//! A client that has a surface without a role, and sends what it likes.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use wayland_client::backend::protocol::ProtocolError;
use wayland_client::globals::{GlobalList, GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_client::protocol::wl_compositor::WlCompositor;
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_client::{
    Connection, Dispatch, EventQueue, QueueHandle, delegate_noop, event_created_child,
};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_buffer_params_v1::{
    self as params, ZwpLinuxBufferParamsV1,
};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1;

use super::connect;

pub(crate) struct Bare {
    pub(crate) connection: Connection,
    pub(crate) surface: WlSurface,
    globals: GlobalList,
    queue: EventQueue<Deaf>,
}

/// Hears nothing.
struct Deaf;

/// Parameters whose planes are there.
pub(crate) struct Sent {
    object: ZwpLinuxBufferParamsV1,
    handle: QueueHandle<Deaf>,
}

impl Bare {
    pub(crate) fn open(socket: &Path) -> Self {
        let connection = connect(socket);
        let (globals, queue) = registry_queue_init::<Deaf>(&connection).expect("globals");
        let handle = queue.handle();
        let compositor: WlCompositor = globals.bind(&handle, 1..=5, ()).expect("a compositor");
        Self {
            surface: compositor.create_surface(&handle, ()),
            connection,
            globals,
            queue,
        }
    }

    /// Adds planes (number, offset, stride, modifier) of one buffer, does the rest, and says what the compositor complains of.
    pub(crate) fn attack(
        mut self,
        planes: &[[u32; 4]],
        buffer: &OwnedFd,
        rest: impl FnOnce(&Sent),
    ) -> Option<ProtocolError> {
        let handle = self.queue.handle();
        let dmabuf: ZwpLinuxDmabufV1 = self.globals.bind(&handle, 5..=5, ()).expect("version 5");
        let object = dmabuf.create_params(&handle, ());
        for [number, offset, stride, modifier] in planes {
            object.add(buffer.as_fd(), *number, *offset, *stride, 0, *modifier);
        }
        rest(&Sent { object, handle });
        let heard = self.queue.roundtrip(&mut Deaf);
        let breach = self.connection.protocol_error();
        assert_eq!(heard.is_err(), breach.is_some(), "{heard:?}");
        breach
    }
}

impl Sent {
    pub(crate) fn create(&self, size: [i32; 2], format: u32, flags: u32, immediately: bool) {
        let flags = params::Flags::from_bits_retain(flags);
        let [width, height] = size;
        if immediately {
            let (object, handle) = (&self.object, &self.handle);
            object.create_immed(width, height, format, flags, handle, ());
        } else {
            self.object.create(width, height, format, flags);
        }
    }
}

impl Dispatch<ZwpLinuxBufferParamsV1, ()> for Deaf {
    fn event(
        _: &mut Self,
        _: &ZwpLinuxBufferParamsV1,
        _: params::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }

    event_created_child!(Deaf, ZwpLinuxBufferParamsV1, [
        params::EVT_CREATED_OPCODE => (WlBuffer, ()),
    ]);
}

impl Dispatch<WlRegistry, GlobalListContents> for Deaf {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

delegate_noop!(Deaf: WlCompositor);
delegate_noop!(Deaf: ignore WlSurface);
delegate_noop!(Deaf: ignore WlBuffer);
delegate_noop!(Deaf: ignore ZwpLinuxDmabufV1);
