/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs leave to the daemon: answers that they cannot send without waking an
 * application that sleeps in recv() (bpf/quiet.bpf.h). They come up the ring buffer `handoff` and
 * go back down the injector as they are.
 */
#ifndef SLUICE_SLOWPATH_H
#define SLUICE_SLOWPATH_H

#include "kernel.h"
#include "loop.h"

struct slowpath {
	struct kernel *kernel;
	struct loop *loop;
	struct loop_source source;
	int injector[2]; /* the daemon writes to 0; 1 is in the kernel's table */
	int sink[2];	 /* 0 is in the kernel's table; 1 is its peer */
};

/* A slow path that is not open: slowpath_close() leaves it alone. */
#define SLOWPATH_NONE                                                                              \
	((struct slowpath){                                                                        \
		.source = LOOP_SOURCE_NONE, .injector = { -1, -1 }, .sink = { -1, -1 } })

/*
 * Make the sockets, prove that the sink is one, and begin to serve. path stays in place until
 * slowpath_close().
 *
 * Returns 0 or a negative errno: -ETIMEDOUT where the sink does not break as it should.
 */
int slowpath_open(struct slowpath *path, struct kernel *kernel, struct loop *loop);

/* Stop serving. The programs then wake the application. */
void slowpath_close(struct slowpath *path);

#endif
