// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Making the kernel's keys equal to the store's when the daemon starts. One query, one walk over
 * the map; what is right already is not written again.
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
	struct key_record *records; /* of the store's active keys, by digest */
	size_t record_count;
	struct key_policy *policies; /* of the kernel's keys */
	size_t policy_count;
	uint64_t at_ms;
};

static int compare_digests(const void *a, const void *b)
{
	const struct key_record *left = a, *right = b;

	return memcmp(&left->digest, &right->digest, sizeof(left->digest));
}

static struct key_record *find_record(const struct comparison *comparison,
				      const struct key_digest *digest)
{
	struct key_record wanted = { .digest = *digest };

	if (!comparison->record_count)
		return NULL;
	return bsearch(&wanted, comparison->records, comparison->record_count, sizeof(wanted),
		       compare_digests);
}

/* The map is changed only after it was walked: changes would disturb the walk. */
static int gather_policy(const struct key_policy *policy, void *data)
{
	struct comparison *comparison = data;
	size_t count = comparison->policy_count;
	struct key_policy *more;

	/* Grown at each power of two. */
	if ((count & (count - 1)) == 0) {
		more = reallocarray(comparison->policies, count ? count * 2 : 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		comparison->policies = more;
	}
	comparison->policies[comparison->policy_count++] = *policy;
	return 0;
}

/* Keep a key that both sides have, and its live usage with it. */
static int keep_key(struct comparison *comparison, const struct key_policy *policy,
		    struct key_record *record)
{
	struct sync *sync = comparison->sync;
	struct key_policy wanted;

	sync_policy(record, policy->slot, kernel_usage(sync->kernel, policy->slot)->version,
		    &wanted);
	record->slot = policy->slot;
	sync_table_enter(&sync->table, policy->slot, record);
	/* A daemon that was killed amid a change leaves another version. */
	if (memcmp(&wanted, policy, sizeof(wanted)) == 0)
		return 0;
	wanted.version = sync_renew(sync, policy->slot);
	return kernel_put_key(sync->kernel, &wanted);
}

static int remove_key(struct sync *sync, const struct key_policy *policy)
{
	if (policy->slot < sync->table.slots)
		sync_renew(sync, policy->slot);
	return kernel_remove_key(sync->kernel, &policy->digest);
}

/*
 * Go through the kernel's keys. One that is not the store's is removed; so is one whose slot
 * cannot be its own, which comes back with a new slot and the usage that was saved of it.
 */
static int settle_policies(struct comparison *comparison)
{
	struct sync *sync = comparison->sync;
	int err;

	for (size_t i = 0; i < comparison->policy_count; i++) {
		const struct key_policy *policy = &comparison->policies[i];
		struct key_record *record = find_record(comparison, &policy->digest);

		if (record && record->slot == KEY_NO_SLOT && policy->slot < sync->table.slots &&
		    !sync->table.entries[policy->slot].taken)
			err = keep_key(comparison, policy, record);
		else
			err = remove_key(sync, policy);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Make the other slots free, those never used first. The rest may have been given back a moment
 * ago, by a daemon that was stopped since.
 */
static void settle_slots(struct sync *sync)
{
	for (int used = 0; used <= 1; used++) {
		for (uint32_t slot = 0; slot < sync->table.slots; slot++) {
			const struct key_usage *usage = kernel_usage(sync->kernel, slot);
			bool was_used = __atomic_load_n(&usage->last_used_ms, __ATOMIC_RELAXED);

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

/* Put the store's keys that the kernel does not have. */
static int settle_records(struct comparison *comparison)
{
	int err;

	for (size_t i = 0; i < comparison->record_count; i++) {
		struct key_record *record = &comparison->records[i];

		if (record->slot != KEY_NO_SLOT ||
		    (record->expires_ms && record->expires_ms <= comparison->at_ms))
			continue;
		err = put_key(comparison->sync, record);
		if (err)
			return err;
	}
	return 0;
}

static int compare_sides(struct comparison *comparison)
{
	struct sync *sync = comparison->sync;
	int err;

	err = store_list_active(sync->store, &comparison->records, &comparison->record_count);
	if (err)
		return err;
	if (comparison->record_count)
		qsort(comparison->records, comparison->record_count, sizeof(*comparison->records),
		      compare_digests);
	err = kernel_each_key(sync->kernel, gather_policy, comparison);
	if (err)
		return err;
	err = settle_policies(comparison);
	if (err)
		return err;
	settle_slots(sync);
	err = settle_records(comparison);
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
	sync->changed = calloc(kernel_slots(kernel), sizeof(*sync->changed));
	err = sync->changed ? sync_table_open(&sync->table, kernel_slots(kernel)) : -ENOMEM;
	if (!err)
		err = compare_sides(&comparison);

	if (err == -E2BIG)
		snprintf(why, why_size,
			 "The key table is full: the store has %zu active keys, and there is room "
			 "for %u. To have them all in force, " SYNC_MAKE_ROOM,
			 comparison.record_count, kernel_slots(kernel));
	else if (err)
		snprintf(why, why_size, "The store's keys could not be put in force: %s.",
			 store_reason(err));
	free(comparison.records);
	free(comparison.policies);
	if (err) {
		sync_free(sync);
		return err;
	}
	*ret_sync = sync;
	return 0;
}
