//! `Y'CbCr` frames as textures of their planes, and the shader code that makes colours of those.

use std::fmt::{self, Write as _};
use std::rc::Rc;
use std::time::Duration;

use glow::HasContext;

use crate::color::YcbcrConversion;
use crate::egl::device::Device;
use crate::egl::inner::DeviceInner;
use crate::egl::raw::GL_TEXTURE_EXTERNAL_OES;
use crate::egl::texture::Texture;
use crate::egl::turn;
use crate::error::{Error, Result};
use crate::frame::{Components, Fence, Frame};

/// The planes of a `Y'CbCr` frame as textures, and what a shader needs to make colours of them.
///
/// [`YcbcrToRgb`](super::YcbcrToRgb) draws it; a shader of your own includes [`glsl`](Self::glsl) and is given its uniforms by
/// [`Device::bind_ycbcr`].
pub struct YcbcrTexture {
    textures: Vec<Rc<Texture>>,
    components: Components,
    conversion: YcbcrConversion,
    frame: Frame,
    glsl: String,
}

impl Device {
    /// Imports each plane of a `Y'CbCr` frame as a texture: `R8`, `GR88`, `R16` or `GR1616`, and for `YUYV` and similar the same
    /// bytes twice (see [`Components`]). Works where whole images of such formats do not.
    ///
    /// Hold on to the result: planes are imported again once it is dropped. Do not sample the textures before
    /// [`Device::read_ycbcr`] says so.
    ///
    /// # Errors
    ///
    /// Those of [`Frame::components`] and of [`Device::import`] for each plane.
    pub fn import_ycbcr(&self, frame: &Frame) -> Result<YcbcrTexture> {
        let layout = frame.layout();
        let components = frame.components()?;
        let conversion = YcbcrConversion::of(layout.format_info(), &layout.color())?;
        let textures = components
            .frames()
            .iter()
            .map(|view| self.import(view))
            .collect::<Result<Vec<_>>>()?;
        Ok(YcbcrTexture {
            glsl: glsl(&textures, &components),
            textures,
            components,
            conversion,
            frame: frame.clone(),
        })
    }

    /// Begins reading, as [`Device::read`] does: one fence is for all planes.
    ///
    /// # Errors
    ///
    /// As for [`Device::read`].
    pub fn read_ycbcr(
        &self,
        texture: &YcbcrTexture,
        acquire: &Fence,
        timeout: Duration,
    ) -> Result<()> {
        turn::begin(
            self.inner(),
            texture.textures.iter().map(Rc::as_ref),
            acquire,
            timeout,
            "egl::Device::read_ycbcr",
        )
    }

    /// Makes `program`, whose fragment shader includes [`YcbcrTexture::glsl`], current, sets its uniforms, and binds the
    /// planes to texture units from `first_unit` on. Leaves them so: this is a step in a draw of the caller's. Sampler
    /// objects on those units should be unbound.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Driver`] for a program that is not linked, or units that do not exist.
    pub fn bind_ycbcr(
        &self,
        texture: &YcbcrTexture,
        program: glow::NativeProgram,
        first_unit: u32,
    ) -> Result<()> {
        self.inner().require_current("egl::Device::bind_ycbcr")?;
        let _stale = self.inner().gl_error();
        bind(self.inner(), texture, program, first_unit);
        self.inner().check_gl("binding the planes of a frame")
    }
}

impl YcbcrTexture {
    /// The planes' textures, in the order of the format's planes.
    pub fn textures(&self) -> &[Rc<Texture>] {
        &self.textures
    }

    /// The frame.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// GLSL that belongs directly after `#version` (300 es, or 140 and later) of a fragment shader. It declares:
    ///
    /// - `vec3 lucarne_rgb(ivec2 pixel)`: the colour of one pixel of the frame, first row 0. Exact: chroma is put together from
    ///   the four nearest samples as siting says. Four fetches of chroma, one of luma.
    /// - `vec3 lucarne_rgb_at(vec2 position)`: the colour at a position, 0 to 1 across the frame, through the textures' own
    ///   linear filter: for scaling. Drivers filter 8-bit textures with as few as 8 bits.
    ///
    /// Colours are encoded, unclipped, and of the frame's own primaries.
    pub fn glsl(&self) -> &str {
        &self.glsl
    }
}

