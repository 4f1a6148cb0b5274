//! `Y'CbCr` frames in OpenGL, plane by plane, compared with exact arithmetic.

use glow::HasContext as _;
use lucarne::color::{ChromaSiting, ColorDescription};
use lucarne::cpu::Allocator;
use lucarne::egl::{Device, YcbcrTexture, YcbcrToRgb};
use lucarne::{Extent, Format, Usage};
use lucarne_tests::cpu::can;
use lucarne_tests::pair::Pair;
use lucarne_tests::yuv::{FOREIGN, MATRICES, OURS, Planes, RANGES, Samples, difference};
use lucarne_tests::{TIMEOUT, canary, in_guest};

const FORMATS: [Format; 16] = [
    Format::NV12,
    Format::NV21,
    Format::NV16,
    Format::NV61,
    Format::NV24,
    Format::P010,
    Format::P012,
    Format::P016,
    Format::YUV420,
    Format::YVU420,
    Format::YUV422,
    Format::YUV444,
    Format::YUYV,
    Format::YVYU,
    Format::UYVY,
    Format::VYUY,
];

const SIZES: [Extent; 4] = [
    Extent::new(37, 21),
    Extent::new(6, 4),
    Extent::new(1, 1),
    Extent::new(3, 2),
];

/// Half a step of eight bits, which rounding takes, and what single precision adds.
const EIGHT_BITS: f64 = 0.5 / 255.0 + 2e-5;
/// Single precision alone.
const FLOAT: f64 = 2e-5;

/// An OpenGL call, or several.
macro_rules! gl {
    // SAFETY: a call of OpenGL ES 3 with valid arguments, on the thread where the context is current; slices have the
    // length that the call fills.
    ($gl:ident: $call:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: as above.
        unsafe { $gl.$call($($argument),*) }
    };
    ($gl:ident: $($call:ident($($argument:expr),* $(,)?));+ $(;)?) => {{
        $(gl!($gl: $call($($argument),*));)+
    }};
}

/// A texture to draw to, and its pixels.
struct Target<'a> {
    device: &'a Device,
    texture: glow::NativeTexture,
    framebuffer: glow::NativeFramebuffer,
    extent: Extent,
    format: u32,
}

impl<'a> Target<'a> {
    fn new(device: &'a Device, extent: Extent, format: u32) -> Self {
        let gl = device.glow();
        let (width, height) = size(extent);
        let texture = gl!(gl: create_texture()).expect("a texture");
        let framebuffer = gl!(gl: create_framebuffer()).expect("a framebuffer");
        let (kind, point) = (glow::TEXTURE_2D, glow::COLOR_ATTACHMENT0);
        gl!(gl:
            bind_texture(kind, Some(texture));
            tex_storage_2d(kind, 1, format, width, height);
            bind_framebuffer(glow::FRAMEBUFFER, Some(framebuffer));
            framebuffer_texture_2d(glow::FRAMEBUFFER, point, kind, Some(texture), 0);
            bind_framebuffer(glow::FRAMEBUFFER, None);
            bind_texture(kind, None));
        Self {
            device,
            texture,
            framebuffer,
            extent,
            format,
        }
    }

    fn pixels(&self) -> Vec<[f32; 4]> {
        let gl = self.device.glow();
        let (width, height) = size(self.extent);
        let count = usize::try_from(width * height).expect("positive");
        let float = self.format == glow::RGBA32F;
        let kind = if float {
            glow::FLOAT
        } else {
            glow::UNSIGNED_BYTE
        };
        let mut bytes = vec![0_u8; count * if float { 16 } else { 4 }];
        let target = glow::PixelPackData::Slice(Some(&mut bytes));
        gl!(gl:
            bind_framebuffer(glow::FRAMEBUFFER, Some(self.framebuffer));
            read_pixels(0, 0, width, height, glow::RGBA, kind, target);
            bind_framebuffer(glow::FRAMEBUFFER, None));
        assert_eq!(gl!(gl: get_error()), glow::NO_ERROR);
        let values: Vec<f32> = if float {
            let floats = bytes.as_chunks::<4>().0;
            floats.iter().map(|one| f32::from_ne_bytes(*one)).collect()
        } else {
            bytes.iter().map(|one| f32::from(*one) / 255.0).collect()
        };
        values.as_chunks::<4>().0.to_vec()
    }

