//! What a Wayland compositor takes: `zwp_linux_dmabuf_v1`, and whether it takes explicit fences.

mod table;

use std::os::fd::AsFd;

use lucarne::{Format, Tiling};
use serde::{Deserialize, Serialize};
use wayland_client::globals::{GlobalList, GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, WEnum};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_feedback_v1::{
    self as feedback, TrancheFlags, ZwpLinuxDmabufFeedbackV1,
};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_v1::{
    self as dmabuf, ZwpLinuxDmabufV1,
};

use super::dev;
use crate::Failure;
use crate::output::{counted, format_name, layout_name};
use table::{Pair, Table};

/// From this version on the compositor says which device it wants.
const WITH_FEEDBACK: u32 = 4;
const EXPLICIT_SYNC: &str = "wp_linux_drm_syncobj_manager_v1";

/// What a compositor says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wayland {
    /// Nothing where it takes no dma-bufs.
    pub(crate) linux_dmabuf: Option<Dmabuf>,
    /// The version of `wp_linux_drm_syncobj_manager_v1`: nothing where it takes no explicit fences.
    pub(crate) explicit_sync: Option<u32>,
}

/// `zwp_linux_dmabuf_v1`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dmabuf {
    pub(crate) version: u32,
    /// Before version 4 the compositor does not say.
    pub(crate) main_device: Option<String>,
    /// Best first; before version 4 one, of no device.
    pub(crate) tranches: Vec<Tranche>,
}

/// What the compositor takes in one way.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tranche {
    pub(crate) device: Option<String>,
    /// Such frames may be shown without being composed.
    pub(crate) scanout: bool,
    pub(crate) layouts: Vec<Layout>,
}

/// Formats that are taken in the same layout.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// The modifier's meaning.
    pub(crate) layout: String,
    pub(crate) formats: Vec<String>,
}

impl Wayland {
    /// What there is to know, in sentences.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Some(dmabuf) = &self.linux_dmabuf else {
            return vec!["takes no dma-bufs: it lacks zwp_linux_dmabuf_v1".to_owned()];
        };
        let mut lines = vec![format!("zwp_linux_dmabuf_v1, version {}", dmabuf.version)];
        lines.push(match &dmabuf.main_device {
            Some(device) => format!("main device {device}"),
            None => format!("does not say which device it wants (version {WITH_FEEDBACK} does)"),
        });
        lines.extend(dmabuf.tranches.iter().map(Tranche::line));
        lines.push(match self.explicit_sync {
            Some(version) => format!("explicit sync: {EXPLICIT_SYNC}, version {version}"),
            None => format!("no explicit sync: it lacks {EXPLICIT_SYNC}"),
        });
        lines
    }
}

impl Tranche {
    /// Its device, and how many layouts it takes.
    fn line(&self) -> String {
        let formats: usize = self.layouts.iter().map(|one| one.formats.len()).sum();
        let device = self.device.as_deref().unwrap_or("any device");
        let scanout = if self.scanout {
            ", to be shown without composition"
        } else {
            ""
        };
        format!(
            "takes {} in {} from {device}{scanout}",
            counted(formats, "format"),
            counted(self.layouts.len(), "layout")
        )
    }
}

impl Layout {
    /// Pairs of one layout, together, in the compositor's order.
    fn grouped(pairs: &[Pair]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for pair in pairs {
            let layout = layout_name(Tiling::from_code(pair.modifier));
            let format = format_name(Format::from_fourcc(pair.format));
            match groups.iter_mut().find(|group| group.layout == layout) {
                Some(group) if group.formats.contains(&format) => {}
                Some(group) => group.formats.push(format),
                None => groups.push(Self {
                    layout,
                    formats: vec![format],
                }),
            }
        }
        groups
    }
}

/// Asks the compositor of `WAYLAND_DISPLAY`.
pub(super) fn ask() -> Result<Wayland, Failure> {
    let connection = Connection::connect_to_env()
        .map_err(|error| format!("connecting to the compositor: {error}"))?;
    let (globals, mut queue) = registry_queue_init::<Listener>(&connection)
        .map_err(|error| format!("the compositor's list of interfaces: {error}"))?;
    let version = |name: &str| {
        let list = globals.contents().clone_list();
        let found = list.iter().find(|global| global.interface == name);
        found.map(|global| global.version)
    };
    let linux_dmabuf = match version(ZwpLinuxDmabufV1::interface().name) {
        Some(version) => Some(ask_dmabuf(&globals, &mut queue, version)?),
        None => None,
    };
    Ok(Wayland {
        linux_dmabuf,
        explicit_sync: version(EXPLICIT_SYNC),
    })
}

