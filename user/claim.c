/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A claim is a listening socket with an abstract name (unix(7)): such names belong to the network
 * namespace, as ports do, and go with the process. Nothing is ever read from it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "claim.h"
#include "log.h"
#include "util.h"

/* Connections of daemons that ask who we are, between two calls of claims_tick(). */
#define BACKLOG	    64
#define ASK_SECONDS 3 /* for a place in the other's queue */

static socklen_t make_address(uint16_t port, struct sockaddr_un *ret_address)
{
	int length;

	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	length = snprintf(ret_address->sun_path + 1, sizeof(ret_address->sun_path) - 1,
			  "sluice-port-%u", port);
	return offsetof(struct sockaddr_un, sun_path) + 1 + length;
}

/* Who listens at address. Returns 0 or a negative errno. */
static int find_holder(const struct sockaddr_un *address, socklen_t length,
		       struct ucred *ret_holder)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval patience = { .tv_sec = ASK_SECONDS };
	socklen_t size = sizeof(*ret_holder);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (const struct sockaddr *)address, length) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_holder, &size))
		return -errno;
	return 0;
}

/*
 * The name is taken. Any user can take one, but only root, or our own user, runs another daemon: a
 * claim of anybody else's, or of somebody who does not answer, must not keep the gate down.
 */
static int judge_holder(uint16_t port, const struct sockaddr_un *address, socklen_t length,
			char *why, size_t why_size)
{
	struct ucred holder;

	if (find_holder(address, length, &holder) || (holder.uid && holder.uid != geteuid())) {
		log_warning("somebody who is no sluiced claims port %u; not heeded", port);
		return 0;
	}
	snprintf(
		why, why_size,
		"Port %u is already protected by another sluiced (pid %d) with a pin folder of its "
		"own; stop that one and run sluiced --remove with its --pin first.",
		port, (int)holder.pid);
	return -EADDRINUSE;
}

static size_t find(const struct claims *claims, uint16_t port)
{
	size_t at = 0;

	while (at < claims->count && claims->held[at].port != port)
		at++;
	return at;
}

bool claim_holds(const struct claims *claims, uint16_t port)
{
	return find(claims, port) < claims->count;
}

void claim_drop(struct claims *claims, uint16_t port)
{
	size_t at = find(claims, port);

	if (at == claims->count)
		return;
	close(claims->held[at].fd);
	claims->held[at] = claims->held[--claims->count];
}

void claims_tick(const struct claims *claims)
{
	for (size_t i = 0; i < claims->count; i++) {
		for (int fd; (fd = accept(claims->held[i].fd, NULL, NULL)) >= 0;)
			close(fd);
	}
}

int claim_port(struct claims *claims, uint16_t port, char *why, size_t why_size)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t length = make_address(port, &address);
	int r = 0;

	if (claim_holds(claims, port))
		return 0;
	if (claims->count == CLAIMS_MAX)
		r = -EMFILE;
	else if (fd < 0)
		r = -errno;
	else if (bind(fd, (const struct sockaddr *)&address, length))
		r = -errno;
	else if (listen(fd, BACKLOG))
		r = -errno;
	if (r == -EADDRINUSE)
		r = judge_holder(port, &address, length, why, why_size);
	else if (r)
		snprintf(why, why_size, "Port %u cannot be claimed: %s.", port, strerror(-r));
	if (r)
		return r;
	claims->held[claims->count].port = port;
	claims->held[claims->count++].fd = fd;
	fd = -1;
	return 0;
}
