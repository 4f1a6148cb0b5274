/* Textures of OBS in a frame's memory, or with a copy of its pixels. All of these run in OBS's graphics context. */
#ifndef TEXTURE_H
#define TEXTURE_H

#include <lucarne.h>
#include <obs.h>

/* The texture in the memory of an image, made once and kept with it. NULL, and perhaps an error, where there is none. */
gs_texture_t *texture_of_image(const lucarne_image *image, const lucarne_frame_layout *layout, lucarne_error **error);

/* Copies a frame of the CPU's, whose fence has signalled, into a texture, which is made again where it does not fit. */
bool texture_copy(gs_texture_t **copy, const lucarne_reading *reading, const lucarne_frame_layout *layout,
                  lucarne_error **error);

#endif
