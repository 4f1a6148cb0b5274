//! `lucarne run`: a program with Lucarne's Vulkan layer in it.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use serde::Deserialize;

use crate::{Answer, Failure};

/// Arguments of `lucarne run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Take the layer whose manifest is in this folder [default: the installed one, or the one that cargo built].
    #[arg(long, value_name = "FOLDER")]
    layer: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROGRAM"
    )]
    program: Vec<OsString>,
}

const EXAMPLES: &str = "\
Exit status: that of the program; 2 when it could not be started.

Examples:
  lucarne run -- godot --path game              what Lucarne needs is enabled on Godot's device
  LUCARNE_LAYER_LOG=1 lucarne run -- vkcube     and says what was added";

/// `crates/lucarne-layer` has it, with the same name inside.
const MANIFEST: &str = "VkLayer_LUCARNE_extensions.json";
const LAYER: &str = "VK_LAYER_LUCARNE_extensions";

/// Becomes the program.
pub(crate) fn run(options: &Options) -> Result<Answer, Failure> {
    let folder = match &options.layer {
        Some(folder) => layer_in(folder)?,
        None => installed()?,
    };
    let (program, arguments) = options.program.split_first().ok_or("no program")?;
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, value) in variables(&folder, |name| env::var_os(name))? {
        command.env(name, value);
    }
    // It would turn off a layer that is installed too.
    command.env_remove("LUCARNE_EXTENSIONS_DISABLE");
    let error = command.exec();
    Err(refusal(program, &error).into())
}

/// What Vulkan's loader has to be told. The layer stands first of those that are named, and what the user says stays.
///
/// Named, as an implicit layer's folder can be given to loaders from 1.3.296 on only; older ones (Debian 12 has 1.3.239) know
/// folders of explicit layers.
fn variables(
    folder: &Path,
    have: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<(&'static str, OsString)>, String> {
    if folder.as_os_str().as_encoded_bytes().contains(&b':') {
        let shown = folder.display();
        return Err(format!(
            "{shown}: Vulkan's loader cannot be given a folder with a colon in its name"
        ));
    }
    let given = |name: &str| have(name).filter(|value| !value.is_empty());
    // With the first variable the loader does not look at the second.
    let path = if given("VK_LAYER_PATH").is_some() {
        "VK_LAYER_PATH"
    } else {
        "VK_ADD_LAYER_PATH"
    };
    let before = |first: &OsStr, name: &str| {
        let mut list = first.to_owned();
        if let Some(rest) = given(name) {
            list.push(":");
            list.push(rest);
        }
        list
    };
    Ok(vec![
        (path, before(folder.as_os_str(), path)),
        (
            "VK_INSTANCE_LAYERS",
            before(OsStr::new(LAYER), "VK_INSTANCE_LAYERS"),
        ),
        ("LUCARNE_EXTENSIONS", OsString::from("1")),
    ])
}

/// Where a package puts the manifest, as seen from the command; then where cargo does.
fn installed() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|e| format!("this program's own path: {e}"))?;
    let beside = program.parent().unwrap_or(Path::new("/"));
    let package = beside
        .parent()
        .unwrap_or(beside)
        .join("share/vulkan/implicit_layer.d");
    for folder in [&*package, beside] {
        if folder.join(MANIFEST).exists() {
            return layer_in(folder);
        }
    }
    Err(format!(
        "the Vulkan layer is not installed: there is no {MANIFEST} in {} or {}; Debian's package has it, \
         `cargo build -p lucarne-cli -p lucarne-layer` makes it, and --layer names another folder",
        package.display(),
        beside.display()
    ))
}

#[derive(Deserialize)]
struct Manifest {
    layer: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    library_path: PathBuf,
}

/// The folder, absolute, once its manifest and the library are seen to be there: the loader would leave a broken layer out
/// without a word.
fn layer_in(folder: &Path) -> Result<PathBuf, String> {
    let folder = folder
        .canonicalize()
        .map_err(|e| format!("{}: {e}", folder.display()))?;
    let path = folder.join(MANIFEST);
    let shown = path.display();
    let text = fs::read_to_string(&path).map_err(|e| format!("{shown}: {e}"))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|e| format!("{shown} is no layer's manifest: {e}"))?;
    let Named { name, library_path } = manifest.layer;
    if name != LAYER {
        return Err(format!("{shown} is of {name}, not of {LAYER}"));
    }
    // A name alone is looked for in the system's folders, by the loader.
    let by_name = library_path.parent() == Some(Path::new(""));
    let library = folder.join(&library_path);
    if !by_name && !library.exists() {
        return Err(format!(
            "{shown} names {}, which is not there; `cargo build -p lucarne-layer` makes it",
            library.display()
        ));
    }
    Ok(folder)
}

fn refusal(program: &OsStr, error: &io::Error) -> String {
    let shown = program.display();
    match error.kind() {
        ErrorKind::NotFound if program.as_encoded_bytes().contains(&b'/') => {
            format!("{shown}: there is no such program, or what it needs to start is missing")
        }
        ErrorKind::NotFound => format!("{shown}: there is no such program in PATH"),
        ErrorKind::PermissionDenied => format!("{shown}: is no program that you may run"),
        _ => format!("{shown}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(folder: &str, have: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let have = |name: &str| {
            let found = have.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let variables = variables(Path::new(folder), have).expect("a good folder");
        let text = |value: OsString| value.into_string().expect("UTF-8");
        variables
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect()
    }

    #[test]
    fn what_the_user_says_stays_behind_the_layer() {
        let mine = |path, list: &str, layers: &str| {
            vec![
                (path, list.to_owned()),
                ("VK_INSTANCE_LAYERS", layers.to_owned()),
                ("LUCARNE_EXTENSIONS", "1".to_owned()),
            ]
        };
        assert_eq!(told("/l", &[]), mine("VK_ADD_LAYER_PATH", "/l", LAYER));
        assert_eq!(
            told("/l", &[("VK_LAYER_PATH", ""), ("VK_ADD_LAYER_PATH", "/a")]),
            mine("VK_ADD_LAYER_PATH", "/l:/a", LAYER)
        );
        let both = [
            ("VK_LAYER_PATH", "/b:/c"),
            ("VK_ADD_LAYER_PATH", "/a"),
            ("VK_INSTANCE_LAYERS", "VK_LAYER_ONE:VK_LAYER_TWO"),
        ];
        let layers = format!("{LAYER}:VK_LAYER_ONE:VK_LAYER_TWO");
        assert_eq!(
            told("/l", &both),
            mine("VK_LAYER_PATH", "/l:/b:/c", &layers)
        );
    }

    #[test]
    fn a_colon_cannot_be_told() {
        let error = variables(Path::new("/a:b"), |_| None).expect_err("refused");
        assert!(error.contains("/a:b") && error.contains("colon"), "{error}");
    }

    #[test]
    fn refusals_say_what_to_look_at() {
        let said = |program: &str, kind| refusal(OsStr::new(program), &io::Error::from(kind));
        assert!(said("godot", ErrorKind::NotFound).contains("PATH"));
        assert!(!said("./godot", ErrorKind::NotFound).contains("PATH"));
        assert!(said("./notes", ErrorKind::PermissionDenied).contains("./notes"));
    }
}
