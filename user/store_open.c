// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Opening the store: its lock, its file, its schema. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "restore.h"
#include "state_folder.h"
#include "store_schema.h"
#include "store_statements.h"
#include "util.h"

/* How long to wait for another program that holds the file, a backup for one. */
#define BUSY_MS 1000

/* The folder of the store's file, locked, and with nothing half restored in it. */
static int take_folder(const char *path, int *ret_folder, char *why, size_t why_size)
{
	char name[PATH_MAX], *folder;
	int err;

	if ((size_t)snprintf(name, sizeof(name), "%s", path) >= sizeof(name)) {
		snprintf(why, why_size, "The store's path is longer than %zu bytes.", sizeof(name));
		return -ENAMETOOLONG;
	}
	folder = dirname(name);
	err = state_folder_lock(folder, ret_folder, why, why_size);
	return err ? err : restore_finish(folder, *ret_folder, why, why_size);
}

/* SQLite makes its other files with the mode of the first. */
static int make_file(const char *path, char *why, size_t why_size)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	int err;

	if (file < 0) {
		err = -errno;
		snprintf(why, why_size, "Cannot open the store %s: %s.", path, store_reason(err));
		return err;
	}
	close(file);
	return 0;
}

static int open_database(struct store *store, const char *path, char *why, size_t why_size)
{
	static const char pragmas[] = "PRAGMA journal_mode = WAL;"
				      "PRAGMA synchronous = FULL;"
				      "PRAGMA foreign_keys = ON;"
				      "PRAGMA trusted_schema = OFF;"
				      /* It must be possible to write, now and not only later. */
				      "BEGIN IMMEDIATE; ROLLBACK;";
	int err;

	if (sqlite3_open_v2(path, &store->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK) {
		return store_explain(store->database, path, why, why_size);
	}
	sqlite3_busy_timeout(store->database, BUSY_MS);
	/* Not even what a journal has is written to a store that is refused. */
	store_keep_journal(store, true);

	/* Before anything is written: the file may not be ours. */
	err = store_schema_check(store->database, &store_schema, false, path, why, why_size);
	if (err)
		return err;
	if (sqlite3_exec(store->database, pragmas, NULL, NULL, NULL) != SQLITE_OK)
		return store_explain(store->database, path, why, why_size);
	err = store_schema_migrate(store->database, &store_schema, path, why, why_size);
	if (err)
		return err;
	err = store_prepare(store);
	if (err)
		snprintf(why, why_size,
			 "The store %s lacks tables of its schema. Restore it from a backup.",
			 path);
	return err;
}

int store_open(const char *path, struct store **ret_store, char *why, size_t why_size)
{
	struct store *store = calloc(1, sizeof(*store));
	int err;

	if (!store) {
		snprintf(why, why_size, "Out of memory.");
		return -ENOMEM;
	}
	store->folder = -1;
	err = take_folder(path, &store->folder, why, why_size);
	if (!err)
		err = make_file(path, why, why_size);
	if (!err)
		err = open_database(store, path, why, why_size);
	if (err) {
		store_close(store);
		return err;
	}
	*ret_store = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_finalize(store);
	sqlite3_close(store->database);
	if (store->folder >= 0)
		close(store->folder);
	free(store);
}
