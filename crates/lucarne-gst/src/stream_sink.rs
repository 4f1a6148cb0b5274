//! A pipeline's buffers as a stream's frames.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use gst::glib;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoInfo, VideoMeta};
use lucarne_stream::ProducerEvent;

use crate::accepted;
use crate::convert;
use crate::lock;
use crate::pool::SlotPool;
use crate::property::{self, Place};
use crate::publisher::{Manner, Publisher};

/// How soon a change of state is noticed.
const SLICE: Duration = Duration::from_millis(5);

static LOG: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "lucarnesink",
        gst::DebugColorFlags::empty(),
        Some("Frames into a Lucarne stream"),
    )
});

#[derive(Clone, Debug)]
struct Settings {
    manner: Manner,
    waits: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            manner: Manner {
                place: Place::default(),
                slots: 4,
                max_wait: Duration::from_millis(20),
            },
            waits: false,
        }
    }
}

/// A stream that was begun.
#[derive(Debug)]
struct Running {
    publisher: Arc<Publisher>,
    service: JoinHandle<()>,
    info: Option<VideoInfo>,
}

/// The element's inside.
#[derive(Debug, Default)]
pub(crate) struct LucarneSink {
    settings: Mutex<Settings>,
    running: Mutex<Option<Running>>,
    is_flushing: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for LucarneSink {
    const NAME: &'static str = "GstLucarneSink";
    type Type = crate::sink::LucarneSink;
    type ParentType = gst_base::BaseSink;
}

impl ObjectImpl for LucarneSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let default = Settings::default();
            let mut all = Place::properties();
            all.extend([
                glib::ParamSpecUInt::builder("slots")
                    .nick("Slots")
                    .blurb("How many images the stream has; elements upstream may hold some of them")
                    .minimum(2)
                    .maximum(16)
                    .default_value(default.manner.slots)
                    .mutable_ready()
                    .build(),
                property::milliseconds(
                    "max-wait",
                    "Longest wait",
                    "How many milliseconds a buffer waits for a free slot; after that it is dropped",
                    default.manner.max_wait,
                ),
                glib::ParamSpecBoolean::builder("wait-for-consumer")
                    .nick("Wait for a consumer")
                    .blurb("Whether the first buffer waits until somebody watches")
                    .mutable_ready()
                    .build(),
                property::stats(
                    "frames: sent; copies: of those, copied into a slot; unseen: not sent, as nobody watched; dropped: as no slot was free; consumers: now",
                ),
            ]);
            all
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        if settings.manner.place.set(spec.name(), value) {
            return;
        }
        match spec.name() {
            "slots" => settings.manner.slots = value.get().unwrap_or_default(),
            "max-wait" => settings.manner.max_wait = property::duration(value),
            "wait-for-consumer" => settings.waits = value.get().unwrap_or_default(),
            other => gst::error!(LOG, imp = self, "no property {other}"),
        }
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        if let Some(value) = settings.manner.place.value(spec.name()) {
            return value;
        }
        match spec.name() {
            "slots" => settings.manner.slots.to_value(),
            "max-wait" => property::in_milliseconds(settings.manner.max_wait).to_value(),
            "wait-for-consumer" => settings.waits.to_value(),
            _ => self.stats().to_value(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        // A buffer that is kept is a slot that is not free.
        self.obj().set_property("enable-last-sample", false);
    }
}

impl GstObjectImpl for LucarneSink {}

impl ElementImpl for LucarneSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Lucarne sink",
                "Sink/Video",
                "A Lucarne stream's producer: elements upstream may write into its frames",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let template = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &accepted::template(),
            );
            template.into_iter().collect()
        });
        &TEMPLATES
    }
}

