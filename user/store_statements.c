// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store's prepared statements, and how they are run. */
#include "store_statements.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "log.h"
#include "util.h"

/* After how long a failure that lasts is logged again. */
#define REPEAT_MS 60000

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
	[GET] = "SELECT " COLUMNS " FROM keys WHERE id = ?",
	[LIST_ALL] = "SELECT " COLUMNS " FROM keys ORDER BY number",
	[LIST_ACCOUNT] = "SELECT " COLUMNS " FROM keys WHERE account = ? ORDER BY number",
	[LIST_ACTIVE] = "SELECT " COLUMNS " FROM keys WHERE status = 0 ORDER BY number",
	[COUNT_ACCOUNT] = "SELECT count(*) FROM keys WHERE account = ? AND status != 2",
	[COUNT] = "SELECT status, count(*) FROM keys GROUP BY status",
	[SAVE_USAGE] = "UPDATE keys SET windows = ?2, last_used_ms = ?3, admitted = ?4, "
		       "refused = ?5 WHERE id = ?1",
	[GET_PEPPER_CHECK] = "SELECT pepper_check FROM installation",
	[PUT_PEPPER_CHECK] =
		"INSERT OR REPLACE INTO installation (only, pepper_check) VALUES (1, ?)",
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
		log_error("store: %s (SQLite %d)", message, code);
		store->logged_code = code;
		store->logged_ms = at_ms;
	}
	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
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
