//! Neighbours that take minutes to build, or need a library that few have: members of the workspace that plain `cargo build` leaves
//! out, each a tier of its own that runs where it is asked for.

use crate::error::Result;
use crate::process;
use crate::report::{Report, Require, Tier};
use crate::root::Root;
use crate::test;
use crate::workspace::Workspace;

/// One tier of this sort.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heavy {
    /// Its name in the table, for `--with`, and in `LUCARNE_REQUIRE`.
    pub(crate) kind: &'static str,
    /// Members of the workspace that are no default members.
    pub(crate) packages: &'static [&'static str],
    /// What it needs of the distribution beyond what all tests need.
    pub(crate) system: &'static [&'static str],
    /// A root file system that its tests need, and the variable that tells them where it is.
    pub(crate) root: Option<(Root, &'static str)>,
}

pub(crate) const HEAVY: &[Heavy] = &[BEVY, GODOT, GST, PIPEWIRE];

/// Bevy itself, and wgpu a second time, in the release that it is on.
const BEVY: Heavy = Heavy {
    kind: "bevy",
    packages: &["lucarne-bevy", "lucarne-example-bevy", "lucarne-wgpu-29"],
    system: &[],
    root: None,
};

const GODOT: Heavy = Heavy {
    kind: "godot",
    packages: &["lucarne-godot"],
    system: &[],
    root: Some((SID, "LUCARNE_GODOT_ROOT")),
};

/// Godot 4, which no release of Debian has yet, and the drivers of its days. Its programs are run without entering it.
const SID: Root = Root {
    folder: ["godot", "sid"],
    // Unpacked, and not set up.
    variant: "extract",
    suites: &["sid"],
    packages: &[
        "godot",
        "libegl-mesa0",
        "libegl1",
        "libgl1",
        "libgl1-mesa-dri",
        "libvulkan1",
        "mesa-vulkan-drivers",
    ],
    // A mirror that stands still has a release file of sid that is over its time.
    apt: &["Acquire::Check-Valid-Until \"false\""],
    last: &[
        "usr/bin/godot",
        "usr/lib/x86_64-linux-gnu/libvulkan.so.1",
        "usr/share/vulkan/icd.d/lvp_icd.json",
    ],
};

/// A plug-in, with the encoders that its page's pipelines have.
const GST: Heavy = Heavy {
    kind: "gst",
    packages: &["lucarne-gst"],
    system: &[
        "libgstreamer1.0-dev",
        "libgstreamer-plugins-base1.0-dev",
        "gstreamer1.0-tools",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-bad",
        "gstreamer1.0-plugins-ugly",
        "gstreamer1.0-libav",
        "ffmpeg",
    ],
    root: None,
};

const PIPEWIRE: Heavy = Heavy {
    kind: "pipewire",
    packages: &["lucarne-pipewire", "lucarne-pipewire-cli"],
    system: &[
        "libclang-dev",
        "libpipewire-0.3-dev",
        "pipewire",
        "pipewire-bin",
        "gstreamer1.0-pipewire",
        "gstreamer1.0-tools",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
    ],
    root: None,
};

/// Those that the user named, and those that must not be skipped.
pub(crate) fn asked(with: &[String], require: &Require) -> impl Iterator<Item = &'static Heavy> {
    HEAVY
        .iter()
        .filter(move |heavy| heavy.is_asked(with, require))
}

/// For `--with`.
pub(crate) fn kinds() -> Vec<&'static str> {
    HEAVY.iter().map(|heavy| heavy.kind).collect()
}

impl Heavy {
    fn is_asked(&self, with: &[String], require: &Require) -> bool {
        with.iter().any(|kind| kind == self.kind) || require.has(self.kind)
    }

    /// Runs it, or says how to.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        options: &test::Options,
        require: &Require,
        verbose: bool,
        report: &mut Report,
    ) -> Result<()> {
        let kind = self.kind;
        if !self.is_asked(&options.with, require) {
            let reason = format!("takes minutes to build: cargo xtask test --with {kind}");
            report.add(Tier::not_run(kind, kind, &reason, require));
            return Ok(());
        }
        let mut cargo = self.cargo(workspace, "test");
        cargo.arg("--no-run");
        let title = format!("building {kind}");
        if !test::builds(workspace, &title, cargo, verbose, report)? {
            return Ok(());
        }
        let mut cargo = self.cargo(workspace, "test");
        cargo
            .args(["--no-fail-fast", "--", "--show-output"])
            .args(&options.filter);
        if let Some((root, variable)) = &self.root {
            let log = workspace.log(&format!("root-{kind}"));
            match root.ready(&log, verbose) {
                Ok(place) => _ = cargo.env(variable, place),
                // Without it the tests skip, or fail where they must not.
                Err(error) => report.add(Tier::not_run(kind, kind, &error.to_string(), require)),
            }
        }
        let title = format!("running the tests of {kind}");
        test::reads(workspace, &title, cargo, require, verbose, report)
    }

    /// What `cargo xtask check` does for it.
    pub(crate) fn checks(&self, workspace: &Workspace) -> [(String, std::process::Command); 2] {
        let mut clippy = self.cargo(workspace, "clippy");
        clippy.args(["--all-targets", "--", "-D", "warnings"]);
        let mut doc = self.cargo(workspace, "doc");
        doc.arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings");
        [
            (format!("clippy-{}", self.kind), clippy),
            (format!("doc-{}", self.kind), doc),
        ]
    }

    fn cargo(&self, workspace: &Workspace, command: &str) -> std::process::Command {
        let mut cargo = process::cargo();
        cargo.current_dir(&workspace.root).arg(command);
        for package in self.packages {
            cargo.args(["--package", package]);
        }
        cargo
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_member_is_built_by_default_or_by_a_tier() {
        let mut cargo = process::cargo();
        // Within a member's folder, that member is the default.
        cargo
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .args(["metadata", "--no-deps", "--format-version", "1"]);
        let text = process::output_of(&mut cargo).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        let ids = |key: &str| -> BTreeSet<&str> {
            let list = metadata[key].as_array().unwrap();
            list.iter().map(|id| id.as_str().unwrap()).collect()
        };
        let packages = metadata["packages"].as_array().unwrap();
        let name = |id: &str| {
            let package = packages.iter().find(|package| package["id"] == id).unwrap();
            package["name"].as_str().unwrap()
        };
        let (all, default) = (ids("workspace_members"), ids("workspace_default_members"));
        let left_out: BTreeSet<_> = all.difference(&default).map(|id| name(id)).collect();
        let heavy: BTreeSet<_> = HEAVY.iter().flat_map(|h| h.packages).copied().collect();
        assert_eq!(left_out, heavy, "left out of default-members; in HEAVY");
    }
}
