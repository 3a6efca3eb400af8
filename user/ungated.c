// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <string.h>

#include "log.h"
#include "ungated.h"
#include "util.h"

/* How often lost records are looked for, and where no place is free. */
#define LOOK_MS	     60000
#define LOOK_FULL_MS 5000

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

static bool should_look(struct ungated *ungated, struct kernel *kernel)
{
	uint64_t now = monotonic_ms(), open;
	bool full = !kernel_read_open(kernel, &open) && open >= kernel_max_connections(kernel);

	if (now - ungated->looked_ms < (full ? LOOK_FULL_MS : LOOK_MS))
		return false;
	ungated->looked_ms = now;
	return true;
}

static void forget_lost(struct ungated *ungated, struct kernel *kernel)
{
	size_t count;
	int r = kernel_forget_lost(kernel, &count);

	if (count)
		log_warning("Connections that ended without the gate being called: %zu; their "
			    "places are free again. Another program on their sockets must have "
			    "seen to that: 'bpftool cgroup tree' lists sock_ops programs.",
			    count);
	if (r && r != ungated->lost_result)
		log_error("Connections that have ended cannot be forgotten: %s.", strerror(-r));
	ungated->lost_result = r;
}

static void end_noticed(struct ungated *ungated, struct kernel *kernel, const struct config *config)
{
	uint64_t noticed = ungated->noticed;

	/* Where it failed: the client sends again, and is met again. */
	if (read_noticed(kernel, &noticed) || noticed == ungated->noticed)
		return;
	ungated->noticed = noticed;
	end_all(ungated, kernel, config);
}

void ungated_tick(struct ungated *ungated, struct kernel *kernel, const struct config *config)
{
	end_noticed(ungated, kernel, config);
	if (should_look(ungated, kernel))
		forget_lost(ungated, kernel);
}
