/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is in the database of a test's folder, seen by another connection. */
#ifndef SLUICE_TEST_STORED_NUMBER_H
#define SLUICE_TEST_STORED_NUMBER_H

#include <sqlite3.h>

#include "check.h"
#include "temp_folder.h"

/* One number, as it is on disk at this moment. */
static inline int stored_number(const char *sql)
{
	sqlite3_stmt *statement;
	sqlite3 *database;
	int number;

	assert_int_equal(sqlite3_open(temp_path("sluice.db"), &database), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
	return number;
}

#endif
