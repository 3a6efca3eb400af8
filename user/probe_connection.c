/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bench's connection, and waiting for it. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/tcp.h>

#include "probe_bench.h"
#include "util.h"

uint64_t bench_deadline(void)
{
	return monotonic_ms() + BENCH_PATIENCE_MS;
}

bool bench_is_over(uint64_t deadline_ms)
{
	return monotonic_ms() > deadline_ms;
}

void bench_breathe(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

bool bench_await(int fd, short events)
{
	struct pollfd awaited = { .fd = fd, .events = events };

	return poll(&awaited, 1, BENCH_PATIENCE_MS) == 1;
}

static bool set(int fd, int level, int option, int value)
{
	return !value || !setsockopt(fd, level, option, &value, sizeof(value));
}

bool bench_connect(struct bench *bench, const struct bench_buffers *buffers)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(bench->gate.port),
					     .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd;

	bench_disconnect(bench);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bench->client = fd;
	if (fd < 0 || !set(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return false;
	if (buffers && (!set(fd, SOL_SOCKET, SO_RCVBUF, buffers->receive) ||
			!set(fd, IPPROTO_TCP, TCP_MAXSEG, buffers->segment)))
		return false;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) && errno != EINPROGRESS)
		return false;
	return bench_await(fd, POLLOUT);
}

static in_port_t own_port(int fd)
{
	struct sockaddr_in address = { 0 };
	socklen_t length = sizeof(address);

	getsockname(fd, (struct sockaddr *)&address, &length);
	return address.sin_port;
}

/* Any process may connect to the bench while it stands; none but the probes' own is accepted. */
bool bench_accept(struct bench *bench, const struct bench_buffers *buffers)
{
	struct sockaddr_in6 peer;
	socklen_t length;

	for (;;) {
		length = sizeof(peer);
		if (!bench_await(bench->listener, POLLIN))
			return false;
		bench->server =
			accept4(bench->listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
		if (bench->server < 0)
			return false;
		if (peer.sin6_port == own_port(bench->client))
			break;
		close(bench->server);
	}
	return set(bench->server, IPPROTO_TCP, TCP_NODELAY, 1) &&
	       (!buffers || set(bench->server, SOL_SOCKET, SO_SNDBUF, buffers->send));
}

static void abort_one(int *fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (*fd < 0)
		return;
	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(*fd);
	*fd = -1;
}

void bench_disconnect(struct bench *bench)
{
	abort_one(&bench->client);
	abort_one(&bench->server);
	bench->sent = bench->kept_length = 0;
}

uint64_t bench_cookie(const struct bench *bench)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);

	getsockopt(bench->server, SOL_SOCKET, SO_COOKIE, &cookie, &length);
	return cookie;
}
