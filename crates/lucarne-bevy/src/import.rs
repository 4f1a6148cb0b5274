//! Streams of others as images of Bevy's: what happens in the main world.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bevy_asset::{AssetEvent, AssetId, Assets, Handle, RenderAssetUsages};
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use bevy_image::Image;
use bevy_log::info;
use bevy_math::UVec2;
use bevy_render::render_resource::{Texture, TextureView};
use lucarne_stream::{Consumer, ConsumerEvent, Error, Import, Received};
use lucarne_wgpu::lucarne::{self, Frame, Lent, Requirement, Usage};

use crate::convert::{self, Decoding};
use crate::device::{Open, Sharing};
use crate::messages::{Reports, StreamArrived, StreamLost, StreamResized};
use crate::plugin::Settings;

/// How long lies between two looks for a stream that is not there.
const LOOK: Duration = Duration::from_millis(50);
/// The same, for one that has refused.
const LATER: Duration = Duration::from_secs(1);

/// Shows the newest picture of a stream in an image.
///
/// The image is whatever it was before until the stream's first picture is there; after a loss it keeps the last one. Its size and
/// its format are those of the stream's pictures then. With the component goes the picture: the image is again what it was.
#[derive(Component, Clone, Debug, PartialEq, Eq)]
pub struct StreamInput {
    /// The stream. It need not be there yet.
    pub name: String,
    /// Where its pictures are shown. No other `StreamInput` may show its own there.
    pub image: Handle<Image>,
    /// See [`StreamInput::opaque`].
    pub opaque: bool,
}

impl StreamInput {
    /// Pictures with alpha.
    pub fn new(name: impl Into<String>, image: Handle<Image>) -> Self {
        Self {
            name: name.into(),
            image,
            opaque: false,
        }
    }

    /// Takes frames whose format has padding in the place of alpha, too (`XRGB8888` and its kin). wgpu shows padding as it lies in
    /// memory: for materials that ignore alpha, as [opaque](https://docs.rs/bevy/latest/bevy/prelude/enum.AlphaMode.html) ones do.
    #[must_use]
    pub fn opaque(mut self) -> Self {
        self.opaque = true;
        self
    }
}

/// A frame as Bevy's texture, made once for each of a stream's images.
pub(crate) struct Picture {
    pub(crate) frame: lucarne_wgpu::Texture,
    pub(crate) texture: Texture,
    pub(crate) view: TextureView,
    pub(crate) size: UVec2,
}

impl Picture {
    pub(crate) fn new(frame: lucarne_wgpu::Texture) -> Self {
        let texture = frame.texture();
        Self {
            texture: texture.clone().into(),
            view: texture.create_view(&Default::default()).into(),
            size: convert::size(frame.frame().layout().extent()),
            frame,
        }
    }
}

struct Importer(lucarne_wgpu::Device);

impl Import for Importer {
    type Image = Picture;

    fn import(&mut self, frame: &Frame) -> lucarne::Result<Picture> {
        let layout = frame.layout();
        let made = match convert::decoding(layout) {
            Some(Decoding::Srgb) => self.0.import_srgb(frame, Usage::SAMPLE),
            Some(Decoding::None) => self.0.import(frame, Usage::SAMPLE),
            None => Err(lucarne::Error::Unsupported {
                what: format!("showing {layout} in Bevy"),
                missing: vec![Requirement::other(
                    "needs sRGB in 8 bits, or numbers that are light: Bevy's shaders decode no other curve",
                )],
            }),
        };
        made.map(Picture::new)
    }
}

/// What a `StreamInput` has become.
struct Input {
    component: StreamInput,
    link: Link,
    /// A frame that is not drawn yet.
    coming: Option<Received<Picture>>,
    /// A frame for the render world.
    ready: Option<Received<Picture>>,
    /// Of the picture that is shown, while its stream is there.
    size: Option<UVec2>,
    /// What the image was before.
    before: Option<Image>,
}

enum Link {
    /// There was none yet, or none that could be used. Not before this time again.
    Down(Instant),
    Up(Box<Mutex<Consumer<Importer>>>),
    /// There was one. Not before this time again.
    Lost(Instant, Box<Mutex<Consumer<Importer>>>),
}

/// All of them.
#[derive(Resource, Default)]
pub(crate) struct Inputs {
    by_entity: HashMap<Entity, Input>,
    changed: Vec<AssetId<Image>>,
}

impl Inputs {
    /// The images that show another picture than in the last frame.
    pub(crate) fn changed(&self) -> &[AssetId<Image>] {
        &self.changed
    }

    /// The frames that the render world has not seen yet.
    pub(crate) fn take(
        &mut self,
    ) -> impl Iterator<Item = (Entity, &StreamInput, Option<Received<Picture>>)> {
        let inputs = self.by_entity.iter_mut();
        inputs.map(|(entity, input)| (*entity, &input.component, input.ready.take()))
    }
}

/// Whom it tells.
#[derive(SystemParam)]
pub(crate) struct Told<'w> {
    images: ResMut<'w, Assets<Image>>,
    changes: MessageWriter<'w, AssetEvent<Image>>,
    arrived: MessageWriter<'w, StreamArrived>,
    resized: MessageWriter<'w, StreamResized>,
    lost: MessageWriter<'w, StreamLost>,
    reports: Res<'w, Reports>,
}

