//! Frames in place: what is written at an address is in the frame, and an address outlives all but its mapping.

mod common;

use common::frames::{LONG, cpu, frame_of, image, noise, read, refused};
use common::{filled, made, open, share};
use lucarne_capi::ffi::*;

fn signaled() -> Box<lucarne_fence> {
    made(|place| lucarne_fence_signaled(Some(place), None))
}

fn map_write(image: &lucarne_image) -> Box<lucarne_mapping> {
    made(|place| lucarne_image_map_write(Some(image), Some(&signaled()), LONG, Some(place), None))
}

fn plane(mapping: &lucarne_mapping, index: u32) -> lucarne_mapped_plane {
    filled(|place| lucarne_mapping_plane(Some(mapping), index, Some(place), None))
}

/// Where a row begins.
fn row(plane: lucarne_mapped_plane, index: usize) -> *mut u8 {
    let pitch = usize::try_from(plane.pitch).expect("a pitch");
    plane.address.cast::<u8>().wrapping_add(index * pitch)
}

fn put(plane: lucarne_mapped_plane, bytes: &[u8]) {
    let width = plane.row_bytes as usize;
    assert_eq!(bytes.len(), width * plane.rows as usize);
    for (index, bytes) in bytes.chunks(width).enumerate() {
        // SAFETY: ptr::copy_nonoverlapping: the row lies in a mapping that is there, and a slice never does.
        unsafe { row(plane, index).copy_from_nonoverlapping(bytes.as_ptr(), width) };
    }
}

fn take(plane: lucarne_mapped_plane) -> Vec<u8> {
    let width = plane.row_bytes as usize;
    let mut bytes = vec![0; width * plane.rows as usize];
    for (index, bytes) in bytes.chunks_mut(width).enumerate() {
        // SAFETY: as in `put`, with the roles exchanged.
        unsafe { row(plane, index).copy_to_nonoverlapping(bytes.as_mut_ptr(), width) };
    }
    bytes
}

#[test]
fn an_address_is_the_frames_and_outlives_the_image() {
    for allocator in [LUCARNE_ALLOCATOR_BEST, LUCARNE_ALLOCATOR_HOST_MEMORY] {
        let written = image(LUCARNE_FORMAT_NV12, allocator);
        let mapping = map_write(&written);
        let planes = [plane(&mapping, 0), plane(&mapping, 1)];
        let layout =
            filled(|place| lucarne_frame_describe(Some(frame_of(&written)), Some(place), None));
        for (plane, told) in planes.iter().zip(&layout.planes) {
            assert_eq!(plane.pitch, u64::from(told.pitch));
        }
        let bytes = [noise(128, 7), noise(64, 8)];
        put(planes[0], &bytes[0]);
        put(planes[1], &bytes[1]);
        let done = made(|place| lucarne_mapping_end(Some(&mapping), Some(place), None));
        assert_eq!(lucarne_fence_wait(Some(&done), 0, None), lucarne_status::Ok);
        assert!(read(&written, 128) == bytes[0]);

        let seen = made(|place| {
            lucarne_image_map_read(Some(&written), Some(&done), LONG, Some(place), None)
        });
        let (first, second) = (plane(&seen, 0), plane(&seen, 1));
        lucarne_image_free(Some(written));
        lucarne_mapping_free(Some(mapping));
        let done = made(|place| lucarne_mapping_end(Some(&seen), Some(place), None));
        lucarne_fence_free(Some(done));
        assert!(take(first) == bytes[0] && take(second) == bytes[1]);
        lucarne_mapping_free(Some(seen));
    }
}

#[test]
fn what_cannot_be_mapped_is_named() {
    let image = image(LUCARNE_FORMAT_XRGB8888, LUCARNE_ALLOCATOR_HOST_MEMORY);
    let gate = signaled();
    let mapping = map_write(&image);
    let again = |message: &str| {
        let (status, text) = refused(|place, error| {
            lucarne_image_map_read(Some(&image), Some(&gate), LONG, Some(place), Some(error))
        });
        assert_eq!(status, lucarne_status::InvalidArgument);
        assert!(text.contains(message), "{text}");
    };
    again("in use");
    let (status, text) =
        refused(|place, error| lucarne_mapping_plane(Some(&mapping), 1, Some(place), Some(error)));
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(text.contains("plane"), "{text}");
    drop(made(|place| {
        lucarne_mapping_end(Some(&mapping), Some(place), None)
    }));
    let (status, text) =
        refused(|place, error| lucarne_mapping_plane(Some(&mapping), 0, Some(place), Some(error)));
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(text.contains("whose turn has ended"), "{text}");
    let (status, _) =
        refused(|place, error| lucarne_mapping_end(Some(&mapping), Some(place), Some(error)));
    assert_eq!(status, lucarne_status::InvalidArgument);
    // The image is free, whether or not the mapping is.
    lucarne_mapping_free(Some(map_write(&image)));
    lucarne_mapping_free(Some(map_write(&image)));

    let Some(vulkan) = open(lucarne_vulkan_device_open, "Vulkan") else {
        return;
    };
    let cpu = cpu(LUCARNE_ALLOCATOR_HOST_MEMORY);
    let usages = [LUCARNE_USAGE_TRANSFER_DESTINATION, LUCARNE_USAGE_SAMPLE];
    let drawn = share(&vulkan, &cpu, (16, 8), usages);
    let (status, text) = refused(|place, error| {
        lucarne_image_map_write(Some(&drawn), Some(&gate), LONG, Some(place), Some(error))
    });
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(
        text.contains("image is Vulkan's, but must be the CPU's"),
        "{text}"
    );
}
