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

/// Once more with the validation layer where it is installed, which prints what it finds.
#[test]
fn own_submission() {
    let mut example = Command::new(env!("CARGO_BIN_EXE_own-submission"));
    let said = run(&mut example);
    assert!(
        said.starts_with("576000 pixels of 9 frames through "),
        "{said}"
    );
    let validated = example
        .env("VK_INSTANCE_LAYERS", "VK_LAYER_KHRONOS_validation")
        .output();
    let validated = validated.expect("as before");
    if !validated.status.success() {
        let why = String::from_utf8_lossy(&validated.stderr);
        assert!(why.contains("LAYER_NOT_PRESENT"), "{why}");
        eprintln!("skipped: validation: {why}");
        return;
    }
    let said = String::from_utf8_lossy(&validated.stdout);
    // The layer's mistake about drivers that hide their modifiers' features (docs/adr/0005-validation-exception.md).
    let ours = |line: &&str| line.contains("Validation") && !line.contains("FeatureFlags (0x0)");
    let reports: Vec<&str> = said.lines().filter(ours).collect();
    assert!(reports.is_empty(), "{reports:#?}");
}
