//! `LucarneOutput`.

use std::time::{Duration, Instant};

use godot::builtin::{Callable, GString, NodePath, PackedStringArray, Vector2i};
use godot::classes::{Engine, INode, Node, RenderingServer, Viewport};
use godot::obj::{Base, Gd, Singleton, WithBaseField, WithUserSignals};
use godot::register::{GodotClass, godot_api};
use lucarne::{Extent, MemoryPath};
use lucarne_stream::{Error, ProducerEvent, check_name};

use crate::gpu::{self, Way};
use crate::publish::Publish;
use crate::watch::Told;
use crate::{convert, say};

/// How long after a failure the name is taken again.
const PAUSE: Duration = Duration::from_millis(500);

/// Publishes what a viewport draws as a stream.
///
/// Add it to a scene and set [member stream]: others see the stream under that name, by `lucarne view NAME` for instance. It sends
/// the viewport that it is in, or that of [member viewport].
///
/// On the Vulkan renderers Godot copies a frame once, on the GPU, and others see it one frame later. Elsewhere it is read back
/// by the CPU; [method get_reason] and the node's warning say why. While nobody watches nothing is copied.
#[derive(GodotClass)]
#[class(tool, init, base = Node)]
pub(crate) struct LucarneOutput {
    /// The stream's name: letters, digits, `-`, `_` and `.`.
    #[export]
    #[var(set = set_stream)]
    stream: GString,
    /// The viewport to publish: a [SubViewport], most often. Empty is the one that this node is in.
    #[export]
    viewport: NodePath,
    /// Whether frames are sent. Off ends the stream.
    #[export]
    #[init(val = true)]
    enabled: bool,
    publish: Option<Publish>,
    told: Told,
    problem: String,
    /// Not before then.
    again: Option<Instant>,
    frames: i64,
    base: Base<Node>,
}

#[godot_api]
impl INode for LucarneOutput {
    fn enter_tree(&mut self) {
        if Engine::singleton().is_editor_hint() {
            return;
        }
        let tick = Callable::from_object_method(&self.to_gd(), "_tick");
        let mut server = RenderingServer::singleton();
        if !server.is_connected("frame_post_draw", &tick) {
            server.connect("frame_post_draw", &tick);
        }
    }

    fn exit_tree(&mut self) {
        let tick = Callable::from_object_method(&self.to_gd(), "_tick");
        let mut server = RenderingServer::singleton();
        if server.is_connected("frame_post_draw", &tick) {
            server.disconnect("frame_post_draw", &tick);
        }
        self.stop();
    }

    fn get_configuration_warnings(&self) -> PackedStringArray {
        let mut warnings = PackedStringArray::new();
        if let Err(error) = check_name(&self.stream.to_string()) {
            warnings.push(&GString::from(&format!("`stream`: {error}")));
        }
        if let Way::Host(reason) = gpu::way() {
            let text = format!("Frames are read back by the CPU here: {reason}.");
            warnings.push(&GString::from(&text));
        }
        warnings
    }
}

#[godot_api]
impl LucarneOutput {
    /// Somebody watches the stream from now on; `name` is that side's device.
    #[signal]
    fn joined(name: GString);

    /// Somebody watches the stream no more, or was refused.
    #[signal]
    fn left(reason: GString);

    /// Frames are of this size from now on.
    #[signal]
    fn resized(size: Vector2i);

    #[func]
    fn set_stream(&mut self, name: GString) {
        if name != self.stream {
            self.stream = name;
            self.stop();
            self.again = None;
            self.base_mut().update_configuration_warnings();
        }
    }

    /// How many watch.
    #[func]
    fn get_consumer_count(&self) -> i64 {
        let count = self.publish.as_ref().map_or(0, Publish::consumers);
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// How frames go: "dma-buf", "opaque-fd" or "host memory"; empty before the first one.
    #[func]
    fn get_memory_path(&self) -> GString {
        convert::path_name(self.told.path).into()
    }

    /// How often a frame is copied here: 1 on the GPU; 2 through host memory, once by Godot's reading back and once by the CPU. 0
    /// before the first one.
    #[func]
    fn get_copies_per_frame(&self) -> i64 {
        self.told.copies
    }

    /// What tells readers that a frame is ready: "sync_file", or that the CPU waits for it.
    #[func]
    fn get_fences(&self) -> GString {
        self.told.fences.as_str().into()
    }

    /// Why nothing is published, or not on a better path; empty when all is well.
    #[func]
    fn get_reason(&self) -> GString {
        if !self.problem.is_empty() {
            return self.problem.as_str().into();
        }
        let way = match gpu::way() {
            Way::Host(reason) => reason,
            Way::Gpu(gpu) if !gpu.has_layer => say::LAYER.to_owned(),
            Way::Gpu(_) => String::new(),
        };
        if self.told.reason.is_empty() && self.told.path == Some(MemoryPath::DmaBuf) {
            return GString::new();
        }
        say::join(&way, &self.told.reason).as_str().into()
    }

    /// How many frames were sent.
    #[func]
    fn get_frame_count(&self) -> i64 {
        self.frames
    }

    #[func]
    fn _tick(&mut self) {
        if !self.enabled || self.stream.is_empty() {
            self.stop();
            return;
        }
        if self.again.is_some_and(|again| Instant::now() < again) {
            return;
        }
        if let Err(error) = self.advance() {
            self.fail(error.to_string());
        }
        for event in self.publish.as_mut().map_or(Vec::new(), Publish::events) {
            self.tell(event);
        }
        if let Some(publish) = &self.publish {
            self.told = publish.told.clone();
        }
    }

    fn advance(&mut self) -> Result<(), Error> {
        let Some(viewport) = self.source() else {
            self.fail(format!("{} is no viewport", self.viewport));
            return Ok(());
        };
        let name = self.stream.to_string();
        if self.publish.is_none() {
            self.publish = Publish::bind(&gpu::way(), &name, &viewport)?;
        }
        if let Some(publish) = &mut self.publish {
            self.frames += i64::from(publish.step(&viewport)?);
            self.problem.clear();
        }
        Ok(())
    }

    fn source(&self) -> Option<Gd<Viewport>> {
        if self.viewport.is_empty() {
            return self.base().get_viewport();
        }
        self.base().try_get_node_as::<Viewport>(&self.viewport)
    }

    fn tell(&mut self, event: ProducerEvent) {
        match event {
            ProducerEvent::Joined { name, .. } => {
                self.signals().joined().emit(&GString::from(&name));
            }
            ProducerEvent::Left { reason, .. } => {
                self.signals().left().emit(&GString::from(&reason));
            }
            ProducerEvent::Generation { extent, .. } => {
                let Extent { width, height } = extent;
                let side = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
                let size = Vector2i::new(side(width), side(height));
                self.signals().resized().emit(size);
            }
            _ => {}
        }
    }

    fn fail(&mut self, problem: String) {
        self.publish = None;
        self.problem = problem;
        self.again = Some(Instant::now() + PAUSE);
    }

    fn stop(&mut self) {
        if let Some(publish) = self.publish.take() {
            publish.end();
        }
        self.told = Told::default();
    }
}
