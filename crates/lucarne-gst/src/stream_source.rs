//! Frames of a stream as a live source's buffers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;
use gst_video::{VideoInfo, VideoMeta};
use lucarne::{Fence, Frame, FrameLayout};
use lucarne_stream::{Consumer, ConsumerOptions, Error, Received};

use crate::accepted::{self, Accepted, Feature};
use crate::convert;
use crate::ffi;
use crate::import::{self, Imported, Importer};
use crate::lock;
use crate::pixels;
use crate::property::{self, Place};
use crate::source::{Delivery, OnEnd};
use crate::turn::Turn;

/// How soon a change of state is noticed.
const SLICE: Duration = Duration::from_millis(20);

static LOG: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "lucarnesrc",
        gst::DebugColorFlags::empty(),
        Some("Frames out of a Lucarne stream"),
    )
});

#[derive(Clone, Debug)]
struct Settings {
    place: Place,
    delivery: Delivery,
    on_end: OnEnd,
    timeout: Duration,
    fence_timeout: Duration,
    latency: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            place: Place::default(),
            delivery: Delivery::default(),
            on_end: OnEnd::default(),
            timeout: Duration::ZERO,
            fence_timeout: Duration::from_secs(1),
            latency: Duration::from_millis(40),
        }
    }
}

/// What the buffers have been announced as.
#[derive(Debug)]
struct Announced {
    layout: FrameLayout,
    feature: Feature,
    info: VideoInfo,
    /// Whether elements downstream look at strides and offsets.
    takes_strides: bool,
}

#[derive(Debug, Default)]
struct State {
    accepted: Option<Accepted>,
    consumer: Option<Consumer<Importer>>,
    is_lost: bool,
    announced: Option<Announced>,
    /// Since when no frame has come.
    waiting: Option<Instant>,
    last: gst::ClockTime,
}

#[derive(Debug, Default)]
struct Counts {
    frames: AtomicU64,
    copies: AtomicU64,
    missed: AtomicU64,
    late: AtomicU64,
    connections: AtomicU64,
}

/// The element's inside.
#[derive(Debug, Default)]
pub(crate) struct LucarneSrc {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    counts: Counts,
    is_flushing: AtomicBool,
    /// The elements downstream have changed their mind.
    asks_again: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for LucarneSrc {
    const NAME: &'static str = "GstLucarneSrc";
    type Type = crate::source::LucarneSrc;
    type ParentType = gst_base::PushSrc;
}

impl ObjectImpl for LucarneSrc {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let default = Settings::default();
            let mut all = Place::properties();
            all.extend([
                glib::ParamSpecEnum::builder_with_default("delivery", default.delivery)
                    .nick("Delivery")
                    .blurb("Which of the stream's frames come")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("on-end", default.on_end)
                    .nick("On end")
                    .blurb("What happens when the producer ends the stream or is gone")
                    .mutable_ready()
                    .build(),
                property::milliseconds(
                    "timeout",
                    "Timeout",
                    "After how many milliseconds without a frame the element fails; 0: never",
                    default.timeout,
                ),
                property::milliseconds(
                    "fence-timeout",
                    "Fence timeout",
                    "How many milliseconds a frame's fence may take where the CPU waits for it; later frames are passed over",
                    default.fence_timeout,
                ),
                property::milliseconds(
                    "latency",
                    "Latency",
                    "How many milliseconds old a frame may be when it comes: what the pipeline is told",
                    default.latency,
                ),
                property::stats(
                    "frames: passed on; copies: of those, copied, as an element downstream knows no strides; missed: never seen; late: their fence was; connections: to producers",
                ),
            ]);
            all
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        if settings.place.set(spec.name(), value) {
            return;
        }
        match spec.name() {
            "delivery" => settings.delivery = value.get().unwrap_or_default(),
            "on-end" => settings.on_end = value.get().unwrap_or_default(),
            "timeout" => settings.timeout = property::duration(value),
            "fence-timeout" => settings.fence_timeout = property::duration(value),
            "latency" => settings.latency = property::duration(value),
            other => gst::error!(LOG, imp = self, "no property {other}"),
        }
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        if let Some(value) = settings.place.value(spec.name()) {
            return value;
        }
        let time = |time| property::in_milliseconds(time).to_value();
        match spec.name() {
            "delivery" => settings.delivery.to_value(),
            "on-end" => settings.on_end.to_value(),
            "timeout" => time(settings.timeout),
            "fence-timeout" => time(settings.fence_timeout),
            "latency" => time(settings.latency),
            _ => self.stats().to_value(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        let element = self.obj();
        element.set_live(true);
        element.set_format(gst::Format::Time);
    }
}

impl GstObjectImpl for LucarneSrc {}

impl ElementImpl for LucarneSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Lucarne source",
                "Source/Video",
                "Frames of a Lucarne stream, in the memory that they were drawn in",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let template = gst::PadTemplate::new(
                "src",
                gst::PadDirection::Src,
                gst::PadPresence::Always,
                &accepted::template(),
            );
            template.into_iter().collect()
        });
        &TEMPLATES
    }
}

