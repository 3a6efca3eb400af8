// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Copying the store and its pepper into a folder of their own. */
#include "backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "keys.h"
#include "state_folder.h"
#include "store.h"
#include "store_schema.h"
#include "util.h"

/* How long to wait for another program that has the store locked. */
#define BUSY_MS 5000

static int explain(int err, const char *path, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "Cannot %s %s: %s.", what, path, store_reason(err));
	return err;
}

/* Open a store's file for reading, and see that it is sound. The caller closes ret_database. */
static int open_checked(const char *path, sqlite3 **ret_database, char *why, size_t why_size)
{
	if (access(path, F_OK))
		return explain(-errno, path, "read the store", why, why_size);
	if (sqlite3_open_v2(path, ret_database, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		return store_explain(*ret_database, path, why, why_size);
	sqlite3_busy_timeout(*ret_database, BUSY_MS);
	return store_schema_check(*ret_database, &store_schema, true, path, why, why_size);
}

int backup_verify(const char *store, const char *pepper_path, char *why, size_t why_size)
{
	uint8_t pepper[PEPPER_SIZE];
	sqlite3 *database = NULL;
	int err = open_checked(store, &database, why, why_size);

	if (!err)
		err = pepper_load(pepper_path, pepper, why, why_size);
	if (!err) {
		err = store_check_pepper(database, pepper);
		if (err == -EKEYREJECTED || err == -ENODATA)
			snprintf(why, why_size, "The pepper %s does not belong to the store %s.",
				 pepper_path, store);
		else if (err)
			store_explain(database, store, why, why_size);
	}
	sodium_memzero(pepper, sizeof(pepper));
	sqlite3_close(database);
	return err;
}

static int sync_path(const char *path, int flags)
{
	_cleanup_close_ int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? -errno : 0;
}

/* Copy all pages, as of one moment; the copy needs no journal to be read. */
static int copy_pages(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

	if (backup) {
		sqlite3_backup_step(backup, -1);
		sqlite3_backup_finish(backup);
	}
	return sqlite3_errcode(to) == SQLITE_OK && sqlite3_exec(to, "PRAGMA journal_mode = DELETE",
								NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : -1;
}

/* Remove a store's file, and what SQLite may have put beside it. */
static void remove_store(const char *store)
{
	static const char *const ends[] = { "", "-journal", "-wal", "-shm" };
	char path[PATH_MAX + 16];

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		snprintf(path, sizeof(path), "%s%s", store, ends[i]);
		unlink(path);
	}
}

/* Fill a file that is empty from the database. */
static int fill_copy(sqlite3 *from, const char *path, char *why, size_t why_size)
{
	sqlite3 *to = NULL;
	int err = 0;

	if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    copy_pages(from, to))
		err = store_explain(to, path, why, why_size);
	if (sqlite3_close(to) != SQLITE_OK && !err)
		err = explain(-EIO, path, "write", why, why_size);
	if (err)
		return err;
	err = sync_path(path, O_RDONLY);
	return err ? explain(err, path, "write", why, why_size) : 0;
}

/* Make the file, for its owner alone, and fill it; or leave none. */
static int write_copy(sqlite3 *from, const char *path, char *why, size_t why_size)
{
	int err, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return explain(-errno, path, "make", why, why_size);
	close(fd);
	err = fill_copy(from, path, why, why_size);
	if (err)
		remove_store(path);
	return err;
}

int backup_copy(const char *from, const char *to, char *why, size_t why_size)
{
	sqlite3 *database = NULL;
	int err = open_checked(from, &database, why, why_size);

	if (!err)
		err = write_copy(database, to, why, why_size);
	sqlite3_close(database);
	return err;
}

int backup_copy_pepper(const char *from, const char *to, char *why, size_t why_size)
{
	uint8_t pepper[PEPPER_SIZE];
	int err = pepper_load(from, pepper, why, why_size);

	if (!err)
		err = pepper_save(to, pepper, why, why_size);
	sodium_memzero(pepper, sizeof(pepper));
	return err;
}

/* Returns 0, -ENOTEMPTY, or what reading the folder says. */
static int check_empty(const char *folder)
{
	DIR *entries = opendir(folder);
	const struct dirent *entry;
	int err = 0;

	if (!entries)
		return -errno;
	errno = 0;
	while (!err && (entry = readdir(entries)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			err = -ENOTEMPTY;
	if (!err && errno)
		err = -errno;
	closedir(entries);
	return err;
}

static int make_folder(const char *folder, char *why, size_t why_size)
{
	int err = state_folder_open(folder, why, why_size);

	if (err)
		return err;
	err = check_empty(folder);
	if (err == -ENOTEMPTY)
		snprintf(why, why_size,
			 "The folder %s is not empty: nothing in it is overwritten. Name one that "
			 "is not there yet.",
			 folder);
	else if (err)
		explain(err, folder, "read the folder", why, why_size);
	return err;
}

/* The names in a backup, and of the folder it lies in. */
struct places {
	char store[PATH_MAX];
	char pepper[PATH_MAX];
	char partial[PATH_MAX]; /* the store, until it is whole */
	char parent[PATH_MAX];
};

static int find_places(const char *folder, struct places *ret_places)
{
	char name[PATH_MAX];
	int err = path_join(ret_places->store, PATH_MAX, folder, STATE_STORE);

	if (!err)
		err = path_join(ret_places->pepper, PATH_MAX, folder, STATE_PEPPER);
	if (!err)
		err = path_join(ret_places->partial, PATH_MAX, folder, STATE_STORE ".partial");
	if (err)
		return err;
	strcpy(name, folder); /* shorter than what was joined to it */
	strcpy(ret_places->parent, dirname(name));
	return 0;
}

/* From here on it is a backup. */
static int give_name(const char *folder, const struct places *places, char *why, size_t why_size)
{
	int err = sync_path(folder, O_RDONLY | O_DIRECTORY);

	if (!err && rename(places->partial, places->store))
		err = -errno;
	if (err)
		return explain(err, folder, "write", why, why_size);
	err = sync_path(folder, O_RDONLY | O_DIRECTORY);
	if (!err)
		err = sync_path(places->parent, O_RDONLY | O_DIRECTORY);
	if (err)
		remove_store(places->store);
	return err ? explain(err, folder, "write", why, why_size) : 0;
}

/* Behind the store's copy, which is there: its pepper, and the name. Leaves neither where it fails. */
static int complete(const struct places *from, const struct places *to, const char *folder,
		    char *why, size_t why_size)
{
	int err = backup_copy_pepper(from->pepper, to->pepper, why, why_size);

	if (err)
		return err;
	err = backup_verify(to->partial, to->pepper, why, why_size);
	if (!err)
		err = give_name(folder, to, why, why_size);
	if (err)
		unlink(to->pepper);
	return err;
}

/*
 * What fails removes what it has made itself, and nothing else: another may be writing a backup to the
 * same folder.
 */
int backup_make(const char *state, const char *folder, char *why, size_t why_size)
{
	bool made = access(folder, F_OK) != 0;
	struct places from, to;
	int err = find_places(state, &from);

	if (!err)
		err = find_places(folder, &to);
	if (err)
		return explain(err, folder, "write", why, why_size);
	err = make_folder(folder, why, why_size);
	if (err)
		return err;
	err = backup_copy(from.store, to.partial, why, why_size);
	if (!err) {
		err = complete(&from, &to, folder, why, why_size);
		if (err)
			remove_store(to.partial);
	}
	if (err && made)
		rmdir(folder);
	return err;
}