impl BaseSinkImpl for LucarneSink {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let manner = lock(&self.settings).manner.clone();
        lucarne_stream::check_name(&manner.place.stream).map_err(|error| {
            gst::error_msg!(gst::ResourceError::Settings, ("property stream: {error}"))
        })?;
        let publisher = Publisher::new(manner);
        let served = Arc::clone(&publisher);
        let element = self.obj().downgrade();
        let service = std::thread::Builder::new()
            .name("lucarnesink".to_owned())
            .spawn(move || served.serve(|event| tell(&element, event)))
            .map_err(|error| gst::error_msg!(gst::ResourceError::Failed, ("a thread: {error}")))?;
        *lock(&self.running) = Some(Running {
            publisher,
            service,
            info: None,
        });
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let running = lock(&self.running).take();
        if let Some(running) = running {
            running.publisher.end();
            // It sleeps for a moment at most.
            let _ = running.service.join();
        }
        Ok(())
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.is_flushing.store(true, Relaxed);
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.is_flushing.store(false, Relaxed);
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = VideoInfo::from_caps(caps)
            .map_err(|error| gst::loggable_error!(LOG, "{caps}: {error}"))?;
        let described = convert::described(&info)
            .ok_or_else(|| gst::loggable_error!(LOG, "no stream has frames of {caps}"))?;
        let mut running = lock(&self.running);
        let Some(running) = &mut *running else {
            return Err(gst::loggable_error!(LOG, "not started"));
        };
        running.publisher.describe(described).map_err(|error| {
            gst::element_imp_error!(self, gst::ResourceError::OpenWrite, ("{error}"));
            gst::loggable_error!(LOG, "{error}")
        })?;
        running.info = Some(info);
        Ok(())
    }

    fn propose_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        query.add_allocation_meta::<VideoMeta>(None);
        let (caps, wants_pool) = query.get();
        let caps = caps.map(|caps| caps.to_owned());
        let Some((caps, publisher)) = caps.zip(self.publisher()) else {
            return Ok(());
        };
        let info = VideoInfo::from_caps(&caps)
            .map_err(|error| gst::loggable_error!(LOG, "{caps}: {error}"))?;
        // A dma-buf is asked for by its feature, and slots are not shown as one.
        let is_mapped = caps
            .features(0)
            .is_none_or(|features| !features.contains(gst_allocators::CAPS_FEATURE_MEMORY_DMABUF));
        let size = u32::try_from(info.size()).unwrap_or(u32::MAX);
        if wants_pool && is_mapped {
            let pool = SlotPool::new(&publisher);
            query.add_allocation_pool(Some(&pool), size, 0, 0);
        }
        Ok(())
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let running = lock(&self.running);
        let (publisher, info) = running
            .as_ref()
            .and_then(|running| Some((Arc::clone(&running.publisher), running.info.clone()?)))
            .ok_or(gst::FlowError::NotNegotiated)?;
        drop(running);
        let is_flushing = || self.is_flushing.load(Relaxed);
        while lock(&self.settings).waits && publisher.consumers() == 0 {
            if is_flushing() {
                return Err(gst::FlowError::Flushing);
            }
            std::thread::sleep(SLICE);
        }
        let sent = publisher.send(buffer, &info, is_flushing);
        let sent = sent.map_err(|error| {
            gst::element_imp_error!(self, gst::ResourceError::Write, ("{error}"));
            gst::FlowError::Error
        })?;
        gst::log!(LOG, imp = self, "sent to {sent}");
        Ok(gst::FlowSuccess::Ok)
    }
}

impl LucarneSink {
    fn publisher(&self) -> Option<Arc<Publisher>> {
        let running = lock(&self.running);
        running
            .as_ref()
            .map(|running| Arc::clone(&running.publisher))
    }

    fn stats(&self) -> gst::Structure {
        let publisher = self.publisher();
        let count = |which: fn(&crate::publisher::Counts) -> &std::sync::atomic::AtomicU64| {
            publisher
                .as_ref()
                .map_or(0, |publisher| which(&publisher.counts).load(Relaxed))
        };
        let consumers = publisher.as_ref().map_or(0, |one| one.consumers() as u64);
        gst::Structure::builder("lucarnesink-stats")
            .field("frames", count(|counts| &counts.frames))
            .field("copies", count(|counts| &counts.copies))
            .field("unseen", count(|counts| &counts.unseen))
            .field("dropped", count(|counts| &counts.dropped))
            .field("consumers", consumers)
            .build()
    }
}

/// Says on the pipeline's bus that a consumer has come or gone, and why.
fn tell(element: &glib::WeakRef<crate::sink::LucarneSink>, event: &ProducerEvent) {
    let Some(element) = element.upgrade() else {
        return;
    };
    gst::info!(LOG, obj = element, "{event:?}");
    let structure = match event {
        ProducerEvent::Joined { consumer, name, .. } => {
            gst::Structure::builder("lucarnesink-consumer-joined")
                .field("consumer", consumer)
                .field("name", name)
                .build()
        }
        ProducerEvent::Left { consumer, reason } => {
            gst::Structure::builder("lucarnesink-consumer-left")
                .field("consumer", consumer)
                .field("reason", reason)
                .build()
        }
        _ => return,
    };
    let message = gst::message::Element::builder(structure)
        .src(&element)
        .build();
    // A bus that is flushed hears nothing.
    let _ = element.post_message(message);
}
