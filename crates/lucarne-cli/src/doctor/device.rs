//! A device, as the report tells of it.

use serde::{Deserialize, Serialize};

use super::cell::tame;
use crate::caps::Group;
use crate::devices::{Api, Device, faults};

/// The first Mesa whose software drivers share dma-bufs.
const MESA_NEEDED: [u32; 2] = [24, 3];

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeviceLine {
    pub(super) api: Api,
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) driver: String,
    /// What would make more of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
    pub(super) quirks: Vec<String>,
    /// What it lists, by layout.
    pub(super) lists: Vec<Group>,
}

impl DeviceLine {
    /// Faults of this driver that are worked around.
    pub(super) fn faults(&self) -> impl Iterator<Item = &String> {
        faults(&self.quirks)
    }

    pub(super) fn of(device: Device) -> Self {
        let software = device.offer.device.software;
        Self {
            api: device.api,
            number: device.number,
            advice: software.then(|| old_mesa(&device.driver)).flatten(),
            lists: Group::of_entries(&device.offer.entries),
            name: device.offer.name,
            driver: device.driver,
            quirks: device.quirks,
        }
    }

    pub(super) fn tame(&mut self) {
        self.name = tame(&self.name);
        self.driver = tame(&self.driver);
        self.advice = self.advice.as_deref().map(tame);
        self.quirks
            .iter_mut()
            .for_each(|quirk| *quirk = tame(quirk));
    }
}

/// What to say of a software driver that is too old.
fn old_mesa(driver: &str) -> Option<String> {
    let (_, version) = driver.split_once("Mesa ")?;
    let mut numbers = version.split(|one: char| !one.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    let found = [number()?, number()?];
    let [major, minor] = MESA_NEEDED;
    (found < MESA_NEEDED).then(|| {
        format!(
            "Mesa {}.{} is too old: its software drivers share dma-bufs from {major}.{minor} on. Debian 12 has one in its backports: \
             sudo apt install -t bookworm-backports mesa-vulkan-drivers libegl-mesa0 libgl1-mesa-dri libgbm1",
            found[0], found[1]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::old_mesa;

    #[test]
    fn an_old_mesa_is_known_by_its_version() {
        for old in [
            "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)",
            "OpenGL ES 3.2 Mesa 24.2.8-1ubuntu1",
        ] {
            let advice = old_mesa(old).expect("too old");
            assert!(
                advice.contains("24.3") && advice.contains("apt install"),
                "{advice}"
            );
        }
        for other in [
            "llvmpipe Mesa 24.3.0",
            "OpenGL ES 3.2 Mesa 25.0.7-2~bpo12+1",
            "host memory",
            "Mesa x",
        ] {
            assert_eq!(old_mesa(other), None, "{other}");
        }
    }
}
