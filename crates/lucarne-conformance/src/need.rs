//! What a side lacks, as data that can be written down.

use lucarne::Requirement;
use lucarne::negotiate::{Reason, Side};
use serde::{Deserialize, Serialize};

/// Something that one side lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Whether the producer lacks it, not the consumer.
    pub of_producer: bool,
    /// What it is: `extension`, `version`, `device-node`, `library`, `driver`, `quirk`, `capability`, `queue-family`,
    /// `package`, `trust` or `other`.
    pub kind: String,
    /// Which one: the extension's name, the node's path; a sentence where the kind is `other`.
    pub name: String,
    /// What to do about it: a command where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Need {
    fn of(side: Side, requirement: &Requirement) -> Self {
        let (kind, name) = match requirement {
            Requirement::Extension { name, .. } => ("extension", (*name).to_owned()),
            Requirement::Version { api, at_least, .. } => ("version", format!("{api} {at_least}")),
            Requirement::DeviceNode { path, .. } => ("device-node", path.display().to_string()),
            Requirement::Library { name, .. } => ("library", (*name).to_owned()),
            Requirement::LoadedDriver { api, .. } => ("driver", (*api).to_owned()),
            Requirement::Quirk { name, .. } => ("quirk", (*name).to_owned()),
            Requirement::Capability { name, .. } => ("capability", (*name).to_owned()),
            Requirement::QueueFamily { kind } => ("queue-family", (*kind).to_owned()),
            Requirement::Package { what, .. } => ("package", (*what).to_owned()),
            Requirement::TrustedProducer { setting } => ("trust", (*setting).to_owned()),
            other => ("other", other.to_string()),
        };
        Self {
            of_producer: side == Side::Producer,
            kind: kind.to_owned(),
            name,
            remedy: requirement.remedy(),
        }
    }
}

/// Everything that a reason says is lacking, each once.
pub fn needs(reason: &Reason) -> Vec<Need> {
    let mut needs = Vec::new();
    for reason in reason.flatten() {
        let Some(side) = reason.side() else { continue };
        for requirement in reason.requirements() {
            let need = Need::of(side, requirement);
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
    }
    needs
}
