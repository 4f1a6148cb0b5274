//! The caller's GL state, put back after ours. Nothing here allocates: uploads need it for every frame.

use std::num::NonZeroU32;

use glow::HasContext;

use super::inner::DeviceInner;
use super::raw::{
    GL_PACK_LSB_FIRST, GL_PACK_SWAP_BYTES, GL_TEXTURE_BINDING_EXTERNAL_OES,
    GL_TEXTURE_EXTERNAL_OES, GL_UNPACK_LSB_FIRST, GL_UNPACK_SWAP_BYTES,
};

/// How many texture units draws of ours use.
pub(super) const UNITS: usize = 3;

fn integer(device: &DeviceInner, name: u32) -> i32 {
    // SAFETY: glGetIntegerv with a name that OpenGL ES 3 and OpenGL 3.3 have, for one value.
    unsafe { device.gl.get_parameter_i32(name) }
}

/// A texture unit's index as GL wants it.
fn number(unit: usize) -> u32 {
    u32::try_from(unit).unwrap_or(u32::MAX)
}

fn object(device: &DeviceInner, name: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(integer(device, name).cast_unsigned())
}

/// A target's texture on the active unit. Put back on drop.
pub(super) struct Binding<'a> {
    device: &'a DeviceInner,
    target: u32,
    previous: Option<NonZeroU32>,
}

impl<'a> Binding<'a> {
    pub(super) fn save(device: &'a DeviceInner, target: u32) -> Self {
        let name = if target == GL_TEXTURE_EXTERNAL_OES {
            GL_TEXTURE_BINDING_EXTERNAL_OES
        } else {
            glow::TEXTURE_BINDING_2D
        };
        Self {
            device,
            target,
            previous: object(device, name),
        }
    }
}

impl Drop for Binding<'_> {
    fn drop(&mut self) {
        let previous = self.previous.map(glow::NativeTexture);
        // SAFETY: glBindTexture with the name that was bound to this target before.
        unsafe { self.device.gl.bind_texture(self.target, previous) };
    }
}

struct Unit {
    plain: Option<NonZeroU32>,
    external: Option<NonZeroU32>,
    sampler: Option<NonZeroU32>,
}

/// Program, vertex array, and the textures and samplers of the first units. Put back on drop.
pub(super) struct Bindings<'a> {
    device: &'a DeviceInner,
    program: Option<NonZeroU32>,
    vertex_array: Option<NonZeroU32>,
    active: u32,
    units: [Unit; UNITS],
}

impl<'a> Bindings<'a> {
    /// Remembers them, and unbinds the units' sampler objects, which would replace the textures' own filters.
    pub(super) fn save(device: &'a DeviceInner) -> Self {
        let gl = &device.gl;
        let active = integer(device, glow::ACTIVE_TEXTURE).cast_unsigned();
        let units = std::array::from_fn(|unit| {
            let unit = number(unit);
            // SAFETY: glActiveTexture with one of the units that always exist.
            unsafe { gl.active_texture(glow::TEXTURE0 + unit) };
            let external = || object(device, GL_TEXTURE_BINDING_EXTERNAL_OES);
            let saved = Unit {
                plain: object(device, glow::TEXTURE_BINDING_2D),
                external: device.samples_external.then(external).flatten(),
                sampler: object(device, glow::SAMPLER_BINDING),
            };
            // SAFETY: glBindSampler to nothing.
            unsafe { gl.bind_sampler(unit, None) };
            saved
        });
        Self {
            device,
            program: object(device, glow::CURRENT_PROGRAM),
            vertex_array: object(device, glow::VERTEX_ARRAY_BINDING),
            active,
            units,
        }
    }
}

