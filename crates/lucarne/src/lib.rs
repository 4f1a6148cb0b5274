//! Lucarne.

mod device_id;
#[cfg(feature = "egl")]
pub mod egl;
mod error;
mod format;
mod frame;
mod kernel;
mod layout;
mod modifier;
pub mod negotiate;
#[cfg(feature = "vulkan")]
pub mod vulkan;

pub use device_id::{Comparison, DeviceId, DrmNode};
pub use error::{Error, Requirement, Result, Support};
pub use format::{
    Channel, ColorKind, Component, Format, FormatInfo, FormatPlane, GlFormat, NotInDrmFourcc,
    Numeric, UnknownFormatName,
};
pub use frame::{Fence, Frame, Free, Memory, OpaqueFd, Pool, Reading, Received, Sent, Writing};
pub use kernel::{DmaBuf, DmaBufKind, Identity, Mapping, Memfd, SyncFile, Udmabuf};
pub use layout::{
    Extent, FrameLayout, LINEAR_HEIGHT_ALIGNMENT, LINEAR_PITCH_ALIGNMENT, MAX_EXTENT, MAX_PLANES,
    PAGE_BYTES, Plane, Tiling,
};
pub use modifier::{InvalidModifier, Modifier, UnknownModifierName, Vendor};
pub use negotiate::{Agreement, MemoryPath, Offer, Refusal, Request, Rung, Usage, negotiate};
