//! Bevy draws, others show.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bevy::prelude::*;
use bevy::render::view::ViewTarget;
use bevy::render::{Render, RenderApp, RenderSystems};
use lucarne_bevy::lucarne::{Extent, Frame, MemoryPath, Offer, Usage, cpu};
use lucarne_bevy::lucarne_stream::{Consumer, ConsumerEvent, ConsumerOptions, Delivery, Import};
use lucarne_bevy::{StreamOutput, StreamWatched};
use lucarne_examples::picture::Picture;
use lucarne_tests::engine::{self, Direction, Seen};
use lucarne_tests::fds;
use lucarne_tests::skip::skip;

use crate::game::{Game, SOON, alone, camera, open_gl, place};

pub(crate) const SIZE: UVec2 = UVec2::new(64, 48);
const BOX: UVec2 = UVec2::new(8, 6);
const ROW: u32 = 11;
pub(crate) const GROUND: [u8; 3] = [10, 20, 30];
const PAINT: [u8; 3] = [200, 100, 50];

fn color([red, green, blue]: [u8; 3]) -> Color {
    Color::srgb_u8(red, green, blue)
}

/// A camera that is a stream, and a box in front of it.
pub(crate) struct Scene {
    camera: Entity,
    sprite: Entity,
    size: UVec2,
}

impl Scene {
    pub(crate) fn new(game: &mut Game) -> Self {
        let output = StreamOutput::new("game", SIZE);
        let camera = game.spawn((Camera2d, camera(color(GROUND)), output));
        let sprite = game.spawn(Sprite::from_color(color(PAINT), BOX.as_vec2()));
        Self {
            camera,
            sprite,
            size: SIZE,
        }
    }

    /// Runs a frame with the box at this column.
    pub(crate) fn frame(&self, game: &mut Game, step: u32) {
        let mut transform = game.world().get_mut::<Transform>(self.sprite);
        let transform = transform.as_deref_mut().expect("there");
        *transform = place(self.size, step % (SIZE.x - BOX.x), ROW, BOX);
        game.app.update();
    }

    fn resize(&mut self, game: &mut Game, size: UVec2) {
        self.size = size;
        let mut output = game.world().get_mut::<StreamOutput>(self.camera);
        output.as_deref_mut().expect("there").size = size;
    }
}

/// Where the box is in a picture that has nothing else, each pixel of it compared.
pub(crate) fn find(picture: &Picture, size: UVec2) -> u32 {
    assert_eq!(UVec2::new(picture.width(), picture.height()), size);
    let is_box = |x: &u32| picture.pixel(*x, ROW)[..3] == PAINT;
    let left = (0..size.x).find(is_box).expect("a box");
    for y in 0..size.y {
        for x in 0..size.x {
            let inside = (left..left + BOX.x).contains(&x) && (ROW..ROW + BOX.y).contains(&y);
            let [red, green, blue] = if inside { PAINT } else { GROUND };
            assert_eq!(picture.pixel(x, y), [red, green, blue, 255], "at {x}, {y}");
        }
    }
    left
}

