//! The other examples run, and find the pixels that they look for.

use lucarne_examples::picture::Picture;
use std::process::Command;

fn run(command: &mut Command) -> String {
    let ended = command.output().expect("cargo built it");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8(ended.stdout).expect("text")
}

#[test]
fn render_then_share() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    let said = run(Command::new(env!("CARGO_BIN_EXE_render-then-share")).arg(&path));
    assert!(
        said.starts_with("3 frames through ") && said.contains("3 imports"),
        "{said}"
    );
    assert_eq!(Picture::load(&path).unwrap().width(), 640);
}

#[test]
fn bring_your_own_device() {
    let said = run(&mut Command::new(env!(
        "CARGO_BIN_EXE_bring-your-own-device"
    )));
    assert!(said.contains("64000 orange pixels through "), "{said}");
}
