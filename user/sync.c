// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Keys in force: put, change, remove, expire, and the usage that the kernel counts. */
#include "sync.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"
#include "log.h"
#include "sync_state.h"
#include "util.h"

void sync_policy(const struct key_record *record, uint32_t slot, uint32_t version,
		 struct key_policy *ret_policy)
{
	*ret_policy = (struct key_policy){
		.digest = record->digest,
		.expires_ms = record->expires_ms,
		.slot = slot,
		.per_minute = record->per_minute,
		.per_day = record->per_day,
		.version = version,
	};
	key_identity(record, ret_policy->identity);
}

uint32_t sync_renew(struct sync *sync, uint32_t slot)
{
	struct key_usage *live = kernel_usage(sync->kernel, slot);
	uint32_t version = live->version + 1;

	if (!version)
		version = 1;
	__atomic_store_n(&live->version, version, __ATOMIC_SEQ_CST);
	return version;
}

int sync_take_out(struct sync *sync, uint32_t slot, const struct key_digest *digest)
{
	if (slot < sync->table.slots)
		sync_renew(sync, slot);
	return kernel_remove_key(sync->kernel, digest);
}

static uint32_t slot_of(const struct sync *sync, const struct sync_entry *entry)
{
	return (uint32_t)(entry - sync->table.entries);
}

/*
 * Read a slot's words. Each is whole; that they may be of different moments does not matter, as
 * the next reading catches up.
 */
static struct store_usage read_usage(const struct sync *sync, const struct sync_entry *entry)
{
	struct key_usage *live = kernel_usage(sync->kernel, slot_of(sync, entry));
	struct store_usage usage = { .number = entry->number };

	usage.windows = __atomic_load_n(&live->windows, __ATOMIC_RELAXED);
	usage.last_used_ms =
		limit_last_used(usage.windows, __atomic_load_n(&live->last_used, __ATOMIC_RELAXED));
	usage.admitted = __atomic_load_n(&live->admitted, __ATOMIC_RELAXED);
	usage.refused = __atomic_load_n(&live->refused, __ATOMIC_RELAXED);
	return usage;
}

static uint64_t counted(const struct store_usage *usage)
{
	return usage->admitted + usage->refused;
}

static void write_usage(struct sync *sync, uint32_t slot, const struct key_record *record)
{
	struct key_usage *live = kernel_usage(sync->kernel, slot);

	__atomic_store_n(&live->windows, record->windows, __ATOMIC_RELAXED);
	__atomic_store_n(&live->last_used, (uint32_t)record->last_used_ms, __ATOMIC_RELAXED);
	__atomic_store_n(&live->admitted, record->admitted, __ATOMIC_RELAXED);
	__atomic_store_n(&live->refused, record->refused, __ATOMIC_SEQ_CST);
}

int sync_put(struct sync *sync, struct key_record *record)
{
	struct key_policy policy;
	uint32_t slot;
	int err;

	err = sync_table_allocate(&sync->table, &slot);
	if (err)
		return err;
	/* Before the key: no former key's count is inherited. */
	write_usage(sync, slot, record);
	sync_policy(record, slot, sync_renew(sync, slot), &policy);
	err = kernel_put_key(sync->kernel, &policy);
	if (err) {
		sync_table_free(&sync->table, slot, false);
		return err;
	}
	sync_table_enter(&sync->table, slot, record);
	record->slot = slot;
	return 0;
}

int sync_change(struct sync *sync, const struct key_record *record)
{
	struct sync_entry *entry = sync_table_find(&sync->table, &record->digest);
	struct key_policy policy;
	uint32_t slot;

	if (!entry || entry->leaving)
		return 0;
	slot = slot_of(sync, entry);
	sync_policy(record, slot, sync_renew(sync, slot), &policy);
	return kernel_put_key(sync->kernel, &policy);
}

/*
 * Take a key out of force, save what was counted up to that moment, and give its slot back. A
 * usage that cannot be saved is lost: the key is out of force, which matters more.
 */
