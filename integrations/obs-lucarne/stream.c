/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "stream.h"

#include "texture.h"

#include <util/platform.h>
#include <util/threading.h>

/* What a driver that exports no fence may take to finish, in nanoseconds. Others are not waited for. */
#define PATIENCE UINT64_C(100000000)
/* How often a producer is looked for, in seconds. */
#define RETRY 0.25f

struct stream {
    char *source;
    pthread_mutex_t naming; /* Guards the next two. */
    char *wanted;
    bool is_renamed;
    char *name;
    lucarne_device *device;
    bool is_cpu;           /* The device is the CPU: frames are copied into `copy`. */
    bool waits_on_gpu;     /* The device's work can wait for a fence by itself. */
    bool is_connected;
    bool needs_cpu;        /* This stream's memory is nothing that OBS has textures of. */
    lucarne_consumer *consumer;
    lucarne_reading *next;  /* Came, and its writer is not done yet. */
    lucarne_reading *shown; /* The turn of `texture`. It lasts until a newer frame comes. */
    gs_texture_t *texture;  /* Lent by the image of `shown`, or `copy`. */
    gs_texture_t *copy;
    volatile long width, height;
    float until_retry;
    bool is_told; /* The last failure is in the log already. */
};

#define LOG(stream, level, format, ...) blog(level, "[lucarne] %s: " format, (stream)->source, __VA_ARGS__)

static void log_reasons(const struct stream *stream, int level, const lucarne_reasons *reasons)
{
    for (size_t i = 0; i < lucarne_reasons_count(reasons); i++)
        LOG(stream, level, "  %s", lucarne_reasons_text(reasons, i));
}

/* Logs a failure with its reasons, once until something works again. Takes the error. */
static void log_error(struct stream *stream, const char *what, lucarne_error *error)
{
    if (!stream->is_told) {
        LOG(stream, LOG_WARNING, "%s: %s", what, lucarne_error_message(error));
        log_reasons(stream, LOG_WARNING, lucarne_error_reasons(error));
    }
    stream->is_told = true;
    lucarne_error_free(error);
}

struct stream *stream_new(const char *source)
{
    struct stream *stream = bzalloc(sizeof *stream);
    stream->source = bstrdup(source);
    pthread_mutex_init(&stream->naming, NULL);
    return stream;
}

void stream_watch(struct stream *stream, const char *name)
{
    pthread_mutex_lock(&stream->naming);
    bfree(stream->wanted);
    stream->wanted = bstrdup(name);
    stream->is_renamed = true;
    pthread_mutex_unlock(&stream->naming);
}

/* Ends the turn of what is shown. The fence covers all that OBS has issued so far, every view of the source included. */
static void let_go(struct stream *stream)
{
    lucarne_error *error = NULL;
    lucarne_fence *drawn = NULL;
    if (stream->shown == NULL)
        return;
    if (lucarne_egl_fence(stream->device, PATIENCE, &drawn, &error) != LUCARNE_STATUS_OK)
        log_error(stream, "OBS's drawing does not end", error);
    /* Without a fence the frame is given back all the same. */
    lucarne_reading_release(stream->shown, drawn, NULL);
    lucarne_fence_free(drawn);
    stream->shown = NULL;
    stream->texture = NULL;
}

/* Ends all that is about one producer. In the graphics context. */
static void disconnect(struct stream *stream)
{
    lucarne_reading_free(stream->next);
    stream->next = NULL;
    let_go(stream);
    lucarne_consumer_free(stream->consumer);
    stream->consumer = NULL;
    lucarne_device_free(stream->device);
    stream->device = NULL;
}

void stream_free(struct stream *stream)
{
    obs_enter_graphics();
    disconnect(stream);
    gs_texture_destroy(stream->copy);
    obs_leave_graphics();
    pthread_mutex_destroy(&stream->naming);
    bfree(stream->wanted);
    bfree(stream->name);
    bfree(stream->source);
    bfree(stream);
}

uint32_t stream_width(struct stream *stream)
{
    return (uint32_t)os_atomic_load_long(&stream->width);
}

uint32_t stream_height(struct stream *stream)
{
    return (uint32_t)os_atomic_load_long(&stream->height);
}

