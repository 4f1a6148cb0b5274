//! Colour descriptions and their arithmetic: published constants, known vectors, round trips.

use lucarne::color::{
    AlphaMode, ChromaLocation, ChromaSiting, ColorDescription, Matrix, Orientation, Primaries,
    Range, Subsampling, Transfer, YcbcrConversion, downsampling_taps, pixels_to_chroma,
    upsampling_taps,
};
use lucarne::{ColorKind, Extent, Format, FrameLayout};
use proptest::prelude::*;

const MATRICES: [Matrix; 5] = [
    Matrix::Bt709,
    Matrix::Fcc,
    Matrix::Bt601,
    Matrix::Smpte240M,
    Matrix::Bt2020,
];

fn codes(matrix: Matrix, range: Range, bits: u8, rgb: [f64; 3]) -> [u16; 3] {
    let conversion = YcbcrConversion::new(matrix, range, bits).expect("a matrix");
    conversion.quantize(conversion.codes(rgb))
}

/// 75 % bars in BT.601 and 100 % bars in BT.709, as the recommendations and test generators list them.
#[test]
fn bars_have_the_published_codes() {
    let bars_601 = [
        ([0.75, 0.75, 0.75], [180, 128, 128]),
        ([0.75, 0.75, 0.0], [162, 44, 142]),
        ([0.0, 0.75, 0.75], [131, 156, 44]),
        ([0.0, 0.75, 0.0], [112, 72, 58]),
        ([0.75, 0.0, 0.75], [84, 184, 198]),
        ([0.75, 0.0, 0.0], [65, 100, 212]),
        ([0.0, 0.0, 0.75], [35, 212, 114]),
        ([0.0, 0.0, 0.0], [16, 128, 128]),
    ];
    for (rgb, expected) in bars_601 {
        let got = codes(Matrix::Bt601, Range::Limited, 8, rgb);
        assert_eq!(got, expected, "{rgb:?}");
    }
    let bars_709 = [
        ([1.0, 1.0, 1.0], [235, 128, 128]),
        ([1.0, 0.0, 0.0], [63, 102, 240]),
        ([0.0, 1.0, 0.0], [173, 42, 26]),
        ([0.0, 0.0, 1.0], [32, 240, 118]),
    ];
    for (rgb, expected) in bars_709 {
        let got = codes(Matrix::Bt709, Range::Limited, 8, rgb);
        assert_eq!(got, expected, "{rgb:?}");
    }
    // JFIF: Y = 0.299 R + 0.587 G + 0.114 B, chroma about 128; 255.5 is clipped.
    assert_eq!(
        codes(Matrix::Bt601, Range::Full, 8, [1.0, 0.0, 0.0]),
        [76, 85, 255]
    );
    // BT.2020 in 10 bits: black 64, white 940, achromatic 512, chroma 64 to 960.
    let bt2020 = |rgb| codes(Matrix::Bt2020, Range::Limited, 10, rgb);
    assert_eq!(bt2020([0.0; 3]), [64, 512, 512]);
    assert_eq!(bt2020([1.0; 3]), [940, 512, 512]);
    assert_eq!(bt2020([1.0, 0.0, 0.0])[2], 960);
    assert_eq!(bt2020([0.0, 0.0, 1.0])[1], 960);
    assert_eq!(bt2020([1.0, 1.0, 0.0])[1], 64);
}

#[test]
fn the_matrices_are_those_of_the_recommendations() {
    // BT.709, item 3.3: E'CB = (E'B − E'Y) / 1.8556, E'CR = (E'R − E'Y) / 1.5748. BT.601: 1.772 and 1.402.
    // BT.2020, table 4: 1.8814 and 1.4746.
    let divisors = [
        (Matrix::Bt709, 1.8556, 1.5748),
        (Matrix::Bt601, 1.772, 1.402),
        (Matrix::Bt2020, 1.8814, 1.4746),
    ];
    for (matrix, blue, red) in divisors {
        let (kr, kb) = matrix.coefficients().expect("a matrix");
        assert!((2.0 * (1.0 - kb) - blue).abs() < 1e-12, "{matrix}");
        assert!((2.0 * (1.0 - kr) - red).abs() < 1e-12, "{matrix}");
        let full = YcbcrConversion::new(matrix, Range::Full, 8).expect("a matrix");
        let [cb, cr] = [full.rgb_matrix(255.0)[2][1], full.rgb_matrix(255.0)[0][2]];
        assert!(
            (cb - blue).abs() < 1e-12 && (cr - red).abs() < 1e-12,
            "{matrix}"
        );
    }
    assert_eq!(Matrix::Identity.coefficients(), None);
    for bits in [0, 7, 17] {
        assert!(YcbcrConversion::new(Matrix::Bt709, Range::Full, bits).is_err());
    }
    assert!(YcbcrConversion::new(Matrix::Identity, Range::Full, 8).is_err());
}

