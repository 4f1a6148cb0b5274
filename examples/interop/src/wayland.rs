//! linux-dmabuf: a frame as a `wl_buffer`, and a client's buffer as a frame.

// begin
use std::os::fd::OwnedFd;
use std::time::Duration;

use lucarne::kernel::FenceRole;
use lucarne::{DmaBufPlane, Extent, Fence, Format, Frame, Result, Tiling};
use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_client::{Dispatch, QueueHandle};
use wayland_protocols::wp::linux_dmabuf::zv1::client::{
    zwp_linux_buffer_params_v1::{Flags, ZwpLinuxBufferParamsV1},
    zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1,
};

/// In a client: a `wl_buffer` in the frame's memory. Keep it, and use it for every frame in that memory.
pub fn wl_buffer<State>(
    dmabuf: &ZwpLinuxDmabufV1,
    queue: &QueueHandle<State>,
    frame: &Frame,
) -> Result<WlBuffer>
where
    State: Dispatch<ZwpLinuxBufferParamsV1, ()> + Dispatch<WlBuffer, ()> + 'static,
{
    let layout = frame.layout();
    let modifier = layout.tiling().code();
    let (high, low) = ((modifier >> 32) as u32, modifier as u32);
    let planes = frame.dma_buf_planes()?;
    let params = dmabuf.create_params(queue, ());
    for (index, plane) in (0..).zip(planes) {
        // The connection sends a duplicate: the descriptor stays the frame's.
        params.add(plane.fd, index, plane.offset, plane.pitch, high, low);
    }
    let Extent { width, height } = layout.extent();
    let [width, height] = [width, height].map(u32::cast_signed); // at most lucarne::MAX_EXTENT
    let fourcc = layout.format().fourcc();
    let buffer = params.create_immed(width, height, fourcc, Flags::empty(), queue, ());
    params.destroy();
    Ok(buffer)
}

/// In a client without linux-drm-syncobj, before `wl_surface.commit`: the compositor waits for `drawn`.
pub fn before_commit(frame: &Frame, drawn: &Fence, timeout: Duration) -> Result<()> {
    if frame.implicit_sync().is_yes() {
        return frame.attach_fence(FenceRole::Acquire, drawn, timeout);
    }
    drawn.wait(timeout)
}

/// In a client without linux-drm-syncobj, after `wl_buffer.release`: what to wait for before you draw again.
pub fn after_release(frame: &Frame) -> Result<Fence> {
    if frame.implicit_sync().is_yes() {
        return frame.implicit_fence(FenceRole::Release);
    }
    Ok(Fence::Signaled)
}

/// In a compositor: what one `zwp_linux_buffer_params_v1.add` brought.
pub struct Added {
    pub fd: OwnedFd,
    pub plane_idx: u32,
    pub offset: u32,
    pub stride: u32,
    pub modifier_hi: u32,
    pub modifier_lo: u32,
}

/// In a compositor: the frame of a `create` request. An error is the protocol's `failed` event.
pub fn frame(width: i32, height: i32, fourcc: u32, mut added: Vec<Added>) -> Result<Frame> {
    added.sort_by_key(|one| one.plane_idx);
    let modifier = added.first().map_or(0, |one| {
        u64::from(one.modifier_hi) << 32 | u64::from(one.modifier_lo)
    });
    let planes = added.into_iter().map(|one| DmaBufPlane {
        fd: one.fd,
        offset: one.offset,
        pitch: one.stride,
    });
    let extent = Extent::new(width.cast_unsigned(), height.cast_unsigned());
    let (format, tiling) = (Format::from_fourcc(fourcc), Tiling::from_code(modifier));
    Frame::from_dma_bufs(extent, format, tiling, planes.collect())
}
// end
