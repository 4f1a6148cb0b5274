//! Named driver faults: which drivers have them, how we know, and what Lucarne does about each.
//!
//! [`ALL`] is the table, `docs/quirks.md` the same for people. A quirk is *active* on a device where its driver and version
//! match, where the device was seen to behave so, or always, where the guard costs nothing. `vulkan::Adapter::quirks` and
//! `egl::Device::quirks` list what is active, and why.
//!
//! `LUCARNE_QUIRKS=+name,-name` forces quirks on and off, to try out a workaround on a driver that the table does not
//! name, or to see whether a newer driver still needs one. It is read once; a name that is not in the table is an error
//! when a device is opened.

mod driver;
mod table;

use std::fmt;
use std::sync::OnceLock;

#[cfg(feature = "egl")]
pub(crate) use driver::is_software;
pub use driver::{Api, Driver, Family, Match, Version};
pub use table::*;

use crate::error::{Error, Result};
use crate::layout::{FrameLayout, LINEAR_PITCH_ALIGNMENT};

/// The variable that forces quirks on and off.
const VARIABLE: &str = "LUCARNE_QUIRKS";

/// One fault that drivers have.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirk {
    /// Its name, for reports and for `LUCARNE_QUIRKS`.
    pub name: &'static str,
    /// Who has it, in words.
    pub drivers: &'static str,
    /// What those drivers do.
    pub fault: &'static str,
    /// How we know: what was read, run or reported, and of which version.
    pub evidence: &'static str,
    /// What Lucarne does.
    pub answer: &'static str,
    /// The test that holds it.
    pub test: &'static str,
    /// Where it is active.
    pub applies: Applies,
}

/// Where a quirk is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applies {
    /// On every driver: the guard costs nothing. It cannot be switched off.
    Always,
    /// On these drivers.
    Drivers(&'static [Match]),
    /// Where the device was seen to behave so when it was opened.
    Observed,
}

/// A quirk that is active on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// Which.
    pub quirk: &'static Quirk,
    /// Why it is active.
    pub why: Why,
}

/// Why a quirk is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// It always is.
    Always,
    /// The table names this driver and version.
    DriverMatches,
    /// The device was seen to behave so.
    Observed,
    /// `LUCARNE_QUIRKS` says so.
    Forced,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always on",
            Self::DriverMatches => "driver matches",
            Self::Observed => "seen on this device",
            Self::Forced => "forced by LUCARNE_QUIRKS",
        })
    }
}

impl fmt::Display for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.quirk.name, self.why)
    }
}

/// The quirk of this name.
pub fn named(name: &str) -> Option<&'static Quirk> {
    ALL.iter().copied().find(|quirk| quirk.name == name)
}

/// What is active on one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quirks {
    active: Vec<Active>,
}

#[cfg_attr(
    not(any(feature = "vulkan", feature = "egl")),
    expect(dead_code, reason = "only devices with drivers have quirks")
)]
impl Quirks {
    /// What is active on `driver`, which was seen to have `observed`, under this process's `LUCARNE_QUIRKS`.
    pub(crate) fn of(driver: &Driver, observed: &[&'static Quirk]) -> Result<Self> {
        static FORCED: OnceLock<std::result::Result<Overrides, String>> = OnceLock::new();
        let forced = FORCED.get_or_init(|| match std::env::var(VARIABLE) {
            Ok(text) => Overrides::parse(&text),
            Err(std::env::VarError::NotPresent) => Ok(Overrides::default()),
            Err(error) => Err(error.to_string()),
        });
        match forced {
            Ok(overrides) => Ok(Self::resolve(driver, observed, overrides)),
            Err(got) => Err(Error::invalid(VARIABLE, got, known())),
        }
    }

    fn resolve(driver: &Driver, observed: &[&'static Quirk], overrides: &Overrides) -> Self {
        let why = |quirk: &'static Quirk| {
            if let Some((_, on)) = overrides.forced.iter().find(|(one, _)| *one == quirk) {
                return on.then_some(Why::Forced);
            }
            match quirk.applies {
                Applies::Always => Some(Why::Always),
                Applies::Drivers(matches) => matches
                    .iter()
                    .any(|one| one.is(driver))
                    .then_some(Why::DriverMatches),
                Applies::Observed => observed.contains(&quirk).then_some(Why::Observed),
            }
        };
        let active = ALL
            .iter()
            .filter_map(|quirk| why(quirk).map(|why| Active { quirk, why }))
            .collect();
        Self { active }
    }

    pub(crate) fn has(&self, quirk: &'static Quirk) -> bool {
        // Each quirk is one row of the table: its address will do.
        let mut active = self.active.iter();
        active.any(|active| std::ptr::eq(active.quirk, quirk))
    }

    pub(crate) fn active(&self) -> &[Active] {
        &self.active
    }

    /// Refuses linear rows of a length that this driver would refuse with less to say, or read wrongly.
    pub(crate) fn check_linear(&self, layout: &FrameLayout) -> Result<()> {
        let linear = layout
            .tiling()
            .modifier()
            .is_some_and(|modifier| modifier.is_linear());
        if !linear || !self.has(&AMD_LINEAR_ALIGNMENT) {
            return Ok(());
        }
        match layout
            .planes()
            .iter()
            .find(|plane| !plane.pitch.is_multiple_of(LINEAR_PITCH_ALIGNMENT))
        {
            Some(plane) => Err(Error::invalid(
                "plane.pitch",
                plane.pitch,
                format!(
                    "a multiple of {LINEAR_PITCH_ALIGNMENT} bytes on this driver (quirk {})",
                    AMD_LINEAR_ALIGNMENT.name
                ),
            )),
            None => Ok(()),
        }
    }
}

/// `LUCARNE_QUIRKS`, taken apart. The last word on a quirk counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Overrides {
    forced: Vec<(&'static Quirk, bool)>,
}

impl Overrides {
    /// Fails with what is wrong.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut forced: Vec<(&'static Quirk, bool)> = Vec::new();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            let (on, name) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
                (Some(name), _) => (true, name),
                (_, Some(name)) => (false, name),
                _ => return Err(format!("{word:?}, with neither + nor - before it")),
            };
            let quirk = named(name).ok_or_else(|| format!("{word:?}, which is not known"))?;
            if !on && quirk.applies == Applies::Always {
                return Err(format!("{word:?}, whose guard is always on"));
            }
            forced.retain(|(one, _)| *one != quirk);
            forced.push((quirk, on));
        }
        Ok(Self { forced })
    }
}

/// What `LUCARNE_QUIRKS` may hold.
fn known() -> String {
    let names = |always: bool| {
        let names: Vec<&str> = ALL
            .iter()
            .filter(|quirk| (quirk.applies == Applies::Always) == always)
            .map(|quirk| quirk.name)
            .collect();
        names.join(", ")
    };
    format!(
        "+name or -name, with commas between, of: {}; always on are: {}",
        names(false),
        names(true)
    )
}

#[cfg(test)]
mod tests;
