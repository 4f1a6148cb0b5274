//! The caller's GL state, put back after a draw of ours.

use std::num::NonZeroU32;

use glow::HasContext;

use super::device::DeviceInner;
use super::raw::{GL_TEXTURE_BINDING_EXTERNAL_OES, GL_TEXTURE_EXTERNAL_OES};

/// How many texture units draws of ours use.
pub(super) const UNITS: u32 = 3;

fn integer(device: &DeviceInner, name: u32) -> i32 {
    // SAFETY: glGetIntegerv with a name that OpenGL ES 3 and OpenGL 3.3 have, for one value.
    unsafe { device.gl.get_parameter_i32(name) }
}

fn object(device: &DeviceInner, name: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(integer(device, name).cast_unsigned())
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
    units: Vec<Unit>,
    external: bool,
}

impl<'a> Bindings<'a> {
    /// Remembers them, and unbinds the units' sampler objects, which would replace the textures' own filters.
    pub(super) fn save(device: &'a DeviceInner) -> Self {
        let gl = &device.gl;
        let active = integer(device, glow::ACTIVE_TEXTURE).cast_unsigned();
        let external = device.has_gl("GL_OES_EGL_image_external_essl3");
        let units = (0..UNITS)
            .map(|unit| {
                // SAFETY: glActiveTexture with one of the units that always exist.
                unsafe { gl.active_texture(glow::TEXTURE0 + unit) };
                let saved = Unit {
                    plain: object(device, glow::TEXTURE_BINDING_2D),
                    external: external
                        .then(|| object(device, GL_TEXTURE_BINDING_EXTERNAL_OES))
                        .flatten(),
                    sampler: object(device, glow::SAMPLER_BINDING),
                };
                // SAFETY: glBindSampler to nothing.
                unsafe { gl.bind_sampler(unit, None) };
                saved
            })
            .collect();
        Self {
            device,
            program: object(device, glow::CURRENT_PROGRAM),
            vertex_array: object(device, glow::VERTEX_ARRAY_BINDING),
            active,
            units,
            external,
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
            if self.external {
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
const CAPABILITIES: [u32; 9] = [
    glow::BLEND,
    glow::SCISSOR_TEST,
    glow::DEPTH_TEST,
    glow::STENCIL_TEST,
    glow::CULL_FACE,
    glow::RASTERIZER_DISCARD,
    glow::SAMPLE_ALPHA_TO_COVERAGE,
    glow::SAMPLE_COVERAGE,
    glow::DITHER,
];

/// Framebuffers, viewport, colour mask and capabilities. Put back on drop.
pub(super) struct Output<'a> {
    device: &'a DeviceInner,
    draw: Option<NonZeroU32>,
    read: Option<NonZeroU32>,
    viewport: [i32; 4],
    mask: [bool; 4],
    capabilities: Vec<(u32, bool)>,
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
        let embedded = gl.version().is_embedded;
        let encode = (!embedded || device.has_gl("GL_EXT_sRGB_write_control"))
            .then_some(glow::FRAMEBUFFER_SRGB);
        let capabilities = CAPABILITIES
            .into_iter()
            .chain(encode)
            .map(|name| {
                // SAFETY: glIsEnabled with a name of OpenGL ES 3, or of one that the context has.
                let on = unsafe { gl.is_enabled(name) };
                // SAFETY: glDisable, as above.
                unsafe { gl.disable(name) };
                (name, on)
            })
            .collect();
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
        for (name, on) in &self.capabilities {
            if *on {
                // SAFETY: glEnable of what was enabled.
                unsafe { gl.enable(*name) };
            }
        }
    }
}

/// `GL_PACK_SWAP_BYTES` and `GL_PACK_LSB_FIRST`, which OpenGL has and OpenGL ES has not (registry: gl.xml).
const PACK_ON_DESKTOP: [(u32, i32); 2] = [(0x0D00, 0), (0x0D01, 0)];

/// How pixels are read back. Put back on drop.
struct Pack<'a> {
    device: &'a DeviceInner,
    buffer: Option<NonZeroU32>,
    parameters: Vec<(u32, i32)>,
}

impl<'a> Pack<'a> {
    /// Remembers it, and packs rows without padding into memory of ours, from its first byte on.
    fn plain(device: &'a DeviceInner) -> Self {
        let gl = &device.gl;
        let wanted = [
            (glow::PACK_ALIGNMENT, 4),
            (glow::PACK_ROW_LENGTH, 0),
            (glow::PACK_SKIP_ROWS, 0),
            (glow::PACK_SKIP_PIXELS, 0),
        ];
        let more = (!gl.version().is_embedded).then_some(PACK_ON_DESKTOP);
        let parameters = wanted
            .into_iter()
            .chain(more.into_iter().flatten())
            .map(|(name, value)| {
                let previous = integer(device, name);
                // SAFETY: glPixelStorei with a name that the context has and a legal value.
                unsafe { gl.pixel_store_i32(name, value) };
                (name, previous)
            })
            .collect();
        let buffer = object(device, glow::PIXEL_PACK_BUFFER_BINDING);
        // SAFETY: glBindBuffer to nothing.
        unsafe { gl.bind_buffer(glow::PIXEL_PACK_BUFFER, None) };
        Self {
            device,
            buffer,
            parameters,
        }
    }
}

impl Drop for Pack<'_> {
    fn drop(&mut self) {
        let gl = &self.device.gl;
        for (name, value) in &self.parameters {
            // SAFETY: glPixelStorei with the value it had.
            unsafe { gl.pixel_store_i32(*name, *value) };
        }
        let buffer = self.buffer.map(glow::NativeBuffer);
        // SAFETY: glBindBuffer to what it was.
        unsafe { gl.bind_buffer(glow::PIXEL_PACK_BUFFER, buffer) };
    }
}

/// Everything that a draw of ours and reading it back change: unit 0 is active, no vertex array and no pack buffer are bound,
/// and rows are packed without padding. Put back on drop.
pub(super) struct Readback<'a> {
    _pack: Pack<'a>,
    _output: Output<'a>,
    _bindings: Bindings<'a>,
}

impl<'a> Readback<'a> {
    pub(super) fn save(device: &'a DeviceInner) -> Self {
        let gl = &device.gl;
        let saved = Self {
            _pack: Pack::plain(device),
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