impl Drop for Bindings<'_> {
    fn drop(&mut self) {
        let gl = &self.device.gl;
        for (unit, saved) in (0..).zip(&self.units) {
            // SAFETY: glActiveTexture, as in `save`.
            unsafe { gl.active_texture(glow::TEXTURE0 + unit) };
            // SAFETY: glBindTexture to what it was.
            unsafe { gl.bind_texture(glow::TEXTURE_2D, saved.plain.map(glow::NativeTexture)) };
            if self.device.samples_external {
                let texture = saved.external.map(glow::NativeTexture);
                // SAFETY: glBindTexture to what it was; the target's extension is listed.
                unsafe { gl.bind_texture(GL_TEXTURE_EXTERNAL_OES, texture) };
            }
            // SAFETY: glBindSampler to what it was.
            unsafe { gl.bind_sampler(unit, saved.sampler.map(glow::NativeSampler)) };
        }
        // SAFETY: glActiveTexture to what it was.
        unsafe { gl.active_texture(self.active) };
        // SAFETY: glUseProgram to what it was.
        unsafe { gl.use_program(self.program.map(glow::NativeProgram)) };
        // SAFETY: glBindVertexArray to what it was.
        unsafe { gl.bind_vertex_array(self.vertex_array.map(glow::NativeVertexArray)) };
    }
}

/// What would keep a draw from writing every pixel as it is.
const CAPABILITIES: [u32; 10] = [
    glow::BLEND,
    glow::SCISSOR_TEST,
    glow::DEPTH_TEST,
    glow::STENCIL_TEST,
    glow::CULL_FACE,
    glow::RASTERIZER_DISCARD,
    glow::SAMPLE_ALPHA_TO_COVERAGE,
    glow::SAMPLE_COVERAGE,
    glow::DITHER,
    glow::FRAMEBUFFER_SRGB,
];

/// Framebuffers, viewport, colour mask and capabilities. Put back on drop.
pub(super) struct Output<'a> {
    device: &'a DeviceInner,
    draw: Option<NonZeroU32>,
    read: Option<NonZeroU32>,
    viewport: [i32; 4],
    mask: [bool; 4],
    /// Which of [`CAPABILITIES`] were on.
    capabilities: [bool; 10],
}

impl<'a> Output<'a> {
    /// Remembers them, and turns everything off that would change or drop pixels.
    pub(super) fn save(device: &'a DeviceInner) -> Self {
        let gl = &device.gl;
        let mut viewport = [0; 4];
        // SAFETY: glGetIntegerv writes four integers for this name.
        unsafe { gl.get_parameter_i32_slice(glow::VIEWPORT, &mut viewport) };
        // SAFETY: glGetBooleanv writes four values for this name.
        let mask = unsafe { gl.get_parameter_bool_array::<4>(glow::COLOR_WRITEMASK) };
        // SAFETY: glColorMask has no preconditions.
        unsafe { gl.color_mask(true, true, true, true) };
        let known = |name| name != glow::FRAMEBUFFER_SRGB || device.has_framebuffer_srgb;
        let capabilities = CAPABILITIES.map(|name| {
            if !known(name) {
                return false;
            }
            // SAFETY: glIsEnabled with a name of OpenGL ES 3, or of one that the context has.
            let on = unsafe { gl.is_enabled(name) };
            // SAFETY: glDisable, as above.
            unsafe { gl.disable(name) };
            on
        });
        Self {
            device,
            draw: object(device, glow::DRAW_FRAMEBUFFER_BINDING),
            read: object(device, glow::READ_FRAMEBUFFER_BINDING),
            viewport,
            mask,
            capabilities,
        }
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        let gl = &self.device.gl;
        let framebuffer = |name: Option<NonZeroU32>| name.map(glow::NativeFramebuffer);
        // SAFETY: glBindFramebuffer to what it was.
        unsafe { gl.bind_framebuffer(glow::DRAW_FRAMEBUFFER, framebuffer(self.draw)) };
        // SAFETY: glBindFramebuffer to what it was.
        unsafe { gl.bind_framebuffer(glow::READ_FRAMEBUFFER, framebuffer(self.read)) };
        let [x, y, width, height] = self.viewport;
        // SAFETY: glViewport to what it was.
        unsafe { gl.viewport(x, y, width, height) };
        let [red, green, blue, alpha] = self.mask;
        // SAFETY: glColorMask to what it was.
        unsafe { gl.color_mask(red, green, blue, alpha) };
        for (name, on) in CAPABILITIES.into_iter().zip(self.capabilities) {
            if on {
                // SAFETY: glEnable of what was enabled.
                unsafe { gl.enable(name) };
            }
        }
    }
}

