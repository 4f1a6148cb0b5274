//! Bevy draws, others show.

use std::path::Path;

use bevy::prelude::*;
use lucarne_bevy::lucarne::{Frame, MemoryPath, Usage, cpu, egl};
use lucarne_bevy::lucarne_stream::{Consumer, ConsumerEvent, ConsumerOptions, Delivery};
use lucarne_bevy::{StreamOutput, StreamWatched};
use lucarne_examples::picture::Picture;
use lucarne_tests::engine::{self, Direction, Seen};

use crate::game::{self, Game, SOON, alone, camera, place};

const SIZE: UVec2 = UVec2::new(64, 48);
const BOX: UVec2 = UVec2::new(8, 6);
const ROW: u32 = 11;
const GROUND: [u8; 3] = [10, 20, 30];
const PAINT: [u8; 3] = [200, 100, 50];

fn color([red, green, blue]: [u8; 3]) -> Color {
    Color::srgb_u8(red, green, blue)
}

/// A camera that is a stream, and a box in front of it. Returns the box.
fn scene(game: &mut Game) -> Entity {
    game.spawn((camera(color(GROUND)), StreamOutput::new("game", SIZE)));
    game.spawn(Sprite::from_color(color(PAINT), BOX.as_vec2()))
}

fn move_to(game: &mut Game, sprite: Entity, x: u32) {
    let mut transform = game.world().get_mut::<Transform>(sprite).expect("there");
    *transform = place(SIZE, x, ROW, BOX);
}

/// Where the box is in a picture that has nothing else, each pixel of it compared.
fn find(picture: &Picture) -> u32 {
    let size = UVec2::new(picture.width(), picture.height());
    assert_eq!(size, SIZE);
    let is_box = |x: &u32| picture.pixel(*x, ROW)[..3] == PAINT;
    let left = (0..SIZE.x).find(is_box).expect("a box");
    for y in 0..SIZE.y {
        for x in 0..SIZE.x {
            let inside = (left..left + BOX.x).contains(&x) && (ROW..ROW + BOX.y).contains(&y);
            let [red, green, blue] = if inside { PAINT } else { GROUND };
            assert_eq!(picture.pixel(x, y), [red, green, blue, 255], "at {x}, {y}");
        }
    }
    left
}

#[test]
fn the_cpu_sees_what_bevy_draws() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut game = Game::new(folder.path());
    let sprite = scene(&mut game);
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory)
        .open()
        .expect("a CPU");
    let offer = device.offer(Usage::SAMPLE).expect("an offer");
    let options = ConsumerOptions::new(Delivery::Every).directory(folder.path());
    game.app.update();
    game.app.update();
    let import = |frame: &Frame| device.import(frame);
    let mut consumer =
        Consumer::connect_wait("game", &offer, options, import, SOON).expect("a stream");
    let mut seen = Vec::new();
    let mut step = 0;
    while seen.len() < 12 {
        step += 1;
        assert!(
            step < 3000,
            "{seen:?}: {:?}",
            game.messages::<lucarne_bevy::StreamRefused>()
        );
        move_to(&mut game, sprite, step % 50);
        game.app.update();
        while let Some(received) = consumer.try_receive().expect("a stream") {
            let (reading, acquire) = received.acquire();
            let (picture, done) =
                Picture::from_mapping(reading.image(), &acquire, SOON).expect("pixels");
            seen.push(find(&picture));
            reading.release(done).expect("given back");
        }
    }
    seen.dedup();
    assert!(seen.len() >= 10, "{seen:?}");
    game.assert_valid();
}