fn ask_dmabuf(
    globals: &GlobalList,
    queue: &mut EventQueue<Listener>,
    version: u32,
) -> Result<Dmabuf, Failure> {
    let handle = queue.handle();
    let bound: ZwpLinuxDmabufV1 = globals.bind(&handle, 1..=WITH_FEEDBACK, ())?;
    let mut listener = Listener::default();
    if version >= WITH_FEEDBACK {
        let _feedback = bound.get_default_feedback(&handle, ());
        while !listener.done {
            queue.blocking_dispatch(&mut listener)?;
        }
    } else {
        queue.roundtrip(&mut listener)?;
        let pairs = std::mem::take(&mut listener.listed);
        listener.tranches = vec![Tranche {
            layouts: Layout::grouped(&pairs),
            ..Tranche::default()
        }];
    }
    if let Some(lie) = listener.lie {
        return Err(lie.into());
    }
    Ok(Dmabuf {
        version,
        main_device: listener.main_device,
        tranches: listener.tranches,
    })
}

/// What has come so far. The compositor is not trusted: its first lie is kept, and ends the asking.
#[derive(Debug, Default)]
struct Listener {
    table: Table,
    main_device: Option<String>,
    tranche: Tranche,
    tranches: Vec<Tranche>,
    /// Before version 4.
    listed: Vec<Pair>,
    done: bool,
    lie: Option<String>,
}

/// More than any compositor has.
const MOST_TRANCHES: usize = 64;
const MOST_LISTED: usize = 1 << 16;

impl Listener {
    fn lied(&mut self, what: impl Into<String>) {
        self.lie.get_or_insert(what.into());
        self.done = true;
    }

    fn or_lie<T>(&mut self, read: Result<T, String>) -> Option<T> {
        read.map_err(|lie| self.lied(lie)).ok()
    }

    fn end_of_tranche(&mut self) {
        if self.tranches.len() >= MOST_TRANCHES {
            return self.lied(format!(
                "the compositor's feedback has more than {MOST_TRANCHES} tranches"
            ));
        }
        self.tranches.push(std::mem::take(&mut self.tranche));
    }
}

impl Dispatch<ZwpLinuxDmabufFeedbackV1, ()> for Listener {
    fn event(
        state: &mut Self,
        _: &ZwpLinuxDmabufFeedbackV1,
        event: feedback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            feedback::Event::FormatTable { fd, size } => {
                if let Some(table) = state.or_lie(Table::read(fd.as_fd(), size)) {
                    state.table = table;
                }
            }
            feedback::Event::MainDevice { device } => {
                state.main_device = state.or_lie(table::device(&device)).map(dev::name);
            }
            feedback::Event::TrancheTargetDevice { device } => {
                state.tranche.device = state.or_lie(table::device(&device)).map(dev::name);
            }
            feedback::Event::TrancheFormats { indices } => {
                let pairs = state.table.pairs(&indices);
                if let Some(pairs) = state.or_lie(pairs) {
                    state.tranche.layouts = Layout::grouped(&pairs);
                }
            }
            feedback::Event::TrancheFlags { flags } => {
                state.tranche.scanout = matches!(
                    flags,
                    WEnum::Value(flags) if flags.contains(TrancheFlags::Scanout)
                );
            }
            feedback::Event::TrancheDone => state.end_of_tranche(),
            feedback::Event::Done => state.done = true,
            _ => {}
        }
    }
}

impl Dispatch<ZwpLinuxDmabufV1, ()> for Listener {
    fn event(
        state: &mut Self,
        _: &ZwpLinuxDmabufV1,
        event: dmabuf::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let pair = match event {
            dmabuf::Event::Format { format } => Pair::implicit(format),
            dmabuf::Event::Modifier {
                format,
                modifier_hi,
                modifier_lo,
            } => Pair {
                format,
                modifier: u64::from(modifier_hi) << 32 | u64::from(modifier_lo),
            },
            _ => return,
        };
        if state.listed.len() < MOST_LISTED {
            state.listed.push(pair);
        }
    }
}

impl Dispatch<WlRegistry, GlobalListContents> for Listener {
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
