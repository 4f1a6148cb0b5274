use drm_fourcc::{DrmModifier, DrmVendor};
use proptest::prelude::*;

use super::*;

fn modifier(code: u64) -> Modifier {
    Modifier::new(code).unwrap()
}

fn text(code: u64) -> String {
    modifier(code).to_string()
}

#[test]
fn invalid_is_the_only_hole() {
    assert_eq!(Modifier::new(0x00ff_ffff_ffff_ffff), None);
    for near in [0x00ff_ffff_ffff_fffe, 0x0100_0000_0000_0000, u64::MAX, 0] {
        assert_eq!(Modifier::new(near).map(Modifier::code), Some(near));
    }
    assert!(Modifier::LINEAR.is_linear());
    assert_eq!(Modifier::LINEAR.to_string(), "linear");
    assert_eq!(
        format!("{:?}", Modifier::LINEAR),
        "Modifier(0x0000000000000000 linear)"
    );
}

/// Codes that drivers were seen to report, with the words `drm_info` has for them.
#[test]
fn nvidia() {
    assert_eq!(
        text(0x0300_0000_0060_6014),
        "NVIDIA block linear 2D, height 16 gobs (h=4), kind 0x06, generation 2, sector layout 1 \
         (0x0300000000606014)"
    );
    assert_eq!(
        text(0x0300_0000_00e0_8010),
        "NVIDIA block linear 2D, height 1 gob (h=0), kind 0x08, generation 2, sector layout 1, \
         compression 1 (ROP/3D, layout 1) (0x0300000000e08010)"
    );
    assert_eq!(
        text(0x0300_0000_0000_0014),
        "NVIDIA block linear 2D, height 16 gobs (h=4), kind 0x00 (generic, 0xfe), generation 0, \
         sector layout 0 (Tegra K1 to X2) (0x0300000000000014)"
    );
    // Sector layout 3: bit 22, and the lower of the two bits that Blackwell added.
    assert!(text(0x0300_0000_0460_6014).contains("sector layout 3 (GB20x, 16 bits per pixel)"));
    assert!(text(0x0300_0000_0420_6014).contains("sector layout 2 (GB20x, 8 bits per pixel)"));
    assert!(text(0x0300_0000_1060_6034).contains("unknown bits 0x10000020"));
    assert_eq!(
        text(0x0300_0000_0000_0001),
        "NVIDIA Tegra tiled, tiles of 16 x 16 bytes (0x0300000000000001)"
    );
    assert_eq!(modifier(0x0300_0000_0060_6014).auxiliary_planes(), Some(0));
    assert_eq!(modifier(0x0300_0000_1060_6014).auxiliary_planes(), None);
    // A compression that nobody has given a meaning yet.
    assert_eq!(modifier(0x0300_0000_02e0_6014).auxiliary_planes(), None);
}

#[test]
fn amd() {
    assert_eq!(
        text(0x0200_0000_0041_3901),
        "AMD GFX9, 64K_S_X, DCC, DCC independent 64B, DCC blocks up to 64B, pipe xor bits 2 \
         (0x0200000000413901)"
    );
    assert_eq!(
        text(0x0200_0004_4051_7901),
        "AMD GFX9, 64K_S_X, DCC, DCC retile, DCC independent 64B, DCC blocks up to 64B, \
         DCC constant encode, pipe xor bits 2, RB 1, pipes 2 (0x0200000440517901)"
    );
    assert_eq!(
        text(0x0200_0000_1046_3b04),
        "AMD GFX11, 64K_R_X, DCC, DCC independent 128B, DCC blocks up to 128B, pipe xor bits 2, \
         packers 2 (0x0200000010463b04)"
    );
    assert_eq!(
        text(0x0200_0000_0000_0901),
        "AMD GFX9, 64K_S (0x0200000000000901)"
    );
    assert_eq!(
        text(0x0200_0000_0000_0305),
        "AMD GFX12, 64K_2D (0x0200000000000305)"
    );
    assert!(text(0x0200_0000_0000_0209).starts_with("AMD unknown tile version 0x9"));
    // A DCC setting without DCC, and the reserved bits.
    assert!(text(0x0201_0000_0001_1901).contains("unknown bits 0x1000000010000"));

    let planes = |code| modifier(code).auxiliary_planes();
    assert_eq!(planes(0x0200_0000_0000_0901), Some(0));
    assert_eq!(planes(0x0200_0000_0041_3901), Some(1));
    assert_eq!(planes(0x0200_0004_4051_7901), Some(2));
    assert_eq!(planes(0x0200_0000_1046_3b04), Some(1));
    // DCC on GFX12 takes no plane.
    assert_eq!(planes(0x0200_0000_0000_2305), Some(0));
    assert_eq!(planes(0x0200_0000_0000_2209), None);
    assert_eq!(planes(0x0201_0000_0000_0901), None);
}

