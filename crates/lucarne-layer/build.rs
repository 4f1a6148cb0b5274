//! Puts the manifest beside the library that cargo builds, so that `lucarne run` finds both there.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

const MANIFEST: &str = "VkLayer_LUCARNE_extensions.json";
const INSTALLED: &str = "../../../lib/lucarne/liblucarne_layer.so";

fn main() -> Result<(), Box<dyn Error>> {
    writeln!(io::stdout(), "cargo::rerun-if-changed={MANIFEST}")?;
    let manifest = fs::read_to_string(MANIFEST)?;
    if !manifest.contains(INSTALLED) {
        return Err(format!("{MANIFEST} does not name {INSTALLED}").into());
    }
    let manifest = manifest.replace(INSTALLED, "./liblucarne_layer.so");
    // PROFILE/build/PACKAGE/out: cargo has no other word for the folder that libraries end up in.
    let out = env::var("OUT_DIR")?;
    if let Some(profile) = Path::new(&out).ancestors().nth(3) {
        fs::write(profile.join(MANIFEST), manifest)?;
    }
    Ok(())
}
