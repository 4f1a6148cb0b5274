//! Properties that both elements have.

use std::path::PathBuf;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;

/// Which stream, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) stream: String,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) other_users: bool,
}

impl Place {
    pub(crate) fn properties() -> Vec<glib::ParamSpec> {
        vec![
            glib::ParamSpecString::builder("stream")
                .nick("Stream")
                .blurb("Name of the stream, as `lucarne list` shows it")
                .mutable_ready()
                .build(),
            glib::ParamSpecString::builder("directory")
                .nick("Directory")
                .blurb("Folder of the stream's socket; unset: the user's own, as every Lucarne program has it")
                .mutable_ready()
                .build(),
            glib::ParamSpecBoolean::builder("other-users")
                .nick("Other users")
                .blurb("Whether processes of other users may be at the other end")
                .mutable_ready()
                .build(),
        ]
    }

    /// Whether it is one of these properties.
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let text = || value.get::<Option<String>>().ok().flatten();
        match name {
            "stream" => self.stream = text().unwrap_or_default(),
            "directory" => self.directory = text().map(PathBuf::from),
            "other-users" => self.other_users = value.get().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    pub(crate) fn value(&self, name: &str) -> Option<glib::Value> {
        let directory = self.directory.as_ref();
        match name {
            "stream" => Some(self.stream.to_value()),
            "directory" => Some(directory.map(|path| path.display().to_string()).to_value()),
            "other-users" => Some(self.other_users.to_value()),
            _ => None,
        }
    }
}

/// A time that is set in milliseconds.
pub(crate) fn milliseconds(
    name: &'static str,
    nick: &'static str,
    blurb: &'static str,
    default: Duration,
) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .default_value(in_milliseconds(default))
        .mutable_ready()
        .build()
}

pub(crate) fn in_milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

pub(crate) fn duration(value: &glib::Value) -> Duration {
    Duration::from_millis(u64::from(value.get::<u32>().unwrap_or_default()))
}

/// Counters for whoever watches.
pub(crate) fn stats(blurb: &'static str) -> glib::ParamSpec {
    glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
        .nick("Statistics")
        .blurb(blurb)
        .read_only()
        .build()
}
