/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The relay's TCP sockets on loopback, which never carry anything: the sink, on which nothing can be
 * sent, so that what the gate's programs redirect to it is eaten (bpf/handoff.bpf.h); and the deliverer,
 * of which all that is sent is redirected to applications, and to their clients (bpf/inject.bpf.c).
 * Functions return 0 or a negative errno.
 */
#ifndef SLUICE_RELAY_SOCKETS_H
#define SLUICE_RELAY_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi.h"

/*
 * Make one. Once it is in its map, which takes it while it is whole, shut the sink's sending side.
 *
 * ret_pair	the socket, and its peer, which has to stay open
 *
 * -ENETDOWN: loopback is down.
 */
int relay_socket_pair(int ret_pair[2]);

/*
 * Wait until the kernel has found out that nothing can be sent, for which a buffer must have been
 * redirected to it. -ETIMEDOUT: it has not.
 */
int relay_sink_await_broken(int sink);

/*
 * Take what the injector's program passed (INJECTED_PASS) from the injector's other end, and give it to
 * the application that they are for (struct delivering).
 *
 * length	of what was passed, bytes: INJECT_BYTES_MAX at most
 *
 * -EPIPE: the connection has ended meanwhile, or some was given and there is no memory for the rest.
 * -ENOMEM, -EAGAIN: there is no memory for any. -EBADMSG, -EACCES: something else came out, or
 * the gate's program dropped it. Or what else the connection ended with.
 */
int relay_deliver(int injector, int deliverer, size_t length);

/*
 * Send an answer of the gate's own out of a connection.
 *
 * injecting	the map's element
 * record	HANDOFF_REPLY
 * length	bytes: REPLY_SIZE at most
 *
 * -EPIPE: the connection has ended, the application has its socket this moment, or only a part was sent.
 * -ENOMEM, -EAGAIN: there is no memory. -EACCES: the gate's program dropped it. Or what else the
 * connection ended with.
 */
int relay_reply(struct injecting *injecting, int deliverer, const struct handoff *record,
		const void *bytes, size_t length);

/*
 * Whether nothing can be sent on the deliverer any more, for any connection.
 *
 * injecting	the map's element
 * error	of relay_deliver() or relay_reply()
 */
bool relay_deliverer_is_broken(struct injecting *injecting, int deliverer, int error);

#endif
