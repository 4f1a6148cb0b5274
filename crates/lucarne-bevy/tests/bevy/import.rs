//! Others draw, Bevy shows.

use std::collections::VecDeque;

use bevy::camera::RenderTarget;
use bevy::prelude::*;
use bevy::render::gpu_readback::{Readback, ReadbackComplete};
use bevy::render::render_resource::{TextureFormat, TextureUsages};
use lucarne_bevy::lucarne::{Agreement, Extent, Format, Frame, MemoryPath, Request, Usage};
use lucarne_bevy::lucarne_stream::{Producer, ProducerOptions, SlotWriting};
use lucarne_bevy::{StreamArrived, StreamInput, StreamLost, StreamMaterialPlugin, StreamResized};
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{Drawing, PRODUCER_USAGE, Renderer};
use lucarne_tests::engine::{self, Direction, Seen};
use lucarne_tests::fds;
use lucarne_tests::skip::skip;

use crate::game::{Game, SOON, alone, camera};

/// A row of it is as long as what wgpu copies at least.
const SIZE: UVec2 = UVec2::new(64, 48);
const GROUND: [u8; 4] = [1, 2, 3, 255];

/// What the game's camera has seen, as far as it was copied back: Bevy's own way to look at a texture.
#[derive(Resource, Default)]
pub(crate) struct Screens(pub(crate) VecDeque<Picture>);

fn keep(complete: On<ReadbackComplete>, mut screens: ResMut<Screens>) {
    let extent = Extent::new(SIZE.x, SIZE.y);
    let picture = Picture::from_frame(extent, Format::ABGR8888, complete.data.clone());
    screens.0.push_back(picture.expect("a whole picture"));
}

/// A camera whose picture is read back in each frame.
pub(crate) fn look(game: &mut Game) {
    look_with(game, Camera2d);
}

fn look_with(game: &mut Game, kind: impl Bundle) {
    game.world().init_resource::<Screens>();
    let format = TextureFormat::Rgba8UnormSrgb;
    let mut target = Image::new_target_texture(SIZE.x, SIZE.y, format, None);
    target.texture_descriptor.usage |= TextureUsages::COPY_SRC;
    let target = add(game, target);
    let [red, green, blue, _] = GROUND;
    let ground = Color::srgb_u8(red, green, blue);
    game.spawn((
        kind,
        camera(ground),
        RenderTarget::Image(target.clone().into()),
    ));
    let readback = game.spawn(Readback::texture(target));
    game.world().entity_mut(readback).observe(keep);
}

/// A sprite that shows the stream "scene", and `before` until it is there.
fn sprite(game: &mut Game, before: Image) -> Entity {
    let image = add(game, before);
    let input = StreamInput::new("scene", image.clone());
    game.spawn((Sprite::from_image(image), input))
}

/// Runs frames until the camera sees `wanted`, and nothing but that and `before` on the way there.
fn until_seen(game: &mut Game, before: Option<&Picture>, wanted: &Picture) {
    game.until("picture", |game| {
        let mut screens = game.world().resource_mut::<Screens>();
        while let Some(seen) = screens.0.pop_front() {
            if seen == *wanted {
                return Some(());
            }
            let old = before.is_none_or(|before| seen == *before);
            assert!(
                old,
                "neither the picture before nor the one that is wanted: {:?}",
                wanted.difference(&seen)
            );
        }
        None
    });
}

/// A picture of one colour.
fn plain(pixel: [u8; 4]) -> Picture {
    let bytes = pixel.repeat((SIZE.x * SIZE.y) as usize);
    Picture::from_frame(Extent::new(SIZE.x, SIZE.y), Format::ABGR8888, bytes).expect("its size")
}

type Allocate = dyn FnMut(&Agreement) -> lucarne_bevy::lucarne::Result<(Drawing, Frame)>;

/// A producer with Vulkan, on a device of its own.
struct Source {
    producer: Producer<Box<Allocate>>,
    number: u64,
    /// Of the frames sent: their agreement, copies on this side, and whether their memory was emulated.
    sent: Option<(Agreement, u32, bool)>,
}

impl Source {
    fn new(game: &Game, request: Request) -> Self {
        let renderer = Renderer::open(None).expect("Vulkan");
        let offer = renderer.device().offer(PRODUCER_USAGE).expect("an offer");
        let options = ProducerOptions::of(request)
            .patience(SOON)
            .directory(&game.folder);
        let allocate = move |agreement: &Agreement| renderer.drawing(agreement);
        let allocate: Box<Allocate> = Box::new(allocate);
        let producer = Producer::bind("scene", &offer, options, allocate);
        Self {
            producer: producer.expect("a free name"),
            number: 0,
            sent: None,
        }
    }

