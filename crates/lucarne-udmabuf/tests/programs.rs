//! The library in whole programs: that it does no harm, says nothing, and gives Mesa what it is for.

mod common;

use std::os::fd::AsRawFd;
use std::process::{Command, Output};

use common::*;
use libc::EINVAL;

/// Runs a program with the library.
fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments);
    preload(&mut command);
    command.output().expect(program)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a program says with the library; `None`, and said, where it is missing.
fn ask(name: &str) -> Option<String> {
    if program(name).is_none() {
        skip("mesa", &format!("{name} is not installed"));
        return None;
    }
    Some(text(&run(name, &[]).stdout))
}

/// What `vulkaninfo` says; `None`, and said, where there is no Mesa that can do it. Only from 24.3 on do its software
/// drivers have fences; Debian 12 has that in its backports.
fn ask_lavapipe() -> Option<String> {
    let said = ask("vulkaninfo")?;
    let reason = match mesa_version(&said) {
        Some(version) if version >= (24, 3) && said.contains("llvmpipe") => return Some(said),
        Some((major, minor)) => {
            format!("vulkaninfo finds Mesa {major}.{minor}; lavapipe of 24.3 or newer is needed")
        }
        None => "vulkaninfo finds no Mesa".to_owned(),
    };
    skip("mesa", &reason);
    None
}

/// The version in the first "Mesa 25.0.7".
fn mesa_version(said: &str) -> Option<(u32, u32)> {
    said.split("Mesa ").skip(1).find_map(|rest| {
        let mut numbers = rest.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

#[test]
fn a_program_that_does_not_ask_notices_nothing() {
    let output = run(
        "/bin/sh",
        &["-c", "echo one; cat /nowhere 2>/dev/null; exit 3"],
    );
    assert_eq!(
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr)
        ),
        (Some(3), "one\n".into(), String::new())
    );
}

#[test]
fn a_shell_opens_the_device() {
    let output = run(
        "/bin/sh",
        &["-c", "exec 3</dev/udmabuf && readlink /proc/self/fd/3"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).is_empty());
    let expected = if real_device() {
        "/dev/udmabuf"
    } else {
        "/memfd:lucarne-udmabuf-device (deleted)"
    };
    assert_eq!(text(&output.stdout).trim_end(), expected);
}

#[test]
fn no_emulation_means_none() {
    if real_device() {
        return skip(
            "emulation",
            "a real /dev/udmabuf is here: there is nothing to turn off",
        );
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec 3</dev/udmabuf"]);
    preload(&mut command);
    let output = command
        .env("LUCARNE_NO_EMULATION", "1")
        .output()
        .expect("sh");
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("/dev/udmabuf"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn opening_something_else_fails_as_ever() {
    emulated_only("opening_something_else_fails_as_ever", || {
        let error = |path| std::fs::File::open(path).expect_err(path).raw_os_error();
        assert_eq!(error("/dev/udmabuf2"), Some(libc::ENOENT));
        assert_eq!(error("/dev/udmabu"), Some(libc::ENOENT));
        assert_eq!(error("/dev/udmabuf/"), Some(libc::ENOENT));
        assert_eq!(error("/dev/null/udmabuf"), Some(libc::ENOTDIR));
        // SAFETY: open(2): a bad address is answered with EFAULT.
        let fd = unsafe { libc::open(std::ptr::without_provenance(1), libc::O_RDWR) };
        assert_eq!(fd, -1);
        assert_eq!(
            std::io::Error::last_os_error().raw_os_error(),
            Some(libc::EFAULT)
        );
    });
}

#[test]
fn what_cannot_be_emulated_is_refused() {
    emulated_only("what_cannot_be_emulated_is_refused", || {
        let memory = memfd(2 * page(), libc::F_SEAL_SHRINK);
        let part =
            |offset, size| create(&device(), memory.as_raw_fd(), CLOEXEC, offset, size).map(drop);
        assert_eq!(part(page(), page()), Err(EINVAL));
        assert_eq!(part(0, page()), Err(EINVAL));
        let mut two = CreateListOfOne {
            flags: 0,
            count: 2,
            memfd: memory.as_raw_fd(),
            pad: 0,
            offset: 0,
            size: page(),
        };
        assert_eq!(ioctl(&device(), UDMABUF_CREATE_LIST, &mut two), Err(EINVAL));
    });
}

#[test]
fn and_says_why() {
    if real_device() {
        return skip(
            "emulation",
            "a real /dev/udmabuf is here: it can do all of it",
        );
    }
    let test = std::env::current_exe().expect("the test's own path");
    let mut command = Command::new(test);
    command.args([
        "--exact",
        "what_cannot_be_emulated_is_refused",
        "--nocapture",
        "--test-threads=1",
    ]);
    preload(&mut command);
    // The child of `on_every_machine`, started by hand to see its standard error.
    let output = command
        .env("LUCARNE_UDMABUF_TEST_MACHINE", "Emulated")
        .output()
        .expect("the test starts itself");
    let said = text(&output.stderr);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("lucarne-udmabuf: "))
        .collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines.iter().all(|line| line.contains("emulated")), "{said}");
}

#[test]
fn lavapipe_offers_modifiers_and_semaphores() {
    let Some(said) = ask_lavapipe() else { return };
    for extension in [
        "VK_EXT_image_drm_format_modifier",
        "VK_KHR_external_semaphore_fd",
        "VK_KHR_external_fence_fd",
    ] {
        assert!(said.contains(extension), "{extension} is missing");
    }
}

#[test]
fn llvmpipe_offers_dma_buf_export_and_native_fences() {
    // eglinfo does not say which Mesa it found.
    let Some(said) = ask_lavapipe().and_then(|_| ask("eglinfo")) else {
        return;
    };
    // The software device comes after the ones that have hardware.
    let Some((_, device)) = said.split_once("EGL_MESA_device_software") else {
        return skip("mesa", "eglinfo finds no software device");
    };
    for extension in [
        "EGL_MESA_image_dma_buf_export",
        "EGL_ANDROID_native_fence_sync",
    ] {
        assert!(device.contains(extension), "{extension} is missing");
    }
}