static int take_out(struct sync *sync, struct sync_entry *entry)
{
	uint32_t slot = slot_of(sync, entry);
	struct store_usage usage;
	int err;

	err = sync_take_out(sync, slot, &entry->digest);
	if (err) {
		if (!entry->leaving)
			log_error("the store's key number %" PRId64
				  " could not be taken out of force: %s. Trying again.",
				  entry->number, strerror(-err));
		entry->leaving = true;
		return err;
	}
	usage = read_usage(sync, entry);
	if (counted(&usage) != entry->saved)
		store_save_usage(sync->store, &usage, 1);
	sync_table_drop(&sync->table, slot);
	sync_table_free(&sync->table, slot, true);
	return 0;
}

int sync_remove(struct sync *sync, const struct key_record *record)
{
	struct sync_entry *entry = sync_table_find(&sync->table, &record->digest);

	if (!entry)
		return 0;
	entry->saved = record->admitted + record->refused;
	return take_out(sync, entry);
}

void sync_peek(const struct sync *sync, struct key_record *record)
{
	struct sync_entry *entry = sync_table_find(&sync->table, &record->digest);
	struct store_usage usage;

	if (!entry)
		return;
	usage = read_usage(sync, entry);
	record->slot = slot_of(sync, entry);
	record->windows = usage.windows;
	record->last_used_ms = usage.last_used_ms;
	record->admitted = usage.admitted;
	record->refused = usage.refused;
}

static bool is_due(const struct sync_entry *entry, uint64_t at_ms)
{
	return entry->taken && entry->expires_ms && entry->expires_ms <= at_ms;
}

/* Mark in the store the keys whose time has come, where there are any. */
static int mark_expired(struct sync *sync, uint64_t at_ms)
{
	for (uint32_t slot = 0; slot < sync->table.end; slot++) {
		const struct sync_entry *entry = &sync->table.entries[slot];

		if (is_due(entry, at_ms) && !entry->leaving)
			return store_expire(sync->store, at_ms);
	}
	return 0;
}

/* Have slots that have rested look as if they were never used: a daemon that starts need not ask since when. */
static void wipe_rested(struct sync *sync)
{
	uint32_t slot;

	while (sync_table_rested(&sync->table, &slot))
		__atomic_store_n(&kernel_usage(sync->kernel, slot)->windows, 0, __ATOMIC_RELAXED);
}

int sync_sweep(struct sync *sync, uint64_t at_ms)
{
	int marked = mark_expired(sync, at_ms);
	int err, ret = marked;

	for (uint32_t slot = 0; slot < sync->table.end; slot++) {
		struct sync_entry *entry = &sync->table.entries[slot];

		/* A key that the store still has as active stays, refused as it is, until then. */
		if (!entry->leaving && (marked || !is_due(entry, at_ms)))
			continue;
		err = take_out(sync, entry);
		if (err && !ret)
			ret = err;
	}
	wipe_rested(sync);
	return ret;
}

/*
 * Gather in sync->changed what the store does not have yet, of slots from *at on.
 *
 * at	then behind the last that was looked at
 */
static uint32_t gather_changed(struct sync *sync, uint32_t *at)
{
	uint32_t count = 0;

	for (; *at < sync->table.end && count < SYNC_CHANGED_MAX; ++*at) {
		const struct sync_entry *entry = &sync->table.entries[*at];
		struct store_usage usage;

		if (!entry->taken)
			continue;
		usage = read_usage(sync, entry);
		if (counted(&usage) != entry->saved)
			sync->changed[count++] = usage;
	}
	return count;
}

/* Note as saved what was gathered, of slots from that one on. */
static void note_saved(struct sync *sync, uint32_t slot, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, slot++) {
		while (sync->table.entries[slot].number != sync->changed[i].number)
			slot++;
		sync->table.entries[slot].saved = counted(&sync->changed[i]);
	}
}

int sync_save_usage(struct sync *sync)
{
	uint32_t at = 0, from, count;
	int err = 0;

	while (!err && at < sync->table.end) {
		from = at;
		count = gather_changed(sync, &at);
		if (!count)
			break;
		err = store_save_usage(sync->store, sync->changed, count);
		if (!err)
			note_saved(sync, from, count);
	}
	return err;
}

uint32_t sync_count(const struct sync *sync)
{
	return sync->table.slots - sync->table.free_count;
}

void sync_free(struct sync *sync)
{
	sync_table_close(&sync->table);
	free(sync);
}

void sync_stop(struct sync *sync)
{
	int err;

	if (!sync)
		return;
	err = sync_save_usage(sync);
	if (err)
		log_error("usage could not be saved: %s", store_reason(err));
	sync_free(sync);
}
