//! The table. Source lines are of Mesa 25.0.7 unless another version is named.

use super::{Api, Applies, Family, Match, Quirk, Version};

/// See [`Quirk::fault`].
pub static CLOSES_FD_ON_FAILED_IMPORT: Quirk = Quirk {
    name: "closes-fd-on-failed-import",
    drivers: "lavapipe",
    fault: "vkAllocateMemory closes the descriptor also when an import fails, although it becomes the driver's only when \
            it succeeds: closing it again may close somebody else's",
    evidence: "read in lvp_device.c (lines 1993 and 1999)",
    answer: "a descriptor that was refused is closed only while it still is the same kernel object; sizes are compared \
             first, so that imports rarely fail",
    test: "a_refused_descriptor_is_closed_once",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static EXPORTS_WRONG_TYPE_OF_TWO: Quirk = Quirk {
    name: "exports-wrong-type-of-two",
    drivers: "lavapipe",
    fault: "memory allocated for export as DMA_BUF and OPAQUE_FD is silently of the second kind, and \
            vkGetMemoryFdKHR(DMA_BUF) then answers success with a memfd that starts with Mesa's own header",
    evidence: "read in lvp_device.c (line 2014)",
    answer: "memory is allocated for export as exactly one type",
    test: "a_dma_buf_says_whether_the_kernel_made_it",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static SUCCESS_WITH_NEGATIVE_FD: Quirk = Quirk {
    name: "success-with-negative-fd",
    drivers: "lavapipe, llvmpipe",
    fault: "vkGetMemoryFdKHR of memory that cannot be exported, and eglExportDMABUFImageMESA of an image that was itself \
            imported, answer success with descriptor -1",
    evidence: "read in lvp_device.c (line 2391) and dri_sw; the EGL half was run",
    answer: "a negative descriptor is an error, whatever the driver answers with it",
    test: "success_without_a_descriptor_is_an_error",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static FDS_WITHOUT_CLOEXEC: Quirk = Quirk {
    name: "fds-without-cloexec",
    drivers: "lavapipe, llvmpipe; others are not known",
    fault: "exported descriptors are not close-on-exec, so that every child process inherits them",
    evidence: "read in lvp_device.c (line 2391: dup) and run",
    answer: "FD_CLOEXEC is set on every descriptor that a driver gives",
    test: "descriptors_from_drivers_are_not_inherited",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static MODIFIER_LIST_2_UNWRITTEN: Quirk = Quirk {
    name: "modifier-list-2-unwritten",
    drivers: "lavapipe",
    fault: "VkDrmFormatModifierPropertiesList2EXT is left as it was, although VK_KHR_format_feature_flags2 is listed",
    evidence: "run; ADR 5",
    answer: "modifiers are asked for in VkDrmFormatModifierPropertiesListEXT, which every driver fills",
    test: "dma_buf_in_every_direction",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static HIDES_MODIFIER_FEATURES: Quirk = Quirk {
    name: "hides-modifier-features",
    drivers: "lavapipe; any that is seen to leave VkDrmFormatModifierPropertiesList2EXT empty",
    fault: "the validation layer (1.3.239) looks features up in the second list, finds none, and reports every use of an \
            image with a modifier",
    evidence: "run; ADR 5",
    answer: "Adapter::hides_modifier_features says so, and our tests then drop reports of features (0x0) with that tiling",
    test: "forced_quirks_change_what_vulkan_says",
    applies: Applies::Observed,
};

/// See [`Quirk::fault`].
pub static MEMORY_OBJECT_OFFSET_IGNORED: Quirk = Quirk {
    name: "memory-object-offset-ignored",
    drivers: "llvmpipe",
    fault: "glTexStorageMem2DEXT ignores its offset, so that a texture in the middle of an allocation shows its beginning",
    evidence: "read in lp_texture.c (line 508)",
    answer: "opaque memory is always an allocation of its own, with the image at offset 0",
    test: "opaque_fd_out_of_vulkan",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static PLANAR_FALSELY_ADVERTISED: Quirk = Quirk {
    name: "planar-falsely-advertised",
    drivers: "llvmpipe",
    fault: "NV12, P010 and YUV420 are among eglQueryDmaBufFormatsEXT's answers, and importing one as a whole ends in \
            EGL_BAD_ALLOC",
    evidence: "read in lp_texture.c (line 718) and run",
    answer: "a Y'CbCr format is offered as one image only where a small one was imported and shows the right colour; each \
             plane can be imported as R8, GR88, R16 or GR1616",
    test: "what_is_offered_shows_the_right_colours_and_the_rest_is_refused",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static EXTERNAL_ONLY_UNWRITTEN: Quirk = Quirk {
    name: "external-only-unwritten",
    drivers: "llvmpipe",
    fault: "eglQueryDmaBufModifiersEXT leaves its external_only array as it was",
    evidence: "read in dri2.c; every entry is sampled as an ordinary texture in the matrix",
    answer: "the array is zeroed before the query",
    test: "forced_quirks_change_what_opengl_offers",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static KMS_SWRAST: Quirk = Quirk {
    name: "kms-swrast",
    drivers: "Mesa's software rasteriser on a DRM node, which surfaceless EGL prefers where vgem or virtio-gpu are loaded",
    fault: "foreign dma-bufs are mapped by MAP_DUMB, which the kernel refuses for buffers it did not make, and the driver \
            goes on with a null pointer",
    evidence: "read in platform_surfaceless.c and kms_dri_sw_winsys.c; crashes reported in Mesa issue 6438",
    answer: "dma-bufs are neither imported nor exported there; egl::Adapter::open takes the software EGL device",
    test: "forced_quirks_change_what_opengl_offers",
    applies: Applies::Observed,
};

/// See [`Quirk::fault`].
pub static NVIDIA_LINEAR: Quirk = Quirk {
    name: "nvidia-linear-not-renderable",
    drivers: "NVIDIA's EGL",
    fault: "LINEAR dma-bufs can be sampled, through GL_TEXTURE_EXTERNAL_OES, and not be rendered to",
    evidence: "a compositor's log of driver 545.23.06 (NVIDIA/egl-wayland issue 90): LINEAR texture yes, render no",
    answer: "LINEAR entries lose the usage RENDER, whatever external_only says",
    test: "forced_quirks_change_what_opengl_offers",
    applies: Applies::Drivers(&[Match::all(Some(Api::OpenGl), Family::Nvidia)]),
};

/// See [`Quirk::fault`].
pub static NVIDIA_MODIFIER_QUERY: Quirk = Quirk {
    name: "nvidia-modifier-query",
    drivers: "NVIDIA's EGL since 520",
    fault: "eglQueryDmaBufModifiersEXT answers EGL_BAD_PARAMETER for some formats that eglQueryDmaBufFormatsEXT has listed",
    evidence: "reported in Smithay issues 788 and 1065 and in mir issue 3278",
    answer: "that answer means: no explicit modifiers; any other error is one",
    test: "a_format_without_modifiers_is_no_error_and_a_dead_display_is",
    applies: Applies::Always,
};

/// See [`Quirk::fault`].
pub static NVIDIA_FOREIGN_IMPORT: Quirk = Quirk {
    name: "nvidia-foreign-import",
    drivers: "NVIDIA's EGL; reported up to 595",
    fault: "dma-bufs of system memory import without an error, and beyond the first 2 MiB other pages are sampled",
    evidence: "reported of 595.84 (MrOz59/Hermes-KMS pull request 1) and in cosmic-comp pull request 2501; not run here",
    answer: "before LINEAR dma-bufs are offered, one of 3 MiB is made by /dev/udmabuf, imported and compared; where it is \
             wrong, or cannot be tried, they are withdrawn with that reason",
    test: "linear_memory_is_withdrawn_where_the_self_test_fails",
    applies: Applies::Drivers(&[Match::all(Some(Api::OpenGl), Family::Nvidia)]),
};

/// See [`Quirk::fault`].
pub static NO_IMPLICIT_SYNC: Quirk = Quirk {
    name: "no-implicit-sync",
    drivers: "NVIDIA's drivers; Mesa's software rasterisers",
    fault: "fences of rendering are not put on dma-bufs, and those found there are not waited for: \
            DMA_BUF_IOCTL_EXPORT_SYNC_FILE gives one that has signalled",
    evidence: "NVIDIA: reported in gamescope issue 599; Mesa: no use of dma_resv fences in llvmpipe's sources",
    answer: "fences are always passed explicitly; egl::Device::implicit_sync says that the kernel's are not to be relied on",
    test: "implicit_sync_is_not_promised_where_the_driver_has_none",
    applies: Applies::Drivers(&[
        Match::all(None, Family::Nvidia),
        Match::all(None, Family::MesaSoftware),
    ]),
};

/// See [`Quirk::fault`].
pub static AMD_LINEAR_ALIGNMENT: Quirk = Quirk {
    name: "amd-linear-alignment",
    drivers: "radv, radeonsi, AMD's own",
    fault: "linear rows must start at multiples of 256 bytes, and buffers be as long as the height padded by the driver",
    evidence: "reported in MrOz59/Apollo-Linux issue 23: 1600x1068 was refused, being 24576 bytes short",
    answer: "our linear buffers have such pitches and a height padded to 16 rows; others' are refused by name when their \
             pitch is not",
    test: "amd_wants_linear_pitches_of_256_bytes",
    applies: Applies::Drivers(&[
        Match::all(None, Family::MesaAmd),
        Match::all(None, Family::Amd),
    ]),
};

/// See [`Quirk::fault`].
pub static SOFTWARE_FENCE_EXPORT: Quirk = Quirk {
    name: "software-fence-export",
    drivers: "llvmpipe 24.3 and later",
    fault: "eglDupNativeFenceFDANDROID finishes every context of the process, other threads' too, and was seen to deadlock",
    evidence: "read in lp_fence.c (lines 255 to 280) and run",
    answer: "OpenGL's release fence is a wait of the CPU for its own context, and the offer says so",
    test: "forced_quirks_change_what_opengl_offers",
    applies: Applies::Drivers(&[Match {
        api: Some(Api::OpenGl),
        family: Family::MesaSoftware,
        from: Version(24, 3, 0),
        below: None,
    }]),
};

/// See [`Quirk::fault`].
pub static SOFTWARE_FENCES_HAVE_SIGNALLED: Quirk = Quirk {
    name: "software-fences-have-signalled",
    drivers: "lavapipe; any software device is taken to",
    fault: "a sync_file that Vulkan exports has always signalled: the driver hands the work to another thread, waits for it, \
            and then makes the file, which costs a fifth of the frames",
    evidence: "read in lvp_pipe_sync.c and lp_fence.c (lines 255 to 280) and run; ADR 2, docs/performance.md",
    answer: "the CPU waits for the turn's own VkFence, with the caller's deadline, and passes a fence that has signalled; the \
             offer says so. Device::with_driver_fences exports all the same",
    test: "software_fences_are_waits_of_the_cpu",
    applies: Applies::Observed,
};

/// See [`Quirk::fault`].
pub static SOFTWARE_WAITS_FOR_EVER: Quirk = Quirk {
    name: "software-waits-for-ever",
    drivers: "lavapipe, llvmpipe; any software device is taken to",
    fault: "a fence that was imported is waited for on the calling thread, without a timeout: a dead peer hangs the program",
    evidence: "read in lp_context.c (line 126) and lvp_device.c (line 1619); ADR 2",
    answer: "the CPU waits first, up to the caller's deadline",
    test: "a_stand_in_that_never_signals_ends_in_a_timeout",
    applies: Applies::Observed,
};

/// See [`Quirk::fault`].
pub static OPAQUE_HEADER_BELIEVED: Quirk = Quirk {
    name: "opaque-header-believed",
    drivers: "lavapipe, llvmpipe",
    fault: "an OPAQUE_FD is a memfd that begins with the sizes to map, and these are not compared with the file's: a forged \
            or stale header ends in SIGBUS",
    evidence: "read in os_memory_fd.c (os_import_memory_fd)",
    answer: "the header is compared with the file's size before each import; the memfd must be sealed against shrinking",
    test: "a_forged_header_is_refused_before_the_driver_believes_it",
    applies: Applies::Drivers(&[Match::all(None, Family::MesaSoftware)]),
};

/// See [`Quirk::fault`].
pub static OPAQUE_FD_IS_A_DMA_BUF: Quirk = Quirk {
    name: "opaque-fd-is-a-dma-buf",
    drivers: "lavapipe and llvmpipe of Mesa 25.1 or later, where /dev/udmabuf can be opened",
    fault: "Vulkan exports OPAQUE_FD memory as a dma-buf, OpenGL takes only memory that begins with Mesa's header, and both \
            claim one driver UUID: glTexStorageMem2DEXT ends in GL_OUT_OF_MEMORY",
    evidence: "run with Mesa 26.1.6: every case fails with /dev/udmabuf and none without; 25.0.7 has not the fault, versions \
               between were not looked at",
    answer: "OpenGL does not offer opaque-fd there; dma-bufs, which then work, are better anyway",
    test: "forced_quirks_change_what_opengl_offers",
    applies: Applies::Drivers(&[Match {
        api: None,
        family: Family::MesaSoftware,
        from: Version(25, 1, 0),
        below: None,
    }]),
};

/// See [`Quirk::fault`].
pub static SOFTWARE_READS_FOUR_ROWS: Quirk = Quirk {
    name: "software-reads-four-rows",
    drivers: "llvmpipe",
    fault: "rows are read four at a time and never compared with the buffer's size: a tight buffer ends in SIGSEGV",
    evidence: "read in lp_texture.c (line 741) and run",
    answer: "a dma-buf without room for a height padded to 4 rows is refused before the driver sees it",
    test: "a_tight_buffer_is_refused_where_it_would_end_in_a_signal",
    applies: Applies::Drivers(&[Match::all(Some(Api::OpenGl), Family::MesaSoftware)]),
};

/// See [`Quirk::fault`].
pub static SOFTWARE_MAPS_LATE: Quirk = Quirk {
    name: "software-maps-late",
    drivers: "llvmpipe",
    fault: "a dma-buf is mapped each time that it is used, not when it is imported, and where its exporter refuses the driver goes on \
            with a null pointer: SIGSEGV",
    evidence: "run, with an exporter whose mmap fails (kernel/lucarne_exporter)",
    answer: "each dma-buf is mapped once for a try before the driver sees it; one that cannot be is refused",
    test: "a_buffer_that_cannot_be_mapped_is_refused_by_name",
    applies: Applies::Drivers(&[Match::all(Some(Api::OpenGl), Family::MesaSoftware)]),
};

/// See [`Quirk::fault`].
pub static V3D_READS_AHEAD: Quirk = Quirk {
    name: "v3d-reads-ahead",
    drivers: "v3dv, v3d",
    fault: "textures are taken for 64 bytes longer than their rows, and rounded up to pages: a linear buffer that ends \
            with its last row at the end of a page is too small",
    evidence: "reported in toyota-connected/ivi-homescreen issues 598 and 219; V3D_TFU_READAHEAD_SIZE in v3dv_private.h",
    answer: "our linear buffers have LINEAR_TAIL_BYTES behind the last row; others' are refused with their size, what the \
             driver needs, and the layout",
    test: "linear_buffers_have_a_tail",
    applies: Applies::Always,
};

/// Every quirk, in the order of docs/quirks.md.
pub static ALL: &[&Quirk] = &[
    &CLOSES_FD_ON_FAILED_IMPORT,
    &EXPORTS_WRONG_TYPE_OF_TWO,
    &SUCCESS_WITH_NEGATIVE_FD,
    &FDS_WITHOUT_CLOEXEC,
    &MODIFIER_LIST_2_UNWRITTEN,
    &HIDES_MODIFIER_FEATURES,
    &MEMORY_OBJECT_OFFSET_IGNORED,
    &PLANAR_FALSELY_ADVERTISED,
    &EXTERNAL_ONLY_UNWRITTEN,
    &KMS_SWRAST,
    &SOFTWARE_FENCE_EXPORT,
    &SOFTWARE_FENCES_HAVE_SIGNALLED,
    &SOFTWARE_WAITS_FOR_EVER,
    &SOFTWARE_READS_FOUR_ROWS,
    &SOFTWARE_MAPS_LATE,
    &OPAQUE_HEADER_BELIEVED,
    &OPAQUE_FD_IS_A_DMA_BUF,
    &NO_IMPLICIT_SYNC,
    &NVIDIA_LINEAR,
    &NVIDIA_MODIFIER_QUERY,
    &NVIDIA_FOREIGN_IMPORT,
    &AMD_LINEAR_ALIGNMENT,
    &V3D_READS_AHEAD,
];
