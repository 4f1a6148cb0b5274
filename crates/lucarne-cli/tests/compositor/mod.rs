//! A compositor that offers `zwp_linux_dmabuf_v1`, and says of it what a test wants.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wayland_protocols::wp::linux_dmabuf::zv1::server::zwp_linux_dmabuf_feedback_v1::{
    self as feedback, TrancheFlags, ZwpLinuxDmabufFeedbackV1,
};
use wayland_protocols::wp::linux_dmabuf::zv1::server::zwp_linux_dmabuf_v1::{
    self as dmabuf, ZwpLinuxDmabufV1,
};
use wayland_protocols::wp::linux_drm_syncobj::v1::server::wp_linux_drm_syncobj_manager_v1::{
    self as syncobj, WpLinuxDrmSyncobjManagerV1,
};
use wayland_server::{
    Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, ListeningSocket, New,
};

/// Bytes of a row of the table.
pub(crate) const ROW: u32 = 16;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const XRGB8888: u32 = 0x3432_5258;
const ABGR8888: u32 = 0x3432_4241;
/// `I915_FORMAT_MOD_4_TILED`, LINEAR, and INVALID.
const TABLE: [(u32, u64); 4] = [
    (XRGB8888, 0x0100_0000_0000_0009),
    (XRGB8888, 0),
    (ABGR8888, 0),
    (ABGR8888, 0x00ff_ffff_ffff_ffff),
];

/// What it says.
#[derive(Debug)]
pub(crate) struct Says {
    /// The table's size, where it is not the real one.
    pub(crate) size: Option<u32>,
    /// The rows of the second tranche.
    pub(crate) rows: Vec<u16>,
    /// The main device.
    pub(crate) device: Vec<u8>,
}

impl Default for Says {
    fn default() -> Self {
        Self {
            size: None,
            rows: vec![1, 2, 3],
            device: rustix::fs::makedev(250, 7).to_ne_bytes().to_vec(),
        }
    }
}

struct Server {
    says: Says,
    table: File,
}

impl Server {
    fn new(says: Says) -> Self {
        let mut table = tempfile::tempfile().expect("a file");
        for (format, modifier) in TABLE {
            let row = [&format.to_ne_bytes()[..], &[0; 4], &modifier.to_ne_bytes()].concat();
            table.write_all(&row).expect("written");
        }
        Self { says, table }
    }

    fn tell(&self, feedback: &ZwpLinuxDmabufFeedbackV1) {
        let rows = |numbers: &[u16]| -> Vec<u8> {
            numbers
                .iter()
                .flat_map(|number| number.to_ne_bytes())
                .collect()
        };
        let real = u32::try_from(TABLE.len()).expect("few") * ROW;
        feedback.format_table(self.table.as_fd(), self.says.size.unwrap_or(real));
        feedback.main_device(self.says.device.clone());
        for (flags, numbers) in [
            (TrancheFlags::Scanout, &[0][..]),
            (TrancheFlags::empty(), &self.says.rows),
        ] {
            feedback.tranche_target_device(self.says.device.clone());
            feedback.tranche_flags(flags);
            feedback.tranche_formats(rows(numbers));
            feedback.tranche_done();
        }
        feedback.done();
    }
}

/// Serves a program until it has ended.
pub(crate) fn serve(says: Says, socket: &Path, start: impl FnOnce() -> Child) -> Output {
    let mut server = Server::new(says);
    let mut display = Display::<Server>::new().expect("a display");
    let mut handle = display.handle();
    handle.create_global::<Server, ZwpLinuxDmabufV1, ()>(4, ());
    handle.create_global::<Server, WpLinuxDrmSyncobjManagerV1, ()>(1, ());
    let listening = ListeningSocket::bind_absolute(socket.to_owned()).expect("a socket");
    let mut child = start();
    let begun = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        assert!(begun.elapsed() < PATIENCE, "the program hangs");
        if let Some(stream) = listening.accept().expect("a client") {
            handle
                .insert_client(stream, Arc::new(()))
                .expect("a client");
        }
        display.dispatch_clients(&mut server).expect("requests");
        display.flush_clients().expect("events");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().expect("a child")
}

impl GlobalDispatch<ZwpLinuxDmabufV1, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        resource: New<ZwpLinuxDmabufV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(resource, ());
    }
}

impl Dispatch<ZwpLinuxDmabufV1, ()> for Server {
    fn request(
        server: &mut Self,
        _: &Client,
        _: &ZwpLinuxDmabufV1,
        request: dmabuf::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let dmabuf::Request::GetDefaultFeedback { id } = request {
            server.tell(&init.init(id, ()));
        }
    }
}

impl Dispatch<ZwpLinuxDmabufFeedbackV1, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ZwpLinuxDmabufFeedbackV1,
        _: feedback::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}

impl GlobalDispatch<WpLinuxDrmSyncobjManagerV1, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WpLinuxDrmSyncobjManagerV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(resource, ());
    }
}

impl Dispatch<WpLinuxDrmSyncobjManagerV1, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WpLinuxDrmSyncobjManagerV1,
        _: syncobj::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}
