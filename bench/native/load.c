/* The load generator: one thread, one epoll, commands on stdin, one line of JSON on stdout for each.
 *
 *   load PORT CONNECTIONS [CA CERT KEY]      with them by mutual TLS
 *   load PORT CONNECTIONS CA HOST:PORT       through a proxy to there (CONNECT), and TLS inside
 *
 *   request PATH            what to send from now on: the raw bytes of the file
 *   open N SECONDS          open connections until N are usable
 *   run COUNT SECONDS       closed loop on every open connection until COUNT responses
 *   each SECONDS            every connection makes one request
 *   churn COUNT SECONDS     a new connection for each request, CONNECTIONS at a time; latency counts from connect
 *   rate PER_SECOND SECONDS open loop: requests are due at fixed times, latency counts from then
 *   stream SECONDS          every connection makes one request, answered by server-sent events
 *   close                   closes all connections
 *
 * Every command ends by its time limit at the latest; a response that is no 200 or has another length than the first
 * one counts as an error. */
#define _GNU_SOURCE
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"

#define SECOND 1000000000ull
#define GRACE (5 * SECOND)
#define SAMPLES 4000000
#define STAMP "t="
#define STAMP_DIGITS 19

static int epoll, timer, port;
static struct opening opening;
static struct connection *connections;
static struct connection **idle; /* those free for the next request of `rate` */
static size_t capacity, opened, idle_count;
static struct request request;
static uint32_t *samples; /* latencies in units of 100 ns */
static size_t sample_count, errors, completed, events;
static uint64_t expected_body;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static void sample(uint64_t since) {
    if (sample_count < SAMPLES)
        samples[sample_count++] = (uint32_t)((now() - since) / 100);
}

