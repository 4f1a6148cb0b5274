//! Lucarne in Godot: streams as textures, and viewports as streams.
//!
//! Godot loads this library as a `GDExtension`. It brings two classes:
//!
//! - `LucarneTexture`, a `Texture2D` that shows the frames of a stream,
//! - `LucarneOutput`, a node that publishes what a viewport draws as a stream.
//!
//! On the Vulkan renderers (Forward+, Mobile) frames stay on the GPU: [`vulkan`](lucarne::vulkan) wraps Godot's own device, and each
//! direction copies a frame once, from image to image. Elsewhere, and where Godot's device lacks what sharing needs, frames go
//! through host memory; `get_reason()` of both classes says why. `docs/godot.md` tells how to use it, and
//! `docs/adr/0017-godots-queue.md` whose thread submits what.
//!
//! Everything happens on Godot's main thread: the copies are submitted from there, and with the default thread model Godot's own
//! frames are, too.

mod convert;
mod ffi;
mod gpu;
mod host;
#[expect(unreachable_pub, reason = "gdext writes setters that are pub")]
mod output;
mod prepare;
mod publish;
mod say;
#[expect(unreachable_pub, reason = "gdext writes setters that are pub")]
mod texture;
mod watch;
