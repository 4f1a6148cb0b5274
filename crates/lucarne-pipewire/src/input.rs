//! A consumer's state: what was agreed on, its buffers, and what was imported of them.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use lucarne::kernel::FenceRole;
use lucarne::negotiate::{OfferEntry, Strike, StrikeReason};
use lucarne::{Fence, Frame, MemoryPath, Modifier, Offer, Received, Request, Tiling, Usage};
use pipewire::properties::PropertiesBox;
use pipewire::spa::sys;
use pipewire::spa::utils::Direction;
use pipewire::stream::{Stream, StreamFlags};

use crate::candidates::{self, Say, Wanted};
use crate::consumer::{ConsumerOptions, Delivery};
use crate::convert;
use crate::error::Result;
use crate::event::{Event, Negotiated};
use crate::explain::Explanation;
use crate::ffi::{self, RawBuffer};
use crate::import::{self, Blocks};
use crate::loan::{Contents, NodeFrame, Return, Returns};
use crate::metadata::{self, Metadata};
use crate::node::{self, Side};
use crate::pods::{Buffers, Modifiers, Param, Size, VideoInfo};
use crate::sync;

/// What a program makes of a frame.
pub(crate) type Import<I> = Box<dyn FnMut(&Frame) -> lucarne::Result<I>>;

pub(crate) struct Input<I> {
    offer: Offer,
    options: ConsumerOptions,
    name: String,
    import: Import<I>,
    struck: Vec<Strike>,
    negotiated: Option<Negotiated>,
    buffers: Vec<Held<I>>,
    /// The number of the next buffer: none is used twice.
    next: u64,
    skipped: u64,
    /// Sequence and time of the last frame.
    last: Option<(u64, Option<i64>)>,
    imports: u64,
    returns: Arc<Returns>,
    /// What came back with a fence that has not signalled and cannot travel.
    unsignaled: Vec<Return>,
    events: VecDeque<Event>,
}

/// A buffer of the stream's.
struct Held<I> {
    raw: RawBuffer,
    number: u64,
    /// What was in it when it was last looked at.
    known: Option<Known<I>>,
}

struct Known<I> {
    blocks: Blocks,
    /// The frame is a copy of what is in the buffer.
    copied: bool,
    frame: Frame,
    image: Arc<I>,
}

impl<I> Clone for Known<I> {
    fn clone(&self) -> Self {
        Self {
            blocks: self.blocks.clone(),
            copied: self.copied,
            frame: self.frame.clone(),
            image: Arc::clone(&self.image),
        }
    }
}

fn can_use(entry: &OfferEntry) -> bool {
    entry.importable
}

/// What became of a buffer.
enum Look<I> {
    Frame(Known<I>),
    /// There is no picture in it.
    Nothing,
    /// It was refused; an event tells why.
    Refused,
}

