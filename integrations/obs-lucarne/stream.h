/* A stream's frames as textures of OBS. */
#ifndef STREAM_H
#define STREAM_H

#include <lucarne.h>
#include <obs.h>

struct stream;

/* `source` names it in the log. */
struct stream *stream_new(const char *source);

void stream_free(struct stream *stream);

/* Watches the stream of this name from the next tick on. Any thread. */
void stream_watch(struct stream *stream, const char *name);

/* The graphics thread: takes what has come. Waits for no producer and no network. */
void stream_tick(struct stream *stream, float seconds);

/* The graphics thread, in its context. */
void stream_draw(struct stream *stream);

/* In pixels; 0 before the first frame. Any thread. */
uint32_t stream_width(struct stream *stream);
uint32_t stream_height(struct stream *stream);

#endif
