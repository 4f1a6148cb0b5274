//! What the tests of the C interface share: the library as it would be installed, and compilers.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod frames;
pub(crate) mod programs;

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lucarne_capi::ffi::*;
use lucarne_tests::skip::skip;
use tempfile::TempDir;

/// The committed header.
pub(crate) const HEADER: &str = include_str!("../../include/lucarne.h");

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shared library that cargo has built beside this test.
pub(crate) fn library() -> PathBuf {
    let program = std::env::current_exe().expect("this program's path");
    let folder = program.parent().expect("a folder");
    let library = folder.join("liblucarne_capi.so");
    assert!(library.is_file(), "{} is not there", library.display());
    library
}

/// A folder as an installation leaves it.
pub(crate) struct Installed {
    pub(crate) folder: TempDir,
}

impl Installed {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("a folder");
            path
        };
        let (include, lib) = (make("include"), make("lib"));
        std::fs::write(include.join("lucarne.h"), HEADER).expect("written");
        for name in ["liblucarne.so", "liblucarne.so.0.1"] {
            std::os::unix::fs::symlink(library(), lib.join(name)).expect("a link");
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A program that finds the library.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", self.path().join("lib"));
        command
    }

    /// Compiles a text and runs what comes out.
    pub(crate) fn run_c(&self, name: &str, source: &str) -> Output {
        let (text, program) = (
            self.path().join(format!("{name}.c")),
            self.path().join(name),
        );
        std::fs::write(&text, source).expect("written");
        let mut compiler = Command::new("cc");
        compiler.args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-I",
        ]);
        compiler.arg(self.path().join("include")).arg(&text);
        compiler.arg("-L").arg(self.path().join("lib"));
        compiler.args(["-llucarne", "-o"]).arg(&program);
        succeed(&mut compiler);
        self.command(&program).output().expect("it runs")
    }
}

/// Runs a program that has to succeed.
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", told(&output));
    output
}

/// All that a program has said.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    format!("{}\n{out}{errors}", output.status)
}

