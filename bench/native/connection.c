#define _GNU_SOURCE
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void watch(struct connection *connection, int operation, bool write) {
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = connection};
    connection->wants_write = write;
    epoll_ctl(connection->epoll, operation, connection->descriptor, &event);
}

static void want_write(struct connection *connection, bool write) {
    if (connection->wants_write != write)
        watch(connection, EPOLL_CTL_MOD, write);
}

static enum outcome fail(struct connection *connection) {
    ERR_clear_error(); /* or the next connection's SSL_get_error would see this one's failure */
    connection_close(connection);
    return OUTCOME_FAILED;
}

bool connection_open(struct connection *connection, int epoll, int port, const struct opening *opening) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(connection, 0, sizeof *connection);
    connection->epoll = epoll;
    connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->descriptor < 0)
        return false;
    setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(connection->descriptor, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        close(connection->descriptor);
        return false;
    }
    connection->opening = opening;
    if (opening->tls != NULL) {
        connection->tls = SSL_new(opening->tls);
        if (opening->server_name[0] != 0)
            SSL_set_tlsext_host_name(connection->tls, opening->server_name);
        SSL_set_fd(connection->tls, connection->descriptor);
        SSL_set_connect_state(connection->tls);
    }
    connection->state = CONNECTION_CONNECTING;
    watch(connection, EPOLL_CTL_ADD, true);
    return true;
}

void connection_close(struct connection *connection) {
    if (connection->state == CONNECTION_CLOSED)
        return;
    if (connection->tls != NULL)
        SSL_free(connection->tls);
    close(connection->descriptor);
    connection->tls = NULL;
    connection->state = CONNECTION_CLOSED;
}

void connection_finish(struct connection *connection) {
    if (connection->tls != NULL)
        SSL_shutdown(connection->tls);
    connection_close(connection);
}

/* The result of SSL_do_handshake, SSL_read or SSL_write: true when it only has to wait for the socket. */
static bool tls_waits(struct connection *connection, int result) {
    int error = SSL_get_error(connection->tls, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return false;
    want_write(connection, error == SSL_ERROR_WANT_WRITE);
    return true;
}

static enum outcome handshake(struct connection *connection) {
    int result = SSL_do_handshake(connection->tls);
    if (result == 1) {
        connection->state = CONNECTION_IDLE;
        want_write(connection, false);
        return OUTCOME_OPEN;
    }
    return tls_waits(connection, result) ? OUTCOME_WAIT : fail(connection);
}

static enum outcome reached(struct connection *connection) {
    if (connection->tls != NULL) {
        connection->state = CONNECTION_HANDSHAKING;
        return handshake(connection);
    }
    connection->state = CONNECTION_IDLE;
    want_write(connection, false);
    return OUTCOME_OPEN;
}

static enum outcome connected(struct connection *connection) {
    int error = 0;
    socklen_t size = sizeof error;
    size_t length = strlen(connection->opening->connect);
    getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
        return fail(connection);
    if (length == 0)
        return reached(connection);
    if (send(connection->descriptor, connection->opening->connect, length, MSG_NOSIGNAL) != (ssize_t)length)
        return fail(connection);
    connection->state = CONNECTION_TUNNELLING;
    want_write(connection, false);
    return OUTCOME_WAIT;
}

/* The proxy says nothing behind the head of its answer before we go on. */
static enum outcome tunnelled(struct connection *connection) {
    size_t have = connection->event_size, space = sizeof connection->event - 1 - have;
    ssize_t received = recv(connection->descriptor, connection->event + have, space, 0);
    if (received < 0 && errno == EAGAIN)
        return OUTCOME_WAIT;
    if (received <= 0)
        return fail(connection);
    connection->event_size = have += (size_t)received;
    connection->event[have] = 0;
    if (strstr(connection->event, "\r\n\r\n") == NULL)
        return have < sizeof connection->event - 1 ? OUTCOME_WAIT : fail(connection);
    if (strncmp(connection->event, "HTTP/1.1 200", 12) != 0)
        return fail(connection);
    connection->event_size = 0;
    return reached(connection);
}

static enum outcome write_on(struct connection *connection, const struct request *request) {
    while (connection->written < request->size) {
        const char *data = request->data + connection->written;
        size_t left = request->size - connection->written;
        ssize_t sent;
        if (connection->tls != NULL) {
            sent = SSL_write(connection->tls, data, (int)left);
            if (sent <= 0)
                return tls_waits(connection, (int)sent) ? OUTCOME_WAIT : fail(connection);
        } else {
            sent = send(connection->descriptor, data, left, MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) {
                want_write(connection, true);
                return OUTCOME_WAIT;
            }
            if (sent < 0)
                return fail(connection);
        }
        connection->written += (size_t)sent;
    }
    connection->state = CONNECTION_READING;
    want_write(connection, false);
    return OUTCOME_WAIT;
}

enum outcome connection_send(struct connection *connection, const struct request *request, uint64_t due) {
    connection->state = CONNECTION_WRITING;
    connection->written = 0;
    connection->due = due;
    connection->event_size = 0;
    response_start(&connection->response);
    return write_on(connection, request);
}

/* One read: returns its size, 0 when it has to wait, -1 when the connection is at its end. */
static ssize_t read_some(struct connection *connection, char *buffer, size_t size) {
    if (connection->tls != NULL) {
        int received = SSL_read(connection->tls, buffer, (int)size);
        if (received > 0)
            return received;
        return tls_waits(connection, received) ? 0 : -1;
    }
    ssize_t received = recv(connection->descriptor, buffer, size, 0);
    if (received > 0)
        return received;
    return received < 0 && errno == EAGAIN ? 0 : -1;
}

static enum outcome read_on(struct connection *connection, body_sink sink) {
    static char buffer[65536];
    for (;;) {
        ssize_t received = read_some(connection, buffer, sizeof buffer);
        if (received == 0)
            return OUTCOME_WAIT;
        if (received < 0)
            return fail(connection);
        response_feed(&connection->response, buffer, (size_t)received, sink, connection);
        if (connection->response.state == RESPONSE_BROKEN)
            return fail(connection);
        if (connection->response.state == RESPONSE_DONE) {
            connection->state = CONNECTION_IDLE;
            return OUTCOME_COMPLETE;
        }
        if (connection->tls == NULL && (size_t)received < sizeof buffer)
            return OUTCOME_WAIT;
    }
}

/* Between responses a TLS peer may still send session tickets or key updates; anything else is an error. */
static enum outcome read_idle(struct connection *connection) {
    char byte;
    return read_some(connection, &byte, 1) == 0 ? OUTCOME_WAIT : fail(connection);
}

enum outcome connection_advance(struct connection *connection, const struct request *request, body_sink sink) {
    switch (connection->state) {
    case CONNECTION_CONNECTING:
        return connected(connection);
    case CONNECTION_TUNNELLING:
        return tunnelled(connection);
    case CONNECTION_HANDSHAKING:
        return handshake(connection);
    case CONNECTION_WRITING:
        return write_on(connection, request);
    case CONNECTION_READING:
        return read_on(connection, sink);
    case CONNECTION_IDLE:
        return read_idle(connection);
    case CONNECTION_CLOSED:
        break;
    }
    return OUTCOME_WAIT;
}