fn glsl(textures: &[Rc<Texture>], components: &Components) -> String {
    let mut text = String::new();
    let external = |texture: &Rc<Texture>| texture.target() == GL_TEXTURE_EXTERNAL_OES;
    if textures.iter().any(external) {
        text.push_str("#extension GL_OES_EGL_image_external_essl3 : require\n");
    }
    text.push_str("precision highp float;\nprecision highp int;\n");
    for (index, texture) in textures.iter().enumerate() {
        let kind = if external(texture) {
            "samplerExternalOES"
        } else {
            "sampler2D"
        };
        // Writing to a string does not fail.
        let _written = writeln!(text, "uniform highp {kind} lucarne_view{index};");
    }
    let [luma, cb, cr] = components.places().map(|place| {
        let channel = ["r", "g", "b", "a"][place.channel];
        (format!("lucarne_view{}", place.view), channel)
    });
    let subsampling = components.subsampling();
    let _written = write!(
            text,
            "uniform mat3 lucarne_matrix;
uniform vec3 lucarne_offset;
uniform vec2 lucarne_siting;
const vec2 lucarne_subsampling = vec2({horizontal}.0, {vertical}.0);
vec2 lucarne_chroma(int x, int y) {{
    return vec2(texelFetch({cb}, ivec2(x, y), 0).{cb_channel}, texelFetch({cr}, ivec2(x, y), 0).{cr_channel});
}}
vec3 lucarne_rgb(ivec2 pixel) {{
    vec2 at = (vec2(pixel) - lucarne_siting) / lucarne_subsampling;
    vec2 low = floor(at);
    vec2 part = at - low;
    ivec2 last = textureSize({cb}, 0) - 1;
    ivec2 a = clamp(ivec2(low), ivec2(0), last);
    ivec2 b = clamp(ivec2(low) + 1, ivec2(0), last);
    vec2 upper = mix(lucarne_chroma(a.x, a.y), lucarne_chroma(b.x, a.y), part.x);
    vec2 lower = mix(lucarne_chroma(a.x, b.y), lucarne_chroma(b.x, b.y), part.x);
    vec3 ycbcr = vec3(texelFetch({luma}, pixel, 0).{luma_channel}, mix(upper, lower, part.y));
    return lucarne_matrix * ycbcr + lucarne_offset;
}}
vec3 lucarne_rgb_at(vec2 position) {{
    vec2 pixel = position * vec2(textureSize({luma}, 0)) - 0.5;
    vec2 samples = vec2(textureSize({cb}, 0));
    vec2 at = ((pixel - lucarne_siting) / lucarne_subsampling + 0.5) / samples;
    vec2 chroma = vec2(texture({cb}, at).{cb_channel}, texture({cr}, at).{cr_channel});
    return lucarne_matrix * vec3(texture({luma}, position).{luma_channel}, chroma) + lucarne_offset;
}}
",
            horizontal = subsampling.horizontal,
            vertical = subsampling.vertical,
            luma = luma.0,
            luma_channel = luma.1,
            cb = cb.0,
            cb_channel = cb.1,
            cr = cr.0,
            cr_channel = cr.1,
        );
    text
}

/// Single precision is what shaders compute in.
#[expect(clippy::cast_possible_truncation, reason = "uniforms are 32 bits")]
fn single(value: f64) -> f32 {
    value as f32
}

pub(super) fn bind(
    device: &DeviceInner,
    texture: &YcbcrTexture,
    program: glow::NativeProgram,
    first_unit: u32,
) {
    let gl = &device.gl;
    let location = |name: &str| {
        // SAFETY: glGetUniformLocation of a program of this context; what the compiler left out has none.
        unsafe { gl.get_uniform_location(program, name) }
    };
    // SAFETY: glUseProgram: an unlinked program is a GL error, which the caller checks for.
    unsafe { gl.use_program(Some(program)) };
    for (index, plane) in (0_u32..).zip(&texture.textures) {
        let unit = first_unit + index;
        // SAFETY: glActiveTexture: a unit that does not exist is a GL error.
        unsafe { gl.active_texture(glow::TEXTURE0 + unit) };
        // SAFETY: glBindTexture of a live texture of this target.
        unsafe { gl.bind_texture(plane.target(), Some(plane.name())) };
        let sampler = location(&format!("lucarne_view{index}"));
        // SAFETY: glUniform1i of the current program's sampler; without a location it does nothing.
        unsafe { gl.uniform_1_i32(sampler.as_ref(), unit.cast_signed()) };
    }
    let rows = texture
        .conversion
        .rgb_matrix(texture.components.codes_per_one());
    // By columns, as GL keeps matrices.
    let columns: [f32; 9] = std::array::from_fn(|index| single(rows[index % 3][index / 3]));
    let matrix = location("lucarne_matrix");
    // SAFETY: glUniformMatrix3fv reads nine floats for a mat3 of the current program.
    unsafe { gl.uniform_matrix_3_f32_slice(matrix.as_ref(), false, &columns) };
    let [red, green, blue] = rows.map(|row| single(row[3]));
    let offset = location("lucarne_offset");
    // SAFETY: glUniform3f for a vec3 of the current program.
    unsafe { gl.uniform_3_f32(offset.as_ref(), red, green, blue) };
    let siting = texture.frame.layout().color().siting;
    let [x, y] = texture.components.subsampling().offset(siting).map(single);
    let siting = location("lucarne_siting");
    // SAFETY: glUniform2f for a vec2 of the current program.
    unsafe { gl.uniform_2_f32(siting.as_ref(), x, y) };
}

impl fmt::Debug for YcbcrTexture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YcbcrTexture")
            .field("textures", &self.textures)
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

/// What the error would be when a frame has more planes than a pass has units for; there is none today.
pub(super) fn check_units(texture: &YcbcrTexture, units: usize) -> Result<()> {
    let planes = texture.textures.len();
    if planes > units {
        return Err(Error::invalid("planes", planes, format!("at most {units}")));
    }
    Ok(())
}
