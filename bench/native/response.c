#define _GNU_SOURCE
#include "response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void response_start(struct response *response) {
    response->state = RESPONSE_HEAD;
    response->status = 0;
    response->remaining = 0;
    response->body_bytes = 0;
    response->head_size = 0;
}

/* The value of a header field, or NULL. The head is terminated by NUL. */
static const char *field(const char *head, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1;
            return line + strspn(line, " \t");
        }
    }
    return NULL;
}

static void head_complete(struct response *response) {
    const char *head = response->head;
    if (strncmp(head, "HTTP/1.", 7) != 0) {
        response->state = RESPONSE_BROKEN;
        return;
    }
    response->status = atoi(head + 9);
    const char *length = field(head, "content-length");
    const char *encoding = field(head, "transfer-encoding");
    response->head_size = 0;
    if (encoding != NULL && strncasecmp(encoding, "chunked", 7) == 0) {
        response->state = RESPONSE_CHUNK_SIZE;
    } else if (length != NULL) {
        response->remaining = strtoull(length, NULL, 10);
        response->state = response->remaining == 0 ? RESPONSE_DONE : RESPONSE_SIZED;
    } else {
        response->state = RESPONSE_BROKEN;
    }
}

static void line_complete(struct response *response) {
    response->head_size = 0;
    if (response->state == RESPONSE_CHUNK_SIZE) {
        response->remaining = strtoull(response->head, NULL, 16);
        response->state = response->remaining == 0 ? RESPONSE_TRAILER : RESPONSE_CHUNK_DATA;
    } else if (response->state == RESPONSE_CHUNK_END) {
        response->state = RESPONSE_CHUNK_SIZE;
    } else if (strcmp(response->head, "\r\n") == 0) {
        response->state = RESPONSE_DONE;
    }
}

/* Collects up to the end of a head or of a line; returns how many bytes were taken. */
static size_t collect(struct response *response, const char *data, size_t size) {
    const char *end = response->state == RESPONSE_HEAD ? "\r\n\r\n" : "\r\n";
    size_t mark = strlen(end), taken = 0;
    while (taken < size) {
        if (response->head_size + 1 >= sizeof response->head) {
            response->state = RESPONSE_BROKEN;
            return taken;
        }
        response->head[response->head_size++] = data[taken++];
        if (response->head_size >= mark && memcmp(response->head + response->head_size - mark, end, mark) == 0) {
            response->head[response->head_size] = 0;
            if (response->state == RESPONSE_HEAD)
                head_complete(response);
            else
                line_complete(response);
            return taken;
        }
    }
    return taken;
}

static size_t consume(struct response *response, const char *data, size_t size, body_sink sink, void *context) {
    size_t taken = size < response->remaining ? size : (size_t)response->remaining;
    if (sink != NULL)
        sink(context, data, taken);
    response->body_bytes += taken;
    response->remaining -= taken;
    if (response->remaining == 0)
        response->state = response->state == RESPONSE_SIZED ? RESPONSE_DONE : RESPONSE_CHUNK_END;
    return taken;
}

void response_feed(struct response *response, const char *data, size_t size, body_sink sink, void *context) {
    while (size > 0 && response->state != RESPONSE_BROKEN) {
        size_t taken;
        if (response->state == RESPONSE_DONE) {
            response->state = RESPONSE_BROKEN;
            return;
        }
        if (response->state == RESPONSE_SIZED || response->state == RESPONSE_CHUNK_DATA)
            taken = consume(response, data, size, sink, context);
        else
            taken = collect(response, data, size);
        data += taken;
        size -= taken;
    }
}