/* OBS's context as a device, where dma-bufs can come into it. NULL, and why in the log, where they cannot. */
static lucarne_device *open_egl(struct stream *stream)
{
    lucarne_error *error = NULL;
    lucarne_device *device = NULL;
    lucarne_offer *offer = NULL;
    if (lucarne_egl_device_from_current(&device, &error) != LUCARNE_STATUS_OK ||
        lucarne_device_offer(device, LUCARNE_USAGE_SAMPLE, &offer, &error) != LUCARNE_STATUS_OK) {
        log_error(stream, "OBS's context cannot share frames, so they are copied", error);
    } else if (!lucarne_offer_has_path(offer, LUCARNE_PATH_DMA_BUF)) {
        LOG(stream, LOG_WARNING, "frames are copied, as %s takes no dma-bufs", lucarne_offer_name(offer));
        log_reasons(stream, LOG_WARNING, lucarne_offer_path_reasons(offer, LUCARNE_PATH_DMA_BUF));
    } else {
        stream->waits_on_gpu = lucarne_offer_imports_fences(offer);
        lucarne_offer_free(offer);
        return device;
    }
    lucarne_offer_free(offer);
    lucarne_device_free(device);
    return NULL;
}

/* Connects, or connects again: once, without waiting. */
static void look(struct stream *stream)
{
    lucarne_error *error = NULL;
    lucarne_status status = LUCARNE_STATUS_OK;
    if (stream->device == NULL) {
        stream->device = stream->needs_cpu ? NULL : open_egl(stream);
        stream->is_cpu = stream->device == NULL;
        if (stream->is_cpu)
            status = lucarne_cpu_device_open(LUCARNE_ALLOCATOR_HOST_MEMORY, &stream->device, &error);
    }
    if (status == LUCARNE_STATUS_OK && stream->consumer != NULL)
        status = lucarne_consumer_reconnect(stream->consumer, &error);
    else if (status == LUCARNE_STATUS_OK)
        status = lucarne_consumer_connect(NULL, stream->name, stream->device, LUCARNE_USAGE_SAMPLE, NULL, 0,
                                          &stream->consumer, &error);
    stream->is_connected = status == LUCARNE_STATUS_OK;
    if (!stream->is_connected)
        log_error(stream, "the stream is not there, and is looked for", error);
}

/* The connection is over. The last picture stays. Takes the error. */
static void lost(struct stream *stream, lucarne_error *error)
{
    log_error(stream, "the producer has gone, and is waited for", error);
    stream->is_connected = false;
    if (stream->is_cpu) { /* The next producer may have dma-bufs. What is shown is a copy, and stays. */
        disconnect(stream);
        stream->needs_cpu = false;
    }
}

static void set_size(struct stream *stream, uint32_t width, uint32_t height)
{
    os_atomic_set_long(&stream->width, (long)width);
    os_atomic_set_long(&stream->height, (long)height);
}

/* Logs how frames come, and finds out whether OBS can have textures of them. */
static void hear(struct stream *stream)
{
    lucarne_event *event;
    while ((event = lucarne_consumer_event(stream->consumer)) != NULL) {
        lucarne_event_info info = {0};
        lucarne_event_describe(event, &info, NULL);
        const bool is_dma_buf = info.rung == 1 || info.rung == 2;
        if (info.kind == LUCARNE_EVENT_GENERATION) {
            LOG(stream, LOG_INFO, "%ux%u, %s", info.width, info.height,
                is_dma_buf && !stream->is_cpu ? "dma-bufs, no copies" : "copied by the CPU");
            if (!is_dma_buf)
                log_reasons(stream, LOG_INFO, lucarne_event_refused(event));
            stream->needs_cpu = stream->needs_cpu || (!is_dma_buf && !stream->is_cpu);
        } else if (info.kind == LUCARNE_EVENT_IMPORT_FAILED) {
            LOG(stream, LOG_WARNING, "asked for other frames: %s", lucarne_event_text(event));
        }
        lucarne_event_free(event);
    }
}

/* Whether the frame can be used now, without a wait of this thread. */
static bool is_ready(const struct stream *stream, const lucarne_reading *reading)
{
    uint32_t signaled = 0;
    if (!stream->is_cpu && stream->waits_on_gpu)
        return true;
    /* A fence that cannot be asked has failed: what reads the frame says why. */
    return lucarne_fence_is_signaled(lucarne_reading_acquire(reading), &signaled, NULL) != LUCARNE_STATUS_OK || signaled;
}

