//! The OpenGL side of the demo: shows the shared texture on a curved screen in a dark room, with a
//! label and a frame counter of its own, so that one sees two APIs at work.
//!
//! Like the scene, a picture is a pure function of the frame's number and pixels.

mod canvas;
mod gl;
mod label;

pub use canvas::Canvas;

use crate::math::{Camera, ClipDepth, Mat4};
use gl::{Gl, Points, Program, size};

/// Pieces of the curved screen.
const PIECES: u8 = 48;
/// Half the angle that the screen covers, as seen from the axis of its cylinder.
const HALF_ANGLE: f32 = 0.46;
/// Height of the screen and of its lower edge above the floor, in metres, say.
const HEIGHT: f32 = 2.0;
const LOWER_EDGE: f32 = 0.10;
/// The frame around the picture, in parts of its height.
const RIM: f32 = 0.02;

const ROOM: [&str; 2] = [
    include_str!("../../../shaders/gl/room.vert.glsl"),
    include_str!("../../../shaders/gl/room.frag.glsl"),
];
const LABEL: [&str; 2] = [
    include_str!("../../../shaders/gl/label.vert.glsl"),
    include_str!("../../../shaders/gl/label.frag.glsl"),
];
const SCREEN: [&str; 2] = [
    include_str!("../../../shaders/gl/screen.vert.glsl"),
    include_str!("../../../shaders/gl/screen.frag.glsl"),
];
const MIRROR: &str = include_str!("../../../shaders/gl/mirror.frag.glsl");

/// A texture as it came out of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub texture: glow::Texture,
    /// GL_TEXTURE_2D or GL_TEXTURE_EXTERNAL_OES.
    pub target: u32,
    /// Its width and height in pixels.
    pub size: (u32, u32),
}

/// Where to draw.
#[derive(Debug, Clone, Copy)]
pub enum Surface<'s> {
    /// The window's own framebuffer, of this width and height.
    Window(u32, u32),
    /// A picture off screen.
    Canvas(&'s Canvas<'s>),
}

/// GL programs and shapes that show textures of one target.
///
/// Dropping it deletes them; the context must be current then.
pub struct Screen<'c> {
    gl: Gl<'c>,
    target: u32,
    room: Program<'c>,
    screen: Program<'c>,
    mirror: Program<'c>,
    label: Program<'c>,
    strip: Points<'c>,
    dots: Points<'c>,
}

impl std::fmt::Debug for Screen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl<'c> Screen<'c> {
    /// Compiles the programs for textures of `target`: GL_TEXTURE_2D or GL_TEXTURE_EXTERNAL_OES.
    ///
    /// # Errors
    ///
    /// What GL says about a shader, in words.
    ///
    /// # Safety
    ///
    /// The context is current on this thread, with GL ES 3.0 or newer, whenever the screen or a canvas
    /// of it is used or dropped.
    pub unsafe fn new(context: &'c glow::Context, target: u32) -> Result<Self, String> {
        // SAFETY: handed on to the caller word for word.
        let gl = unsafe { Gl::new(context) };
        let header = header(target);
        let program = |[vertex, fragment]: [&str; 2]| Program::new(gl, &header, vertex, fragment);
        let screen = Self {
            gl,
            target,
            room: program(ROOM)?,
            screen: program(SCREEN)?,
            mirror: program([SCREEN[0], MIRROR])?,
            label: program(LABEL)?,
            strip: Points::new(gl)?,
            dots: Points::new(gl)?,
        };
        screen.strip.fill(&strip());
        Ok(screen)
    }

