//! The doctor in sandboxes, under Yama, and with variables that change drivers.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod machines;

use machines::{Said, lucarne, rooted};

/// The lines of this name, each with those that belong to it.
fn fields(said: &Said, name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in said.text.lines() {
        let begins = line.starts_with("  ") && !line.starts_with("   ");
        if begins {
            is_inside = line.trim_start().split(' ').next() == Some(name);
            if is_inside {
                found.push(line.to_owned());
            }
        } else if is_inside && line.starts_with("   ") {
            if let Some(last) = found.last_mut() {
                last.push_str(line);
            }
        } else {
            is_inside = false;
        }
    }
    found
}

#[test]
fn no_sandbox_is_told_where_there_is_none() {
    let Some(said) = rooted(&[], &[]) else {
        return;
    };
    assert_eq!(fields(&said, "inside"), Vec::<String>::new());
    assert_eq!(said.status, 0, "{}", said.text);
}

#[test]
fn a_flatpak_is_told_with_what_it_hides() {
    let info =
        |context: &str| format!("[Application]\\nname=org.example.App\\n[Context]\\n{context}\\n");
    let root = |context: &str| rooted(&[(".flatpak-info", &info(context))], &[]);
    let Some(said) = root("shared=ipc;") else {
        return;
    };
    let inside = fields(&said, "inside");
    assert!(
        inside[0]
            .contains("it hides /dev/dri and /dev/udmabuf: flatpak override --user --device=dri"),
        "{inside:?}"
    );
    assert!(
        inside[1].contains("--filesystem=xdg-run/lucarne"),
        "{inside:?}"
    );
    assert!(
        inside[2].contains("fetch_frame stays within it"),
        "{inside:?}"
    );
    let said = root("devices=dri;\\nfilesystems=xdg-run/lucarne;").expect("as above");
    let inside = fields(&said, "inside");
    assert!(
        inside[0].contains("Flatpak with --device=dri"),
        "{inside:?}"
    );
    assert_eq!(inside.len(), 2, "streams meet: {inside:?}");
    assert!(!said.text.contains("org.example"), "{}", said.text);
}

#[test]
fn containers_are_told_with_what_they_hide() {
    for (mark, name) in [(".dockerenv", "Docker"), ("run/.containerenv", "Podman")] {
        let Some(said) = rooted(&[(mark, "")], &[]) else {
            return;
        };
        let inside = fields(&said, "inside");
        assert_eq!(inside.len(), 1, "{inside:?}");
        assert!(
            inside[0].contains(&format!(
                "{name}: it hides each device node that --device does not name"
            )),
            "{inside:?}"
        );
    }
}

#[test]
fn a_snap_is_told_with_what_it_hides() {
    let said = Said::of(lucarne(&["doctor", "--no-trials"]).env("SNAP", "/snap/example/1"));
    let inside = fields(&said, "inside").concat();
    assert!(inside.contains("sudo snap connect NAME:opengl"), "{inside}");
    let said = Said::of(lucarne(&["doctor", "--no-trials"]).env_remove("SNAP"));
    assert!(!said.text.contains("Snap"), "{}", said.text);
}

#[test]
fn yama_is_told_with_who_may_still_fetch() {
    for (scope, told) in [
        ("0", "yes"),
        ("1", "only from one's own children, or with allow_fetch_by"),
        ("2", "only with CAP_SYS_PTRACE"),
        ("3", "from nobody"),
    ] {
        let Some(said) = rooted(
            &[("proc/sys/kernel/yama/ptrace_scope", scope)],
            &["proc/sys/kernel"],
        ) else {
            return;
        };
        let can = fields(&said, "can");
        let fetching = can
            .iter()
            .find(|one| one.contains("fetching from any process"));
        let fetching = fetching.unwrap_or_else(|| panic!("{can:?}"));
        assert!(fetching.contains(told), "{scope}: {fetching}");
        let works = fetching.contains("of this user: yes");
        assert_eq!(works, scope == "0", "{fetching}");
    }
}

#[test]
fn variables_are_told_with_what_they_do_and_without_what_is_personal() {
    let mut command = lucarne(&["doctor", "--no-trials"]);
    command
        .env("MESA_LOADER_DRIVER_OVERRIDE", "zink")
        .env("VK_LOADER_LAYERS_DISABLE", "~implicit~")
        .env("LD_LIBRARY_PATH", "/home/alice/lib:/usr/lib")
        .env("VK_ADD_LAYER_PATH", "/home/alice/layers");
    let said = Said::of(&mut command);
    let told = fields(&said, "variable");
    for (value, effect) in [
        (
            "MESA_LOADER_DRIVER_OVERRIDE=zink ",
            "→ Mesa takes this OpenGL driver",
        ),
        (
            "VK_LOADER_LAYERS_DISABLE=~implicit~ ",
            "→ Vulkan programs run without layers",
        ),
        (
            "LD_LIBRARY_PATH=(a path):/usr/lib ",
            "→ programs look here first",
        ),
        (
            "VK_ADD_LAYER_PATH=(a path) ",
            "→ Vulkan looks for explicit layers here as well",
        ),
    ] {
        let both = |one: &&String| one.contains(value) && one.contains(effect);
        assert!(told.iter().any(|one| both(&one)), "{value}: {told:?}");
    }
    assert!(!said.text.contains("alice"), "{}", said.text);
    let mut command = lucarne(&["doctor", "--no-trials"]);
    let said = Said::of(command.env_remove("MESA_LOADER_DRIVER_OVERRIDE"));
    assert!(!said.text.contains("MESA_LOADER"), "{}", said.text);
}
