//! `LucarneTexture`.

use std::time::{Duration, Instant};

use godot::builtin::{Callable, Color, GString, Rid, StringName, Vector2i};
use godot::classes::image::Format as ImageFormat;
use godot::classes::{Engine, ITexture2D, Image, Os, RenderingServer, SceneTree, Texture2D};
use godot::obj::{Base, Singleton, WithBaseField, WithUserSignals};
use godot::register::{GodotClass, godot_api};
use lucarne::Extent;
use lucarne_stream::{Error, Result};

use crate::ffi::Picture;
use crate::gpu::{self, Gpu, Way};
use crate::prepare::Prepared;
use crate::watch::{End, Told, Watch};
use crate::{convert, host, say, watch};

/// How often a stream is looked for that is not there.
const LOOK: Duration = Duration::from_millis(200);
/// How long a copy may take where the CPU has to wait for it.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A texture that shows the frames of a stream.
///
/// Set [member stream] to the name of a stream, as `lucarne list` shows it, and use the texture like any other: in a
/// [TextureRect], a [Sprite2D], or a material. Until the stream comes it is a small dark picture; when the stream is lost the
/// last picture stays, and the next producer with this name is shown as soon as it is there.
///
/// On the Vulkan renderers a frame is copied once, on the GPU. Elsewhere it goes through host memory; [method get_reason] says why.
#[derive(GodotClass)]
#[class(tool, base = Texture2D)]
pub(crate) struct LucarneTexture {
    /// The stream's name.
    #[export]
    #[var(set = set_stream)]
    stream: GString,
    /// Takes opaque memory of the producer, too. A driver believes what it reads there, so turn it on only for producers that you
    /// trust.
    #[export]
    #[var(set = set_trust_producer)]
    trust_producer: bool,
    screen: Screen,
    watch: Option<Watch>,
    /// Host memory, as this producer has nothing for the GPU.
    host_instead: Option<String>,
    live: bool,
    told: Told,
    next_look: Instant,
    frames: i64,
    base: Base<Texture2D>,
}

/// What Godot shows, and the textures behind it.
struct Screen {
    /// The rendering server's texture. It stays the same for as long as the resource lives.
    rid: Rid,
    extent: Extent,
    picture: Option<Picture>,
    /// One of the next size.
    next: Option<Prepared>,
}

#[godot_api]
impl ITexture2D for LucarneTexture {
    fn init(base: Base<Texture2D>) -> Self {
        Self {
            stream: GString::new(),
            trust_producer: false,
            screen: Screen::new(),
            watch: None,
            host_instead: None,
            live: false,
            told: Told::default(),
            next_look: Instant::now(),
            frames: 0,
            base,
        }
    }

    fn get_width(&self) -> i32 {
        side(self.screen.extent.width)
    }

    fn get_height(&self) -> i32 {
        side(self.screen.extent.height)
    }

    fn has_alpha(&self) -> bool {
        true
    }

    fn get_rid(&self) -> Rid {
        self.screen.rid
    }
}

#[godot_api]
impl LucarneTexture {
    /// A frame of the stream is shown, the first one of its producer.
    #[signal]
    fn arrived();

    /// The stream has ended, or its producer is gone. The last picture stays.
    #[signal]
    fn lost(reason: GString);

    /// Pictures are of this size from now on.
    #[signal]
    fn resized(size: Vector2i);

    #[func]
    fn set_stream(&mut self, name: GString) {
        if name == self.stream {
            return;
        }
        self.stream = name;
        self.restart();
        // The main loop is not there yet while a project's first scene is loaded.
        let start = StringName::from("_start");
        self.base_mut().call_deferred(&start, &[]);
    }

    #[func]
    fn set_trust_producer(&mut self, trust: bool) {
        if trust != self.trust_producer {
            self.trust_producer = trust;
            self.restart();
        }
    }

    /// Whether a producer is there and its frames are shown.
    #[func]
    fn is_live(&self) -> bool {
        self.live
    }

