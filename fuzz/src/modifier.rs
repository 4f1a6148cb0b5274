//! Modifiers: every code has one text, and the text leads back to the code.

use arbitrary::{Arbitrary, Unstructured};
use lucarne::{Format, Modifier};

const INVALID: u64 = 0x00ff_ffff_ffff_ffff;

/// Takes the first bytes as codes of a modifier and of a format, and the rest as a text to parse.
///
/// # Panics
///
/// When a code does not survive, or a text is read in two ways.
pub fn check(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok((vendor, value)) = <(u8, u64)>::arbitrary(&mut u) else {
        return;
    };
    // Vendors' own numbers are small; without this most codes would be nobody's.
    code((u64::from(vendor % 16) << 56) | (value & INVALID));
    code(value);
    fourcc(u32::from_le_bytes(
        value.to_le_bytes()[..4].try_into().unwrap_or_default(),
    ));
    if let Ok(text) = std::str::from_utf8(u.take_rest()) {
        if let Ok(modifier) = text.parse::<Modifier>() {
            code(modifier.code());
        }
        if let Some(format) = Format::from_name(text) {
            let bare = text.strip_prefix("DRM_FORMAT_").unwrap_or(text);
            let characters = format.fourcc().to_le_bytes();
            assert!(
                format.name() == Some(bare) || characters == *text.as_bytes(),
                "{text} was read as {format}"
            );
        }
    }
}

fn code(code: u64) {
    let Some(modifier) = Modifier::new(code) else {
        assert_eq!(code, INVALID);
        return;
    };
    assert_ne!(code, INVALID);
    assert_eq!(modifier.code(), code);
    assert_eq!(
        Modifier::try_from(drm_fourcc_round_trip(modifier)),
        Ok(modifier)
    );
    let text = modifier.to_string();
    if !modifier.is_linear() {
        assert!(text.ends_with(&format!("({code:#018x})")), "{text}");
    }
    let hexadecimal = format!("{code:#018x}");
    assert_eq!(hexadecimal.parse::<Modifier>().as_ref(), Ok(&modifier));
    if let Some(name) = modifier.kernel_name() {
        assert_eq!(Modifier::from_kernel_name(name), Some(modifier), "{name}");
        assert_eq!(name.parse::<Modifier>().as_ref(), Ok(&modifier), "{name}");
    }
    assert!(
        modifier.auxiliary_planes().is_none_or(|planes| planes <= 2),
        "{text}"
    );
    assert!(!format!("{modifier:?}").is_empty());
}

fn drm_fourcc_round_trip(modifier: Modifier) -> u64 {
    u64::from(drm_fourcc::DrmModifier::from(modifier))
}

fn fourcc(code: u32) {
    let format = Format::from_fourcc(code);
    assert_eq!(format.fourcc(), code);
    assert!(!format.to_string().is_empty());
    let Some(info) = format.info() else {
        return;
    };
    assert_eq!(info.format, format);
    assert_eq!(Format::from_name(info.name), Some(format));
}
