/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The distance between CLOCK_TAI, which BPF programs can read, and CLOCK_REALTIME, which windows
 * and expiry go by. Only leap seconds and the administrator change it.
 */
#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H

#include <stdint.h>

#include "loop.h"

/* CLOCK_TAI - CLOCK_REALTIME in nanoseconds. Returns 0 or a negative errno. */
int clock_tai_offset(uint64_t *ret_ns);

/* Calls back when somebody sets the system's clock or its TAI offset. */
struct clock_watch {
	struct loop_source source;
	loop_callback *callback;
	void *data;
};

int clock_watch_start(struct clock_watch *ret_watch, struct loop *loop, loop_callback *callback,
		      void *data);
void clock_watch_stop(struct clock_watch *watch, struct loop *loop);

#endif
