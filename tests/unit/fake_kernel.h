/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A kernel side in plain memory, in the place of user/kernel.c: keys by digest, usage by slot,
 * counts of what was called, failures on demand.
 */
#ifndef SLUICE_TEST_FAKE_KERNEL_H
#define SLUICE_TEST_FAKE_KERNEL_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

#define FAKE_PLACES (1 << 16) /* of the key table, open addressing */

struct kernel {
	uint32_t slots;
	struct key_usage *usage;
	struct key_policy *places;
	char *states; /* of places: 0 never used, 1 a key, 2 removed */
	uint32_t count;

	int puts;
	int removals;
	int fail_put; /* errno, 0: none */
	int fail_removal;
	void (*on_put)(const struct key_policy *policy);
	void (*on_removal)(const struct key_digest *digest);
};

static inline struct kernel *fake_kernel_make(uint32_t slots)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));

	kernel->slots = slots;
	kernel->usage = calloc(slots, sizeof(*kernel->usage));
	kernel->places = calloc(FAKE_PLACES, sizeof(*kernel->places));
	kernel->states = calloc(FAKE_PLACES, 1);
	return kernel;
}

static inline void fake_kernel_free(struct kernel *kernel)
{
	free(kernel->usage);
	free(kernel->places);
	free(kernel->states);
	free(kernel);
}

/* The place of a key, or the first that is free where it is not there. */
static inline uint32_t fake_kernel_place(const struct kernel *kernel,
					 const struct key_digest *digest)
{
	uint32_t place = digest->bytes[0] | (uint32_t)digest->bytes[1] << 8;

	while (kernel->states[place] == 2 ||
	       (kernel->states[place] == 1 &&
		memcmp(&kernel->places[place].digest, digest, sizeof(*digest)) != 0))
		place = (place + 1) % FAKE_PLACES;
	return place;
}

/* What is in force of a key, or NULL. */
static inline const struct key_policy *fake_kernel_key(const struct kernel *kernel,
						       const struct key_digest *digest)
{
	uint32_t place = fake_kernel_place(kernel, digest);

	return kernel->states[place] == 1 ? &kernel->places[place] : NULL;
}

int kernel_put_key(struct kernel *kernel, const struct key_policy *policy)
{
	uint32_t place = fake_kernel_place(kernel, &policy->digest);

	kernel->puts++;
	if (kernel->on_put)
		kernel->on_put(policy);
	if (kernel->fail_put)
		return -kernel->fail_put;
	kernel->count += kernel->states[place] != 1;
	kernel->states[place] = 1;
	kernel->places[place] = *policy;
	return 0;
}

int kernel_remove_key(struct kernel *kernel, const struct key_digest *digest)
{
	uint32_t place = fake_kernel_place(kernel, digest);

	kernel->removals++;
	if (kernel->on_removal)
		kernel->on_removal(digest);
	if (kernel->fail_removal)
		return -kernel->fail_removal;
	if (kernel->states[place] == 1) {
		kernel->states[place] = 2;
		kernel->count--;
	}
	return 0;
}

int kernel_each_key(struct kernel *kernel,
		    int (*visit)(const struct key_policy *policy, void *data), void *data)
{
	int ret = 0;

	for (uint32_t place = 0; !ret && place < FAKE_PLACES; place++) {
		if (kernel->states[place] == 1)
			ret = visit(&kernel->places[place], data);
	}
	return ret;
}

uint32_t kernel_slots(const struct kernel *kernel)
{
	return kernel->slots;
}

struct key_usage *kernel_usage(struct kernel *kernel, uint32_t slot)
{
	if (slot >= kernel->slots)
		abort();
	return &kernel->usage[slot];
}

#endif
