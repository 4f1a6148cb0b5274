//! A pool whose buffers are a stream's slots: what is written there need not be copied.

use std::sync::{Arc, Mutex, OnceLock};

use gst::glib;
use gst::subclass::prelude::*;
use gst_video::VideoInfo;

use crate::lock;
use crate::publisher::Publisher;

/// What a configured pool gives.
#[derive(Clone, Debug)]
struct Configured {
    info: VideoInfo,
    takes_strides: bool,
}

/// The pool's inside.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    publisher: OnceLock<Arc<Publisher>>,
    configured: Mutex<Option<Configured>>,
}

glib::wrapper! {
    /// The pool.
    pub(crate) struct SlotPool(ObjectSubclass<Inner>)
        @extends gst::BufferPool, gst::Object;
}

impl SlotPool {
    pub(crate) fn new(publisher: &Arc<Publisher>) -> Self {
        let pool: Self = glib::Object::new();
        // The only place that sets it.
        let _ = pool.imp().publisher.set(Arc::clone(publisher));
        pool
    }
}

#[glib::object_subclass]
impl ObjectSubclass for Inner {
    const NAME: &'static str = "GstLucarneSlotPool";
    type Type = SlotPool;
    type ParentType = gst::BufferPool;
}

impl ObjectImpl for Inner {}

impl GstObjectImpl for Inner {}

impl BufferPoolImpl for Inner {
    fn options() -> &'static [&'static str] {
        &["GstBufferPoolOptionVideoMeta"]
    }

    fn set_config(&self, config: &mut gst::BufferPoolConfigRef) -> bool {
        let Some((Some(caps), ..)) = config.params() else {
            return false;
        };
        let Ok(info) = VideoInfo::from_caps(&caps) else {
            return false;
        };
        let takes_strides = config.has_option("GstBufferPoolOptionVideoMeta");
        let configured = Configured {
            info,
            takes_strides,
        };
        *lock(&self.configured) = Some(configured);
        self.parent_set_config(config)
    }

    /// Nothing is made ahead: slots are there once somebody watches.
    fn start(&self) -> bool {
        true
    }

    /// A slot; where there is none within `max-wait`, ordinary memory, which the sink copies out of.
    fn acquire_buffer(
        &self,
        _params: Option<&gst::BufferPoolAcquireParams>,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let configured = lock(&self.configured);
        let Configured {
            info,
            takes_strides,
        } = configured.clone().ok_or(gst::FlowError::NotNegotiated)?;
        drop(configured);
        let publisher = self.publisher.get().ok_or(gst::FlowError::Error)?;
        if let Some(buffer) = publisher.lend(&info, takes_strides) {
            return Ok(buffer);
        }
        gst::Buffer::with_size(info.size()).map_err(|_| gst::FlowError::Error)
    }

    /// What comes back is not kept: a slot goes back to the stream.
    fn release_buffer(&self, buffer: gst::Buffer) {
        drop(buffer);
    }
}
