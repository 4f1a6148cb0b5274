use std::collections::HashSet;

use drm_fourcc::DrmFourcc;
use proptest::prelude::*;

use super::info::gl;
use super::*;

fn info(format: Format) -> &'static FormatInfo {
    format.info().unwrap()
}

#[test]
fn rows_are_consistent() {
    let mut codes = HashSet::new();
    let mut names = HashSet::new();
    for row in Format::ALL {
        assert!(codes.insert(row.format), "{} twice", row.format);
        assert!(names.insert(row.name), "{} twice", row.name);
        assert!((1..=3).contains(&row.planes.len()), "{}", row.name);
        assert!(row.vk.is_some() || row.vk_srgb.is_none(), "{}", row.name);
        for plane in row.planes {
            let bits: u32 = plane
                .channels
                .iter()
                .map(|channel| u32::from(channel.bits))
                .sum();
            assert_eq!(bits, u32::from(plane.block_bytes) * 8, "{}", row.name);
            assert!(
                plane.block_width > 0 && plane.block_height > 0,
                "{}",
                row.name
            );
            let single = plane.single.map(info);
            if let Some(single) = single {
                assert_eq!(single.planes.len(), 1, "{}", row.name);
                assert_eq!(
                    single.planes[0].block_bytes, plane.block_bytes,
                    "{}",
                    row.name
                );
            }
        }
    }
}

#[test]
fn codes_checked_by_hand() {
    assert_eq!(Format::XRGB8888.fourcc(), 0x3432_5258);
    assert_eq!(Format::ARGB8888.fourcc(), 0x3432_5241);
    assert_eq!(Format::ABGR8888.fourcc(), 0x3432_4241);
    assert_eq!(Format::XRGB2101010.fourcc(), 0x3033_5258);
    assert_eq!(Format::Y210.fourcc(), 0x3031_3259);
    assert_eq!(Format::NV12.fourcc(), 0x3231_564e);
}

#[test]
fn vulkan_and_opengl_checked_by_hand() {
    assert_eq!(
        (info(Format::ARGB8888).vk, info(Format::ARGB8888).vk_srgb),
        (Some(44), Some(50))
    );
    assert_eq!(
        (info(Format::ABGR8888).vk, info(Format::ABGR8888).vk_srgb),
        (Some(37), Some(43))
    );
    assert_eq!(info(Format::RGBA8888).vk, None);
    assert_eq!(info(Format::NV21).vk, None);

    let argb = info(Format::ARGB8888).gl.unwrap();
    assert_eq!(
        (argb.internal_format, argb.format, argb.kind),
        (0x8058, 0x1908, 0x1401)
    );
    assert_eq!(argb.swizzle, [gl::BLUE, gl::GREEN, gl::RED, gl::ALPHA]);
    assert!(argb.swizzle_bgra() && argb.shares_memory);
    let xbgr = info(Format::XBGR8888).gl.unwrap();
    assert_eq!(xbgr.swizzle, [gl::RED, gl::GREEN, gl::BLUE, gl::ONE]);
    assert!(!xbgr.swizzle_bgra());
    // In memory alpha, blue, green, red: nothing in Vulkan, and sRGB would decode the wrong three.
    let rgba = info(Format::RGBA8888).gl.unwrap();
    assert_eq!(rgba.swizzle, [gl::ALPHA, gl::BLUE, gl::GREEN, gl::RED]);
    assert!(rgba.internal_format_srgb.is_none() && !rgba.shares_memory);
    // The first component of UNSIGNED_SHORT_4_4_4_4 is the upper four bits.
    let argb4 = info(Format::ARGB4444).gl.unwrap();
    assert_eq!(argb4.swizzle, [gl::GREEN, gl::BLUE, gl::ALPHA, gl::RED]);
    let rgb565 = info(Format::RGB565).gl.unwrap();
    assert_eq!(rgb565.swizzle, [gl::RED, gl::GREEN, gl::BLUE, gl::ONE]);
    assert_eq!(
        info(Format::GR88).gl.unwrap().swizzle,
        [gl::RED, gl::GREEN, gl::BLUE, gl::ONE]
    );
    assert_eq!(
        info(Format::R16).gl.unwrap().extension,
        Some("GL_EXT_texture_norm16")
    );
    assert!(info(Format::NV12).gl.is_none());
}

