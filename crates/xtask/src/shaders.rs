//! `cargo xtask shaders`: each `shaders/NAME.wgsl` becomes `shaders/compiled/NAME.spv`, all its entry points in one.
//!
//! The compiler is naga, pinned to one version so that everybody gets the same bytes. It takes a while to build, so
//! it is behind a feature of this package, which the command turns on by starting itself again.

use crate::error::Result;
use crate::workspace::Workspace;

/// Arguments of `cargo xtask shaders`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail where a committed file differs from what its source compiles to
    #[arg(long)]
    pub(crate) check: bool,
}

/// Starts this program again with its compiler.
#[cfg(not(feature = "shaders"))]
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<u8> {
    use crate::error::{Error, FAILED};
    use crate::process::{self, Job};

    let mut build = process::cargo();
    build.current_dir(&workspace.root).args([
        "build",
        "--package",
        "xtask",
        "--features",
        "shaders",
    ]);
    let log = workspace.log("shaders-build");
    Job::new("building the shader compiler", build, log, false).succeed()?;
    let mut cargo = process::cargo();
    cargo.current_dir(&workspace.root).args([
        "run",
        "--quiet",
        "--package",
        "xtask",
        "--features",
        "shaders",
        "--",
        "shaders",
    ]);
    if options.check {
        cargo.arg("--check");
    }
    let status = cargo
        .status()
        .map_err(|e| Error::unable(format!("cannot run cargo: {e}")))?;
    Ok(if status.success() { 0 } else { FAILED })
}

/// Compiles all sources.
#[cfg(feature = "shaders")]
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<u8> {
    compiler::run(&workspace.root.join("shaders"), options.check)
}

#[cfg(feature = "shaders")]
mod compiler {
    use std::fs;
    use std::path::{Path, PathBuf};

    use naga::back::spv;
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use crate::error::{Error, FAILED, Result};
    use crate::file;
    use crate::progress::{BAD, say};

    /// Compiles every source in `folder`, or compares.
    pub(super) fn run(folder: &Path, check: bool) -> Result<u8> {
        let compiled = folder.join("compiled");
        let sources = files(folder, "wgsl")?;
        let mut wrong = 0;
        for source in &sources {
            let place = compiled.join(source.with_extension("spv").file_name().unwrap_or_default());
            let bytes = compile(source)?;
            let shown = place.file_name().unwrap_or_default().to_string_lossy();
            if fs::read(&place).is_ok_and(|old| old == bytes) {
                say(format!("{shown}: up to date"));
            } else if check {
                wrong += 1;
                say(format!(
                    "{BAD}{shown}: differs from its source{BAD:#} (cargo xtask shaders)"
                ));
            } else {
                file::replace(&place, bytes)?;
                say(format!("{shown}: written"));
            }
        }
        // A compiled file without a source cannot be checked by anybody.
        for orphan in files(&compiled, "spv")? {
            if !sources
                .iter()
                .any(|source| source.file_stem() == orphan.file_stem())
            {
                wrong += 1;
                say(format!("{BAD}{} has no source{BAD:#}", orphan.display()));
            }
        }
        Ok(if wrong == 0 { 0 } else { FAILED })
    }

    fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder).map_err(|e| Error::io("reading", folder, &e))?;
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == extension))
            .collect();
        files.sort();
        Ok(files)
    }

    /// One module in, SPIR-V 1.0 out, as little-endian words.
    fn compile(source: &Path) -> Result<Vec<u8>> {
        let text = fs::read_to_string(source).map_err(|e| Error::io("reading", source, &e))?;
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        let module = naga::front::wgsl::parse_str(&text)
            .map_err(|e| Error::failed(e.emit_to_string_with_path(&text, name.as_ref())))?;
        // Immediates are Vulkan's push constants.
        let info = Validator::new(ValidationFlags::all(), Capabilities::IMMEDIATES)
            .validate(&module)
            .map_err(|e| Error::failed(e.emit_to_string_with_path(&text, name.as_ref())))?;
        let words = spv::write_vec(&module, &info, &options(), None)
            .map_err(|e| Error::failed(format!("{name}: {e}")))?;
        Ok(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    /// The defaults of a release build, spelled out where they matter: WGSL's y axis points up in clip space and
    /// Vulkan's down, so the writer turns it over; a debug build of this program must not add names.
    fn options() -> spv::Options<'static> {
        spv::Options {
            lang_version: (1, 0),
            flags: spv::WriterFlags::ADJUST_COORDINATE_SPACE
                | spv::WriterFlags::LABEL_VARYINGS
                | spv::WriterFlags::CLAMP_FRAG_DEPTH,
            debug_info: None,
            ..spv::Options::default()
        }
    }
}