/// Whether a program is on this machine.
pub(crate) fn exists(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Whether pkg-config finds these packages.
pub(crate) fn has_packages(names: &[&str]) -> bool {
    let mut asked = Command::new("pkg-config");
    let found = asked.arg("--exists").args(names).status();
    found.is_ok_and(|status| status.success())
}

/// The functions that a shared library shows to linkers, with their versions where they have some.
pub(crate) fn exported(library: &Path) -> Vec<String> {
    let mut nm = Command::new("nm");
    nm.args(["--dynamic", "--defined-only", "--with-symbol-versions"]);
    let output = succeed(nm.arg(library));
    let listing = String::from_utf8(output.stdout).expect("UTF-8");
    // A version is a symbol too, with an absolute value.
    let lines = listing.lines().filter(|line| !line.contains(" A "));
    let names = lines.filter_map(|line| line.split(' ').next_back());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// What `readelf` says of how a shared library is loaded.
pub(crate) fn dynamic(library: &Path) -> String {
    let mut readelf = Command::new("readelf");
    let output = succeed(readelf.arg("--dynamic").arg(library));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The name that programs find a shared library by.
pub(crate) fn soname(library: &Path) -> String {
    let dynamic = dynamic(library);
    let line = dynamic.lines().find(|line| line.contains("(SONAME)"));
    let (_, name) = line
        .and_then(|line| line.split_once('['))
        .expect("a SONAME");
    name.trim_end_matches(']').to_owned()
}

/// What a call puts into a place.
pub(crate) fn made<T>(
    call: impl FnOnce(&mut MaybeUninit<Option<Box<T>>>) -> lucarne_status,
) -> Box<T> {
    let mut place = MaybeUninit::new(None);
    let status = call(&mut place);
    assert_eq!(status, lucarne_status::Ok);
    // SAFETY: MaybeUninit::assume_init: it was initialised above, and every call writes it.
    unsafe { place.assume_init() }.expect("a handle")
}

/// What a call fills a plain value with.
pub(crate) fn filled<T>(call: impl FnOnce(&mut MaybeUninit<T>) -> lucarne_status) -> T {
    let mut place = MaybeUninit::<T>::uninit();
    // What a call leaves out is seen.
    // SAFETY: ptr::write_bytes: the place is ours.
    unsafe { place.as_mut_ptr().write_bytes(0x5a, 1) };
    assert_eq!(call(&mut place), lucarne_status::Ok);
    // SAFETY: MaybeUninit::assume_init: every byte was written above, and plain structures and numbers take any.
    unsafe { place.assume_init() }
}

/// A function that opens a device.
type Open = extern "C" fn(
    Option<&mut MaybeUninit<Option<Box<lucarne_device>>>>,
    Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status;

/// A device; `None`, and a skip in print, where the machine has none.
pub(crate) fn open(open: Open, api: &str) -> Option<Box<lucarne_device>> {
    let mut place = MaybeUninit::new(None);
    let status = open(Some(&mut place), None);
    if status == lucarne_status::Unsupported {
        skip("host-memory", &format!("no device of {api}"));
        return None;
    }
    assert_eq!(status, lucarne_status::Ok);
    // SAFETY: MaybeUninit::assume_init: initialised above, and written by the call.
    unsafe { place.assume_init() }
}

/// An image of the first device's that the second one can use, each as its usage says.
pub(crate) fn share(
    from: &lucarne_device,
    to: &lucarne_device,
    (width, height): (u32, u32),
    [producer, consumer]: [u32; 2],
) -> Box<lucarne_image> {
    let offer = made(|place| lucarne_device_offer(Some(from), producer, Some(place), None));
    let accept = made(|place| lucarne_device_offer(Some(to), consumer, Some(place), None));
    let mut request = made(|place| lucarne_request_new(width, height, Some(place), None));
    let status = lucarne_request_set_usage(Some(&mut request), producer, consumer, None);
    assert_eq!(status, lucarne_status::Ok);
    let agreement = made(|place| {
        lucarne_negotiate(
            Some(&offer),
            Some(&accept),
            Some(&request),
            Some(place),
            None,
        )
    });
    made(|place| lucarne_device_export(Some(from), Some(&agreement), Some(place), None))
}

/// A parameter of a function in the header.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    /// Without blanks before `*`.
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// A function that the header declares.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) returns: String,
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
}

/// Every function of the header.
pub(crate) fn functions() -> Vec<Function> {
    let code: Vec<&str> = HEADER
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let code = code.join(" ");
    let statements = code.split(';').map(|one| {
        // What stands before a function is another thing's end.
        let from = one.rfind(['{', '}']).map_or(0, |at| at + 1);
        one[from..].split_whitespace().collect::<Vec<_>>().join(" ")
    });
    statements.filter_map(|one| function(&one)).collect()
}

fn function(statement: &str) -> Option<Function> {
    if statement.starts_with("typedef") || statement.contains("_assert") {
        return None;
    }
    let (before, rest) = statement.split_once('(')?;
    let (returns, name) = split_name(before);
    let list = rest.strip_suffix(')')?;
    let parameters = list.split(',').map(str::trim).filter(|one| *one != "void");
    let parameter = |one: &str| {
        let (kind, name) = split_name(one);
        Parameter { kind, name }
    };
    name.starts_with("lucarne_").then(|| Function {
        returns,
        name,
        parameters: parameters.map(parameter).collect(),
    })
}

/// A type and the name behind it.
fn split_name(text: &str) -> (String, String) {
    let at = text.rfind([' ', '*']).map_or(0, |at| at + 1);
    let kind = text[..at].trim().replace(" *", "*");
    (kind, text[at..].to_owned())
}

/// The structures that the header shows from inside.
pub(crate) fn plain_structs() -> Vec<&'static str> {
    let lines = HEADER.lines();
    let ends = lines.filter_map(|line| line.strip_prefix("} ")?.strip_suffix(';'));
    ends.filter(|name| name.starts_with("lucarne_")).collect()
}
