/* An HTTP/1.1 response read as it comes in: head, then a body of known length or in chunks. */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

enum response_state {
    RESPONSE_HEAD,
    RESPONSE_SIZED,      /* body with Content-Length */
    RESPONSE_CHUNK_SIZE, /* the line before a chunk */
    RESPONSE_CHUNK_DATA,
    RESPONSE_CHUNK_END,  /* the CRLF after a chunk */
    RESPONSE_TRAILER,
    RESPONSE_DONE,
    RESPONSE_BROKEN,
};

/* Called with each piece of decoded body. */
typedef void (*body_sink)(void *context, const char *data, size_t size);

struct response {
    enum response_state state;
    int status;
    uint64_t remaining;  /* of the body or of the chunk */
    uint64_t body_bytes; /* decoded */
    size_t head_size;
    char head[8192];     /* the head, then each chunk size line */
};

void response_start(struct response *response);

/* Feeds received bytes; the state tells afterwards whether the response is complete. Bytes beyond its end are an error:
 * this client never pipelines. */
void response_feed(struct response *response, const char *data, size_t size, body_sink sink, void *context);

#endif
