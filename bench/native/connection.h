/* One non-blocking client connection, plain or TLS, that sends the same request again and again. */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "response.h"

enum connection_state {
    CONNECTION_CLOSED,
    CONNECTION_CONNECTING,
    CONNECTION_TUNNELLING,
    CONNECTION_HANDSHAKING,
    CONNECTION_IDLE,
    CONNECTION_WRITING,
    CONNECTION_READING,
};

enum outcome {
    OUTCOME_WAIT,     /* nothing to report yet */
    OUTCOME_OPEN,     /* just became usable */
    OUTCOME_COMPLETE, /* a whole response is in */
    OUTCOME_FAILED,   /* refused, broken or closed by the peer */
};

struct connection {
    int descriptor;
    int epoll;
    SSL *tls;
    const struct opening *opening;
    enum connection_state state;
    bool wants_write;
    size_t written;
    uint64_t due; /* ns, when the request in flight was due */
    struct response response;
    size_t event_size;
    char event[1024]; /* the server-sent event that is being read, or the answer to CONNECT */
};

struct request {
    const char *data;
    size_t size;
};

/* How a connection begins: a CONNECT request to a proxy unless it is empty, then TLS unless there is no context. */
struct opening {
    char connect[1024];
    char server_name[256];
    SSL_CTX *tls;
};

/* Starts to connect to 127.0.0.1:port. Returns false when the kernel refuses at once. */
bool connection_open(struct connection *connection, int epoll, int port, const struct opening *opening);

/* Starts to send the request; `due` is what latency is counted from. */
enum outcome connection_send(struct connection *connection, const struct request *request, uint64_t due);

/* Goes on after epoll reported the descriptor. The sink gets the response's body, with the connection as context. */
enum outcome connection_advance(struct connection *connection, const struct request *request, body_sink sink);

/* Says goodbye as TLS clients do, and closes. */
void connection_finish(struct connection *connection);

void connection_close(struct connection *connection);

#endif