#[test]
fn numbers_of_h273_come_back() {
    for (code, name) in [(1, "BT.709"), (9, "BT.2020"), (12, "Display P3")] {
        assert_eq!(Primaries::from_code(code).expect("known").to_string(), name);
    }
    for one in Primaries::ALL {
        assert_eq!(Primaries::from_code(one.code()), Some(*one));
    }
    for one in Transfer::ALL {
        assert_eq!(Transfer::from_code(one.code()), Some(*one));
    }
    for one in Matrix::ALL {
        assert_eq!(Matrix::from_code(one.code()), Some(*one));
    }
    for one in Range::ALL {
        assert_eq!(Range::from_code(one.code()), Some(*one));
    }
    for one in ChromaSiting::ALL {
        assert_eq!(ChromaSiting::from_code(one.code()), Some(*one));
    }
    for one in Orientation::ALL {
        assert_eq!(Orientation::from_code(one.code()), Some(*one));
    }
    assert_eq!(Matrix::from_code(5), Some(Matrix::Bt601));
    assert_eq!(Transfer::from_code(16), Some(Transfer::Pq));
    // "Unspecified", and what cannot be honoured: constant luminance, ICtCp, chroma below the middle.
    assert_eq!(Primaries::from_code(2), None);
    assert_eq!([10, 14].map(Matrix::from_code), [None; 2]);
    assert_eq!([4, 5].map(ChromaSiting::from_code), [None; 2]);
}

fn layout(format: Format) -> FrameLayout {
    let (layout, _) = FrameLayout::linear(Extent::new(6, 4), format).expect("a layout");
    layout
}

fn assert_refused(format: Format, color: ColorDescription, parts: &[&str]) {
    let error = layout(format)
        .with_color(color)
        .expect_err("a contradiction");
    let error = error.to_string();
    for part in parts {
        assert!(error.contains(part), "{error}: no {part}");
    }
}

#[test]
fn contradictions_are_refused_by_name() {
    assert_refused(
        Format::XRGB8888,
        ColorDescription::VIDEO,
        &["color.matrix", "BT.709", "identity", "XRGB8888"],
    );
    let srgb = ColorDescription::SRGB;
    assert_refused(Format::NV12, srgb, &["color.matrix", "identity", "NV12"]);
    let straight = ColorDescription {
        alpha: AlphaMode::Straight,
        ..srgb
    };
    assert_refused(
        Format::XRGB8888,
        straight,
        &["color.alpha", "straight", "opaque"],
    );
    let layout = layout(Format::ARGB8888).with_color(straight);
    assert_eq!(layout.expect("a format with alpha").color(), straight);
}

#[test]
fn every_format_has_a_default_that_fits() {
    for info in Format::ALL {
        let color = ColorDescription::default_for(info);
        color.check(info.format).expect("it fits");
        let yuv = info.color == ColorKind::Yuv;
        assert_eq!(color.matrix == Matrix::Bt709, yuv, "{}", info.format);
        assert_eq!(color.range == Range::Limited, yuv, "{}", info.format);
        assert_eq!(layout(info.format).color(), color, "{}", info.format);
    }
    let float = layout(Format::ABGR16161616F).color();
    assert_eq!(float.transfer, Transfer::Linear);
    assert_eq!(float.alpha, AlphaMode::Premultiplied);
}

