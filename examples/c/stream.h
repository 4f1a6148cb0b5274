/* What the programs of a stream have in common: their arguments, and what producers do before the first frame. */
#ifndef STREAM_H
#define STREAM_H

#include "check.h"

#include <poll.h>

/* The command line: NAME FRAMES [FOLDER]. */
struct arguments {
    const char *name;
    unsigned long frames;
    const char *folder; /* NULL for the usual one. */
};

static inline struct arguments arguments_of(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s NAME FRAMES [FOLDER]\n", argv[0]);
        exit(2);
    }
    struct arguments given = {argv[1], strtoul(argv[2], NULL, 10), argc > 3 ? argv[3] : NULL};
    return given;
}

/* Serves the stream, as an event loop does, until somebody watches. */
static inline void wait_for_consumer(lucarne_producer *producer)
{
    const uint64_t begun = lucarne_now();
    while (lucarne_producer_consumers(producer) == 0) {
        if (lucarne_now() - begun > TIMEOUT) {
            fprintf(stderr, "nobody watches\n");
            exit(1);
        }
        struct pollfd readable = {lucarne_producer_fd(producer), POLLIN, 0};
        const uint64_t milliseconds = lucarne_producer_timeout(producer) / 1000000 + 1;
        poll(&readable, 1, milliseconds < 1000 ? (int)milliseconds : 1000);
        CHECK(lucarne_producer_dispatch, producer);
    }
}

#endif
