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