#[test]
fn chroma_lies_where_it_is_said_to() {
    let half = Subsampling {
        horizontal: 2,
        vertical: 2,
    };
    let offsets = ChromaSiting::ALL.iter().map(|siting| half.offset(*siting));
    let expected = [[0.0, 0.5], [0.5, 0.5], [0.0, 0.0], [0.5, 0.0]];
    assert_eq!(offsets.collect::<Vec<_>>(), expected);
    let even = ChromaLocation::CositedEven;
    let middle = ChromaLocation::Midpoint;
    assert_eq!(upsampling_taps(2, 2, even, 4), [(1, 1.0), (2, 0.0)]);
    assert_eq!(upsampling_taps(3, 2, even, 4), [(1, 0.5), (2, 0.5)]);
    assert_eq!(upsampling_taps(0, 2, middle, 4), [(0, 0.25), (0, 0.75)]);
    assert_eq!(upsampling_taps(3, 2, middle, 4), [(1, 0.75), (2, 0.25)]);
    assert_eq!(upsampling_taps(7, 2, middle, 4), [(3, 0.75), (3, 0.25)]);
    assert_eq!(downsampling_taps(1, 2, middle, 9), [(2, 0.5), (3, 0.5)]);
    assert_eq!(
        downsampling_taps(1, 2, even, 9),
        [(1, 0.25), (2, 0.5), (3, 0.25)]
    );
    assert_eq!(
        downsampling_taps(0, 2, even, 9),
        [(0, 0.25), (0, 0.5), (1, 0.25)]
    );
    assert_eq!(downsampling_taps(4, 2, middle, 9), [(8, 0.5), (8, 0.5)]);
    assert_eq!(downsampling_taps(3, 1, middle, 9), [(3, 1.0)]);
    assert_eq!(
        Subsampling::of(Format::YUYV.info().expect("known")),
        Subsampling {
            horizontal: 2,
            vertical: 1
        }
    );
    assert_eq!(half.samples(Extent::new(37, 21)), Extent::new(19, 11));
}

proptest! {
    #[test]
    fn colours_come_back(
        rgb in prop::array::uniform3(0.0..=1.0_f64),
        matrix in 0..5_usize,
        full in any::<bool>(),
        bits in 8..=16_u8,
    ) {
        let range = if full { Range::Full } else { Range::Limited };
        let conversion = YcbcrConversion::new(MATRICES[matrix], range, bits).expect("a matrix");
        let exact = conversion.rgb(conversion.codes(rgb));
        let stored = conversion.quantize(conversion.codes(rgb)).map(f64::from);
        let rounded = conversion.rgb(stored);
        for channel in 0..3 {
            prop_assert!((exact[channel] - rgb[channel]).abs() < 1e-12);
            // Half a code of luma and of both chroma, and a whole one where full range clips at 2^n - 1.
            let code = f64::from(1_u32 << (bits - 8));
            prop_assert!((rounded[channel] - rgb[channel]).abs() < 2.6 / (219.0 * code));
        }
        // Grey has no chroma.
        let grey = conversion.codes([rgb[0]; 3]);
        let middle = f64::from(1_u32 << (bits - 1));
        prop_assert!((grey[1] - middle).abs() < 1e-9 && (grey[2] - middle).abs() < 1e-9);
    }

    #[test]
    fn filters_add_up_to_one(
        at in 0..40_u32,
        count in 1..=4_u8,
        even in any::<bool>(),
        length in 1..40_u32,
    ) {
        let location = if even { ChromaLocation::CositedEven } else { ChromaLocation::Midpoint };
        for taps in [
            upsampling_taps(at, count, location, length).to_vec(),
            downsampling_taps(at, count, location, length),
        ] {
            let sum: f64 = taps.iter().map(|tap| tap.1).sum();
            prop_assert!((sum - 1.0).abs() < 1e-12, "{taps:?}");
            prop_assert!(taps.iter().all(|tap| tap.0 < length), "{taps:?}");
        }
    }

    #[test]
    fn an_even_picture_has_even_chroma(
        rgb in prop::array::uniform3(0.0..=1.0_f64),
        siting in 0..4_usize,
        x in 0..19_u32,
        y in 0..11_u32,
    ) {
        let frame = Extent::new(37, 21);
        let half = Subsampling { horizontal: 2, vertical: 2 };
        let siting = ChromaSiting::ALL[siting];
        let sample = pixels_to_chroma((x, y), frame, half, siting, |_, _| rgb);
        for channel in 0..3 {
            prop_assert!((sample[channel] - rgb[channel]).abs() < 1e-12);
        }
    }
}
