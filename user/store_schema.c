// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The store's tables and their history. A step that was released is never changed: add one.
 */
#include "store_schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store.h"

/* Up to here indexes are always compared with the tables: 32 MiB, some 150,000 keys, half a second. */
#define SMALL_PAGES 8192

static const char *const steps[] = {
	/*
	 * 0 -> 1. Numbers of status are enum key_status. An unsigned 64-bit value is kept as the
	 * signed one of the same bits.
	 */
	"CREATE TABLE installation ("
	"  only INTEGER PRIMARY KEY CHECK (only = 1),"
	"  pepper_check BLOB NOT NULL CHECK (length(pepper_check) = 16)"
	") STRICT;"
	"CREATE TABLE keys ("
	"  number INTEGER PRIMARY KEY,"
	"  id TEXT NOT NULL UNIQUE,"
	"  account TEXT NOT NULL,"
	"  label TEXT NOT NULL,"
	"  prefix TEXT NOT NULL,"
	"  digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 16),"
	"  status INTEGER NOT NULL CHECK (status IN (0, 1, 2)),"
	"  per_minute INTEGER NOT NULL CHECK (per_minute BETWEEN 1 AND 10000),"
	"  per_day INTEGER NOT NULL CHECK (per_day BETWEEN 1 AND 100000),"
	"  expires_ms INTEGER NOT NULL,"
	"  created_ms INTEGER NOT NULL,"
	"  windows INTEGER NOT NULL DEFAULT 0,"
	"  last_used_ms INTEGER NOT NULL DEFAULT 0,"
	"  admitted INTEGER NOT NULL DEFAULT 0,"
	"  refused INTEGER NOT NULL DEFAULT 0"
	") STRICT;"
	"CREATE UNIQUE INDEX keys_label ON keys (account, label) WHERE status != 2;"
	"CREATE INDEX keys_account ON keys (account, number);"
	"CREATE INDEX keys_status ON keys (status, number);",
};

const struct store_schema store_schema = {
	.steps = steps,
	.version = sizeof(steps) / sizeof(steps[0]),
};

int store_errno(sqlite3 *database, int code)
{
	int reason = sqlite3_system_errno(database);

	switch (code & 0xff) {
	case SQLITE_NOTADB:
		return -EMEDIUMTYPE;
	case SQLITE_CORRUPT:
		return -EUCLEAN;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
		return -EROFS;
	}
	/* What the system said of it, where SQLite has asked the system. */
	if (reason == ENOSPC || reason == EDQUOT)
		return -ENOSPC;
	return reason == EROFS || reason == EACCES ? -reason : -EIO;
}

const char *store_reason(int err)
{
	switch (err) {
	case -EMEDIUMTYPE:
		return "its file is no Sluice store; restore a backup";
	case -EUCLEAN:
		return "its file is damaged; restore a backup";
	case -ENOSPC:
		return "its disk is full; free some space";
	case -EBUSY:
		return "another program has locked it; end that program";
	case -EROFS:
		return "its file system is read-only; make it writable";
	case -ESTALE:
		return "its file was moved or removed; put it back and restart sluiced";
	default:
		return strerror(-err);
	}
}

int store_explain(sqlite3 *database, const char *path, char *why, size_t why_size)
{
	int err = store_errno(database, sqlite3_extended_errcode(database));

	switch (err) {
	case -EMEDIUMTYPE:
		snprintf(why, why_size,
			 "%s is not a Sluice store, but some other file. If it was one, restore it "
			 "from a backup.",
			 path);
		break;
	case -EUCLEAN:
		snprintf(why, why_size, "The store %s is damaged (%s). Restore it from a backup.",
			 path, sqlite3_errmsg(database));
		break;
	case -EIO:
		snprintf(why, why_size, "Cannot use the store %s: %s.", path,
			 sqlite3_errmsg(database));
		break;
	default:
		snprintf(why, why_size, "Cannot use the store %s: %s.", path, store_reason(err));
	}
	return err;
}

/* Run a query for one number. */
static int query_number(sqlite3 *database, const char *query, int *ret_number)
{
	sqlite3_stmt *statement = NULL;
	int err = -EIO;

	if (sqlite3_prepare_v2(database, query, -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW) {
		*ret_number = sqlite3_column_int(statement, 0);
		err = 0;
	}
	sqlite3_finalize(statement);
	return err;
}

/* Look for damage that reading would only run into later. */
static int check_pages(sqlite3 *database, bool indexes, const char *path, char *why,
		       size_t why_size)
{
	const char *query = indexes ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)";
	sqlite3_stmt *statement = NULL;
	const char *finding;
	int err = 0;

	if (sqlite3_prepare_v2(database, query, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW) {
		err = store_explain(database, path, why, why_size);
	} else {
		finding = (const char *)sqlite3_column_text(statement, 0);
		if (!finding || strcmp(finding, "ok") != 0) {
			snprintf(why, why_size,
				 "The store %s is damaged (%s). Restore it from a backup.", path,
				 finding ? finding : "out of memory");
			err = -EUCLEAN;
		}
	}
	sqlite3_finalize(statement);
	return err;
}

int store_schema_check(sqlite3 *database, const struct store_schema *schema, bool indexes,
		       const char *path, char *why, size_t why_size)
{
	int application, tables, version, pages;

	if (query_number(database, "PRAGMA application_id", &application) ||
	    query_number(database, "PRAGMA user_version", &version) ||
	    query_number(database, "PRAGMA page_count", &pages) ||
	    query_number(database, "SELECT count(*) FROM sqlite_schema", &tables))
		return store_explain(database, path, why, why_size);

	if (application != STORE_APPLICATION_ID && (application || version || tables)) {
		snprintf(why, why_size, "%s is not a Sluice store, but another SQLite database.",
			 path);
		return -EMEDIUMTYPE;
	}
	if (version > schema->version) {
		snprintf(why, why_size,
			 "The store %s was made by a newer version of Sluice (schema %d, this one "
			 "knows up to %d). Install that version or restore an older backup.",
			 path, version, schema->version);
		return -EPROTO;
	}
	if (version < 0 || (application && !version)) {
		snprintf(why, why_size,
			 "The store %s is damaged (schema %d). Restore it from a backup.", path,
			 version);
		return -EUCLEAN;
	}
	return check_pages(database, indexes || pages <= SMALL_PAGES, path, why, why_size);
}

static int apply_step(sqlite3 *database, const char *step, int version)
{
	char mark[96];

	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		 STORE_APPLICATION_ID, version);
	if (sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return -EIO;
	if (sqlite3_exec(database, step, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(database, mark, NULL, NULL, NULL) != SQLITE_OK)
		return -EIO;
	return 0;
}

int store_schema_migrate(sqlite3 *database, const struct store_schema *schema, const char *path,
			 char *why, size_t why_size)
{
	int err, version;

	if (query_number(database, "PRAGMA user_version", &version))
		return store_explain(database, path, why, why_size);
	for (; version < schema->version; version++) {
		if (apply_step(database, schema->steps[version], version + 1) == 0)
			continue;
		err = store_explain(database, path, why, why_size);
		sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
		return err;
	}
	return 0;
}
