// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "drain.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "sockets.h"
#include "util.h"

/* What a look gathers. */
struct look {
	struct drained *seen;
	size_t count, room;
};

static int set_draining(struct kernel *kernel, uint16_t port, bool draining)
{
	struct gate gate;
	int r = kernel_get_gate(kernel, port, &gate);

	if (r)
		return r;
	gate.draining = draining;
	r = kernel_put_gate(kernel, port, &gate);
	/* Packets that the guard has let pass are with TCP then. */
	kernel_settle();
	return r;
}

int drain_begin(struct kernel *kernel, uint16_t port)
{
	return set_draining(kernel, port, true);
}

int drain_cancel(struct kernel *kernel, uint16_t port)
{
	return set_draining(kernel, port, false);
}

static void set_leaving(struct kernel *kernel, uint32_t leaving)
{
	__atomic_store_n(&kernel_settings(kernel)->leaving, leaving, __ATOMIC_SEQ_CST);
	kernel_settle();
}

void drain_begin_rest(struct kernel *kernel)
{
	set_leaving(kernel, 1);
}

void drain_cancel_rest(struct kernel *kernel)
{
	set_leaving(kernel, 0);
}

static int note(const struct drained *drained, void *data)
{
	struct look *look = data;
	size_t room = look->room ? 2 * look->room : 64;
	struct drained *grown;

	if (look->count == look->room) {
		grown = reallocarray(look->seen, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		look->seen = grown;
		look->room = room;
	}
	look->seen[look->count++] = *drained;
	return 0;
}

static int by_cookie(const void *a, const void *b)
{
	uint64_t left = ((const struct drained *)a)->cookie;
	uint64_t right = ((const struct drained *)b)->cookie;

	return (left > right) - (left < right);
}

/* Whether it was idle at the last look, and no request has come since. */
static bool stays_idle(const struct drain *drain, const struct drained *now)
{
	const struct drained *before =
		drain->count ? bsearch(now, drain->seen, drain->count, sizeof(*now), by_cookie)
			     : NULL;

	return before && before->idle && now->idle && before->turns == now->turns;
}

static int reset_idle(const struct drain *drain, const struct look *look)
{
	_cleanup_free_ uint64_t *cookies = calloc(look->count + 1, sizeof(*cookies));
	size_t count = 0;
	int r;

	if (!cookies)
		return -ENOMEM;
	for (size_t i = 0; i < look->count; i++)
		if (stays_idle(drain, &look->seen[i]))
			cookies[count++] = look->seen[i].cookie;
	r = count ? sockets_reset_some(cookies, count) : 0;
	return r < 0 ? r : 0;
}

int drain_look(struct drain *drain, struct kernel *kernel)
{
	struct look look = { 0 };
	int r = kernel_each_drained(kernel, note, &look);

	if (!r && look.count)
		qsort(look.seen, look.count, sizeof(*look.seen), by_cookie);
	if (!r)
		r = reset_idle(drain, &look);
	if (r) {
		free(look.seen);
		return r;
	}
	free(drain->seen);
	*drain = (struct drain){ look.seen, look.count };
	return 0;
}

size_t drain_open(const struct drain *drain, uint16_t port)
{
	size_t open = 0;

	for (size_t i = 0; i < drain->count; i++)
		open += !port || drain->seen[i].port == port;
	return open;
}

void drain_forget(struct drain *drain)
{
	free(drain->seen);
	*drain = (struct drain){ 0 };
}