impl<I: 'static> Input<I> {
    pub(crate) fn new(
        name: &str,
        offer: &Offer,
        options: ConsumerOptions,
        import: Import<I>,
        returns: Arc<Returns>,
    ) -> Result<Self> {
        let input = Self {
            offer: offer.clone(),
            options,
            name: name.to_owned(),
            import,
            struck: Vec::new(),
            negotiated: None,
            buffers: Vec::new(),
            next: 0,
            skipped: 0,
            last: None,
            imports: 0,
            returns,
            unsignaled: Vec::new(),
            events: VecDeque::new(),
        };
        let candidates = input.wanted().candidates(&input.offer, can_use);
        candidates::must_have(&candidates, &input.offer, &input.options.formats)?;
        Ok(input)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            formats: &self.options.formats,
            paths: &self.options.paths,
            usage: self.options.usage,
            struck: &self.struck,
            size: Size::UpTo {
                preferred: self.options.preferred,
                most: self.options.most,
            },
            color: Say::Nothing,
        }
    }

    /// What a link with a node that lists these would come to.
    pub(crate) fn explain(&self, node: &str, infos: &[VideoInfo]) -> Explanation {
        let theirs = candidates::peer(node, infos, &self.offer);
        let ours = self.wanted().listed(&self.offer, &self.name, can_use);
        let extents = infos.iter().map(|info| info.extent);
        let smallest = extents.min_by_key(|one| u64::from(one.width) * u64::from(one.height));
        let request = Request::new(smallest.unwrap_or(self.options.preferred))
            .formats(&self.options.formats)
            .paths(&self.options.paths)
            .usage(Usage::empty(), self.options.usage);
        Explanation::of(ours, theirs, &request, Self::DIRECTION)
    }

    pub(crate) fn negotiated(&self) -> Option<Negotiated> {
        self.negotiated
    }

    pub(crate) fn imports(&self) -> u64 {
        self.imports
    }

    /// Gives buffers back to the peer that readers are done with.
    pub(crate) fn recycle(&mut self, stream: &Stream) {
        let mut back = std::mem::take(&mut self.unsignaled);
        back.extend(self.returns.take());
        for one in back {
            let held = self.buffers.iter().find(|held| held.number == one.buffer);
            // A buffer that has been removed meanwhile has no way back, and needs none.
            let Some(held) = held else { continue };
            if self.is_free(held, one.release.as_ref()) {
                ffi::queue(stream, held.raw);
            } else {
                self.unsignaled.push(one);
            }
        }
    }

    /// Whether a reader's fence has signalled, or travels with the memory.
    fn is_free(&self, held: &Held<I>, release: Option<&Fence>) -> bool {
        let (Some(fence), Some(known)) = (release, &held.known) else {
            return true;
        };
        let now = Duration::ZERO;
        let way = sync::pass_on(&known.frame, FenceRole::Release, fence, now);
        !matches!(way, Err(lucarne::Error::Timeout { .. }))
    }

    /// Whether a reader's fence is waited for.
    pub(crate) fn waits(&self) -> bool {
        !self.unsignaled.is_empty()
    }

    /// The next frame, or the newest one.
    pub(crate) fn receive(&mut self, stream: &Stream) -> Option<Received<NodeFrame<I>>> {
        let mut newest: Option<(usize, Known<I>)> = None;
        while let Some(raw) = ffi::dequeue(stream) {
            let Some(at) = self.buffers.iter().position(|held| held.raw == raw) else {
                continue;
            };
            match self.look(at) {
                Look::Frame(_) if self.is_again(raw) => ffi::queue(stream, raw),
                Look::Frame(known) => {
                    if let Some((older, _)) = newest.replace((at, known)) {
                        self.skipped += 1;
                        ffi::queue(stream, self.buffers[older].raw);
                    }
                }
                Look::Nothing => ffi::queue(stream, raw),
                Look::Refused => {
                    ffi::queue(stream, raw);
                    self.announce(stream);
                }
            }
            if self.options.delivery == Delivery::Every && newest.is_some() {
                break;
            }
        }
        let (at, known) = newest?;
        let acquire = sync::left_on(&known.frame, FenceRole::Acquire);
        let held = &self.buffers[at];
        let contents = Contents {
            frame: known.frame,
            image: known.image,
            copies: u32::from(known.copied),
            index: at,
            buffer: held.number,
            metadata: Metadata::read(held.raw),
            skipped: std::mem::take(&mut self.skipped),
        };
        // Where the kernel does not say, what has been queued has been written: PipeWire's rule for memory without fences.
        Some(Received::new(
            NodeFrame::new(contents, &self.returns),
            acquire.unwrap_or(Fence::Signaled),
        ))
    }

    /// Whether this frame has come already: while a format changes, PipeWire may tell of a buffer twice.
    fn is_again(&mut self, raw: RawBuffer) -> bool {
        let Metadata { pts, sequence, .. } = Metadata::read(raw);
        // A peer that does not count leaves 0 there.
        let now = sequence
            .filter(|number| *number > 0)
            .map(|number| (number, pts));
        let again = now.is_some() && now == self.last;
        self.last = now;
        again
    }

    /// What is in a buffer: known from before, or checked and imported now.
    fn look(&mut self, at: usize) -> Look<I> {
        let (Some(held), Some(negotiated)) = (self.buffers.get_mut(at), self.negotiated) else {
            return Look::Nothing;
        };
        let blocks = match import::read(held.raw) {
            Ok(blocks) if import::is_without_picture(&blocks) => return Look::Nothing,
            Ok(blocks) => blocks,
            Err(error) => return self.bad(error),
        };
        if let Some(known) = &held.known
            && import::is_same(&known.blocks, &blocks)
        {
            let known = known.clone();
            if known.copied
                && let Err(error) = import::refresh(held.raw, &blocks, &known.frame)
            {
                return self.bad(error);
            }
            return Look::Frame(known);
        }
        held.known = None;
        let copied = import::is_copied(&blocks);
        let frame = match import::frame(held.raw, &blocks, copied, &negotiated) {
            Ok(frame) => frame,
            Err(error) => return self.bad(error),
        };
        match (self.import)(&frame) {
            Ok(image) => {
                self.imports += 1;
                let image = Arc::new(image);
                let known = Known {
                    blocks,
                    copied,
                    frame,
                    image,
                };
                held.known = Some(known.clone());
                Look::Frame(known)
            }
            Err(error) => {
                self.strike(&negotiated, error.to_string());
                Look::Refused
            }
        }
    }

    fn bad(&mut self, error: lucarne::Error) -> Look<I> {
        self.events.push_back(Event::BadBuffer(error));
        Look::Nothing
    }

    fn strike(&mut self, negotiated: &Negotiated, why: String) {
        let strike = Strike {
            path: negotiated.path,
            format: Some(negotiated.format),
            modifier: match negotiated.path {
                MemoryPath::DmaBuf => negotiated.tiling.modifier(),
                _ => None,
            },
            reason: StrikeReason::ImportFailed(why),
        };
        if !self.struck.contains(&strike) {
            self.struck.push(strike.clone());
            self.events.push_back(Event::Struck(strike));
        }
    }

    /// Announces what is left after something was struck out.
    fn announce(&mut self, stream: &Stream) {
        let params = self.formats();
        if params.is_empty() {
            let reason = format!("{} can import nothing that was tried", self.offer.name);
            self.events.push_back(Event::Refused { reason });
            return;
        }
        self.update(stream, &params);
    }

    fn update(&mut self, stream: &Stream, params: &[Param]) {
        if let Err(error) = node::update(stream, params) {
            let reason = error.to_string();
            self.events.push_back(Event::Failed { reason });
        }
    }

    /// What PipeWire has come to, in our words; `None` for what was not among the candidates.
    fn understand(info: &VideoInfo) -> Option<Negotiated> {
        let format = convert::from_video_format(*info.formats.first()?)?;
        let (path, tiling) = match &info.modifiers {
            Modifiers::None => (MemoryPath::HostMemory, Tiling::Explicit(Modifier::LINEAR)),
            Modifiers::Fixed(tiling) => (MemoryPath::DmaBuf, *tiling),
            // The producer has yet to choose.
            Modifiers::Open(_) => return None,
        };
        Some(Negotiated {
            path,
            format,
            tiling,
            extent: info.extent,
            color: convert::from_colors(format, info.colors)?,
        })
    }
}

