/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections to a protected port that are not enrolled: those that could not be, and those from
 * before the gate, once bytes come on them. The guard lets none through, so that they would hang; they
 * are reset. Until bytes come, what an application sends on one may come to its end.
 *
 * And records of connections that were enrolled and have ended, if nobody was told (kernel_forget_lost()).
 */
#ifndef SLUICE_UNGATED_H
#define SLUICE_UNGATED_H

#include "config.h"
#include "kernel.h"

/* What came of it so far. All zeros at first. */
struct ungated {
	uint64_t noticed;   /* how often the programs had met one */
	int result;	    /* of the last attempt */
	uint64_t looked_ms; /* when lost records were looked for last, CLOCK_MONOTONIC */
	int lost_result;    /* of that */
};

/*
 * To be called each second: end what the programs have met since, and each minute, or five
 * seconds where there is no place for another connection, forget what is lost. The log tells how many.
 */
void ungated_tick(struct ungated *ungated, struct kernel *kernel, const struct config *config);

#endif
