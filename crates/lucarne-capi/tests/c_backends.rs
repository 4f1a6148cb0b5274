//! Devices of Lucarne's own: Vulkan writes and reads, OpenGL reads the same memory, byte for byte; and each refuses the other's images.

mod common;

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

use common::{filled, made, open, share};
use lucarne_capi::ffi::*;

const LONG: u64 = 60_000_000_000;
const EXTENT: (u32, u32) = (64, 32);
const BYTES: usize = 4 * 64 * 32;
const VULKAN: u32 = LUCARNE_USAGE_TRANSFER_SOURCE | LUCARNE_USAGE_TRANSFER_DESTINATION;

fn pattern() -> Vec<u8> {
    (0..=250_u8).cycle().take(BYTES).collect()
}

/// Counts its calls, and records nothing.
unsafe extern "C-unwind" fn count(commands: *mut c_void, data: *mut c_void) {
    assert!(!commands.is_null());
    // SAFETY: a pointer write: the data is a `u32` of the test's, which nobody else uses meanwhile.
    unsafe { *data.cast::<u32>() += 1 };
}

#[test]
fn vulkan_and_opengl_see_the_same_bytes() {
    let Some(vulkan) = open(lucarne_vulkan_device_open, "Vulkan") else {
        return;
    };
    let Some(gl) = open(lucarne_egl_device_open, "EGL") else {
        return;
    };
    let image = share(&vulkan, &gl, EXTENT, [VULKAN, LUCARNE_USAGE_SAMPLE]);
    let pattern = pattern();
    let gate = made(|place| lucarne_fence_signaled(Some(place), None));
    let done = write(&image, &gate, &pattern);
    if lucarne_image_copies_per_frame(Some(&image)) == 0 {
        read_in_vulkan(&image, &done, &pattern);
    }
    let texture = read_in_gl(&gl, &image, &done, &pattern);
    each_refuses_the_others(&image, &texture);
    lucarne_image_free(Some(texture));
    lucarne_image_free(Some(image));
    assert_eq!(lucarne_egl_trim(Some(&gl), None), lucarne_status::Ok);
}

fn write(image: &lucarne_image, gate: &lucarne_fence, bytes: &[u8]) -> Box<lucarne_fence> {
    made(|place| {
        let first = bytes.as_ptr().cast();
        // SAFETY: the slice's own length.
        unsafe {
            lucarne_image_write_plane(
                Some(image),
                Some(gate),
                LONG,
                0,
                first,
                bytes.len(),
                Some(place),
                None,
            )
        }
    })
}

/// Byte by byte, and in a turn of the program's own.
fn read_in_vulkan(image: &lucarne_image, done: &lucarne_fence, pattern: &[u8]) {
    let mut seen = vec![0_u8; BYTES];
    let read = made(|place| {
        let first = seen.as_mut_ptr().cast();
        // SAFETY: the vector's own length.
        unsafe {
            lucarne_image_read_plane(
                Some(image),
                Some(done),
                LONG,
                0,
                first,
                BYTES,
                Some(place),
                None,
            )
        }
    });
    assert!(seen == pattern, "Vulkan's own bytes");
    let mut calls = 0_u32;
    let access = LUCARNE_ACCESS_TRANSFER_SOURCE;
    let turn = made(|place| {
        let data = (&raw mut calls).cast();
        // SAFETY: `count` takes a `u32`.
        unsafe {
            lucarne_vulkan_read(
                Some(image),
                Some(&read),
                LONG,
                access,
                Some(count),
                data,
                Some(place),
                None,
            )
        }
    });
    assert_eq!(calls, 1);
    assert_eq!(
        lucarne_fence_wait(Some(&turn), LONG, None),
        lucarne_status::Ok
    );
}

/// What a shader reads of the same memory.
fn read_in_gl(
    gl: &lucarne_device,
    image: &lucarne_image,
    done: &lucarne_fence,
    pattern: &[u8],
) -> Box<lucarne_image> {
    let frame = lucarne_image_frame(Some(image));
    let texture = made(|place| {
        lucarne_device_import(Some(gl), frame, LUCARNE_USAGE_SAMPLE, Some(place), None)
    });
    let status = lucarne_egl_read(Some(&texture), Some(done), LONG, None);
    assert_eq!(status, lucarne_status::Ok);
    let mut pixels = vec![0_f32; BYTES];
    // SAFETY: the vector's own length.
    let status = unsafe { lucarne_egl_download(Some(&texture), pixels.as_mut_ptr(), BYTES, None) };
    assert_eq!(status, lucarne_status::Ok);
    let layout = filled(|place| lucarne_frame_describe(frame, Some(place), None));
    assert_eq!(
        layout.format, LUCARNE_FORMAT_XBGR8888,
        "red first, padding last"
    );
    let is_right = |(at, (float, byte)): (usize, (&f32, &u8))| {
        at % 4 == 3 || (float * 255.0 - f32::from(*byte)).abs() < 0.5
    };
    let right = pixels
        .iter()
        .zip(pattern)
        .enumerate()
        .filter(|one| is_right(*one));
    assert_eq!(right.count(), BYTES);
    let fence = made(|place| lucarne_egl_fence(Some(gl), LONG, Some(place), None));
    assert_eq!(
        lucarne_fence_wait(Some(&fence), LONG, None),
        lucarne_status::Ok
    );
    texture
}

fn each_refuses_the_others(of_vulkan: &lucarne_image, of_gl: &lucarne_image) {
    let info = filled(|place| lucarne_image_vk_image(Some(of_vulkan), Some(place), None));
    assert!(info.image != 0 && info.usage & VULKAN == VULKAN, "{info:?}");
    let texture = filled(|place| lucarne_image_gl_texture(Some(of_gl), Some(place), None));
    assert!(texture.name != 0 && texture.target != 0, "{texture:?}");
    let mut place = MaybeUninit::uninit();
    let status = lucarne_image_vk_image(Some(of_gl), Some(&mut place), None);
    assert_eq!(status, lucarne_status::InvalidArgument);
    let mut place = MaybeUninit::uninit();
    let status = lucarne_image_gl_texture(Some(of_vulkan), Some(&mut place), None);
    assert_eq!(status, lucarne_status::InvalidArgument);
    // SAFETY: MaybeUninit::assume_init: a call that fails has emptied it.
    let emptied = unsafe { place.assume_init() };
    assert_eq!(emptied, lucarne_gl_texture::default());
    let status = barrier_for(of_gl);
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert_eq!(
        lucarne_egl_read(Some(of_vulkan), None, 0, None),
        lucarne_status::InvalidArgument
    );
}

fn barrier_for(image: &lucarne_image) -> lucarne_status {
    // SAFETY: nothing is recorded for an image of another API, and NULL is told.
    unsafe { lucarne_vulkan_acquire_barrier(Some(image), null_mut(), 0, 1, None) }
}
