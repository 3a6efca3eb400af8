/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What fake_kernel.h leaves out of a kernel side: settings, gates and counters, all in `fake`; and the
 * shed, fake_shed.h.
 */
#ifndef SLUICE_TEST_FAKE_GATES_H
#define SLUICE_TEST_FAKE_GATES_H

#include "fake_kernel.h"
#include "fake_shed.h"

#define FAKE_GATES    8
#define FAKE_GUESSERS 2

struct fake_gate {
	bool used;
	bool own;
	uint16_t port;
	struct gate gate;
};

static struct {
	int failure;	  /* where not 0, what these functions return */
	int changes_left; /* of gates, where not 0: the last of them fails, once, with -ENOMEM */
	bool lasting;	  /* and so do all behind it */
	struct settings settings;
	struct fake_gate gates[FAKE_GATES];
	uint64_t counters[COUNTER_COUNT];
	uint64_t open;
	struct source guess_sources[FAKE_GUESSERS];
	struct guesses guesses[FAKE_GUESSERS];
	size_t guessers, all_guessers;
} fake;

bool kernel_taken_over(const struct kernel *kernel)
{
	(void)kernel;
	return false;
}

bool kernel_enforcing(const struct kernel *kernel)
{
	(void)kernel;
	return true;
}

const char *kernel_cgroup(const struct kernel *kernel)
{
	(void)kernel;
	return "/fake/cgroup";
}

struct settings *kernel_settings(struct kernel *kernel)
{
	(void)kernel;
	return &fake.settings;
}

void kernel_settle(void)
{
}

static inline int fake_change_gate(void)
{
	if (fake.changes_left && !--fake.changes_left) {
		fake.changes_left = fake.lasting;
		return -ENOMEM;
	}
	return fake.failure;
}

/* The gate of a port in this process' network namespace, or NULL. */
static inline struct fake_gate *fake_find_gate(uint16_t port)
{
	for (size_t i = 0; i < FAKE_GATES; i++)
		if (fake.gates[i].used && fake.gates[i].own && fake.gates[i].port == port)
			return &fake.gates[i];
	return NULL;
}

static inline void fake_add_gate(uint16_t port, bool own, const struct gate *gate)
{
	size_t free_at = 0;

	while (fake.gates[free_at].used)
		free_at++;
	fake.gates[free_at] = (struct fake_gate){ true, own, port, *gate };
}

int kernel_get_gate(struct kernel *kernel, uint16_t port, struct gate *ret_gate)
{
	const struct fake_gate *there = fake_find_gate(port);

	(void)kernel;
	if (there)
		*ret_gate = there->gate;
	return there ? 0 : -ENOENT;
}

int kernel_put_gate(struct kernel *kernel, uint16_t port, const struct gate *gate)
{
	struct fake_gate *there = fake_find_gate(port);
	int r = fake_change_gate();

	(void)kernel;
	if (r)
		return r;
	if (there)
		there->gate = *gate;
	else
		fake_add_gate(port, true, gate);
	return 0;
}

int kernel_remove_gate(struct kernel *kernel, uint16_t port)
{
	struct fake_gate *there = fake_find_gate(port);
	int r = fake_change_gate();

	(void)kernel;
	if (!r && there)
		there->used = false;
	return r;
}

int kernel_each_gate(struct kernel *kernel,
		     int (*visit)(const struct gate_key *key, const struct gate *gate, bool own,
				  void *data),
		     void *data)
{
	int r = fake.failure;

	(void)kernel;
	for (size_t i = 0; !r && i < FAKE_GATES; i++) {
		const struct fake_gate *at = &fake.gates[i];
		const struct gate_key key = { .netns_cookie = at->own, .port = at->port };

		if (at->used)
			r = visit(&key, &at->gate, at->own, data);
	}
	return r;
}

int kernel_read_open(struct kernel *kernel, uint64_t *ret_open)
{
	(void)kernel;
	if (!fake.failure)
		*ret_open = fake.open;
	return fake.failure;
}

uint32_t kernel_max_connections(const struct kernel *kernel)
{
	(void)kernel;
	return 1000;
}

uint32_t kernel_guess_sources(const struct kernel *kernel)
{
	(void)kernel;
	return 2000;
}

int kernel_read_guesses(struct kernel *kernel, size_t top, struct source *ret_sources,
			struct guesses *ret_made, size_t *ret_count, size_t *ret_all)
{
	(void)kernel;
	*ret_count = fake.guessers < top ? fake.guessers : top;
	memcpy(ret_sources, fake.guess_sources, *ret_count * sizeof(*ret_sources));
	memcpy(ret_made, fake.guesses, *ret_count * sizeof(*ret_made));
	*ret_all = fake.all_guessers;
	return fake.failure;
}

int kernel_read_counters(struct kernel *kernel, uint64_t ret_counters[COUNTER_COUNT])
{
	(void)kernel;
	if (!fake.failure)
		memcpy(ret_counters, fake.counters, sizeof(fake.counters));
	return fake.failure;
}

#endif