impl BaseSrcImpl for LucarneSrc {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let name = lock(&self.settings).place.stream.clone();
        lucarne_stream::check_name(&name).map_err(|error| {
            gst::error_msg!(gst::ResourceError::Settings, ("property stream: {error}"))
        })?;
        *lock(&self.state) = State::default();
        self.asks_again.store(true, Relaxed);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = State::default();
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        false
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.is_flushing.store(true, Relaxed);
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.is_flushing.store(false, Relaxed);
        Ok(())
    }

    /// Caps are those of a frame, so that they are known when there is one.
    fn negotiate(&self) -> Result<(), gst::LoggableError> {
        self.asks_again.store(true, Relaxed);
        Ok(())
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Latency(latency) = query.view_mut() {
            let age = gst::ClockTime::try_from(lock(&self.settings).latency);
            latency.set(
                true,
                age.unwrap_or(gst::ClockTime::ZERO),
                gst::ClockTime::NONE,
            );
            return true;
        }
        BaseSrcImplExt::parent_query(self, query)
    }
}

impl PushSrcImpl for LucarneSrc {
    fn create(
        &self,
        _buffer: Option<&mut gst::BufferRef>,
    ) -> Result<CreateSuccess, gst::FlowError> {
        let settings = lock(&self.settings).clone();
        let mut state = lock(&self.state);
        loop {
            if self.is_flushing.load(Relaxed) {
                return Err(gst::FlowError::Flushing);
            }
            if self.asks_again.swap(false, Relaxed) {
                self.ask(&mut state)?;
            }
            let Some(received) = self.receive(&mut state, &settings)? else {
                self.check_patience(&mut state, &settings)?;
                continue;
            };
            state.waiting = None;
            if let Some(buffer) = self.buffer(&mut state, &settings, received)? {
                return Ok(CreateSuccess::NewBuffer(buffer));
            }
        }
    }
}

impl LucarneSrc {
    fn stats(&self) -> gst::Structure {
        let counts = &self.counts;
        gst::Structure::builder("lucarnesrc-stats")
            .field("frames", counts.frames.load(Relaxed))
            .field("copies", counts.copies.load(Relaxed))
            .field("missed", counts.missed.load(Relaxed))
            .field("late", counts.late.load(Relaxed))
            .field("connections", counts.connections.load(Relaxed))
            .build()
    }

