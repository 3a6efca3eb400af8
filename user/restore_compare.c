// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A backup is of the past: what was used since stays used, and what was revoked since is told. */
#include "restore_compare.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "store_schema.h"
#include "util.h"

struct comparison {
	struct store *restored;
	struct store_usage *usage; /* that is further in the former store */
	size_t count;
	size_t unknown; /* keys in force that the backup does not know */
};

/* A key's count never goes back, and its windows' word grows with it: the larger is the later. */
static bool is_further(const struct store_usage *former, const struct key_record *record)
{
	return former->windows > record->windows ||
	       (former->windows == record->windows && former->admitted > record->admitted);
}

static int note_usage(struct comparison *comparison, const struct store_usage *usage)
{
	struct store_usage *more =
		reallocarray(comparison->usage, comparison->count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	comparison->usage = more;
	more[comparison->count++] = *usage;
	return 0;
}

/* One key of the former store. */
static int compare(struct comparison *comparison, sqlite3_stmt *row)
{
	enum key_status status = (enum key_status)sqlite3_column_int(row, 1);
	struct store_usage usage = {
		.windows = (uint64_t)sqlite3_column_int64(row, 2),
		.last_used_ms = (uint64_t)sqlite3_column_int64(row, 3),
		.admitted = (uint64_t)sqlite3_column_int64(row, 4),
		.refused = (uint64_t)sqlite3_column_int64(row, 5),
	};
	const char *id = (const char *)sqlite3_column_text(row, 0);
	struct key_record record;
	int err;

	err = store_get(comparison->restored, id ? id : "", &record);
	if (err == -ENOENT) {
		comparison->unknown += status == KEY_ACTIVE;
		return 0;
	}
	if (err)
		return err;
	usage.number = record.number;
	if (status == KEY_REVOKED && record.status == KEY_ACTIVE)
		log_warning("Key %s of account %s was revoked since the backup, and is valid "
			    "again: revoke it again unless that is meant.",
			    record.id, record.account);
	return is_further(&usage, &record) ? note_usage(comparison, &usage) : 0;
}

/* Go through the former store; one that is damaged is left where it no longer can be read. */
static int compare_all(struct comparison *comparison, sqlite3 *former)
{
	sqlite3_stmt *row = NULL;
	int code, err = 0;

	code = sqlite3_prepare_v2(former,
				  "SELECT id, status, windows, last_used_ms, admitted, refused "
				  "FROM keys",
				  -1, &row, NULL);
	if (code == SQLITE_OK)
		while (!err && (code = sqlite3_step(row)) == SQLITE_ROW)
			err = compare(comparison, row);
	if (!err && code != SQLITE_DONE)
		log_warning("The former store cannot be read to its end (%s): counts are as the "
			    "backup has them, and keys that were revoked since may be valid again.",
			    sqlite3_errmsg(former));
	sqlite3_finalize(row);
	return err;
}

int restore_compare(struct store *restored, const char *former)
{
	struct comparison comparison = { .restored = restored };
	sqlite3 *database = NULL;
	int err;

	if (access(former, F_OK)) {
		log_warning("There is no former store: counts are as the backup has them, and keys "
			    "that were revoked since may be valid again.");
		return 0;
	}
	/* Read only: it is kept as it is. */
	sqlite3_open_v2(former, &database, SQLITE_OPEN_READONLY, NULL);
	err = compare_all(&comparison, database);
	sqlite3_close(database);
	if (!err && comparison.count)
		err = store_save_usage(restored, comparison.usage, comparison.count);
	if (!err && comparison.unknown)
		log_warning("%zu %s made since the backup and %s refused from the next start on.",
			    comparison.unknown, comparison.unknown == 1 ? "key was" : "keys were",
			    comparison.unknown == 1 ? "is" : "are");
	free(comparison.usage);
	return err;
}
