//! Layouts that the kernel's header gives a name of their own.

use super::Modifier;

const fn of(vendor: u64, value: u64) -> Modifier {
    Modifier(vendor << 56 | value)
}

const INTEL: u64 = 1;
const NVIDIA: u64 = 3;
const SAMSUNG: u64 = 4;
const QCOM: u64 = 5;
const VIVANTE: u64 = 6;
const BROADCOM: u64 = 7;
const ARM: u64 = 8;
const ALLWINNER: u64 = 9;
const MEDIATEK: u64 = 0x0b;
const APPLE: u64 = 0x0c;

impl Modifier {
    /// The layouts that `drm_fourcc.h` gives a name of their own, under that name.
    pub const NAMED: &'static [(&'static str, Self)] = &[
        ("DRM_FORMAT_MOD_LINEAR", Self::LINEAR),
        ("I915_FORMAT_MOD_X_TILED", of(INTEL, 1)),
        ("I915_FORMAT_MOD_Y_TILED", of(INTEL, 2)),
        ("I915_FORMAT_MOD_Yf_TILED", of(INTEL, 3)),
        ("I915_FORMAT_MOD_Y_TILED_CCS", of(INTEL, 4)),
        ("I915_FORMAT_MOD_Yf_TILED_CCS", of(INTEL, 5)),
        ("I915_FORMAT_MOD_Y_TILED_GEN12_RC_CCS", of(INTEL, 6)),
        ("I915_FORMAT_MOD_Y_TILED_GEN12_MC_CCS", of(INTEL, 7)),
        ("I915_FORMAT_MOD_Y_TILED_GEN12_RC_CCS_CC", of(INTEL, 8)),
        ("I915_FORMAT_MOD_4_TILED", of(INTEL, 9)),
        ("I915_FORMAT_MOD_4_TILED_DG2_RC_CCS", of(INTEL, 10)),
        ("I915_FORMAT_MOD_4_TILED_DG2_MC_CCS", of(INTEL, 11)),
        ("I915_FORMAT_MOD_4_TILED_DG2_RC_CCS_CC", of(INTEL, 12)),
        ("I915_FORMAT_MOD_4_TILED_MTL_RC_CCS", of(INTEL, 13)),
        ("I915_FORMAT_MOD_4_TILED_MTL_MC_CCS", of(INTEL, 14)),
        ("I915_FORMAT_MOD_4_TILED_MTL_RC_CCS_CC", of(INTEL, 15)),
        ("I915_FORMAT_MOD_4_TILED_LNL_CCS", of(INTEL, 16)),
        ("I915_FORMAT_MOD_4_TILED_BMG_CCS", of(INTEL, 17)),
        ("DRM_FORMAT_MOD_NVIDIA_TEGRA_TILED", of(NVIDIA, 1)),
        (
            "DRM_FORMAT_MOD_NVIDIA_16BX2_BLOCK_ONE_GOB",
            of(NVIDIA, 0x10),
        ),
        (
            "DRM_FORMAT_MOD_NVIDIA_16BX2_BLOCK_TWO_GOB",
            of(NVIDIA, 0x11),
        ),
        (
            "DRM_FORMAT_MOD_NVIDIA_16BX2_BLOCK_FOUR_GOB",
            of(NVIDIA, 0x12),
        ),
        (
            "DRM_FORMAT_MOD_NVIDIA_16BX2_BLOCK_EIGHT_GOB",
            of(NVIDIA, 0x13),
        ),
        (
            "DRM_FORMAT_MOD_NVIDIA_16BX2_BLOCK_SIXTEEN_GOB",
            of(NVIDIA, 0x14),
        ),
        (
            "DRM_FORMAT_MOD_NVIDIA_16BX2_BLOCK_THIRTYTWO_GOB",
            of(NVIDIA, 0x15),
        ),
        ("DRM_FORMAT_MOD_SAMSUNG_64_32_TILE", of(SAMSUNG, 1)),
        ("DRM_FORMAT_MOD_SAMSUNG_16_16_TILE", of(SAMSUNG, 2)),
        ("DRM_FORMAT_MOD_QCOM_COMPRESSED", of(QCOM, 1)),
        ("DRM_FORMAT_MOD_QCOM_TILED2", of(QCOM, 2)),
        ("DRM_FORMAT_MOD_QCOM_TILED3", of(QCOM, 3)),
        ("DRM_FORMAT_MOD_VIVANTE_TILED", of(VIVANTE, 1)),
        ("DRM_FORMAT_MOD_VIVANTE_SUPER_TILED", of(VIVANTE, 2)),
        ("DRM_FORMAT_MOD_VIVANTE_SPLIT_TILED", of(VIVANTE, 3)),
        ("DRM_FORMAT_MOD_VIVANTE_SPLIT_SUPER_TILED", of(VIVANTE, 4)),
        ("DRM_FORMAT_MOD_BROADCOM_VC4_T_TILED", of(BROADCOM, 1)),
        ("DRM_FORMAT_MOD_BROADCOM_SAND32", of(BROADCOM, 2)),
        ("DRM_FORMAT_MOD_BROADCOM_SAND64", of(BROADCOM, 3)),
        ("DRM_FORMAT_MOD_BROADCOM_SAND128", of(BROADCOM, 4)),
        ("DRM_FORMAT_MOD_BROADCOM_SAND256", of(BROADCOM, 5)),
        ("DRM_FORMAT_MOD_BROADCOM_UIF", of(BROADCOM, 6)),
        (
            "DRM_FORMAT_MOD_ARM_16X16_BLOCK_U_INTERLEAVED",
            of(ARM, 1 << 52 | 1),
        ),
        ("DRM_FORMAT_MOD_ALLWINNER_TILED", of(ALLWINNER, 1)),
        ("DRM_FORMAT_MOD_MTK_16L_32S_TILE", of(MEDIATEK, 1)),
        ("DRM_FORMAT_MOD_APPLE_GPU_TILED", of(APPLE, 1)),
        ("DRM_FORMAT_MOD_APPLE_GPU_TILED_COMPRESSED", of(APPLE, 2)),
    ];
}
