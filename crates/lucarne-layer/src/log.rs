//! What the layer says, on standard error: why nothing was added always, once each; the rest with `LUCARNE_LAYER_LOG=1`.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

static TALKS: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("LUCARNE_LAYER_LOG").is_some_and(|value| value == "1"));
static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says something to those who want to know.
pub(crate) fn note(text: impl FnOnce() -> String) {
    if *TALKS {
        say(&text());
    }
}

/// Says why something was not done, the first time.
pub(crate) fn problem(text: &str) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(text.to_owned()) {
        say(text);
    }
}

fn say(text: &str) {
    // A program may have closed its standard error.
    let _ = writeln!(std::io::stderr(), "lucarne-layer: {text}");
}
