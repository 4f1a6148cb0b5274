//! A device number, as a node that people know.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The node of `/dev/dri` with this number; `226:128` where there is none.
pub(super) fn name(number: u64) -> String {
    let nodes = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let mut named = nodes
        .filter(|node| fs::metadata(node.path()).is_ok_and(|metadata| metadata.rdev() == number));
    named.next().map_or_else(
        || {
            let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
            format!("{major}:{minor}")
        },
        |node| node.path().display().to_string(),
    )
}
