//! A producer's state: what was agreed on, its frames, and where each of them is.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lucarne::kernel::FenceRole;
use lucarne::negotiate::{OfferEntry, Strike, StrikeReason};
use lucarne::{
    Agreement, Fence, Format, Frame, MemoryPath, Offer, Pool, Request, Tiling, negotiate,
};
use pipewire::properties::PropertiesBox;
use pipewire::spa::utils::Direction;
use pipewire::stream::{Stream, StreamFlags};

use crate::candidates::{self, Say, Wanted};
use crate::convert;
use crate::error::Result;
use crate::event::{Event, Negotiated};
use crate::explain::Explanation;
use crate::export;
use crate::ffi::{self, Chunk, Cycle, Data, RawBuffer};
use crate::metadata::{self, Metadata};
use crate::node::{self, Side};
use crate::pods::{Buffers, Modifiers, Param, Size, VideoInfo};
use crate::producer::{ProducerOptions, Slot};
use crate::sync::{self, FenceWay};

/// What a program makes frames with.
pub(crate) type Allocate<I> = Box<dyn FnMut(&Agreement) -> lucarne::Result<(I, Frame)>>;

pub(crate) struct Output<I> {
    pub(crate) offer: Offer,
    pub(crate) request: Request,
    options: ProducerOptions,
    name: String,
    allocate: Allocate<I>,
    set: Option<Set<I>>,
    generation: u64,
    sequence: u64,
    pub(crate) cycle: Rc<Cycle>,
    events: VecDeque<Event>,
}

/// The frames of one format.
struct Set<I> {
    negotiated: Negotiated,
    agreement: Agreement,
    images: Vec<Arc<I>>,
    frames: Vec<Frame>,
    /// Where all frames are, once there are all.
    pool: Option<Pool>,
    places: Vec<Place>,
    /// Those that are [`Place::Returning`], the first one first.
    returning: VecDeque<usize>,
    /// The cycles that were seen.
    cycles: u64,
    generation: u64,
}

/// Where a frame is.
enum Place {
    /// There is no buffer for it: nobody is linked, or the peer wants fewer.
    Nowhere,
    /// Its buffer waits to be filled.
    Here(RawBuffer),
    /// Its buffer came back, and the peer still has it in the queue of those that it gives back, of which each cycle takes one.
    Returning(RawBuffer),
    /// Its buffer is in the graph.
    Away(RawBuffer, lucarne::Sent),
}

impl Place {
    fn buffer(&self) -> Option<RawBuffer> {
        match self {
            Self::Nowhere => None,
            Self::Here(buffer) | Self::Returning(buffer) | Self::Away(buffer, _) => Some(*buffer),
        }
    }
}

fn can_make(entry: &OfferEntry) -> bool {
    entry.exportable
}

