/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ending a port's connections without cutting anything off: while a port drains, no connection is let
 * in and no request on one that is idle (bpf/guard.bpf.c); each is reset once nothing is under way on
 * it and the client has all that was sent.
 */
#ifndef SLUICE_DRAIN_H
#define SLUICE_DRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "kernel.h"

#define DRAIN_LOOK_MS 100 /* between two looks */

/* The connections of all ports that are draining, as of the last look. All zeros at first. */
struct drain {
	struct drained *seen; /* by cookie */
	size_t count;
};

/* Begin to drain a gated port, or have it go on as before. 0 or a negative errno. */
int drain_begin(struct kernel *kernel, uint16_t port);
int drain_cancel(struct kernel *kernel, uint16_t port);

/*
 * Likewise for what is left of ports that are gated no more: their connections stay gated until they
 * end, or the whole gate goes.
 */
void drain_begin_rest(struct kernel *kernel);
void drain_cancel_rest(struct kernel *kernel);

/*
 * Look at the connections, and reset those that were idle at the look before, too, without a request
 * between. To be called every DRAIN_LOOK_MS. Returns 0 or a negative errno.
 */
int drain_look(struct drain *drain, struct kernel *kernel);

/* How many connections of a port, 0 for all, the last look found. */
size_t drain_open(const struct drain *drain, uint16_t port);

void drain_forget(struct drain *drain);

#endif
