// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "slowpath.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Milliseconds that the kernel may take to find out that nothing can be sent on the sink. */
#define SINK_TIMEOUT_MS 2000

/* A connected pair of TCP sockets on loopback. */
static int tcp_pair(int ret_pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = 0;

	ret_pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || ret_pair[0] < 0 ||
	    bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &length) ||
	    connect(ret_pair[0], (struct sockaddr *)&address, length))
		r = -errno;
	if (!r) {
		ret_pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (ret_pair[1] < 0)
			r = -errno;
	}
	if (listener >= 0)
		close(listener);
	return r;
}

/* One datagram down the injector. The kernel handles it before this returns. */
static void inject(const struct handoff *record, void *data)
{
	struct slowpath *path = data;

	/* What fails was for a connection that has ended. */
	if (send(path->injector[0], record, sizeof(*record), 0) < 0)
		return;
}

/*
 * Break the sink: its sending side is shut, so that the first buffer sent through it fails, and
 * the kernel takes no more for it. That failure shows as the socket's error.
 */
static int break_sink(struct slowpath *path)
{
	const struct handoff breaker = { .cookie = HANDOFF_SINK };
	struct pollfd broken = { .fd = path->sink[0] };
	socklen_t length = sizeof(int);
	int error = 0;

	if (shutdown(path->sink[0], SHUT_WR))
		return -errno;
	inject(&breaker, path);
	/* POLLERR is always reported. */
	if (poll(&broken, 1, SINK_TIMEOUT_MS) != 1)
		return -ETIMEDOUT;
	if (getsockopt(path->sink[0], SOL_SOCKET, SO_ERROR, &error, &length))
		return -errno;
	return error ? 0 : -ETIMEDOUT;
}

static void on_handoff(void *data)
{
	struct slowpath *path = data;

	kernel_read_handoff(path->kernel);
}

int slowpath_open(struct slowpath *path, struct kernel *kernel, struct loop *loop)
{
	int fd, r;

	*path = SLOWPATH_NONE;
	path->kernel = kernel;
	path->loop = loop;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, path->injector))
		return -errno;
	r = tcp_pair(path->sink);
	if (!r)
		r = kernel_put_injector(kernel, path->injector[1]);
	if (!r)
		r = kernel_put_sink(kernel, path->sink[0]);
	if (!r)
		r = break_sink(path);
	if (!r)
		r = kernel_open_handoff(kernel, inject, path, &fd);
	if (!r)
		r = loop_add_descriptor(loop, &path->source, fd, on_handoff, path);
	if (r)
		slowpath_close(path);
	return r;
}

void slowpath_close(struct slowpath *path)
{
	if (path->source.fd >= 0)
		loop_remove(path->loop, &path->source);
	for (int i = 0; i < 2; i++) {
		if (path->injector[i] >= 0)
			close(path->injector[i]);
		if (path->sink[i] >= 0)
			close(path->sink[i]);
	}
	*path = SLOWPATH_NONE;
}
