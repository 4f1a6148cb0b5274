/*
 * Watches a stream of the other examples in OpenGL, and compares every pixel that a shader reads.
 *
 *     gl-consumer NAME FRAMES [FOLDER]
 */
#include "check.h"
#include "context.h"
#include "pattern.h"
#include "stream.h"

int main(int argc, char **argv)
{
    const struct arguments asked = arguments_of(argc, argv);

    /* A toolkit has done this already. */
    struct context context = context_create();
    lucarne_device *device;
    CHECK(lucarne_egl_device_from_current, &device);

    lucarne_consumer_options options = {0, 0, 0, 0, 0};
    options.delivery = LUCARNE_DELIVERY_EVERY;
    lucarne_consumer *consumer;
    CHECK(lucarne_consumer_connect, asked.folder, asked.name, device, LUCARNE_USAGE_SAMPLE, &options,
          TIMEOUT, &consumer);

    unsigned wrong = 0;
    for (unsigned long seen = 0; seen < asked.frames; seen++) {
        lucarne_reading *reading;
        CHECK(lucarne_consumer_receive, consumer, TIMEOUT, &reading);
        const lucarne_image *image = lucarne_reading_image(reading);
        lucarne_frame_info info;
        CHECK(lucarne_reading_describe, reading, &info);

        /* Wait for the writer, draw with the texture, and say when that is done. */
        CHECK(lucarne_egl_read, image, lucarne_reading_acquire(reading), TIMEOUT);
        lucarne_gl_texture texture;
        CHECK(lucarne_image_gl_texture, image, &texture);
        static float pixels[PICTURE_BYTES];
        /* A program with something to show would bind `texture.name` to `texture.target` here. */
        CHECK(lucarne_egl_download, image, pixels, PICTURE_BYTES);
        lucarne_fence *done;
        CHECK(lucarne_egl_fence, device, TIMEOUT, &done);
        CHECK(lucarne_reading_release, reading, done);
        lucarne_fence_free(done);
        wrong += pattern_wrong_floats(info.sequence, pixels);
    }
    lucarne_consumer_free(consumer);
    lucarne_device_free(device);
    context_destroy(&context);
    printf("drew %lu frames, %u wrong pixels\n", asked.frames, wrong);
    return wrong == 0 ? 0 : 1;
}
