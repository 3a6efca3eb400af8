/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The store: every key that was ever made, in SQLite. What it has confirmed is on disk.
 *
 * One thread. Functions return 0 or a negative errno: where SQLite fails, one that store_reason()
 * knows (the log has more), else as their comments say. What failed has changed nothing, but for
 * -ENOTRECOVERABLE: the disk failed so that a change may or may not be found when the store is
 * opened the next time.
 */
#ifndef SLUICE_STORE_H
#define SLUICE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "keys.h"

struct store;

/* Usage of one key, as saved. */
struct store_usage {
	int64_t number; /* the key's record's */
	uint64_t windows;
	uint64_t last_used_ms;
	uint64_t admitted;
	uint64_t refused;
};

struct store_counts {
	uint64_t active;
	uint64_t expired;
	uint64_t revoked;
};

/* What is wrong and what to do, for the end of a sentence that names the store. */
const char *store_reason(int err);

/*
 * Open the store, make it where there is none, bring its schema up to date, and hold the folder's
 * lock. A restore that was cut short is finished first. The folder must exist.
 *
 * On failure why (why_size bytes) says what is wrong and what to do: -EBUSY another daemon holds
 * the folder, -EPROTO made by a newer version, -EMEDIUMTYPE a file that is not ours, -EUCLEAN
 * damaged.
 */
int store_open(const char *path, struct store **ret_store, char *why, size_t why_size);

/*
 * The journal is moved into the file where store_open_pepper() has found the two to belong together,
 * and else left as it is. NULL is allowed.
 */
void store_close(struct store *store);

/*
 * Load the installation's pepper from its own file, or make it where there is none and the store
 * has no keys yet, and see that it is the one the store's keys were hashed with.
 *
 * -ENOKEY: missing, and the store has keys; -EKEYREJECTED: another pepper; -ENODATA: there is a
 * pepper, but the store it belongs to is gone; else pepper_load()'s and pepper_save()'s errors. why
 * says what is wrong and what to do.
 */
int store_open_pepper(struct store *store, const char *path, uint8_t ret_pepper[PEPPER_SIZE],
		      char *why, size_t why_size);

/*
 * Add a key; record->number is set. -EEXIST: the account has another key of that label that is not
 * revoked.
 */
int store_insert(struct store *store, struct key_record *record);

/* Take a key out again that was never in force. */
int store_delete(struct store *store, const char *id);

/* Change label and limits to the record's. -EEXIST as above; -ENOENT: no such key. */
int store_update(struct store *store, const struct key_record *record);

/* Mark a key revoked; its usage is saved along with that. -ENOENT: no such key. */
int store_revoke(struct store *store, const struct key_record *record);

/* Mark every active key expired whose time has come. */
int store_expire(struct store *store, uint64_t at_ms);

/* Read one key. -ENOENT: no such key. */
int store_get(struct store *store, const char *id, struct key_record *ret_record);

/*
 * Read the keys of an account, of all where it is NULL, in the order of their creation.
 * ret_records is freed by the caller; it is NULL where there are none.
 */
int store_list(struct store *store, const char *account, struct key_record **ret_records,
	       size_t *ret_count);

/*
 * Visit the keys whose status is active, in the order of their creation, until a visit returns nonzero,
 * which is returned then. A visit may change its record, but not the store.
 */
int store_each_active(struct store *store, int (*visit)(struct key_record *record, void *data),
		      void *data);

/* Number of an account's keys that are not revoked. */
int store_count_account(struct store *store, const char *account, uint32_t *ret_count);

/* Number of keys of each status. */
int store_count(struct store *store, struct store_counts *ret_counts);

/* Save the usage of count keys, all or none. Keys that are not there are passed over. */
int store_save_usage(struct store *store, const struct store_usage *usage, size_t count);

#endif
