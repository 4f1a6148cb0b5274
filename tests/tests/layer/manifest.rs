//! The layer that cargo has built, with a manifest where the loader looks.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

pub(crate) const LAYER: &str = "VK_LAYER_LUCARNE_extensions";
const NAME: &str = "VkLayer_LUCARNE_extensions.json";
const TEXT: &str = include_str!("../../../crates/lucarne-layer/VkLayer_LUCARNE_extensions.json");

/// A folder with the manifest; it goes with this value.
pub(crate) struct Manifest {
    root: TempDir,
    folder: String,
}

type Variable<'a> = (&'a str, &'a str);

impl Manifest {
    /// In a folder of its own.
    pub(crate) fn new() -> Self {
        Self::below("")
    }

    /// In a folder of implicit layers, below one that `XDG_DATA_HOME` can name.
    pub(crate) fn installed() -> Self {
        Self::below("vulkan/implicit_layer.d")
    }

    fn below(folder: &str) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        let library = library();
        let library = library.to_str().expect("UTF-8");
        let text = TEXT.replace("../../../lib/lucarne/liblucarne_layer.so", library);
        assert!(text.contains(library), "the manifest names another library");
        fs::write(folder.join(NAME), text).expect("a manifest");
        let folder = folder.to_str().expect("UTF-8").to_owned();
        Self { root, folder }
    }

    /// For layers that are named, from the program down; with the layer's log.
    pub(crate) fn explicit<'a>(&'a self, layers: &'a str) -> [Variable<'a>; 3] {
        [
            ("VK_ADD_LAYER_PATH", &self.folder),
            ("VK_INSTANCE_LAYERS", layers),
            ("LUCARNE_LAYER_LOG", "1"),
        ]
    }

    /// For [`Manifest::installed`]; with the layer's log.
    pub(crate) fn implicit(&self) -> [Variable<'_>; 2] {
        let root = self.root.path().to_str().expect("UTF-8");
        [("XDG_DATA_HOME", root), ("LUCARNE_LAYER_LOG", "1")]
    }
}

/// Beside this program, where cargo puts the libraries that a package depends on.
fn library() -> PathBuf {
    let program = std::env::current_exe().expect("this program's path");
    let library = program.with_file_name("liblucarne_layer.so");
    assert!(library.exists(), "{} is not built", library.display());
    library
}