    /// Sends a frame to the game, which runs meanwhile; its picture.
    fn send(&mut self, game: &mut Game) -> Picture {
        let slot = game.until("slot", |_| {
            self.producer.dispatch().expect("it serves");
            let watched = self.producer.consumers() > 0;
            self.producer
                .try_acquire()
                .expect("a stream")
                .filter(|_| watched)
        });
        self.draw(slot)
    }

    fn draw(&mut self, slot: SlotWriting<Drawing>) -> Picture {
        self.number += 1;
        let done = slot.image().draw(slot.gate(), self.number).expect("drawn");
        let picture = slot.image().picture(&done).expect("a picture");
        let copies = slot.image().copies_per_frame();
        self.sent = Some((slot.agreement().clone(), copies, slot.frame().is_emulated()));
        let now = lucarne_bevy::lucarne_stream::now();
        self.producer.send(slot, done, now).expect("sent");
        picture
    }
}

fn request(size: UVec2) -> Request {
    Request::new(Extent::new(size.x, size.y))
        .formats(&[Format::ABGR8888])
        .usage(PRODUCER_USAGE, Usage::SAMPLE)
}

fn shows_what_vulkan_draws(path: MemoryPath) {
    let _alone = alone();
    let mut game = Game::new();
    look(&mut game);
    sprite(&mut game, Image::transparent());
    let mut source = Source::new(&game, request(SIZE).paths(&[path]));
    let mut before = None;
    for _ in 0..8 {
        let picture = source.send(&mut game);
        until_seen(&mut game, before.as_ref(), &picture);
        before = Some(picture);
    }
    let (agreement, copies, emulated) = source.sent.take().expect("frames");
    assert_eq!(agreement.path(), path);
    engine::record(&Seen {
        engine: "Bevy".to_owned(),
        version: game.version(),
        direction: Direction::Import,
        path,
        fences: engine::fences(&agreement),
        // Bevy's own side makes none: lucarne-wgpu refuses textures that would.
        copies,
        pixels: 8 * u64::from(SIZE.x * SIZE.y),
        driver: engine::driver(&game.driver(), emulated),
    });
    game.assert_valid();
}

#[test]
fn bevy_shows_what_vulkan_draws_in_dma_bufs() {
    let renderer = Renderer::open(None).expect("Vulkan");
    let offer = renderer.device().offer(PRODUCER_USAGE).expect("an offer");
    let support = offer.path(MemoryPath::DmaBuf);
    if !support.is_yes() {
        return skip("dma-buf", &support.reason());
    }
    shows_what_vulkan_draws(MemoryPath::DmaBuf);
}

#[test]
fn bevy_shows_what_vulkan_draws_in_host_memory() {
    shows_what_vulkan_draws(MemoryPath::HostMemory);
}

/// The stream comes after the game, goes, and returns with another size.
#[test]
fn streams_come_and_go() {
    let _alone = alone();
    let mut game = Game::new();
    look(&mut game);
    let red = [200, 10, 10, 255];
    let extent = bevy::render::render_resource::Extent3d {
        width: SIZE.x,
        height: SIZE.y,
        depth_or_array_layers: 1,
    };
    let placeholder = Image::new_fill(
        extent,
        bevy::render::render_resource::TextureDimension::D2,
        &red,
        TextureFormat::Rgba8UnormSrgb,
        bevy::asset::RenderAssetUsages::default(),
    );
    let entity = sprite(&mut game, placeholder);
    // Before it comes: what the image was.
    until_seen(&mut game, None, &plain(red));

    let mut source = Source::new(&game, request(SIZE));
    let first = source.send(&mut game);
    let arrived = game.until("arrival", |game| game.messages::<StreamArrived>().pop());
    assert_eq!((arrived.entity, arrived.size), (entity, SIZE));
    until_seen(&mut game, Some(&plain(red)), &first);

    // It goes: the last picture stays.
    source.producer.end();
    let lost = game.until("loss", |game| game.messages::<StreamLost>().pop());
    assert_eq!((lost.entity, lost.name.as_str()), (entity, "scene"));
    assert!(lost.reason.contains("ended"), "{lost:?}");
    for _ in 0..20 {
        game.app.update();
    }
    game.world().resource_mut::<Screens>().0.clear();
    until_seen(&mut game, Some(&first), &first);

    // It returns, and dies without a word.
    let mut source = Source::new(&game, request(SIZE));
    source.number = 20;
    let second = source.send(&mut game);
    assert_ne!(first, second);
    let arrived = game.until("return", |game| game.messages::<StreamArrived>().pop());
    assert_eq!(arrived.size, SIZE);
    until_seen(&mut game, Some(&first), &second);
    drop(source);
    game.until("loss", |game| game.messages::<StreamLost>().pop());

    // Without the component the image is what it was.
    game.world().entity_mut(entity).remove::<StreamInput>();
    until_seen(&mut game, Some(&second), &plain(red));
    game.assert_valid();
}