/// What `glPixelStorei` says of one direction: alignment, row length, rows and pixels to skip, and what OpenGL ES has not (registry:
/// gl.xml), the order of bytes and of bits.
const PIXEL_PARAMETERS: usize = 6;
const UNPACK: [u32; PIXEL_PARAMETERS] = [
    glow::UNPACK_ALIGNMENT,
    glow::UNPACK_ROW_LENGTH,
    glow::UNPACK_SKIP_ROWS,
    glow::UNPACK_SKIP_PIXELS,
    GL_UNPACK_SWAP_BYTES,
    GL_UNPACK_LSB_FIRST,
];
const PACK: [u32; PIXEL_PARAMETERS] = [
    glow::PACK_ALIGNMENT,
    glow::PACK_ROW_LENGTH,
    glow::PACK_SKIP_ROWS,
    glow::PACK_SKIP_PIXELS,
    GL_PACK_SWAP_BYTES,
    GL_PACK_LSB_FIRST,
];

/// How pixels lie in client memory, in one direction. Put back on drop.
pub(super) struct PixelStore<'a> {
    device: &'a DeviceInner,
    target: u32,
    buffer: Option<NonZeroU32>,
    names: &'static [u32],
    previous: [i32; PIXEL_PARAMETERS],
}

impl<'a> PixelStore<'a> {
    /// Reads rows of `row_length` pixels from memory of ours, from its first byte on.
    pub(super) fn unpack(device: &'a DeviceInner, row_length: i32) -> Self {
        let buffer = object(device, glow::PIXEL_UNPACK_BUFFER_BINDING);
        let wanted = [1, row_length, 0, 0, 0, 0];
        Self::set(device, glow::PIXEL_UNPACK_BUFFER, buffer, &UNPACK, wanted)
    }

    /// Writes rows without padding to memory of ours, from its first byte on.
    fn pack(device: &'a DeviceInner) -> Self {
        let buffer = object(device, glow::PIXEL_PACK_BUFFER_BINDING);
        let wanted = [4, 0, 0, 0, 0, 0];
        Self::set(device, glow::PIXEL_PACK_BUFFER, buffer, &PACK, wanted)
    }

    fn set(
        device: &'a DeviceInner,
        target: u32,
        buffer: Option<NonZeroU32>,
        names: &'static [u32; PIXEL_PARAMETERS],
        mut values: [i32; PIXEL_PARAMETERS],
    ) -> Self {
        let names = if device.gl.version().is_embedded {
            &names[..4]
        } else {
            &names[..]
        };
        for (name, value) in names.iter().zip(&mut values) {
            let previous = integer(device, *name);
            // SAFETY: glPixelStorei with a name that the context has and a legal value.
            unsafe { device.gl.pixel_store_i32(*name, *value) };
            *value = previous;
        }
        // SAFETY: glBindBuffer to nothing.
        unsafe { device.gl.bind_buffer(target, None) };
        Self {
            device,
            target,
            buffer,
            names,
            previous: values,
        }
    }
}

impl Drop for PixelStore<'_> {
    fn drop(&mut self) {
        let gl = &self.device.gl;
        for (name, value) in self.names.iter().zip(self.previous) {
            // SAFETY: glPixelStorei with the value that it had.
            unsafe { gl.pixel_store_i32(*name, value) };
        }
        let buffer = self.buffer.map(glow::NativeBuffer);
        // SAFETY: glBindBuffer to what it was.
        unsafe { gl.bind_buffer(self.target, buffer) };
    }
}

/// Everything that a draw of ours and reading it back change: unit 0 is active, no vertex array and no pack buffer are bound,
/// and rows are packed without padding. Put back on drop.
pub(super) struct Readback<'a> {
    _pack: PixelStore<'a>,
    _output: Output<'a>,
    _bindings: Bindings<'a>,
}

impl<'a> Readback<'a> {
    pub(super) fn save(device: &'a DeviceInner) -> Self {
        let gl = &device.gl;
        let saved = Self {
            _pack: PixelStore::pack(device),
            _output: Output::save(device),
            _bindings: Bindings::save(device),
        };
        // SAFETY: glActiveTexture with a unit that always exists.
        unsafe { gl.active_texture(glow::TEXTURE0) };
        // SAFETY: glBindVertexArray to the default one.
        unsafe { gl.bind_vertex_array(None) };
        saved
    }
}
