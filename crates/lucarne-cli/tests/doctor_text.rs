//! The doctor's text: word for word, in narrow terminals, and without colours where nobody sees them.

use std::path::Path;
use std::process::{Command, Stdio};

/// A recorded or made-up machine.
fn report(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    folder.join(name).display().to_string()
}

/// What a pipe gets.
fn piped(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lucarne"))
        .arg("doctor")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("lucarne runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What a terminal with so many columns gets, which `script` (util-linux) makes.
fn in_terminal(columns: u16, arguments: &str, no_color: bool) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_lucarne");
    let command = format!("stty rows 50 cols {columns}; exec '{program}' doctor {arguments}");
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    if no_color {
        script.env("NO_COLOR", "1");
    }
    let Ok(output) = script.output() else {
        lucarne_tests::skip::skip("tool", "there is no script (util-linux)");
        return None;
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Some(text.replace("\r\n", "\n"))
}

/// The text without what colours it.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (style, rest) = part.split_once('m').expect("a colour and nothing else");
        let is_style = |one: char| one.is_ascii_digit() || one == ';';
        assert!(style.chars().all(is_style), "{style:?}");
        plain += rest;
    }
    plain
}

/// The lines of the tables: behind a title, up to an empty line.
fn tables(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for title in ["Extensions: ", "Trials: "] {
        let (_, rest) = text.split_once(&format!("\n{title}")).expect("a title");
        let lines = rest
            .lines()
            .skip(1)
            .take_while(|line| !line.trim().is_empty());
        found.extend(lines);
    }
    found
}

#[test]
fn a_recorded_machine_is_told_word_for_word() {
    for name in ["broken-gpu", "mesa-22.3.6"] {
        let file = report(&format!("{name}.json"));
        insta::assert_snapshot!(name, piped(&["--from", &file]));
    }
    let all = piped(&["--verbose", "--from", &report("broken-gpu.json")]);
    let (_, extensions) = all.split_once("\nExtensions").expect("its title");
    let (extensions, _) = extensions.split_once("\n\n").expect("an end");
    insta::assert_snapshot!("all-extensions", extensions);
}

#[test]
fn tables_keep_to_the_width_of_a_terminal() {
    let arguments = format!("--from '{}'", report("broken-gpu.json"));
    for columns in [40, 60, 80, 120] {
        for all in ["", "--verbose "] {
            let Some(text) = in_terminal(columns, &format!("{all}{arguments}"), true) else {
                return;
            };
            let lines = tables(&text);
            assert!(lines.len() > 8, "{text}");
            for line in lines {
                let width = line.trim_end().chars().count();
                assert!(width <= columns.into(), "{columns}: {line:?}");
            }
            // Words of one column stay whole.
            for word in [
                "CRASHED",
                "vulkan:0",
                "host-memory",
                "VK_EXT_queue_family_foreign",
            ] {
                assert!(text.contains(word), "{columns}: {word}: {text}");
            }
            if columns == 40 && all.is_empty() {
                insta::assert_snapshot!("forty-columns", text);
            }
        }
    }
}

#[test]
fn colours_are_for_those_who_see_them() {
    let file = report("broken-gpu.json");
    let arguments = format!("--from '{file}'");
    assert!(!piped(&["--from", &file]).contains('\x1b'), "a pipe");
    let (Some(with), Some(without)) = (
        in_terminal(100, &arguments, false),
        in_terminal(100, &arguments, true),
    ) else {
        return;
    };
    assert!(!without.contains('\x1b'), "NO_COLOR: {without:?}");
    assert!(with.contains("\x1b["), "{with:?}");
    assert_eq!(plain(&with), without, "colours change nothing else");
}
