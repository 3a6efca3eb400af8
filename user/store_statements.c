// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store's prepared statements, and how they are run. */
#include "store_statements.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "log.h"
#include "store_schema.h"
#include "util.h"

/* After how long a failure that lasts is logged again. */
#define REPEAT_MS 60000

#define TEXT_OF(macro) TEXT(macro)
#define TEXT(word)     #word

#define COLUMNS                                                                                    \
	"id, account, label, prefix, digest, status, per_minute, per_day, expires_ms, "            \
	"created_ms, windows, last_used_ms, admitted, refused"

static const char *const sources[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[INSERT] =
		"INSERT INTO keys (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[DELETE] = "DELETE FROM keys WHERE id = ?",
	[UPDATE] = "UPDATE keys SET label = ?2, per_minute = ?3, per_day = ?4 WHERE id = ?1",
	[REVOKE] = "UPDATE keys SET status = 2, windows = ?2, last_used_ms = ?3, admitted = ?4, "
		   "refused = ?5 WHERE id = ?1",
	[EXPIRE] = "UPDATE keys SET status = 1 "
		   "WHERE status = 0 AND expires_ms != 0 AND expires_ms <= ?",
	[GET] = "SELECT " COLUMNS ", number FROM keys WHERE id = ?",
	[LIST_ALL] = "SELECT " COLUMNS ", number FROM keys ORDER BY number",
	[LIST_ACCOUNT] = "SELECT " COLUMNS ", number FROM keys WHERE account = ? ORDER BY number",
	/* Row by row: what is in force must not hang on an index, which a start does not check. */
	[LIST_ACTIVE] = "SELECT " COLUMNS ", number FROM keys NOT INDEXED WHERE status = 0 "
			"ORDER BY number",
	[COUNT_ACCOUNT] = "SELECT count(*) FROM keys WHERE account = ? AND status != 2",
	[COUNT] = "SELECT status, count(*) FROM keys GROUP BY status",
	[SAVE_USAGE] = "UPDATE keys SET windows = ?2, last_used_ms = ?3, admitted = ?4, "
		       "refused = ?5 WHERE number = ?1",
	[PUT_PEPPER_CHECK] =
		"INSERT OR REPLACE INTO installation (only, pepper_check) VALUES (1, ?)",
	/* Writes a page, and leaves it as it was. */
	[OVERWRITE] = "PRAGMA application_id = " TEXT_OF(STORE_APPLICATION_ID),
};

int store_prepare(struct store *store)
{
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(store->database, sources[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &store->statements[i], NULL) != SQLITE_OK)
			return store_failed(store);
	}
	return 0;
}

void store_finalize(struct store *store)
{
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
}

int store_failed(struct store *store)
{
	int code = sqlite3_extended_errcode(store->database);
	const char *message = sqlite3_errmsg(store->database);
	uint64_t at_ms = now_ms();

	if (code == SQLITE_CONSTRAINT_UNIQUE && strstr(message, "keys.label"))
		return -EEXIST;

	if (code != store->logged_code || at_ms - store->logged_ms >= REPEAT_MS) {
		log_error("the store %s: %s (SQLite %d)",
			  sqlite3_db_filename(store->database, "main"), message, code);
		store->logged_code = code;
		store->logged_ms = at_ms;
	}
	return store_errno(store->database, code);
}

sqlite3_stmt *store_bind(struct store *store, enum statement which, const char *types, ...)
{
	sqlite3_stmt *statement = store->statements[which];
	va_list values;

	va_start(values, types);
	for (int i = 1; types[i - 1]; i++) {
		switch (types[i - 1]) {
		case 't':
			sqlite3_bind_text(statement, i, va_arg(values, const char *), -1,
					  SQLITE_STATIC);
			break;
		case 'i':
			sqlite3_bind_int64(statement, i, (sqlite3_int64)va_arg(values, uint64_t));
			break;
		case 'd':
			sqlite3_bind_blob(statement, i, va_arg(values, const void *), DIGEST_SIZE,
					  SQLITE_STATIC);
			break;
		}
	}
	va_end(values);
	return statement;
}

void store_keep_journal(struct store *store, bool keep)
{
	sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)keep, NULL);
}

void store_finish(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

int store_run(struct store *store, sqlite3_stmt *statement)
{
	int err = 0;

	if (sqlite3_step(statement) != SQLITE_DONE)
		err = store_failed(store);
	store_finish(statement);
	return err;
}

/* A change to a file that has no name any more would be lost with the daemon. */
static bool has_moved(struct store *store)
{
	int moved = 0;

	return sqlite3_file_control(store->database, "main", SQLITE_FCNTL_HAS_MOVED, &moved) ==
		       SQLITE_OK &&
	       moved;
}

int store_commit(struct store *store, sqlite3_stmt *statement)
{
	int code, err;

	if (has_moved(store)) {
		store_finish(statement);
		return -ESTALE;
	}
	err = store_run(store, statement);
	code = sqlite3_errcode(store->database);
	if (!err || (code & 0xff) != SQLITE_IOERR)
		return err;

	/*
	 * All of the change may have reached the file before the error, to be found by whoever
	 * opens it next. Another write takes its place. (On a full disk its end is missing.)
	 */
	if (!sqlite3_get_autocommit(store->database))
		store_run(store, store_bind(store, ROLLBACK, ""));
	return store_run(store, store_bind(store, OVERWRITE, "")) ? -ENOTRECOVERABLE : err;
}
