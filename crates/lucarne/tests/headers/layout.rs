//! Compares the channels of each format with what the header's comment on it tells.

use lucarne::FormatInfo;

use super::*;

/// The crate's word for a channel in a comment.
fn component(name: &str) -> Option<&'static str> {
    Some(match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "R" => "Red",
        "G" => "Green",
        "B" => "Blue",
        "A" => "Alpha",
        "Y" => "Luma",
        "Cb" => "Cb",
        "Cr" => "Cr",
        // `x`, `X`, or the digit 0, of which nothing is left.
        "x" | "X" | "" => "Padding",
        _ => return None,
    })
}

/// Reads `[31:0] A:R:G:B 8:8:8:8 little endian`; sizes are left out where all are equal.
fn channels(comment: &str) -> Option<Vec<(String, u8)>> {
    let (range, rest) = comment.strip_prefix('[')?.split_once(":0]")?;
    let total = range.parse::<u8>().ok()? + 1;
    let mut words = rest.split_whitespace();
    let components = words
        .next()?
        .split(':')
        .map(|name| component(name).map(str::to_owned))
        .collect::<Option<Vec<_>>>()?;
    let sizes = words
        .next()
        .and_then(|sizes| sizes.split(':').map(|n| n.parse().ok()).collect());
    let equal = vec![total / u8::try_from(components.len()).ok()?; components.len()];
    let sizes: Vec<u8> = sizes.unwrap_or(equal);
    assert_eq!(components.len(), sizes.len(), "{comment}");
    assert_eq!(sizes.iter().sum::<u8>(), total, "{comment}");
    Some(components.into_iter().zip(sizes).collect())
}

/// Reads `2x2 subsampled Cr:Cb plane` and `non-subsampled Cb (1) and Cr (2) planes`.
fn chroma(comment: &str) -> Option<((u8, u8), &'static str)> {
    let (subsampling, rest) = comment.split_once("subsampled ")?;
    let subsampling = match subsampling.trim() {
        "non-" => (1, 1),
        pair => {
            let (across, down) = pair.split_once('x')?;
            (across.parse().ok()?, down.parse().ok()?)
        }
    };
    Some((subsampling, component(rest.split([':', ' ']).next()?)?))
}

fn first_plane(info: &FormatInfo) -> Vec<(String, u8)> {
    info.planes[0]
        .channels
        .iter()
        .map(|channel| (format!("{:?}", channel.component), channel.bits))
        .collect()
}

#[test]
fn channels_are_the_headers() {
    with_headers(|path, macros| {
        let (mut defined, mut packed, mut planar) = (0, 0, 0);
        for info in Format::ALL {
            let Some(definition) = macros.get(&format!("DRM_FORMAT_{}", info.name)) else {
                continue;
            };
            let comment = &definition.comment;
            defined += 1;
            if let Some(expected) = channels(comment) {
                assert_eq!(first_plane(info), expected, "{} in {path}", info.name);
                packed += 1;
            }
            if let Some((subsampling, first)) = chroma(comment) {
                for plane in &info.planes[1..] {
                    let ours = (plane.horizontal_subsampling, plane.vertical_subsampling);
                    assert_eq!(ours, subsampling, "{} in {path}", info.name);
                }
                let channels = info.planes[1].channels.iter();
                let ours = channels
                    .map(|channel| format!("{:?}", channel.component))
                    .find(|ours| ours != "Padding");
                assert_eq!(ours.as_deref(), Some(first), "{} in {path}", info.name);
                planar += 1;
            }
        }
        eprintln!("{path}: {packed} packed and {planar} planar layouts compared");
        // All but Q410 and Q401, whose layout the header tells in a block comment.
        assert_eq!(packed + planar, defined - 2, "layouts that {path} tells");
    });
}