    /// Draws with the textures' own filter, as a program that scales would.
    fn draw(&self, pass: &YcbcrToRgb, source: &YcbcrTexture) {
        let gl = self.device.glow();
        let (width, height) = size(self.extent);
        gl!(gl:
            bind_framebuffer(glow::FRAMEBUFFER, Some(self.framebuffer));
            viewport(0, 0, width, height));
        pass.draw(source).expect("a drawn frame");
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        let gl = self.device.glow();
        gl!(gl: delete_framebuffer(self.framebuffer); delete_texture(self.texture));
    }
}

fn size(extent: Extent) -> (i32, i32) {
    let side = |value: u32| i32::try_from(value).expect("a small size");
    (side(extent.width), side(extent.height))
}

fn descriptions(frame: ColorDescription) -> impl Iterator<Item = ColorDescription> {
    MATRICES.into_iter().flat_map(move |matrix| {
        RANGES.into_iter().flat_map(move |range| {
            ChromaSiting::ALL
                .iter()
                .map(move |siting| ColorDescription {
                    matrix,
                    range,
                    siting: *siting,
                    ..frame
                })
        })
    })
}

/// All matrices, ranges and sitings over one frame.
fn convert(
    device: &Device,
    pass: &YcbcrToRgb,
    allocator: &Allocator,
    format: Format,
    extent: Extent,
    planes: Planes,
) -> f64 {
    let frame = planes.frame(allocator, extent, format);
    canary::fill(&frame);
    let samples = Samples::new(format, extent, 1);
    let acquire = samples.write(&frame);
    let bytes = Target::new(device, extent, glow::RGBA8);
    let floats = Target::new(device, extent, glow::RGBA32F);
    let mut filtered = 0.0_f64;
    let mut held = Vec::new();
    let colors = descriptions(frame.layout().color());
    for color in colors.filter(|color| wanted(color, extent, planes)) {
        let frame = frame.with_color(color).expect("it fits");
        let source = device.import_ycbcr(&frame).expect("planes");
        device
            .read_ycbcr(&source, &acquire, TIMEOUT)
            .expect("a turn to read");
        let expected = samples.colors(&color);
        let what = format!("{format} {extent} {planes:?}, {color}");
        for (target, tolerance) in [(&bytes, EIGHT_BITS), (&floats, FLOAT)] {
            pass.convert(&source, target.texture)
                .expect("a drawn frame");
            let read = target.pixels();
            let off = difference(&read, &expected);
            assert!(
                off <= tolerance,
                "{what}: off by {off}, more than {tolerance}"
            );
            assert!(
                read.iter()
                    .all(|pixel| pixel[3].to_bits() == 1.0_f32.to_bits())
            );
        }
        // The first row on top: at the end of what glReadPixels reads.
        floats.draw(pass, &source);
        let mut read = Vec::new();
        let width = usize::try_from(extent.width).expect("a small size");
        for row in floats.pixels().chunks_exact(width).rev() {
            read.extend_from_slice(row);
        }
        filtered = filtered.max(difference(&read, &expected));
        held.push(source);
    }
    canary::assert_untouched(&frame, "reading planes");
    filtered
}

/// Everything for one size and placement; one matrix for the others, in which drivers can only differ by geometry. The guest's
/// driver computes what it does outside, so that there one siting will do for the others, too.
fn wanted(color: &ColorDescription, extent: Extent, planes: Planes) -> bool {
    let first = extent == SIZES[0] && planes.offset == 0;
    if in_guest() {
        color.matrix == MATRICES[0] && (first || color.siting == ChromaSiting::ALL[0])
    } else {
        first || color.matrix == MATRICES[0]
    }
}

/// In the guest, host memory is what it is outside: one format there of each kind.
fn formats(allocator: &Allocator) -> &'static [Format] {
    if in_guest() && *allocator == Allocator::HostMemory {
        &[Format::NV12, Format::P010, Format::YUV420, Format::YUYV]
    } else {
        &FORMATS
    }
}

