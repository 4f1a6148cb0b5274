//! Counting open file descriptors.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many descriptors this process has open.
///
/// # Panics
///
/// When `/proc` is not mounted.
pub fn open() -> usize {
    // The directory that is being read is one of them, each time.
    std::fs::read_dir("/proc/self/fd")
        .expect("/proc is mounted")
        .count()
}

/// What each open descriptor refers to, for a message that says what leaked. Files of Mesa's shader cache are left out: a thread
/// of the driver's opens and closes them when it likes.
///
/// # Panics
///
/// When `/proc` is not mounted.
pub fn list() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let mut list: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let target = std::fs::read_link(&path).ok()?;
            if target.to_string_lossy().contains("/mesa_shader_cache") {
                return None;
            }
            Some(format!("{} -> {}", path.display(), target.display()))
        })
        .collect();
    list.sort();
    list
}

/// Keeps every other user of this function in this program waiting: descriptors are counted by process.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A failed test has nothing to say about the next one's descriptors.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compares what is open now with what was open before.
///
/// # Panics
///
/// When there are more or fewer descriptors.
pub fn assert_as_many(before: &[String]) {
    let after = list();
    assert_eq!(
        before.len(),
        after.len(),
        "descriptors before: {before:#?}\nand after: {after:#?}"
    );
}

/// Runs `body` [`alone`], and fails when it leaves more or fewer descriptors open.
///
/// # Panics
///
/// When the number of descriptors has changed.
pub fn unchanged(body: impl FnOnce()) {
    let _alone = alone();
    let before = list();
    body();
    assert_as_many(&before);
}
