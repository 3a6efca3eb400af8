// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "control_callers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "util.h"

#define REQUEST_MS (CALLER_REQUEST_SECONDS * 1000)

static unsigned count_of(const struct callers *callers, uid_t uid)
{
	const struct caller *caller;
	unsigned count = 0;

	LIST_FOREACH(caller, callers, others)
	count += caller->uid == uid;
	return count;
}

int callers_add(struct callers *callers, int fd, struct caller **ret_caller)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct caller *caller;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return -errno;
	if (peer.uid && count_of(callers, peer.uid) >= CALLER_CONNECTIONS_MAX)
		return -EUSERS;
	caller = calloc(1, sizeof(*caller));
	if (!caller)
		return -ENOMEM;
	*caller = (struct caller){ .fd = fd, .uid = peer.uid, .pid = peer.pid };
	caller_renew(caller);
	LIST_INSERT_HEAD(callers, caller, others);
	*ret_caller = caller;
	return 0;
}

void callers_remove(struct caller *caller)
{
	LIST_REMOVE(caller, others);
	free(caller);
}

void caller_renew(struct caller *caller)
{
	caller->end_ms = monotonic_ms() + REQUEST_MS;
}

uint64_t callers_hang_up(struct callers *callers)
{
	uint64_t now = monotonic_ms(), next = UINT64_MAX;
	struct caller *caller;

	LIST_FOREACH(caller, callers, others)
	{
		if (caller->end_ms <= now) {
			shutdown(caller->fd, SHUT_RDWR);
			caller_renew(caller); /* while its owner has not closed it */
		}
		if (caller->end_ms - now < next)
			next = caller->end_ms - now;
	}
	return next;
}
