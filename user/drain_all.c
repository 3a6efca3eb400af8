// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "drain_all.h"

#include <errno.h>

#include "drain.h"
#include "log.h"
#include "util.h"

struct draining {
	struct loop *loop;
	struct kernel *kernel;
	struct drain drain;
	uint16_t ports[GATES_MAX];
	size_t port_count;
	uint64_t end_ms; /* CLOCK_MONOTONIC */
	bool done;
	int result;
};

static int note_port(const struct gate_key *key, const struct gate *gate, bool own, void *data)
{
	struct draining *draining = data;

	(void)gate;
	if (own)
		draining->ports[draining->port_count++] = key->port;
	return 0;
}

static void on_look(void *data)
{
	struct draining *draining = data;
	int r = drain_look(&draining->drain, draining->kernel);

	if (!r && drain_open(&draining->drain, 0) && monotonic_ms() < draining->end_ms)
		return;
	draining->result = r;
	draining->done = true;
	loop_stop(draining->loop);
}

static int begin(struct draining *draining)
{
	int r = kernel_each_gate(draining->kernel, note_port, draining);

	for (size_t i = 0; !r && i < draining->port_count; i++)
		r = drain_begin(draining->kernel, draining->ports[i]);
	if (!r)
		drain_begin_rest(draining->kernel);
	return r;
}

static void cancel(struct draining *draining)
{
	drain_cancel_rest(draining->kernel);
	for (size_t i = 0; i < draining->port_count; i++)
		drain_cancel(draining->kernel, draining->ports[i]);
}

static int wait_for_end(struct draining *draining)
{
	struct loop_source timer = LOOP_SOURCE_NONE;
	int r = loop_add_timer(draining->loop, &timer, on_look, draining);

	if (!r)
		r = loop_set_timer(&timer, DRAIN_LOOK_MS, DRAIN_LOOK_MS);
	if (!r)
		r = loop_run(draining->loop);
	if (!r)
		r = draining->done ? draining->result : -EINTR;
	loop_remove(draining->loop, &timer);
	return r;
}

int drain_all(struct loop *loop, struct kernel *kernel, uint32_t seconds)
{
	struct draining draining = { .loop = loop,
				     .kernel = kernel,
				     .end_ms = monotonic_ms() + seconds * UINT64_C(1000) };
	size_t busy;
	int r = begin(&draining);

	if (!r)
		r = wait_for_end(&draining);
	busy = drain_open(&draining.drain, 0);
	if (r)
		cancel(&draining);
	else if (busy)
		log_warning("%zu connections are not at their end after %u s; they are reset.",
			    busy, seconds);
	drain_forget(&draining.drain);
	return r;
}
