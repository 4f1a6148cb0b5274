//! The planes of Y'CbCr: the CPU, Vulkan and OpenGL read the same bytes of each, and the matrix makes colours of them.

mod common;

use common::frames::{HEIGHT, LONG, WIDTH, cpu, frame_of, image, noise, read, refused, write};
use common::{filled, made, open, share};
use lucarne_capi::ffi::*;

#[expect(clippy::vec_box, reason = "these are handles")]
fn components(frame: &lucarne_frame) -> Vec<Box<lucarne_frame>> {
    let mut places: [Option<Box<lucarne_frame>>; 4] = [None, None, None, None];
    let count = filled(|place| {
        // SAFETY: four places.
        unsafe { lucarne_frame_components(Some(frame), places.as_mut_ptr(), 4, Some(place), None) }
    });
    let found: Vec<_> = places.into_iter().flatten().collect();
    assert_eq!(found.len(), count as usize);
    found
}

/// What the CPU, Vulkan and OpenGL read of a component.
fn assert_bytes(devices: &[(&lucarne_device, u32)], frame: &lucarne_frame, expected: &[u8]) {
    for (device, usage) in devices {
        let image = made(|place| {
            lucarne_device_import(Some(device), Some(frame), *usage, Some(place), None)
        });
        if lucarne_device_backend(Some(device)) != LUCARNE_BACKEND_EGL {
            assert!(read(&image, expected.len()) == expected);
            continue;
        }
        let acquire = made(|place| lucarne_fence_signaled(Some(place), None));
        assert_eq!(
            lucarne_egl_read(Some(&image), Some(&acquire), LONG, None),
            lucarne_status::Ok
        );
        let layout = filled(|place| lucarne_frame_describe(Some(frame), Some(place), None));
        let pixels = (layout.width * layout.height) as usize;
        let mut floats = vec![0_f32; 4 * pixels];
        // SAFETY: the vector's own length.
        let status =
            unsafe { lucarne_egl_download(Some(&image), floats.as_mut_ptr(), floats.len(), None) };
        assert_eq!(status, lucarne_status::Ok);
        let channels = expected.len() / pixels;
        let seen = floats.chunks(4).flat_map(|pixel| &pixel[..channels]);
        let wrong = seen
            .zip(expected)
            .filter(|(float, byte)| (**float * 255.0 - f32::from(**byte)).abs() > 0.01);
        assert_eq!(wrong.count(), 0);
    }
}

#[test]
fn each_api_reads_the_planes_of_nv12_and_yuyv() {
    let cpu = cpu(LUCARNE_ALLOCATOR_BEST);
    let Some(vulkan) = open(lucarne_vulkan_device_open, "Vulkan") else {
        return;
    };
    let Some(gl) = open(lucarne_egl_device_open, "EGL") else {
        return;
    };
    let devices = [
        (&*cpu, LUCARNE_USAGE_SAMPLE),
        (&*vulkan, LUCARNE_USAGE_TRANSFER_SOURCE),
        (&*gl, LUCARNE_USAGE_SAMPLE),
    ];
    let nv12 = image(LUCARNE_FORMAT_NV12, LUCARNE_ALLOCATOR_BEST);
    let planes = [noise(128, 1), noise(64, 2)];
    write(&nv12, 0, &planes[0]);
    write(&nv12, 1, &planes[1]);
    let found = components(frame_of(&nv12));
    assert_eq!(found.len(), 2);
    for (frame, bytes) in found.iter().zip(&planes) {
        assert_bytes(&devices, frame, bytes);
    }

    let yuyv = u32::from_le_bytes(*b"YUYV");
    let packed = image(yuyv, LUCARNE_ALLOCATOR_BEST);
    let bytes = noise(256, 3);
    write(&packed, 0, &bytes);
    let found = components(frame_of(&packed));
    assert_eq!(found.len(), 2);
    for (frame, width) in found.iter().zip([WIDTH, WIDTH / 2]) {
        let layout = filled(|place| lucarne_frame_describe(Some(frame), Some(place), None));
        assert_eq!((layout.width, layout.height), (width, HEIGHT));
        assert_bytes(&devices, frame, &bytes);
    }
}

/// Codes of BT.601 in the limited range, as its tables have them.
const CODES: [([f64; 3], [f64; 3]); 5] = [
    ([235.0, 128.0, 128.0], [1.0, 1.0, 1.0]),
    ([16.0, 128.0, 128.0], [0.0, 0.0, 0.0]),
    ([81.0, 90.0, 240.0], [1.0, 0.0, 0.0]),
    ([145.0, 54.0, 34.0], [0.0, 1.0, 0.0]),
    ([41.0, 240.0, 110.0], [0.0, 0.0, 1.0]),
];