fn every_format(allocator: &Allocator) {
    let pair = Pair::open();
    if !can(allocator, &pair.consumer()) {
        return;
    }
    let pass = pair.gl.ycbcr_to_rgb().expect("a pass");
    // The small ones say nothing about the kernel, and there each costs seconds.
    let sizes = if in_guest() { &SIZES[..1] } else { &SIZES };
    for &format in formats(allocator) {
        let mut filtered = 0.0_f64;
        for &extent in sizes {
            for planes in [OURS, FOREIGN] {
                let off = convert(&pair.gl, &pass, allocator, format, extent, planes);
                filtered = filtered.max(off);
            }
        }
        // Filters of eight bits, times the largest coefficient of any matrix, about 2.2, for each chroma channel.
        assert!(
            filtered <= 4.0 / 255.0,
            "{format}: the filter is off by {}",
            filtered * 255.0
        );
        eprintln!(
            "{format}: filtered, off by {:.3} of 255 at most",
            filtered * 255.0
        );
    }
    pair.assert_valid();
}

#[test]
fn every_format_in_udmabuf() {
    every_format(&Allocator::Udmabuf);
}

#[test]
fn every_format_in_host_memory() {
    every_format(&Allocator::HostMemory);
}

/// The states that draws of ours touch, set to values that nobody has by accident.
const INTEGERS: [u32; 7] = [
    glow::CURRENT_PROGRAM,
    glow::VERTEX_ARRAY_BINDING,
    glow::ACTIVE_TEXTURE,
    glow::TEXTURE_BINDING_2D,
    glow::SAMPLER_BINDING,
    glow::DRAW_FRAMEBUFFER_BINDING,
    glow::READ_FRAMEBUFFER_BINDING,
];

fn state(gl: &glow::Context) -> (Vec<i32>, [i32; 4], [bool; 4], bool, bool) {
    let mut viewport = [0; 4];
    gl!(gl: get_parameter_i32_slice(glow::VIEWPORT, &mut viewport));
    let integers = INTEGERS.map(|name| gl!(gl: get_parameter_i32(name)));
    let mask = gl!(gl: get_parameter_bool_array(glow::COLOR_WRITEMASK));
    let blend = gl!(gl: is_enabled(glow::BLEND));
    let scissor = gl!(gl: is_enabled(glow::SCISSOR_TEST));
    (integers.to_vec(), viewport, mask, blend, scissor)
}

#[test]
fn the_callers_state_is_left_alone_and_does_no_harm() {
    let pair = Pair::open();
    let (device, extent) = (&pair.gl, Extent::new(6, 4));
    let frame = OURS.frame(&Allocator::HostMemory, extent, Format::NV12);
    let samples = Samples::new(Format::NV12, extent, 3);
    let acquire = samples.write(&frame);
    let source = device.import_ycbcr(&frame).expect("planes");
    device
        .read_ycbcr(&source, &acquire, TIMEOUT)
        .expect("a turn");
    let pass = device.ycbcr_to_rgb().expect("a pass");
    let target = Target::new(device, extent, glow::RGBA8);
    let other = Target::new(device, extent, glow::RGBA8);
    let gl = device.glow();
    let array = gl!(gl: create_vertex_array()).expect("an array");
    // A sampler object that would repeat and blur.
    let sampler = gl!(gl: create_sampler()).expect("a sampler");
    for unit in 0..3 {
        gl!(gl: bind_sampler(unit, Some(sampler)));
    }
    gl!(gl:
        bind_vertex_array(Some(array));
        active_texture(glow::TEXTURE1);
        bind_texture(glow::TEXTURE_2D, Some(other.texture));
        bind_framebuffer(glow::READ_FRAMEBUFFER, Some(target.framebuffer));
        bind_framebuffer(glow::DRAW_FRAMEBUFFER, Some(other.framebuffer));
        viewport(1, 2, 3, 4);
        scissor(0, 0, 1, 1);
        enable(glow::SCISSOR_TEST);
        enable(glow::BLEND);
        blend_func(glow::ZERO, glow::ONE);
        color_mask(true, false, true, false));
    let before = state(gl);
    pass.convert(&source, target.texture)
        .expect("a drawn frame");
    assert_eq!(state(gl), before, "after convert");
    pass.draw(&source).expect("a drawn frame");
    assert_eq!(state(gl), before, "after draw");
    drop(pass);
    assert_eq!(state(gl), before, "after the pass");
    let expected = samples.colors(&frame.layout().color());
    assert!(difference(&target.pixels(), &expected) <= EIGHT_BITS);
}

