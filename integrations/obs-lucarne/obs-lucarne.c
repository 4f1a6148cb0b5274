/* SPDX-License-Identifier: MIT OR Apache-2.0
 * A source for OBS Studio that shows a Lucarne stream: obs-module and its properties. stream.c has the frames. */
#include "stream.h"

#include <obs-module.h>

OBS_DECLARE_MODULE()

MODULE_EXPORT const char *obs_module_description(void)
{
    return "Shows the frames of Lucarne streams";
}

static const char *source_name(void *unused)
{
    (void)unused;
    return "Lucarne stream";
}

static void source_update(void *data, obs_data_t *settings)
{
    stream_watch(data, obs_data_get_string(settings, "stream"));
}

static void *source_create(obs_data_t *settings, obs_source_t *source)
{
    struct stream *stream = stream_new(obs_source_get_name(source));
    source_update(stream, settings);
    return stream;
}

static void source_destroy(void *data)
{
    stream_free(data);
}

/* Asks each producer, for half a second at most. Runs on the thread of the window, and only when the properties are opened. */
static void list_streams(obs_property_t *list)
{
    lucarne_error *error = NULL;
    lucarne_streams *streams = NULL;
    if (lucarne_streams_find(NULL, &streams, &error) != LUCARNE_STATUS_OK)
        blog(LOG_WARNING, "[lucarne] streams cannot be listed: %s", lucarne_error_message(error));
    for (size_t i = 0; i < lucarne_streams_count(streams); i++) {
        const char *name = lucarne_streams_name(streams, i);
        obs_property_list_add_string(list, name, name);
    }
    lucarne_error_free(error);
    lucarne_streams_free(streams);
}

static bool refreshed(obs_properties_t *properties, obs_property_t *button, void *data)
{
    (void)button, (void)data;
    obs_property_t *list = obs_properties_get(properties, "stream");
    obs_property_list_clear(list);
    list_streams(list);
    return true;
}

static obs_properties_t *source_properties(void *data)
{
    (void)data;
    obs_properties_t *properties = obs_properties_create();
    /* Editable: a stream may be named before its producer runs. */
    list_streams(obs_properties_add_list(properties, "stream", "Stream", OBS_COMBO_TYPE_EDITABLE, OBS_COMBO_FORMAT_STRING));
    obs_properties_add_button(properties, "refresh", "Look again", refreshed);
    return properties;
}

static void source_tick(void *data, float seconds)
{
    stream_tick(data, seconds);
}

static void source_render(void *data, gs_effect_t *unused)
{
    (void)unused;
    stream_draw(data);
}

static uint32_t source_width(void *data)
{
    return stream_width(data);
}

static uint32_t source_height(void *data)
{
    return stream_height(data);
}

bool obs_module_load(void)
{
    static const struct obs_source_info info = {
        .id = "lucarne_stream",
        .type = OBS_SOURCE_TYPE_INPUT,
        .output_flags = OBS_SOURCE_VIDEO | OBS_SOURCE_CUSTOM_DRAW | OBS_SOURCE_DO_NOT_DUPLICATE,
        .icon_type = OBS_ICON_TYPE_CUSTOM,
        .get_name = source_name,
        .create = source_create,
        .destroy = source_destroy,
        .update = source_update,
        .get_properties = source_properties,
        .video_tick = source_tick,
        .video_render = source_render,
        .get_width = source_width,
        .get_height = source_height,
    };
    obs_register_source(&info);
    return true;
}
