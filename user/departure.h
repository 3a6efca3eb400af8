/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ports that leave the gate while it stands: each drains, and is open to all once that is over. */
#ifndef SLUICE_DEPARTURE_H
#define SLUICE_DEPARTURE_H

#include "claim.h"
#include "config.h"
#include "drain.h"
#include "loop.h"

struct departures {
	struct kernel *kernel;
	struct claims *claims;
	struct config *config; /* in force; a port that is gone is taken out of it */
	struct loop_source timer;
	struct drain drain;
	struct {
		uint16_t port;
		uint64_t end_ms; /* CLOCK_MONOTONIC; from then on what is still open is reset */
	} ports[CONFIG_PORTS_MAX];
	size_t count;
	int result; /* of the last look */
};

/* loop, and what departures points to, must outlive it. */
int departure_open(struct departures *departures, struct loop *loop);
void departure_close(struct departures *departures, struct loop *loop);

/*
 * Have a gated port leave, within so many seconds. A gate that is put anew meanwhile stays.
 * -ENOENT: it is not gated, -EALREADY: it is about to leave.
 */
int departure_begin(struct departures *departures, uint16_t port, uint32_t seconds);

#endif