#[test]
fn the_matrix_makes_colours_of_codes() {
    let image = image(LUCARNE_FORMAT_NV12, LUCARNE_ALLOCATOR_HOST_MEMORY);
    let bt601 = lucarne_color {
        matrix: 6,
        ..filled(|place| lucarne_frame_color(Some(frame_of(&image)), Some(place), None))
    };
    let frame = made(|place| {
        lucarne_frame_with_color(Some(frame_of(&image)), Some(&bt601), Some(place), None)
    });
    let info = filled(|place| lucarne_frame_ycbcr(Some(&frame), Some(place), None));
    assert_eq!(
        (info.components, info.component, info.channel),
        (2, [0, 1, 1], [0, 0, 1])
    );
    assert_eq!(
        (info.horizontal_subsampling, info.vertical_subsampling),
        (2, 2)
    );
    for (codes, colours) in CODES {
        for (row, expected) in info.rgb.iter().zip(colours) {
            let sum: f64 = row
                .iter()
                .zip(codes)
                .map(|(by, code)| by * code / 255.0)
                .sum();
            // Codes are rounded to whole ones.
            assert!(
                (sum + row[3] - expected).abs() < 0.006,
                "{codes:?}: {}",
                sum + row[3]
            );
        }
    }
}

#[test]
fn red_green_and_blue_has_no_components() {
    let image = image(LUCARNE_FORMAT_XRGB8888, LUCARNE_ALLOCATOR_HOST_MEMORY);
    let frame = frame_of(&image);
    let mut places: [Option<Box<lucarne_frame>>; 4] = [None, None, None, None];
    let (status, _) = refused(|place, error| {
        // SAFETY: four places.
        unsafe {
            lucarne_frame_components(
                Some(frame),
                places.as_mut_ptr(),
                4,
                Some(place),
                Some(error),
            )
        }
    });
    assert_eq!(status, lucarne_status::Unsupported);
    assert!(places.iter().all(Option::is_none));
    let (status, _) =
        refused(|place, error| lucarne_frame_ycbcr(Some(frame), Some(place), Some(error)));
    assert_eq!(status, lucarne_status::Unsupported);
    let nv12 = common::frames::image(LUCARNE_FORMAT_NV12, LUCARNE_ALLOCATOR_HOST_MEMORY);
    let (status, text) = refused(|place, error| {
        let frame = Some(frame_of(&nv12));
        // SAFETY: one place.
        unsafe { lucarne_frame_components(frame, places.as_mut_ptr(), 1, Some(place), Some(error)) }
    });
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(
        text.contains("capacity is 1, but must be at least 2"),
        "{text}"
    );
}

/// A picture of four columns of one colour each, and what it is in Y'CbCr.
fn columns() -> (Vec<u8>, Vec<[f64; 3]>) {
    let of = |x: u32| CODES[x as usize / 4 + 1];
    let pixels = (0..HEIGHT).flat_map(|_| 0..WIDTH);
    let bytes = pixels.flat_map(|x| {
        let [red, green, blue] = of(x).1.map(|one| if one > 0.5 { 255 } else { 0 });
        [red, green, blue, 255]
    });
    (bytes.collect(), (0..WIDTH).map(|x| of(x).0).collect())
}

fn assert_near(seen: u8, expected: f64, what: &str) {
    assert!(
        (f64::from(seen) - expected).abs() <= 1.0,
        "{what}: {seen}, not {expected}"
    );
}

/// What the CPU reads of an NV12 frame.
fn assert_columns(frame: &lucarne_frame, codes: &[[f64; 3]]) {
    let device = cpu(LUCARNE_ALLOCATOR_HOST_MEMORY);
    let found = components(frame);
    let import = |frame| {
        let usage = LUCARNE_USAGE_SAMPLE;
        made(|place| lucarne_device_import(Some(&device), Some(frame), usage, Some(place), None))
    };
    let luma = read(&import(&found[0]), 128);
    for (at, byte) in luma.iter().enumerate() {
        assert_near(*byte, codes[at % 16][0], "luma");
    }
    let chroma = read(&import(&found[1]), 64);
    for (at, byte) in chroma.iter().enumerate() {
        assert_near(*byte, codes[at % 16 / 2 * 2][1 + at % 2], "chroma");
    }
}