    /// How frames come: "dma-buf", "opaque-fd" or "host memory"; empty before the first one.
    #[func]
    fn get_memory_path(&self) -> GString {
        convert::path_name(self.told.path).into()
    }

    /// How often a frame is copied here: 1 on the GPU; 2 through host memory, once by the CPU and once by Godot's upload. 0 before
    /// the first one.
    #[func]
    fn get_copies_per_frame(&self) -> i64 {
        self.told.copies
    }

    /// What says that a frame is ready: "sync_file", or that the CPU waits for it.
    #[func]
    fn get_fences(&self) -> GString {
        self.told.fences.as_str().into()
    }

    /// Why frames do not come, or not on a better path; empty when all is well.
    #[func]
    fn get_reason(&self) -> GString {
        if self.stream.is_empty() {
            return "`stream` is empty: set it to the name of a stream".into();
        }
        let way = match gpu::way() {
            _ if self.host_instead.is_some() => self.host_instead.clone().unwrap_or_default(),
            Way::Host(reason) => reason,
            Way::Gpu(gpu) if !gpu.has_layer => say::LAYER.to_owned(),
            Way::Gpu(_) => String::new(),
        };
        // What the layer would bring is of no interest on the best path.
        let reason = if self.told.reason.is_empty() && self.host_instead.is_none() && self.is_best()
        {
            String::new()
        } else {
            say::join(&way, &self.told.reason)
        };
        reason.as_str().into()
    }

    /// How many frames were shown.
    #[func]
    fn get_frame_count(&self) -> i64 {
        self.frames
    }

    #[func]
    fn _start(&mut self) {
        let tick = Callable::from_object_method(&self.to_gd(), "_tick");
        let tree = Engine::singleton().get_main_loop();
        let tree = tree.and_then(|main| main.try_cast::<SceneTree>().ok());
        if let Some(mut tree) = tree {
            if !tree.is_connected("process_frame", &tick) {
                tree.connect("process_frame", &tick);
            }
        } else {
            let mut server = RenderingServer::singleton();
            if !server.is_connected("frame_pre_draw", &tick) {
                server.connect("frame_pre_draw", &tick);
            }
        }
    }

    #[func]
    fn _tick(&mut self) {
        if self.stream.is_empty() {
            return;
        }
        let extent = self.screen.extent;
        let shown = self.advance();
        if self.screen.extent != extent {
            let size = Vector2i::new(self.get_width(), self.get_height());
            self.signals().resized().emit(size);
            self.base_mut().emit_changed();
        }
        match shown {
            Ok(false) => {}
            Ok(true) => self.has_shown(),
            Err(error) => self.lose(&error),
        }
    }

    fn has_shown(&mut self) {
        self.frames += 1;
        if !self.live {
            self.live = true;
            self.signals().arrived().emit();
        }
        // Nothing else tells a Godot that draws on demand that there is something new.
        if Os::singleton().is_in_low_processor_usage_mode() {
            self.base_mut().emit_changed();
        }
    }

    fn is_best(&self) -> bool {
        self.told.path == Some(lucarne::MemoryPath::DmaBuf)
    }

    fn restart(&mut self) {
        self.watch = None;
        self.host_instead = None;
        self.live = false;
        self.told = Told::default();
        self.next_look = Instant::now();
    }

    /// Shows the newest frame, if there is one; says whether.
    fn advance(&mut self) -> Result<bool> {
        if self.watch.is_none() {
            if Instant::now() < self.next_look {
                return Ok(false);
            }
            self.next_look = Instant::now() + LOOK;
            let way = match &self.host_instead {
                Some(reason) => Way::Host(reason.clone()),
                None => gpu::way(),
            };
            let name = self.stream.to_string();
            self.watch = Some(Watch::connect(&way, &name, self.trust_producer)?);
        }
        let shown = match &mut self.watch {
            Some(Watch::Gpu(gpu, end)) => self.screen.show(gpu, end)?,
            Some(Watch::Host(end)) => self.screen.upload(end)?,
            None => false,
        };
        if let Some(watch) = &self.watch {
            self.told = watch.told().clone();
        }
        Ok(shown)
    }

