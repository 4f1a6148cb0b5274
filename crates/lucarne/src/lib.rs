//! Shares GPU frames between graphics APIs on Linux without copying a pixel: render in Vulkan, show in OpenGL.
//!
//! Both sides make an [`Offer`] of what their drivers can do; [`negotiate()`] turns two offers into one [`Agreement`], or
//! into a refusal that names every candidate; [`vulkan::Device::export`] makes images as agreed, and
//! [`egl::Device::import`] makes textures of the same memory. From then on each [`Frame`] is in exactly one state, from
//! [`Free`] to [`Reading`], and passes from state to state with a [`Fence`].
//!
//! You bring your own Vulkan device and your own EGL context. ([`vulkan::Instance`] and [`egl::Adapter`] open them for
//! those who have none.)
//!
//! ```rust,no_run
//! use std::{error::Error, ffi::CStr, time::Duration};
//!
//! use lucarne::ash::{self, vk};
//! use lucarne::{Extent, Pool, Request, Usage, egl, glow, negotiate, vulkan};
//!
//! const TIMEOUT: Duration = Duration::from_secs(1);
//!
//! /// Your Vulkan renderer draws, and your toolkit, whose EGL context is current here, shows.
//! fn share(
//!     entry: &ash::Entry,
//!     instance: &ash::Instance,
//!     gpu: vk::PhysicalDevice,
//!     create_your_device: impl FnOnce(&[&CStr]) -> (ash::Device, vk::Queue, u32),
//!     draw_with_vulkan: impl Fn(vk::CommandBuffer, vk::Image),
//!     draw_with_gl: impl Fn(&glow::Context, glow::NativeTexture, u32),
//! ) -> Result<(), Box<dyn Error>> {
//!     // Ask before you create your device: these extensions are the ones worth enabling.
//!     // SAFETY: `gpu` is of `instance`, made for Vulkan 1.1 or later; both outlive this function.
//!     let adapter = unsafe { vulkan::Adapter::from_raw(entry, instance, gpu) }?;
//!     let enabled = adapter.device_extensions();
//!     let (device, queue, family) = create_your_device(&enabled);
//!     // SAFETY: that device has exactly these extensions; nobody else uses the queue meanwhile.
//!     let renderer = unsafe { vulkan::Device::from_raw(&adapter, device, queue, family, &enabled) }?;
//!     // SAFETY: the context and its display outlive this function.
//!     let screen = unsafe { egl::Device::from_current() }?;
//!
//!     // What can both do? One answer, and the reason why nothing better was possible.
//!     let (offer, accept) = (renderer.offer(Usage::RENDER)?, screen.offer(Usage::SAMPLE)?);
//!     let agreement = negotiate(&offer, &accept, &Request::new(Extent::new(1280, 720)))?;
//!     for refused in &agreement.refused {
//!         eprintln!("not {refused}");
//!     }
//!
//!     // Three images: one is shown, one is on its way, one is drawn.
//!     let images: Vec<_> = (0..3).map(|_| renderer.export(&agreement)).collect::<Result<_, _>>()?;
//!     let pool = Pool::new(images.iter().map(|image| image.frame().clone()).collect());
//!     for _ in 0..300 {
//!         // Vulkan's turn: wait until nobody reads this image, draw, pass it on with a fence.
//!         let (writing, gate) = pool.acquire().ok_or("every image is in use")?.acquire();
//!         let image = &images[writing.index()];
//!         let draw = |commands| draw_with_vulkan(commands, image.raw());
//!         let access = vulkan::Access::ColorAttachment;
//!         let drawn = renderer.write(image, &gate, TIMEOUT, access, draw)?;
//!
//!         // GL's turn: wait for that fence, sample the same memory, give it back with another.
//!         let (reading, drawn) = writing.send(drawn).receive().acquire();
//!         // Imports once, then finds it again. Sample it: for `glReadPixels`, give Request::usage TRANSFER_SOURCE as well.
//!         let texture = screen.import(reading.frame())?;
//!         screen.read(&texture, &drawn, TIMEOUT)?;
//!         draw_with_gl(screen.glow(), texture.name(), texture.target());
//!         reading.release(screen.fence(TIMEOUT)?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Which type do I use?
//!
//! | to | use |
//! |---|---|
//! | learn what to enable before creating a Vulkan device | [`vulkan::Adapter::device_extensions`] |
//! | learn which extensions a driver lacks, and what that costs | [`vulkan::Adapter::extensions`], [`egl::Device::extensions`] |
//! | wrap a Vulkan device or an EGL context of your own | [`vulkan::Device::from_raw`], [`egl::Device::from_current`] |
//! | open one | [`vulkan::Instance`], then [`vulkan::Adapter::open`]; [`egl::Adapter::open`] |
//! | say what you want | [`Request`] |
//! | learn why something better was refused | [`Agreement::refused`](negotiate::Agreement::refused), [`Refusal`] |
//! | make an image that others can use | [`vulkan::Device::export`], [`egl::Device::export`] |
//! | use another's frame | [`egl::Device::import`], [`vulkan::Device::import`] |
//! | cycle through several images | [`Pool`] |
//! | import frames whose few buffers come with new descriptors each time | [`ImportCache`] |
//! | take a turn and pass it on in Vulkan | [`vulkan::Device::write`], [`vulkan::Device::read`] |
//! | the same in OpenGL | [`egl::Device::read`] or [`egl::Device::wait`], and [`egl::Device::fence`] |
//! | write or read frames with the CPU | [`cpu::Adapter`], [`cpu::Image::write`], [`cpu::Image::read`] |
//! | use dma-bufs that came from elsewhere | [`Frame::from_dma_bufs`] |
//! | give a frame to another API | [`Frame::dma_buf_planes`] |
//! | describe other memory that came from elsewhere | [`FrameLayout::new`], [`Frame::new`] |
//! | take a turn in commands that you submit yourself | [`vulkan::Image::acquire_barrier`], [`vulkan::WaitSemaphore`], [`vulkan::SubmitFence`] |
//! | wait for several readers | [`Fence::merge`] |
//! | share with programs that pass no fences | [`Frame::implicit_fence`], [`Frame::attach_fence`] |
//! | know which driver faults are worked around | [`quirks`] |
//! | show a `Y'CbCr` frame | [`egl::Device::import_ycbcr`], [`egl::YcbcrToRgb`] |
//! | make a frame for a video encoder | [`vulkan::RgbToYcbcr`] |
//! | name a pixel format or a memory layout | [`Format`], [`Modifier`] |
//! | say what the numbers of a frame mean | [`color::ColorDescription`], [`FrameLayout::with_color`] |
//!
//! # Other crates in this one's types
//!
//! Functions here take and give types of `ash`, `glow` and `drm-fourcc`. Another release of those has other types, with
//! which a program does not compile. Use [`lucarne::ash`](ash), [`lucarne::glow`](glow) and
//! [`lucarne::drm_fourcc`](drm_fourcc), or ask cargo for the same releases: `ash` 0.38, `glow` 0.17, `drm-fourcc` 2.2.
//!
//! # What it promises
//!
//! - **Nothing falls back silently.** An agreement carries the reason why each better path was refused; a frame knows
//!   whether its memory [is emulated](Frame::is_emulated); image and texture know how many copies each frame costs.
//! - **Outside data is checked once**, by [`FrameLayout::new`] and [`Frame::new`], against the buffer's real size.
//! - **Descriptors are lent.** An import leaves the frame's descriptors where they are, also when it fails.
//! - **Waits have deadlines.** Every call that can block on a fence takes a timeout.
//!
//! The guides, with worked examples, are in the repository:
//! [architecture](https://github.com/lucarne/lucarne/blob/main/docs/architecture.md),
//! [negotiation](https://github.com/lucarne/lucarne/blob/main/docs/negotiation.md),
//! [turns and fences](https://github.com/lucarne/lucarne/blob/main/docs/sync.md),
//! [colours](https://github.com/lucarne/lucarne/blob/main/docs/color.md), and
//! [what was measured where](https://github.com/lucarne/lucarne/blob/main/docs/coverage.md).
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `vulkan` (default) | the module `vulkan`, with `ash` |
//! | `egl` (default) | the module `egl`, with `glow` and `khronos-egl` |
//! | `gbm` | the module `gbm`: frames that libgbm allocates; it is loaded at run time and may be absent |
//! | `drm` | timelines of a DRM node as fences, and handles of one as dma-bufs |
//! | `serde` | offers can be written down and read back |
//! | `tracing` | logs what was dropped while it was in use |

