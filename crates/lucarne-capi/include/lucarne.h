/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Lucarne: GPU frames shared without copying a pixel. docs/c.md has what holds for all functions.
 * Made of crates/lucarne-capi/src/ffi: change it there. */

#ifndef LUCARNE_H
#define LUCARNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of this header: `LUCARNE_VERSION_MAJOR`.`LUCARNE_VERSION_MINOR`.`LUCARNE_VERSION_PATCH`.
#define LUCARNE_VERSION_MAJOR 0

// Before 1.0 each minor version has an ABI of its own, and a SONAME of its own.
#define LUCARNE_VERSION_MINOR 1

// Patches change no ABI.
#define LUCARNE_VERSION_PATCH 0

// A dma-buf.
#define LUCARNE_PATH_DMA_BUF 1

// Memory that only the driver which exported it understands.
#define LUCARNE_PATH_OPAQUE_FD 2

// A sealed memfd.
#define LUCARNE_PATH_HOST_MEMORY 3

// Draws into it.
#define LUCARNE_USAGE_RENDER 1

// Samples it in a shader.
#define LUCARNE_USAGE_SAMPLE 2

// Copies out of it; in OpenGL, reads it through a framebuffer.
#define LUCARNE_USAGE_TRANSFER_SOURCE 4

// Copies or clears into it.
#define LUCARNE_USAGE_TRANSFER_DESTINATION 8

// Reads and writes single pixels in a shader.
#define LUCARNE_USAGE_STORAGE 16

// A fence passes as a sync_file: the other device waits.
#define LUCARNE_FENCE_PATH_SYNC_FILE 1

// A fence cannot pass: the CPU waits.
#define LUCARNE_FENCE_PATH_CPU_WAIT 2

// Gates the reader: signals when the writers' work is done.
#define LUCARNE_FENCE_ROLE_ACQUIRE 1

// Gates the writer: signals when the readers' work is done.
#define LUCARNE_FENCE_ROLE_RELEASE 2

// Drawing, in `VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL`.
#define LUCARNE_ACCESS_COLOR_ATTACHMENT 1

// Copies and clears into it, in `VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL`.
#define LUCARNE_ACCESS_TRANSFER_DESTINATION 2

// Copies out of it, in `VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL`. Does not write.
#define LUCARNE_ACCESS_TRANSFER_SOURCE 3

// Sampling in any shader, in `VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL`. Does not write.
#define LUCARNE_ACCESS_SAMPLED 4

// Reads and writes in compute shaders, in `VK_IMAGE_LAYOUT_GENERAL`.
#define LUCARNE_ACCESS_STORAGE 5

// The newest frame: what a display wants. Frames that were not taken in time are dropped.
#define LUCARNE_DELIVERY_LATEST 1

// Each frame, in order: what a recorder wants.
#define LUCARNE_DELIVERY_EVERY 2

// `DRM_FORMAT_XRGB8888`. Every format is DRM's code, as in `drm_fourcc.h`; these are the usual ones.
#define LUCARNE_FORMAT_XRGB8888 875713112

// `DRM_FORMAT_XBGR8888`.
#define LUCARNE_FORMAT_XBGR8888 875709016

// `DRM_FORMAT_ARGB8888`.
#define LUCARNE_FORMAT_ARGB8888 875713089

// `DRM_FORMAT_ABGR8888`.
#define LUCARNE_FORMAT_ABGR8888 875708993

// `DRM_FORMAT_NV12`.
#define LUCARNE_FORMAT_NV12 842094158

// `DRM_FORMAT_MOD_LINEAR`. Every modifier is DRM's code.
#define LUCARNE_MODIFIER_LINEAR 0

// `DRM_FORMAT_MOD_INVALID`: a layout that only the driver knows, which allocated the memory.
#define LUCARNE_MODIFIER_INVALID 72057594037927935

// The most memory planes that a frame has.
#define LUCARNE_MAX_PLANES 4

// The most damage rectangles of a frame.
#define LUCARNE_MAX_DAMAGE 4

// Bits that carry nothing.
#define LUCARNE_COMPONENT_PADDING 0

// Red light.
#define LUCARNE_COMPONENT_RED 1

// Green light.
#define LUCARNE_COMPONENT_GREEN 2

// Blue light.
#define LUCARNE_COMPONENT_BLUE 3

// Opacity.
#define LUCARNE_COMPONENT_ALPHA 4

// Brightness, Y of Y'CbCr.
#define LUCARNE_COMPONENT_LUMA 5

// Blue difference, Cb.
#define LUCARNE_COMPONENT_CB 6

// Red difference, Cr.
#define LUCARNE_COMPONENT_CR 7

// The most channels of a block.
#define LUCARNE_MAX_CHANNELS 8

// Nothing that could be installed, enabled or permitted is missing.
#define LUCARNE_REQUIREMENT_NONE 0

// An API's extension.
#define LUCARNE_REQUIREMENT_EXTENSION 1

// A newer version of an API.
#define LUCARNE_REQUIREMENT_VERSION 2

// A device node that is absent, or that this process may not open.
#define LUCARNE_REQUIREMENT_DEVICE_NODE 3

// A system library.
#define LUCARNE_REQUIREMENT_LIBRARY 4

// A driver for an API whose loader is there.
#define LUCARNE_REQUIREMENT_LOADED_DRIVER 5

// A driver without a fault that Lucarne knows.
#define LUCARNE_REQUIREMENT_QUIRK 6

// Something that the driver or the device cannot do.
#define LUCARNE_REQUIREMENT_CAPABILITY 7

// A queue family of some kind.
#define LUCARNE_REQUIREMENT_QUEUE_FAMILY 8

// A package of the system.
#define LUCARNE_REQUIREMENT_PACKAGE 9

// The consumer's word that it trusts the producer.
#define LUCARNE_REQUIREMENT_TRUSTED_PRODUCER 10

// Something else. The text says what.
#define LUCARNE_REQUIREMENT_OTHER 11

// Not one side's fault.
#define LUCARNE_SIDE_NONE 0

// The side that makes frames.
#define LUCARNE_SIDE_PRODUCER 1

// The side that uses them.
#define LUCARNE_SIDE_CONSUMER 2

// A device of Vulkan.
#define LUCARNE_BACKEND_VULKAN 1

// A context of EGL, with OpenGL or OpenGL ES.
#define LUCARNE_BACKEND_EGL 2

// The CPU.
#define LUCARNE_BACKEND_CPU 3

// libgbm, which allocates and does nothing else.
#define LUCARNE_BACKEND_GBM 4

// The first of the others that opens: a dma-buf's where the machine has one, else host memory.
#define LUCARNE_ALLOCATOR_BEST 0

// `/dev/udmabuf`: dma-bufs made of ordinary memory.
#define LUCARNE_ALLOCATOR_UDMABUF 1

// The system's DMA heap.
#define LUCARNE_ALLOCATOR_DMA_HEAP 2

// Sealed memfds. Every machine has them.
#define LUCARNE_ALLOCATOR_HOST_MEMORY 3

// A format without opacity.
#define LUCARNE_ALPHA_OPAQUE 1

// Colours were not multiplied by opacity.
#define LUCARNE_ALPHA_STRAIGHT 2

// The stored numbers were multiplied by opacity.
#define LUCARNE_ALPHA_PREMULTIPLIED 3

// Light was multiplied by opacity, before it became numbers.
#define LUCARNE_ALPHA_PREMULTIPLIED_OPTICAL 4

// Room for every ticket's text, with its NUL.
#define LUCARNE_TICKET_BYTES 1025

// Reading alone: the kernel refuses to map the frame for writing.
#define LUCARNE_TICKET_READ 1

// Reading and writing.
#define LUCARNE_TICKET_READ_WRITE 2

// Where there is no descriptor.
#define LUCARNE_NO_FD -1

// To a producer: a consumer has imported everything, and gets frames from now on. The text is its device's name.
#define LUCARNE_EVENT_JOINED 1

// To a producer: a consumer is gone, or was refused. The text says why.
#define LUCARNE_EVENT_LEFT 2

// To both: frames are made differently from now on.
#define LUCARNE_EVENT_GENERATION 3

// To a consumer: something could not be imported; the producer was told and tries something else. The text says why.
#define LUCARNE_EVENT_IMPORT_FAILED 4

// To a consumer: no frames for a while.
#define LUCARNE_EVENT_PAUSED 5

// To a consumer: frames again.
#define LUCARNE_EVENT_RESUMED 6

// To a consumer: the producer has ended the stream.
#define LUCARNE_EVENT_ENDED 7

// To a consumer: the connection is over. The text says why.
#define LUCARNE_EVENT_LOST 8

// Nobody has agreed on a size and format yet.
#define LUCARNE_STREAM_WAITING 1

// Frames come.
#define LUCARNE_STREAM_STREAMING 2

// The producer said that none come for a while.
#define LUCARNE_STREAM_PAUSED 3

// Something failed that nobody could be told otherwise.
#define LUCARNE_LOG_ERROR 1

// Something was slow, or was left behind.
#define LUCARNE_LOG_WARNING 2

// Something to know.
#define LUCARNE_LOG_INFO 3

// Something to find faults with.
#define LUCARNE_LOG_DEBUG 4

// Everything else.
#define LUCARNE_LOG_TRACE 5

// What a call answers. `LUCARNE_STATUS_OK` is 0; every other value means that nothing was done, and that every handle to
// be made is `NULL`. New values may come.
enum lucarne_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // It was done.
    LUCARNE_STATUS_OK = 0,
    // An argument is `NULL`, out of its limits, or of another API than the call is about. The message names it, its value and
    // its limit.
    LUCARNE_STATUS_INVALID_ARGUMENT = 1,
    // This machine, driver or context cannot do it. The reasons list what is missing.
    LUCARNE_STATUS_UNSUPPORTED = 2,
    // Two sides have nothing in common, or the peer refused. After a negotiation the reasons list each rung's.
    LUCARNE_STATUS_REFUSED = 3,
    // It did not happen in time.
    LUCARNE_STATUS_TIMEOUT = 4,
    // There is nothing yet, and the call does not wait.
    LUCARNE_STATUS_WOULD_BLOCK = 5,
    // The kernel refused.
    LUCARNE_STATUS_OS = 6,
    // A graphics driver refused.
    LUCARNE_STATUS_DRIVER = 7,
    // The work behind a fence ended in an error, a GPU's reset for instance.
    LUCARNE_STATUS_FENCE_FAILED = 8,
    // The frame's memory belongs to a device that this one cannot read.
    LUCARNE_STATUS_FOREIGN_DEVICE = 9,
    // The EGL context is not current on this thread.
    LUCARNE_STATUS_NOT_CURRENT = 10,
    // There is no such stream.
    LUCARNE_STATUS_NOT_FOUND = 11,
    // Somebody else has the name.
    LUCARNE_STATUS_IN_USE = 12,
    // The stream has ended, and all of its frames were taken.
    LUCARNE_STATUS_ENDED = 13,
    // The peer hung up, or died.
    LUCARNE_STATUS_PEER_GONE = 14,
    // The peer broke the protocol. The connection is over.
    LUCARNE_STATUS_BREACH = 15,
    // A fault of Lucarne, or of a Rust callback: something panicked. What the call worked on may only be freed.
    LUCARNE_STATUS_PANIC = 16,
    // Something else. The message says what.
    LUCARNE_STATUS_OTHER = 17,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum lucarne_status lucarne_status;