/// Looks at each stream, and takes its newest picture.
pub(crate) fn receive(
    sharing: Res<Sharing>,
    settings: Res<Settings>,
    components: Query<(Entity, &StreamInput)>,
    mut inputs: ResMut<Inputs>,
    mut told: Told,
) {
    let inputs = &mut *inputs;
    inputs.changed.clear();
    let anew = sharing.is_changed();
    inputs.by_entity.retain(|entity, input| {
        let same = components
            .get(*entity)
            .map(|(_, there)| *there == input.component);
        let stays = same == Ok(true) && !anew;
        if !stays {
            input.give_back_image(&mut told.images);
            told.reports.forget(*entity);
        }
        stays
    });
    for (entity, component) in &components {
        let open = match &*sharing {
            Sharing::Waiting => continue,
            Sharing::Refused(reason) => {
                told.reports.refuse(entity, &component.name, reason);
                continue;
            }
            Sharing::Open(open) => open,
        };
        let input = inputs.by_entity.entry(entity);
        let input = input.or_insert_with(|| Input::new(component.clone()));
        if input.look(entity, open, &settings, &mut told) {
            inputs.changed.push(component.image.id());
        }
    }
}

impl Input {
    fn new(component: StreamInput) -> Self {
        Self {
            component,
            link: Link::Down(Instant::now()),
            coming: None,
            ready: None,
            size: None,
            before: None,
        }
    }

    /// Connects where it is not, and takes the newest picture that is drawn; whether there is one.
    fn look(&mut self, entity: Entity, open: &Open, settings: &Settings, told: &mut Told) -> bool {
        self.connect(entity, open, settings, told);
        let newest = match self.newest(entity, told) {
            Ok(newest) => newest,
            Err(error) => {
                self.lose(entity, &error, told);
                None
            }
        };
        let Some(received) = newest else {
            return false;
        };
        self.note(entity, received.image(), told);
        self.ready = Some(received);
        true
    }

    fn connect(&mut self, entity: Entity, open: &Open, settings: &Settings, told: &Told) {
        let now = Instant::now();
        let connected = match &mut self.link {
            Link::Up(_) => return,
            Link::Down(not_before) | Link::Lost(not_before, _) if now < *not_before => return,
            Link::Down(_) => self.connect_first(open, settings).map(Some),
            Link::Lost(_, consumer) => held(consumer).reconnect().map(|()| None),
        };
        let wait = match connected {
            Ok(first) => {
                let link = std::mem::replace(&mut self.link, Link::Down(now));
                self.link = match (first, link) {
                    (Some(consumer), _) => Link::Up(Box::new(Mutex::new(consumer))),
                    (None, Link::Lost(_, consumer)) => Link::Up(consumer),
                    (None, other) => other,
                };
                return;
            }
            Err(Error::NotFound { .. }) => LOOK,
            Err(error) => {
                told.reports.refuse(entity, &self.component.name, error);
                LATER
            }
        };
        if let Link::Down(not_before) | Link::Lost(not_before, _) = &mut self.link {
            *not_before = now + wait;
        }
    }

    fn connect_first(&self, open: &Open, settings: &Settings) -> Result<Consumer<Importer>, Error> {
        let mut offer = open.sampled.clone();
        if !self.component.opaque {
            offer = convert::with_alpha(offer);
        }
        let importer = Importer(open.device.clone());
        Consumer::connect(&self.component.name, &offer, settings.consumer(), importer)
    }

    /// The newest frame that is drawn, and what the stream has to tell.
    fn newest(&mut self, entity: Entity, told: &Told) -> Result<Option<Received<Picture>>, Error> {
        let Link::Up(consumer) = &mut self.link else {
            return Ok(None);
        };
        let consumer = held(consumer);
        let newest = newest_drawn(&mut self.coming, || consumer.try_receive());
        while let Some(event) = consumer.event() {
            match event {
                ConsumerEvent::Generation {
                    extent,
                    format,
                    rung,
                    ..
                } => {
                    told.reports.forget(entity);
                    info!(
                        "stream {:?}: {extent} {format} by {rung}",
                        self.component.name
                    );
                }
                ConsumerEvent::ImportFailed { reason, .. } => {
                    told.reports.refuse(entity, &self.component.name, reason);
                }
                _ => {}
            }
        }
        newest
    }

    /// The stream is over, or was never to be had.
    fn lose(&mut self, entity: Entity, error: &Error, told: &mut Told) {
        let link = std::mem::replace(&mut self.link, Link::Down(Instant::now()));
        self.coming = None;
        let gone = matches!(error, Error::Ended | Error::PeerGone);
        let wait = if gone { LOOK } else { LATER };
        if let Link::Up(consumer) = link {
            self.link = Link::Lost(Instant::now() + wait, consumer);
        }
        let name = &self.component.name;
        if !gone {
            told.reports.refuse(entity, name, error);
        }
        if self.size.take().is_some() {
            told.lost.write(StreamLost {
                entity,
                name: name.clone(),
                reason: error.to_string(),
            });
        }
    }

