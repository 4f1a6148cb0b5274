//! Installs what a command needs from the distribution's packages, after showing the commands and asking.

mod packages;

use std::fs;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) use packages::Purpose;

use crate::distribution::Distribution;
use crate::error::{Error, Result};
use crate::process::{self, Job};
use crate::progress::{notice, say};
use crate::workspace::Workspace;

/// The file that adds Debian 12's backports.
const SOURCES: &str = "/etc/apt/sources.list.d/lucarne-backports.sources";
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The variable that names a mirror of Debian, where apt knows none.
pub(crate) const MIRROR: &str = "LUCARNE_DEBIAN_MIRROR";

/// What the user said about installing.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Consent {
    /// Install missing packages without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Install nothing; what is missing is skipped
    #[arg(long, conflicts_with = "yes")]
    pub(crate) no_install: bool,
}

/// One command of the installation.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Apt(Vec<String>),
    /// Writes [`SOURCES`] with the machine's own mirror.
    Backports,
}

/// Makes sure that the packages are there, as far as the user lets us.
pub(crate) fn ensure(
    purpose: Purpose,
    consent: Consent,
    workspace: &Workspace,
    verbose: bool,
) -> Result<()> {
    let distribution = Distribution::detect();
    if !distribution.has_apt() {
        notice(
            "this distribution is not known here; needed are a Vulkan and an EGL driver (Mesa 24.3 or newer for \
             rendering in software) and, for all tests, Vulkan's validation layers, QEMU, a static busybox, Xvfb and Weston",
        );
        return Ok(());
    }
    let missing = packages::missing(purpose, distribution);
    if missing.is_empty() {
        warn_of_old_mesa();
        return Ok(());
    }
    let steps = plan(purpose, distribution);
    say(format!(
        "missing packages ({}): {}",
        missing.len(),
        missing.join(" ")
    ));
    if consent.no_install {
        notice("not installed, as asked");
        return Ok(());
    }
    let root = is_root();
    say("To install them:");
    for step in &steps {
        say(format!("  {}", step.shown(root)));
    }
    if !(root || consent.yes || agreed()?) {
        notice("carrying on without them");
        return Ok(());
    }
    install(&steps, root, workspace, verbose)?;
    warn_of_old_mesa();
    Ok(())
}

/// The commands, in order. Debian 12's lists must be fresh before its mirror can be read from them.
fn plan(purpose: Purpose, distribution: Distribution) -> Vec<Step> {
    let words = |text: &[&str]| Step::Apt(text.iter().map(|&w| w.to_owned()).collect());
    let mut steps = vec![words(&["update"])];
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    if let Some(release) = distribution.target_release() {
        if !has_target("$(RELEASE)", release) {
            steps.push(Step::Backports);
            steps.push(words(&["update"]));
        }
        install.extend(["--target-release", release]);
    }
    // The whole list, not what is missing: packages of one source must not come from two releases.
    install.extend(purpose.packages());
    steps.push(words(&install));
    steps
}

impl Step {
    /// As one would type it.
    fn shown(&self, root: bool) -> String {
        let sudo = if root { "" } else { "sudo " };
        match self {
            Self::Apt(words) => format!("{sudo}apt-get {}", words.join(" ")),
            Self::Backports => format!(
                "{sudo}tee {SOURCES}   (bookworm-backports, from the mirror that apt uses already)"
            ),
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Apt(words) if words[0] == "update" => "apt-get update",
            Self::Apt(_) => "apt-get install",
            Self::Backports => "adding bookworm-backports",
        }
    }
}

fn install(steps: &[Step], root: bool, workspace: &Workspace, verbose: bool) -> Result<()> {
    if !root {
        // Asks for the password now, while nothing else writes to the terminal.
        let status = Command::new("sudo").arg("-v").status();
        if !status.is_ok_and(|s| s.success()) {
            return Err(Error::unable(
                "sudo is not to be had; run the commands above as root",
            ));
        }
    }
    let log = workspace.log("install");
    for step in steps {
        let command = match step {
            Step::Apt(words) => {
                let mut command = as_root("env", root);
                command
                    .args([
                        "DEBIAN_FRONTEND=noninteractive",
                        "apt-get",
                        "-o",
                        "DPkg::Lock::Timeout=300",
                    ])
                    .args(words);
                command
            }
            Step::Backports => {
                add_backports(root)?;
                continue;
            }
        };
        let ended = Job::new(step.title(), command, log.clone(), verbose)
            .run(|line| Some(line.to_owned()))?;
        if !ended.success() {
            return Err(Error::unable(format!(
                "{} failed:\n{}",
                step.shown(root),
                process::tail(&log, 15)
            )));
        }
    }
    Ok(())
}

