//! Kernel modules and DRM nodes, for tests of what only some drivers have.
//!
//! With a node of vgem or virtio-gpu present, programs that choose an EGL display carelessly get another software driver,
//! so these modules are loaded by the tests that need them and by nothing else.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;

use drm::Device as _;

use crate::in_guest;

/// Loads a module in the guest. Elsewhere nothing is loaded, as a machine's modules are its owner's affair.
///
/// It stays: fences outlive what made them, and the kernel does not hold the module that such a fence calls into.
///
/// # Errors
///
/// Why it cannot be loaded.
pub fn load(name: &str) -> Result<(), String> {
    if !in_guest() {
        return Ok(());
    }
    run("modprobe", name)
}

/// Loads a module of its own file.
///
/// # Errors
///
/// Why it cannot be loaded.
pub fn insert(file: &str) -> Result<(), String> {
    run("insmod", file)
}

/// Unloads a module.
///
/// # Errors
///
/// Why it stays: somebody uses it.
pub fn remove(name: &str) -> Result<(), String> {
    run("rmmod", name)
}

fn run(program: &str, module: &str) -> Result<(), String> {
    let output = Command::new(program).arg(module).output();
    let output = output.map_err(|error| format!("{program} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {module}: {}", said.trim()))
}

/// An open primary ("card") node.
#[derive(Debug)]
pub struct Card(File);

impl Card {
    /// Opens the node that this driver made.
    ///
    /// # Errors
    ///
    /// That there is none.
    pub fn of_driver(name: &str) -> Result<Self, String> {
        for number in 0..16 {
            let path = format!("/dev/dri/card{number}");
            let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
                continue;
            };
            let card = Self(file);
            let driver = card.get_driver();
            if driver.is_ok_and(|driver| driver.name().to_str() == Some(name)) {
                return Ok(card);
            }
        }
        Err(format!(
            "no node of driver {name} in /dev/dri can be opened"
        ))
    }
}

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Card {}
impl drm::control::Device for Card {}
