/*
 * Makes frames with the CPU, for any number of consumers.
 *
 *     cpu-producer NAME FRAMES [FOLDER]
 */
#include "check.h"
#include "pattern.h"
#include "stream.h"

/* What happened: who came and went, and what was agreed on. */
static void tell(lucarne_producer *producer)
{
    lucarne_event *event;
    while ((event = lucarne_producer_event(producer)) != NULL) {
        lucarne_event_info info;
        CHECK(lucarne_event_describe, event, &info);
        char format[64];
        lucarne_format_name(info.format, format, sizeof format);
        switch (info.kind) {
        case LUCARNE_EVENT_JOINED:
            printf("consumer %llu is here: %s\n", (unsigned long long)info.consumer,
                   lucarne_event_text(event));
            break;
        case LUCARNE_EVENT_LEFT:
            printf("consumer %llu is gone: %s\n", (unsigned long long)info.consumer,
                   lucarne_event_text(event));
            break;
        case LUCARNE_EVENT_GENERATION:
            printf("frames are %ux%u, %s, rung %u\n", info.width, info.height, format, info.rung);
            break;
        default: /* A later release may have more. */
            break;
        }
        lucarne_event_free(event);
    }
}

int main(int argc, char **argv)
{
    const struct arguments asked = arguments_of(argc, argv);

    lucarne_device *device;
    CHECK(lucarne_cpu_device_open, LUCARNE_ALLOCATOR_BEST, &device);

    /* What is wanted: this size, and one format. */
    lucarne_request *request;
    CHECK(lucarne_request_new, WIDTH, HEIGHT, &request);
    const uint32_t format = LUCARNE_FORMAT_XBGR8888;
    CHECK(lucarne_request_set_formats, request, &format, 1);

    /* A consumer that is slow for once, under a debugger for instance, is not cut off at once. */
    lucarne_producer_options options = {0, 0, 0, 0, 0};
    options.patience = TIMEOUT;
    lucarne_producer *producer;
    CHECK(lucarne_producer_bind, asked.folder, asked.name, device, request, &options, &producer);
    lucarne_request_free(request);

    wait_for_consumer(producer);
    while (lucarne_producer_sequence(producer) < asked.frames) {
        tell(producer);
        lucarne_writing *writing;
        lucarne_error *error = NULL;
        lucarne_status status = lucarne_producer_acquire(producer, TIMEOUT, &writing, &error);
        if (status != LUCARNE_STATUS_OK) {
            fail("no consumer came, or none gave a frame back", error);
        }
        uint8_t bytes[PICTURE_BYTES];
        pattern_fill(lucarne_producer_sequence(producer) + 1, bytes);

        lucarne_fence *drawn;
        CHECK(lucarne_image_write_plane, lucarne_writing_image(writing),
              lucarne_writing_gate(writing), TIMEOUT, 0, bytes, sizeof bytes, &drawn);
        /* This ends the turn; the fence stays ours. */
        CHECK(lucarne_producer_send, producer, writing, drawn, lucarne_now(), NULL);
        lucarne_fence_free(drawn);
    }
    tell(producer);
    printf("sent %llu frames\n", (unsigned long long)lucarne_producer_sequence(producer));
    lucarne_producer_end(producer);
    lucarne_device_free(device);
    return 0;
}
