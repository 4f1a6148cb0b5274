//! A toolkit's context has nothing of Lucarne's left once the device and its textures are gone, whatever was current then.

use std::rc::Rc;
use std::sync::mpsc;

use glow::HasContext as _;
use lucarne::cpu::Allocator;
use lucarne::egl::{Device, Texture, YcbcrToRgb};
use lucarne::{Error, Extent, Format, Frame, MemoryPath, Request, Usage, negotiate};
use lucarne_tests::pair::{PRODUCER, Pair};
use lucarne_tests::skip::skip_case;
use lucarne_tests::toolkit::Toolkit;
use lucarne_tests::yuv::{OURS, Samples};
use lucarne_tests::{TIMEOUT, fds};

const EXTENT: Extent = Extent::new(64, 32);
const TEXTURES: usize = 20;
/// More names than these tests make.
const NAMES: u32 = 512;

/// What asks whether a name is an object of each kind that Lucarne makes in a context.
const KINDS: [&str; 5] = [
    "glIsTexture",
    "glIsProgram",
    "glIsFramebuffer",
    "glIsVertexArray",
    "glIsMemoryObjectEXT",
];

/// How many objects of each kind the current context has.
#[expect(unsafe_code, reason = "GL calls")]
fn objects(toolkit: &Toolkit) -> [usize; 5] {
    let gl = toolkit.gl();
    let listed = gl.supported_extensions();
    KINDS.map(|name| {
        if name.ends_with("EXT") && !listed.contains("GL_EXT_memory_object") {
            return 0;
        }
        let is = toolkit.egl.get_proc_address(name).expect(name);
        // SAFETY: OpenGL ES 3 and GL_EXT_memory_object, which is listed, declare all of them so.
        let is: unsafe extern "system" fn(u32) -> u8 = unsafe { std::mem::transmute(is) };
        // SAFETY: they take any name, and a context is current.
        let found = (1..NAMES).filter(|name| unsafe { is(*name) } != 0);
        found.count()
    })
}

/// Whether each kind of object is there more often, and textures by some more.
fn assert_more(made: [usize; 5], before: [usize; 5]) {
    assert!(made[0] >= before[0] + TEXTURES, "{made:?}");
    for kind in 1..4 {
        assert!(made[kind] > before[kind], "{}: {made:?}", KINDS[kind]);
    }
}

/// Mappings of shared memory, by driver or by us.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let shared = |line: &&str| line.contains("/memfd:") || line.contains("/dmabuf:");
    maps.lines().filter(shared).count()
}

/// A device in the toolkit's context, and everything that it can be made to make there.
struct Borrowed {
    pass: YcbcrToRgb,
    _textures: Vec<Rc<Texture>>,
    _alone: Vec<Texture>,
    _frames: Vec<Frame>,
    device: Device,
}

impl Borrowed {
    /// The toolkit's context is current.
    fn new(toolkit: &Toolkit, pair: &Pair) -> Self {
        // SAFETY: the display is never terminated; where the context ends before the device, the test is about that.
        #[expect(unsafe_code, reason = "wrapping a context")]
        let device = unsafe { Device::from_current() }.expect("a device");
        let (mut textures, mut alone, mut frames) = (Vec::new(), Vec::new(), Vec::new());
        for path in MemoryPath::ALL {
            let Some(frame) = frame(pair, &device, path) else {
                continue;
            };
            for _ in 0..TEXTURES {
                let frame = frame();
                textures.push(device.import(&frame).expect("a texture"));
                if path == MemoryPath::HostMemory {
                    alone.push(device.import_srgb(&frame).expect("a texture"));
                }
                frames.push(frame);
            }
        }
        let pass = device.ycbcr_to_rgb().expect("a pass");
        convert(toolkit, &device, &pass);
        Self {
            pass,
            _textures: textures,
            _alone: alone,
            _frames: frames,
            device,
        }
    }

    /// Drops everything, the device first: textures outlive it.
    fn end(self) {
        let Self { device, pass, .. } = self;
        drop(device);
        drop(pass);
    }

    /// Drops everything but the device.
    fn keep_device(self) -> Device {
        self.device
    }
}

/// Makes frames of one path, if both sides have it.
fn frame<'a>(pair: &'a Pair, device: &Device, path: MemoryPath) -> Option<impl Fn() -> Frame + 'a> {
    let request = Request::new(EXTENT)
        .formats(&[Format::ABGR8888])
        .paths(&[path])
        .usage(PRODUCER, Usage::SAMPLE);
    let consumer = device.offer(Usage::SAMPLE).expect("an offer");
    match negotiate(&pair.producer(), &consumer, &request) {
        Ok(agreement) => Some(move || {
            pair.vk
                .export(&agreement)
                .expect("an image")
                .frame()
                .clone()
        }),
        Err(refusal) => {
            let kind = match path {
                MemoryPath::DmaBuf => "udmabuf",
                other => other.name(),
            };
            skip_case(kind, &refusal.to_string());
            None
        }
    }
}

