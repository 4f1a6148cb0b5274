//! The demo's loop: one thread, three images, one turn after the other.

use crate::Result;
use crate::options::Options;
use crate::progress::Progress;
use crate::report::Milliseconds;
use crate::setup::{Ring, Sides};
use crate::window::Window;
use ash::vk;
use lucarne::vulkan::{self, Access};
use lucarne::{Fence, Reading, egl};
use lucarne_examples::scene::Scene;
use lucarne_examples::screen::{Canvas, Screen, Shown, Surface};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long any one wait may take before something is wrong. Generous: software can be very slow.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A window shows at most this many frames a second: faster, nobody would see the animation.
const WINDOW_FRAMES_PER_SECOND: u32 = 60;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) frames: u32,
    pub(crate) seconds: f64,
    pub(crate) total: Times,
    pub(crate) images: Vec<PathBuf>,
}

/// Where the time went.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Times {
    vulkan: Duration,
    hand_off: Duration,
    gl: Duration,
}

impl Times {
    pub(crate) fn per_frame(self, frames: u32) -> Milliseconds {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(frames.max(1));
        Milliseconds {
            vulkan: ms(self.vulkan),
            hand_off: ms(self.hand_off),
            gl: ms(self.gl),
        }
    }

    fn add(&mut self, other: Self) {
        self.vulkan += other.vulkan;
        self.hand_off += other.hand_off;
        self.gl += other.gl;
    }
}

/// Runs all frames; the first one warms up and is not counted.
pub(crate) fn run(options: &Options, sides: &mut Sides, ring: &Ring) -> Result<Outcome> {
    let Sides {
        instance,
        vulkan,
        egl,
        window,
        ..
    } = sides;
    let target = egl.import(ring.images[0].frame())?.target();
    // SAFETY: the device's context, GL ES 3.0 at least, is current on this thread for as long as `sides`
    // lives, which is longer than the screen.
    let screen = unsafe { Screen::new(egl.glow(), target) }?;
    let stage = Stage {
        scene: scene(instance, vulkan, ring)?,
        canvas: screen.canvas(options.size.width, options.size.height)?,
        vulkan,
        egl,
        ring,
        screen: &screen,
    };
    std::fs::create_dir_all(&options.output).map_err(|error| {
        format!(
            "cannot make the folder {}: {error}",
            options.output.display()
        )
    })?;
    let pictures = options.pictures();
    let mut outcome = Outcome::default();
    let mut progress = Progress::new();
    for frame in 0..=options.frames {
        let start = Instant::now();
        if window.as_mut().is_some_and(|window| !window.poll()) {
            break;
        }
        let turn = stage.turn(frame, window.as_ref())?;
        if let Some(window) = window {
            window.present()?;
            let pace = Duration::from_secs(1) / WINDOW_FRAMES_PER_SECOND;
            std::thread::sleep(pace.saturating_sub(start.elapsed()));
        }
        if frame > 0 {
            outcome.frames = frame;
            outcome.seconds += start.elapsed().as_secs_f64();
            outcome.total.add(turn.times);
        }
        if pictures.contains(&frame) {
            let path = options.output.join(format!("frame-{frame:03}.png"));
            stage.picture(frame, &turn, window.is_some(), &path)?;
            outcome.images.push(path);
        }
        if let (Some(window), true) = (window.as_mut(), options.hold_at == Some(frame)) {
            stage.hold(frame, &turn, window)?;
        }
        turn.reading.release(turn.release);
        progress.update(frame, options.frames);
    }
    match instance.validation_messages().as_slice() {
        [] => Ok(outcome),
        messages => Err(format!("the validation layer complains: {}", messages.join("; ")).into()),
    }
}