/// A program's own shader with the GLSL and uniforms that the frame gives.
#[test]
fn a_shader_of_the_callers_own_finds_the_same_colours() {
    const MAIN: &str = "out vec4 color;
void main() { color = vec4(lucarne_rgb(ivec2(gl_FragCoord.xy)).bgr, 0.25); }";
    const CORNERS: &str = "#version 300 es
void main() {
    gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}";
    let pair = Pair::open();
    let (device, extent) = (&pair.gl, Extent::new(37, 21));
    for format in [Format::NV21, Format::YUV420, Format::UYVY] {
        let frame = OURS.frame(&Allocator::HostMemory, extent, format);
        let samples = Samples::new(format, extent, 4);
        let acquire = samples.write(&frame);
        let source = device.import_ycbcr(&frame).expect("planes");
        device
            .read_ycbcr(&source, &acquire, TIMEOUT)
            .expect("a turn");
        let target = Target::new(device, extent, glow::RGBA32F);
        let gl = device.glow();
        let (width, height) = size(extent);
        let program = gl!(gl: create_program()).expect("a program");
        let fragment = format!("#version 300 es\n{}{MAIN}", source.glsl());
        for (kind, text) in [
            (glow::VERTEX_SHADER, CORNERS),
            (glow::FRAGMENT_SHADER, &fragment),
        ] {
            let shader = gl!(gl: create_shader(kind)).expect("a shader");
            gl!(gl: shader_source(shader, text); compile_shader(shader); attach_shader(program, shader));
        }
        gl!(gl: link_program(program));
        assert!(gl!(gl: get_program_link_status(program)), "{fragment}");
        // Units of the caller's choice.
        device
            .bind_ycbcr(&source, program, 4)
            .expect("bound planes");
        gl!(gl:
            bind_framebuffer(glow::FRAMEBUFFER, Some(target.framebuffer));
            viewport(0, 0, width, height);
            draw_arrays(glow::TRIANGLES, 0, 3));
        let mut read = target.pixels();
        for pixel in &mut read {
            pixel.swap(0, 2);
            for channel in &mut pixel[..3] {
                *channel = channel.clamp(0.0, 1.0);
            }
        }
        let off = difference(&read, &samples.colors(&frame.layout().color()));
        assert!(off <= FLOAT, "{format}: off by {off}");
    }
}

/// The same in a desktop context of the core profile.
#[test]
fn desktop_opengl_draws_the_same() {
    use khronos_egl as egl;

    let pair = Pair::open();
    // SAFETY: loading the system's EGL.
    let library = unsafe { egl::DynamicInstance::<egl::EGL1_5>::load_required() }.expect("EGL 1.5");
    let display = library.get_current_display().expect("a display");
    library.bind_api(egl::OPENGL_API).expect("desktop OpenGL");
    let config = [
        egl::SURFACE_TYPE,
        0,
        egl::RENDERABLE_TYPE,
        egl::OPENGL_BIT,
        egl::NONE,
    ];
    let config = library.choose_first_config(display, &config);
    let config = config.expect("an answer").expect("a configuration");
    let version = [
        egl::CONTEXT_MAJOR_VERSION,
        3,
        egl::CONTEXT_MINOR_VERSION,
        3,
        egl::CONTEXT_OPENGL_PROFILE_MASK,
        egl::CONTEXT_OPENGL_CORE_PROFILE_BIT,
        egl::NONE,
    ];
    let context = library.create_context(display, config, None, &version);
    let context = context.expect("a core context");
    library
        .make_current(display, None, None, Some(context))
        .expect("a current context");
    // SAFETY: display and context outlive the device.
    let device = unsafe { lucarne::egl::Device::from_current() }.expect("a device");
    assert!(!device.version().contains("ES"), "{}", device.version());
    let pass = device.ycbcr_to_rgb().expect("a pass");
    for allocator in [Allocator::Udmabuf, Allocator::HostMemory] {
        let offer = device.offer(Usage::SAMPLE).expect("an offer");
        if !can(&allocator, &offer) {
            continue;
        }
        for format in [Format::NV12, Format::P010, Format::YUYV] {
            let extent = Extent::new(6, 4);
            convert(&device, &pass, &allocator, format, extent, FOREIGN);
        }
    }
    drop(pass);
    drop(device);
    pair.gl.make_current().expect("the first context");
    library
        .destroy_context(display, context)
        .expect("destroyed");
}
