//! Frame layouts from outside: exactly those that lie within their buffers are taken.

use arbitrary::{Arbitrary, Result, Unstructured};
use lucarne::{Extent, Format, FrameLayout, MAX_EXTENT, MAX_PLANES, Modifier, Plane, Tiling};

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
        1 << 31,
        1 << 32,
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

/// Whether the claim is about a known format and every row of every format plane lies within its object.
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
        let limit = u128::from(u32::MAX);
        if pitch == 0 || pitch > limit || offset > limit || offset >= size {
            return false;
        }
        let Some(format_plane) = info.planes.get(index) else {
            return true;
        };
        if compressed {
            return true;
        }
        let across = width
            .div_ceil(u32::from(format_plane.horizontal_subsampling))
            .div_ceil(u32::from(format_plane.block_width));
        let rows = height
            .div_ceil(u32::from(format_plane.vertical_subsampling))
            .div_ceil(u32::from(format_plane.block_height));
        let row = u128::from(across) * u128::from(format_plane.block_bytes);
        pitch >= row && offset + pitch * u128::from(rows - 1) + row <= size
    })
}