    /// The connection is over, or there is none yet.
    fn lose(&mut self, error: &Error) {
        let on_gpu = matches!(self.watch, Some(Watch::Gpu(..)));
        self.watch = None;
        let reason = error.to_string();
        if on_gpu && watch::nothing_in_common(error) {
            self.host_instead = Some(reason);
            return;
        }
        self.host_instead = None;
        self.told.reason.clone_from(&reason);
        if std::mem::take(&mut self.live) {
            self.signals().lost().emit(&GString::from(&reason));
        }
    }
}

impl Screen {
    fn new() -> Self {
        let extent = Extent::new(4, 4);
        let mut image = Image::create_empty(4, 4, false, ImageFormat::RGBA8);
        if let Some(image) = &mut image {
            image.fill(Color::from_rgb(0.125, 0.125, 0.125));
        }
        let mut server = RenderingServer::singleton();
        Self {
            rid: server.texture_2d_create(image.as_ref()),
            extent,
            picture: None,
            next: None,
        }
    }

    /// Copies the newest frame into the picture, on the GPU; says whether there was one.
    fn show(&mut self, gpu: &Gpu, end: &mut End<lucarne::vulkan::Image>) -> Result<bool> {
        let Some((image, ready)) = end.ready()? else {
            return Ok(false);
        };
        let layout = image.frame().layout();
        let (extent, format) = (layout.extent(), layout.format());
        let fits = |picture: &Picture| picture.fits(extent, format);
        if let Some(picture) = self.picture.as_ref().filter(|picture| fits(picture)) {
            let fence = picture.copy(&gpu.device, image, ready, TIMEOUT)?;
            end.release(fence)?;
            return Ok(true);
        }
        let fitting = self.next.take_if(|next| fits(&next.picture));
        if let Some(other) = self.next.take() {
            other.cancel();
        }
        let Some(next) = fitting else {
            let made = Picture::new(&gpu.godot, extent, format).map_err(refused)?;
            self.next = Some(Prepared::new(made));
            return Ok(false);
        };
        if !next.is_drawn() {
            self.next = Some(next);
            return Ok(false);
        }
        let fence = next.picture.copy(&gpu.device, image, ready, TIMEOUT)?;
        end.release(fence)?;
        RenderingServer::singleton().texture_replace(self.rid, next.view);
        // The one before it goes after Godot's view of it.
        self.picture = Some(next.finish());
        self.extent = extent;
        Ok(true)
    }

    /// Uploads the newest frame from host memory; says whether there was one.
    fn upload(&mut self, end: &mut End<lucarne::cpu::Image>) -> Result<bool> {
        let Some((image, ready)) = end.ready()? else {
            return Ok(false);
        };
        let (pixels, read) = host::read(image, ready, TIMEOUT)?;
        end.release(read)?;
        let extent = host::extent(&pixels);
        let mut server = RenderingServer::singleton();
        if self.extent == extent && self.picture.is_none() {
            server.texture_2d_update(self.rid, &pixels, 0);
            return Ok(true);
        }
        let by = server.texture_2d_create(&pixels);
        server.texture_replace(self.rid, by);
        self.picture = None;
        self.extent = extent;
        Ok(true)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(next) = self.next.take() {
            next.cancel();
        }
        RenderingServer::singleton().free_rid(self.rid);
    }
}

fn refused(problem: String) -> Error {
    Error::Core(lucarne::Error::Unsupported {
        what: "a texture for the stream".to_owned(),
        missing: vec![lucarne::Requirement::other(problem)],
    })
}

/// A length as Godot counts; a frame's is far below the limit.
fn side(length: u32) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
