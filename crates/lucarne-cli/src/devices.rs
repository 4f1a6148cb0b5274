//! The devices of this machine, and offers that were recorded on others.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use lucarne::quirks::Active;
use lucarne::{Offer, Usage, cpu, egl, gbm, vulkan};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::output::nearest;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Api {
    Vulkan,
    Egl,
    Gbm,
    Cpu,
}

impl Api {
    pub(crate) const ALL: [Self; 4] = [Self::Vulkan, Self::Egl, Self::Gbm, Self::Cpu];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vulkan => "vulkan",
            Self::Egl => "egl",
            Self::Gbm => "gbm",
            Self::Cpu => "cpu",
        }
    }
}

impl Api {
    /// What to say where a library is there, works, and lists nothing. GBM and the CPU say it themselves.
    fn no_device(self) -> Option<String> {
        let (package, what) = match self {
            Self::Vulkan => ("mesa-vulkan-drivers", "Vulkan"),
            Self::Egl => ("libegl-mesa0 libgl1-mesa-dri", "EGL"),
            Self::Gbm | Self::Cpu => return None,
        };
        Some(format!(
            "{what} lists no device: no driver has found a GPU, and none renders in software; Mesa's do: sudo apt install {package}"
        ))
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A device that was asked, and its answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) api: Api,
    /// Its place in the order in which the API lists devices, from 0.
    pub(crate) number: usize,
    pub(crate) driver: String,
    /// The driver faults that are worked around, and why each.
    pub(crate) quirks: Vec<String>,
    /// The extensions that Lucarne makes use of, there or not. None where an API has no extensions.
    #[serde(default)]
    pub(crate) extensions: Vec<Extension>,
    pub(crate) offer: Offer,
}

/// [`lucarne::Extension`], as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Extension {
    pub(crate) api: String,
    pub(crate) name: String,
    pub(crate) present: bool,
    pub(crate) purpose: String,
    pub(crate) cost: String,
}

impl From<lucarne::Extension> for Extension {
    fn from(one: lucarne::Extension) -> Self {
        Self {
            api: one.api.to_owned(),
            name: one.name.to_owned(),
            present: one.present,
            purpose: one.purpose.to_owned(),
            cost: one.cost.to_owned(),
        }
    }
}

/// The faults among `quirks` that this driver has. Guards that are on everywhere tell nothing of it.
pub(crate) fn faults(quirks: &[String]) -> impl Iterator<Item = &String> {
    let all = quirks.iter();
    all.filter(|quirk| !quirk.ends_with("(always on)"))
}

/// Every device of an API, for images used as `usage` says; and why others could not be asked.
pub(crate) fn all(api: Api, usage: Usage) -> (Vec<Device>, Vec<String>) {
    let asked = match api {
        Api::Vulkan => vulkan_devices(usage),
        Api::Egl => egl_devices(usage),
        Api::Gbm => gbm_devices(usage),
        Api::Cpu => Ok(cpu_devices(usage)),
    };
    let answers = asked.unwrap_or_else(|error| vec![Err(error)]);
    let mut devices = Vec::new();
    let mut reasons = Vec::new();
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(answer) => devices.push(Device {
                api,
                number,
                driver: answer.driver,
                quirks: answer.quirks.iter().map(ToString::to_string).collect(),
                extensions: answer.extensions.into_iter().map(Into::into).collect(),
                offer: answer.offer,
            }),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if devices.is_empty() && reasons.is_empty() {
        reasons.extend(api.no_device());
    }
    (devices, reasons)
}

/// What one device says.
struct Answer {
    driver: String,
    quirks: Vec<Active>,
    extensions: Vec<lucarne::Extension>,
    offer: Offer,
}

type Answers = Vec<lucarne::Result<Answer>>;

fn vulkan_devices(usage: Usage) -> lucarne::Result<Answers> {
    let instance = vulkan::Instance::new(&vulkan::InstanceOptions::default())?;
    let ask = |adapter: vulkan::Adapter| {
        Ok(Answer {
            driver: adapter.driver().to_owned(),
            quirks: adapter.quirks().to_vec(),
            extensions: adapter.extensions(),
            offer: adapter.offer(usage)?,
        })
    };
    Ok(instance.adapters()?.into_iter().map(ask).collect())
}

fn egl_devices(usage: Usage) -> lucarne::Result<Answers> {
    let ask = |adapter: egl::Adapter| {
        let device = adapter.open()?;
        Ok(Answer {
            driver: device.version().to_owned(),
            quirks: device.quirks().to_vec(),
            extensions: device.extensions(),
            offer: device.offer(usage)?,
        })
    };
    Ok(egl::Adapter::enumerate()?.into_iter().map(ask).collect())
}

