// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Making the kernel's keys equal to the store's when the daemon starts. One walk over the map, and two over
 * the store where keys are missing in the kernel; what is right already is not written again.
 */
#include "sync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sync_state.h"
#include "util.h"

/* What is known while the two sides are compared. */
struct comparison {
	struct sync *sync;
	struct key_policy *policies; /* that the kernel has, by slot; of a free one, all 0 */
	size_t active;		     /* keys, in the store */
	size_t missing;		     /* of these, in the kernel's */
	uint64_t at_ms;
};

/*
 * Enter a key of the kernel's as one that the store may have, too. One whose slot cannot be its own goes:
 * it comes back with a new slot and the usage that was saved of it.
 */
static int enter_policy(const struct key_policy *policy, void *data)
{
	struct comparison *comparison = data;
	struct sync *sync = comparison->sync;

	if (policy->slot >= sync->table.slots || sync->table.entries[policy->slot].taken)
		return sync_take_out(sync, policy->slot, &policy->digest);
	comparison->policies[policy->slot] = *policy;
	sync_table_enter(&sync->table, policy->slot,
			 &(struct key_record){ .digest = policy->digest });
	return 0;
}

/* Keep a key that both sides have, and its live usage with it. */
static int keep_key(struct comparison *comparison, struct sync_entry *entry,
		    const struct key_record *record)
{
	struct sync *sync = comparison->sync;
	uint32_t slot = (uint32_t)(entry - sync->table.entries);
	struct key_policy wanted;

	sync_table_note(entry, record);
	sync_policy(record, slot, kernel_usage(sync->kernel, slot)->version, &wanted);
	/* A daemon that was killed amid a change leaves another version. */
	if (memcmp(&wanted, &comparison->policies[slot], sizeof(wanted)) == 0)
		return 0;
	wanted.version = sync_renew(sync, slot);
	return kernel_put_key(sync->kernel, &wanted);
}

/* Look for an active key of the store's among the kernel's. */
static int confirm(struct key_record *record, void *data)
{
	struct comparison *comparison = data;
	struct sync_entry *entry = sync_table_find(&comparison->sync->table, &record->digest);

	comparison->active++;
	if (entry)
		return keep_key(comparison, entry, record);
	comparison->missing++;
	return 0;
}

/* Remove what the kernel has and the store has not. */
static int settle_policies(struct comparison *comparison)
{
	struct sync *sync = comparison->sync;
	int err = 0;

	for (uint32_t slot = 0; !err && slot < sync->table.end; slot++) {
		const struct sync_entry *entry = &sync->table.entries[slot];

		if (!entry->taken || entry->number)
			continue;
		err = sync_take_out(sync, slot, &entry->digest);
		sync_table_drop(&sync->table, slot);
	}
	return err;
}

/*
 * Make the other slots free, those never used first, or wiped since (sync_sweep()). The rest may have been
 * given back a moment ago, by a daemon that was stopped since.
 */
static void settle_slots(struct sync *sync)
{
	for (int used = 0; used <= 1; used++) {
		for (uint32_t slot = 0; slot < sync->table.slots; slot++) {
			const struct key_usage *usage = kernel_usage(sync->kernel, slot);
			bool was_used = __atomic_load_n(&usage->windows, __ATOMIC_RELAXED);

			if (!sync->table.entries[slot].taken && was_used == used)
				sync_table_free(&sync->table, slot, used);
		}
	}
}

/* sync_put(), waiting for slots to have rested where there are no others. */
static int put_key(struct sync *sync, struct key_record *record)
{
	static const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	int err;

	while ((err = sync_put(sync, record)) == -EAGAIN)
		nanosleep(&pause, NULL);
	return err;
}

/* Put an active key of the store's that the kernel does not have. */
static int put_missing(struct key_record *record, void *data)
{
	struct comparison *comparison = data;
	struct sync *sync = comparison->sync;

	if (sync_table_find(&sync->table, &record->digest) ||
	    (record->expires_ms && record->expires_ms <= comparison->at_ms))
		return 0;
	return put_key(sync, record);
}

static int compare_sides(struct comparison *comparison)
{
	struct sync *sync = comparison->sync;
	int err;

	err = kernel_each_key(sync->kernel, enter_policy, comparison);
	if (!err)
		err = store_each_active(sync->store, confirm, comparison);
	if (!err)
		err = settle_policies(comparison);
	if (err)
		return err;
	settle_slots(sync);
	if (comparison->missing)
		err = store_each_active(sync->store, put_missing, comparison);
	if (err)
		return err;

	/* Keys that expired while no daemon ran, in force still or not. */
	err = store_expire(sync->store, comparison->at_ms);
	return err ? err : sync_sweep(sync, comparison->at_ms);
}

int sync_start(struct kernel *kernel, struct store *store, struct sync **ret_sync, char *why,
	       size_t why_size)
{
	struct comparison comparison = { .at_ms = now_ms() };
	struct sync *sync = calloc(1, sizeof(*sync));
	int err;

	if (!sync) {
		snprintf(why, why_size, "Out of memory.");
		return -ENOMEM;
	}
	sync->kernel = kernel;
	sync->store = store;
	comparison.sync = sync;
	comparison.policies = calloc(kernel_slots(kernel), sizeof(*comparison.policies));
	err = comparison.policies ? sync_table_open(&sync->table, kernel_slots(kernel)) : -ENOMEM;
	if (!err)
		err = compare_sides(&comparison);

	if (err == -E2BIG)
		snprintf(why, why_size,
			 "The key table is full: the store has %zu active keys, and there is room "
			 "for %u. To have them all in force, " SYNC_MAKE_ROOM,
			 comparison.active, kernel_slots(kernel));
	else if (err)
		snprintf(why, why_size, "The store's keys could not be put in force: %s.",
			 store_reason(err));
	free(comparison.policies);
	if (err) {
		sync_free(sync);
		return err;
	}
	*ret_sync = sync;
	return 0;
}
