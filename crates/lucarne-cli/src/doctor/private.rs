//! Keeping a report free of what is nobody's business.

/// Folders whose files are the same on every machine.
const PUBLIC: [&str; 8] = [
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/tmp/.X11-unix",
    "/usr",
];

/// Replaces paths that may name a user or a project; those of the system stay.
pub(super) fn without_folders(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let length = if first == '/' && begins_path(before) {
            let path = path(rest, before);
            kept.push_str(if is_public(path) { path } else { "(a path)" });
            path.len()
        } else {
            kept.push(first);
            first.len_utf8()
        };
        before = rest[..length].chars().next_back().unwrap_or(' ');
        rest = &rest[length..];
    }
    kept
}

/// Whether a slash behind this character is the first of a path, not one within a name or an address.
fn begins_path(before: char) -> bool {
    before.is_whitespace() || "\"'`(=:,;[".contains(before)
}

/// The path at the beginning: in quotation marks until they end.
fn path(text: &str, before: char) -> &str {
    let ends = |one: char| match before {
        '"' | '\'' | '`' => one == before,
        _ => one.is_whitespace() || "\"'`),;:]>".contains(one),
    };
    &text[..text.find(ends).unwrap_or(text.len())]
}

/// Whether a path from the root on names only what is the same on every machine.
pub(super) fn is_public(path: &str) -> bool {
    let of = |folder: &&str| {
        path.strip_prefix(*folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // The slashes of an address, or a slash alone. Three of them are a file's address.
    let is_address = path.starts_with("//") && !path.starts_with("///");
    is_address || path == "/" || PUBLIC.iter().any(of)
}

#[cfg(test)]
mod tests {
    use super::without_folders;

    #[test]
    fn folders_of_people_are_left_out_and_those_of_the_system_stay() {
        let same = [
            "needs /dev/udmabuf (No such file or directory): sudo modprobe udmabuf",
            "https://github.com/lucarne/lucarne/blob/main/docs/emulation.md",
            "dma-buf and/or host memory",
            "/usr/share/vulkan/icd.d/lvp_icd.json",
            "</b>",
        ];
        for text in same {
            assert_eq!(without_folders(text), text);
        }
        for (text, left) in [
            (
                "VK_DRIVER_FILES is \"/home/alice/my drivers/x.json\", which",
                "VK_DRIVER_FILES is \"(a path)\", which",
            ),
            ("cannot open /root/a.so: no", "cannot open (a path): no"),
            ("at /usrlocal/x", "at (a path)"),
            ("LD=/opt/a:/home/b", "LD=(a path):(a path)"),
            ("file:///home/alice/x", "file:(a path)"),
        ] {
            assert_eq!(without_folders(text), left);
        }
    }
}
