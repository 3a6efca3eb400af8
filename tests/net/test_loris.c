// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Clients that hold on to what they can get: heads a byte a second, requests without end to an
 * application that does not answer. What they cost is bounded, and others do not notice.
 *
 * The daemon and the relay are the release builds here, for the figures.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cost.h"
#include "harness.h"
#include "http_client.h"
#include "stand_in.h"

#define CLIENTS	       500
#define CLIENTS_FULL   2000
#define SECONDS	       8
#define BEFORE_SECONDS 4
#define HEAD_MS	       10000 /* a head may take so long */
#define HEAD_LATE_MS   3000  /* and is then closed within */
#define PACE_US	       2000  /* between two requests of the client that is measured */

#define CPU_MAX	    25 /* percent of one processor, of daemon and relay together */
#define RSS_MAX_KIB (16 * 1024)
#define P99_TIMES   1.5
#define P99_SLACK_US                                                                               \
	300 /* what one turn of the scheduler is worth, where p99 is smaller than that */

#define HOARDERS       100
#define HOARD_SIZE     (4 * 1024 * 1024) /* bytes that each would send */
#define STORE_MAX_KIB  (64 * 1024)	 /* of all connections */
#define STORE_MORE_KIB (24 * 1024)	 /* room for what else the relay has */

/* --- a client among others ------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const uint32_t *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

/* p99 of one second's requests, in microseconds. */
static uint32_t measure_second(struct client *client, const char *key)
{
	uint32_t times[1000];
	uint64_t end_us = monotonic_us() + 1000000;
	size_t count = 0;

	while (monotonic_us() < end_us && count < ARRAY_SIZE(times)) {
		uint64_t start_us = monotonic_us();

		assert_int_equal(client_get(client, "/", key), 200);
		times[count++] = monotonic_us() - start_us;
		nanosleep(&(struct timespec){ .tv_nsec = PACE_US * 1000 }, NULL);
	}
	qsort(times, count, sizeof(times[0]), compare);
	return times[count * 99 / 100];
}

/* The median of the seconds' p99: a single disturbance from elsewhere does not count. */
static uint32_t median(uint32_t *values, size_t count)
{
	qsort(values, count, sizeof(values[0]), compare);
	return values[count / 2];
}

/* --- heads a byte a second -------------------------------------------------------------------------- */

static const char slow_head[] = "GET /slow HTTP/1.1\r\nHost: a\r\nX: ";

static struct client *connect_all(uint16_t port, size_t count)
{
	struct client *clients = calloc(count, sizeof(*clients));

	assert_non_null(clients);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(client_connect(&clients[i], port), 0);
	return clients;
}

