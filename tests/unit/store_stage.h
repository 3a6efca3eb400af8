/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A store in a folder of the test's own, and its file as others see it. */
#ifndef SLUICE_TEST_STORE_STAGE_H
#define SLUICE_TEST_STORE_STAGE_H

#include "store.h"

#include <errno.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "store_schema.h"
#include "stored_number.h"
#include "temp_folder.h"
#include "util.h"

static char why[512];

static inline int make_folder(void **state)
{
	(void)state;
	return temp_folder_make();
}

static inline int remove_folder(void **state)
{
	(void)state;
	return temp_folder_remove();
}

static inline struct store *open_store(void)
{
	struct store *store;
	int err = store_open(temp_path("sluice.db"), &store, why, sizeof(why));

	if (err)
		print_error("%s\n", why);
	assert_int_equal(err, 0);
	return store;
}

static inline int try_open(void)
{
	struct store *store;
	int err = store_open(temp_path("sluice.db"), &store, why, sizeof(why));

	if (!err)
		store_close(store);
	return err;
}

/* A record that differs from others by its number. */
static inline struct key_record make_record(int number, const char *account, const char *label)
{
	struct key_record record = { .per_minute = 60,
				     .per_day = 1000,
				     .created_ms = 1767323045678,
				     .prefix = "gx_ABCDEF",
				     .slot = KEY_NO_SLOT };

	snprintf(record.id, sizeof(record.id), "key_aaaaaa%06u", (unsigned int)number % 1000000);
	snprintf(record.account, sizeof(record.account), "%s", account);
	snprintf(record.label, sizeof(record.label), "%s", label);
	memcpy(record.digest.bytes, &number, sizeof(number));
	return record;
}

/* Run SQL on the file from outside. */
static inline void change_file(const char *sql)
{
	sqlite3 *database;

	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static inline void write_file(const char *text)
{
	FILE *file = fopen(temp_path("sluice.db"), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