#[test]
fn sizes_checked_by_hand() {
    let nv12 = info(Format::NV12);
    assert_eq!((nv12.row_bytes(0, 5), nv12.rows(0, 3)), (Some(5), Some(3)));
    assert_eq!((nv12.row_bytes(1, 5), nv12.rows(1, 3)), (Some(6), Some(2)));
    assert_eq!((nv12.row_bytes(2, 5), nv12.rows(2, 3)), (None, None));
    assert_eq!(info(Format::YUYV).row_bytes(0, 3), Some(8));
    assert_eq!(info(Format::P010).row_bytes(1, 1920), Some(3840));
    assert_eq!(info(Format::NV15).row_bytes(0, 1920), Some(2400));
    assert_eq!(info(Format::P030).row_bytes(0, 7), Some(12));
    assert_eq!(info(Format::YVU410).row_bytes(2, 1366), Some(342));
    assert_eq!(info(Format::BGR888).row_bytes(0, 1366), Some(4098));
    assert_eq!(info(Format::ARGB8888).row_bytes(0, u32::MAX), None);
    assert_eq!(info(Format::R8).row_bytes(0, u32::MAX), Some(u32::MAX));
}

#[test]
fn channels_checked_by_hand() {
    let argb = info(Format::ARGB2101010);
    let channel = |component, shift, bits| Channel {
        component,
        shift,
        bits,
    };
    let expected = [
        channel(Component::Alpha, 30, 2),
        channel(Component::Red, 20, 10),
        channel(Component::Green, 10, 10),
        channel(Component::Blue, 0, 10),
    ];
    assert_eq!(argb.planes[0].channels, expected);
    assert_eq!(
        (argb.bits(Component::Alpha), argb.bits(Component::Red)),
        (2, 10)
    );
    assert_eq!(
        (argb.bits(Component::Luma), argb.numeric),
        (0, Numeric::Unorm)
    );
    assert_eq!(info(Format::ABGR16161616F).numeric, Numeric::Float);
    let p010 = info(Format::P010);
    assert_eq!(
        (p010.bits(Component::Luma), p010.bits(Component::Cr)),
        (10, 10)
    );
    assert_eq!(p010.planes[1].single, Some(Format::GR1616));
}

#[test]
fn twins() {
    assert_eq!(Format::ARGB8888.opaque_twin(), Some(Format::XRGB8888));
    assert_eq!(Format::XRGB8888.alpha_twin(), Some(Format::ARGB8888));
    assert_eq!(Format::XRGB8888.opaque_twin(), None);
    assert_eq!(Format::ARGB8888.alpha_twin(), None);
    assert_eq!(
        Format::ABGR16161616F.opaque_twin(),
        Some(Format::XBGR16161616F)
    );
    assert_eq!(
        Format::ABGR16161616.opaque_twin(),
        Some(Format::XBGR16161616)
    );
    assert_eq!(Format::AYUV.opaque_twin(), Some(Format::XYUV8888));
    assert_eq!(Format::XVYU12_16161616.alpha_twin(), Some(Format::Y412));
    for lonely in [
        Format::RGB565,
        Format::R8,
        Format::R10,
        Format::NV12,
        Format::P010,
        Format::Y210,
    ] {
        assert_eq!(
            (lonely.opaque_twin(), lonely.alpha_twin()),
            (None, None),
            "{lonely}"
        );
    }
    for row in Format::ALL {
        if let Some(opaque) = row.opaque_twin() {
            assert_eq!(opaque.alpha_twin(), Some(row.format), "{}", row.name);
            assert_eq!(info(opaque).vk, row.vk, "{}", row.name);
        }
    }
}

