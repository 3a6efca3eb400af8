/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A store, a kernel side in memory, and what joins them. */
#ifndef SLUICE_TEST_SYNC_STAGE_H
#define SLUICE_TEST_SYNC_STAGE_H

#include "sync.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

#include "check.h"
#include "fake_kernel.h"
#include "temp_folder.h"
#include "util.h"

#define SLOTS 16

/* A store, a kernel side and what joins them. */
static struct kernel *kernel;
static struct store *store;
static struct sync *joined;
static char why[512];

static inline void open_store(void)
{
	assert_int_equal(store_open(temp_path("sluice.db"), &store, why, sizeof(why)), 0);
}

static inline int start(void)
{
	kernel->puts = 0;
	kernel->removals = 0;
	return sync_start(kernel, store, &joined, why, sizeof(why));
}

/* The daemon's end. The kernel side stays. */
static inline void stop(void)
{
	sync_stop(joined);
	joined = NULL;
	store_close(store);
	open_store();
}

/* A machine that starts anew: nothing is left of the kernel side. */
static inline void boot(uint32_t slots)
{
	fake_kernel_free(kernel);
	kernel = fake_kernel_make(slots);
}

static inline int set_up(void **state)
{
	(void)state;
	if (temp_folder_make())
		return -1;
	kernel = fake_kernel_make(SLOTS);
	open_store();
	return start();
}

static inline int tear_down(void **state)
{
	(void)state;
	sync_stop(joined);
	store_close(store);
	fake_kernel_free(kernel);
	joined = NULL;
	return temp_folder_remove();
}

/* A key that differs from others by its number, in the store. */
static inline struct key_record store_key(int number)
{
	struct key_record record = { .per_minute = 60,
				     .per_day = 1000,
				     .created_ms = 1767323045678,
				     .account = "acme",
				     .prefix = "gx_ABCDEF",
				     .slot = KEY_NO_SLOT };

	snprintf(record.id, sizeof(record.id), "key_aaaaaa%06u", (unsigned int)number % 1000000);
	snprintf(record.label, sizeof(record.label), "label %d", number);
	crypto_generichash(record.digest.bytes, DIGEST_SIZE, (const void *)&number, sizeof(number),
			   NULL, 0);
	assert_int_equal(store_insert(store, &record), 0);
	return record;
}

/* The same, in force. */
static inline struct key_record add_key(int number)
{
	struct key_record record = store_key(number);

	assert_int_equal(sync_put(joined, &record), 0);
	return record;
}

static inline const struct key_policy *policy_of(const struct key_record *record)
{
	return fake_kernel_key(kernel, &record->digest);
}

static inline struct key_usage *usage_of(const struct key_record *record)
{
	assert_non_null(policy_of(record));
	return &kernel->usage[policy_of(record)->slot];
}

/* A moment of which the kernel keeps the lower half, and a count of its minute. */
#define USED_MS	    1767323045679ULL
#define USED(count) ((USED_MS / 60000) << 32 | (count))

/* What the kernel does with requests. */
static inline void use(const struct key_record *record, uint64_t count, uint64_t admitted)
{
	struct key_usage *usage = usage_of(record);

	usage->windows = USED(count);
	usage->admitted = admitted;
	usage->last_used = (uint32_t)USED_MS;
}

static inline struct key_record read_back(const struct key_record *record)
{
	struct key_record stored;

	assert_int_equal(store_get(store, record->id, &stored), 0);
	return stored;
}

#define on_stage(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
