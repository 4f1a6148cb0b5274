//! What a `main` that returns an error prints: `Debug` says what `Display` says, in lines where it is long.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};

use lucarne::drm_fourcc::DrmFourcc;
use lucarne::{Error, Extent, Format, Modifier, Requirement};

fn both(error: &(impl Debug + Display)) -> (String, String) {
    (format!("{error:?}"), error.to_string())
}

/// One line is printed as it is displayed, whatever the error's type.
#[test]
fn short_errors_are_debugged_as_they_are_displayed() {
    let not_there = DrmFourcc::try_from(Format::from_fourcc(1)).expect_err("no such format");
    let same = [
        both(&Extent::new(0, 1).check().expect_err("empty")),
        both(&"1x2x3".parse::<Format>().expect_err("no format")),
        both(&"1x2x3".parse::<Modifier>().expect_err("no modifier")),
        both(&Modifier::try_from(0x00ff_ffff_ffff_ffff).expect_err("INVALID")),
        both(&not_there),
        both(&Error::Unsupported {
            what: "this".to_owned(),
            missing: vec![Requirement::other("needs that")],
        }),
    ];
    for (debug, display) in same {
        assert_eq!(debug, display);
    }
}

#[test]
fn everything_that_is_missing_has_a_line_of_its_own() {
    let missing = ["needs one thing", "needs another"].map(Requirement::other);
    let error = Error::Unsupported {
        what: "this".to_owned(),
        missing: missing.to_vec(),
    };
    let ended: Box<dyn StdError> = error.into();
    assert_eq!(
        format!("{ended:?}"),
        "this is not supported:\n  needs one thing\n  needs another"
    );
}

#[test]
fn what_can_be_installed_or_unset_is_a_command() {
    let driver = |settings: &[(&'static str, String)]| Requirement::LoadedDriver {
        api: "Vulkan",
        package: "mesa-vulkan-drivers",
        settings: settings.to_vec(),
    };
    let remedy = |requirement: Requirement| requirement.remedy().unwrap_or_default();
    assert_eq!(remedy(driver(&[])), "sudo apt install mesa-vulkan-drivers");
    let elsewhere = [("VK_DRIVER_FILES", "nowhere.json".to_owned())];
    assert_eq!(remedy(driver(&elsewhere)), "unset VK_DRIVER_FILES");
    assert_eq!(Requirement::other("a newer driver").remedy(), None);
}
