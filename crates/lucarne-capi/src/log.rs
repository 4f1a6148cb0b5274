//! Where Lucarne's log goes: to one function of the program's.

use std::ffi::CStr;
use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::failure::{Failure, Result};
use crate::ffi::{
    LUCARNE_LOG_DEBUG, LUCARNE_LOG_ERROR, LUCARNE_LOG_INFO, LUCARNE_LOG_TRACE, LUCARNE_LOG_WARNING,
    lucarne_status,
};
use crate::text::c_text;

/// Takes a line and its level.
pub(crate) type Sink = Arc<dyn Fn(u32, &CStr) + Send + Sync>;

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
/// Whether this library's subscriber is the process's.
static OURS: OnceLock<bool> = OnceLock::new();

/// Sends the log to `sink` from now on, or nowhere.
pub(crate) fn set(sink: Option<Sink>) -> Result<()> {
    let ours = *OURS.get_or_init(|| tracing::subscriber::set_global_default(Logger).is_ok());
    if !ours {
        let message = "the log goes elsewhere already: a Rust program has set a subscriber";
        return Err(Failure::new(lucarne_status::InUse, message));
    }
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
    Ok(())
}

/// Not under the lock when it is called: it may set another.
fn sink() -> Option<Sink> {
    SINK.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Events of this workspace's crates; there are no spans.
struct Logger;

impl Subscriber for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("lucarne")
    }

    fn event(&self, event: &Event<'_>) {
        let Some(sink) = sink() else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!("{}{}", line.message, line.fields);
        sink(level(*event.metadata().level()), &c_text(text));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn level(level: Level) -> u32 {
    match level {
        Level::ERROR => LUCARNE_LOG_ERROR,
        Level::WARN => LUCARNE_LOG_WARNING,
        Level::INFO => LUCARNE_LOG_INFO,
        Level::DEBUG => LUCARNE_LOG_DEBUG,
        _ => LUCARNE_LOG_TRACE,
    }
}

/// An event as text: its message, and its other fields behind it.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {} {value:?}", name.trim_start_matches('_')),
        };
    }
}