static int ascending(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Nearest rank, in microseconds. */
static double percentile(double share) {
    if (sample_count == 0)
        return 0;
    size_t rank = (size_t)(share * (double)sample_count);
    return samples[rank < sample_count ? rank : sample_count - 1] / 10.0;
}

static void reply(double seconds) {
    qsort(samples, sample_count, sizeof *samples, ascending);
    printf("{\"open\":%zu,\"requests\":%zu,\"errors\":%zu,\"events\":%zu,\"seconds\":%.6f,\"p50_us\":%.1f,"
           "\"p99_us\":%.1f,\"max_us\":%.1f}\n",
           opened, completed, errors, events, seconds, percentile(0.50), percentile(0.99), percentile(1.0));
    fflush(stdout);
}

static void reset(void) { sample_count = errors = completed = events = 0; }

/* Collects one server-sent event; at its end takes the time stamp that the source wrote into it. */
static void event_sink(void *context, const char *data, size_t size) {
    struct connection *connection = context;
    for (size_t index = 0; index < size; index++) {
        if (connection->event_size + 1 < sizeof connection->event)
            connection->event[connection->event_size++] = data[index];
        size_t length = connection->event_size;
        if (length < 2 || data[index] != '\n' || connection->event[length - 2] != '\n')
            continue;
        connection->event[length] = 0;
        connection->event_size = 0;
        events++;
        const char *stamp = strstr(connection->event, STAMP);
        if (stamp != NULL && strlen(stamp) > strlen(STAMP) + STAMP_DIGITS)
            sample(strtoull(stamp + strlen(STAMP), NULL, 10));
    }
}

static void finished(struct connection *connection, bool timed) {
    if (expected_body == 0)
        expected_body = connection->response.body_bytes;
    if (connection->response.status != 200 || (timed && connection->response.body_bytes != expected_body))
        errors++;
    if (timed)
        sample(connection->due);
    completed++;
}

static void lost(void) {
    errors++;
    opened--;
}

static size_t wait_events(struct epoll_event *ready, size_t size, uint64_t deadline) {
    uint64_t time = now();
    int count = epoll_wait(epoll, ready, (int)size, time < deadline ? (int)((deadline - time) / 1000000) + 1 : 0);
    return count < 0 ? 0 : (size_t)count;
}

static void command_open(size_t target, uint64_t deadline) {
    struct epoll_event ready[64];
    size_t next = opened, pending = 0;
    while (opened < target && now() < deadline && errors < target) {
        /* A few handshakes at a time, so that no backlog overflows. */
        while (next < target && pending < 16) {
            if (connection_open(&connections[next], epoll, port, &opening))
                pending++;
            else
                errors++;
            next++;
        }
        size_t count = wait_events(ready, 64, deadline);
        for (size_t index = 0; index < count; index++) {
            enum outcome outcome = connection_advance(ready[index].data.ptr, &request, NULL);
            if (outcome == OUTCOME_WAIT)
                continue;
            pending--;
            if (outcome == OUTCOME_OPEN)
                opened++;
            else
                errors++;
        }
        if (pending == 0 && next == target)
            break;
    }
}

static void command_close(void) {
    for (size_t index = 0; index < capacity; index++)
        connection_close(&connections[index]);
    opened = 0;
}

/* Every connection sends at once; with `again` each sends anew until `count` requests are out. */
static void closed_loop(size_t count, bool again, body_sink sink, uint64_t deadline) {
    struct epoll_event ready[64];
    size_t sent = 0, flying = 0;
    for (size_t index = 0; index < capacity && sent < count; index++) {
        if (connections[index].state != CONNECTION_IDLE)
            continue;
        sent++;
        if (connection_send(&connections[index], &request, now()) == OUTCOME_FAILED)
            lost();
        else
            flying++;
    }
    /* What is in flight when the time is up still gets some seconds to come back. */
    while (flying > 0 && now() < deadline + GRACE) {
        size_t found = wait_events(ready, 64, deadline + GRACE);
        for (size_t index = 0; index < found; index++) {
            struct connection *connection = ready[index].data.ptr;
            bool busy = connection->state >= CONNECTION_WRITING;
            enum outcome outcome = connection_advance(connection, &request, sink);
            if (outcome == OUTCOME_WAIT)
                continue;
            if (outcome == OUTCOME_COMPLETE)
                finished(connection, sink == NULL);
            if (outcome == OUTCOME_FAILED)
                lost();
            if (busy)
                flying--;
            if (outcome == OUTCOME_COMPLETE && again && sent < count && now() < deadline) {
                sent++;
                if (connection_send(connection, &request, now()) == OUTCOME_FAILED)
                    lost();
                else
                    flying++;
            }
        }
    }
    errors += flying;
}

static bool churn_open(struct connection *connection) {
    uint64_t start = now();
    if (!connection_open(connection, epoll, port, &opening)) {
        errors++;
        return false;
    }
    connection->due = start;
    return true;
}

/* In TLS 1.3 a client has finished before its certificate was looked at: only the answer tells that it was taken. */
static void churn(size_t count, uint64_t deadline) {
    struct epoll_event ready[64];
    size_t started = 0, flying = 0;
    for (; started < capacity && started < count; started++)
        flying += churn_open(&connections[started]);
    while (flying > 0 && now() < deadline + GRACE) {
        size_t found = wait_events(ready, 64, deadline + GRACE);
        for (size_t index = 0; index < found; index++) {
            struct connection *connection = ready[index].data.ptr;
            enum outcome outcome = connection_advance(connection, &request, NULL);
            if (outcome == OUTCOME_OPEN)
                outcome = connection_send(connection, &request, connection->due);
            if (outcome == OUTCOME_WAIT)
                continue;
            if (outcome == OUTCOME_COMPLETE) {
                finished(connection, true);
                connection_finish(connection);
            } else {
                errors++;
            }
            flying--;
            if (started < count && now() < deadline) {
                started++;
                flying += churn_open(connection);
            }
        }
    }
    errors += flying;
    command_close();
}

static void arm(uint64_t due) {
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due / SECOND), .tv_nsec = (long)(due % SECOND)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void command_rate(uint64_t per_second, uint64_t seconds) {
    struct epoll_event ready[64], tick = {.events = EPOLLIN, .data.ptr = NULL};
    uint64_t gap = SECOND / per_second, total = per_second * seconds, sent = 0, due = now() + gap;
    uint64_t deadline = due + seconds * SECOND + GRACE;
    idle_count = 0;
    for (size_t index = 0; index < capacity; index++)
        if (connections[index].state == CONNECTION_IDLE)
            idle[idle_count++] = &connections[index];
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &tick);
    arm(due);
    while (completed + errors < total && opened > 0 && now() < deadline) {
        size_t found = wait_events(ready, 64, deadline);
        for (size_t index = 0; index < found; index++) {
            struct connection *connection = ready[index].data.ptr;
            uint64_t expirations;
            if (connection == NULL) {
                if (read(timer, &expirations, sizeof expirations) < 0)
                    errors++;
                continue;
            }
            enum outcome outcome = connection_advance(connection, &request, NULL);
            if (outcome == OUTCOME_COMPLETE) {
                finished(connection, true);
                idle[idle_count++] = connection;
            } else if (outcome == OUTCOME_FAILED) {
                lost();
            }
        }
        while (sent < total && due <= now() && idle_count > 0) {
            if (connection_send(idle[--idle_count], &request, due) == OUTCOME_FAILED)
                lost();
            sent++;
            due += gap;
        }
        if (sent < total && due > now())
            arm(due);
    }
    epoll_ctl(epoll, EPOLL_CTL_DEL, timer, NULL);
}

