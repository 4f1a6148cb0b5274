//! Parts that the demo and the examples share. Examples that need large dependencies are packages of their own, below this one's folder.
//!
//! [`scene::Scene`] draws an animated scene in Vulkan, [`screen::Screen`] shows a texture in OpenGL,
//! [`picture::Picture`] is what is read back; [`stream`] is
//! what the programs at the ends of a stream have in common, and [`card`] what the CPU draws for those that pass frames by hand.

pub mod card;
pub mod font;
pub mod math;
pub mod options;
pub mod picture;
pub mod scene;
pub mod screen;
pub mod stream;
