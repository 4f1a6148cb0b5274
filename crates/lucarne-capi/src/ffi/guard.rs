//! What every entry point does: arguments that must be there, answers that are always written, and no panic that crosses.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::{lucarne_error, lucarne_status};
use crate::failure::{Failure, Result};

/// Where a call puts its error. C may leave what is there uninitialised.
type ErrorPlace<'a> = Option<&'a mut MaybeUninit<Option<Box<lucarne_error>>>>;
/// Where a call puts a handle.
type Place<'a, T> = Option<&'a mut MaybeUninit<Option<Box<T>>>>;

/// The most elements of an array from C: a count beyond this is a mistake, and its bytes might not fit an address.
const MOST: usize = 1 << 31;

fn caught<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    // Nothing that a panic interrupts is seen again but through calls that check it: handles are the core's own states.
    let answer = catch_unwind(AssertUnwindSafe(run));
    answer.unwrap_or_else(|payload| {
        let failure = Failure::of_panic(&*payload);
        // Some calls have no other way to tell.
        tracing::error!("{}", failure.message);
        Err(failure)
    })
}

/// Runs a call that answers with a status alone. Writes the error, or that there is none.
pub(super) fn status(error: ErrorPlace<'_>, run: impl FnOnce() -> Result<()>) -> lucarne_status {
    let failure = caught(run).err();
    let status = failure.as_ref().map_or(lucarne_status::Ok, |f| f.status);
    if let Some(place) = error {
        let error = failure.map(|failure| Box::new(lucarne_error::new(failure)));
        place.write(error);
    }
    status
}

/// Runs a call that makes a handle. Writes `NULL` first.
pub(super) fn make<T>(
    place: Place<'_, T>,
    name: &'static str,
    error: ErrorPlace<'_>,
    run: impl FnOnce() -> Result<T>,
) -> lucarne_status {
    fill(place, name, error, || Ok(Some(Box::new(run()?))))
}

/// Runs a call that fills a plain value. Writes zeros first.
pub(super) fn fill<T: Default>(
    place: Option<&mut MaybeUninit<T>>,
    name: &'static str,
    error: ErrorPlace<'_>,
    run: impl FnOnce() -> Result<T>,
) -> lucarne_status {
    status(error, || {
        let place = given(place, name)?;
        let place = place.write(T::default());
        *place = run()?;
        Ok(())
    })
}

/// Runs a call that cannot fail, and answers `otherwise` should it panic.
pub(super) fn plain<T>(otherwise: T, run: impl FnOnce() -> T) -> T {
    caught(|| Ok(run())).unwrap_or(otherwise)
}

/// Ends a handle.
pub(super) fn free<T>(handle: Option<Box<T>>) {
    plain((), || drop(handle));
}

/// An argument that may not be `NULL`.
pub(super) fn given<T>(argument: Option<T>, name: &str) -> Result<T> {
    argument.ok_or_else(|| Failure::argument(name, "NULL", "a pointer"))
}

/// The element of a list of ours that C has asked for.
pub(super) fn at<T>(list: &[T], index: usize) -> Result<&T> {
    let limit = || format!("below {}", list.len());
    list.get(index)
        .ok_or_else(|| Failure::argument("index", index, limit()))
}

/// A string that may not be `NULL`.
///
/// # Safety
///
/// `pointer` is `NULL`, or points to bytes that end with a NUL and live for `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: this function's contract.
    let text = unsafe { text_or_null(pointer, name) }?;
    given(text, name)
}

/// A string that may be `NULL`.
///
/// # Safety
///
/// As for [`text`].
pub(super) unsafe fn text_or_null<'a>(
    pointer: *const c_char,
    name: &str,
) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: CStr::from_ptr: not NULL, and this function's contract.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    let text = bytes.to_str().map_err(|error| {
        let got = format!("invalid from byte {}", error.valid_up_to());
        Failure::argument(name, got, "UTF-8")
    })?;
    Ok(Some(text))
}

/// An array. It may be `NULL` where it has no elements.
///
/// # Safety
///
/// `first` is `NULL`, or points to `count` elements that live for `'a` and that nobody writes meanwhile.
pub(super) unsafe fn array<'a, T>(first: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    check_array(first, count, name)?;
    // SAFETY: slice::from_raw_parts: not NULL, aligned and below isize::MAX bytes, all checked; the rest is this function's
    // contract.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// An array of bytes to fill, which may be uninitialised before.
