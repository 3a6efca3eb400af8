/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sink: a connected TCP socket on loopback on which nothing can be sent. What the gate's programs
 * redirect to it is eaten (bpf/handoff.bpf.h). Functions return 0 or a negative errno.
 */
#ifndef SLUICE_RELAY_SINK_H
#define SLUICE_RELAY_SINK_H

/*
 * Make the socket. Once it is in the map, which takes it while it is whole, shut its sending side.
 *
 * ret_sink	the sink, and its peer, which has to stay open
 *
 * -ENETDOWN: loopback is down.
 */
int relay_sink_open(int ret_sink[2]);

/*
 * Wait until the kernel has found out that nothing can be sent, for which a buffer must have been
 * redirected to it. -ETIMEDOUT: it has not.
 */
int relay_sink_await_broken(int sink);

#endif