fn gbm_devices(usage: Usage) -> lucarne::Result<Answers> {
    let ask = |adapter: gbm::Adapter| {
        Ok(Answer {
            driver: adapter.driver().unwrap_or("unknown").to_owned(),
            quirks: Vec::new(),
            extensions: Vec::new(),
            offer: adapter.open()?.offer(usage)?,
        })
    };
    Ok(gbm::Adapter::enumerate()?.into_iter().map(ask).collect())
}

fn cpu_devices(usage: Usage) -> Answers {
    let ask = |adapter: cpu::Adapter| {
        Ok(Answer {
            driver: adapter.allocator().to_string(),
            quirks: Vec::new(),
            extensions: Vec::new(),
            offer: adapter.open()?.offer(usage)?,
        })
    };
    cpu::Adapter::enumerate().into_iter().map(ask).collect()
}

/// One end: a device of this machine, or an offer that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The API, and which of its devices: a number from 0, or a part of the name.
    Device(Api, Option<String>),
    File(PathBuf),
}

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (api, which) = match text.split_once(':') {
            Some((api, which)) => (api, Some(which.to_owned())),
            None => (text, None),
        };
        if let Some(api) = Api::ALL.into_iter().find(|known| known.name() == api) {
            return Ok(Self::Device(api, which));
        }
        if Path::new(text)
            .extension()
            .is_some_and(|ending| ending == "json")
        {
            return Ok(Self::File(text.into()));
        }
        let alike = nearest(api, Api::ALL.iter().map(|api| api.name()));
        let alike = alike
            .first()
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        Err(format!(
            "{text:?} is neither vulkan, egl, gbm or cpu, with :NUMBER or :NAME behind it where there are several, nor a .json file{alike}"
        ))
    }
}

impl End {
    pub(crate) fn offer(&self, usage: Usage) -> Result<Offer, Failure> {
        match self {
            Self::File(path) => read(path),
            Self::Device(api, which) => {
                let (mut devices, reasons) = all(*api, usage);
                let Some(index) = choose(&devices, which.as_deref()) else {
                    return Err(none(*api, which.as_deref(), &devices, &reasons).into());
                };
                Ok(devices.swap_remove(index).offer)
            }
        }
    }
}

fn choose(devices: &[Device], which: Option<&str>) -> Option<usize> {
    match which {
        None if devices.is_empty() => None,
        None => Some(0),
        Some(which) => match which.parse::<usize>() {
            Ok(number) => devices.iter().position(|device| device.number == number),
            Err(_) => {
                let wanted = which.to_lowercase();
                devices
                    .iter()
                    .position(|device| device.offer.name.to_lowercase().contains(&wanted))
            }
        },
    }
}

fn none(api: Api, which: Option<&str>, devices: &[Device], reasons: &[String]) -> String {
    let why = if reasons.is_empty() {
        String::new()
    } else {
        format!(": {}", reasons.join("; "))
    };
    match which {
        Some(which) if !devices.is_empty() => {
            let names: Vec<String> = devices
                .iter()
                .map(|device| format!("{}: {}", device.number, device.offer.name))
                .collect();
            format!("{api} has no device {which:?}; it has {}", names.join(", "))
        }
        _ => format!("no device for {api}{why}"),
    }
}

fn read(path: &Path) -> Result<Offer, Failure> {
    let at = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| at(&format_args!("not JSON: {error}")))?;
    // What `lucarne caps --record` writes, or the offer alone.
    let offer = match value {
        serde_json::Value::Object(mut named) if named.contains_key("offer") => {
            named.remove("offer").unwrap_or_default()
        }
        bare => bare,
    };
    let offer = serde_path_to_error::deserialize(offer).map_err(|error| {
        at(&format_args!(
            "not an offer as `lucarne caps --record` writes it: {error}"
        ))
    })?;
    Ok(offer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_apis_or_files() {
        let device = |api, which: Option<&str>| Ok(End::Device(api, which.map(str::to_owned)));
        assert_eq!("vulkan".parse(), device(Api::Vulkan, None));
        assert_eq!("egl:1".parse(), device(Api::Egl, Some("1")));
        assert_eq!("vulkan:radv".parse(), device(Api::Vulkan, Some("radv")));
        assert_eq!("a/b.json".parse(), Ok(End::File("a/b.json".into())));
        let error = "vulcan".parse::<End>().expect_err("no such API");
        assert!(error.contains("did you mean vulkan?"), "{error}");
    }
}
