//! Machines that lack something: mount namespaces of their own, and libraries that are stubs.

#[allow(dead_code, reason = "each test program uses a part of it")]
pub(crate) mod egl;

use std::path::Path;
use std::process::{Command, Stdio};

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) complaint: String,
    pub(crate) status: i32,
}

impl Said {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().expect("it runs");
        let utf8 = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let (text, complaint) = (utf8(output.stdout), utf8(output.stderr));
        let status = output.status.code();
        let status = status.unwrap_or_else(|| panic!("{}: {text}{complaint}", output.status));
        Self {
            text,
            complaint,
            status,
        }
    }

    pub(crate) fn assert_has(&self, part: &str, why: &str) {
        assert!(self.text.contains(part), "{why}: {part:?} in {}", self.text);
    }
}

pub(crate) fn lucarne(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lucarne"));
    command.args(arguments);
    command
}

/// A shell in a mount namespace of its own, whose `$0` is the command; nothing, said aloud, where that is not allowed.
fn namespace(script: &str) -> Option<Command> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-e", "-c"]);
    let mut may = Command::new("unshare");
    may.args([
        "--mount",
        "--propagation",
        "private",
        "mount",
        "-t",
        "tmpfs",
        "none",
        "/mnt",
    ]);
    let allowed = may.stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        let reason = "only root may mount, in a namespace of its own (unshare --mount)";
        lucarne_tests::skip::skip("privilege", reason);
        return None;
    }
    unshare.args([script, env!("CARGO_BIN_EXE_lucarne")]);
    Some(unshare)
}

/// The doctor where these folders and these files are empty.
pub(crate) fn hidden(folders: &[&str], files: &[&str]) -> Option<Said> {
    let folders = folders.iter().filter(|folder| Path::new(folder).is_dir());
    let folders = folders.map(|folder| format!("mount -t tmpfs none {folder}\n"));
    let files = files
        .iter()
        .map(|file| format!("mount --bind /dev/null {file}\n"));
    let script: String = folders.chain(files).collect();
    let mut command = namespace(&(script + "exec \"$0\" doctor"))?;
    Some(Said::of(&mut command))
}

/// The doctor of an ordinary user with a `/dev` of its own, in which `node` has made nodes below `dev`, and with these further
/// groups. Nothing is emulated.
pub(crate) fn without_dev(node: &str, groups: &str) -> Option<Said> {
    let script = format!(
        "mount -t tmpfs none /mnt
        cd /mnt
        cp /etc/group group
        printf '{groups}' >> group
        mkdir -m 755 dev
        for name in null zero full random urandom tty; do
            touch dev/$name
            mount --bind /dev/$name dev/$name
        done
        mkdir -m 1777 dev/shm
        {node}
        mount --bind group /etc/group
        mount --rbind dev /dev
        cd /
        exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$0\" doctor"
    );
    let mut command = namespace(&script)?;
    Some(Said::of(command.env_remove("LD_PRELOAD")))
}

/// The doctor, which tries nothing, in a root that has what this machine's has, but for hidden files and `/run`; these folders
/// are empty there, and then these files are written, with `printf`'s escapes.
pub(crate) fn rooted(files: &[(&str, &str)], emptied: &[&str]) -> Option<Said> {
    let emptied = emptied
        .iter()
        .map(|folder| format!("mount -t tmpfs none /mnt/{folder}\n"));
    let files = files
        .iter()
        .map(|(name, text)| format!("mkdir -p $(dirname {name})\nprintf '{text}' > {name}\n"));
    let script = format!(
        "mount -t tmpfs none /mnt
        for name in /*; do
            case $name in /mnt | /run) continue ;; esac
            if [ -L $name ]; then
                cp -P $name /mnt$name
            elif [ -d $name ]; then
                mkdir /mnt$name
                mount --rbind $name /mnt$name
            fi
        done
        mkdir /mnt/run
        cd /mnt
        {}exec chroot /mnt \"$0\" doctor --no-trials",
        emptied.chain(files).collect::<String>()
    );
    Some(Said::of(&mut namespace(&script)?))
}

/// A disk that does not take a page.
pub(crate) struct Disk {
    pub(crate) options: &'static str,
    pub(crate) complaint: &'static str,
}

impl Disk {
    /// The page of a recorded report, written there; and what is left behind.
    pub(crate) fn write_page(&self, report: &str) -> Option<Said> {
        let script = format!(
            "mount -t tmpfs -o {} none /mnt
            status=0
            \"$0\" doctor --from {report} --html /mnt/report.html || status=$?
            echo left: $(ls -A /mnt)
            exit $status",
            self.options
        );
        Some(Said::of(&mut namespace(&script)?))
    }
}

/// Compiles a library.
pub(crate) fn compile(code: &str, library: &Path) {
    let source = library.with_extension("rs");
    std::fs::write(&source, code).expect("written");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(compiler)
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "stub",
            "--crate-type",
            "cdylib",
            "-o",
        ])
        .args([library, &source])
        .env_remove("LD_PRELOAD")
        .status();
    assert!(status.expect("rustc runs").success());
}