/// Writes the sources file through `tee`, which can be started as root.
fn add_backports(root: bool) -> Result<()> {
    let cannot = |what: &str| Error::unable(format!("cannot write {SOURCES}: {what}"));
    let mirror = mirror(&targets("$(CODENAME)|$(REPO_URI)"), &["bookworm"])
        .ok_or_else(|| cannot("apt lists no mirror of bookworm"))?;
    let mut tee = as_root("tee", root)
        .arg(SOURCES)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| cannot(&e.to_string()))?;
    if let Some(mut stdin) = tee.stdin.take() {
        stdin
            .write_all(sources(&mirror).as_bytes())
            .map_err(|e| cannot(&e.to_string()))?;
    }
    match tee.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(cannot(&status.to_string())),
        Err(error) => Err(cannot(&error.to_string())),
    }
}

fn sources(mirror: &str) -> String {
    format!(
        "# Written by `cargo xtask`: Mesa, Weston and QEMU of Debian 12 are too old for Lucarne.\n\
         Types: deb\nURIs: {mirror}\nSuites: bookworm-backports\nComponents: main\nSigned-By: {KEYRING}\n"
    )
}

/// The mirror that this machine gets Debian from, or the one that [`MIRROR`] names.
pub(crate) fn debian_mirror() -> Option<String> {
    let named = std::env::var(MIRROR).ok().filter(|uri| !uri.is_empty());
    named.or_else(|| {
        let releases = ["bookworm", "trixie", "forky", "sid"];
        mirror(&targets("$(CODENAME)|$(REPO_URI)"), &releases)
    })
}

/// The mirror of one of these releases itself out of `CODENAME|URI` lines.
fn mirror(targets: &str, releases: &[&str]) -> Option<String> {
    targets.lines().find_map(|line| {
        let (codename, uri) = line.split_once('|')?;
        (releases.contains(&codename) && !uri.is_empty()).then(|| uri.to_owned())
    })
}

fn targets(format: &str) -> String {
    process::output_of(Command::new("apt-get").args(["indextargets", "--format", format]))
        .unwrap_or_default()
}

fn has_target(field: &str, value: &str) -> bool {
    targets(field).lines().any(|line| line == value) || Path::new(SOURCES).is_file()
}

fn as_root(program: &str, root: bool) -> Command {
    if root {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.arg(program);
    sudo
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Asks; where nobody can answer that is an error, since doing half of it silently would mislead.
fn agreed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::unable(
            "run the commands above, or add --yes (installs them) or --no-install (does without)",
        ));
    }
    _ = write!(anstream::stderr(), "Install them now? [Y/n] ");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|e| Error::unable(format!("no answer: {e}")))?;
    Ok(matches!(
        answer.trim().to_lowercase().as_str(),
        "" | "y" | "yes"
    ))
}

fn warn_of_old_mesa() {
    if let Some(version) = packages::old_mesa() {
        notice(format!(
            "Mesa {version} is installed; rendering in software needs {} or newer",
            packages::MESA_NEEDED
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_is_the_machines_own() {
        let targets =
            "bookworm-security|http://s.example/security/\nbookworm|http://m.example/debian/\n";
        let found = mirror(targets, &["bookworm"]);
        assert_eq!(found.as_deref(), Some("http://m.example/debian/"));
        assert_eq!(
            mirror("trixie|http://m.example/debian/\n", &["bookworm"]),
            None
        );
        assert_eq!(mirror("", &["bookworm"]), None);
        assert!(sources("http://m.example/debian/").contains("\nURIs: http://m.example/debian/\n"));
    }

    #[test]
    fn plans_start_with_fresh_lists() {
        for (distribution, release) in [
            (Distribution::Debian, false),
            (Distribution::Bookworm, true),
        ] {
            let plan = plan(Purpose::Demo, distribution);
            assert_eq!(plan[0], Step::Apt(vec!["update".to_owned()]));
            let last = plan.last().unwrap().shown(false);
            assert!(
                last.starts_with("sudo apt-get install --yes --no-install-recommends"),
                "{last}"
            );
            assert_eq!(
                last.contains("--target-release bookworm-backports"),
                release
            );
            assert!(last.ends_with("libx11-xcb1"));
        }
    }
}