impl<I: 'static> Output<I> {
    pub(crate) fn new(
        name: &str,
        offer: &Offer,
        options: ProducerOptions,
        allocate: Allocate<I>,
    ) -> Result<Self> {
        let output = Self {
            offer: offer.clone(),
            request: options.request.clone(),
            options,
            name: name.to_owned(),
            allocate,
            set: None,
            generation: 0,
            sequence: 0,
            cycle: Rc::default(),
            events: VecDeque::new(),
        };
        let candidates = output.wanted().candidates(&output.offer, can_make);
        candidates::must_have(&candidates, &output.offer, &output.request.formats)?;
        Ok(output)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            formats: &self.request.formats,
            paths: &self.request.paths,
            usage: self.request.producer,
            struck: &self.request.struck,
            size: Size::Fixed(self.request.extent),
            color: Say::Color(self.options.color),
        }
    }

    /// What a link with a node that lists these would come to.
    pub(crate) fn explain(&self, node: &str, infos: &[VideoInfo]) -> Explanation {
        let theirs = candidates::peer(node, infos, &self.offer);
        let ours = self.wanted().listed(&self.offer, &self.name, can_make);
        Explanation::of(ours, theirs, &self.request, Self::DIRECTION)
    }

    pub(crate) fn negotiated(&self) -> Option<Negotiated> {
        let set = self.set.as_ref()?;
        set.pool.is_some().then_some(set.negotiated)
    }

    pub(crate) fn agreement(&self) -> Option<&Agreement> {
        let set = self.set.as_ref()?;
        set.pool.is_some().then_some(&set.agreement)
    }

    /// Looks for common ground with the format that PipeWire has come to.
    fn agree(&self, info: &VideoInfo) -> std::result::Result<Agreement, String> {
        let peer = candidates::peer("the PipeWire peer", std::slice::from_ref(info), &self.offer);
        let formats: Vec<Format> = info
            .formats
            .iter()
            .filter_map(|one| convert::from_video_format(*one))
            .collect();
        let path = match info.modifiers {
            Modifiers::None => MemoryPath::HostMemory,
            _ => MemoryPath::DmaBuf,
        };
        let mut request = self.request.clone().formats(&formats).paths(&[path]);
        request.extent = info.extent;
        negotiate(&self.offer, &peer, &request).map_err(|refusal| refusal.to_string())
    }

    /// Allocates frames as agreed until there are `number`. The first one is the test allocation.
    fn allocate(&mut self, agreement: &Agreement, number: usize) -> lucarne::Result<()> {
        if !self.set.as_ref().is_some_and(|set| set.is_for(agreement)) {
            self.set = None;
            let (image, frame) = (self.allocate)(agreement)?;
            self.generation += 1;
            self.set = Some(Set::new(agreement, image, frame, self.generation));
        }
        while let Some(set) = &mut self.set
            && set.images.len() < number
        {
            let (image, frame) = (self.allocate)(agreement)?;
            set.images.push(Arc::new(image));
            set.frames.push(frame);
        }
        Ok(())
    }

    /// Strikes out what cannot be allocated or agreed on, and announces the rest.
    fn strike(&mut self, stream: &Stream, info: &VideoInfo, why: StrikeReason) {
        self.set = None;
        let fixed = match info.modifiers {
            Modifiers::Fixed(tiling) => tiling.modifier(),
            _ => None,
        };
        let strike = Strike {
            path: match info.modifiers {
                Modifiers::None => MemoryPath::HostMemory,
                _ => MemoryPath::DmaBuf,
            },
            format: info
                .formats
                .first()
                .and_then(|one| convert::from_video_format(*one)),
            modifier: fixed,
            reason: why,
        };
        self.request.struck.push(strike.clone());
        self.events.push_back(Event::Struck(strike));
        let params = self.formats();
        if params.is_empty() {
            let reason = format!(
                "{} has nothing left to offer: everything was tried",
                self.offer.name
            );
            self.events.push_back(Event::Refused { reason });
        } else {
            self.update(stream, &params);
        }
    }

    fn update(&mut self, stream: &Stream, params: &[Param]) {
        if let Err(error) = node::update(stream, params) {
            let reason = error.to_string();
            self.events.push_back(Event::Failed { reason });
        }
    }

    /// The chosen modifier first, and all others behind it, for a peer that cannot use it after all.
    fn fixate(&mut self, stream: &Stream, tiling: Tiling, format: Format) {
        let wanted = self.wanted();
        let chosen = wanted.candidate(format, vec![tiling], true);
        let mut all = vec![chosen];
        all.extend(wanted.candidates(&self.offer, can_make));
        let params = candidates::params(&all);
        self.update(stream, &params);
    }

    /// Tells PipeWire how the frames lie in their buffers.
    fn finish(&mut self, stream: &Stream) -> lucarne::Result<()> {
        let Some(set) = &mut self.set else {
            return Ok(());
        };
        let blocks = export::blocks(&set.frames[0])?;
        let number = i32::try_from(set.frames.len()).unwrap_or(i32::MAX);
        let int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let plain = blocks.len() == 1 && set.negotiated.path == MemoryPath::HostMemory;
        let buffers = Buffers {
            least: number.min(2),
            most: number,
            blocks: i32::try_from(blocks.len()).ok(),
            size: plain.then(|| int(blocks[0].chunk.size)),
            stride: plain.then(|| blocks[0].chunk.stride),
            kind: blocks[0].kind,
        };
        set.places = set.frames.iter().map(|_| Place::Nowhere).collect();
        set.pool = Some(Pool::new(set.frames.clone()));
        self.events.push_back(Event::Negotiated(set.negotiated));
        let mut params = vec![buffers.to_param()];
        params.extend(metadata::params());
        self.update(stream, &params);
        Ok(())
    }

    /// Takes back what the graph is done with.
    pub(crate) fn collect(&mut self, stream: &Stream) {
        let Some(set) = &mut self.set else { return };
        let cycles = self.cycle.number.get();
        // A buffer that is sent again before the peer's own queue has let go of it is not noticed there: the frame would be lost.
        for _ in set.cycles..cycles {
            let Some(at) = set.returning.pop_front() else {
                break;
            };
            if let Place::Returning(buffer) = set.places[at] {
                set.places[at] = Place::Here(buffer);
            }
        }
        set.cycles = cycles;
        while let Some(buffer) = ffi::dequeue(stream) {
            let at = set
                .places
                .iter()
                .position(|place| place.buffer() == Some(buffer));
            let Some(at) = at else { continue };
            set.come_back(at, Place::Returning(buffer));
            set.returning.push_back(at);
        }
    }

    /// A frame that nobody uses and that a buffer is there for.
    pub(crate) fn acquire(&mut self) -> Option<Slot<I>> {
        let set = self.set.as_mut()?;
        let pool = set.pool.as_ref()?;
        // Each is looked at once: those without a buffer go to the end of the queue.
        for _ in 0..set.frames.len() {
            let free = pool.acquire()?;
            let index = free.index();
            if matches!(set.places.get(index), Some(Place::Here(_))) {
                let (writing, _) = free.acquire();
                let image = Arc::clone(&set.images[index]);
                return Some(Slot::new(writing, image, set.generation));
            }
        }
        None
    }

    /// Whether the peer has a frame, or is about to let go of one.
    pub(crate) fn is_away(&self) -> bool {
        let mut places = self.set.iter().flat_map(|set| &set.places);
        places.any(|place| matches!(place, Place::Away(..) | Place::Returning(_)))
    }

    /// Puts a frame into the graph. `None`: the peer it was made for is gone.
    pub(crate) fn send(
        &mut self,
        stream: &Stream,
        slot: Slot<I>,
        acquire: Fence,
        metadata: Metadata,
        timeout: Duration,
    ) -> lucarne::Result<Option<FenceWay>> {
        let (writing, generation) = slot.into_writing();
        let Some(set) = &mut self.set else {
            return Ok(None);
        };
        let index = writing.index();
        let buffer = match set.places.get(index) {
            Some(Place::Here(buffer)) if set.generation == generation => *buffer,
            _ => return Ok(None),
        };
        let way = sync::pass_on(writing.frame(), FenceRole::Acquire, &acquire, timeout)?;
        for (block, at) in export::blocks(writing.frame())?.iter().zip(0..) {
            buffer.set_chunk(at, block.chunk);
        }
        let metadata = Metadata {
            sequence: metadata.sequence.or(Some(self.sequence)),
            ..metadata
        };
        metadata.write(buffer, set.negotiated.extent);
        self.sequence += 1;
        set.places[index] = Place::Away(buffer, writing.send(acquire));
        ffi::queue(stream, buffer);
        Ok(Some(way))
    }
}

