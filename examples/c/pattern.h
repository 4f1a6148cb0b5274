/* A picture that moves: every pixel of every frame is known, so that a reader can tell what is wrong. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdint.h>
#include <stdio.h>

enum { WIDTH = 64, HEIGHT = 48, PIXEL_BYTES = 4, PICTURE_BYTES = WIDTH * HEIGHT * PIXEL_BYTES };

/* The bytes of DRM_FORMAT_XBGR8888: red, green, blue, padding. */
static inline uint8_t pattern_byte(uint64_t frame, unsigned x, unsigned y, unsigned channel)
{
    switch (channel) {
    case 0:
        return (uint8_t)(3 * x + frame);
    case 1:
        return (uint8_t)(5 * y + 7 * frame);
    case 2:
        return (uint8_t)(11 * frame);
    default:
        return 255;
    }
}

static inline void pattern_fill(uint64_t frame, uint8_t *bytes)
{
    for (unsigned y = 0; y < HEIGHT; y++) {
        for (unsigned x = 0; x < WIDTH; x++) {
            for (unsigned channel = 0; channel < PIXEL_BYTES; channel++) {
                *bytes++ = pattern_byte(frame, x, y, channel);
            }
        }
    }
}

/* How many pixels are not the frame's, in rows that begin `pitch` bytes apart. Prints the first. Padding may hold anything. */
static inline unsigned pattern_wrong_rows(uint64_t frame, const uint8_t *rows, uint64_t pitch)
{
    unsigned wrong = 0;
    for (unsigned y = 0; y < HEIGHT; y++) {
        const uint8_t *bytes = rows + y * pitch;
        for (unsigned x = 0; x < WIDTH; x++, bytes += PIXEL_BYTES) {
            unsigned differs = 0;
            for (unsigned channel = 0; channel < 3; channel++) {
                differs |= bytes[channel] != pattern_byte(frame, x, y, channel);
            }
            if (differs && wrong++ == 0) {
                fprintf(stderr, "frame %llu, pixel %u,%u is %u %u %u, but must be %u %u %u\n",
                        (unsigned long long)frame, x, y, bytes[0], bytes[1], bytes[2],
                        pattern_byte(frame, x, y, 0), pattern_byte(frame, x, y, 1),
                        pattern_byte(frame, x, y, 2));
            }
        }
    }
    return wrong;
}

/* The same for rows that follow each other. */
static inline unsigned pattern_wrong(uint64_t frame, const uint8_t *bytes)
{
    return pattern_wrong_rows(frame, bytes, WIDTH * PIXEL_BYTES);
}

/* The same for what a shader read: four numbers of 0 to 1 for each pixel. */
static inline unsigned pattern_wrong_floats(uint64_t frame, const float *pixels)
{
    uint8_t bytes[PICTURE_BYTES];
    for (unsigned i = 0; i < PICTURE_BYTES; i++) {
        bytes[i] = (uint8_t)(pixels[i] * 255.0f + 0.5f);
    }
    return pattern_wrong(frame, bytes);
}

#endif