///
/// # Safety
///
/// `first` is `NULL`, or points to `count` bytes that live for `'a` and that nobody else uses meanwhile.
pub(super) unsafe fn bytes_mut<'a>(
    first: *mut u8,
    count: usize,
    name: &str,
) -> Result<&'a mut [u8]> {
    if count == 0 {
        return Ok(&mut []);
    }
    check_array(first.cast_const(), count, name)?;
    // A slice of bytes must be initialised, and C's may not be.
    // SAFETY: ptr::write_bytes: not NULL, and this function's contract.
    unsafe { first.write_bytes(0, count) };
    // SAFETY: slice::from_raw_parts_mut: initialised just now; the rest as in `array`.
    Ok(unsafe { std::slice::from_raw_parts_mut(first, count) })
}

/// Places for several values, which may be uninitialised.
///
/// # Safety
///
/// `first` is `NULL`, or points to `count` elements that live for `'a` and that nobody else uses meanwhile.
pub(super) unsafe fn places<'a, T>(
    first: *mut T,
    count: usize,
    name: &str,
) -> Result<&'a mut [MaybeUninit<T>]> {
    if count == 0 {
        return Ok(&mut []);
    }
    check_array(first.cast_const(), count, name)?;
    let first: *mut MaybeUninit<T> = first.cast();
    // SAFETY: slice::from_raw_parts_mut: MaybeUninit needs no value; the rest as in `array`.
    Ok(unsafe { std::slice::from_raw_parts_mut(first, count) })
}

fn check_array<T>(first: *const T, count: usize, name: &str) -> Result<()> {
    if first.is_null() {
        let limit = format!("a pointer to {count} elements");
        return Err(Failure::argument(name, "NULL", limit));
    }
    if !first.is_aligned() {
        return Err(Failure::argument(
            name,
            "not aligned",
            "aligned as its type is",
        ));
    }
    if count
        .checked_mul(size_of::<T>().max(1))
        .is_none_or(|bytes| bytes > MOST)
    {
        let limit = format!("of at most {MOST} bytes");
        return Err(Failure::argument(
            name,
            format!("of {count} elements"),
            limit,
        ));
    }
    Ok(())
}

/// Writes as much of `text` as fits, with a NUL behind it, and tells how many bytes the whole has without it: as snprintf.
///
/// # Safety
///
/// `place` is `NULL`, or points to `size` bytes that nobody else uses meanwhile.
pub(super) unsafe fn write_text(text: &str, place: *mut c_char, size: usize) -> usize {
    // SAFETY: this function's contract.
    let Ok(place) = (unsafe { bytes_mut(place.cast(), size, "text") }) else {
        return text.len();
    };
    if let Some(most) = size.checked_sub(1) {
        let mut end = most.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        place[..end].copy_from_slice(&text.as_bytes()[..end]);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_its_text() {
        let mut place = MaybeUninit::uninit();
        let answer = status(Some(&mut place), || panic!("of a {}", "test"));
        assert_eq!(answer, lucarne_status::Panic);
        // SAFETY: MaybeUninit::assume_init: `status` writes it in every case.
        let error = unsafe { place.assume_init() }.expect("an error");
        assert!(error.message().contains("of a test"), "{error:?}");
        assert_eq!(plain(7, || panic!("again")), 7);
    }

    #[test]
    fn texts_are_cut_where_a_character_ends() {
        let mut place = [c_char::MAX; 4];
        // SAFETY: `place` has four bytes.
        let length = unsafe { write_text("aüüü", place.as_mut_ptr(), 4) };
        assert_eq!(length, 7);
        assert_eq!(place.map(|one| one as u8), [b'a', 0xc3, 0xbc, 0]);
        // SAFETY: NULL is told.
        assert_eq!(unsafe { write_text("abc", std::ptr::null_mut(), 0) }, 3);
    }

    #[test]
    fn arrays_are_checked() {
        // SAFETY: NULL is told.
        let none = unsafe { array::<u32>(std::ptr::null(), 3, "formats") };
        let message = none.expect_err("none").message;
        assert_eq!(
            message,
            "formats is NULL, but must be a pointer to 3 elements"
        );
        // SAFETY: the count is told before anything is read.
        let huge = unsafe { array::<u32>([1].as_ptr(), usize::MAX / 2, "formats") };
        assert!(huge.expect_err("too many").message.contains("at most"));
        // SAFETY: NULL without elements.
        let empty = unsafe { array::<u32>(std::ptr::null(), 0, "formats") };
        assert_eq!(empty.expect("none are none"), []);
    }
}
