//! Whole `Y'CbCr` images in OpenGL: what is offered works, and what is not offered is refused.

use lucarne::color::{ColorDescription, Matrix};
use lucarne::cpu::Allocator;
use lucarne::negotiate::OfferEntry;
use lucarne::{ColorKind, Extent, Format, FormatInfo, MemoryPath};
use lucarne_tests::cpu::can;
use lucarne_tests::pair::Pair;
use lucarne_tests::yuv::{OURS, RANGES, Samples, difference};
use lucarne_tests::{TIMEOUT, canary};

const EXTENT: Extent = Extent::new(38, 22);

/// What EGL has hints for.
const MATRICES: [Matrix; 3] = [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020];

/// Drivers keep matrices of their own, some with three digits.
const TOLERANCE: f64 = 3.0 / 255.0;

fn entry(pair: &Pair, info: &FormatInfo) -> Option<OfferEntry> {
    let entries = pair.consumer().entries;
    let of_format = |entry: &OfferEntry| {
        entry.path == MemoryPath::DmaBuf && entry.format == info.format && entry.importable
    };
    entries.into_iter().find(of_format)
}

/// Each colour of a frame whose chroma is the same everywhere: how drivers put chroma together is theirs to choose.
fn shows(pair: &Pair, info: &FormatInfo) -> f64 {
    let frame = OURS.frame(&Allocator::Udmabuf, EXTENT, info.format);
    canary::fill(&frame);
    let samples = Samples::new(info.format, EXTENT, 7).with_even_chroma();
    let acquire = samples.write(&frame);
    let mut most = 0.0_f64;
    for matrix in MATRICES {
        for range in RANGES {
            let color = ColorDescription {
                matrix,
                range,
                ..frame.layout().color()
            };
            let frame = frame.with_color(color).expect("it fits");
            let texture = pair.gl.import(&frame).expect("what is offered");
            pair.gl
                .read(&texture, &acquire, TIMEOUT)
                .expect("a turn to read");
            let read = pair.gl.download(&texture).expect("pixels");
            let clipped: Vec<_> = read
                .iter()
                .map(|pixel| pixel.map(|value| value.clamp(0.0, 1.0)))
                .collect();
            let off = difference(&clipped, &samples.colors(&color));
            assert!(off <= TOLERANCE, "{} {color}: off by {off}", info.format);
            most = most.max(off);
        }
    }
    canary::assert_untouched(&frame, "reading a whole image");
    most
}

#[test]
fn what_is_offered_shows_the_right_colours_and_the_rest_is_refused() {
    let pair = Pair::open();
    if !can(&Allocator::Udmabuf, &pair.consumer()) {
        return;
    }
    let mut offered = Vec::new();
    for info in Format::ALL
        .iter()
        .filter(|info| info.color == ColorKind::Yuv)
    {
        match entry(&pair, info) {
            Some(entry) => {
                assert!(entry.external_only, "{}", info.format);
                let off = shows(&pair, info);
                offered.push(format!("{} ({:.2})", info.name, off * 255.0));
            }
            None => {
                let frame = OURS.frame(&Allocator::Udmabuf, EXTENT, info.format);
                let error = pair.gl.import(&frame).expect_err("not offered").to_string();
                assert!(error.contains("at all"), "{error}");
            }
        }
    }
    eprintln!("{} shows whole: {}", pair.gl.renderer(), offered.join(" "));
    pair.assert_valid();
}

/// EGL has no hint for these: refused by name, and the planes work.
#[test]
fn a_matrix_that_egl_cannot_name_is_refused() {
    let pair = Pair::open();
    if !can(&Allocator::Udmabuf, &pair.consumer()) {
        return;
    }
    let yuv = |info: &&FormatInfo| info.color == ColorKind::Yuv && entry(&pair, info).is_some();
    let Some(info) = Format::ALL.iter().find(yuv) else {
        return lucarne_tests::skip::skip("yuv", "this driver shows no whole Y'CbCr image");
    };
    let frame = OURS.frame(&Allocator::Udmabuf, EXTENT, info.format);
    let color = ColorDescription {
        matrix: Matrix::Smpte240M,
        ..frame.layout().color()
    };
    let error = pair.gl.import(&frame.with_color(color).expect("it fits"));
    let error = error.expect_err("no such hint").to_string();
    assert!(
        error.contains("color.matrix") && error.contains("240M"),
        "{error}"
    );
}