impl<I: 'static> Side for Input<I> {
    const DIRECTION: Direction = Direction::Input;

    /// Without a target a session manager would choose one, and take the first camera.
    fn flags(&self) -> StreamFlags {
        let connect = match self.options.target {
            Some(_) => StreamFlags::AUTOCONNECT,
            None => StreamFlags::empty(),
        };
        // The buffer is taken within the cycle, and the node's descriptor becomes readable (see the producer's flags).
        connect | StreamFlags::RT_PROCESS
    }

    fn properties(&self) -> PropertiesBox {
        let mut properties = PropertiesBox::new();
        properties.insert(*pipewire::keys::MEDIA_TYPE, "Video");
        properties.insert(*pipewire::keys::MEDIA_CATEGORY, "Capture");
        properties.insert(*pipewire::keys::MEDIA_ROLE, "Screen");
        properties.insert(*pipewire::keys::NODE_NAME, self.name.as_str());
        if let Some(target) = &self.options.target {
            properties.insert("target.object", target.as_str());
        }
        properties
    }

    fn formats(&self) -> Vec<Param> {
        candidates::params(&self.wanted().candidates(&self.offer, can_use))
    }

    fn format_changed(&mut self, stream: &Stream, info: Option<VideoInfo>) {
        self.negotiated = None;
        let Some(info) = info else { return };
        if matches!(info.modifiers, Modifiers::Open(_)) {
            return;
        }
        let Some(negotiated) = Self::understand(&info) else {
            let reason = format!("PipeWire has come to {info:?}, which nobody has offered");
            self.events.push_back(Event::Refused { reason });
            return;
        };
        self.negotiated = Some(negotiated);
        self.events.push_back(Event::Negotiated(negotiated));
        let buffers = Buffers {
            least: 2,
            most: 16,
            blocks: None,
            size: None,
            stride: None,
            kind: match negotiated.path {
                MemoryPath::DmaBuf => sys::SPA_DATA_DmaBuf,
                _ => sys::SPA_DATA_MemFd,
            },
        };
        let mut params = vec![buffers.to_param()];
        params.extend(metadata::params());
        self.update(stream, &params);
    }

    fn add_buffer(&mut self, raw: RawBuffer) {
        self.buffers.push(Held {
            raw,
            number: self.next,
            known: None,
        });
        self.next += 1;
    }

    fn remove_buffer(&mut self, raw: RawBuffer) {
        self.buffers.retain(|held| held.raw != raw);
    }

    fn lost(&mut self) {
        self.negotiated = None;
        self.buffers.clear();
        self.unsignaled.clear();
    }

    fn events(&mut self) -> &mut VecDeque<Event> {
        &mut self.events
    }

    fn arrivals(&self) -> Option<Arc<OwnedFd>> {
        Some(self.returns.wake())
    }
}
