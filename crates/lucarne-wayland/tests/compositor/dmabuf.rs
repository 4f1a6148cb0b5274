//! `zwp_linux_dmabuf_v1`, version 5.

use std::os::fd::AsFd;
use std::sync::Mutex;

use lucarne::Frame;
use lucarne_wayland::import::{Params, Refused};
use wayland_protocols::wp::linux_dmabuf::zv1::server::zwp_linux_buffer_params_v1::{
    self as params, ZwpLinuxBufferParamsV1,
};
use wayland_protocols::wp::linux_dmabuf::zv1::server::zwp_linux_dmabuf_feedback_v1::{
    self as feedback, TrancheFlags, ZwpLinuxDmabufFeedbackV1,
};
use wayland_protocols::wp::linux_dmabuf::zv1::server::zwp_linux_dmabuf_v1::{
    self as dmabuf, ZwpLinuxDmabufV1,
};
use wayland_server::protocol::wl_buffer::{self, WlBuffer};
use wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, WEnum,
};

use super::Server;

impl Server {
    /// All of what it takes, in one tranche.
    pub(super) fn tell(&self, feedback: &ZwpLinuxDmabufFeedbackV1) {
        let rows = u16::try_from(self.behaviour.pairs.len()).expect("few");
        let device = self.behaviour.device.to_ne_bytes().to_vec();
        feedback.format_table(self.table.as_fd(), u32::from(rows) * 16);
        feedback.main_device(device.clone());
        feedback.tranche_target_device(device);
        feedback.tranche_flags(TrancheFlags::empty());
        feedback.tranche_formats((0..rows).flat_map(u16::to_ne_bytes).collect());
        feedback.tranche_done();
        feedback.done();
    }

    /// What `create` and `create_immed` have in common.
    fn make(
        &self,
        params: &mut Params,
        [width, height]: [i32; 2],
        format: u32,
        flags: WEnum<params::Flags>,
    ) -> Result<Frame, Refused> {
        let listed = |format, tiling| self.behaviour.pairs.contains(&(format, tiling));
        let frame = params.create(width, height, format, flags.into(), listed)?;
        if self.behaviour.fails.contains(&frame.layout().format()) {
            return Err(Refused::Failed(lucarne::Error::Invalid {
                field: "format",
                got: frame.layout().format().to_string(),
                limit: "one that does not fail in this test".to_owned(),
            }));
        }
        Ok(frame)
    }
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
        dmabuf: &ZwpLinuxDmabufV1,
        request: dmabuf::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        match request {
            dmabuf::Request::CreateParams { params_id } => {
                let params = Params::new(dmabuf.version());
                init.init(params_id, Mutex::new(params));
            }
            dmabuf::Request::GetDefaultFeedback { id }
            | dmabuf::Request::GetSurfaceFeedback { id, .. } => {
                let feedback = init.init(id, ());
                server.tell(&feedback);
                server.feedbacks.push(feedback);
            }
            _ => {}
        }
    }
}

impl Dispatch<ZwpLinuxDmabufFeedbackV1, ()> for Server {
    fn request(
        server: &mut Self,
        _: &Client,
        feedback: &ZwpLinuxDmabufFeedbackV1,
        _: feedback::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        server.feedbacks.retain(|one| one != feedback);
    }

    fn destroyed(
        server: &mut Self,
        _: wayland_server::backend::ClientId,
        feedback: &ZwpLinuxDmabufFeedbackV1,
        (): &(),
    ) {
        server.feedbacks.retain(|one| one != feedback);
    }
}

impl Dispatch<ZwpLinuxBufferParamsV1, Mutex<Params>> for Server {
    fn request(
        server: &mut Self,
        client: &Client,
        resource: &ZwpLinuxBufferParamsV1,
        request: params::Request,
        params: &Mutex<Params>,
        handle: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let mut params = params.lock().expect("no panic");
        match request {
            params::Request::Add {
                fd,
                plane_idx,
                offset,
                stride,
                modifier_hi,
                modifier_lo,
            } => {
                let added = params.add(fd, plane_idx, offset, stride, modifier_hi, modifier_lo);
                if let Err(breach) = added {
                    resource.post_error(breach.code(), breach.to_string());
                }
            }
            params::Request::Create { .. } if server.behaviour.is_mute => {}
            params::Request::Create {
                width,
                height,
                format,
                flags,
            } => match server.make(&mut params, [width, height], format, flags) {
                Ok(frame) => {
                    let buffer = client.create_resource::<WlBuffer, _, Self>(handle, 1, frame);
                    resource.created(&buffer.expect("a client that is there"));
                }
                Err(Refused::Failed(_)) => resource.failed(),
                Err(Refused::Breach(breach)) => {
                    resource.post_error(breach.code(), breach.to_string());
                }
            },
            params::Request::CreateImmed {
                buffer_id,
                width,
                height,
                format,
                flags,
            } => match server.make(&mut params, [width, height], format, flags) {
                Ok(frame) => {
                    init.init(buffer_id, frame);
                }
                Err(refused) => {
                    let breach = refused.fatal();
                    resource.post_error(breach.code(), breach.to_string());
                }
            },
            _ => {}
        }
    }
}

impl Dispatch<WlBuffer, Frame> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlBuffer,
        _: wl_buffer::Request,
        _: &Frame,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}