#else
typedef uint32_t lucarne_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What both sides will do. End it with `lucarne_agreement_free`. Any thread, several at once.
typedef struct lucarne_agreement lucarne_agreement;

// A consumer of a named stream, with imports into its device. It has no thread: everything happens within its calls. End it with
// `lucarne_consumer_free`. One thread at a time; with a device of EGL, the context's.
typedef struct lucarne_consumer lucarne_consumer;

// One end of a sharing: a Vulkan device, an EGL context, or the CPU; or libgbm, which allocates for both. End it with
// `lucarne_device_free`.
//
// A Vulkan device, the CPU and libgbm may be used by any thread, by several at once. A device of EGL, and all that is made with it,
// belongs to the thread on which its context is current: use and free it there.
typedef struct lucarne_device lucarne_device;

// Why a call failed. Made where the last argument `error` is not `NULL` and the call fails; end it with
// `lucarne_error_free`. Any thread.
typedef struct lucarne_error lucarne_error;

// Something that happened to a stream. End it with `lucarne_event_free`. Any thread, several at once.
typedef struct lucarne_event lucarne_event;

// When a frame may be touched. An acquire fence gates the reader, a release fence gates the writer: nobody passes a frame
// without one. End it with `lucarne_fence_free`. Any thread, several at once.
typedef struct lucarne_fence lucarne_fence;

// A picture's geometry and the memory that it lies in. Holding one is no permission to touch it: whose turn it is, is in
// `lucarne_writing` and `lucarne_reading`. End it with `lucarne_frame_free`, unless it was lent. Any thread, several at once.
typedef struct lucarne_frame lucarne_frame;

// An image of one API in a frame's memory. End it with `lucarne_image_free`, unless it was lent.
//
// Vulkan's and the CPU's may be used by any thread; one turn at a time. EGL's belong to the thread with the context.
typedef struct lucarne_image lucarne_image;

// An image of the CPU's in this process's memory, and the turn to touch it. `lucarne_mapping_end` ends the turn; the addresses stay
// valid until `lucarne_mapping_free`, even after the image, the stream and the device have ended. Any thread, several at once.
typedef struct lucarne_mapping lucarne_mapping;

// What a device can do for sharing. End it with `lucarne_offer_free`. Any thread, several at once.
typedef struct lucarne_offer lucarne_offer;

// The frames of one producer within a process; each is in exactly one state at any time. End it with `lucarne_pool_free`. Any
// thread, several at once.
typedef struct lucarne_pool lucarne_pool;

// The producer of a named stream, with images of its device. It has no thread: everything happens within its calls. End it with
// `lucarne_producer_end`, or with `lucarne_producer_free`. One thread at a time; with a device of EGL, the context's.
typedef struct lucarne_producer lucarne_producer;

// A turn to read a frame, of a pool or of a stream. `lucarne_reading_release` ends it, whatever it answers;
// `lucarne_reading_free` gives the frame back unread. Any thread, one at a time; with a device of EGL, the context's.
typedef struct lucarne_reading lucarne_reading;

// A list of reasons. Belongs to the error, agreement, offer or event that it was asked from, and lives as long. Any thread.
typedef struct lucarne_reasons lucarne_reasons;

// What is wanted of an agreement, or of a stream. End it with `lucarne_request_free`. Any thread, one at a time.
typedef struct lucarne_request lucarne_request;

// Vulkan's pass that makes `NV12`, `NV21`, `P010`, `P012` or `P016` of images. End it with `lucarne_rgb_to_ycbcr_free`. Any thread, several
// at once.
typedef struct lucarne_rgb_to_ycbcr lucarne_rgb_to_ycbcr;

// A frame of a pool on its way to its reader. Any thread, one at a time.
typedef struct lucarne_sent lucarne_sent;

// The streams that were found. End it with `lucarne_streams_free`. Any thread, several at once.
typedef struct lucarne_streams lucarne_streams;

// A `VkFence` to submit with, that becomes a fence for others. Let every submission with it end before `lucarne_submit_fence_free`.
// Any thread, one at a time.
typedef struct lucarne_submit_fence lucarne_submit_fence;

// A `VkPhysicalDevice` of the caller's, asked before its device is created. End it with `lucarne_vulkan_adapter_free`. Any thread,
// several at once.
typedef struct lucarne_vulkan_adapter lucarne_vulkan_adapter;

// A `VkSemaphore` for the program's own submission to wait for. Make one for each image. Let every submission with it end before
// `lucarne_wait_semaphore_free`. Any thread, one at a time.
typedef struct lucarne_wait_semaphore lucarne_wait_semaphore;

// A turn to write a frame, of a pool or of a stream. Sending it ends the handle, whatever that call answers;
// `lucarne_writing_free` discards it. Any thread, one at a time; of a stream with a device of EGL, the context's.
typedef struct lucarne_writing lucarne_writing;

// A frame for that pass to write, which others import. End it with `lucarne_ycbcr_buffer_free`. Any thread, one at a time.
typedef struct lucarne_ycbcr_buffer lucarne_ycbcr_buffer;

// A Y'CbCr frame as textures of its planes. End it with `lucarne_ycbcr_texture_free`. The context's thread.
typedef struct lucarne_ycbcr_texture lucarne_ycbcr_texture;

// OpenGL's pass that makes red, green and blue of them. End it with `lucarne_ycbcr_to_rgb_free`. The context's thread.
typedef struct lucarne_ycbcr_to_rgb lucarne_ycbcr_to_rgb;

// What is known of a format.
typedef struct {
    // How many planes it is made of.
    uint32_t planes;
    // 1 where it holds Y'CbCr, 0 where it holds red, green and blue, or the first of them.
    uint32_t is_ycbcr;
    // 1 where its numbers are of 16-bit floating point, 0 where they are unsigned and stand for 0 to 1.
    uint32_t is_float;
    // 1 where it holds opacity.
    uint32_t has_alpha;
} lucarne_format_info;

// A run of bits in a block, which is read as one little-endian number.
typedef struct {
    // What the bits stand for: `LUCARNE_COMPONENT_…`.
    uint32_t component;
    // Place of the least significant bit.
    uint32_t shift;
    // How many bits.
    uint32_t bits;
} lucarne_channel;

// How a plane's pixels sit in memory.
typedef struct {
    // Bytes of a block, the smallest group of samples that starts on a byte.
    uint32_t block_bytes;
    // Width of a block, in samples of this plane.
    uint32_t block_width;
    // Height of a block, in samples of this plane.
    uint32_t block_height;
    // How many pixels of the frame share one sample, from left to right.
    uint32_t horizontal_subsampling;
    // How many pixels of the frame share one sample, from top to bottom.
    uint32_t vertical_subsampling;
    // How many of `channels` there are.
    uint32_t channel_count;
    // A block's channels, from the most significant bits to the least significant.
    lucarne_channel channels[8];
} lucarne_format_plane;

// One reason why something, or something better, was refused.
typedef struct {
    // The rung that it is about, 1 (the best) to 4. 0 where it is about none.
    uint32_t rung;
    // Whose fault it is: `LUCARNE_SIDE_…`.
    uint32_t side;
    // What kind of thing is missing: `LUCARNE_REQUIREMENT_…`.
    uint32_t kind;
    // 1 where the thing is there, and enabling or permitting it would be enough.
    uint32_t available;
    // DRM's code of the format that it is about; 0 where it is about all.
    uint32_t format;
    // Always 0.
    uint32_t reserved;
    // The modifier that it is about. Only meaningful where `format` is not 0.
    uint64_t modifier;
} lucarne_reason;

// How a frame's numbers stand for colours: docs/color.md has the table. The numbers of Rec. ITU-T H.273, so that those of a video
// stream, of a PNG's `cICP` and of Wayland's protocol go in and come out. "Unspecified" is refused: take the format's default.
typedef struct {
    // Which red, green, blue and white: `ColourPrimaries`, 1 for BT.709.
    uint32_t primaries;
    // From light to numbers: `TransferCharacteristics`, 13 for sRGB.
    uint32_t transfer;
    // From red, green and blue to Y'CbCr: `MatrixCoefficients`, 0 for formats of red, green and blue.
    uint32_t matrix;
    // Which codes are black and white: `VideoFullRangeFlag`, 1 for all codes.
    uint32_t range;
    // Where chroma samples lie: `Chroma420SampleLocType`, 0 for left.
    uint32_t siting;
    // Whether colours were multiplied by opacity: `LUCARNE_ALPHA_…`.
    uint32_t alpha;
    // How the picture was turned before it was stored: `wl_output.transform`, 0 for upright.
    uint32_t orientation;
    // Always 0.
    uint32_t reserved;
} lucarne_color;

// One thing that a device can do: a format in a layout, in one kind of memory.
typedef struct {
    // The memory: `LUCARNE_PATH_…`.
    uint32_t path;
    // DRM's code of the format.
    uint32_t format;
    // DRM's code of the layout; `LUCARNE_MODIFIER_INVALID` for one that only the driver knows.
    uint64_t modifier;
    // How many memory planes it has.
    uint32_t planes;
    // What can be done with such an image: bits of `LUCARNE_USAGE_…`.
    uint32_t usage;
    // The widest image, in pixels.
    uint32_t max_width;
    // The highest image, in rows.
    uint32_t max_height;
    // 1 where this side can make such memory for others.
    uint32_t exportable;
    // 1 where this side can use such memory of others.
    uint32_t importable;
    // 1 where such a texture is sampled through `GL_TEXTURE_EXTERNAL_OES` only.
    uint32_t external_only;
    // Always 0.
    uint32_t reserved;
} lucarne_offer_entry;

// An agreement in numbers.
typedef struct {
    // The rung of the ladder: 1 tiled dma-buf, 2 linear dma-buf, 3 opaque descriptor, 4 host memory.
    uint32_t rung;
    // The memory: `LUCARNE_PATH_…`.
    uint32_t path;
    // DRM's code of the format.
    uint32_t format;
    // The frames' width in pixels.
    uint32_t width;
    // The frames' height in rows.
    uint32_t height;
    // What the producer does with them: bits of `LUCARNE_USAGE_…`.
    uint32_t producer_usage;
    // What the consumer does with them.
    uint32_t consumer_usage;
    // 1 where both are certainly one device.
    uint32_t same_device;
    // How acquire fences reach the consumer: `LUCARNE_FENCE_PATH_…`.
    uint32_t acquire_fence;
    // How release fences reach the producer.
    uint32_t release_fence;
} lucarne_agreement_info;

