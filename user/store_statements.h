/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The store's prepared statements, and how they are run. For store*.c alone. */
#ifndef SLUICE_STORE_STATEMENTS_H
#define SLUICE_STORE_STATEMENTS_H

#include <sqlite3.h>
#include <stdbool.h>

#include "store.h"

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	INSERT,
	DELETE,
	UPDATE,
	REVOKE,
	EXPIRE,
	GET,
	LIST_ALL,
	LIST_ACCOUNT,
	LIST_ACTIVE,
	COUNT_ACCOUNT,
	COUNT,
	SAVE_USAGE,
	PUT_PEPPER_CHECK,
	OVERWRITE,
	STATEMENTS,
};

struct store {
	sqlite3 *database;
	int folder; /* locked as long as the store is open */
	sqlite3_stmt *statements[STATEMENTS];
	int logged_code; /* of the failure that was logged last, and when */
	uint64_t logged_ms;
};

/* Prepare all statements, once the schema is there; or finalise those that are. */
int store_prepare(struct store *store);
void store_finalize(struct store *store);

/*
 * The errno of SQLite's last failure, which is logged, as callers know no more than "it failed";
 * the same one again only after a minute.
 */
int store_failed(struct store *store);

/*
 * Bind a statement's values: 't' a text, 'i' a uint64_t, 'd' 16 bytes. What is bound must live
 * until the statement is finished. A value that cannot be bound stays NULL, which no column takes.
 */
sqlite3_stmt *store_bind(struct store *store, enum statement which, const char *types, ...);

/* Whether closing the store leaves its journal as it is, rather than moving it into the file. */
void store_keep_journal(struct store *store, bool keep);

/* Be done with a statement: its locks and its borrowed values are let go. */
void store_finish(sqlite3_stmt *statement);

/* Run a statement that returns no rows, and finish it. */
int store_run(struct store *store, sqlite3_stmt *statement);

/*
 * store_run() of a statement that makes a change durable. Where it fails, the change is not on disk
 * either, or -ENOTRECOVERABLE is returned.
 */
int store_commit(struct store *store, sqlite3_stmt *statement);

#endif