static void send_bytes(struct client *clients, size_t count, size_t second)
{
	for (size_t i = 0; i < count; i++)
		send(clients[i].fd, &slow_head[second % (sizeof(slow_head) - 1)], 1,
		     MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Wait until each has been closed, in whatever way, and say how long after start_ms the last was. */
static uint64_t await_closed(struct client *clients, size_t count, uint64_t start_ms)
{
	char bytes[1024];

	for (size_t i = 0; i < count; i++) {
		struct pollfd readable = { .fd = clients[i].fd, .events = POLLIN };

		do {
			uint64_t now = monotonic_ms(), end = start_ms + HEAD_MS + HEAD_LATE_MS;

			if (poll(&readable, 1, now < end ? end - now : 0) != 1)
				fail_msg("connection %zu is still open after %llu ms", i,
					 (unsigned long long)(monotonic_ms() - start_ms));
		} while (recv(clients[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
		client_close(&clients[i]);
	}
	return monotonic_ms() - start_ms;
}

static void expect_cheap(const struct cost *before, const struct cost *after, uint64_t ms,
			 uint32_t p99_before, uint32_t p99)
{
	unsigned int percent = (after->cpu_ms - before->cpu_ms) * 100 / ms;

	printf("# daemon and relay: %u %% of a processor, %llu KiB, %llu KiB before; "
	       "p99 of another client: %u us, %u us before\n",
	       percent, (unsigned long long)after->rss_kib, (unsigned long long)before->rss_kib,
	       p99, p99_before);
	assert_in_range(percent, 0, CPU_MAX);
	assert_true(after->rss_kib < before->rss_kib + RSS_MAX_KIB);
	assert_true(p99 <= P99_TIMES * p99_before || p99 <= p99_before + P99_SLACK_US);
}

static void slow_heads(void **state)
{
	const struct application *application = &applications[NGINX];
	size_t count = full_run() ? CLIENTS_FULL : CLIENTS;
	uint32_t before[BEFORE_SECONDS], during[SECONDS];
	struct cost cost_before, cost_after;
	struct client *client, *clients;
	struct key key;
	uint64_t start_ms, closed_ms;

	(void)state;
	if (application->missing)
		skip();
	daemon_start();
	key = key_limited(10000, 100000);
	need_window_ms(20000);
	client = client_open(application->port);
	for (int i = 0; i < BEFORE_SECONDS; i++)
		before[i] = measure_second(client, key.text);
	cost_before = cost_of_gate();
	start_ms = monotonic_ms();
	clients = connect_all(application->port, count);
	for (int i = 0; i < SECONDS; i++) {
		send_bytes(clients, count, i);
		during[i] = measure_second(client, key.text);
	}
	cost_after = cost_of_gate();
	expect_cheap(&cost_before, &cost_after, monotonic_ms() - start_ms,
		     median(before, BEFORE_SECONDS), median(during, SECONDS));
	closed_ms = await_closed(clients, count, start_ms);
	printf("# %zu heads that never end: all closed after %llu ms\n", count,
	       (unsigned long long)closed_ms);
	free(clients);
	assert_true(closed_ms >= HEAD_MS - SECONDS * 10);
	expect_seen(application, "/slow", 0);
	assert_int_equal(client_get(client, "/", key.text), 200);
}

/* --- requests without end ----------------------------------------------------------------------------- */

/* Send as much as is taken. Returns how much that was. */
static size_t hoard(struct client *client, const char *bytes, size_t size)
{
	size_t sent = 0;

	while (sent < HOARD_SIZE) {
		struct pollfd writable = { .fd = client->fd, .events = POLLOUT };
		ssize_t n = send(client->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sent += n;
		else if (errno != EAGAIN || poll(&writable, 1, 20) != 1)
			break;
	}
	return sent;
}

/* A head in two pieces, which the relay has to keep. */
static int ask_in_pieces(uint16_t port, const char *key)
{
	struct client *client = client_open(port);
	struct response response;

	client_printf(client, "GET / HTTP/1.1\r\nHost: a\r\nAuthor");
	breathe();
	client_printf(client, "ization: Bearer %s\r\n\r\n", key);
	return client_read(client, false, &response) ? 0 : response.status;
}

static void hoarders(void **state)
{
	struct client *clients[HOARDERS];
	struct cost before, after;
	size_t size = 0, sent = 0;
	char *bytes = malloc(65536);
	struct key key;
	int server;

	(void)state;
	assert_non_null(bytes);
	daemon_start();
	key = key_limited(10000, 100000);
	while (size < 65536 - 256)
		size += sprintf(bytes + size,
				"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
				key.text);
	stand_in_listen();
	before = cost_of_gate();
	for (int i = 0; i < HOARDERS; i++) {
		clients[i] = stand_in_meet(&server);
		sent += hoard(clients[i], bytes, size);
	}
	free(bytes);
	after = cost_of_gate();
	printf("# %d clients sent %zu KiB ahead of their answers; daemon and relay: %llu KiB, %llu "
	       "KiB "
	       "before\n",
	       HOARDERS, sent / 1024, (unsigned long long)after.rss_kib,
	       (unsigned long long)before.rss_kib);
	assert_true(after.rss_kib < before.rss_kib + STORE_MAX_KIB + STORE_MORE_KIB);
	if (!applications[NGINX].missing) {
		assert_int_equal(client_get(client_open(applications[NGINX].port), "/", key.text),
				 200);
		assert_int_equal(ask_in_pieces(applications[NGINX].port, key.text), 200);
	}
	for (int i = 0; i < HOARDERS; i++)
		client_abort(clients[i]);
	stand_in_leave();
	if (!applications[NGINX].missing)
		assert_int_equal(ask_in_pieces(applications[NGINX].port, key.text), 200);
}

static const struct promise promises[] = {
	{ "heads a byte a second cost little, delay nobody, and are closed after their time",
	  slow_heads, ONCE },
	{ "requests without end to an application that does not answer: what is kept is bounded, "
	  "and "
	  "others are kept, too",
	  hoarders, ONCE },
};

int main(void)
{
	struct rlimit files;

	/* The applications inherit it. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	daemon_release = true;
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