impl<I> Set<I> {
    fn new(agreement: &Agreement, image: I, frame: Frame, generation: u64) -> Self {
        let layout = frame.layout();
        Self {
            negotiated: Negotiated {
                path: agreement.path(),
                format: agreement.format,
                tiling: layout.tiling(),
                extent: layout.extent(),
                color: layout.color(),
            },
            agreement: agreement.clone(),
            images: vec![Arc::new(image)],
            frames: vec![frame],
            pool: None,
            places: Vec::new(),
            returning: VecDeque::new(),
            cycles: 0,
            generation,
        }
    }

    /// Whether the first frame was a test allocation for this.
    fn is_for(&self, agreement: &Agreement) -> bool {
        let chosen = self.negotiated.tiling.modifier();
        self.pool.is_none()
            && self.negotiated.format == agreement.format
            && self.negotiated.extent == agreement.extent
            && self.negotiated.path == agreement.path()
            && chosen.is_some_and(|modifier| agreement.modifiers.contains(&modifier))
    }

    /// The peer is done with a frame. What it has left on the memory gates the next writer.
    fn come_back(&mut self, at: usize, place: Place) {
        if let Place::Away(_, sent) = std::mem::replace(&mut self.places[at], place) {
            let release = sync::left_on(sent.frame(), FenceRole::Release);
            // Without an answer the writer waits for its own work, as for a frame that nobody has read.
            if let Ok(release) = release {
                sent.release(release);
            }
        }
    }
}

