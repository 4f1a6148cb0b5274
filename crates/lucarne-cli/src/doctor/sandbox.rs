//! What this process runs in, and what that hides from it.

use std::fs;
use std::path::Path;

/// More than a name of the kind that `/run/systemd/container` holds.
const LONGEST_NAME: usize = 32;

/// Each sandbox that has left its mark below `root`, which is `/` but for tests; `is_snap` where its variables are set.
pub(super) fn look(root: &Path, is_snap: bool) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(info) = fs::read_to_string(root.join(".flatpak-info")) {
        found.extend(flatpak(&info));
    }
    if is_snap {
        found.push(
            "Snap: it hides the device nodes, unless its interface opengl is connected (sudo snap connect NAME:opengl); its \
             XDG_RUNTIME_DIR is its own, so streams meet only within it"
                .to_owned(),
        );
    }
    let engines = [(".dockerenv", "Docker"), ("run/.containerenv", "Podman")];
    let engines = engines
        .into_iter()
        .filter(|(mark, _)| root.join(mark).exists());
    found.extend(engines.map(|(_, name)| container(name)));
    if found.is_empty() {
        found.extend(other(root));
    }
    found
}

fn container(name: &str) -> String {
    format!(
        "{name}: it hides each device node that --device does not name; a filter of system calls and process numbers of its own \
         keep fetch_frame within it; streams meet others in a folder that both have (-v)"
    )
}

/// What the effective permissions leave out (flatpak-metadata(5), "Context").
fn flatpak(info: &str) -> Vec<String> {
    let devices = values(info, "devices");
    let has = |name: &str| devices.contains(&name);
    let nodes = if has("all") {
        "Flatpak with --device=all: it hides no device node"
    } else if has("dri") {
        "Flatpak with --device=dri: versions of before 2025 hide /dev/udmabuf all the same, which then takes --device=all"
    } else {
        "Flatpak without a device: it hides /dev/dri and /dev/udmabuf: flatpak override --user --device=dri APP"
    };
    let mut found = vec![nodes.to_owned()];
    let shown = values(info, "filesystems");
    // With a suffix it may be read only, where sockets work all the same.
    let streams = |one: &&str| one.split(':').next() == Some("xdg-run/lucarne");
    if !shown.iter().any(streams) {
        found.push(
            "Flatpak hides the folder where streams meet: flatpak override --user --filesystem=xdg-run/lucarne APP"
                .to_owned(),
        );
    }
    found.push("Flatpak has process numbers of its own: fetch_frame stays within it".to_owned());
    found
}

/// A list in the group Context.
fn values<'i>(info: &'i str, key: &str) -> Vec<&'i str> {
    let lines = info.lines().skip_while(|line| line.trim() != "[Context]");
    let mut group = lines.skip(1).take_while(|line| !line.starts_with('['));
    let value = group.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then_some(value)
    });
    let all = value.unwrap_or_default().split(';').map(str::trim);
    all.filter(|one| !one.is_empty()).collect()
}

/// What systemd says of a container that is none of the others.
fn other(root: &Path) -> Option<String> {
    let name = fs::read_to_string(root.join("run/systemd/container")).ok()?;
    let name = name.trim();
    let is_name = |one: char| one.is_ascii_alphanumeric() || one == '-';
    let known = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_name);
    let name = if known { name } else { "of an unknown kind" };
    Some(format!(
        "a container ({name}): it has the device nodes that it was given, and process numbers of its own"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root of a machine with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let place = root.path().join(name);
            fs::create_dir_all(place.parent().expect("a folder")).expect("made");
            fs::write(place, text).expect("written");
        }
        root
    }

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        look(root(files).path(), false)
    }

    #[test]
    fn a_machine_of_its_own_is_no_sandbox() {
        assert_eq!(found(&[("run/nothing", "")]), Vec::<String>::new());
    }

    #[test]
    fn a_flatpak_hides_what_its_permissions_leave_out() {
        let info = |context: &str| {
            let text = format!(
                "[Application]\nname=org.example.App\n\n[Context]\n{context}\n[Instance]\ndevices=all;\n"
            );
            found(&[(".flatpak-info", &text)])
        };
        let nothing = info("shared=ipc;");
        assert!(
            nothing[0].contains("hides /dev/dri and /dev/udmabuf"),
            "another group's devices are not these: {nothing:?}"
        );
        assert!(nothing[1].contains("--filesystem=xdg-run/lucarne"));
        assert!(nothing[2].contains("process numbers"));
        let dri = info("devices=dri;kvm;\nfilesystems=home;xdg-run/lucarne:ro;");
        assert!(dri[0].contains("--device=dri: versions"), "{dri:?}");
        assert_eq!(dri.len(), 2, "streams meet: {dri:?}");
        let all = info("devices=all;");
        assert!(all[0].contains("hides no device node"), "{all:?}");
    }

    #[test]
    fn containers_are_told_by_name() {
        for (mark, name) in [
            (".dockerenv", "Docker: "),
            ("run/.containerenv", "Podman: "),
        ] {
            let told = found(&[(mark, ""), ("run/systemd/container", "docker\n")]);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(name), "{told:?}");
        }
        let told = found(&[("run/systemd/container", "systemd-nspawn\n")]);
        assert!(told[0].starts_with("a container (systemd-nspawn): "));
        for odd in ["\u{1b}[2J", "alice's box", ""] {
            let told = found(&[("run/systemd/container", odd)]);
            assert!(told[0].contains("of an unknown kind"), "{told:?}");
        }
    }

    #[test]
    fn a_snap_is_told_by_its_variables() {
        let told = look(root(&[]).path(), true);
        assert!(
            told[0].contains("sudo snap connect NAME:opengl"),
            "{told:?}"
        );
    }
}
