//! A producer's images, with what draws the demo's scene into them.

use super::{Result, TIMEOUT, say};
use crate::picture::Picture;
use crate::scene::Scene;
use ash::vk::{self, CommandBuffer};
use lucarne::vulkan::{Access, Adapter, Device, Image, Instance, InstanceOptions};
use lucarne::{Agreement, Error, Fence, Frame, Usage};
use std::rc::Rc;

/// What a producer does with its images: draws into them, and looks at a few of them.
pub const PRODUCER_USAGE: Usage = Usage::RENDER.union(Usage::TRANSFER_SOURCE);

/// A Vulkan device, opened here.
#[derive(Debug, Clone)]
pub struct Renderer {
    // Dropped in this order.
    device: Device,
    adapter: Adapter,
    instance: Rc<Instance>,
}

impl Renderer {
    /// Opens the first device whose name contains `wanted`.
    ///
    /// # Errors
    ///
    /// If there is none, or the driver refuses.
    pub fn open(wanted: Option<&str>) -> Result<Self> {
        let validation = std::env::var_os("LUCARNE_VALIDATION").is_some_and(|value| value == "1");
        let options = InstanceOptions {
            application: "lucarne example".into(),
            validation,
        };
        let instance = Rc::new(Instance::new(&options)?);
        let part = wanted.unwrap_or_default().to_lowercase();
        let adapters = instance.adapters()?;
        let fits = |adapter: &&Adapter| adapter.name().to_lowercase().contains(&part);
        let Some(adapter) = adapters.iter().find(fits) else {
            let names: Vec<_> = adapters.iter().map(Adapter::name).collect();
            return Err(
                format!("no Vulkan device is called {part:?}; there are: {names:?}").into(),
            );
        };
        Ok(Self {
            device: adapter.open()?,
            adapter: adapter.clone(),
            instance,
        })
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Makes an image as agreed, and all that draws the scene into it.
    ///
    /// # Errors
    ///
    /// What the driver answered.
    pub fn drawing(&self, agreement: &Agreement) -> lucarne::Result<(Drawing, Frame)> {
        let image = self.device.export(agreement)?;
        let frame = image.frame().clone();
        let extent = vk::Extent2D {
            width: agreement.extent.width,
            height: agreement.extent.height,
        };
        let refused = |call| {
            move |code: vk::Result| Error::Driver {
                call,
                code: format!("{code:?}"),
                help: String::new(),
            }
        };
        let raw = self.instance.raw();
        // SAFETY: vkGetPhysicalDeviceMemoryProperties: a physical device of this instance.
        let memory = unsafe { raw.get_physical_device_memory_properties(self.adapter.raw()) };
        let device = self.device.raw();
        // SAFETY: the device outlives the scene (`Drawing` holds it), and such images can be drawn into: it was agreed.
        let scene = unsafe { Scene::new(device, memory, image.vk_format(), extent) };
        let mut scene = scene.map_err(refused("making pipelines"))?;
        // SAFETY: an image of that device, format and extent, which goes after the scene in `Drawing`.
        let target = unsafe { scene.add_target(&image.view_info(Access::ColorAttachment)) };
        let target = target.map_err(refused("making a framebuffer"))?;
        let drawing = Drawing {
            scene,
            target,
            image,
            renderer: self.clone(),
        };
        Ok((drawing, frame))
    }
}

/// An image, and what draws the scene into it. Each has pipelines of its own, which keeps their lifetimes simple; a renderer
/// would share them.
#[derive(Debug)]
pub struct Drawing {
    // Dropped in this order: what uses comes before what is used.
    scene: Scene,
    target: usize,
    image: Image,
    renderer: Renderer,
}

impl Drawing {
    /// Waits for `gate`, and draws the scene as it is at frame `number`; the fence says when that is done.
    ///
    /// # Errors
    ///
    /// Those of [`Device::write`].
    pub fn draw(&self, gate: &Fence, number: u64) -> lucarne::Result<Fence> {
        // The scene is the same again after as many frames as a u32 counts.
        let number = u32::try_from(number % u64::from(u32::MAX)).unwrap_or_default();
        let record = |commands: CommandBuffer| {
            // SAFETY: `write` records into `commands` outside a render pass, for a graphics queue.
            unsafe { self.scene.record(commands, self.target, number) }
        };
        let access = Access::ColorAttachment;
        let device = self.renderer.device();
        device.write(&self.image, gate, TIMEOUT, access, record)
    }

    /// How often each frame is copied here.
    #[must_use]
    pub fn copies_per_frame(&self) -> u32 {
        self.image.copies_per_frame()
    }

    /// What the frame's memory holds once `done` has signalled: imported as by a consumer, on the same device.
    ///
    /// # Errors
    ///
    /// Those of importing and reading it.
    pub fn picture(&self, done: &Fence) -> Result<Picture> {
        let frame = self.image.frame();
        let device = self.renderer.device();
        let image = device.import(frame, Usage::TRANSFER_SOURCE)?;
        let bytes = device.download(&image, done, TIMEOUT)?;
        let layout = frame.layout();
        Ok(Picture::from_frame(
            layout.extent(),
            layout.format(),
            bytes,
        )?)
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        for message in self.instance.validation_messages() {
            say(&format!("validation: {message}"));
        }
    }
}
