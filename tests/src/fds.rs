//! Counting open file descriptors.

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

/// What each open descriptor refers to, for a message that says what leaked.
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
            Some(format!("{} -> {}", path.display(), target.display()))
        })
        .collect();
    list.sort();
    list
}

/// Runs `body` while no other user of this function does, and fails when it leaves more or fewer descriptors open.
///
/// # Panics
///
/// When the number of descriptors has changed.
pub fn unchanged(body: impl FnOnce()) {
    use std::sync::{Mutex, PoisonError};
    static ALONE: Mutex<()> = Mutex::new(());
    // A failed test has nothing to say about the next one's descriptors.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = list();
    body();
    let after = list();
    assert_eq!(
        before.len(),
        after.len(),
        "descriptors before: {before:#?}\nand after: {after:#?}"
    );
}