    /// A picture off screen to draw into.
    ///
    /// # Errors
    ///
    /// If GL cannot draw into one of this size.
    pub fn canvas(&self, width: u32, height: u32) -> Result<Canvas<'c>, String> {
        Canvas::new(self.gl, width, height)
    }

    /// Draws frame `frame` with what `shown` holds.
    ///
    /// # Errors
    ///
    /// If GL reports an error.
    pub fn draw(&self, surface: Surface<'_>, shown: Shown, frame: u32) -> Result<(), String> {
        let gl = self.gl;
        let (framebuffer, (width, height)) = match surface {
            Surface::Window(width, height) => (None, (width, height)),
            Surface::Canvas(canvas) => (Some(canvas.framebuffer()), canvas.size()),
        };
        gl.bind_framebuffer(glow::FRAMEBUFFER, framebuffer);
        gl.viewport(0, 0, size(width), size(height));
        gl.disable(glow::DEPTH_TEST);
        gl.disable(glow::BLEND);

        let camera = camera(frame, float(width) / float(height.max(1)), shown.size);
        let seen = camera.view_projection(ClipDepth::MinusOneToOne);
        self.room.bind();
        let horizon = camera.axes().0[1] / camera.half_height;
        gl.uniform_1_f32(self.room.uniform("horizon").as_ref(), -horizon);
        self.strip.draw(glow::TRIANGLES, 3);

        gl.enable(glow::BLEND);
        // The picture's own alpha stays one: a compositor must not see through its edges.
        let (from, onto) = (glow::SRC_ALPHA, glow::ONE_MINUS_SRC_ALPHA);
        gl.blend_func_separate(from, onto, glow::ZERO, glow::ONE);
        gl.active_texture(glow::TEXTURE0);
        gl.bind_texture(self.target, Some(shown.texture));
        self.draw_strip(&self.mirror, &seen, shown.size, -1.0, 0.0);
        self.draw_strip(&self.screen, &seen, shown.size, 1.0, RIM);
        gl.bind_texture(self.target, None);

        self.draw_labels(width, height, frame);
        gl.disable(glow::BLEND);
        match gl.get_error() {
            glow::NO_ERROR => Ok(()),
            error => Err(format!(
                "GL reports error {error:#06x} after drawing frame {frame}"
            )),
        }
    }

    /// Draws the curved screen by one of its two programs.
    fn draw_strip(
        &self,
        program: &Program<'_>,
        seen: &Mat4,
        frame: (u32, u32),
        mirror: f32,
        rim: f32,
    ) {
        let gl = self.gl;
        let (width, height) = (float(frame.0), float(frame.1));
        program.bind();
        let at = |name| program.uniform(name);
        gl.uniform_matrix_4_f32_slice(at("view_projection").as_ref(), false, seen.as_flattened());
        let radius = radius(frame);
        gl.uniform_4_f32(
            at("cylinder").as_ref(),
            radius,
            HALF_ANGLE,
            HEIGHT,
            LOWER_EDGE,
        );
        gl.uniform_2_f32(at("border").as_ref(), rim * height / width, rim);
        gl.uniform_2_f32(at("frame_size").as_ref(), width, height);
        gl.uniform_1_f32(at("mirror").as_ref(), mirror);
        self.strip
            .draw(glow::TRIANGLE_STRIP, 2 * (usize::from(PIECES) + 1));
    }

    /// The name of what is going on, and the number of the frame, in the lower corners.
    fn draw_labels(&self, width: u32, height: u32, frame: u32) {
        let gl = self.gl;
        let (width, height) = (float(width), float(height));
        // Whole pixels keep the dots square.
        let dot = (height / 240.0).min(width / 320.0).floor().max(1.0);
        let counter = format!("GL frame {frame:03}");
        let margin = 6.0 * dot;
        let mut points = Vec::new();
        label::append(&mut points, "Vulkan \u{2192} OpenGL", margin, margin, dot);
        let left = (width - margin - label::width(&counter, dot)).floor();
        label::append(&mut points, &counter, left, margin, dot);
        self.dots.fill(&points);
        self.label.bind();
        gl.uniform_2_f32(self.label.uniform("picture_size").as_ref(), width, height);
        gl.uniform_4_f32(self.label.uniform("ink").as_ref(), 0.98, 0.80, 0.52, 0.92);
        self.dots.draw(glow::TRIANGLES, points.len());
    }
}

/// What stands before every shader.
fn header(target: u32) -> String {
    let (extension, sampler) = if target == glow::TEXTURE_2D {
        ("", "sampler2D")
    } else {
        (
            "#extension GL_OES_EGL_image_external_essl3 : require\n",
            "samplerExternalOES",
        )
    };
    format!("#version 300 es\n{extension}precision highp float;\n#define FRAME_SAMPLER {sampler}\n")
}

/// The curved screen as one strip from left to right, across and down.
fn strip() -> Vec<[f32; 2]> {
    (0..=PIECES)
        .map(|i| f32::from(i) / f32::from(PIECES))
        .flat_map(|across| [[across, 0.0], [across, 1.0]])
        .collect()
}

/// The radius at which the screen's arc is as wide as the frame is to its height.
fn radius((width, height): (u32, u32)) -> f32 {
    HEIGHT * float(width) / float(height.max(1)) / (2.0 * HALF_ANGLE)
}

/// A camera that sways before the screen, as far away as it must be to see all of it.
fn camera(frame: u32, aspect: f32, shown: (u32, u32)) -> Camera {
    let t = f32::from(u16::try_from(frame % 60_000).unwrap_or(0)) / 60.0;
    let half_height = 0.36_f32;
    let half_width = radius(shown) * HALF_ANGLE.sin();
    let distance = (1.44 / half_height).max(1.10 * half_width / (half_height * aspect));
    let angle = 0.30 * (0.55 * t + 0.5).sin();
    let middle = LOWER_EDGE + HEIGHT / 2.0;
    let (sin, cos) = angle.sin_cos();
    // The screen's middle lies at the origin, its edges bend toward the camera.
    let depth = radius(shown) * (1.0 - HALF_ANGLE.cos());
    Camera {
        eye: [
            sin * (distance + depth),
            middle + 0.12 * (0.7 * t).cos(),
            cos * distance + depth,
        ],
        target: [0.0, middle - 0.25, depth * 0.5],
        half_height,
        aspect,
        range: (0.3, 60.0),
    }
}

/// Sizes of pictures are far below what a float counts exactly.
fn float(pixels: u32) -> f32 {
    f32::from(u16::try_from(pixels).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strip_covers_the_picture_from_the_upper_left_corner() {
        let points = strip();
        assert_eq!(points.first(), Some(&[0.0, 0.0]));
        assert_eq!(points.last(), Some(&[1.0, 1.0]));
        assert_eq!(points.len(), 2 * (usize::from(PIECES) + 1));
    }

    #[test]
    fn wide_and_tall_frames_are_seen_whole() {
        for shown in [(1920, 1080), (300, 900), (2000, 200), (1, 1)] {
            let camera = camera(0, 16.0 / 9.0, shown);
            assert!(
                camera.eye[2] > radius(shown) * HALF_ANGLE.sin() * 0.5,
                "{shown:?}"
            );
        }
    }

    #[test]
    fn the_header_names_the_sampler_of_the_target() {
        assert!(header(glow::TEXTURE_2D).contains("FRAME_SAMPLER sampler2D"));
        assert!(header(0x8D65).contains("GL_OES_EGL_image_external_essl3"));
    }
}
