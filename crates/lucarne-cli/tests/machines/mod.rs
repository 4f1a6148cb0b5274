//! Machines that lack something: mount namespaces of their own, and libraries that are stubs.

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
        let required = std::env::var("LUCARNE_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|kind| kind == "privilege"),
            "{reason}"
        );
        eprintln!("skipped: privilege: {reason}");
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

/// The functions of EGL 1.5, each of which a program may look for when it loads the library.
const EGL: [&str; 42] = [
    "eglBindAPI",
    "eglBindTexImage",
    "eglChooseConfig",
    "eglClientWaitSync",
    "eglCopyBuffers",
    "eglCreateContext",
    "eglCreateImage",
    "eglCreatePbufferFromClientBuffer",
    "eglCreatePbufferSurface",
    "eglCreatePixmapSurface",
    "eglCreatePlatformPixmapSurface",
    "eglCreatePlatformWindowSurface",
    "eglCreateSync",
    "eglCreateWindowSurface",
    "eglDestroyContext",
    "eglDestroyImage",
    "eglDestroySurface",
    "eglDestroySync",
    "eglGetConfigAttrib",
    "eglGetConfigs",
    "eglGetCurrentContext",
    "eglGetCurrentDisplay",
    "eglGetCurrentSurface",
    "eglGetDisplay",
    "eglGetError",
    "eglGetPlatformDisplay",
    "eglGetSyncAttrib",
    "eglInitialize",
    "eglMakeCurrent",
    "eglQueryAPI",
    "eglQueryContext",
    "eglQuerySurface",
    "eglReleaseTexImage",
    "eglReleaseThread",
    "eglSurfaceAttrib",
    "eglSwapBuffers",
    "eglSwapInterval",
    "eglTerminate",
    "eglWaitClient",
    "eglWaitGL",
    "eglWaitNative",
    "eglWaitSync",
];

/// Makes a `libEGL.so.1` in this folder that has these client extensions, and no device.
pub(crate) fn stub(folder: &Path, extensions: &str) {
    let nothing = EGL.map(|name| {
        format!("#[unsafe(no_mangle)] pub extern \"C\" fn {name}() -> usize {{ 0 }}\n")
    });
    let code = nothing.concat()
        + &format!(
            "#[unsafe(no_mangle)] pub extern \"C\" fn eglQueryString(_: usize, _: i32) -> *const u8 {{ c\"{extensions}\".as_ptr().cast() }}
            extern \"C\" fn devices(_: i32, _: usize, count: *mut i32) -> u32 {{ unsafe {{ *count = 0 }}; 1 }}
            #[unsafe(no_mangle)] pub extern \"C\" fn eglGetProcAddress(name: *const std::ffi::c_char) -> usize {{
                if unsafe {{ std::ffi::CStr::from_ptr(name) }} == c\"eglQueryDevicesEXT\" {{ devices as *const () as usize }} else {{ 0 }}
            }}"
        );
    compile(&code, &folder.join("libEGL.so.1"));
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