/* Shows a frame whose writer is done, or that the GPU waits for. */
static void show(struct stream *stream, lucarne_reading *reading)
{
    lucarne_error *error = NULL;
    lucarne_frame_layout layout = {0};
    lucarne_status status = lucarne_frame_describe(lucarne_reading_frame(reading), &layout, &error);
    if (status == LUCARNE_STATUS_OK && stream->is_cpu) {
        if (!texture_copy(&stream->copy, reading, &layout, &error))
            log_error(stream, "a frame cannot be copied", error);
        stream->texture = stream->copy;
        /* It was copied: nothing of OBS's reads it any more. */
        lucarne_reading_free(reading);
    } else {
        const lucarne_image *image = lucarne_reading_image(reading);
        gs_texture_t *texture = status == LUCARNE_STATUS_OK ? texture_of_image(image, &layout, &error) : NULL;
        if (texture != NULL)
            status = lucarne_egl_read(image, lucarne_reading_acquire(reading), 0, &error);
        if (status == LUCARNE_STATUS_TIMEOUT) { /* This driver has the CPU wait: not here. */
            stream->waits_on_gpu = false;
            stream->next = reading;
            lucarne_error_free(error);
            return;
        }
        if (texture == NULL || status != LUCARNE_STATUS_OK) {
            log_error(stream, "a frame cannot be shown", error);
            lucarne_reading_free(reading);
            return;
        }
        let_go(stream);
        stream->shown = reading;
        stream->texture = texture;
    }
    stream->is_told = false;
    set_size(stream, layout.width, layout.height);
}

/* Takes the newest frame. */
static void receive(struct stream *stream)
{
    lucarne_error *error = NULL;
    lucarne_reading *reading = NULL;
    lucarne_status status;
    while ((status = lucarne_consumer_try_receive(stream->consumer, &reading, &error)) == LUCARNE_STATUS_OK) {
        lucarne_reading_free(stream->next);
        stream->next = reading;
        if (!is_ready(stream, reading))
            break; /* It stays `next`: to look for newer ones would mean to show none. */
    }
    hear(stream);
    if (status == LUCARNE_STATUS_OK || status == LUCARNE_STATUS_WOULD_BLOCK)
        lucarne_error_free(error);
    else
        lost(stream, error);
}

/* What the settings say. A stream of another name is another picture. */
static void rename_to_wanted(struct stream *stream)
{
    pthread_mutex_lock(&stream->naming);
    if (stream->is_renamed && (stream->name == NULL || strcmp(stream->name, stream->wanted) != 0)) {
        disconnect(stream);
        stream->texture = NULL;
        stream->is_connected = stream->needs_cpu = stream->is_told = false;
        stream->until_retry = 0;
        bfree(stream->name);
        stream->name = bstrdup(stream->wanted);
        set_size(stream, 0, 0);
    }
    stream->is_renamed = false;
    pthread_mutex_unlock(&stream->naming);
}

void stream_tick(struct stream *stream, float seconds)
{
    obs_enter_graphics();
    rename_to_wanted(stream);
    stream->until_retry -= seconds;
    if (!stream->is_connected && stream->until_retry <= 0 && stream->name != NULL && *stream->name != '\0') {
        stream->until_retry = RETRY;
        look(stream);
    }
    if (stream->is_connected && stream->next == NULL)
        receive(stream);
    if (stream->is_connected && stream->needs_cpu && !stream->is_cpu) {
        disconnect(stream);
        stream->is_connected = false;
    }
    if (stream->next != NULL && is_ready(stream, stream->next)) {
        lucarne_reading *reading = stream->next;
        stream->next = NULL;
        show(stream, reading);
    }
    obs_leave_graphics();
}

void stream_draw(struct stream *stream)
{
    if (stream->texture == NULL)
        return;
    gs_effect_t *effect = obs_get_base_effect(OBS_EFFECT_DEFAULT);
    gs_effect_set_texture(gs_effect_get_param_by_name(effect, "image"), stream->texture);
    gs_blend_state_push();
    /* Frames have premultiplied alpha. */
    gs_blend_function(GS_BLEND_ONE, GS_BLEND_INVSRCALPHA);
    while (gs_effect_loop(effect, "Draw"))
        gs_draw_sprite(stream->texture, 0, stream_width(stream), stream_height(stream));
    gs_blend_state_pop();
}