#[test]
fn text_both_ways() {
    assert_eq!(Format::XRGB8888.to_string(), "XR24 XRGB8888");
    assert_eq!(Format::NV12.to_string(), "NV12");
    assert_eq!(Format::R8.to_string(), "R8");
    assert_eq!(
        Format::from_fourcc(0x3136_3248).to_string(),
        "0x31363248 H261"
    );
    assert_eq!(Format::from_fourcc(7).to_string(), "0x00000007");
    assert_eq!(Format::from_fourcc(0).to_string(), "0x00000000");
    assert_eq!(format!("{:?}", Format::XRGB8888), "Format(XR24 XRGB8888)");
    assert_eq!(format!("[{:>14}]", Format::XRGB8888), "[ XR24 XRGB8888]");

    for text in [
        "XRGB8888",
        "XR24",
        "DRM_FORMAT_XRGB8888",
        "XR24 XRGB8888",
        "0x34325258",
    ] {
        assert_eq!(text.parse(), Ok(Format::XRGB8888), "{text}");
    }
    assert_eq!("R8".parse(), Ok(Format::R8));
    assert_eq!("R8  ".parse(), Ok(Format::R8));
    assert_eq!("H261".parse(), Ok(Format::from_fourcc(0x3136_3248)));
    for text in ["", "XRGB88888", "0x", "0x123456789", "Ünl", "xrgb8888"] {
        assert_eq!(
            text.parse::<Format>(),
            Err(UnknownFormatName(text.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn big_endian_stays_representable() {
    let big = Format::from_fourcc(Format::XRGB8888.fourcc() | BIG_ENDIAN);
    assert!(big.is_big_endian() && big.info().is_none() && big.opaque_twin().is_none());
    assert_eq!(big.to_string(), "0xb4325258 XR24 big-endian");
    assert_eq!(big.to_string().parse(), Ok(big));
    assert_eq!(DrmFourcc::try_from(big), Err(NotInDrmFourcc(big)));
}

#[test]
fn drm_fourcc_both_ways() {
    assert_eq!(Format::from(DrmFourcc::Xrgb8888), Format::XRGB8888);
    assert_eq!(DrmFourcc::try_from(Format::NV12), Ok(DrmFourcc::Nv12));
    let mut known = 0;
    for row in Format::ALL {
        // drm-fourcc 2.2 stops at Linux 5.10.
        if let Ok(fourcc) = DrmFourcc::try_from(row.format) {
            assert_eq!(Format::from(fourcc), row.format);
            assert_eq!(
                format!("{fourcc:?}").to_lowercase(),
                debug_name(row.format),
                "{}",
                row.name
            );
            known += 1;
        }
    }
    assert!(known >= 70, "drm-fourcc knows only {known} of the rows");
}

/// How `drm-fourcc` prints the code: `DrmFourcc(XR24)`.
fn debug_name(format: Format) -> String {
    format!(
        "DrmFourcc({})",
        String::from_utf8_lossy(&format.fourcc().to_le_bytes())
    )
    .to_lowercase()
}

proptest! {
    #[test]
    fn any_code_keeps_its_value(code: u32) {
        let format = Format::from_fourcc(code);
        prop_assert_eq!(format.fourcc(), code);
        prop_assert_eq!(format.to_string().parse::<Format>(), Ok(format));
        prop_assert_eq!(format!("{format:?}"), format!("Format({format})"));
    }

    #[test]
    fn any_text_parses_or_fails(text in ".{0,12}") {
        if let Ok(format) = text.parse::<Format>() {
            prop_assert_eq!(format.to_string().parse::<Format>(), Ok(format));
        }
    }

    #[test]
    fn sizes_grow_with_the_image(row in 0..Format::ALL.len(), plane in 0_usize..3, a: u32, b: u32) {
        let row = &Format::ALL[row];
        let (small, large) = (a.min(b), a.max(b));
        if plane >= row.planes.len() {
            prop_assert_eq!((row.row_bytes(plane, a), row.rows(plane, a)), (None, None));
        } else {
            prop_assert!(row.rows(plane, small) <= row.rows(plane, large));
            match (row.row_bytes(plane, small), row.row_bytes(plane, large)) {
                (Some(small), Some(large)) => prop_assert!(small <= large),
                (small, large) => prop_assert!(large.is_none(), "{small:?} {large:?}"),
            }
            // The same number in 64 bits, where nothing can overflow.
            let shape = &row.planes[plane];
            let samples = u64::from(large).div_ceil(u64::from(shape.horizontal_subsampling));
            let bytes = samples.div_ceil(u64::from(shape.block_width)) * u64::from(shape.block_bytes);
            prop_assert_eq!(row.row_bytes(plane, large), u32::try_from(bytes).ok());
        }
    }
}
