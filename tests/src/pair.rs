//! A Vulkan device and a GL context on one machine, watched by the validation layer.

use lucarne::negotiate::Agreement;
use lucarne::{Extent, Format, MemoryPath, Offer, Refusal, Request, Usage, egl, negotiate, vulkan};
use lucarne_conformance::validation;

use crate::skip::skip;

/// Both ends of one sharing.
#[expect(
    missing_debug_implementations,
    reason = "a test fixture; nothing prints it"
)]
pub struct Pair {
    // Dropped in this order.
    /// The reader.
    pub gl: egl::Device,
    /// The writer.
    pub vk: vulkan::Device,
    validated: bool,
    instance: vulkan::Instance,
}

/// What the writer does with images in these tests: it copies a pattern in.
pub const PRODUCER: Usage = Usage::TRANSFER_DESTINATION;

impl Pair {
    /// Opens the first Vulkan device, and the EGL device that is the same, or else software, or else the first.
    ///
    /// # Panics
    ///
    /// When either API is missing: every machine that runs this tier has both.
    pub fn open() -> Self {
        Self::with(|vk| vk)
    }

    /// As [`Pair::open`], and fences pass through the Vulkan driver as they do on a GPU.
    ///
    /// # Panics
    ///
    /// As [`Pair::open`].
    pub fn with_driver_fences() -> Self {
        Self::with(|vk| vk.with_driver_fences().expect("a new device"))
    }

    fn with(options: impl FnOnce(vulkan::Device) -> vulkan::Device) -> Self {
        let (instance, validated) = instance();
        let adapters = instance.adapters().expect("a Vulkan driver");
        let adapter = adapters.first().expect("never empty");
        let vk = options(adapter.open().expect("a Vulkan device"));
        Self {
            gl: open_gl(adapter),
            vk,
            validated,
            instance,
        }
    }

    /// The Vulkan instance.
    pub fn instance(&self) -> &ash::Instance {
        self.instance.raw()
    }

    /// What Vulkan offers.
    ///
    /// # Panics
    ///
    /// When the driver does not answer.
    pub fn producer(&self) -> Offer {
        self.vk.offer(PRODUCER).expect("an offer")
    }

    /// What GL offers.
    ///
    /// # Panics
    ///
    /// When the driver does not answer.
    pub fn consumer(&self) -> Offer {
        self.gl.offer(Usage::SAMPLE).expect("an offer")
    }

    /// Agrees on one format and one path.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn agree(
        &self,
        path: MemoryPath,
        format: Format,
        extent: Extent,
    ) -> Result<Agreement, Box<Refusal>> {
        let request = Request::new(extent)
            .formats(&[format])
            .paths(&[path])
            .usage(PRODUCER, Usage::SAMPLE);
        negotiate(&self.producer(), &self.consumer(), &request)
    }

    /// Fails the test on anything the validation layer has reported.
    ///
    /// # Panics
    ///
    /// When it has reported something.
    pub fn assert_valid(&self) {
        let messages = self.messages();
        assert!(messages.is_empty(), "validation: {messages:#?}");
    }

    /// What the validation layer has reported so far.
    pub fn messages(&self) -> Vec<String> {
        let mut messages = validation::messages(&self.instance, self.vk.adapter());
        messages.dedup();
        messages
    }

    /// Whether the validation layer watches.
    pub fn is_validated(&self) -> bool {
        self.validated
    }
}

fn instance() -> (vulkan::Instance, bool) {
    let mut options = vulkan::InstanceOptions {
        application: "lucarne-tests".to_owned(),
        validation: true,
    };
    match vulkan::Instance::new(&options) {
        Ok(instance) => (instance, true),
        Err(error) => {
            skip("validation", &error.to_string());
            options.validation = false;
            let instance = vulkan::Instance::new(&options).expect("a Vulkan loader");
            (instance, false)
        }
    }
}

fn open_gl(same_as: &vulkan::Adapter) -> egl::Device {
    let adapters = egl::Adapter::enumerate().expect("EGL devices");
    let node = same_as.id().render_node;
    let same = |adapter: &&egl::Adapter| {
        if same_as.id().software {
            adapter.is_software()
        } else {
            node.is_some() && adapter.render_node() == node
        }
    };
    adapters
        .iter()
        .find(same)
        .or(adapters.first())
        .expect("at least one EGL device")
        .open()
        .expect("a GL context")
}
