//! Gives the shared library the SONAME that it has when cargo-c installs it: docs/c.md has the rules.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let number = |name: &str| std::env::var(name).unwrap_or_default();
    let (major, minor) = (
        number("CARGO_PKG_VERSION_MAJOR"),
        number("CARGO_PKG_VERSION_MINOR"),
    );
    let version = if major == "0" {
        format!("0.{minor}")
    } else {
        major
    };
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,liblucarne.so.{version}");
}