// One memory plane as other libraries pass it: a dma-buf's descriptor, and where the plane lies in that buffer.
typedef struct {
    // The dma-buf, or `LUCARNE_NO_FD`.
    int32_t fd;
    // Where the plane starts in the buffer, in bytes.
    uint32_t offset;
    // From one row to the next, in bytes.
    uint32_t pitch;
} lucarne_dma_buf_plane;

// Where one memory plane lies.
typedef struct {
    // Which of the frame's memory objects it lies in, from 0.
    uint32_t object;
    // From one row to the next, in bytes.
    uint32_t pitch;
    // Where it starts in the object, in bytes.
    uint64_t offset;
} lucarne_plane;

// Where each byte of a frame lies.
typedef struct {
    // Pixels in a row.
    uint32_t width;
    // Rows.
    uint32_t height;
    // DRM's code of the format.
    uint32_t format;
    // The memory: `LUCARNE_PATH_…`.
    uint32_t path;
    // DRM's code of the layout; `LUCARNE_MODIFIER_INVALID` for one that only the driver knows.
    uint64_t modifier;
    // How many of `planes` there are; 0 for opaque memory.
    uint32_t plane_count;
    // How many memory objects the planes lie in.
    uint32_t object_count;
    // 1 where the memory is an emulated dma-buf, which no GPU is given.
    uint32_t emulated;
    // 1 where a software device made it.
    uint32_t software;
    // The memory planes; those beyond `plane_count` are zero.
    lucarne_plane planes[4];
} lucarne_frame_layout;

// How to make red, green and blue of the frames that `lucarne_frame_components` gives.
typedef struct {
    // How many of these frames there are, 1 to 3.
    uint32_t components;
    // In which of them luma, Cb and Cr are.
    uint32_t component[3];
    // In which of that frame's channels: 0 for red, 1 for green, 2 for blue, 3 for alpha.
    uint32_t channel[3];
    // How many pixels share a chroma sample, from left to right.
    uint32_t horizontal_subsampling;
    // How many pixels share a chroma sample, from top to bottom.
    uint32_t vertical_subsampling;
    // Always 0.
    uint32_t reserved;
    // A row each for red, green and blue: what luma, Cb and Cr are multiplied by, as a sampler reads them (0 to 1), and what is
    // added. The result is 0 to 1, encoded by the transfer function.
    double rgb[3][4];
} lucarne_ycbcr;

// What the program keeps with an image, and what ends it. A C++ exception must not leave it.
typedef void (*lucarne_destroy)(void *data);

// Where a plane of a format lies in this process's memory.
typedef struct {
    // The first byte of the first row.
    void *address;
    // From one row to the next, in bytes. What lies behind `row_bytes` is padding.
    uint64_t pitch;
    // Bytes in a row, without padding.
    uint32_t row_bytes;
    // How many rows there are.
    uint32_t rows;
} lucarne_mapped_plane;

// Any function: cast yours to this.
typedef void (*lucarne_function)(void);

// What Vulkan's handles of a device are.
typedef struct {
    // `VkPhysicalDevice`.
    void *physical_device;
    // `VkDevice`.
    void *device;
    // `VkQueue`.
    void *queue;
    // The queue's family.
    uint32_t queue_family;
    // Always 0.
    uint32_t reserved;
} lucarne_vulkan_handles;

// What a program needs to use an image in Vulkan.
typedef struct {
    // `VkImage`. It stays Lucarne's: do not destroy it.
    uint64_t image;
    // `VkFormat`, for views, pipelines and render passes.
    int32_t format;
    // What the image may be used for: bits of `LUCARNE_USAGE_…`.
    uint32_t usage;
    // `VkComponentSwizzle` of red, for a view that is sampled. Views to draw into take the identity.
    int32_t sampled_r;
    // The same of green.
    int32_t sampled_g;
    // The same of blue.
    int32_t sampled_b;
    // The same of alpha: `VK_COMPONENT_SWIZZLE_ONE` where the frame's format has padding there.
    int32_t sampled_a;
} lucarne_vulkan_image;

// Records commands: gets a `VkCommandBuffer` and the `data` of the call. Must not unwind; a C++ exception must not leave it.
typedef void (*lucarne_record)(void *command_buffer, void *data);

// What a program needs to use an image in OpenGL.
typedef struct {
    // The texture's name. It stays Lucarne's: do not delete it.
    uint32_t name;
    // What to bind it to: `GL_TEXTURE_2D`, or `GL_TEXTURE_EXTERNAL_OES` where the driver can only sample it so.
    uint32_t target;
    // 1 where a swizzle puts red and blue in their places when it is sampled: attached to a framebuffer and read, they are exchanged.
    uint32_t swizzled;
} lucarne_gl_texture;

// An event in numbers. What a kind does not tell is 0. New kinds may come: pass over those that you do not know.
typedef struct {
    // `LUCARNE_EVENT_…`.
    uint32_t kind;
    // Of a consumer that joined: `LUCARNE_DELIVERY_…`.
    uint32_t delivery;
    // The consumer's number, which a stream never uses twice.
    uint64_t consumer;
    // The consumer's process, as the kernel knows it; 0 where it has no number here.
    uint32_t pid;
    // The frames' width in pixels.
    uint32_t width;
    // The frames' height in rows.
    uint32_t height;
    // DRM's code of the frames' format.
    uint32_t format;
    // The generation's number.
    uint64_t generation;
    // The rung of the ladder, 1 to 4.
    uint32_t rung;
    // 1 where opaque memory was refused because this consumer does not trust the producer.
    uint32_t needs_trust;
    // To a consumer: how acquire fences come, `LUCARNE_FENCE_PATH_…`.
    uint32_t acquire_fence;
    // To a consumer: how release fences go.
    uint32_t release_fence;
} lucarne_event_info;

// How a stream is made. Zeros stand for the usual.
typedef struct {
    // How long a consumer may take before it is cut off, in nanoseconds; 0 for half a second.
    uint64_t patience;
    // How many images there are, 2 to 16; 0 for 3.
    uint32_t slots;
    // How many consumers may watch, 1 to 64; 0 for 64.
    uint32_t consumers;
    // 1 lets consumers of other users in.
    uint32_t allow_other_users;
    // Always 0.
    uint32_t reserved;
} lucarne_producer_options;

// A rectangle of a frame that differs from the frame before, in pixels.
typedef struct {
    // From the left.
    uint32_t x;
    // From the top.
    uint32_t y;
    // At least 1.
    uint32_t width;
    // At least 1.
    uint32_t height;
} lucarne_damage;

// How a stream is watched. Zeros stand for the usual.
typedef struct {
    // How long a release waits for a fence that cannot be sent to the producer, in nanoseconds; 0 for half a second.
    uint64_t patience;
    // Which frames come: `LUCARNE_DELIVERY_…`; 0 for the latest.
    uint32_t delivery;
    // 1 watches streams of other users too.
    uint32_t allow_other_users;
    // 1 takes opaque memory too, with which a hostile producer can make this process crash.
    uint32_t trust_producer;
    // Always 0.
    uint32_t reserved;
} lucarne_consumer_options;

// What is said of a stream's frame.
typedef struct {
    // Its number in the stream, from 1.
    uint64_t sequence;
    // When it was made, as its producer says: nanoseconds on `CLOCK_MONOTONIC`.
    uint64_t timestamp;
    // How many frames this consumer missed between the one before and this.
    uint64_t dropped;
    // The generation that it is of.
    uint64_t generation;
    // Its slot's number within the generation, from 0.
    uint32_t index;
    // 1 where only `damage` has changed since the stream's frame before; 0 where everything may have.
    uint32_t has_damage;
    // How many of `damage` there are.
    uint32_t damage_count;
    // Always 0.
    uint32_t reserved;
    // The rectangles that have changed.
    lucarne_damage damage[4];
} lucarne_frame_info;

// What a producer says of its stream.
typedef struct {
    // What it is doing: `LUCARNE_STREAM_…`.
    uint32_t state;
    // The producer's process, as the kernel knows it; 0 where it has no number here.
    uint32_t pid;
    // The frames' width in pixels.
    uint32_t width;
    // The frames' height in rows.
    uint32_t height;
    // DRM's code of their format; 0 until there is one.
    uint32_t format;
    // Their memory, `LUCARNE_PATH_…`; 0 until there is one.
    uint32_t path;
    // How many consumers there are.
    uint32_t consumers;
    // Always 0.
    uint32_t reserved;
    // The generation; 0 before the first.
    uint64_t generation;
    // How many frames were sent.
    uint64_t frames;
    // How long the producer has had the name, in nanoseconds.
    uint64_t age;
} lucarne_stream_info;

