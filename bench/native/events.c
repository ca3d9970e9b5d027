/* The event source: answers every request on its port with server-sent events, and nothing else.
 *
 *   events PORT
 *
 * The target's query says how many and how far apart: /mcp/events?count=1000&gap_us=0. Each event is 200 bytes, a chunk
 * of its own and a write of its own, and carries the time of its sending as "t=<19 digits, ns>". The last one is the
 * JSON-RPC answer to request 1. One thread, one epoll; a stream whose reader is slow waits for it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define STREAMS 4096
#define EVENT_BYTES 200

static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n";
static const char LAST[] = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}\n\n";

struct stream {
    int descriptor;
    bool open, streaming, blocked;
    size_t request_size, out_size, out_sent;
    uint64_t left, gap, due; /* events still to send, ns between them, when the next one is due */
    char request[32768], out[1024];
};

static int epoll, timer;
static struct stream streams[STREAMS];
static size_t stream_limit; /* one past the highest slot in use */

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static void watch(struct stream *stream, int operation, bool write) {
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = stream};
    epoll_ctl(epoll, operation, stream->descriptor, &event);
    stream->blocked = write;
}

static void end(struct stream *stream) {
    close(stream->descriptor);
    stream->open = stream->streaming = stream->blocked = false;
}

static bool flush(struct stream *stream) {
    while (stream->out_sent < stream->out_size) {
        ssize_t sent = send(stream->descriptor, stream->out + stream->out_sent, stream->out_size - stream->out_sent,
                            MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN && !stream->blocked)
                watch(stream, EPOLL_CTL_MOD, true);
            else if (errno != EAGAIN)
                end(stream);
            return false;
        }
        stream->out_sent += (size_t)sent;
    }
    if (stream->blocked)
        watch(stream, EPOLL_CTL_MOD, false);
    return true;
}

/* An event of exactly EVENT_BYTES with the current time, as one chunk. */
static void compose_event(struct stream *stream) {
    char event[EVENT_BYTES + 1];
    int size = snprintf(event, sizeof event,
                        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":"
                        "{\"progressToken\":1,\"progress\":1,\"message\":\"t=%019llu ",
                        (unsigned long long)now());
    memset(event + size, '.', (size_t)(EVENT_BYTES - 5 - size));
    memcpy(event + EVENT_BYTES - 5, "\"}}\n\n", 5);
    stream->out_size = (size_t)snprintf(stream->out, sizeof stream->out, "%x\r\n%.*s\r\n", EVENT_BYTES, EVENT_BYTES,
                                        event);
    stream->out_sent = 0;
}

/* Sends what is due; returns when the next event is, or 0 for nothing to wait for. */
static uint64_t advance(struct stream *stream) {
    if (!stream->streaming || stream->blocked)
        return 0;
    if (stream->left == 0) {
        stream->streaming = false;
        stream->out_sent = 0;
        stream->out_size = (size_t)snprintf(stream->out, sizeof stream->out, "%zx\r\n%s\r\n0\r\n\r\n", strlen(LAST), LAST);
        flush(stream);
        return 0;
    }
    uint64_t time = now();
    if (time < stream->due)
        return stream->due;
    compose_event(stream);
    stream->left--;
    stream->due += stream->gap;
    flush(stream);
    return stream->blocked || !stream->open ? 0 : (stream->gap > 0 ? stream->due : time);
}

static uint64_t query(const char *head, const char *name) {
    const char *found = strstr(head, name);
    return found == NULL ? 0 : strtoull(found + strlen(name), NULL, 10);
}

/* True when a whole request is in; its stream begins then. */
static bool begin(struct stream *stream) {
    stream->request[stream->request_size] = 0;
    char *body = strstr(stream->request, "\r\n\r\n");
    if (body == NULL)
        return false;
    const char *length = strcasestr(stream->request, "content-length:");
    size_t wanted = length == NULL ? 0 : strtoull(length + strlen("content-length:"), NULL, 10);
    if (stream->request_size < (size_t)(body + 4 - stream->request) + wanted)
        return false;
    stream->left = query(stream->request, "count=");
    stream->gap = query(stream->request, "gap_us=") * 1000;
    /* Streams that begin together do not tick together. */
    stream->due = now() + (stream->gap == 0 ? 0 : (uint64_t)random() % stream->gap);
    stream->request_size = 0;
    stream->streaming = true;
    memcpy(stream->out, HEAD, sizeof HEAD - 1);
    stream->out_size = sizeof HEAD - 1;
    stream->out_sent = 0;
    flush(stream);
    return true;
}

static void receive(struct stream *stream) {
    size_t room = sizeof stream->request - 1 - stream->request_size;
    ssize_t size = recv(stream->descriptor, stream->request + stream->request_size, room, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN) || (size > 0 && (size_t)size == room)) {
        end(stream);
        return;
    }
    if (size > 0) {
        stream->request_size += (size_t)size;
        begin(stream);
    }
}

static void accept_stream(int listener) {
    int one = 1;
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0)
        return;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t index = 0; index < STREAMS; index++) {
        if (streams[index].open)
            continue;
        streams[index].descriptor = descriptor;
        streams[index].open = true;
        streams[index].request_size = 0;
        watch(&streams[index], EPOLL_CTL_ADD, false);
        if (index >= stream_limit)
            stream_limit = index + 1;
        return;
    }
    close(descriptor);
}

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1024) < 0)
        return -1;
    return listener;
}

/* One event for each stream whose turn it is. Returns the timeout for epoll: none while events go back to back,
 * else the timer wakes us when the next is due. */
static int turn(void) {
    uint64_t next = 0;
    for (size_t index = 0; index < stream_limit; index++) {
        uint64_t due = advance(&streams[index]);
        if (due != 0 && (next == 0 || due < next))
            next = due;
    }
    if (next != 0 && next <= now())
        return 0;
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(next / SECOND), .tv_nsec = (long)(next % SECOND)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
    return -1;
}

int main(int argc, char **argv) {
    struct epoll_event ready[64], listening = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event ticking = {.events = EPOLLIN, .data.ptr = &timer};
    int listener = argc == 2 ? listen_on(atoi(argv[1])) : -1;
    if (listener < 0) {
        fprintf(stderr, "usage: events PORT (free)\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening);
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &ticking);
    for (int timeout = -1;;) {
        int count = epoll_wait(epoll, ready, 64, timeout);
        for (int index = 0; index < count; index++) {
            struct stream *stream = ready[index].data.ptr;
            uint64_t expirations;
            if (ready[index].data.ptr == NULL)
                accept_stream(listener);
            else if (ready[index].data.ptr == &timer)
                (void)!read(timer, &expirations, sizeof expirations);
            else if (stream->open && (ready[index].events & EPOLLOUT))
                flush(stream);
            else if (stream->open)
                receive(stream);
        }
        timeout = turn();
    }
}