#[test]
fn intel() {
    assert_eq!(
        text(0x0100_0000_0000_0001),
        "Intel X tiled (0x0100000000000001)"
    );
    assert_eq!(
        text(0x0100_0000_0000_0008),
        "Intel Y tiled, gen 12 RC CCS, clear colour (0x0100000000000008)"
    );
    assert_eq!(
        text(0x0100_0000_0000_0063),
        "Intel unknown layout 0x63 (0x0100000000000063)"
    );
    // X, Y, Yf, two CCS, gen 12, tile 4, DG2, Meteor Lake, Lunar Lake and Battlemage; then nobody knows.
    let expected = [0, 0, 0, 1, 1, 1, 1, 2, 0, 0, 0, 1, 1, 1, 2, 0, 0];
    for (number, planes) in (1..).zip(expected) {
        assert_eq!(
            modifier(0x0100_0000_0000_0000 | number).auxiliary_planes(),
            Some(planes),
            "{number}"
        );
    }
    assert_eq!(modifier(0x0100_0000_0000_0012).auxiliary_planes(), None);
}

#[test]
fn arm() {
    assert_eq!(
        text(0x0800_0000_0000_0041),
        "Arm AFBC, superblocks 16x16, SPARSE (0x0800000000000041)"
    );
    assert_eq!(
        text(0x0800_0000_0000_0011),
        "Arm AFBC, superblocks 16x16, YTR (colour transform) (0x0800000000000011)"
    );
    assert_eq!(
        text(0x0800_0000_0000_0373),
        "Arm AFBC, superblocks 64x4, YTR (colour transform), SPLIT, SPARSE, TILED, SC (solid colour) \
         (0x0800000000000373)"
    );
    assert!(text(0x0800_0000_0000_4001).contains("unknown bits 0x4000"));
    assert_eq!(
        text(0x0820_0000_0000_0132),
        "Arm AFRC, scanline layout, 24-byte units in the first plane, 32-byte units in the other planes \
         (0x0820000000000132)"
    );
    assert_eq!(
        text(0x0810_0000_0000_0001),
        "Arm 16x16 block U-interleaved (0x0810000000000001)"
    );
    for (code, planes) in [
        (0x0800_0000_0000_0041, Some(0)),
        (0x0820_0000_0000_0132, Some(0)),
        (0x0810_0000_0000_0001, Some(0)),
        (0x0800_0000_0000_4001, None),
        (0x0830_0000_0000_0001, None),
    ] {
        assert_eq!(modifier(code).auxiliary_planes(), planes, "{code:#x}");
    }
}

#[test]
fn vendors_with_few_layouts() {
    let cases = [
        (0x0400_0000_0000_0002, Some(0), "Samsung 16x16 tiles"),
        (0x0500_0000_0000_0001, Some(0), "Qualcomm compressed (UBWC)"),
        (0x0500_0000_0000_0003, Some(0), "Qualcomm tiled 3"),
        (0x0600_0000_0000_0002, Some(0), "Vivante 64x64 super tiles"),
        (
            0x0611_0000_0000_0002,
            Some(1),
            "Vivante 64x64 super tiles, tile status 64 bytes, 4 bits, DEC400 compression",
        ),
        (0x0700_0000_0000_0001, Some(0), "Broadcom VC4 T tiled"),
        (
            0x0700_0000_0004_3804,
            Some(0),
            "Broadcom SAND128, column height 1080",
        ),
        (
            0x0700_0000_0000_0106,
            None,
            "Broadcom UIF, unknown bits 0x100",
        ),
        (
            0x0900_0000_0000_0001,
            Some(0),
            "Allwinner tiled, 32x32 luma and 32x64 chroma",
        ),
        (
            0x0a00_0000_0000_0101,
            Some(0),
            "Amlogic FBC, basic layout, memory saving",
        ),
        (
            0x0b00_0000_0000_0001,
            Some(0),
            "MediaTek 16L32S tiles, not compressed, 10-bit packed",
        ),
        (
            0x0c00_0000_0000_0002,
            Some(0),
            "Apple GPU tiled, compressed",
        ),
        (0x0c00_0000_0000_0009, None, "Apple unknown layout 0x9"),
        (0x0d00_0000_0000_0001, None, "vendor 0x0d unknown layout"),
        (0x0000_0000_0000_0001, None, "no vendor unknown layout"),
    ];
    for (code, planes, words) in cases {
        assert_eq!(text(code), format!("{words} ({code:#018x})"));
        assert_eq!(modifier(code).auxiliary_planes(), planes, "{words}");
    }
    assert_eq!(Modifier::LINEAR.auxiliary_planes(), Some(0));
}

