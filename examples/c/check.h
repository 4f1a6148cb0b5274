/* What the examples do with an answer: they end the program, and say why. */
#ifndef CHECK_H
#define CHECK_H

#include <lucarne.h>
#include <stdio.h>
#include <stdlib.h>

/* Waits last this long at most: half a minute, in nanoseconds. */
#define TIMEOUT UINT64_C(30000000000)

/* Prints an error with its reasons, and ends the program. */
static inline void fail(const char *what, lucarne_error *error)
{
    fprintf(stderr, "%s: %s\n", what, lucarne_error_message(error));
    const lucarne_reasons *reasons = lucarne_error_reasons(error);
    for (size_t i = 0; i < lucarne_reasons_count(reasons); i++) {
        fprintf(stderr, "  %s\n", lucarne_reasons_text(reasons, i));
    }
    lucarne_error_free(error);
    exit(1);
}

/* Every call of Lucarne that can fail takes an error as its last argument: CHECK gives it one. */
#define CHECK(function, ...)                                                                       \
    do {                                                                                           \
        lucarne_error *error_ = NULL;                                                              \
        if (function(__VA_ARGS__, &error_) != LUCARNE_STATUS_OK) {                                 \
            fail(#function, error_);                                                               \
        }                                                                                          \
    } while (0)

#endif
