//! The programs of `examples/c`: compiled by the lines of their README, as C and as C++, and run in all pairs, under valgrind and
//! with AddressSanitizer. Each compares its pixels by itself.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::programs::{compile_or_skip, lines};
use common::{Installed, exists, root, succeed, told};
use lucarne_tests::skip::{skip, skip_case};

const FRAMES: &str = "12";

/// The programs that this machine can compile; a skipped case for each other.
fn compile_all(installed: &Installed, compiler: &str, flags: &str) -> Vec<PathBuf> {
    let compiled = |line| compile_or_skip(installed, &line, compiler, flags);
    let programs: Vec<PathBuf> = lines().into_iter().filter_map(compiled).collect();
    assert!(programs.len() >= 2, "those of the CPU need no header");
    programs
}

#[test]
fn the_readme_has_a_line_for_each_program() {
    let entries = std::fs::read_dir(root().join("examples/c")).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").path());
    let sources = names.filter(|path| path.extension().is_some_and(|one| one == "c"));
    let mut sources: Vec<String> = sources
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    sources.sort();
    let mut listed: Vec<String> = lines().into_iter().map(|line| line.program).collect();
    listed.sort();
    assert_eq!(listed, sources);
}

#[test]
fn they_compile_as_c_and_as_cpp_with_each_compiler() {
    for (compiler, kind) in [
        ("gcc", "gcc"),
        ("g++", "gcc"),
        ("clang", "clang"),
        ("clang++", "clang"),
    ] {
        if exists(compiler) {
            compile_all(&Installed::new(), compiler, "");
        } else {
            skip_case(kind, &format!("{compiler} is not installed"));
        }
    }
}

/// The code of docs/c.md, alone or in a function of its own.
#[test]
fn the_guides_code_compiles() {
    let page = std::fs::read_to_string(root().join("docs/c.md")).expect("the guide");
    let blocks: Vec<&str> = page.split("```c\n").skip(1).collect();
    assert_eq!(blocks.len(), 2, "blocks of C");
    let installed = Installed::new();
    for (number, block) in blocks.iter().enumerate() {
        let (code, _) = block.split_once("```").expect("an end");
        let code = if code.starts_with("#include") {
            code.to_owned()
        } else {
            format!(
                "#include <lucarne.h>\n#include <stdio.h>\nvoid f(lucarne_error *error);\nvoid f(lucarne_error *error)\n{{\n{code}}}\n"
            )
        };
        let place = installed.path().join(format!("guide-{number}.c"));
        std::fs::write(&place, code).expect("written");
        let mut compiler = Command::new("cc");
        compiler.args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            "-I",
        ]);
        compiler.arg(installed.path().join("include")).arg(&place);
        succeed(&mut compiler);
    }
}

fn name_of(program: &Path) -> String {
    let name = program.file_name().expect("a name");
    name.to_string_lossy().into_owned()
}

/// Something that runs a program.
type Runner<'a> = &'a dyn Fn(&Path) -> Command;

/// A stream of one program, watched by another.
fn stream(installed: &Installed, run: Runner<'_>, producer: &Path, consumer: &Path) {
    let folder = installed.path().join("streams");
    let start = |program: &Path| -> Child {
        let mut command = run(program);
        command.args(["c-stream", FRAMES]).arg(&folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    };
    let (producing, consuming) = (start(producer), start(consumer));
    let consumed = consuming.wait_with_output().expect("it ends");
    let produced = producing.wait_with_output().expect("it ends");
    for (program, output) in [(producer, &produced), (consumer, &consumed)] {
        let name = name_of(program);
        assert!(
            output.status.success(),
            "{name}: {}\n{}",
            told(output),
            told(&consumed)
        );
    }
    assert!(
        told(&consumed).contains(" 0 wrong pixels"),
        "{}",
        told(&consumed)
    );
    assert!(
        told(&produced).contains(&format!("sent {FRAMES} frames")),
        "{}",
        told(&produced)
    );
}

/// Which pairs to run: a producer's and a consumer's name.
type Wanted = fn(&str, &str) -> bool;

/// All that a machine can run, in all pairs that are wanted.
fn run_all(installed: &Installed, run: Runner<'_>, programs: &[PathBuf], wanted: Wanted) {
    let named = |ending: &str| {
        let ending = ending.to_owned();
        programs
            .iter()
            .filter(move |one| one.to_string_lossy().ends_with(&ending))
    };
    for producer in named("-producer") {
        for consumer in named("cpu-reader").chain(named("gl-consumer")) {
            if wanted(&name_of(producer), &name_of(consumer)) {
                stream(installed, run, producer, consumer);
            }
        }
    }
    for program in named("vulkan-to-gl") {
        let output: Output = run(program).output().expect("it runs");
        assert!(output.status.success(), "{}", told(&output));
        assert!(
            told(&output).contains("576000 of 576000 pixels are right"),
            "{}",
            told(&output)
        );
    }
}

#[test]
fn every_pixel_is_right_in_every_pair() {
    let installed = Installed::new();
    let programs = compile_all(&installed, "cc", "");
    let run = |program: &Path| installed.command(program);
    run_all(&installed, &run, &programs, |_, _| true);
}

/// Memory that no program of ours leaks: what drivers keep is named in `valgrind.supp`.
#[test]
fn valgrind_finds_nothing() {
    if !exists("valgrind") {
        return skip("valgrind", "valgrind is not installed");
    }
    let installed = Installed::new();
    let programs = compile_all(&installed, "cc", "-g");
    let suppressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/valgrind.supp");
    let run = |program: &Path| {
        let mut command = installed.command("valgrind");
        command
            .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
            .args([
                "--errors-for-leak-kinds=definite",
                "--show-leak-kinds=definite",
            ])
            .arg(format!("--suppressions={}", suppressions.display()))
            .arg(program)
            // The emulation replaces calls that valgrind has replaced already.
            .env_remove("LD_PRELOAD");
        command
    };
    // A software driver is slow there: each program once.
    let wanted = |producer: &str, consumer: &str| {
        producer.starts_with("cpu-") == consumer.starts_with("cpu-")
    };
    run_all(&installed, &run, &programs, wanted);
}

#[test]
fn address_sanitizer_finds_nothing() {
    let installed = Installed::new();
    let probe = "int main(void) { return 0; }";
    let place = installed.path().join("probe.c");
    std::fs::write(&place, probe).expect("written");
    let mut compiler = Command::new("cc");
    compiler
        .arg("-fsanitize=address")
        .arg(&place)
        .arg("-o")
        .arg(installed.path().join("probe"));
    if !compiler.output().expect("cc runs").status.success() {
        return skip("asan", "cc has no AddressSanitizer");
    }
    let programs = compile_all(&installed, "cc", "-g -fsanitize=address");
    let run = |program: &Path| {
        let mut command = installed.command(program);
        // The emulation's library is loaded first where it is preloaded.
        command.env("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=1");
        command
    };
    run_all(&installed, &run, &programs, |_, _| true);
}