    /// Asks the elements downstream what they take. Another answer than before needs another connection.
    fn ask(&self, state: &mut State) -> Result<(), gst::FlowError> {
        let template = accepted::template();
        let pad = self.obj().src_pad().clone();
        let accepted = Accepted::new(pad.peer_query_caps(Some(&template)));
        if accepted.is_empty() {
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                (
                    "the elements downstream take {}; a stream's frames are one of {template}",
                    pad.peer_query_caps(None)
                )
            );
            return Err(gst::FlowError::NotNegotiated);
        }
        state.announced = None;
        if state.accepted.as_ref() != Some(&accepted) {
            state.consumer = None;
            state.accepted = Some(accepted);
        }
        Ok(())
    }

    fn fail(&self, error: &Error) -> gst::FlowError {
        gst::element_imp_error!(self, gst::ResourceError::OpenRead, ("{error}"));
        gst::FlowError::Error
    }

    fn check_patience(&self, state: &mut State, settings: &Settings) -> Result<(), gst::FlowError> {
        let since = *state.waiting.get_or_insert_with(Instant::now);
        if settings.timeout.is_zero() || since.elapsed() < settings.timeout {
            return Ok(());
        }
        let (name, limit) = (&settings.place.stream, settings.timeout.as_millis());
        gst::element_imp_error!(
            self,
            gst::ResourceError::NotFound,
            ("no frame of stream {name:?} within {limit} ms (property timeout)")
        );
        Err(gst::FlowError::Error)
    }

    /// The next frame, if there is one within a short time.
    fn receive(
        &self,
        state: &mut State,
        settings: &Settings,
    ) -> Result<Option<Received<Imported>>, gst::FlowError> {
        let connected = match &mut state.consumer {
            Some(consumer) if state.is_lost => consumer.reconnect().map(|()| true),
            Some(_) => Ok(false),
            None => self.connect(state, settings).map(|()| true),
        };
        match connected {
            Ok(is_new) => {
                state.is_lost = false;
                self.counts
                    .connections
                    .fetch_add(u64::from(is_new), Relaxed);
            }
            Err(Error::NotFound { .. } | Error::PeerGone) => {
                std::thread::sleep(SLICE);
                return Ok(None);
            }
            Err(error) => return Err(self.fail(&error)),
        }
        let Some(consumer) = &mut state.consumer else {
            return Ok(None);
        };
        let received = consumer.receive(SLICE);
        while let Some(event) = consumer.event() {
            gst::info!(LOG, imp = self, "{event:?}");
        }
        match received {
            Ok(received) => Ok(Some(received)),
            Err(Error::Timeout { .. }) => Ok(None),
            Err(error @ (Error::Ended | Error::PeerGone)) => {
                gst::info!(LOG, imp = self, "{error}");
                state.is_lost = true;
                match settings.on_end {
                    OnEnd::Wait => Ok(None),
                    OnEnd::Eos => Err(gst::FlowError::Eos),
                }
            }
            Err(error @ Error::Refused(_)) => Err(self.refused(state, &error)),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// The producer's list is in its own words.
    fn refused(&self, state: &State, error: &Error) -> gst::FlowError {
        let caps = state
            .accepted
            .as_ref()
            .map(|accepted| accepted.caps().clone());
        let taken = caps.unwrap_or_else(gst::Caps::new_empty);
        gst::element_imp_error!(
            self,
            gst::StreamError::Format,
            ("{error}; the elements downstream take {taken}")
        );
        gst::FlowError::NotNegotiated
    }

    fn connect(&self, state: &mut State, settings: &Settings) -> Result<(), Error> {
        let Some(accepted) = state.accepted.clone() else {
            return Ok(());
        };
        let mut options = ConsumerOptions::new(settings.delivery.into());
        if let Some(directory) = &settings.place.directory {
            options = options.directory(directory);
        }
        if settings.place.other_users {
            options = options.allow_other_users();
        }
        let (offer, importer) = (accepted.offer(), Importer::new(accepted));
        let consumer = Consumer::connect(&settings.place.stream, &offer, options, importer)?;
        state.consumer = Some(consumer);
        Ok(())
    }

    /// A frame as a buffer; `None` for one that was not written in time.
    fn buffer(
        &self,
        state: &mut State,
        settings: &Settings,
        received: Received<Imported>,
    ) -> Result<Option<gst::Buffer>, gst::FlowError> {
        let frame = received.frame().clone();
        self.announce(state, &frame, received.image())?;
        let Some(announced) = &state.announced else {
            return Ok(None);
        };
        let (sequence, dropped) = (received.sequence(), received.dropped());
        let age = lucarne_stream::now().saturating_sub(received.timestamp());
        let (reading, acquire) = ffi::carry(received);
        if let Err(error) = pass(&frame, &acquire, settings.fence_timeout) {
            gst::warning!(LOG, imp = self, "frame {sequence}: {error}");
            self.counts.late.fetch_add(1, Relaxed);
            return Ok(None);
        }
        // The turn keeps the import alive for as long as the memory is lent.
        let turn = Turn::new(reading);
        let word = announced.info.format();
        let lent = turn.with_image(|image| image.lend(frame.layout(), word, &turn));
        let lent = lent.ok_or(gst::FlowError::Error)?;
        let mut buffer = lent.map_err(|error| self.unusable(&error))?;
        if !announced.takes_strides && !import::is_as_usual(frame.layout(), &announced.info) {
            buffer = copied(&buffer, &announced.info).map_err(|error| self.unusable(&error))?;
            self.counts.copies.fetch_add(1, Relaxed);
        }
        let pts = self.running_time(state, age);
        let whole = buffer.make_mut();
        whole.set_pts(pts);
        whole.set_offset(sequence);
        if dropped > 0 {
            whole.set_flags(gst::BufferFlags::DISCONT);
        }
        self.counts.missed.fetch_add(dropped, Relaxed);
        self.counts.frames.fetch_add(1, Relaxed);
        Ok(Some(buffer))
    }

    fn unusable(&self, error: &glib::BoolError) -> gst::FlowError {
        gst::element_imp_error!(self, gst::ResourceError::Read, ("{error}"));
        gst::FlowError::Error
    }

    /// When the frame was made, on the pipeline's clock; never before the one that came before it.
    fn running_time(&self, state: &mut State, age: Duration) -> Option<gst::ClockTime> {
        let element = self.obj();
        let now = element.clock()?.time().checked_sub(element.base_time()?)?;
        let age = gst::ClockTime::try_from(age).unwrap_or(gst::ClockTime::ZERO);
        state.last = now.saturating_sub(age).max(state.last);
        Some(state.last)
    }

    /// Tells the elements downstream what the frames are, where that has changed.
    fn announce(
        &self,
        state: &mut State,
        frame: &Frame,
        image: &Imported,
    ) -> Result<(), gst::FlowError> {
        let layout = frame.layout();
        let accepted = state
            .accepted
            .as_ref()
            .ok_or(gst::FlowError::NotNegotiated)?;
        let mut features = accepted.features(layout.format());
        let feature = features
            .find(|feature| image.can_be(*feature, frame))
            .ok_or(gst::FlowError::NotNegotiated)?;
        let is_known = |one: &Announced| one.layout == *layout && one.feature == feature;
        if state.announced.as_ref().is_some_and(is_known) {
            return Ok(());
        }
        let info = convert::video_info(layout).ok_or(gst::FlowError::NotNegotiated)?;
        let caps = info.to_caps().map_err(|error| self.unusable(&error))?;
        let caps = self.fixed(feature.mark(caps), accepted.caps())?;
        gst::info!(LOG, imp = self, "frames are {layout}: {caps}");
        self.obj()
            .set_caps(&caps)
            .map_err(|error| self.unusable(&error))?;
        let takes_strides = feature == Feature::DmaBuf || self.takes_strides(&caps);
        state.announced = Some(Announced {
            layout: layout.clone(),
            feature,
            info,
            takes_strides,
        });
        Ok(())
    }

    /// A rate is the only thing that the elements downstream may choose: a stream has none.
    fn fixed(&self, mut ours: gst::Caps, theirs: &gst::Caps) -> Result<gst::Caps, gst::FlowError> {
        let none = gst::Fraction::new(0, 1);
        let any = gst::FractionRange::new(none, gst::Fraction::new(i32::MAX, 1));
        ours.make_mut().set("framerate", any);
        let mut caps = ours.intersect_with_mode(theirs, gst::CapsIntersectMode::First);
        if caps.is_empty() {
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                ("the stream's frames are {ours}; the elements downstream take {theirs}")
            );
            return Err(gst::FlowError::NotNegotiated);
        }
        caps.truncate();
        if let Some(structure) = caps.make_mut().structure_mut(0) {
            structure.fixate_field_nearest_fraction("framerate", none);
        }
        caps.fixate();
        Ok(caps)
    }

    fn takes_strides(&self, caps: &gst::Caps) -> bool {
        let mut query = gst::query::Allocation::new(Some(caps), false);
        let asked = self.obj().src_pad().peer_query(&mut query);
        asked && query.find_allocation_meta::<VideoMeta>().is_some()
    }
}

/// Gives a frame's fence to whoever reads next: with the dma-buf, where the kernel keeps it there, or by waiting.
fn pass(frame: &Frame, acquire: &Fence, timeout: Duration) -> lucarne::Result<()> {
    if frame.implicit_sync().is_yes() {
        let role = lucarne::kernel::FenceRole::Acquire;
        return frame.attach_fence(role, acquire, timeout);
    }
    acquire.wait(timeout)
}

/// The same pixels where an element looks for them that knows no strides.
fn copied(buffer: &gst::Buffer, info: &VideoInfo) -> Result<gst::Buffer, glib::BoolError> {
    let mut copy = gst::Buffer::with_size(info.size())?;
    pixels::copy(buffer, copy.make_mut(), info)?;
    Ok(copy)
}