impl<I: 'static> Side for Output<I> {
    const DIRECTION: Direction = Direction::Output;

    fn flags(&self) -> StreamFlags {
        // RT_PROCESS although nothing is called: without it PipeWire runs both ends of a link at once, and a reader that is late by a
        // cycle misses a frame.
        StreamFlags::DRIVER | StreamFlags::ALLOC_BUFFERS | StreamFlags::RT_PROCESS
    }

    fn properties(&self) -> PropertiesBox {
        let mut properties = PropertiesBox::new();
        properties.insert(*pipewire::keys::MEDIA_CLASS, "Video/Source");
        properties.insert(*pipewire::keys::MEDIA_TYPE, "Video");
        properties.insert(*pipewire::keys::MEDIA_CATEGORY, "Capture");
        properties.insert(*pipewire::keys::MEDIA_ROLE, self.options.role.as_str());
        properties.insert(*pipewire::keys::NODE_NAME, self.name.as_str());
        if let Some(description) = &self.options.description {
            properties.insert(*pipewire::keys::NODE_DESCRIPTION, description.as_str());
        }
        properties
    }

    fn formats(&self) -> Vec<Param> {
        candidates::params(&self.wanted().candidates(&self.offer, can_make))
    }

    fn format_changed(&mut self, stream: &Stream, info: Option<VideoInfo>) {
        let Some(info) = info else {
            // The peer has gone. What it may still read keeps its memory by its own descriptors.
            self.set = None;
            return;
        };
        let agreement = match self.agree(&info) {
            Ok(agreement) => agreement,
            Err(reason) => {
                let why = StrikeReason::Unwanted(reason.clone());
                self.events.push_back(Event::Refused { reason });
                return self.strike(stream, &info, why);
            }
        };
        let open = matches!(info.modifiers, Modifiers::Open(_));
        let number = if open { 1 } else { self.options.buffers };
        let done = self.allocate(&agreement, number).and_then(|()| {
            let first = self.set.as_ref().map(|set| set.negotiated);
            match first {
                Some(first) if open => {
                    self.fixate(stream, first.tiling, first.format);
                    Ok(())
                }
                _ => self.finish(stream),
            }
        });
        if let Err(error) = done {
            self.strike(stream, &info, StrikeReason::ExportFailed(error.to_string()));
        }
    }

    fn add_buffer(&mut self, buffer: RawBuffer) {
        let Some(set) = &mut self.set else { return };
        let free = set.places.iter().position(|place| place.buffer().is_none());
        let (Some(at), Some(_)) = (free, &set.pool) else {
            return;
        };
        match export::blocks(&set.frames[at]) {
            Ok(blocks) if blocks.len() <= buffer.blocks() as usize => {
                for (block, index) in blocks.iter().zip(0..) {
                    // Nothing was written yet. While a format changes, a peer may be told of a buffer that nobody has sent.
                    let chunk = Chunk {
                        size: 0,
                        ..block.chunk
                    };
                    buffer.set_data(index, &Data { chunk, ..*block });
                }
                set.places[at] = Place::Here(buffer);
            }
            Ok(blocks) => {
                let reason = format!(
                    "PipeWire has made a buffer of {} blocks, and the frame has {} planes",
                    buffer.blocks(),
                    blocks.len()
                );
                self.events.push_back(Event::Failed { reason });
            }
            Err(error) => self.events.push_back(Event::BadBuffer(error)),
        }
    }

    fn remove_buffer(&mut self, buffer: RawBuffer) {
        let Some(set) = &mut self.set else { return };
        let at = set
            .places
            .iter()
            .position(|place| place.buffer() == Some(buffer));
        if let Some(at) = at {
            set.come_back(at, Place::Nowhere);
        }
    }

    fn cycle(&self) -> Option<&Rc<Cycle>> {
        Some(&self.cycle)
    }

    fn lost(&mut self) {
        self.set = None;
        self.cycle.begun.set(None);
        self.cycle.wanted.set(false);
    }

    fn events(&mut self) -> &mut VecDeque<Event> {
        &mut self.events
    }
}