// Badges that say which feature an item needs; docs.rs sets this.
#![cfg_attr(docsrs, feature(doc_cfg))]
// The page above leads to all backends, whichever are built.
#![cfg_attr(
    not(all(feature = "vulkan", feature = "egl")),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "what is not built has no page"
    )
)]

pub mod color;
pub mod cpu;
mod device_id;
#[cfg(feature = "egl")]
pub mod egl;
mod error;
mod extension;
mod format;
mod frame;
#[cfg(feature = "gbm")]
pub mod gbm;
pub mod kernel;
mod layout;
mod modifier;
pub mod negotiate;
pub mod quirks;
#[cfg(feature = "vulkan")]
pub mod vulkan;

/// The release of `ash` whose types [`vulkan`] takes and gives: use this one, and the types are the same.
#[cfg(feature = "vulkan")]
pub use ash;
/// The release of `drm-fourcc` that [`Format`] and [`Modifier`] convert from and to.
pub use drm_fourcc;
/// The release of `glow` whose types [`egl`] takes and gives: use this one, and the types are the same.
#[cfg(feature = "egl")]
pub use glow;

pub use device_id::{Comparison, DeviceId, DrmNode};
pub use error::{Error, Requirement, Result, Support};
pub use extension::Extension;
pub use format::{
    Channel, ColorKind, Component, Format, FormatInfo, FormatPlane, GlFormat, NotInDrmFourcc,
    Numeric, UnknownFormatName,
};
pub use frame::{
    ComponentPlace, Components, DmaBufPlane, Fence, Frame, Free, ImportCache, Lent, Memory,
    OpaqueFd, OpaqueSemaphore, Pool, PoolFrame, Reading, Received, Sent, Writing,
};
pub use layout::{
    Extent, FrameLayout, LINEAR_HEIGHT_ALIGNMENT, LINEAR_PITCH_ALIGNMENT, LINEAR_TAIL_BYTES,
    MAX_EXTENT, MAX_PITCH_ROWS, MAX_PLANES, MAX_REACH, PAGE_BYTES, Plane, Tiling,
};
pub use modifier::{InvalidModifier, Modifier, UnknownModifierName, Vendor};
pub use negotiate::{Agreement, MemoryPath, Offer, Refusal, Request, Rung, Usage, negotiate};