    /// Tells Bevy and the game what the image is from now on.
    fn note(&mut self, entity: Entity, picture: &Picture, told: &mut Told) {
        let (name, size) = (self.component.name.clone(), picture.size);
        match self.size.replace(size) {
            None => drop(told.arrived.write(StreamArrived { entity, name, size })),
            Some(before) if before != size => {
                told.resized.write(StreamResized { entity, name, size });
            }
            Some(_) => {}
        }
        let id = self.component.image.id();
        if let Some(image) = told.images.get_mut_untracked(id) {
            let descriptor = convert::texture_descriptor(size, picture.texture.format());
            if image.asset_usage != RenderAssetUsages::MAIN_WORLD
                || image.texture_descriptor != descriptor
            {
                let now = Image {
                    data: None,
                    texture_descriptor: descriptor,
                    // Bevy makes no texture of it: the render world has the stream's.
                    asset_usage: RenderAssetUsages::MAIN_WORLD,
                    sampler: image.sampler.clone(),
                    ..Image::default_uninit()
                };
                let before = std::mem::replace(image, now);
                self.before.get_or_insert(before);
            }
        }
        // What binds its texture does so anew.
        told.changes.write(AssetEvent::Modified { id });
    }

    /// The image is what it was before the stream.
    fn give_back_image(&mut self, images: &mut Assets<Image>) {
        let Some(mut before) = self.before.take() else {
            return;
        };
        if before.data.is_none() && before.asset_usage == RenderAssetUsages::RENDER_WORLD {
            // Its pixels went to the render world, and from there with the first picture.
            before = Image::transparent();
        }
        if let Some(mut image) = images.get_mut(self.component.image.id()) {
            *image = before;
        }
    }
}

/// The newest frame whose fence has signalled. One whose fence has not is kept in `coming` for the next time: Bevy's queue waits
/// for no fences, and the game is not to wait either.
fn newest_drawn<L: Lent>(
    coming: &mut Option<lucarne::Received<L>>,
    mut next: impl FnMut() -> Result<Option<lucarne::Received<L>>, Error>,
) -> Result<Option<lucarne::Received<L>>, Error> {
    let mut newest = None;
    // A producer that never rests is no reason to stay here.
    for _ in 0..3 {
        let one = match coming.take() {
            Some(one) => Some(one),
            None => next()?,
        };
        let Some(one) = one else { break };
        if !one.acquire_fence().is_signaled()? {
            *coming = Some(one);
            break;
        }
        newest = Some(one);
    }
    Ok(newest)
}

/// Nobody else has it: the lock is there because a consumer is of one thread at a time.
fn held<T>(one: &mut Mutex<T>) -> &mut T {
    one.get_mut().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use lucarne_tests::unsignalled::Source;
    use lucarne_wgpu::lucarne::{Fence, Received};

    use super::*;

    /// A frame of which only its number is looked at.
    struct Numbered(usize);

    impl Lent for Numbered {
        type Returned = ();

        fn frame(&self) -> &Frame {
            unreachable!("nobody looks")
        }

        fn index(&self) -> usize {
            self.0
        }

        fn give_back(&mut self, _: Option<Fence>) {}
    }

    /// What is shown next of frames that come with these fences.
    struct Stream {
        coming: Option<Received<Numbered>>,
        queue: VecDeque<Received<Numbered>>,
    }

    impl Stream {
        fn new(fences: &[&Fence]) -> Self {
            let frames = fences.iter().enumerate();
            let received = |(index, fence): (usize, &&Fence)| {
                Received::new(Numbered(index), Fence::clone(fence))
            };
            Self {
                coming: None,
                queue: frames.map(received).collect(),
            }
        }

        fn newest(&mut self) -> Option<usize> {
            let queue = &mut self.queue;
            let newest = newest_drawn(&mut self.coming, || Ok(queue.pop_front()));
            newest.expect("fences").map(|frame| frame.index())
        }
    }

    #[test]
    fn the_newest_frame_that_is_drawn_is_shown() {
        let drawn = &Fence::Signaled;
        let mut stream = Stream::new(&[drawn, drawn]);
        assert_eq!(stream.newest(), Some(1));
        assert_eq!(stream.newest(), None);
    }

    #[test]
    fn a_frame_that_is_not_drawn_yet_is_shown_later() {
        let (drawn, slow) = (&Fence::Signaled, Source::StandIn.unsignalled());
        let mut stream = Stream::new(&[drawn, slow.fence(), drawn]);
        assert_eq!(stream.newest(), Some(0));
        assert_eq!(stream.newest(), None, "the next is not drawn");
        slow.signal();
        assert_eq!(stream.newest(), Some(2));
        assert_eq!(stream.newest(), None);
    }

    #[test]
    fn a_producer_that_never_rests_does_not_keep_the_game() {
        let drawn = &Fence::Signaled;
        let mut stream = Stream::new(&[drawn; 10]);
        assert_eq!(stream.newest(), Some(2));
        assert_eq!(stream.newest(), Some(5));
    }
}
