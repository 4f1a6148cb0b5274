//! The extensions that Lucarne makes use of: which devices have each, and what it costs the others to lack it.

use serde::{Deserialize, Serialize};

use super::cell::tame;
use super::trials::Place;
use crate::devices::{self, Device};

/// One extension, for all devices of its API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extension {
    pub(super) api: String,
    pub(super) name: String,
    /// What Lucarne does with it.
    pub(super) purpose: String,
    /// What is lost without it.
    pub(super) cost: String,
    pub(super) on: Vec<Place>,
    pub(super) missing_on: Vec<Place>,
}

/// More than all APIs together have.
const MOST: usize = 128;

impl Extension {
    /// All of them, in the order in which the devices tell them.
    pub(super) fn of_devices(devices: &[Device]) -> Vec<Self> {
        let mut all = Vec::new();
        for device in devices {
            let (api, number) = (device.api, device.number);
            for told in &device.extensions {
                Self::entry(&mut all, told).add(Place { api, number }, told.present);
            }
        }
        all
    }

    /// The one that `told` is about.
    fn entry<'a>(all: &'a mut Vec<Self>, told: &devices::Extension) -> &'a mut Self {
        let same = |one: &Self| one.api == told.api && one.name == told.name;
        let index = all.iter().position(same).unwrap_or(all.len());
        if index == all.len() {
            all.push(Self {
                api: told.api.clone(),
                name: told.name.clone(),
                purpose: told.purpose.clone(),
                cost: told.cost.clone(),
                on: Vec::new(),
                missing_on: Vec::new(),
            });
        }
        &mut all[index]
    }

    fn add(&mut self, place: Place, present: bool) {
        let places = if present {
            &mut self.on
        } else {
            &mut self.missing_on
        };
        places.push(place);
    }

    pub(super) fn is_missing(&self) -> bool {
        !self.missing_on.is_empty()
    }

    pub(super) fn tame_all(all: &mut Vec<Self>) {
        all.truncate(MOST);
        for one in all {
            for text in [&mut one.api, &mut one.name, &mut one.purpose, &mut one.cost] {
                *text = tame(text);
            }
            one.on.truncate(MOST);
            one.missing_on.truncate(MOST);
        }
    }
}

/// What stands above a table of them.
pub(super) fn summary(all: &[Extension]) -> String {
    match all.iter().filter(|one| one.is_missing()).count() {
        0 => format!("all {} that Lucarne makes use of are there", all.len()),
        missing => format!(
            "{missing} of the {} that Lucarne makes use of are missing somewhere",
            all.len()
        ),
    }
}

/// `vulkan:0 vulkan:1`.
pub(super) fn places(all: &[Place]) -> String {
    let names: Vec<String> = all.iter().map(Place::to_string).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::Api;

    fn told(name: &str, present: bool) -> devices::Extension {
        devices::Extension {
            api: "Vulkan device".to_owned(),
            name: name.to_owned(),
            present,
            purpose: "sharing".to_owned(),
            cost: "no sharing".to_owned(),
        }
    }

    #[test]
    fn each_stands_once_with_who_has_it_and_who_lacks_it() {
        let mut all = Vec::new();
        for (number, name, present) in [
            (0, "VK_a", true),
            (0, "VK_b", false),
            (1, "VK_a", true),
            (1, "VK_b", true),
            (2, "VK_a", true),
            (2, "VK_b", false),
        ] {
            let place = Place {
                api: Api::Vulkan,
                number,
            };
            Extension::entry(&mut all, &told(name, present)).add(place, present);
        }
        let rows = all
            .iter()
            .map(|one| [one.name.clone(), places(&one.on), places(&one.missing_on)]);
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                row(["VK_a", "vulkan:0 vulkan:1 vulkan:2", ""]),
                row(["VK_b", "vulkan:1", "vulkan:0 vulkan:2"])
            ]
        );
        assert!(summary(&all).starts_with("1 of the 2 "));
        assert!(summary(&all[..1]).starts_with("all 1 "));
    }
}
