// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "departure.h"

#include <errno.h>
#include <string.h>

#include "log.h"
#include "sockets.h"
#include "util.h"

static void remove_at(struct departures *departures, size_t at)
{
	departures->ports[at] = departures->ports[--departures->count];
	if (!departures->count) {
		loop_stop_timer(&departures->timer);
		drain_forget(&departures->drain);
	}
}

static void forget_port(struct config *config, uint16_t port)
{
	const struct config_port *at = config_find_port(config, port);

	if (at)
		config->ports[at - config->ports] = config->ports[--config->port_count];
}

/* The port is out of the gate. */
static void let_go(struct departures *departures, uint16_t port)
{
	claim_drop(departures->claims, port);
	forget_port(departures->config, port);
}

/* Nothing is open any more, or its time is up. Where something fails, the next look tries again. */
static int finish(struct departures *departures, uint16_t port)
{
	int reset = sockets_reset(port);
	int r = reset < 0 ? reset : kernel_remove_gate(departures->kernel, port);

	if (r)
		return r;
	kernel_settle();
	let_go(departures, port);
	log_notice("Port %u is out of the gate and open to all. Connections that were reset: %d.",
		   port, reset);
	return 0;
}

/*
 * known	it was found out which connections are open
 *
 * Returns 1 where the port at that place has left, or is to stay after all.
 */
static int look_at(struct departures *departures, size_t at, bool known)
{
	uint16_t port = departures->ports[at].port;
	struct gate gate;
	int r = kernel_get_gate(departures->kernel, port, &gate);

	if (r == -ENOENT) {
		let_go(departures, port);
		log_notice("Port %u is out of the gate already and open to all.", port);
		return 1;
	}
	if (!r && !gate.draining) {
		log_notice("Port %u stays in the gate: it was configured anew.", port);
		return 1;
	}
	if (r)
		return r;
	if ((!known || drain_open(&departures->drain, port)) &&
	    monotonic_ms() < departures->ports[at].end_ms)
		return 0;
	r = finish(departures, port);
	return r ? r : 1;
}

static void on_look(void *data)
{
	struct departures *departures = data;
	int looked = drain_look(&departures->drain, departures->kernel), r = 0;

	for (size_t i = 0; !r && i < departures->count;) {
		int left = look_at(departures, i, !looked);

		if (left > 0)
			remove_at(departures, i);
		else
			i++;
		r = left < 0 ? left : 0;
	}
	r = r ? r : looked;
	if (r && r != departures->result)
		log_error("A port cannot leave the gate: %s. It is tried again.", strerror(-r));
	departures->result = r;
}

int departure_open(struct departures *departures, struct loop *loop)
{
	return loop_add_timer(loop, &departures->timer, on_look, departures);
}

void departure_close(struct departures *departures, struct loop *loop)
{
	loop_remove(loop, &departures->timer);
	drain_forget(&departures->drain);
}

int departure_begin(struct departures *departures, uint16_t port, uint32_t seconds)
{
	int r;

	for (size_t i = 0; i < departures->count; i++)
		if (departures->ports[i].port == port)
			return -EALREADY;
	if (departures->count == CONFIG_PORTS_MAX)
		return -EMFILE;
	r = drain_begin(departures->kernel, port);
	if (r)
		return r;
	r = loop_set_timer(&departures->timer, DRAIN_LOOK_MS, DRAIN_LOOK_MS);
	if (r) { /* nobody would look */
		drain_cancel(departures->kernel, port);
		return r;
	}
	departures->ports[departures->count].port = port;
	departures->ports[departures->count++].end_ms = monotonic_ms() + seconds * UINT64_C(1000);
	return 0;
}