/// Runs frames while `watch` watches the stream on a thread of its own, as another process would; what it returns.
fn watched<T: Send + 'static>(
    game: &mut Game,
    scene: &Scene,
    watch: impl FnOnce(PathBuf) -> T + Send + 'static,
) -> T {
    let folder = game.folder.clone();
    let watching = std::thread::spawn(move || watch(folder));
    let mut step = 0;
    game.until("end of the consumer", |game| {
        step += 1;
        scene.frame(game, step);
        watching.is_finished().then_some(())
    });
    match watching.join() {
        Ok(seen) => seen,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn connect<A: Import>(folder: PathBuf, offer: &Offer, import: A) -> Consumer<A> {
    let options = ConsumerOptions::new(Delivery::Every).directory(folder);
    Consumer::connect_wait("game", offer, options, import, SOON).expect("a stream")
}

/// Watches with the CPU until `look` has enough.
fn watch_with_the_cpu(folder: PathBuf, mut look: impl FnMut(&Picture) -> bool) {
    let adapter = cpu::Adapter::new(cpu::Allocator::HostMemory);
    let device = adapter.open().expect("a CPU");
    let offer = device.offer(Usage::SAMPLE).expect("an offer");
    let mut consumer = connect(folder, &offer, |frame: &Frame| device.import(frame));
    let mut more = true;
    while more {
        let (reading, acquire) = consumer.receive(SOON).expect("a frame").acquire();
        let image = reading.image();
        let (picture, done) = Picture::from_mapping(image, &acquire, SOON).expect("pixels");
        more = look(&picture);
        reading.release(done).expect("given back");
    }
}

/// What a consumer was told of how frames come: their path and their fences.
fn arrangement<A: Import>(consumer: &mut Consumer<A>) -> (MemoryPath, String) {
    while let Some(event) = consumer.event() {
        if let ConsumerEvent::Generation {
            rung,
            acquire,
            release,
            ..
        } = event
        {
            return (rung.path(), engine::fences_of(&acquire, &release));
        }
    }
    panic!("no generation");
}

/// The box moves from picture to picture.
fn assert_moving(mut places: Vec<u32>) {
    let frames = places.len();
    places.dedup();
    assert!(places.len() * 2 > frames, "{places:?}");
}

#[test]
fn the_cpu_sees_what_bevy_draws() {
    let _alone = alone();
    let mut game = Game::new();
    let scene = Scene::new(&mut game);
    let places = watched(&mut game, &scene, |folder| {
        let mut places = Vec::new();
        watch_with_the_cpu(folder, |picture| {
            places.push(find(picture, SIZE));
            places.len() < 20
        });
        places
    });
    assert_moving(places);
    game.assert_valid();
}

/// What OpenGL has seen.
struct Shown {
    places: Vec<u32>,
    path: MemoryPath,
    fences: String,
    copies: u32,
    emulated: bool,
}

fn watch_with_opengl(folder: PathBuf, path: MemoryPath) -> Shown {
    let gl = open_gl();
    let mut offer = gl.offer(Usage::SAMPLE).expect("an offer");
    offer.entries.retain(|entry| entry.path == path);
    let mut consumer = connect(folder, &offer, |frame: &Frame| gl.import(frame));
    let (mut places, mut copies, mut emulated) = (Vec::new(), 0, false);
    while places.len() < 20 {
        let (reading, ready) = consumer.receive(SOON).expect("a frame").acquire();
        gl.read(reading.image(), &ready, SOON).expect("a turn");
        let texels = gl.download(reading.image()).expect("pixels");
        let picture = Picture::from_shader(Extent::new(SIZE.x, SIZE.y), &texels);
        places.push(find(&picture.expect("its size"), SIZE));
        copies = reading.image().copies_per_frame();
        emulated = reading.frame().is_emulated();
        let fence = gl.fence(SOON).expect("a fence");
        reading.release(fence).expect("given back");
    }
    let (path, fences) = arrangement(&mut consumer);
    Shown {
        places,
        path,
        fences,
        copies,
        emulated,
    }
}

fn opengl_sees(path: MemoryPath) {
    let _alone = alone();
    let mut game = Game::new();
    let scene = Scene::new(&mut game);
    let shown = watched(&mut game, &scene, move |folder| {
        watch_with_opengl(folder, path)
    });
    assert_eq!(shown.path, path);
    engine::record(&Seen {
        engine: "Bevy".to_owned(),
        version: game.version(),
        direction: Direction::Export,
        path,
        fences: shown.fences,
        // Those of OpenGL: Bevy's own side makes none, as lucarne-wgpu refuses textures that would.
        copies: shown.copies,
        pixels: shown.places.len() as u64 * u64::from(SIZE.x * SIZE.y),
        driver: engine::driver(&game.driver(), shown.emulated),
    });
    assert_moving(shown.places);
    game.assert_valid();
}

#[test]
fn opengl_sees_what_bevy_draws_in_dma_bufs() {
    let support = open_gl().offer(Usage::SAMPLE).expect("an offer");
    let support = support.path(MemoryPath::DmaBuf);
    if !support.is_yes() {
        return skip("dma-buf", &support.reason());
    }
    opengl_sees(MemoryPath::DmaBuf);
}

#[test]
fn opengl_sees_what_bevy_draws_in_host_memory() {
    opengl_sees(MemoryPath::HostMemory);
}

#[test]
fn a_resized_output_is_a_new_generation() {
    let _alone = alone();
    let mut game = Game::new();
    let mut scene = Scene::new(&mut game);
    // The size that is to come, and how many right pictures of it came.
    let asked = Arc::new(Mutex::new(Some((SIZE, 0))));
    let answers = Arc::clone(&asked);
    let folder = game.folder.clone();
    let watching = std::thread::spawn(move || {
        watch_with_the_cpu(folder, |picture| {
            let size = UVec2::new(picture.width(), picture.height());
            let mut asked = answers.lock().expect("no panic");
            if let Some((wanted, right)) = asked.as_mut()
                && *wanted == size
            {
                find(picture, size);
                *right += 1;
            }
            asked.is_some()
        });
    });
    for size in [SIZE, UVec2::new(100, 70), UVec2::new(64, 20), SIZE] {
        scene.resize(&mut game, size);
        *asked.lock().expect("no panic") = Some((size, 0));
        let mut step = 0;
        game.until("pictures of the new size", |game| {
            step += 1;
            scene.frame(game, step);
            let asked = asked.lock().expect("no panic");
            asked.is_some_and(|(_, right)| right >= 5).then_some(())
        });
    }
    *asked.lock().expect("no panic") = None;
    game.until("end of the consumer", |game| {
        scene.frame(game, 1);
        watching.is_finished().then_some(())
    });
    watching.join().expect("right pictures");
    game.assert_valid();
}

/// How many cameras Bevy draws is counted in the render world.
fn count_drawn(game: &mut Game) -> Arc<AtomicUsize> {
    let drawn = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&drawn);
    let count = move |targets: Query<&ViewTarget>| {
        counter.fetch_add(targets.iter().count(), Ordering::Relaxed);
    };
    let render = game.app.sub_app_mut(RenderApp);
    render.add_systems(Render, count.in_set(RenderSystems::Cleanup));
    drawn
}

#[test]
fn a_camera_that_nobody_watches_is_not_drawn() {
    let _alone = alone();
    let mut game = Game::starting();
    let drawn = count_drawn(&mut game);
    game.start();
    let scene = Scene::new(&mut game);
    for step in 0..20 {
        scene.frame(&mut game, step);
    }
    assert_eq!(drawn.load(Ordering::Relaxed), 0);
    let mut left = 3;
    watched(&mut game, &scene, move |folder| {
        watch_with_the_cpu(folder, |_| {
            left -= 1;
            left > 0
        });
    });
    assert!(drawn.load(Ordering::Relaxed) >= 3);
    let gone = game.until("message that it is alone", |game| {
        let watched = game.messages::<StreamWatched>();
        watched.into_iter().find(|one| one.consumers == 0)
    });
    assert_eq!((gone.entity, gone.name.as_str()), (scene.camera, "game"));
    // Those under way.
    scene.frame(&mut game, 0);
    scene.frame(&mut game, 0);
    let before = drawn.load(Ordering::Relaxed);
    for step in 0..20 {
        scene.frame(&mut game, step);
    }
    assert_eq!(drawn.load(Ordering::Relaxed), before);
}

#[test]
fn a_thousand_frames_and_four_consumers_leave_nothing_open() {
    let _alone = alone();
    let mut game = Game::new();
    let mut scene = Scene::new(&mut game);
    let mut round = |game: &mut Game, frames: usize, size: UVec2| {
        scene.resize(game, size);
        let mut left = frames;
        watched(game, &scene, move |folder| {
            watch_with_the_cpu(folder, |_| {
                left -= 1;
                left > 0
            });
        });
        game.until("message that it is alone", |game| {
            let watched = game.messages::<StreamWatched>();
            watched.iter().any(|one| one.consumers == 0).then_some(())
        });
        fds::list()
    };
    let first = round(&mut game, 50, SIZE);
    for frames in [500, 100, 450] {
        round(&mut game, frames, SIZE);
    }
    let last = round(&mut game, 50, SIZE);
    assert_eq!(first.len(), last.len(), "{first:?} before, {last:?} after");
    game.assert_valid();
}