/// The Vulkan scene with all images of the ring as its targets, in the ring's order.
fn scene(instance: &vulkan::Instance, vulkan: &vulkan::Device, ring: &Ring) -> Result<Scene> {
    let first = &ring.images[0];
    let extent = first.frame().layout().extent();
    let extent = vk::Extent2D {
        width: extent.width,
        height: extent.height,
    };
    let physical = vulkan.adapter().raw();
    // SAFETY: vkGetPhysicalDeviceMemoryProperties: a physical device of this instance.
    let memory = unsafe {
        instance
            .raw()
            .get_physical_device_memory_properties(physical)
    };
    // SAFETY: the device lives in `Sides`, longer than the scene; it is of Vulkan 1.1 (Lucarne asks for
    // that), and drawing into this format and extent is what both sides agreed on.
    let mut scene = unsafe { Scene::new(vulkan.raw(), memory, first.vk_format(), extent) }?;
    for image in &ring.images {
        // SAFETY: all images of the ring have one format, extent and usage, and live in `Ring`.
        unsafe { scene.add_target(&image.view_info(Access::ColorAttachment)) }?;
    }
    Ok(scene)
}

struct Stage<'s> {
    // The scene refers to the ring's images: it is dropped before they are.
    scene: Scene,
    canvas: Canvas<'s>,
    vulkan: &'s vulkan::Device,
    egl: &'s egl::Device,
    ring: &'s Ring,
    screen: &'s Screen<'s>,
}

/// A frame that was drawn twice: by Vulkan, and onto the screen by GL.
struct Turn {
    times: Times,
    shown: Shown,
    reading: Reading,
    release: Fence,
}

impl Stage<'_> {
    /// Takes a free image, draws into it in Vulkan, hands it over, draws with it in GL.
    fn turn(&self, frame: u32, window: Option<&Window>) -> Result<Turn> {
        let start = Instant::now();
        let free = self
            .ring
            .pool
            .acquire()
            .ok_or("all images of the ring are in use")?;
        let (writing, gate) = free.acquire();
        let index = writing.index();
        let record = |commands| {
            // SAFETY: `write` gives a command buffer that is being recorded outside a render pass, for its
            // graphics queue, with the image in COLOR_ATTACHMENT_OPTIMAL; targets are in the ring's order.
            unsafe { self.scene.record(commands, index, frame) }
        };
        let image = &self.ring.images[index];
        let acquire = self
            .vulkan
            .write(image, &gate, TIMEOUT, Access::ColorAttachment, record)?;
        let drawn = Instant::now();

        let (reading, acquire) = writing.send(acquire).receive().acquire();
        let texture = self.egl.import(reading.frame())?;
        self.egl.read(&texture, &acquire, TIMEOUT)?;
        let received = Instant::now();

        let extent = reading.frame().layout().extent();
        let shown = Shown {
            texture: texture.name(),
            target: texture.target(),
            size: (extent.width, extent.height),
        };
        self.screen.draw(self.surface(window), shown, frame)?;
        let release = self.egl.fence(TIMEOUT)?;
        let times = Times {
            vulkan: drawn - start,
            hand_off: received - drawn,
            gl: received.elapsed(),
        };
        Ok(Turn {
            times,
            shown,
            reading,
            release,
        })
    }

    fn surface(&self, window: Option<&Window>) -> Surface<'_> {
        window.map_or(Surface::Canvas(&self.canvas), |window| {
            let (width, height) = window.size();
            Surface::Window(width, height)
        })
    }

    /// Saves what was drawn. In a window it is drawn once more, off screen: a window may have another size.
    fn picture(&self, frame: u32, turn: &Turn, again: bool, path: &Path) -> Result<()> {
        if again {
            self.screen
                .draw(Surface::Canvas(&self.canvas), turn.shown, frame)?;
        }
        let saved = self.canvas.read().save(path);
        saved.map_err(|error| format!("cannot write {}: {error}", path.display()).into())
    }

    /// Shows this frame until the window is closed.
    fn hold(&self, frame: u32, turn: &Turn, window: &mut Window) -> Result<()> {
        writeln!(std::io::stderr(), "holding frame {frame}")?;
        while window.poll() {
            self.screen
                .draw(self.surface(Some(window)), turn.shown, frame)?;
            window.present()?;
            std::thread::sleep(Duration::from_secs(1) / WINDOW_FRAMES_PER_SECOND);
        }
        // The fence in `turn` is older than these reads.
        self.egl.fence(TIMEOUT)?.wait(TIMEOUT)?;
        Ok(())
    }
}
