//! The entry points: what `lucarne.h` declares.
//!
//! Each file here is a part of the header, in the order of `FILES` in `tests/c_header.rs`. The comments are written for readers of C.

#![expect(non_camel_case_types, reason = "these are the names that C sees")]

mod barrier;
mod color;
mod consumer;
mod descriptor;
mod device;
mod discovery;
mod egl;
mod error;
mod event;
mod fence;
mod format;
mod frame;
mod gbm;
mod guard;
mod image;
mod log;
mod mapping;
mod offer;
mod producer;
mod reasons;
mod request;
mod ticket;
mod turn;
mod vulkan;
mod words;
mod ycbcr;

pub use barrier::*;
pub use color::*;
pub use consumer::*;
pub use descriptor::LUCARNE_NO_FD;
pub use device::*;
pub use discovery::*;
pub use egl::*;
pub use error::*;
pub use event::*;
pub use fence::*;
pub use format::*;
pub use frame::*;
pub use gbm::*;
pub use image::*;
pub use log::*;
pub use mapping::*;
pub use offer::*;
pub use producer::*;
pub use reasons::*;
pub use request::*;
pub use ticket::*;
pub use turn::*;
pub use vulkan::*;
pub use words::*;
pub use ycbcr::*;
