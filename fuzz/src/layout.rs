//! Frame layouts from outside: exactly those that lie within their buffers are taken.

use arbitrary::{Arbitrary, Result, Unstructured};
use lucarne::{
    Extent, Format, FormatPlane, FrameLayout, MAX_EXTENT, MAX_PLANES, Modifier, Plane, Tiling,
};

/// Any geometry that a peer could claim.
#[derive(Debug)]
struct Claim {
    extent: Extent,
    format: Format,
    tiling: Tiling,
    planes: Vec<Plane>,
    sizes: Vec<u64>,
}

/// Mostly numbers near a limit, where mistakes are.
fn number(u: &mut Unstructured<'_>) -> Result<u64> {
    let near = [
        0,
        1,
        64,
        256,
        4096,
        u64::from(MAX_EXTENT),
        1 << 16,
        1 << 24,
        1 << 30,
        1 << 31,
        1 << 32,
        1 << 33,
        1 << 63,
        u64::MAX,
    ];
    Ok(match u.int_in_range(0..=3)? {
        0 => u.choose(&near)?.wrapping_add(u64::arbitrary(u)? % 5),
        1 => u.choose(&near)?.wrapping_sub(u64::arbitrary(u)? % 5),
        2 => u64::from(u16::arbitrary(u)?),
        _ => u64::arbitrary(u)?,
    })
}

fn side(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match u.int_in_range(0..=2)? {
        0 => u32::from(u8::arbitrary(u)?),
        1 => u.int_in_range(MAX_EXTENT - 2..=MAX_EXTENT + 2)?,
        _ => u32::arbitrary(u)?,
    })
}

impl<'a> Arbitrary<'a> for Claim {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let extent = Extent::new(side(u)?, side(u)?);
        let format = if u.ratio(7, 8)? {
            u.choose(Format::ALL)?.format
        } else {
            Format::from_fourcc(u32::arbitrary(u)?)
        };
        let tiling = match u.int_in_range(0..=3)? {
            0 => Tiling::Implicit,
            1 => Modifier::new(u64::arbitrary(u)?).map_or(Tiling::Implicit, Tiling::Explicit),
            _ => Tiling::Explicit(Modifier::LINEAR),
        };
        let mut planes = Vec::new();
        for _ in 0..u.int_in_range(0..=MAX_PLANES + 1)? {
            planes.push(Plane {
                object: usize::from(u8::arbitrary(u)? % 6),
                offset: number(u)?,
                pitch: number(u)?,
            });
        }
        let mut sizes = Vec::new();
        for _ in 0..u.int_in_range(0..=MAX_PLANES + 1)? {
            sizes.push(number(u)?);
        }
        Ok(Self {
            extent,
            format,
            tiling,
            planes,
            sizes,
        })
    }
}

/// Takes any bytes as a claim, and compares the answer with a slower check in wider numbers.
///
/// # Panics
///
/// When they differ.
pub fn check(bytes: &[u8]) {
    let Ok(claim) = Claim::arbitrary(&mut Unstructured::new(bytes)) else {
        return;
    };
    let answer = FrameLayout::new(
        claim.extent,
        claim.format,
        claim.tiling,
        &claim.planes,
        &claim.sizes,
    );
    match &answer {
        Ok(layout) => {
            assert!(within(&claim), "taken: {claim:?}");
            assert_eq!(layout.planes(), claim.planes);
            assert_eq!(layout.objects(), claim.sizes.len());
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let certain = claim.tiling == Tiling::Explicit(Modifier::LINEAR);
            assert!(!(certain && within(&claim)), "refused: {claim:?}: {error}");
        }
    }
    check_linear(&claim);
}

/// The layouts that Lucarne makes itself pass the check for those of others, also with the slower one.
fn check_linear(claim: &Claim) {
    let Ok((layout, size)) = FrameLayout::linear(claim.extent, claim.format) else {
        return;
    };
    assert!(within(&Claim {
        extent: layout.extent(),
        format: layout.format(),
        tiling: layout.tiling(),
        planes: layout.planes().to_vec(),
        sizes: vec![size],
    }));
}

/// Whether the claim is about a known format, every row of every format plane lies within its object, and nothing that a
/// driver computes with leaves 31 bits. In 128 bits, where nothing wraps.
fn within(claim: &Claim) -> bool {
    let Extent { width, height } = claim.extent;
    let Some(info) = claim.format.info() else {
        return false;
    };
    let sides = [width, height];
    let exact = claim.tiling.modifier().is_none_or(Modifier::is_linear);
    let count = claim.planes.len();
    if sides.iter().any(|side| *side == 0 || *side > MAX_EXTENT)
        || count < info.planes.len()
        || count > MAX_PLANES
        || (exact && count != info.planes.len())
        || (0..claim.sizes.len()).any(|one| claim.planes.iter().all(|plane| plane.object != one))
    {
        return false;
    }
    let compressed = claim
        .tiling
        .modifier()
        .is_some_and(|modifier| modifier.vendor() == lucarne::Vendor::Arm);
    claim.planes.iter().enumerate().all(|(index, plane)| {
        let Some(size) = claim.sizes.get(plane.object) else {
            return false;
        };
        let (offset, pitch, size) = (
            u128::from(plane.offset),
            u128::from(plane.pitch),
            u128::from(*size),
        );
        let own = info.planes.get(index);
        let format_plane = own.unwrap_or(&info.planes[0]);
        let padded = rows_of(format_plane, height.next_multiple_of(16));
        let widest = row_of(format_plane, MAX_EXTENT);
        if pitch == 0 || pitch > 4 * widest || offset + pitch * padded >= 1 << 31 || offset >= size
        {
            return false;
        }
        if own.is_none() || compressed {
            return true;
        }
        let (row, rows) = (row_of(format_plane, width), rows_of(format_plane, height));
        pitch >= row && offset + pitch * (rows - 1) + row <= size
    })
}

fn row_of(plane: &FormatPlane, width: u32) -> u128 {
    let samples = width.div_ceil(u32::from(plane.horizontal_subsampling));
    let blocks = samples.div_ceil(u32::from(plane.block_width));
    u128::from(blocks) * u128::from(plane.block_bytes)
}

fn rows_of(plane: &FormatPlane, height: u32) -> u128 {
    let samples = height.div_ceil(u32::from(plane.vertical_subsampling));
    u128::from(samples.div_ceil(u32::from(plane.block_height)))
}
