// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store: what is read and written of keys. */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_statements.h"
#include "util.h"

/* Run a change of one row: -ENOENT where there is none. */
static int run_on_one(struct store *store, sqlite3_stmt *statement)
{
	int err = store_commit(store, statement);

	if (err)
		return err;
	return sqlite3_changes(store->database) ? 0 : -ENOENT;
}

static void copy_text(sqlite3_stmt *statement, int column, char *ret_text, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	snprintf(ret_text, size, "%s", text ? text : "");
}

/* A row of the statements that read keys. */
static void read_record(sqlite3_stmt *row, struct key_record *ret_record)
{
	const void *digest = sqlite3_column_blob(row, 4);

	*ret_record = (struct key_record){
		.status = (enum key_status)sqlite3_column_int(row, 5),
		.per_minute = (uint32_t)sqlite3_column_int(row, 6),
		.per_day = (uint32_t)sqlite3_column_int(row, 7),
		.expires_ms = (uint64_t)sqlite3_column_int64(row, 8),
		.created_ms = (uint64_t)sqlite3_column_int64(row, 9),
		.windows = (uint64_t)sqlite3_column_int64(row, 10),
		.last_used_ms = (uint64_t)sqlite3_column_int64(row, 11),
		.admitted = (uint64_t)sqlite3_column_int64(row, 12),
		.refused = (uint64_t)sqlite3_column_int64(row, 13),
		.number = sqlite3_column_int64(row, 14),
		.slot = KEY_NO_SLOT,
	};
	copy_text(row, 0, ret_record->id, sizeof(ret_record->id));
	copy_text(row, 1, ret_record->account, sizeof(ret_record->account));
	copy_text(row, 2, ret_record->label, sizeof(ret_record->label));
	copy_text(row, 3, ret_record->prefix, sizeof(ret_record->prefix));
	if (digest && sqlite3_column_bytes(row, 4) == DIGEST_SIZE)
		memcpy(ret_record->digest.bytes, digest, DIGEST_SIZE);
}

/* Read all rows of a statement that reads keys. */
static int list(struct store *store, sqlite3_stmt *statement, struct key_record **ret_records,
		size_t *ret_count)
{
	_cleanup_free_ struct key_record *records = NULL;
	size_t count = 0, room = 0;
	int code, err = 0;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		if (count == room) {
			struct key_record *more;

			room = room ? room * 2 : 16;
			more = reallocarray(records, room, sizeof(*records));
			if (!more) {
				store_finish(statement);
				return -ENOMEM;
			}
			records = more;
		}
		read_record(statement, &records[count++]);
	}
	if (code != SQLITE_DONE)
		err = store_failed(store);
	store_finish(statement);
	if (err)
		return err;
	*ret_records = take_pointer(records);
	*ret_count = count;
	return 0;
}

int store_insert(struct store *store, struct key_record *record)
{
	int err = store_commit(store,
			       store_bind(store, INSERT, "ttttdiiiiiiiii", record->id,
					  record->account, record->label, record->prefix,
					  record->digest.bytes, (uint64_t)record->status,
					  (uint64_t)record->per_minute, (uint64_t)record->per_day,
					  record->expires_ms, record->created_ms, record->windows,
					  record->last_used_ms, record->admitted, record->refused));

	if (!err)
		record->number = sqlite3_last_insert_rowid(store->database);
	return err;
}

int store_delete(struct store *store, const char *id)
{
	return store_commit(store, store_bind(store, DELETE, "t", id));
}

int store_update(struct store *store, const struct key_record *record)
{
	return run_on_one(store,
			  store_bind(store, UPDATE, "ttii", record->id, record->label,
				     (uint64_t)record->per_minute, (uint64_t)record->per_day));
}

int store_revoke(struct store *store, const struct key_record *record)
{
	return run_on_one(store,
			  store_bind(store, REVOKE, "tiiii", record->id, record->windows,
				     record->last_used_ms, record->admitted, record->refused));
}

int store_expire(struct store *store, uint64_t at_ms)
{
	return store_commit(store, store_bind(store, EXPIRE, "i", at_ms));
}

int store_get(struct store *store, const char *id, struct key_record *ret_record)
{
	sqlite3_stmt *statement = store_bind(store, GET, "t", id);
	int err = 0;

	switch (sqlite3_step(statement)) {
	case SQLITE_ROW:
		read_record(statement, ret_record);
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

int store_list(struct store *store, const char *account, struct key_record **ret_records,
	       size_t *ret_count)
{
	sqlite3_stmt *statement = account ? store_bind(store, LIST_ACCOUNT, "t", account)
					  : store_bind(store, LIST_ALL, "");

	return list(store, statement, ret_records, ret_count);
}

int store_each_active(struct store *store, int (*visit)(struct key_record *record, void *data),
		      void *data)
{
	sqlite3_stmt *statement = store_bind(store, LIST_ACTIVE, "");
	struct key_record record;
	int code, ret = 0;

	while (!ret && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		read_record(statement, &record);
		ret = visit(&record, data);
	}
	if (!ret && code != SQLITE_DONE)
		ret = store_failed(store);
	store_finish(statement);
	return ret;
}

int store_count_account(struct store *store, const char *account, uint32_t *ret_count)
{
	sqlite3_stmt *statement = store_bind(store, COUNT_ACCOUNT, "t", account);
	int err = 0;

	if (sqlite3_step(statement) == SQLITE_ROW)
		*ret_count = (uint32_t)sqlite3_column_int64(statement, 0);
	else
		err = store_failed(store);
	store_finish(statement);
	return err;
}

int store_count(struct store *store, struct store_counts *ret_counts)
{
	sqlite3_stmt *statement = store_bind(store, COUNT, "");
	uint64_t counts[KEY_REVOKED + 1] = { 0 };
	int code, err = 0;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		unsigned int status = (unsigned int)sqlite3_column_int(statement, 0);

		if (status <= KEY_REVOKED)
			counts[status] = (uint64_t)sqlite3_column_int64(statement, 1);
	}
	if (code != SQLITE_DONE)
		err = store_failed(store);
	store_finish(statement);
	if (err)
		return err;
	*ret_counts = (struct store_counts){ .active = counts[KEY_ACTIVE],
					     .expired = counts[KEY_EXPIRED],
					     .revoked = counts[KEY_REVOKED] };
	return 0;
}

int store_save_usage(struct store *store, const struct store_usage *usage, size_t count)
{
	int err;

	err = store_run(store, store_bind(store, BEGIN, ""));
	for (size_t i = 0; !err && i < count; i++)
		err = store_run(store,
				store_bind(store, SAVE_USAGE, "iiiii", (uint64_t)usage[i].number,
					   usage[i].windows, usage[i].last_used_ms,
					   usage[i].admitted, usage[i].refused));
	if (!err)
		err = store_commit(store, store_bind(store, COMMIT, ""));
	if (err && !sqlite3_get_autocommit(store->database))
		store_run(store, store_bind(store, ROLLBACK, ""));
	return err;
}
