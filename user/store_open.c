// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Opening the store: its lock, its file, its schema, and the pepper that belongs to it. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "store_schema.h"
#include "store_statements.h"
#include "util.h"

/* How long to wait for another program that holds the file, a backup for one. */
#define BUSY_MS 1000

#define CHECK_SIZE 16 /* bytes of a pepper's check value */

/* Two daemons that write one store would each enforce half of it. */
static int lock_folder(const char *path, int *ret_folder, char *why, size_t why_size)
{
	char name[PATH_MAX], *folder_name;
	int folder, err;

	if ((size_t)snprintf(name, sizeof(name), "%s", path) >= sizeof(name)) {
		snprintf(why, why_size, "The store's path is longer than %zu bytes.", sizeof(name));
		return -ENAMETOOLONG;
	}
	folder_name = dirname(name);
	folder = open(folder_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		err = -errno;
		snprintf(why, why_size, "Cannot open the state folder %s: %s.", folder_name,
			 strerror(-err));
		return err;
	}
	if (flock(folder, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		snprintf(why, why_size, "Cannot lock the state folder %s: %s.", folder_name,
			 err == -EBUSY ? "another sluiced uses it" : strerror(-err));
		close(folder);
		return err;
	}
	*ret_folder = folder;
	return 0;
}

/* SQLite makes its other files with the mode of the first. */
static int make_file(const char *path, char *why, size_t why_size)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	int err;

	if (file < 0) {
		err = -errno;
		snprintf(why, why_size, "Cannot open the store %s: %s.", path, strerror(-err));
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
				      "PRAGMA trusted_schema = OFF;";
	int err;

	if (sqlite3_open_v2(path, &store->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK) {
		snprintf(why, why_size, "Cannot open the store %s: %s.", path,
			 store->database ? sqlite3_errmsg(store->database) : "out of memory");
		return -EIO;
	}
	sqlite3_busy_timeout(store->database, BUSY_MS);

	/* Before anything is written: the file may not be ours. */
	err = store_schema_check(store->database, &store_schema, path, why, why_size);
	if (err)
		return err;
	if (sqlite3_exec(store->database, pragmas, NULL, NULL, NULL) != SQLITE_OK) {
		snprintf(why, why_size, "Cannot use the store %s: %s.", path,
			 sqlite3_errmsg(store->database));
		return -EIO;
	}
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
	err = lock_folder(path, &store->folder, why, why_size);
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

/* A value that tells peppers apart and says nothing of them. */
static void compute_check(const uint8_t pepper[PEPPER_SIZE], uint8_t ret_check[CHECK_SIZE])
{
	static const unsigned char subject[] = "sluice pepper check";

	crypto_generichash(ret_check, CHECK_SIZE, subject, sizeof(subject) - 1, pepper,
			   PEPPER_SIZE);
}

/* Read the check value of the pepper the store was made with; -ENOENT: none was noted yet. */
static int read_check(struct store *store, uint8_t ret_check[CHECK_SIZE])
{
	sqlite3_stmt *statement = store_bind(store, GET_PEPPER_CHECK, "");
	int err = 0;

	switch (sqlite3_step(statement)) {
	case SQLITE_ROW:
		if (sqlite3_column_bytes(statement, 0) == CHECK_SIZE)
			memcpy(ret_check, sqlite3_column_blob(statement, 0), CHECK_SIZE);
		else
			err = -ENOENT;
		break;
	case SQLITE_DONE:
		err = -ENOENT;
		break;
	default:
		err = store_failed(store);
		break;
	}
	store_finish(statement);
	return err;
}

/* See that the pepper is the store's, or make it so where no key depends on another one. */
static int settle_check(struct store *store, const uint8_t pepper[PEPPER_SIZE], bool has_keys)
{
	uint8_t ours[CHECK_SIZE], noted[CHECK_SIZE];
	int err;

	compute_check(pepper, ours);
	err = read_check(store, noted);
	if (!err && memcmp(ours, noted, CHECK_SIZE) == 0)
		return 0;
	if (err && err != -ENOENT)
		return err;
	if (has_keys)
		return -EKEYREJECTED;
	return store_run(store, store_bind(store, PUT_PEPPER_CHECK, "d", ours));
}

int store_open_pepper(struct store *store, const char *path, uint8_t ret_pepper[PEPPER_SIZE],
		      char *why, size_t why_size)
{
	uint8_t pepper[PEPPER_SIZE];
	struct store_counts counts;
	bool has_keys;
	int err;

	err = store_count(store, &counts);
	if (err) {
		snprintf(why, why_size, "Cannot read the store: %s.", strerror(-err));
		return err;
	}
	has_keys = counts.active || counts.expired || counts.revoked;

	err = pepper_load(path, pepper, why, why_size);
	if (err == -ENOENT && has_keys) {
		snprintf(why, why_size,
			 "The pepper %s is missing, and no key in the store can be checked without "
			 "it. Restore it from a backup.",
			 path);
		return -ENOKEY;
	}
	if (err == -ENOENT)
		err = pepper_create(path, pepper, why, why_size);
	if (err)
		return err;

	err = settle_check(store, pepper, has_keys);
	if (err == -EKEYREJECTED)
		snprintf(
			why, why_size,
			"The pepper %s is not the one the store's keys were made with. Restore the "
			"one that belongs to this store.",
			path);
	else if (err)
		snprintf(why, why_size, "Cannot use the store: %s.", strerror(-err));
	else
		memcpy(ret_pepper, pepper, sizeof(pepper));
	sodium_memzero(pepper, sizeof(pepper));
	return err;
}
