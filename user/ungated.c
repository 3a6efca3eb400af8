// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <string.h>

#include "log.h"
#include "ungated.h"

/* How often the programs have met a connection that is not enrolled. */
static int read_noticed(struct kernel *kernel, uint64_t *ret_noticed)
{
	uint64_t counters[COUNTER_COUNT];
	int r = kernel_read_counters(kernel, counters);

	if (r)
		return r;
	*ret_noticed = counters[COUNTER_UNGATED_ROOM] + counters[COUNTER_UNGATED_AGENT] +
		       counters[COUNTER_UNGATED_PROTOCOL] + counters[COUNTER_UNGATED_MEMORY] +
		       counters[COUNTER_GUARD_DROPPED];
	return 0;
}

/* A lasting failure is told once. */
static void end_all(struct ungated *ungated, struct kernel *kernel, const struct config *config)
{
	int count = 0, r = 0;

	for (size_t i = 0; r >= 0 && i < config->port_count; i++) {
		r = kernel_reset_ungated(kernel, config->ports[i].port);
		count += r > 0 ? r : 0;
	}
	if (count)
		log_notice("Connections that were reset, because they are not gated: %d. "
			   "'sluice status' tells why they are not.",
			   count);
	if (r < 0 && r != ungated->result)
		log_error(
			"Connections that are not gated cannot be reset: %s. Nothing gets through "
			"to them all the same.",
			strerror(-r));
	ungated->result = r < 0 ? r : 0;
}

void ungated_tick(struct ungated *ungated, struct kernel *kernel, const struct config *config)
{
	uint64_t noticed = ungated->noticed;

	/* Where it failed: the client sends again, and is met again. */
	if (read_noticed(kernel, &noticed) || noticed == ungated->noticed)
		return;
	ungated->noticed = noticed;
	end_all(ungated, kernel, config);
}
