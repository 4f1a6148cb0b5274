//! The programs of `examples/c`, compiled by the lines of their README.

use std::path::PathBuf;
use std::process::Command;

use lucarne_tests::skip::skip_case;

use super::{Installed, root, succeed};

/// Programs by what they are compiled with besides the library: the header, and its package.
const HEADERS: [(&str, &str, &str); 2] = [
    ("-lvulkan", "vulkan/vulkan.h", "libvulkan-dev"),
    ("-lEGL", "EGL/eglext.h", "libegl-dev"),
];

/// One line of the README.
pub(crate) struct Line {
    pub(crate) program: String,
    text: String,
}

/// The lines that compile the programs.
pub(crate) fn lines() -> Vec<Line> {
    let page = std::fs::read_to_string(root().join("examples/c/README.md")).expect("the README");
    let lines = page.lines().filter(|line| line.starts_with("cc "));
    let lines = lines.map(|line| {
        let (_, program) = line.rsplit_once(" -o ").expect("a program's name");
        Line {
            program: program.to_owned(),
            text: line.to_owned(),
        }
    });
    lines.collect()
}

/// The header that a line needs and this machine lacks.
fn lacks(line: &Line) -> Option<(&'static str, &'static str)> {
    let needed = HEADERS.iter().filter(|(flag, ..)| line.text.contains(flag));
    let mut missing = needed.filter(|(_, header, _)| {
        let mut compiler = Command::new("cc");
        compiler.args(["-E", "-include", header, "-x", "c", "/dev/null"]);
        !compiler
            .output()
            .is_ok_and(|output| output.status.success())
    });
    missing
        .next()
        .map(|(_, header, package)| (*header, *package))
}

/// Runs a line in the sources' folder, by another compiler, and has the program put elsewhere.
fn compile(installed: &Installed, line: &Line, compiler: &str, flags: &str) -> PathBuf {
    let place = installed.path().join(&line.program);
    let source = format!("{}.c", line.program);
    let is_cpp = compiler.ends_with("++");
    let text = line
        .text
        .replacen("cc ", &format!("{compiler} {flags} "), 1);
    let text = text.replace(
        &format!("-o {}", line.program),
        &format!("-o '{}'", place.display()),
    );
    let text = if is_cpp {
        text.replace("-std=c11", "-std=c++17").replace(
            &format!(" {source} "),
            &format!(" -x c++ {source} -x none "),
        )
    } else {
        text
    };
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &text])
        .current_dir(root().join("examples/c"))
        .env("PREFIX", installed.path());
    succeed(&mut shell);
    place
}

/// Compiles a line; where a header is missing it says so, as a case that was left out.
pub(crate) fn compile_or_skip(
    installed: &Installed,
    line: &Line,
    compiler: &str,
    flags: &str,
) -> Option<PathBuf> {
    let Some((header, package)) = lacks(line) else {
        return Some(compile(installed, line, compiler, flags));
    };
    let reason = format!("{}: {header} is not there ({package})", line.program);
    skip_case("headers", &reason);
    None
}