#[test]
fn names_both_ways() {
    for (name, modifier) in Modifier::NAMED {
        assert_eq!(modifier.kernel_name(), Some(*name));
        assert_eq!(name.parse(), Ok(*modifier));
        // Whatever has a name is a layout that the decoders know.
        assert!(modifier.auxiliary_planes().is_some(), "{name}");
        assert!(
            !modifier.to_string().contains("unknown"),
            "{name}: {modifier}"
        );
    }
    assert_eq!("linear".parse(), Ok(Modifier::LINEAR));
    assert_eq!(
        "0x0300000000606014".parse(),
        Ok(modifier(0x0300_0000_0060_6014))
    );
    for text in [
        "",
        "0x00ffffffffffffff",
        "0x",
        "tiled",
        "0x10000000000000000",
    ] {
        assert_eq!(
            text.parse::<Modifier>(),
            Err(UnknownModifierName(text.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn drm_fourcc_both_ways() {
    assert_eq!(
        Modifier::try_from(DrmModifier::Linear),
        Ok(Modifier::LINEAR)
    );
    assert_eq!(
        Modifier::try_from(DrmModifier::Invalid),
        Err(InvalidModifier)
    );
    assert_eq!(DrmModifier::from(Modifier::LINEAR), DrmModifier::Linear);
    assert_eq!(
        DrmModifier::from(modifier(0x0100_0000_0000_0001)),
        DrmModifier::I915_x_tiled
    );
    let vendors = [
        (DrmVendor::Intel, Vendor::Intel),
        (DrmVendor::Amd, Vendor::Amd),
        (DrmVendor::Nvidia, Vendor::Nvidia),
        (DrmVendor::Samsung, Vendor::Samsung),
        (DrmVendor::Qcom, Vendor::Qcom),
        (DrmVendor::Vivante, Vendor::Vivante),
        (DrmVendor::Broadcom, Vendor::Broadcom),
        (DrmVendor::Arm, Vendor::Arm),
        (DrmVendor::Allwinner, Vendor::Allwinner),
        (DrmVendor::Amlogic, Vendor::Amlogic),
    ];
    for (theirs, ours) in vendors {
        assert_eq!(Vendor::from_code(theirs as u8), ours);
    }
    for (name, ours) in Modifier::NAMED {
        assert_eq!(
            Modifier::try_from(DrmModifier::from(*ours)),
            Ok(*ours),
            "{name}"
        );
    }
}

/// Codes with a vendor that has a decoder, and with few bits set, so that the branches are reached.
fn likely_code() -> impl Strategy<Value = u64> {
    let low = prop_oneof![0..0x100_u64, 0..0x1000_0000_u64, any::<u64>()];
    (0..0x10_u64, low).prop_map(|(vendor, low)| vendor << 56 | low & 0x00ff_ffff_ffff_ffff)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_code_keeps_its_value(code in prop_oneof![any::<u64>(), likely_code()]) {
        let Some(modifier) = Modifier::new(code) else {
            prop_assert_eq!(code, 0x00ff_ffff_ffff_ffff);
            return Ok(());
        };
        prop_assert_eq!(modifier.code(), code);
        prop_assert_eq!(Modifier::try_from(DrmModifier::from(modifier)), Ok(modifier));
        prop_assert_eq!(u64::from(DrmModifier::from(modifier)), code);
        let (words, debug) = (modifier.to_string(), format!("{modifier:?}"));
        prop_assert!(!words.contains('\n'));
        let hex = format!("{code:#018x}");
        prop_assert!(debug.contains(&hex));
        prop_assert!(modifier.is_linear() || words.contains(&hex), "{words}");
        prop_assert_eq!(hex.parse::<Modifier>(), Ok(modifier));
        // A plane count is given only for codes that were understood to the last bit; AMD's depends
        // on the DCC bits alone, whatever the tile mode.
        if modifier.auxiliary_planes().is_some() && modifier.vendor() != Vendor::Amd {
            prop_assert!(!words.contains("unknown"), "{words}");
        }
    }

    #[test]
    fn vendor_is_the_upper_byte(code: u64) {
        prop_assume!(code != 0x00ff_ffff_ffff_ffff);
        let [byte, ..] = code.to_be_bytes();
        prop_assert_eq!(modifier(code).vendor(), Vendor::from_code(byte));
    }
}
