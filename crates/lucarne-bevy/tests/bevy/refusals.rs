//! What cannot work is told once, and the game goes on.

use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::settings::WgpuSettings;
use lucarne_bevy::lucarne::{Agreement, Extent, Format, Request, Usage, cpu};
use lucarne_bevy::lucarne_stream::{Producer, ProducerOptions};
use lucarne_bevy::{StreamArrived, StreamInput, StreamOutput, StreamRefused};

use crate::game::{Game, SOON, alone, camera, plugins};

const SIZE: UVec2 = UVec2::new(64, 48);

/// The one refusal that comes, and after it none in a hundred frames.
fn refusal(game: &mut Game) -> StreamRefused {
    let refused = game.until("refusal", |game| game.messages::<StreamRefused>().pop());
    for _ in 0..100 {
        game.app.update();
    }
    assert_eq!(game.messages::<StreamRefused>(), []);
    refused
}

fn output(game: &mut Game, name: &str, size: UVec2) -> Entity {
    let output = StreamOutput::new(name, size);
    game.spawn((Camera2d, camera(Color::BLACK), output))
}

fn input(game: &mut Game, opaque: bool) -> Entity {
    let image = game
        .world()
        .resource_mut::<Assets<Image>>()
        .add(Image::transparent());
    let mut input = StreamInput::new("scene", image);
    input.opaque = opaque;
    game.spawn(input)
}

/// A producer of the CPU's, of these formats, that sends one frame to each consumer as soon as there is one.
fn serve(game: &mut Game, formats: &[Format], mut until: impl FnMut(&mut Game) -> bool) {
    let adapter = cpu::Adapter::new(cpu::Allocator::HostMemory);
    let device = adapter.open().expect("a CPU");
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let request = Request::new(Extent::new(SIZE.x, SIZE.y)).formats(formats);
    let options = ProducerOptions::of(request)
        .patience(SOON)
        .directory(&game.folder);
    let allocate = |agreement: &Agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let mut producer = Producer::bind("scene", &offer, options, allocate).expect("a free name");
    game.until("answer", |game| {
        producer.dispatch().expect("it serves");
        if let Some(slot) = producer.try_acquire().expect("a stream") {
            let row = vec![255; slot.image().row_bytes(0)];
            let written = slot
                .image()
                .write(slot.gate(), SOON, |rows| rows.write_row(0, 0, &row));
            let now = lucarne_bevy::lucarne_stream::now();
            producer
                .send(slot, written.expect("written"), now)
                .expect("sent");
        }
        until(game).then_some(())
    });
}

#[test]
fn a_game_without_a_device_is_told() {
    let _alone = alone();
    let mut game = Game::with(|app, lucarne| {
        let nothing = WgpuSettings {
            backends: None,
            ..default()
        };
        let render = RenderPlugin {
            render_creation: nothing.into(),
            ..default()
        };
        app.add_plugins((lucarne, plugins().set(render)));
    });
    game.start();
    let entity = output(&mut game, "game", SIZE);
    let refused = refusal(&mut game);
    assert_eq!((refused.entity, refused.name.as_str()), (entity, "game"));
    assert!(
        refused.reason.contains("no device to render with"),
        "{refused:?}"
    );
}

/// The device was opened before Lucarne could add anything: what it lacks is named.
#[test]
fn a_plugin_that_comes_too_late_names_what_is_missing() {
    let _alone = alone();
    let mut game = Game::with(|app, lucarne| {
        app.add_plugins((plugins(), lucarne));
    });
    game.start();
    let entity = input(&mut game, false);
    let mut told = Vec::new();
    serve(&mut game, &[Format::ABGR8888], |game| {
        told.extend(game.messages::<StreamRefused>());
        !told.is_empty()
    });
    assert_eq!(told[0].entity, entity);
    assert!(
        told[0].reason.contains("VK_EXT_external_memory_host"),
        "{told:?}"
    );
}

#[test]
fn names_and_sizes_that_cannot_be_are_told() {
    let _alone = alone();
    let mut game = Game::new();
    output(&mut game, "game", SIZE);
    game.app.update();
    game.app.update();
    assert_eq!(game.messages::<StreamRefused>(), []);
    let second = output(&mut game, "game", SIZE);
    let refused = refusal(&mut game);
    assert_eq!(refused.entity, second);
    assert!(refused.reason.contains("game"), "{refused:?}");

    let bad = output(&mut game, "a/b", SIZE);
    let refused = refusal(&mut game);
    assert_eq!((refused.entity, refused.name.as_str()), (bad, "a/b"));

    let empty = output(&mut game, "empty", UVec2::new(0, 48));
    let refused = refusal(&mut game);
    assert_eq!(refused.entity, empty);
    assert!(refused.reason.contains("width is 0"), "{refused:?}");

    let huge = output(&mut game, "huge", UVec2::new(1 << 20, 48));
    let refused = refusal(&mut game);
    assert_eq!(refused.entity, huge);
    assert!(refused.reason.contains("1048576"), "{refused:?}");
}

/// A sprite would see padding as alpha …
#[test]
fn padding_is_not_for_sprites() {
    let _alone = alone();
    let mut game = Game::new();
    let sprite = input(&mut game, false);
    let mut refused = Vec::new();
    serve(&mut game, &[Format::XBGR8888], |game| {
        refused.extend(game.messages::<StreamRefused>());
        !refused.is_empty()
    });
    assert_eq!(refused[0].entity, sprite);
    assert!(refused[0].reason.contains("XBGR8888"), "{refused:?}");
}

/// … and an opaque material does not look.
#[test]
fn padding_is_for_opaque_materials() {
    let _alone = alone();
    let mut game = Game::new();
    let material = input(&mut game, true);
    let mut arrived = Vec::new();
    serve(&mut game, &[Format::XBGR8888], |game| {
        arrived.extend(game.messages::<StreamArrived>());
        !arrived.is_empty()
    });
    assert_eq!(arrived[0].entity, material);
}