// Takes a line of the log: its level (`LUCARNE_LOG_…`), its text, which lives until the function returns, and the `data` of
// `lucarne_log_to`. Is called on whichever thread has something to log, several at once. Must not unwind.
typedef void (*lucarne_log)(uint32_t level, const char *text, void *data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library that runs: major in bits 16 and up, minor in bits 8 to 15, patch in bits 0 to 7. Any thread.
uint32_t lucarne_version(void);

// The time on `CLOCK_MONOTONIC` in nanoseconds, which timestamps are on. Any thread.
uint64_t lucarne_now(void);

// Writes a format's name, as much of it as fits into `size` bytes with a NUL behind it. Returns how many bytes the whole name has
// without the NUL, as `snprintf` does. Any thread.
//
// # Safety
//
// `text` is `NULL`, or has room for `size` bytes.
size_t lucarne_format_name(uint32_t format,
                           char *text,
                           size_t size);

// Writes a modifier's name, which says what its bits mean. Otherwise as `lucarne_format_name`. Any thread.
//
// # Safety
//
// `text` is `NULL`, or has room for `size` bytes.
size_t lucarne_modifier_name(uint64_t modifier,
                             char *text,
                             size_t size);

// DRM's code of the format with this name: the kernel's, such as `XBGR8888`, four characters, a hexadecimal code, or what
// `lucarne_format_name` wrote. Any thread.
//
// # Safety
//
// `name` is `NULL`, or ends with a NUL.
lucarne_status lucarne_format_from_name(const char *name,
                                        uint32_t *format,
                                        lucarne_error **error);

// What is known of a format. One whose pixels Lucarne does not know is refused. Any thread.
lucarne_status lucarne_format_describe(uint32_t format,
                                       lucarne_format_info *info,
                                       lucarne_error **error);

// How the pixels of a format's plane sit in memory, from plane 0. Any thread.
lucarne_status lucarne_format_plane_at(uint32_t format,
                                       uint32_t plane,
                                       lucarne_format_plane *info,
                                       lucarne_error **error);

// The status that the call answered. `LUCARNE_STATUS_OK` for `NULL`.
lucarne_status lucarne_error_status(const lucarne_error *error);

// What went wrong, in English, for people. Lives as long as `error`. Empty for `NULL`, never `NULL`.
const char *lucarne_error_message(const lucarne_error *error);

// The reasons, as data: what is missing, and for which rung. Lives as long as `error`. `NULL` only for `NULL`.
const lucarne_reasons *lucarne_error_reasons(const lucarne_error *error);

// The name of a status, such as "timeout". Never `NULL`; lives for ever. Any thread.
const char *lucarne_status_name(uint32_t status);

// Ends an error. `NULL` is fine. Any thread.
void lucarne_error_free(lucarne_error *error);

// How many reasons there are. 0 for `NULL`.
size_t lucarne_reasons_count(const lucarne_reasons *reasons);

// The reason at `index`, from 0.
lucarne_status lucarne_reasons_at(const lucarne_reasons *reasons,
                                  size_t index,
                                  lucarne_reason *reason,
                                  lucarne_error **error);

// The name of what is missing at `index`: an extension's, a file's, a package's. Empty where it has none; `NULL` beyond the end.
// Lives as long as `reasons`.
const char *lucarne_reasons_name(const lucarne_reasons *reasons,
                                 size_t index);

// The reason at `index` as a sentence, for people. `NULL` beyond the end. Lives as long as `reasons`.
const char *lucarne_reasons_text(const lucarne_reasons *reasons,
                                 size_t index);

// Asks for frames of this size in pixels, which the producer renders and the consumer samples, over any path, in the 8-bit formats
// that every driver has. The size is checked by whoever takes the request.
lucarne_status lucarne_request_new(uint32_t width,
                                   uint32_t height,
                                   lucarne_request **request,
                                   lucarne_error **error);

// Accepts these formats only, best first: DRM's codes. The array stays the caller's.
//
// # Safety
//
// `formats` is `NULL`, or points to `count` elements.
lucarne_status lucarne_request_set_formats(lucarne_request *request,
                                           const uint32_t *formats,
                                           size_t count,
                                           lucarne_error **error);

// Accepts these memory paths only: `LUCARNE_PATH_…`. The array stays the caller's.
//
// # Safety
//
// `paths` is `NULL`, or points to `count` elements.
lucarne_status lucarne_request_set_paths(lucarne_request *request,
                                         const uint32_t *paths,
                                         size_t count,
                                         lucarne_error **error);

// Asks for these usages: bits of `LUCARNE_USAGE_…`. A stream's consumers say theirs by themselves.
lucarne_status lucarne_request_set_usage(lucarne_request *request,
                                         uint32_t producer,
                                         uint32_t consumer,
                                         lucarne_error **error);

// Says what the numbers of a stream's frames mean, where that is not the format's default. It matters to `lucarne_producer_bind` and
// `lucarne_producer_reconfigure` only; formats that it contradicts are not made. An image of your own passes its frame on with
// `lucarne_frame_with_color`.
lucarne_status lucarne_request_set_color(lucarne_request *request,
                                         const lucarne_color *color,
                                         lucarne_error **error);

// Excludes what was tried and failed. `format` 0 stands for every format, `LUCARNE_MODIFIER_INVALID` for every layout; `reason` is a
// sentence for people.
//
// # Safety
//
// `reason` is `NULL`, or ends with a NUL.
lucarne_status lucarne_request_strike(lucarne_request *request,
                                      uint32_t path,
                                      uint32_t format,
                                      uint64_t modifier,
                                      const char *reason,
                                      lucarne_error **error);

// Ends a request. `NULL` is fine.
void lucarne_request_free(lucarne_request *request);

// Who offers: the API and the device's name. Lives as long as `offer`. `NULL` only for `NULL`.
const char *lucarne_offer_name(const lucarne_offer *offer);

// Whether the device has this way (`LUCARNE_PATH_…`) to share memory at all.
bool lucarne_offer_has_path(const lucarne_offer *offer, uint32_t path);

// Why the device lacks this way (`LUCARNE_PATH_…`) to share memory: all that is missing. `NULL` where it has it. Lives as long as
// `offer`.
const lucarne_reasons *lucarne_offer_path_reasons(const lucarne_offer *offer,
                                                  uint32_t path);

// How many entries there are: what the device lists and was not seen to do wrongly. 0 for `NULL`.
size_t lucarne_offer_entries(const lucarne_offer *offer);

// The entry at `index`, from 0.
lucarne_status lucarne_offer_entry_at(const lucarne_offer *offer,
                                      size_t index,
                                      lucarne_offer_entry *entry,
                                      lucarne_error **error);

// Whether the device can give a sync_file that signals when its work is done. Otherwise the CPU waits.
bool lucarne_offer_exports_fences(const lucarne_offer *offer);

// Whether the device's work can wait for a sync_file. Otherwise the CPU waits.
bool lucarne_offer_imports_fences(const lucarne_offer *offer);

// Ends an offer. `NULL` is fine.
void lucarne_offer_free(lucarne_offer *offer);

// Finds the best way to share that both offers and the request allow. Calls no driver. On `LUCARNE_STATUS_REFUSED` the error's
// reasons tell of every rung why not. Any thread.
lucarne_status lucarne_negotiate(const lucarne_offer *producer,
                                 const lucarne_offer *consumer,
                                 const lucarne_request *request,
                                 lucarne_agreement **agreement,
                                 lucarne_error **error);

// What was agreed on.
lucarne_status lucarne_agreement_describe(const lucarne_agreement *agreement,
                                          lucarne_agreement_info *info,
                                          lucarne_error **error);

// Writes the modifiers that both sides can use, as many as fit; the exporting driver chooses among them. Returns how many there
// are: call it with a `capacity` of 0 to learn that.
//
// # Safety
//
// `modifiers` is `NULL`, or has room for `capacity` elements.
size_t lucarne_agreement_modifiers(const lucarne_agreement *agreement,
                                   uint64_t *modifiers,
                                   size_t capacity);

// Why each better rung was refused. Empty where nothing better exists. Lives as long as `agreement`.
const lucarne_reasons *lucarne_agreement_refused(const lucarne_agreement *agreement);

// Ends an agreement. `NULL` is fine.
void lucarne_agreement_free(lucarne_agreement *agreement);

// Opens the CPU as a device; `allocator` is `LUCARNE_ALLOCATOR_…`, and matters for what it exports only. Any thread.
lucarne_status lucarne_cpu_device_open(uint32_t allocator,
                                       lucarne_device **device,
                                       lucarne_error **error);

// Which API it is of: `LUCARNE_BACKEND_…`. 0 for `NULL`.
uint32_t lucarne_device_backend(const lucarne_device *device);

// What the device can share, for images that are used as `usage` (bits of `LUCARNE_USAGE_…`) says. The offer does not need the
// device any more. Asks the driver, which takes a while: do it once. EGL: its context's thread.
lucarne_status lucarne_device_offer(const lucarne_device *device,
                                    uint32_t usage,
                                    lucarne_offer **offer,
                                    lucarne_error **error);

// Makes an image as agreed, in memory that others can use. The image keeps what it needs of the device alive; a Vulkan device of
// the caller's must outlive it. EGL: its context's thread.
lucarne_status lucarne_device_export(const lucarne_device *device,
                                     const lucarne_agreement *agreement,
                                     lucarne_image **image,
                                     lucarne_error **error);

// Makes an image of somebody else's frame, in the same memory. The frame stays the caller's, and so do its descriptors; the
// image keeps the memory alive.
//
// `usage` is what the image is used for: bits of `LUCARNE_USAGE_…`. It matters for Vulkan only. The same frame gives the same
// texture in EGL. EGL: its context's thread.
lucarne_status lucarne_device_import(const lucarne_device *device,
                                     const lucarne_frame *frame,
                                     uint32_t usage,
                                     lucarne_image **image,
                                     lucarne_error **error);

// Ends a device. Images and streams that were made with it go on. `NULL` is fine. EGL: on its context's thread, best while the
// context is current, so that what is left in it can be deleted.
void lucarne_device_free(lucarne_device *device);

// A frame of dma-bufs that came from elsewhere: a `wl_buffer`, a camera, PipeWire, another library. One entry of `planes` for each
// memory plane, in order; planes in one buffer may have the same descriptor, or duplicates.
//
// Takes the descriptors on success alone; after a failure they are still the caller's. Everything is compared with the format, the
// modifier and the buffers' real sizes before any driver sees it. Make it once for each buffer, and keep it. Does not block.
// Any thread.
//
// # Safety
//
// `planes` is `NULL`, or points to `count` elements.
lucarne_status lucarne_frame_from_dma_bufs(uint32_t width,
                                           uint32_t height,
                                           uint32_t format,
                                           uint64_t modifier,
                                           const lucarne_dma_buf_plane *planes,
                                           size_t count,
                                           lucarne_frame **frame,
                                           lucarne_error **error);

// The frame's geometry.
lucarne_status lucarne_frame_describe(const lucarne_frame *frame,
                                      lucarne_frame_layout *layout,
                                      lucarne_error **error);

// Bytes in a row of a plane of the format, without padding; 0 for a plane that the format has not, and for `NULL`.
uint32_t lucarne_frame_row_bytes(const lucarne_frame *frame,
                                 uint32_t plane);

// Rows of a plane of the format; 0 for a plane that the format has not, and for `NULL`.
uint32_t lucarne_frame_rows(const lucarne_frame *frame, uint32_t plane);

// Bytes of a plane of the format whose rows follow each other without padding; 0 as above. What `lucarne_image_write_plane` and
// `lucarne_image_read_plane` take.
size_t lucarne_frame_plane_bytes(const lucarne_frame *frame,
                                 uint32_t plane);

// The frame's dma-bufs for another library, one entry for each memory plane. Writes as many as there are into `planes`, whose
// `capacity` of 4 (`LUCARNE_MAX_PLANES`) is always enough; the rest is `LUCARNE_NO_FD`.
//
// The descriptors are new ones, close-on-exec, which the caller closes, one for each plane. The rest of what such a library asks
// for is in `lucarne_frame_describe`. A frame of other memory than dma-bufs is refused.
//
// # Safety
//
// `planes` is `NULL`, or has room for `capacity` elements.
lucarne_status lucarne_frame_dup_dma_bufs(const lucarne_frame *frame,
                                          lucarne_dma_buf_plane *planes,
                                          size_t capacity,
                                          uint32_t *count,
                                          lucarne_error **error);

// The fence that the frame's dma-bufs carry, for a peer that passes none: `role` (`LUCARNE_FENCE_ROLE_…`) is whom it gates. Other
// memory, and emulated dma-bufs, carry none: `LUCARNE_STATUS_UNSUPPORTED`. Does not block.
lucarne_status lucarne_frame_implicit_fence(const lucarne_frame *frame,
                                            uint32_t role,
                                            lucarne_fence **fence,
                                            lucarne_error **error);

// Puts a fence on the frame's dma-bufs, for a peer that looks nowhere else: a writer's work as `LUCARNE_FENCE_ROLE_ACQUIRE`, a
// reader's as `LUCARNE_FENCE_ROLE_RELEASE`. The fence stays the caller's. `timeout` is in nanoseconds; this waits only for a fence that
// nobody has submitted work for yet.
lucarne_status lucarne_frame_attach_fence(const lucarne_frame *frame,
                                          uint32_t role,
                                          const lucarne_fence *fence,
                                          uint64_t timeout,
                                          lucarne_error **error);

// The same frame once more: it shares the memory. For keeping one that was lent.
lucarne_status lucarne_frame_clone(const lucarne_frame *frame,
                                   lucarne_frame **clone,
                                   lucarne_error **error);

// Ends a frame: closes its descriptors, where nobody else has them. `NULL` is fine.
void lucarne_frame_free(lucarne_frame *frame);

// What the frame's numbers mean.
lucarne_status lucarne_frame_color(const lucarne_frame *frame,
                                   lucarne_color *color,
                                   lucarne_error **error);

// What the numbers of a format mean where nobody says otherwise. Any thread.
lucarne_status lucarne_format_default_color(uint32_t format,
                                            lucarne_color *color,
                                            lucarne_error **error);

// The same frame with other colours: it shares the memory, and nothing is converted. What contradicts the format is refused, by the
// field's name. Do it before the frame is passed on; a stream's are said in its request (`lucarne_request_set_color`).
lucarne_status lucarne_frame_with_color(const lucarne_frame *frame,
                                        const lucarne_color *color,
                                        lucarne_frame **colored,
                                        lucarne_error **error);

// The planes of a Y'CbCr frame as frames of their own, in formats that every device can import: `R8`, `GR88`, `R16`, `GR1616`. A packed
// frame, such as one of `YUYV`, becomes two: luma at full width, chroma at half. Nothing is copied, and the frame's one turn covers
// them all: import each, and wait once.
//
// Writes as many handles as there are into `components`, whose `capacity` of 4 (`LUCARNE_MAX_PLANES`) is always enough; the rest is
// `NULL`. End each with `lucarne_frame_free`. `LUCARNE_STATUS_UNSUPPORTED` for formats of red, green and blue, for samples that are not
// whole bytes, and for opaque memory.
//
// # Safety
//
// `components` is `NULL`, or has room for `capacity` pointers.
lucarne_status lucarne_frame_components(const lucarne_frame *frame,
                                        lucarne_frame **components,
                                        size_t capacity,
                                        uint32_t *count,
                                        lucarne_error **error);

// Where luma and chroma are in the frames of `lucarne_frame_components`, and the matrix that makes red, green and blue of them, for this
// frame's colours. Refused as there.
lucarne_status lucarne_frame_ycbcr(const lucarne_frame *frame,
                                   lucarne_ycbcr *ycbcr,
                                   lucarne_error **error);

// Writes a ticket: where the frame's memory is to be had, as text for a command line, a file, JSON. A ticket holds nothing: keep the frame
// for as long as it is to be used. Process and kernel object are compared when it is: what is another by then is
// `LUCARNE_STATUS_NOT_FOUND`, never a wrong picture. docs/shared-memory.md says whom it suits. Any thread.
//
// `length` gets the bytes of the text without the NUL. A text that does not fit into `size` bytes is refused;
// `LUCARNE_TICKET_BYTES` is always enough.
//
// # Safety
//
// `text` is `NULL`, or has room for `size` bytes.
lucarne_status lucarne_frame_ticket(const lucarne_frame *frame,
                                    char *text,
                                    size_t size,
                                    size_t *length,
                                    lucarne_error **error);

// Fetches a ticket's frame of any memory: new descriptors for the same memory. The process that keeps it takes no part. Does not
// block. Any thread.
//
// The kernel asks whether this process may trace that one: the same user, and where Yama's `ptrace_scope` is 1 an ancestor of it, or
// whom it has allowed (`lucarne_ticket_allow_fetch_by`). Between programs that do not trust each other use a stream.
//
// # Safety
//
// `ticket` is `NULL`, or ends with a NUL.
lucarne_status lucarne_ticket_fetch(const char *ticket,
                                    lucarne_frame **frame,
                                    lucarne_error **error);

// Opens a ticket's frame of host memory, for `access` (`LUCARNE_TICKET_…`). The same user will do, whatever Yama says; dma-bufs are
// refused. Otherwise as `lucarne_ticket_fetch`.
//
// # Safety
//
// `ticket` is `NULL`, or ends with a NUL.
lucarne_status lucarne_ticket_open(const char *ticket,
                                   uint32_t access,
                                   lucarne_frame **frame,
                                   lucarne_error **error);

// Lets a process, and what it starts, fetch frames of this one, where Yama asks for that. It may then also trace this process. Replaces
// whom was allowed before. Does nothing where there is no Yama.
lucarne_status lucarne_ticket_allow_fetch_by(uint32_t pid,
                                             lucarne_error **error);

// A fence that has signalled: the work had finished when the frame was passed on, for instance because the CPU waited for it.
lucarne_status lucarne_fence_signaled(lucarne_fence **fence,
                                      lucarne_error **error);

// A fence of a sync_file. Takes the descriptor `fd` on success alone; after a failure it is still the caller's. What is no
// sync_file is refused.
lucarne_status lucarne_fence_from_sync_file(int32_t fd,
                                            lucarne_fence **fence,
                                            lucarne_error **error);

// The same fence as a sync_file: a new descriptor, which the caller closes. `LUCARNE_NO_FD` where it has signalled and there is
// nothing to wait for. `timeout` is in nanoseconds; this waits only for a fence that nobody has submitted work for yet.
lucarne_status lucarne_fence_to_sync_file(const lucarne_fence *fence,
                                          uint64_t timeout,
                                          int32_t *fd,
                                          lucarne_error **error);

// Blocks this thread until the fence has signalled, `timeout` nanoseconds at most.
lucarne_status lucarne_fence_wait(const lucarne_fence *fence,
                                  uint64_t timeout,
                                  lucarne_error **error);

// Whether the fence has signalled: 1, or 0. Does not block.
lucarne_status lucarne_fence_is_signaled(const lucarne_fence *fence,
                                         uint32_t *signaled,
                                         lucarne_error **error);

// One fence that signals once all of `fences` have: use it to make one release fence of those of several readers. The array and
// the fences in it stay the caller's. Does not block.
//
// # Safety
//
// `fences` is `NULL`, or points to `count` pointers; each is `NULL`, which is refused, or a fence.
lucarne_status lucarne_fence_merge(const lucarne_fence *const *fences,
                                   size_t count,
                                   lucarne_fence **merged,
                                   lucarne_error **error);

// The same fence once more. It shares the kernel's object.
lucarne_status lucarne_fence_clone(const lucarne_fence *fence,
                                   lucarne_fence **clone,
                                   lucarne_error **error);

// Ends a fence: closes its descriptor, where nobody else has it. `NULL` is fine.
void lucarne_fence_free(lucarne_fence *fence);

// The image's frame, to pass on. Lent: it lives as long as the image. `NULL` only for `NULL`.
const lucarne_frame *lucarne_image_frame(const lucarne_image *image);

// How often this side copies each frame: 0 where the image lies in the shared memory itself. 0 for `NULL`.
uint32_t lucarne_image_copies_per_frame(const lucarne_image *image);

// Keeps data of the program's with the image: a view, a framebuffer. `destroy`, where it is not `NULL`, is called once with the data,
// before the image ends or when other data is set: on the thread that frees the image, or that serves the stream which made it. It
// must not call the library for the stream, and must not unwind.
//
// # Safety
//
// `destroy` may be called with `data` until then.
lucarne_status lucarne_image_set_data(const lucarne_image *image,
                                      void *data,
                                      lucarne_destroy destroy,
                                      lucarne_error **error);

// The data that was set, or `NULL`.
void *lucarne_image_data(const lucarne_image *image);

// Writes a plane of the frame with the CPU: `size` bytes (`lucarne_frame_plane_bytes`), rows from the first without padding.
//
// Waits for `gate`, the fence that came with the turn, `timeout` nanoseconds at most; it stays the caller's. `done` is the acquire
// fence for the next reader. For images of Vulkan and OpenGL this is for tests and first steps, and takes plane 0 only.
//
// # Safety
//
// `bytes` is `NULL`, or points to `size` bytes.
lucarne_status lucarne_image_write_plane(const lucarne_image *image,
                                         const lucarne_fence *gate,
                                         uint64_t timeout,
                                         uint32_t plane,
                                         const void *bytes,
                                         size_t size,
                                         lucarne_fence **done,
                                         lucarne_error **error);

// Reads a plane of the frame with the CPU, as `lucarne_image_write_plane` writes it. `acquire` is the fence that came with the turn;
// `done` is the release fence for the next writer. Not for textures: `lucarne_egl_download` tells what a shader reads.
//
// # Safety
//
// `bytes` is `NULL`, or has room for `size` bytes.
lucarne_status lucarne_image_read_plane(const lucarne_image *image,
                                        const lucarne_fence *acquire,
                                        uint64_t timeout,
                                        uint32_t plane,
                                        void *bytes,
                                        size_t size,
                                        lucarne_fence **done,
                                        lucarne_error **error);

// Ends an image. Blocks until the work that Lucarne submitted for it has ended. The memory lives on in its frame's clones. `NULL` is
// fine; an image that was lent is not.
void lucarne_image_free(lucarne_image *image);

// Begins to write a frame in its memory, without a copy. Waits for `gate`, the fence that came with the turn, `timeout` nanoseconds at
// most; it stays the caller's. Images of Vulkan and OpenGL are refused, and so is an image that is in use.
lucarne_status lucarne_image_map_write(const lucarne_image *image,
                                       const lucarne_fence *gate,
                                       uint64_t timeout,
                                       lucarne_mapping **mapping,
                                       lucarne_error **error);

// Begins to read a frame in its memory, without a copy. `acquire` is the fence that came with the turn, and stays the caller's. Only
// read there: the memory may be mapped for nothing else. Otherwise as `lucarne_image_map_write`.
lucarne_status lucarne_image_map_read(const lucarne_image *image,
                                      const lucarne_fence *acquire,
                                      uint64_t timeout,
                                      lucarne_mapping **mapping,
                                      lucarne_error **error);

// Where a plane of the format lies, from 0. Refused once the turn has ended: an address that was asked for before stays valid until
// `lucarne_mapping_free`, but then shows whatever others write.
lucarne_status lucarne_mapping_plane(const lucarne_mapping *mapping,
                                     uint32_t plane,
                                     lucarne_mapped_plane *place,
                                     lucarne_error **error);

// Ends the turn: what was written is there for every device. `done` is the fence for the next turn. Its second call is refused. Where
// the kernel refuses, the turn is over all the same.
lucarne_status lucarne_mapping_end(const lucarne_mapping *mapping,
                                   lucarne_fence **done,
                                   lucarne_error **error);

// Ends a mapping, and its turn where that lasts: the addresses are not to be touched any more. `NULL` is fine.
void lucarne_mapping_free(lucarne_mapping *mapping);

// A pool of these frames, all free. The array and the frames in it stay the caller's; the pool shares their memory.
//
// # Safety
//
// `frames` is `NULL`, or points to `count` pointers; each is `NULL`, which is refused, or a frame.
lucarne_status lucarne_pool_new(const lucarne_frame *const *frames,
                                size_t count,
                                lucarne_pool **pool,
                                lucarne_error **error);

// The turn to write the frame that has been free for longest; `LUCARNE_STATUS_WOULD_BLOCK` while all are in use. Does not block.
lucarne_status lucarne_pool_acquire(const lucarne_pool *pool,
                                    lucarne_writing **writing,
                                    lucarne_error **error);

// How many frames are free now. 0 for `NULL`.
size_t lucarne_pool_free_frames(const lucarne_pool *pool);

// Ends a pool. Turns of it go on. `NULL` is fine.
void lucarne_pool_free(lucarne_pool *pool);

// The frame's number in its pool, or in its stream's generation, from 0. 0 for `NULL`.
size_t lucarne_writing_index(const lucarne_writing *writing);

// The stream's generation that the frame is of, from 1: a new one has other images. 0 for a pool's, and for `NULL`.
uint64_t lucarne_writing_generation(const lucarne_writing *writing);

// The fence to wait for before writing: the last reader's release fence. Lent: it lives as long as `writing`.
const lucarne_fence *lucarne_writing_gate(const lucarne_writing *writing);

// The frame. Lent: it lives as long as `writing`.
const lucarne_frame *lucarne_writing_frame(const lucarne_writing *writing);

// The stream's image to draw into; `NULL` for a pool's. Lent: it lives as long as `writing`, and is the same for each turn of the
// frame, so that the program can keep data with it (`lucarne_image_set_data`).
const lucarne_image *lucarne_writing_image(const lucarne_writing *writing);

// Passes a pool's frame on. `acquire` signals when the writing is done, and stays the caller's. Ends `writing`, whatever it answers:
// after a failure the frame is free again, and what was written is lost. Does not block.
lucarne_status lucarne_writing_send(lucarne_writing *writing,
                                    const lucarne_fence *acquire,
                                    lucarne_sent **sent,
                                    lucarne_error **error);

// Gives a frame back unwritten. Ends `writing`. `NULL` is fine.
void lucarne_writing_free(lucarne_writing *writing);

// Takes the turn to read. Ends `sent`, whatever it answers. Does not block.
lucarne_status lucarne_sent_receive(lucarne_sent *sent,
                                    lucarne_reading **reading,
                                    lucarne_error **error);

// Gives a frame back for readers elsewhere: another process, a compositor, an encoder. `release` signals when all of them are done,
// gates the next writer, and stays the caller's. Ends `sent`, whatever it answers. Does not block.
lucarne_status lucarne_sent_release(lucarne_sent *sent,
                                    const lucarne_fence *release,
                                    lucarne_error **error);

// Gives a frame back that nobody has read. Ends `sent`. `NULL` is fine.
void lucarne_sent_free(lucarne_sent *sent);

// The fence to wait for before reading: the writer's acquire fence. Lent: it lives as long as `reading`.
const lucarne_fence *lucarne_reading_acquire(const lucarne_reading *reading);

// The frame. Lent: it lives as long as `reading`.
const lucarne_frame *lucarne_reading_frame(const lucarne_reading *reading);

// The stream's import of the frame; `NULL` for a pool's, whose reader imports the frame by itself. Lent: it lives as long as
// `reading`, and is the same for each frame in that memory.
const lucarne_image *lucarne_reading_image(const lucarne_reading *reading);

// Ends the turn. `release` signals when the reading is done; the next writer waits for it. It stays the caller's. Ends `reading`,
// whatever it answers: the frame is given back in every case, without a fence where the answer is
// `LUCARNE_STATUS_INVALID_ARGUMENT`. Blocks only where a fence cannot be sent to a stream's producer.
lucarne_status lucarne_reading_release(lucarne_reading *reading,
                                       const lucarne_fence *release,
                                       lucarne_error **error);

// Gives a frame back unread. Ends `reading`. Only where no command that reads the frame was given to a driver. `NULL` is fine.
void lucarne_reading_free(lucarne_reading *reading);

// Asks a physical device of the caller's what it could share. Then create your device with the extensions that
// `lucarne_vulkan_adapter_extension` lists, and wrap it with `lucarne_vulkan_device_from_raw`. Nothing is taken.
//
// `get_instance_proc_addr` is `vkGetInstanceProcAddr`, cast to `lucarne_function`.
//
// # Safety
//
// `physical_device` is of `instance`, which was created with an `apiVersion` of 1.1 or later through that function. It lives until the
// adapter, and every device, image and stream made of it, has ended.
lucarne_status lucarne_vulkan_adapter_from_raw(lucarne_function get_instance_proc_addr,
                                               void *instance,
                                               void *physical_device,
                                               lucarne_vulkan_adapter **adapter,
                                               lucarne_error **error);

// The device's name. Lives as long as `adapter`. `NULL` only for `NULL`.
const char *lucarne_vulkan_adapter_name(const lucarne_vulkan_adapter *adapter);

// How many device extensions are worth enabling: those that sharing can use and the driver has. 0 for `NULL`. None of them needs a
// feature structure.
size_t lucarne_vulkan_adapter_extensions(const lucarne_vulkan_adapter *adapter);

// The extension at `index`, from 0; `NULL` beyond the end. Lives for ever.
const char *lucarne_vulkan_adapter_extension(const lucarne_vulkan_adapter *adapter, size_t index);

// What a device that is created with all of those extensions can share, as `lucarne_device_offer` tells for one that exists.
lucarne_status lucarne_vulkan_adapter_offer(const lucarne_vulkan_adapter *adapter,
                                            uint32_t usage,
                                            lucarne_offer **offer,
                                            lucarne_error **error);

// Ends an adapter. Devices that were made with it go on. `NULL` is fine.
void lucarne_vulkan_adapter_free(lucarne_vulkan_adapter *adapter);

// Wraps a device of the caller's, and one of its queues. `extensions` are those that it was created with. Any may be missing: the
// offer then tells which paths are lost, and why. Nothing is taken.
//
// While `lucarne_vulkan_write`, `lucarne_vulkan_read` or `lucarne_image_write_plane` runs, nobody else may use the queue. Barriers
// (`lucarne_vulkan_acquire_barrier`) use no queue.
//
// # Safety
//
// `device` was created from the adapter's physical device with exactly these extensions; `queue` is one of its queues, of
// `queue_family`. Both live until the device here, and every image and stream made of it, has ended. `extensions` points to `count`
// strings that end with a NUL.
lucarne_status lucarne_vulkan_device_from_raw(const lucarne_vulkan_adapter *adapter,
                                              void *vulkan_device,
                                              void *queue,
                                              uint32_t queue_family,
                                              const char *const *extensions,
                                              size_t count,
                                              lucarne_device **device,
                                              lucarne_error **error);

// Opens a Vulkan device of Lucarne's own, for programs that have none: a GPU before a software rasteriser. Any thread.
lucarne_status lucarne_vulkan_device_open(lucarne_device **device,
                                          lucarne_error **error);

// Vulkan's handles of a device. Those of a device of Lucarne's own stay Lucarne's, and live as long as `device`.
lucarne_status lucarne_vulkan_device_handles(const lucarne_device *device,
                                             lucarne_vulkan_handles *handles,
                                             lucarne_error **error);

// The `VkImage` of an image. One of another API is refused.
lucarne_status lucarne_image_vk_image(const lucarne_image *image,
                                      lucarne_vulkan_image *vk_image,
                                      lucarne_error **error);

// Writes a frame in Vulkan: waits for `gate`, takes the image from its readers, has `record` record commands, gives the image back, and
// submits. `gate` is the fence that came with the turn, and stays the caller's; `done` is the acquire fence for the next reader.
//
// `record` is called once, before this returns, on this thread, with a command buffer that is recording outside a render pass, and with
// `data`. It finds the image in the layout of `access` (`LUCARNE_ACCESS_…`, one that writes), with the contents of the last write, and
// must leave it in that layout.
//
// Blocks, each time for `timeout` nanoseconds at most: while another thread takes a turn of this image; until its last turn's commands
// have ended; and until these have, where no fence can leave the driver.
//
// # Safety
//
// `record` may be called so. What it records is valid, and lives until `done` has signalled.
lucarne_status lucarne_vulkan_write(const lucarne_image *image,
                                    const lucarne_fence *gate,
                                    uint64_t timeout,
                                    uint32_t access,
                                    lucarne_record record,
                                    void *data,
                                    lucarne_fence **done,
                                    lucarne_error **error);

// Reads a frame in Vulkan: as `lucarne_vulkan_write`, with an access that does not write. `acquire` is the fence that came with the
// turn, and stays the caller's; `done` is the release fence for the next writer.
//
// # Safety
//
// As for `lucarne_vulkan_write`.
lucarne_status lucarne_vulkan_read(const lucarne_image *image,
                                   const lucarne_fence *acquire,
                                   uint64_t timeout,
                                   uint32_t access,
                                   lucarne_record record,
                                   void *data,
                                   lucarne_fence **done,
                                   lucarne_error **error);

// Records the barrier that takes an image from others: its memory's ownership, for the queue family that the program submits to, and
// its layout, which becomes that of `access` (`LUCARNE_ACCESS_…`).
//
// A turn takes five steps, in the place of `lucarne_vulkan_write`: `lucarne_wait_semaphore_import` with the fence that came with it;
// this; the program's commands; `lucarne_vulkan_release_barrier`; a submission that waits for the semaphore and signals a
// `lucarne_submit_fence`, which `lucarne_submit_fence_export` makes the next fence of. A barrier that is recorded counts as done: submit
// what is recorded, in order. An image whose pixels are copied is refused (`lucarne_image_copies_per_frame`). Does not block.
//
// # Safety
//
// `command_buffer` is a `VkCommandBuffer` of the image's device, of a pool of `queue_family`, recording outside a render pass. It is
// submitted once, after the fence that came with the turn. The image outlives it.
lucarne_status lucarne_vulkan_acquire_barrier(const lucarne_image *image,
                                              void *command_buffer,
                                              uint32_t queue_family,
                                              uint32_t access,
                                              lucarne_error **error);

// Records the barrier that gives an image to others, which `lucarne_vulkan_acquire_barrier` took. `access` names the layout in which the
// program's commands left it. Does not block.
//
// # Safety
//
// As for `lucarne_vulkan_acquire_barrier`, in the same or a later command buffer, for the same family. The image is in that layout,
// and nothing uses it afterwards until it is taken again.
lucarne_status lucarne_vulkan_release_barrier(const lucarne_image *image,
                                              void *command_buffer,
                                              uint32_t access,
                                              lucarne_error **error);

// Makes a semaphore for the program's submissions to wait for.
lucarne_status lucarne_wait_semaphore_new(const lucarne_device *device,
                                          lucarne_wait_semaphore **semaphore,
                                          lucarne_error **error);

// Makes the semaphore wait for `fence`, which came with the image's turn and stays the caller's. `wait_for` is the `VkSemaphore` that the
// next submission must wait for, in any stage; or 0 where nothing is left to wait for, as the CPU has waited, `timeout` nanoseconds at
// most.
//
// # Safety
//
// No submission uses the semaphore any more. Exactly one submission waits for `wait_for`, before the next call.
lucarne_status lucarne_wait_semaphore_import(lucarne_wait_semaphore *semaphore,
                                             const lucarne_image *image,
                                             const lucarne_fence *fence,
                                             uint64_t timeout,
                                             uint64_t *wait_for,
                                             lucarne_error **error);

// Ends a semaphore. `NULL` is fine.
void lucarne_wait_semaphore_free(lucarne_wait_semaphore *semaphore);

// Makes a fence to submit with.
lucarne_status lucarne_submit_fence_new(const lucarne_device *device,
                                        lucarne_submit_fence **fence,
                                        lucarne_error **error);

// The `VkFence` to submit with. It stays Lucarne's: do not destroy it. 0 for `NULL`.
uint64_t lucarne_submit_fence_raw(const lucarne_submit_fence *fence);

// Makes the signal of the last submission a fence for others. Afterwards the `VkFence` is unsignalled. Where the driver exports no
// fences, or is software, the CPU waits here, `timeout` nanoseconds at most.
//
// # Safety
//
// A submission was made with the fence, and its outcome was neither waited for nor exported since.
lucarne_status lucarne_submit_fence_export(lucarne_submit_fence *fence,
                                           uint64_t timeout,
                                           lucarne_fence **done,
                                           lucarne_error **error);

// Ends a fence to submit with. `NULL` is fine.
void lucarne_submit_fence_free(lucarne_submit_fence *fence);

// Wraps the display and context that are current on this thread, whichever toolkit made them: OpenGL ES 3 or desktop OpenGL. What is
// made in the context is deleted again, at the latest when the device and its images end. A context of GLX is refused, with what to
// tell toolkits.
//
// # Safety
//
// The display is not terminated and the context not destroyed until the device, and every image and stream made of it, has ended.
lucarne_status lucarne_egl_device_from_current(lucarne_device **device,
                                               lucarne_error **error);

// Opens a context of OpenGL ES 3 of Lucarne's own without a window, and makes it current on this thread: a GPU before a software
// rasteriser. For programs that have none.
lucarne_status lucarne_egl_device_open(lucarne_device **device,
                                       lucarne_error **error);

// Makes the context current on this thread, without a surface. Nothing changes where it is current already.
lucarne_status lucarne_egl_make_current(const lucarne_device *device,
                                        lucarne_error **error);

// Deletes what nobody needs any more and was not deleted yet. The next import does the same.
lucarne_status lucarne_egl_trim(const lucarne_device *device, lucarne_error **error);

// The texture of an image. One of another API is refused.
lucarne_status lucarne_image_gl_texture(const lucarne_image *image,
                                        lucarne_gl_texture *texture,
                                        lucarne_error **error);

// Begins to write: commands issued after this run when `gate` has signalled, the fence that came with the turn. The GPU waits, or this
// thread does, `timeout` nanoseconds at most. The fence stays the caller's.
lucarne_status lucarne_egl_wait(const lucarne_device *device,
                                const lucarne_fence *gate,
                                uint64_t timeout,
                                lucarne_error **error);

// Begins to read: commands issued after this see what the writer wrote. `acquire` is the fence that came with the turn, and stays the
// caller's. The GPU waits, or this thread does, `timeout` nanoseconds at most. Frames in host memory are uploaded here, where the
// texture does not lie in them.
lucarne_status lucarne_egl_read(const lucarne_image *image,
                                const lucarne_fence *acquire,
                                uint64_t timeout,
                                lucarne_error **error);

// Ends writing or reading: a fence that signals when all commands issued so far have ended. Where the context exports none this
// thread waits, `timeout` nanoseconds at most.
lucarne_status lucarne_egl_fence(const lucarne_device *device,
                                 uint64_t timeout,
                                 lucarne_fence **fence,
                                 lucarne_error **error);

// What a shader reads of each pixel: red, green, blue and alpha, first row first. `count` is how many numbers there is room for, four
// times the frame's pixels. For tests and snapshots: compiles a shader for each call, and waits. Call `lucarne_egl_read` first.
//
// # Safety
//
// `pixels` is `NULL`, or has room for `count` numbers.
lucarne_status lucarne_egl_download(const lucarne_image *image,
                                    float *pixels,
                                    size_t count,
                                    lucarne_error **error);

// Opens libgbm on the first DRM node where it allocates. Opening a primary node does not take the display. Such a device allocates and
// does nothing else: import the frame of `lucarne_device_export` on both ends. Any thread.
lucarne_status lucarne_gbm_device_open(lucarne_device **device,
                                       lucarne_error **error);

// Wraps the program's own `struct gbm_device *`. Nothing is taken.
//
// # Safety
//
// `gbm_device` is `NULL`, or a device of the process's libgbm. It, and the descriptor it was made with, live until the device here, and
// every image made of it, has ended. While a call of this library uses it, nobody else does.
lucarne_status lucarne_gbm_device_from_raw(void *gbm_device,
                                           lucarne_device **device,
                                           lucarne_error **error);

// The offer `side` of the end that draws, with memory from here: what that end can import and this device can allocate. Negotiate it in
// the producer's place. Each format and modifier is tried with a small buffer, which takes a while: do it once.
lucarne_status lucarne_gbm_offer_for(const lucarne_device *device,
                                     const lucarne_offer *side,
                                     uint32_t usage,
                                     lucarne_offer **offer,
                                     lucarne_error **error);

// The `struct gbm_bo *` of an image that libgbm allocated, for scanning out. It stays Lucarne's: do not destroy it. `NULL` for another's
// image, and for `NULL`. Its width and height may exceed the frame's.
void *lucarne_image_gbm_bo(const lucarne_image *image);

// Makes the pass of a Vulkan device: compiles its shaders, once for any number of frames.
lucarne_status lucarne_rgb_to_ycbcr_new(const lucarne_device *device,
                                        lucarne_rgb_to_ycbcr **pass,
                                        lucarne_error **error);

// Allocates a frame for the pass to write, linear, in memory (`LUCARNE_PATH_…`, a dma-buf or host memory) that others import. `color` is what
// an encoder is going to be told, too; `NULL` stands for the format's default.
lucarne_status lucarne_rgb_to_ycbcr_export(const lucarne_rgb_to_ycbcr *pass,
                                           uint32_t format,
                                           uint32_t width,
                                           uint32_t height,
                                           const lucarne_color *color,
                                           uint32_t path,
                                           lucarne_ycbcr_buffer **buffer,
                                           lucarne_error **error);

// The buffer's frame, to pass on. Lent: it lives as long as the buffer. `NULL` only for `NULL`.
const lucarne_frame *lucarne_ycbcr_buffer_frame(const lucarne_ycbcr_buffer *buffer);

// Converts an image of the same size, which has `LUCARNE_USAGE_SAMPLE`, and takes the turns of both: `acquire` is the image's fence, `gate` the
// buffer's release fence; both stay the caller's. `done` is the image's release fence and the buffer's acquire fence in one.
//
// Blocks until the buffer's last conversion has ended, and until this one has where the CPU must copy; `timeout` nanoseconds at most
// for each.
lucarne_status lucarne_rgb_to_ycbcr_convert(const lucarne_rgb_to_ycbcr *pass,
                                            const lucarne_image *image,
                                            const lucarne_fence *acquire,
                                            const lucarne_ycbcr_buffer *buffer,
                                            const lucarne_fence *gate,
                                            uint64_t timeout,
                                            lucarne_fence **done,
                                            lucarne_error **error);

// Ends a buffer. Blocks until what was submitted for it has ended. Its memory lives on in its frame's clones. `NULL` is fine.
void lucarne_ycbcr_buffer_free(lucarne_ycbcr_buffer *buffer);

// Ends a pass. Its buffers go on. `NULL` is fine.
void lucarne_rgb_to_ycbcr_free(lucarne_rgb_to_ycbcr *pass);

// Imports the planes of a Y'CbCr frame as textures. Works where whole images of such formats do not. Make it once for each frame, and
// keep it; the frame stays the caller's.
lucarne_status lucarne_egl_import_ycbcr(const lucarne_device *device,
                                        const lucarne_frame *frame,
                                        lucarne_ycbcr_texture **texture,
                                        lucarne_error **error);

// Makes the pass of a context: OpenGL ES 3, or OpenGL 3.3.
lucarne_status lucarne_ycbcr_to_rgb_new(const lucarne_device *device,
                                        lucarne_ycbcr_to_rgb **pass,
                                        lucarne_error **error);

// Draws each pixel of the frame to the same pixel of `target`, a texture of `GL_TEXTURE_2D` of the program's, of at least the frame's size,
// that can be rendered to: encoded as the frame was, clipped to 0 to 1, and opaque. `acquire` is the frame's fence, and stays the
// caller's: the GPU waits, or this thread does, `timeout` nanoseconds at most. `lucarne_egl_fence` then gives the release fence. The
// context's state is left as it was.
lucarne_status lucarne_ycbcr_to_rgb_convert(const lucarne_ycbcr_to_rgb *pass,
                                            const lucarne_ycbcr_texture *texture,
                                            const lucarne_fence *acquire,
                                            uint64_t timeout,
                                            uint32_t target,
                                            lucarne_error **error);

// Ends a pass. `NULL` is fine.
void lucarne_ycbcr_to_rgb_free(lucarne_ycbcr_to_rgb *pass);

// Ends textures of a frame. `NULL` is fine.
void lucarne_ycbcr_texture_free(lucarne_ycbcr_texture *texture);

// What happened.
lucarne_status lucarne_event_describe(const lucarne_event *event,
                                      lucarne_event_info *info,
                                      lucarne_error **error);

// What there is to say about it, for people. Empty where there is nothing; `NULL` only for `NULL`. Lives as long as `event`.
const char *lucarne_event_text(const lucarne_event *event);

// Of a consumer's generation: why each better rung was refused. Lives as long as `event`. `NULL` only for `NULL`.
const lucarne_reasons *lucarne_event_refused(const lucarne_event *event);

// Of a consumer's generation: what its frames' numbers mean. Another event is refused.
lucarne_status lucarne_event_color(const lucarne_event *event,
                                   lucarne_color *color,
                                   lucarne_error **error);

// Ends an event. `NULL` is fine.
void lucarne_event_free(lucarne_event *event);

// Takes a name: 1 to 64 of `a-z A-Z 0-9 - _ .`, no dot first. Consumers may connect from now on; the first one decides what frames
// look like, and then the device makes the images.
//
// `folder` is where the socket lies, or `NULL` for `$XDG_RUNTIME_DIR/lucarne`. `request` says what is wanted of frames, its producer
// usage what is done with the images. `options` may be `NULL`. Nothing is taken: the producer shares the device.
//
// # Safety
//
// `folder` is `NULL`, or ends with a NUL; so is `name`.
lucarne_status lucarne_producer_bind(const char *folder,
                                     const char *name,
                                     const lucarne_device *device,
                                     const lucarne_request *request,
                                     const lucarne_producer_options *options,
                                     lucarne_producer **producer,
                                     lucarne_error **error);

// A descriptor for an event loop: readable when `lucarne_producer_dispatch` has something to do. Lent: do not close it.
// `LUCARNE_NO_FD` for `NULL`.
int32_t lucarne_producer_fd(const lucarne_producer *producer);

// When `lucarne_producer_dispatch` should be called at the latest if nothing is readable before: in so many nanoseconds.
// `UINT64_MAX` for never.
uint64_t lucarne_producer_timeout(const lucarne_producer *producer);

// Serves the sockets: lets newcomers in, hears answers, and takes back the slots of whoever is gone. Does not block, but for the images
// of a new generation.
lucarne_status lucarne_producer_dispatch(lucarne_producer *producer,
                                         lucarne_error **error);

// A turn to write, or `LUCARNE_STATUS_WOULD_BLOCK` while nobody has connected yet, or all slots are with consumers. Does not block.
// Then the descriptor becomes readable when something has come: wait for that, and call this again.
lucarne_status lucarne_producer_try_acquire(lucarne_producer *producer,
                                            lucarne_writing **writing,
                                            lucarne_error **error);

// As `lucarne_producer_try_acquire`, but waits for a slot, `timeout` nanoseconds at most, and answers `LUCARNE_STATUS_TIMEOUT` then.
// Consumers are served meanwhile.
lucarne_status lucarne_producer_acquire(lucarne_producer *producer,
                                        uint64_t timeout,
                                        lucarne_writing **writing,
                                        lucarne_error **error);

// Passes a slot to every consumer. `acquire` signals when the writing is done, and stays the caller's; `timestamp` is on
// `CLOCK_MONOTONIC`, in nanoseconds (`lucarne_now`). `consumers`, which may be `NULL`, gets how many have it. Ends `writing`, whatever it
// answers. A slot of a generation that is over, or of another producer, is sent to nobody. Blocks only for a fence that cannot travel.
lucarne_status lucarne_producer_send(lucarne_producer *producer,
                                     lucarne_writing *writing,
                                     const lucarne_fence *acquire,
                                     uint64_t timestamp,
                                     size_t *consumers,
                                     lucarne_error **error);

// As `lucarne_producer_send`, and says which parts of the frame differ from the frame before: `count` rectangles, of which none
// means that nothing has changed. More than `LUCARNE_MAX_DAMAGE` count as a change of everything.
//
// # Safety
//
// `damage` is `NULL`, or points to `count` elements.
lucarne_status lucarne_producer_send_with_damage(lucarne_producer *producer,
                                                 lucarne_writing *writing,
                                                 const lucarne_fence *acquire,
                                                 uint64_t timestamp,
                                                 const lucarne_damage *damage,
                                                 size_t count,
                                                 size_t *consumers,
                                                 lucarne_error **error);

// Asks for other frames: another size or format, for instance. A new generation follows. The request stays the caller's. Does not
// block, but for its images.
lucarne_status lucarne_producer_reconfigure(lucarne_producer *producer,
                                            const lucarne_request *request,
                                            lucarne_error **error);

// Tells consumers that no frames come for a while.
lucarne_status lucarne_producer_pause(lucarne_producer *producer, lucarne_error **error);

// Tells consumers that frames come again.
lucarne_status lucarne_producer_resume(lucarne_producer *producer, lucarne_error **error);

// The next thing that happened, or `NULL`. End it with `lucarne_event_free`. A program need not ask: the oldest of 256 are dropped.
lucarne_event *lucarne_producer_event(lucarne_producer *producer);

// How many consumers get frames. 0 for `NULL`.
size_t lucarne_producer_consumers(const lucarne_producer *producer);

// The number of the last frame that was sent; 0 before the first.
uint64_t lucarne_producer_sequence(const lucarne_producer *producer);

// Ends the stream: consumers hear so, and can still take what was sent. Ends `producer`. `NULL` is fine.
void lucarne_producer_end(lucarne_producer *producer);

// Hangs up without a word, as a program that dies does: consumers may wait for the next producer of the name. Ends `producer`.
// `NULL` is fine.
void lucarne_producer_free(lucarne_producer *producer);

// Connects to a stream, and waits until there is one, `timeout` nanoseconds at most; `LUCARNE_STATUS_NOT_FOUND` when the time is over.
// Does not wait for the producer's answer: that comes with the first frame.
//
// `folder` is where the socket lies, or `NULL` for `$XDG_RUNTIME_DIR/lucarne`. `usage` is what is done with the frames: bits of
// `LUCARNE_USAGE_…`. `options` may be `NULL`. Nothing is taken: the consumer shares the device, and imports each slot once.
//
// # Safety
//
// `folder` is `NULL`, or ends with a NUL; so is `name`.
lucarne_status lucarne_consumer_connect(const char *folder,
                                        const char *name,
                                        const lucarne_device *device,
                                        uint32_t usage,
                                        const lucarne_consumer_options *options,
                                        uint64_t timeout,
                                        lucarne_consumer **consumer,
                                        lucarne_error **error);

// Connects again after the producer was lost, to the one that has the name now. Frames that are held stay as they are.
lucarne_status lucarne_consumer_reconnect(lucarne_consumer *consumer,
                                          lucarne_error **error);

// A descriptor for an event loop: readable when something has come, after `lucarne_consumer_try_receive` had nothing. Lent: do not
// close it. `LUCARNE_NO_FD` for `NULL`.
int32_t lucarne_consumer_fd(const lucarne_consumer *consumer);

// Serves the socket: new generations, farewells. Does not block, but for the imports of a new generation. `lucarne_consumer_receive`
// and its kin do the same.
lucarne_status lucarne_consumer_dispatch(lucarne_consumer *consumer,
                                         lucarne_error **error);

// The next frame's turn to read, or `LUCARNE_STATUS_WOULD_BLOCK` where there is none yet. Does not block.
//
// `LUCARNE_STATUS_ENDED` once the producer has ended the stream and everything was taken, `LUCARNE_STATUS_PEER_GONE` once it is gone,
// `LUCARNE_STATUS_REFUSED` where it refused.
lucarne_status lucarne_consumer_try_receive(lucarne_consumer *consumer,
                                            lucarne_reading **reading,
                                            lucarne_error **error);

// As `lucarne_consumer_try_receive`, but waits for a frame, `timeout` nanoseconds at most, or up to 50 ms more, and answers
// `LUCARNE_STATUS_TIMEOUT` then.
lucarne_status lucarne_consumer_receive(lucarne_consumer *consumer,
                                        uint64_t timeout,
                                        lucarne_reading **reading,
                                        lucarne_error **error);

// What is said of a stream's frame. A pool's is refused.
lucarne_status lucarne_reading_describe(const lucarne_reading *reading,
                                        lucarne_frame_info *info,
                                        lucarne_error **error);

// The next thing that happened, or `NULL`. End it with `lucarne_event_free`. A program need not ask: the oldest of 256 are dropped.
lucarne_event *lucarne_consumer_event(lucarne_consumer *consumer);

// The producer's process, as the kernel knows it; 0 where it has no number here, and for `NULL`.
uint32_t lucarne_consumer_producer_pid(const lucarne_consumer *consumer);

// Ends a consumer. Frames that are held stay as they are. `NULL` is fine.
void lucarne_consumer_free(lucarne_consumer *consumer);

// Looks for streams, by name. `folder` is where their sockets lie, or `NULL` for `$XDG_RUNTIME_DIR/lucarne`. Asks each producer, and
// waits half a second at most for each.
//
// # Safety
//
// `folder` is `NULL`, or ends with a NUL.
lucarne_status lucarne_streams_find(const char *folder,
                                    lucarne_streams **streams,
                                    lucarne_error **error);

// How many there are. 0 for `NULL`.
size_t lucarne_streams_count(const lucarne_streams *streams);

// The stream at `index`, from 0.
lucarne_status lucarne_streams_at(const lucarne_streams *streams,
                                  size_t index,
                                  lucarne_stream_info *info,
                                  lucarne_error **error);

// The name of the stream at `index`; `NULL` beyond the end. Lives as long as `streams`.
const char *lucarne_streams_name(const lucarne_streams *streams, size_t index);

// The name of the device of its producer; `NULL` beyond the end. Lives as long as `streams`.
const char *lucarne_streams_device(const lucarne_streams *streams, size_t index);

// Ends a list of streams. `NULL` is fine.
void lucarne_streams_free(lucarne_streams *streams);

// Sends the log of this process's Lucarne to `log` from now on; `NULL` sends it nowhere, as at first. A call that is under way may
// still use the one before for a moment. Any thread.
//
// # Safety
//
// `log` may be called with `data` on any thread, several at once, until another is set and those calls have returned.
lucarne_status lucarne_log_to(lucarne_log log,
                              void *data,
                              lucarne_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LUCARNE_H */

/* The sizes that the library was built with. */
#ifdef __cplusplus
#define LUCARNE_ASSERT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type)
#else
#define LUCARNE_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#endif
#if UINTPTR_MAX == UINT64_MAX
LUCARNE_ASSERT_SIZE(lucarne_format_info, 16);
LUCARNE_ASSERT_SIZE(lucarne_channel, 12);
LUCARNE_ASSERT_SIZE(lucarne_format_plane, 120);
LUCARNE_ASSERT_SIZE(lucarne_reason, 32);
LUCARNE_ASSERT_SIZE(lucarne_offer_entry, 48);
LUCARNE_ASSERT_SIZE(lucarne_agreement_info, 40);
LUCARNE_ASSERT_SIZE(lucarne_plane, 16);
LUCARNE_ASSERT_SIZE(lucarne_frame_layout, 104);
LUCARNE_ASSERT_SIZE(lucarne_color, 32);
LUCARNE_ASSERT_SIZE(lucarne_ycbcr, 136);
LUCARNE_ASSERT_SIZE(lucarne_dma_buf_plane, 12);
LUCARNE_ASSERT_SIZE(lucarne_mapped_plane, 24);
LUCARNE_ASSERT_SIZE(lucarne_vulkan_handles, 32);
LUCARNE_ASSERT_SIZE(lucarne_vulkan_image, 32);
LUCARNE_ASSERT_SIZE(lucarne_gl_texture, 12);
LUCARNE_ASSERT_SIZE(lucarne_event_info, 56);
LUCARNE_ASSERT_SIZE(lucarne_producer_options, 24);
LUCARNE_ASSERT_SIZE(lucarne_damage, 16);
LUCARNE_ASSERT_SIZE(lucarne_consumer_options, 24);
LUCARNE_ASSERT_SIZE(lucarne_frame_info, 112);
LUCARNE_ASSERT_SIZE(lucarne_stream_info, 56);
#endif
#undef LUCARNE_ASSERT_SIZE
