/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "texture.h"

#include <unistd.h>

#define GL_TEXTURE_2D 0x0DE1

/* OBS's word for a format of eight bits; GS_UNKNOWN for the others. */
static enum gs_color_format color_format(uint32_t format)
{
    switch (format) {
    case LUCARNE_FORMAT_XRGB8888:
        return GS_BGRX;
    case LUCARNE_FORMAT_ARGB8888:
        return GS_BGRA;
    case LUCARNE_FORMAT_XBGR8888: /* OBS has none with padding there: the copy fills it, and an import reads it as 1. */
    case LUCARNE_FORMAT_ABGR8888:
        return GS_RGBA;
    default:
        return GS_UNKNOWN;
    }
}

static void destroy(void *texture)
{
    obs_enter_graphics();
    gs_texture_destroy(texture);
    obs_leave_graphics();
}

static gs_texture_t *create(const lucarne_image *image, const lucarne_frame_layout *layout, lucarne_error **error)
{
    lucarne_dma_buf_plane planes[LUCARNE_MAX_PLANES];
    int fds[LUCARNE_MAX_PLANES];
    uint32_t count = 0, strides[LUCARNE_MAX_PLANES], offsets[LUCARNE_MAX_PLANES];
    uint64_t modifiers[LUCARNE_MAX_PLANES];
    lucarne_gl_texture imported;
    if (lucarne_image_gl_texture(image, &imported, error) ||
        lucarne_frame_dup_dma_bufs(lucarne_image_frame(image), planes, LUCARNE_MAX_PLANES, &count, error))
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = planes[i].fd;
        strides[i] = planes[i].pitch;
        offsets[i] = planes[i].offset;
        modifiers[i] = layout->modifier;
    }
    gs_texture_t *texture = NULL;
    if (imported.target != GL_TEXTURE_2D)
        blog(LOG_WARNING, "[lucarne] the driver samples these frames in a way that OBS has no shader for (external textures)");
    else /* GS_UNKNOWN is no obstacle here: what the memory holds is told by DRM's format. */
        texture = gs_texture_create_from_dmabuf(
            layout->width, layout->height, layout->format,
            color_format(layout->format) != GS_UNKNOWN ? color_format(layout->format) : GS_RGBA, count, fds, strides, offsets,
            layout->modifier != LUCARNE_MODIFIER_INVALID ? modifiers : NULL);
    /* OBS has borrowed them. */
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
    return texture;
}

gs_texture_t *texture_of_image(const lucarne_image *image, const lucarne_frame_layout *layout, lucarne_error **error)
{
    gs_texture_t *texture = lucarne_image_data(image);
    if (texture != NULL)
        return texture;
    texture = create(image, layout, error);
    if (texture != NULL && lucarne_image_set_data(image, texture, destroy, error) != LUCARNE_STATUS_OK) {
        gs_texture_destroy(texture);
        return NULL;
    }
    return texture;
}

bool texture_copy(gs_texture_t **copy, const lucarne_reading *reading, const lucarne_frame_layout *layout,
                  lucarne_error **error)
{
    const enum gs_color_format format = color_format(layout->format);
    const lucarne_frame *frame = lucarne_reading_frame(reading);
    const size_t size = lucarne_frame_plane_bytes(frame, 0);
    if (format == GS_UNKNOWN) {
        char name[32];
        lucarne_format_name(layout->format, name, sizeof name);
        blog(LOG_WARNING, "[lucarne] OBS has no texture for copies of %s. Ask the producer for XRGB8888 or ABGR8888", name);
        return false;
    }
    if (*copy != NULL && (gs_texture_get_width(*copy) != layout->width || gs_texture_get_height(*copy) != layout->height ||
                          gs_texture_get_color_format(*copy) != format)) {
        gs_texture_destroy(*copy);
        *copy = NULL;
    }
    if (*copy == NULL)
        *copy = gs_texture_create(layout->width, layout->height, format, 1, NULL, GS_DYNAMIC);
    uint8_t *bytes = *copy != NULL ? bmalloc(size) : NULL;
    lucarne_fence *done = NULL;
    const bool is_read = bytes != NULL && lucarne_image_read_plane(lucarne_reading_image(reading), lucarne_reading_acquire(reading),
                                                                   0, 0, bytes, size, &done, error) == LUCARNE_STATUS_OK;
    if (is_read && layout->format == LUCARNE_FORMAT_XBGR8888)
        for (size_t i = 3; i < size; i += 4)
            bytes[i] = 255;
    if (is_read)
        gs_texture_set_image(*copy, bytes, lucarne_frame_row_bytes(frame, 0), false);
    lucarne_fence_free(done);
    bfree(bytes);
    return is_read;
}