static bool command_request(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    char *data = malloc(1 << 20);
    if (data == NULL) {
        fclose(file);
        return false;
    }
    free((void *)request.data);
    request.size = fread(data, 1, 1 << 20, file);
    request.data = data;
    expected_body = 0;
    fclose(file);
    return request.size > 0;
}

static SSL_CTX *tls_context(const char *authority, const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(context, authority, NULL) != 1 ||
        (certificate != NULL && SSL_CTX_use_certificate_chain_file(context, certificate) != 1) ||
        (key != NULL && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)) {
        ERR_print_errors_fp(stderr);
        exit(2);
    }
    return context;
}

static void tunnel_to(const char *authority) {
    snprintf(opening.connect, sizeof opening.connect, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority);
    snprintf(opening.server_name, sizeof opening.server_name, "%.*s", (int)strcspn(authority, ":"), authority);
}

static bool execute(char *line) {
    char word[16] = "", path[4096] = "";
    double first = 0, second = 0;
    uint64_t start;
    reset();
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "%15s", word) != 1)
        return false;
    if (strcmp(word, "request") == 0 && sscanf(line, "request %4095[^\n]", path) == 1) {
        if (!command_request(path))
            return false;
        start = now();
    } else if (sscanf(line, "%*s %lf %lf", &first, &second) >= 0 && strcmp(word, "open") == 0) {
        start = now();
        command_open((size_t)first < capacity ? (size_t)first : capacity, start + (uint64_t)(second * SECOND));
    } else if (strcmp(word, "run") == 0) {
        start = now();
        closed_loop((size_t)first, true, NULL, start + (uint64_t)(second * SECOND));
    } else if (strcmp(word, "each") == 0) {
        start = now();
        closed_loop(capacity, false, NULL, start + (uint64_t)(first * SECOND));
    } else if (strcmp(word, "churn") == 0) {
        command_close();
        start = now();
        churn((size_t)first, start + (uint64_t)(second * SECOND));
    } else if (strcmp(word, "rate") == 0) {
        start = now();
        command_rate((uint64_t)first, (uint64_t)second);
    } else if (strcmp(word, "stream") == 0) {
        start = now();
        closed_loop(capacity, false, event_sink, start + (uint64_t)(first * SECOND));
    } else if (strcmp(word, "close") == 0) {
        start = now();
        command_close();
    } else {
        return false;
    }
    reply((double)(now() - start) / SECOND);
    return true;
}

int main(int argc, char **argv) {
    char line[8192];
    if (argc < 3 || argc == 4 || argc > 6) {
        fprintf(stderr, "usage: load PORT CONNECTIONS [CA CERT KEY | CA HOST:PORT]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    port = atoi(argv[1]);
    capacity = (size_t)atoi(argv[2]);
    if (argc == 6)
        opening.tls = tls_context(argv[3], argv[4], argv[5]);
    if (argc == 5) {
        opening.tls = tls_context(argv[3], NULL, NULL);
        tunnel_to(argv[4]);
    }
    connections = calloc(capacity, sizeof *connections);
    idle = calloc(capacity, sizeof *idle);
    samples = malloc(SAMPLES * sizeof *samples);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (connections == NULL || idle == NULL || samples == NULL || epoll < 0 || timer < 0)
        return 1;
    while (fgets(line, sizeof line, stdin) != NULL)
        if (!execute(line)) {
            fprintf(stderr, "load: cannot do: %s\n", line);
            return 2;
        }
    return 0;
}
