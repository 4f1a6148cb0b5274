//! A loader without a driver: the error names the driver's package, and the variables that point elsewhere.

use lucarne::{Error, Requirement, egl, vulkan};
use lucarne_tests::child;

/// The one thing that `opened` lacks.
fn lacks<T>(opened: Result<T, Error>) -> Requirement {
    match opened.map(|_| "opened") {
        Err(Error::Unsupported { missing, .. }) => {
            assert_eq!(missing.len(), 1, "{missing:?}");
            missing[0].clone()
        }
        other => panic!("{other:?}"),
    }
}

/// Opens an API in a process of its own, with one variable that points nowhere, and looks at what is missing.
fn points_nowhere(test: &str, variable: &str, package: &str, open: fn() -> Requirement) {
    if child::is(test) {
        eprintln!("missing: {}", open());
        return;
    }
    let output = child::run(test, &[(variable, "/nowhere.json")]);
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find_map(|line| line.split_once("missing: "));
    let (_, reason) = line.unwrap_or_else(|| panic!("{variable}: {output:?}"));
    for part in [variable, "/nowhere.json", "unset it", package] {
        assert!(reason.contains(part), "{part} is not in: {reason}");
    }
}

fn vulkan() -> Requirement {
    let instance = vulkan::Instance::new(&vulkan::InstanceOptions::default());
    lacks(instance.and_then(|instance| instance.adapters()))
}

fn egl() -> Requirement {
    lacks(egl::Adapter::enumerate())
}

#[test]
fn vulkans_driver_files_point_nowhere() {
    let me = "vulkans_driver_files_point_nowhere";
    points_nowhere(me, "VK_DRIVER_FILES", "mesa-vulkan-drivers", vulkan);
}

#[test]
fn vulkans_older_variable_points_nowhere() {
    let me = "vulkans_older_variable_points_nowhere";
    points_nowhere(me, "VK_ICD_FILENAMES", "mesa-vulkan-drivers", vulkan);
}

#[test]
fn egls_vendor_files_point_nowhere() {
    let me = "egls_vendor_files_point_nowhere";
    points_nowhere(me, "__EGL_VENDOR_LIBRARY_FILENAMES", "libegl-mesa0", egl);
}

#[test]
fn nothing_is_set_and_the_package_is_named() {
    let reason = Requirement::LoadedDriver {
        api: "Vulkan",
        package: "mesa-vulkan-drivers",
        settings: vec![],
    };
    let said = reason.to_string();
    assert!(
        said.ends_with("(package mesa-vulkan-drivers on Debian and Ubuntu)"),
        "{said}"
    );
}
