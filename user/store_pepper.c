// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The pepper that belongs to a store, told from any other by a check value in the store. */
#include "store.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "store_schema.h"
#include "store_statements.h"

#define CHECK_SIZE 16 /* bytes of a pepper's check value */

/* A value that tells peppers apart and says nothing of them. */
static void compute_check(const uint8_t pepper[PEPPER_SIZE], uint8_t ret_check[CHECK_SIZE])
{
	static const unsigned char subject[] = "sluice pepper check";

	crypto_generichash(ret_check, CHECK_SIZE, subject, sizeof(subject) - 1, pepper,
			   PEPPER_SIZE);
}

int store_check_pepper(sqlite3 *database, const uint8_t pepper[PEPPER_SIZE])
{
	uint8_t check[CHECK_SIZE];
	sqlite3_stmt *statement = NULL;
	int code, err = 0;

	compute_check(pepper, check);
	code = sqlite3_prepare_v2(database, "SELECT pepper_check FROM installation", -1, &statement,
				  NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		err = -ENODATA;
	else if (code != SQLITE_ROW)
		err = store_errno(database, sqlite3_extended_errcode(database));
	else if (sqlite3_column_bytes(statement, 0) != CHECK_SIZE ||
		 memcmp(sqlite3_column_blob(statement, 0), check, CHECK_SIZE))
		err = -EKEYREJECTED;
	sqlite3_finalize(statement);
	return err;
}

static int note_pepper(struct store *store, const uint8_t pepper[PEPPER_SIZE])
{
	uint8_t check[CHECK_SIZE];

	compute_check(pepper, check);
	return store_commit(store, store_bind(store, PUT_PEPPER_CHECK, "d", check));
}

/*
 * The store knows of its pepper before there is one: a pepper of which no store knows has lost its
 * store.
 */
static int make_pepper(struct store *store, const char *path, uint8_t ret_pepper[PEPPER_SIZE],
		       char *why, size_t why_size)
{
	int err;

	randombytes_buf(ret_pepper, PEPPER_SIZE);
	err = note_pepper(store, ret_pepper);
	if (err) {
		snprintf(why, why_size, "Cannot write the store beside the pepper %s: %s.", path,
			 store_reason(err));
		return err;
	}
	return pepper_save(path, ret_pepper, why, why_size);
}

/* See that the pepper is the store's, or make it so where no key depends on another one. */
static int settle_pepper(struct store *store, const uint8_t pepper[PEPPER_SIZE], bool has_keys)
{
	int err = store_check_pepper(store->database, pepper);

	if (has_keys && err == -ENODATA)
		return -EKEYREJECTED;
	if (!has_keys && err == -EKEYREJECTED)
		return note_pepper(store, pepper);
	return err;
}

static void explain(int err, const char *path, char *why, size_t why_size)
{
	switch (err) {
	case -ENOKEY:
		snprintf(why, why_size,
			 "The pepper %s is missing, and no key in the store can be checked without "
			 "it. Restore it from a backup.",
			 path);
		break;
	case -EKEYREJECTED:
		snprintf(
			why, why_size,
			"The pepper %s is not the one the store's keys were made with. Restore the "
			"one that belongs to this store.",
			path);
		break;
	case -ENODATA:
		snprintf(why, why_size,
			 "The store beside the pepper %s is empty: the one it belongs to is gone. "
			 "Restore that from a backup; or, to begin without any key, move the "
			 "pepper away.",
			 path);
		break;
	default:
		snprintf(why, why_size, "Cannot use the store beside the pepper %s: %s.", path,
			 store_reason(err));
	}
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
		explain(err, path, why, why_size);
		return err;
	}
	has_keys = counts.active || counts.expired || counts.revoked;

	err = pepper_load(path, pepper, why, why_size);
	if (!err) {
		err = settle_pepper(store, pepper, has_keys);
		if (err)
			explain(err, path, why, why_size);
	} else if (err == -ENOENT && has_keys) {
		err = -ENOKEY;
		explain(err, path, why, why_size);
	} else if (err == -ENOENT) {
		err = make_pepper(store, path, pepper, why, why_size);
	}
	if (!err) {
		store_keep_journal(store, false);
		memcpy(ret_pepper, pepper, sizeof(pepper));
	}
	sodium_memzero(pepper, sizeof(pepper));
	return err;
}