#[test]
fn vulkan_makes_nv12_and_opengl_makes_colours_of_it() {
    let Some(vulkan) = open(lucarne_vulkan_device_open, "Vulkan") else {
        return;
    };
    let Some(gl) = open(lucarne_egl_device_open, "EGL") else {
        return;
    };
    let usage = LUCARNE_USAGE_TRANSFER_DESTINATION | LUCARNE_USAGE_SAMPLE;
    let size = (WIDTH, HEIGHT);
    let drawn = share(&vulkan, &vulkan, size, [usage, LUCARNE_USAGE_SAMPLE]);
    let (bytes, codes) = columns();
    write(&drawn, 0, &bytes);

    // A chroma sample lies in the middle of its pixels: none has two colours.
    let bt601 = lucarne_color {
        matrix: 6,
        siting: 1,
        ..filled(|place| lucarne_format_default_color(LUCARNE_FORMAT_NV12, Some(place), None))
    };
    let pass = made(|place| lucarne_rgb_to_ycbcr_new(Some(&vulkan), Some(place), None));
    let (format, path) = (LUCARNE_FORMAT_NV12, LUCARNE_PATH_HOST_MEMORY);
    let buffer = made(|place| {
        let (pass, color) = (Some(&*pass), Some(&bt601));
        lucarne_rgb_to_ycbcr_export(pass, format, WIDTH, HEIGHT, color, path, Some(place), None)
    });
    let fence = made(|place| lucarne_fence_signaled(Some(place), None));
    let done = made(|place| {
        let (pass, image, fence) = (Some(&*pass), Some(&*drawn), Some(&*fence));
        lucarne_rgb_to_ycbcr_convert(
            pass,
            image,
            fence,
            Some(&buffer),
            fence,
            LONG,
            Some(place),
            None,
        )
    });
    assert_eq!(
        lucarne_fence_wait(Some(&done), LONG, None),
        lucarne_status::Ok
    );
    let frame = lucarne_ycbcr_buffer_frame(Some(&buffer)).expect("a frame");
    let color = filled(|place| lucarne_frame_color(Some(frame), Some(place), None));
    assert_eq!(color, bt601);
    assert_columns(frame, &codes);

    // A texture that can be rendered to, and read.
    let target = share(&gl, &gl, size, [LUCARNE_USAGE_RENDER, LUCARNE_USAGE_SAMPLE]);
    let texture = filled(|place| lucarne_image_gl_texture(Some(&target), Some(place), None));
    let planes = made(|place| lucarne_egl_import_ycbcr(Some(&gl), Some(frame), Some(place), None));
    let to_rgb = made(|place| lucarne_ycbcr_to_rgb_new(Some(&gl), Some(place), None));
    let convert = |name| {
        lucarne_ycbcr_to_rgb_convert(Some(&to_rgb), Some(&planes), Some(&done), LONG, name, None)
    };
    assert_eq!(convert(0), lucarne_status::InvalidArgument);
    assert_eq!(convert(texture.name), lucarne_status::Ok);
    let mut seen = vec![0_f32; bytes.len()];
    // SAFETY: the vector's own length.
    let status =
        unsafe { lucarne_egl_download(Some(&target), seen.as_mut_ptr(), seen.len(), None) };
    assert_eq!(status, lucarne_status::Ok);
    let mut compared = 0;
    for (at, (seen, expected)) in seen.iter().zip(&bytes).enumerate() {
        // The outer two of a column's four pixels take chroma of their neighbours as well.
        if !matches!(at / 4 % 4, 1 | 2) {
            continue;
        }
        compared += 1;
        // Codes are rounded to whole ones.
        let off = (seen * 255.0 - f32::from(*expected)).abs();
        assert!(off <= 2.5, "pixel {}, channel {}: {off}", at / 4, at % 4);
    }
    assert_eq!(compared, bytes.len() / 2);
}

#[test]
fn what_vulkan_cannot_make_is_named() {
    let Some(vulkan) = open(lucarne_vulkan_device_open, "Vulkan") else {
        return;
    };
    let pass = made(|place| lucarne_rgb_to_ycbcr_new(Some(&vulkan), Some(place), None));
    let cases = [
        (
            LUCARNE_FORMAT_XRGB8888,
            LUCARNE_PATH_HOST_MEMORY,
            "XRGB8888",
        ),
        (
            LUCARNE_FORMAT_NV12,
            9,
            "path is 9, but must be one of 1, 2, 3",
        ),
        (LUCARNE_FORMAT_NV12, LUCARNE_PATH_OPAQUE_FD, "opaque-fd"),
    ];
    for (format, path, message) in cases {
        let (status, text) = refused(|place, error| {
            let pass = Some(&*pass);
            lucarne_rgb_to_ycbcr_export(
                pass,
                format,
                WIDTH,
                HEIGHT,
                None,
                path,
                Some(place),
                Some(error),
            )
        });
        assert_eq!(status, lucarne_status::InvalidArgument, "{text}");
        assert!(text.contains(message), "{text}");
    }
    let cpu = cpu(LUCARNE_ALLOCATOR_HOST_MEMORY);
    let (status, text) =
        refused(|place, error| lucarne_rgb_to_ycbcr_new(Some(&cpu), Some(place), Some(error)));
    assert_eq!(status, lucarne_status::InvalidArgument);
    assert!(
        text.contains("device is the CPU's, but must be Vulkan's"),
        "{text}"
    );
}
