//! Which Linux distribution this is, from `os-release(5)`.

use std::fs;

/// What our commands know about a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distribution {
    /// Debian 12; its Mesa and QEMU are taken from backports.
    Bookworm,
    /// Debian 13 and what comes after it.
    Debian,
    /// Ubuntu 24.04 and what comes after it.
    Ubuntu,
    /// Anything else: nothing is installed there, and the names of packages are the user's to find.
    Other,
}

impl Distribution {
    /// Reads this machine's `os-release`.
    pub(crate) fn detect() -> Self {
        let text = fs::read_to_string("/etc/os-release")
            .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
            .unwrap_or_default();
        Self::parse(&text)
    }

    /// Decides by `ID`, then by `ID_LIKE` (Mint, Pop!_OS and others call themselves Ubuntu-like).
    fn parse(os_release: &str) -> Self {
        let value = |key: &str| value(os_release, key).unwrap_or_default();
        let id = value("ID");
        let codename = value("VERSION_CODENAME");
        match id.as_str() {
            "debian" if codename == "bookworm" => Self::Bookworm,
            "debian" => Self::Debian,
            "ubuntu" => Self::Ubuntu,
            _ => {
                let like = value("ID_LIKE");
                let like: Vec<_> = like.split_whitespace().collect();
                if like.contains(&"ubuntu") {
                    Self::Ubuntu
                } else if like.contains(&"debian") && codename == "bookworm" {
                    Self::Bookworm
                } else if like.contains(&"debian") {
                    Self::Debian
                } else {
                    Self::Other
                }
            }
        }
    }

    /// Whether apt and dpkg keep the packages here.
    pub(crate) fn has_apt(self) -> bool {
        self != Self::Other
    }

    /// The release that apt must be told to take packages from, where the default one is too old.
    pub(crate) fn target_release(self) -> Option<&'static str> {
        (self == Self::Bookworm).then_some("bookworm-backports")
    }
}

/// The value of one `KEY=value` line, without quotes.
fn value(os_release: &str, key: &str) -> Option<String> {
    os_release.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim();
        let bare = value
            .strip_prefix('"')
            .and_then(|v| v.strip_suffix('"'))
            .or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')))
            .unwrap_or(value);
        (name.trim() == key).then(|| bare.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_distributions() {
        let cases = [
            (
                "ID=debian\nVERSION_CODENAME=bookworm\n",
                Distribution::Bookworm,
            ),
            (
                "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n",
                Distribution::Debian,
            ),
            (
                "PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nID=debian\n",
                Distribution::Debian,
            ),
            (
                "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n",
                Distribution::Ubuntu,
            ),
            (
                "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                Distribution::Ubuntu,
            ),
            (
                "ID=raspbian\nID_LIKE=debian\nVERSION_CODENAME=bookworm\n",
                Distribution::Bookworm,
            ),
            ("ID=fedora\n", Distribution::Other),
            ("ID='arch'\n", Distribution::Other),
            ("", Distribution::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(Distribution::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn quotes_and_similar_keys() {
        let text = "VERSION_ID=\"12\"\nID='debian'\nXID=other\n";
        assert_eq!(value(text, "ID").as_deref(), Some("debian"));
        assert_eq!(value(text, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(value(text, "MISSING"), None);
    }
}
