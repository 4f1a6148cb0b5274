//! What the display servers say: each asked in a child, as one that does not answer must not hang the report.

mod dev;
mod wayland;
mod x11;

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cell::tame;
use super::child::{self, Ended};
use crate::output::Output;
use crate::{Answer, Failure};
pub(super) use wayland::{Dmabuf, Tranche, Wayland};
pub(super) use x11::X11;

/// Both kinds of server.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Displays {
    pub(super) wayland: Asked<Wayland>,
    pub(super) x11: Asked<X11>,
}

/// One server.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Asked<T> {
    /// Its variable is not set.
    #[default]
    NotSet,
    Answered(T),
    /// Why it did not.
    Silent(String),
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Wayland,
    X11,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wayland => "Wayland",
            Self::X11 => "X11",
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Self::Wayland => "wayland",
            Self::X11 => "x11",
        }
    }

    fn is_set(self) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Wayland => set("WAYLAND_DISPLAY"),
            Self::X11 => set("DISPLAY"),
        }
    }
}

impl Displays {
    pub(super) fn ask(patience: Duration) -> Self {
        std::thread::scope(|scope| {
            let wayland = scope.spawn(move || ask(Kind::Wayland, patience));
            Self {
                x11: ask(Kind::X11, patience),
                wayland: wayland.join().unwrap_or_default(),
            }
        })
    }
}

fn ask<T: DeserializeOwned>(kind: Kind, patience: Duration) -> Asked<T> {
    if !kind.is_set() {
        return Asked::NotSet;
    }
    match child::run(&["display", kind.argument()], patience) {
        Ended::Answered(text) => match text
            .lines()
            .find_map(|line| serde_json::from_str(line).ok())
        {
            Some(answer) => Asked::Answered(answer),
            None => Asked::Silent("the answer is no answer".to_owned()),
        },
        Ended::Hung { after, .. } => Asked::Silent(format!(
            "the display server did not answer within {} s",
            after.as_secs()
        )),
        Ended::Failed { complaint, .. } => Asked::Silent(tame(&complaint)),
        Ended::Crashed { signal, .. } => Asked::Silent(format!("asking it crashed with {signal}")),
    }
}

#[derive(Args, Debug)]
pub(crate) struct DisplayOptions {
    server: Kind,
}

/// The child.
pub(crate) fn run(options: &DisplayOptions, output: &mut Output) -> Result<Answer, Failure> {
    match options.server {
        Kind::Wayland => output.json(&wayland::ask()?)?,
        Kind::X11 => output.json(&x11::ask()?)?,
    }
    Ok(Answer::Yes)
}