#[test]
fn a_resized_stream_is_told_and_shown() {
    let _alone = alone();
    let mut game = Game::new();
    look(&mut game);
    let entity = sprite(&mut game, Image::transparent());
    let mut source = Source::new(&game, request(UVec2::new(32, 16)));
    source.send(&mut game);
    game.until("arrival", |game| game.messages::<StreamArrived>().pop());
    source
        .producer
        .reconfigure(request(SIZE))
        .expect("another size");
    let resized = game.until("resize", |game| {
        source.producer.dispatch().expect("it serves");
        if let Some(slot) = source.producer.try_acquire().expect("a stream") {
            source.draw(slot);
        }
        game.messages::<StreamResized>().pop()
    });
    assert_eq!((resized.entity, resized.size), (entity, SIZE));
    let image = game
        .world()
        .get::<StreamInput>(entity)
        .expect("there")
        .image
        .clone();
    let images = game.world().resource::<Assets<Image>>();
    assert_eq!(images.get(&image).expect("there").size(), SIZE);
    let last = source.send(&mut game);
    until_seen(&mut game, None, &last);
    game.assert_valid();
}

fn shows_in_turn(game: &mut Game) {
    let mut source = Source::new(game, request(SIZE));
    let mut before = None;
    for _ in 0..5 {
        let picture = source.send(game);
        until_seen(game, before.as_ref(), &picture);
        before = Some(picture);
    }
    game.assert_valid();
}

pub(crate) fn add<A: Asset>(game: &mut Game, asset: A) -> Handle<A> {
    game.world().resource_mut::<Assets<A>>().add(asset)
}

/// A material is bound once, and shows each picture all the same: here its type tells which images it has.
#[test]
fn standard_materials_show_streams() {
    let _alone = alone();
    let mut game = Game::with(|app, lucarne| {
        app.add_plugins((lucarne, crate::game::plugins()));
        app.add_plugins(StreamMaterialPlugin::<StandardMaterial>::default());
    });
    game.start();
    look_with(
        &mut game,
        (
            Camera3d::default(),
            Projection::from(OrthographicProjection::default_3d()),
            Transform::from_xyz(0.0, 0.0, 5.0),
        ),
    );
    let image = add(&mut game, Image::transparent());
    let material = StandardMaterial {
        base_color_texture: Some(image.clone()),
        unlit: true,
        ..default()
    };
    let mesh = add(&mut game, Mesh::from(Rectangle::from_size(SIZE.as_vec2())));
    let material = add(&mut game, material);
    let input = StreamInput::new("scene", image).opaque();
    game.spawn((Mesh3d(mesh), MeshMaterial3d(material), input));
    shows_in_turn(&mut game);
}

/// The same, of a type that does not tell.
#[test]
fn color_materials_show_streams() {
    let _alone = alone();
    let mut game = Game::with(|app, lucarne| {
        app.add_plugins((lucarne, crate::game::plugins()));
        let shows = |material: &ColorMaterial, image| {
            let texture = material.texture.as_ref();
            texture.is_some_and(|texture| texture.id() == image)
        };
        app.add_plugins(StreamMaterialPlugin::showing(shows));
    });
    game.start();
    look(&mut game);
    let image = add(&mut game, Image::transparent());
    let mesh = add(&mut game, Mesh::from(Rectangle::from_size(SIZE.as_vec2())));
    let material = add(&mut game, ColorMaterial::from(image.clone()));
    let input = StreamInput::new("scene", image);
    game.spawn((Mesh2d(mesh), MeshMaterial2d(material), input));
    shows_in_turn(&mut game);
}

#[test]
fn a_thousand_frames_leave_nothing_open() {
    let _alone = alone();
    let mut game = Game::new();
    look(&mut game);
    sprite(&mut game, Image::transparent());
    let round = |game: &mut Game, frames: u32| {
        let mut source = Source::new(game, request(SIZE));
        for _ in 0..frames {
            source.send(game);
            game.app.update();
        }
        drop(source);
        game.until("loss", |game| game.messages::<StreamLost>().pop());
        fds::list()
    };
    let first = round(&mut game, 20);
    for frames in [500, 500] {
        round(&mut game, frames);
    }
    let last = round(&mut game, 20);
    assert_eq!(first.len(), last.len(), "{first:?} before, {last:?} after");
    game.assert_valid();
}
