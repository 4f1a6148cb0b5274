//! Tickets lead to the same memory, or say why not.

mod common;

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;

use common::frames::{LONG, cpu, frame_of, image, noise, read, refused, write};
use common::{filled, made};
use lucarne_capi::ffi::*;

fn ticket(frame: &lucarne_frame) -> CString {
    let mut text: Vec<c_char> = vec![c_char::MAX; LUCARNE_TICKET_BYTES as usize];
    let length = filled(|place| {
        let first = text.as_mut_ptr();
        // SAFETY: the vector's own length.
        unsafe { lucarne_frame_ticket(Some(frame), first, text.len(), Some(place), None) }
    });
    let bytes: Vec<u8> = text[..length]
        .iter()
        .map(|byte| byte.to_le_bytes()[0])
        .collect();
    assert_eq!(text[length], 0);
    CString::new(bytes).expect("no NUL")
}

#[test]
fn tickets_lead_to_the_same_memory() {
    for allocator in [LUCARNE_ALLOCATOR_HOST_MEMORY, LUCARNE_ALLOCATOR_BEST] {
        let kept = image(LUCARNE_FORMAT_XRGB8888, allocator);
        let bytes = noise(512, 4);
        write(&kept, 0, &bytes);
        let text = ticket(frame_of(&kept));
        // SAFETY: the text ends with a NUL.
        let fetched =
            made(|place| unsafe { lucarne_ticket_fetch(text.as_ptr(), Some(place), None) });
        let device = cpu(LUCARNE_ALLOCATOR_HOST_MEMORY);
        let import = |frame: &lucarne_frame| {
            let usage = LUCARNE_USAGE_SAMPLE;
            made(|place| {
                lucarne_device_import(Some(&device), Some(frame), usage, Some(place), None)
            })
        };
        let seen = import(&fetched);
        assert!(read(&seen, 512) == bytes);
        let more = noise(512, 5);
        write(&seen, 0, &more);
        assert!(read(&kept, 512) == more, "one memory");

        let layout =
            filled(|place| lucarne_frame_describe(Some(frame_of(&kept)), Some(place), None));
        if layout.path == LUCARNE_PATH_HOST_MEMORY {
            let access = LUCARNE_TICKET_READ;
            // SAFETY: the text ends with a NUL.
            let opened = made(|place| unsafe {
                lucarne_ticket_open(text.as_ptr(), access, Some(place), None)
            });
            let seen = import(&opened);
            assert!(read(&seen, 512) == more);
            let gate = made(|place| lucarne_fence_signaled(Some(place), None));
            let (status, text) = refused(|place, error| {
                lucarne_image_map_write(Some(&seen), Some(&gate), LONG, Some(place), Some(error))
            });
            assert_eq!(status, lucarne_status::InvalidArgument, "{text}");
            assert!(text.contains("read-only"), "{text}");
        }
    }
}

#[test]
fn tickets_that_lead_nowhere_say_so() {
    let kept = image(LUCARNE_FORMAT_XRGB8888, LUCARNE_ALLOCATOR_HOST_MEMORY);
    let text = ticket(frame_of(&kept));
    let mut short: [c_char; 20] = [0; 20];
    let (status, said) = refused(|place, error| {
        // SAFETY: twenty places.
        unsafe {
            lucarne_frame_ticket(
                Some(frame_of(&kept)),
                short.as_mut_ptr(),
                20,
                Some(place),
                Some(error),
            )
        }
    });
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(said.contains("size is 20, but must be at least"), "{said}");
    assert_eq!(short, [0; 20]);
    let fetch = |text: &CStr| {
        refused(|place, error| {
            // SAFETY: the text ends with a NUL.
            unsafe { lucarne_ticket_fetch(text.as_ptr(), Some(place), Some(error)) }
        })
    };
    let (status, said) = fetch(c"nonsense");
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(said.contains("ticket"), "{said}");
    let (status, said) = refused(|place, error| {
        // SAFETY: the text ends with a NUL.
        unsafe { lucarne_ticket_open(text.as_ptr(), 7, Some(place), Some(error)) }
    });
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(
        said.contains("access is 7, but must be one of 1, 2"),
        "{said}"
    );
    let (status, said) =
        refused(|_: &mut MaybeUninit<()>, error| lucarne_ticket_allow_fetch_by(0, Some(error)));
    assert_eq!(status, lucarne_status::InvalidArgument, "{said}");
    lucarne_image_free(Some(kept));
    let (status, said) = fetch(&text);
    assert!(
        matches!(status, lucarne_status::NotFound | lucarne_status::Os),
        "{said}"
    );
}