/// Compiles the pass's program and draws with it.
#[expect(unsafe_code, reason = "GL calls")]
fn convert(toolkit: &Toolkit, device: &Device, pass: &YcbcrToRgb) {
    let gl = toolkit.gl();
    let frame = OURS.frame(&Allocator::HostMemory, EXTENT, Format::NV12);
    let samples = Samples::new(Format::NV12, EXTENT, 1);
    let acquire = samples.write(&frame);
    let source = device.import_ycbcr(&frame).expect("a texture");
    let read = device.read_ycbcr(&source, &acquire, TIMEOUT);
    read.expect("a turn to read");
    // SAFETY: glGenTextures with a current context.
    let target = unsafe { gl.create_texture() }.expect("a texture");
    // SAFETY: glBindTexture of a texture that has no target yet.
    unsafe { gl.bind_texture(glow::TEXTURE_2D, Some(target)) };
    // SAFETY: glTexStorage2D of the bound texture.
    unsafe { gl.tex_storage_2d(glow::TEXTURE_2D, 1, glow::RGBA8, 64, 32) };
    pass.convert(&source, target).expect("a picture");
    // SAFETY: glDeleteTextures, once.
    unsafe { gl.delete_texture(target) };
}

/// What is current on the thread when everything is dropped.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    Another,
    Itself,
}

/// Lets everything go while something else is current: the context has as many objects as before, and the thread what it had.
fn round(toolkit: &Toolkit, another: &Toolkit, pair: &Pair, meanwhile: Meanwhile) {
    toolkit.make_current();
    let before = objects(toolkit);
    let borrowed = Borrowed::new(toolkit, pair);
    assert_more(objects(toolkit), before);
    match meanwhile {
        Meanwhile::Nothing => toolkit.release(),
        Meanwhile::Another => another.make_current(),
        Meanwhile::Itself => {}
    }
    let state = toolkit.thread_state();
    borrowed.end();
    assert_eq!(toolkit.thread_state(), state, "{meanwhile:?}");
    toolkit.make_current();
    assert_eq!(objects(toolkit), before, "{meanwhile:?}");
}

#[test]
fn nothing_is_left_whatever_was_current_at_the_end() {
    let _alone = fds::alone();
    let pair = Pair::open();
    let (Some(toolkit), Some(another)) = (Toolkit::embedded(), Toolkit::desktop()) else {
        return;
    };
    // Drivers open some things at their first use only, and hold on to what was drawn last.
    round(&toolkit, &another, &pair, Meanwhile::Itself);
    let (open, mapped) = (fds::list(), mappings());
    for meanwhile in [Meanwhile::Nothing, Meanwhile::Another, Meanwhile::Itself] {
        round(&toolkit, &another, &pair, meanwhile);
        fds::assert_as_many(&open);
        assert_eq!(mappings(), mapped, "{meanwhile:?}");
    }
}

/// A device that lives on, in a program that imports nothing for a while.
#[test]
fn trim_deletes_what_was_dropped_elsewhere() {
    let _alone = fds::alone();
    let pair = Pair::open();
    let (Some(another), Some(toolkit)) = (Toolkit::desktop(), Toolkit::embedded()) else {
        return;
    };
    let before = objects(&toolkit);
    let borrowed = Borrowed::new(&toolkit, &pair);
    another.make_current();
    let state = another.thread_state();
    let device = borrowed.keep_device();
    toolkit.make_current();
    assert_more(objects(&toolkit), before);
    another.make_current();
    device.trim().expect("nobody else has the context");
    assert_eq!(another.thread_state(), state);
    toolkit.make_current();
    assert_eq!(objects(&toolkit), before);
}

/// Runs `body` while another thread has the toolkit's context.
fn while_elsewhere(toolkit: &Toolkit, body: impl FnOnce()) {
    toolkit.release();
    let (current, is_current) = mpsc::channel();
    let (over, is_over) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            toolkit.make_current();
            current.send(()).expect("this test waits");
            // Ends also where the body panics.
            let _over = is_over.recv();
            toolkit.release();
        });
        is_current.recv().expect("the context is current there");
        body();
        drop(over);
    });
}

/// EGL answers that, and what is left can be deleted later.
#[test]
fn a_context_that_is_current_elsewhere_is_left_alone() {
    let _alone = fds::alone();
    let pair = Pair::open();
    let Some(toolkit) = Toolkit::embedded() else {
        return;
    };
    let before = objects(&toolkit);
    let mut device = None;
    let borrowed = Borrowed::new(&toolkit, &pair);
    while_elsewhere(&toolkit, || {
        let kept = borrowed.keep_device();
        let error = kept.trim().expect_err("another thread has it");
        assert!(
            matches!(
                error,
                Error::Driver {
                    call: "eglMakeCurrent",
                    ..
                }
            ),
            "{error}"
        );
        let said = error.to_string();
        assert!(said.contains("EGL_BAD_ACCESS"), "{said}");
        assert!(said.contains("another thread"), "{said}");
        assert_eq!(toolkit.thread_state().context, None);
        device = Some(kept);
    });
    device.expect("kept").trim().expect("it is free again");
    toolkit.make_current();
    assert_eq!(objects(&toolkit), before);
}

/// Objects that nobody can delete end with their context, and no descriptor stays.
#[test]
fn a_context_that_nobody_gives_back_takes_everything_along() {
    let _alone = fds::alone();
    let pair = Pair::open();
    let run = |destroyed_first: bool| {
        let toolkit = Toolkit::embedded()?;
        let borrowed = Borrowed::new(&toolkit, &pair);
        if destroyed_first {
            drop(toolkit);
            borrowed.end();
        } else {
            while_elsewhere(&toolkit, || borrowed.end());
        }
        pair.gl.make_current().expect("the pair's");
        Some(())
    };
    for destroyed_first in [false, true] {
        if run(destroyed_first).is_none() {
            return;
        }
        let (open, mapped) = (fds::list(), mappings());
        for _ in 0..3 {
            run(destroyed_first);
        }
        fds::assert_as_many(&open);
        assert_eq!(mappings(), mapped);
    }
}
