//! Bevy at both ends, in processes of their own.

use std::path::Path;

use bevy::prelude::*;
use lucarne_bevy::StreamInput;
use lucarne_tests::child;

use crate::export::{GROUND, SIZE, Scene, find};
use crate::game::{Game, alone};
use crate::import::{Screens, add, look};

const FOLDER: &str = "LUCARNE_BEVY_FOLDER";
const TEST: &str = "two::bevy_shows_what_bevy_draws_in_another_process";

/// The other process: it draws until there is a file that says stop.
fn draw(folder: &Path) {
    let mut game = Game::in_folder(folder);
    game.start();
    let scene = Scene::new(&mut game);
    let mut step = 0;
    game.until("word to stop", |game| {
        step += 1;
        scene.frame(game, step);
        folder.join("stop").exists().then_some(())
    });
    game.assert_valid();
}

#[test]
fn bevy_shows_what_bevy_draws_in_another_process() {
    if child::is(TEST) {
        let folder = std::env::var_os(FOLDER).expect("set");
        draw(Path::new(&folder));
        return;
    }
    let _alone = alone();
    let mut game = Game::new();
    let folder = game.folder.clone();
    let other = std::thread::spawn(move || {
        let folder = folder.to_str().expect("a path").to_owned();
        child::run(TEST, &[(FOLDER, &folder)])
    });
    look(&mut game);
    let image = add(&mut game, Image::transparent());
    let input = StreamInput::new("game", image.clone());
    game.spawn((Sprite::from_image(image), input));
    // Every picture since the first is whole, and the box is at more than one place.
    let mut places = Vec::new();
    game.until("pictures", |game| {
        let screens = std::mem::take(&mut game.world().resource_mut::<Screens>().0);
        for picture in screens {
            let arrived = picture.pixel(SIZE.x - 1, SIZE.y - 1)[..3] == GROUND;
            if arrived || !places.is_empty() {
                places.push(find(&picture, SIZE));
            }
        }
        places.dedup();
        (places.len() >= 20).then_some(())
    });
    std::fs::write(game.folder.join("stop"), "").expect("written");
    let other = other.join().expect("a process");
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(other.status.success(), "{said}");
    game.assert_valid();
}
