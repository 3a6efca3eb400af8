/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The verbs on keys, with a store and a kernel side in memory behind them. */
#ifndef SLUICE_TEST_REGISTRY_STAGE_H
#define SLUICE_TEST_REGISTRY_STAGE_H

#include "registry.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

#include "check.h"
#include "fake_kernel.h"
#include "limit.h"
#include "stored_number.h"
#include "temp_folder.h"
#include "util.h"

#define SLOTS 32

static struct kernel *kernel;
static struct store *store;
static struct sync *joined;
static struct registry *registry;
static struct failure failure;
static char why[512];

static inline int set_up_slots(uint32_t slots)
{
	struct registry_options options = { .keys_per_account = KEY_PER_ACCOUNT_DEFAULT,
					    .key_word = KEY_WORD_DEFAULT };

	if (temp_folder_make() || store_open(temp_path("sluice.db"), &store, why, sizeof(why)) ||
	    store_open_pepper(store, temp_path("pepper"), options.pepper, why, sizeof(why)))
		return -1;
	kernel = fake_kernel_make(slots);
	failure = (struct failure){ 0 };
	return sync_start(kernel, store, &joined, why, sizeof(why)) ||
	       registry_open(&options, store, joined, &registry);
}

static inline int set_up(void **state)
{
	(void)state;
	return set_up_slots(SLOTS);
}

static inline int set_up_small(void **state)
{
	(void)state;
	return set_up_slots(2);
}

static inline int tear_down(void **state)
{
	(void)state;
	registry_close(registry);
	sync_stop(joined);
	store_close(store);
	fake_kernel_free(kernel);
	return temp_folder_remove();
}

static inline int try_create(const struct key_request *request, struct key_record *ret_record)
{
	char text[KEY_TEXT_MAX + 1];

	return registry_create(registry, request, ret_record, text, &failure);
}

static inline struct key_record create(const char *account, const char *label)
{
	struct key_record record;

	assert_int_equal(try_create(&(struct key_request){ .account = account, .label = label },
				    &record),
			 0);
	return record;
}

static inline struct key_record get(const char *id)
{
	struct key_record record;

	assert_int_equal(registry_get(registry, id, &record, &failure), 0);
	return record;
}

static inline const struct key_policy *policy_of(const struct key_record *record)
{
	return fake_kernel_key(kernel, &record->digest);
}

static inline void assert_failure(int status, const char *code, const char *message)
{
	assert_int_equal(failure.status, status);
	assert_string_equal(failure.code, code);
	assert_non_null(strstr(failure.message, message));
}

#define on_stage(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
