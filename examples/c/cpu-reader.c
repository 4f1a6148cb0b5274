/*
 * Watches a stream of the other examples with the CPU, and compares every pixel.
 *
 *     cpu-reader NAME FRAMES [FOLDER]
 */
#include "check.h"
#include "pattern.h"
#include "stream.h"

#include <poll.h>

/* Waits in poll(), as an event loop does, until a frame has come. NULL once the stream has ended. */
static lucarne_reading *next(lucarne_consumer *consumer)
{
    for (;;) {
        lucarne_reading *reading;
        lucarne_error *error = NULL;
        switch (lucarne_consumer_try_receive(consumer, &reading, &error)) {
        case LUCARNE_STATUS_OK:
            return reading;
        case LUCARNE_STATUS_ENDED:
            lucarne_error_free(error);
            return NULL;
        case LUCARNE_STATUS_WOULD_BLOCK:
            lucarne_error_free(error);
            break;
        default:
            fail("lucarne_consumer_try_receive", error);
        }
        struct pollfd readable = {lucarne_consumer_fd(consumer), POLLIN, 0};
        if (poll(&readable, 1, (int)(TIMEOUT / 1000000)) == 0) {
            fprintf(stderr, "no frame came\n");
            exit(1);
        }
    }
}

/* Reads one frame; returns how many of its pixels are wrong. */
static unsigned look(lucarne_reading *reading)
{
    const lucarne_frame *frame = lucarne_reading_frame(reading);
    if (lucarne_frame_plane_bytes(frame, 0) != PICTURE_BYTES) {
        fprintf(stderr, "frames have %zu bytes, not %d\n", lucarne_frame_plane_bytes(frame, 0),
                PICTURE_BYTES);
        exit(1);
    }
    lucarne_frame_info info;
    CHECK(lucarne_reading_describe, reading, &info);

    /* In place: nothing is copied. `lucarne_image_read_plane` copies rows out instead. */
    lucarne_mapping *mapping;
    CHECK(lucarne_image_map_read, lucarne_reading_image(reading), lucarne_reading_acquire(reading),
          TIMEOUT, &mapping);
    lucarne_mapped_plane plane;
    CHECK(lucarne_mapping_plane, mapping, 0, &plane);
    const uint8_t *rows = (const uint8_t *)plane.address;
    const unsigned wrong = pattern_wrong_rows(info.sequence, rows, plane.pitch);
    lucarne_fence *done;
    CHECK(lucarne_mapping_end, mapping, &done);
    lucarne_mapping_free(mapping);
    /* This ends the turn: `reading`, its frame and its image are not ours any more. */
    CHECK(lucarne_reading_release, reading, done);
    lucarne_fence_free(done);
    return wrong;
}

int main(int argc, char **argv)
{
    const struct arguments asked = arguments_of(argc, argv);

    lucarne_device *device;
    CHECK(lucarne_cpu_device_open, LUCARNE_ALLOCATOR_HOST_MEMORY, &device);

    lucarne_consumer_options options = {0, 0, 0, 0, 0};
    options.delivery = LUCARNE_DELIVERY_EVERY;
    lucarne_consumer *consumer;
    CHECK(lucarne_consumer_connect, asked.folder, asked.name, device, LUCARNE_USAGE_SAMPLE, &options,
          TIMEOUT, &consumer);

    unsigned long seen = 0;
    unsigned wrong = 0;
    lucarne_reading *reading;
    while (seen < asked.frames && (reading = next(consumer)) != NULL) {
        wrong += look(reading);
        seen++;
    }
    lucarne_consumer_free(consumer);
    lucarne_device_free(device);
    printf("read %lu frames, %u wrong pixels\n", seen, wrong);
    return seen == asked.frames && wrong == 0 ? 0 : 1;
}
