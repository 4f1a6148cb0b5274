//! Strings that C reads.

use std::ffi::CString;
use std::fmt;

/// A text that ends where C thinks that it ends: at its first NUL byte, of which ours have none.
pub(crate) fn c_text(text: impl fmt::Display) -> CString {
    let mut bytes = text.to_string().into_bytes();
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_within_is_left_out() {
        assert_eq!(c_text("a\0b").as_c_str(), c"ab");
        assert_eq!(c_text("").as_c_str(), c"");
    }
}
