/* What both producers do before the first frame. */
#ifndef STREAM_H
#define STREAM_H

#include "check.h"

#include <poll.h>

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
