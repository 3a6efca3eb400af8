// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What can be done with keys: check, make durable, put in force. */
#include "registry.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"
#include "log.h"
#include "util.h"

struct registry {
	struct store *store;
	struct sync *sync;
	uint32_t keys_per_account;
	char key_word[KEY_WORD_MAX + 1];
	uint8_t pepper[PEPPER_SIZE];
};

int failure_set(struct failure *ret_failure, enum failure_kind kind, const char *format, ...)
{
	static const struct {
		int status;
		const char *code;
		int err;
	} kinds[] = {
		[FAILURE_INVALID_ARGUMENT] = { 400, "INVALID_ARGUMENT", -EINVAL },
		[FAILURE_NOT_FOUND] = { 404, "NOT_FOUND", -ENOENT },
		[FAILURE_CONFLICT] = { 409, "CONFLICT", -EEXIST },
		[FAILURE_LIMIT_REACHED] = { 409, "LIMIT_REACHED", -EDQUOT },
		[FAILURE_UNAVAILABLE] = { 503, "UNAVAILABLE", -EIO },
	};
	va_list arguments;

	ret_failure->status = kinds[kind].status;
	ret_failure->code = kinds[kind].code;
	va_start(arguments, format);
	vsnprintf(ret_failure->message, sizeof(ret_failure->message), format, arguments);
	va_end(arguments);
	return kinds[kind].err;
}

static int fail_invalid(struct failure *ret_failure, const char *message)
{
	return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT, "%s", message);
}

/* What went wrong in the store, which logged the details. */
static int fail_store(struct failure *ret_failure, int err)
{
	switch (err) {
	case -ENOENT:
		return failure_set(ret_failure, FAILURE_NOT_FOUND, "There is no key of this id.");
	case -EEXIST:
		return failure_set(ret_failure, FAILURE_CONFLICT,
				   "The account already has a key with this label.");
	case -ENOTRECOVERABLE:
		return failure_set(
			ret_failure, FAILURE_UNAVAILABLE,
			"The store cannot be written: its disk fails. Nothing was changed "
			"in force, but the change may be found when sluiced starts again.");
	default:
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The store cannot be used: %s. Nothing was changed.",
				   store_reason(err));
	}
}

/* What went wrong in putting a key in force; the store is as it was before. */
static int fail_sync(struct failure *ret_failure, int err)
{
	switch (err) {
	case -E2BIG:
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The key table is full. Revoke keys, or " SYNC_MAKE_ROOM);
	case -EAGAIN:
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The key table is full until slots of revoked keys are free "
				   "again. Try again in a few seconds.");
	default:
		log_error("a key could not be put in force: %s", strerror(-err));
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The kernel side failed (%s). Nothing was changed.",
				   strerror(-err));
	}
}

/* A change is in the store, but neither in force nor to be undone. */
static int fail_both(struct failure *ret_failure, const char *id, const char *what)
{
	log_error("the kernel side and the store failed for key %s: %s", id, what);
	return failure_set(ret_failure, FAILURE_UNAVAILABLE,
			   "The kernel side failed for key %s, and then the store: %s.", id, what);
}

int registry_open(const struct registry_options *options, struct store *store, struct sync *sync,
		  struct registry **ret_registry)
{
	struct registry *registry;

	if (key_check_word(options->key_word))
		return -EINVAL;
	registry = calloc(1, sizeof(*registry));
	if (!registry)
		return -ENOMEM;
	registry->store = store;
	registry->sync = sync;
	registry_set(registry, options->keys_per_account, options->key_word);
	memcpy(registry->pepper, options->pepper, sizeof(registry->pepper));
	*ret_registry = registry;
	return 0;
}

void registry_set(struct registry *registry, uint32_t keys_per_account, const char *key_word)
{
	registry->keys_per_account = keys_per_account;
	snprintf(registry->key_word, sizeof(registry->key_word), "%s", key_word);
}

void registry_close(struct registry *registry)
{
	if (!registry)
		return;
	sodium_memzero(registry->pepper, sizeof(registry->pepper));
	free(registry);
}

/*
 * Bring a record of the store up to this moment. The kernel refuses a key from the millisecond of
 * its expiry on; the store says so only after the next sweep.
 */
static void refresh(const struct registry *registry, struct key_record *record)
{
	uint64_t at_ms = now_ms();
	struct limit_windows windows;

	sync_peek(registry->sync, record);
	windows = limit_at(record->windows, at_ms);
	record->used_minute = windows.used_minute;
	record->used_day = windows.used_day;
	if (record->status == KEY_ACTIVE && record->expires_ms && record->expires_ms <= at_ms)
		record->status = KEY_EXPIRED;
}

/* Set what the operator chose. NULL leaves the record's value, which is the default for a new key. */
static const char *apply(struct key_record *record, const char *label, const int64_t *per_minute,
			 const int64_t *per_day)
{
	const char *refusal = NULL;

	if (label)
		refusal = key_check_label(label);
	if (!refusal && per_minute)
		refusal = key_check_per_minute(*per_minute);
	if (!refusal && per_day)
		refusal = key_check_per_day(*per_day);
	if (refusal)
		return refusal;

	if (label)
		snprintf(record->label, sizeof(record->label), "%s", label);
	if (per_minute)
		record->per_minute = (uint32_t)*per_minute;
	if (per_day)
		record->per_day = (uint32_t)*per_day;
	return NULL;
}

/* Turn a request into a record, all but what is random. */
static const char *read_request(const struct key_request *request, struct key_record *ret_record)
{
	struct key_record record = {
		.per_minute = KEY_PER_MINUTE_DEFAULT,
		.per_day = KEY_PER_DAY_DEFAULT,
		.created_ms = now_ms(),
		.slot = KEY_NO_SLOT,
	};
	const char *refusal;

	if (!request->account)
		return "account is required.";
	if (!request->label)
		return "label is required.";
	refusal = key_check_account(request->account);
	if (!refusal)
		refusal = apply(&record, request->label, request->per_minute, request->per_day);
	if (refusal)
		return refusal;
	snprintf(record.account, sizeof(record.account), "%s", request->account);

	if (request->expires_ms) {
		if (*request->expires_ms <= record.created_ms)
			return "expiresAt must be in the future.";
		record.expires_ms = *request->expires_ms;
	}
	*ret_record = record;
	return NULL;
}

/* Store a new key, then put it in force; or neither. */
static int add(struct registry *registry, struct key_record *record, struct failure *ret_failure)
{
	int err, undo_err;

	err = store_insert(registry->store, record);
	if (err)
		return fail_store(ret_failure, err);
	err = sync_put(registry->sync, record);
	if (!err)
		return 0;

	/* Nobody has been told the secret: if the key stays in the store, nobody can use it. */
	undo_err = store_delete(registry->store, record->id);
	if (undo_err)
		return fail_both(ret_failure, record->id,
				 "it is stored, in force from the next start on; revoke it");
	return fail_sync(ret_failure, err);
}

int registry_create(struct registry *registry, const struct key_request *request,
		    struct key_record *ret_record, char ret_text[KEY_TEXT_MAX + 1],
		    struct failure *ret_failure)
{
	char text[KEY_TEXT_MAX + 1];
	struct key_record record;
	const char *refusal;
	uint32_t count;
	int err;

	refusal = read_request(request, &record);
	if (refusal)
		return fail_invalid(ret_failure, refusal);
	err = store_count_account(registry->store, record.account, &count);
	if (err)
		return fail_store(ret_failure, err);
	if (count >= registry->keys_per_account)
		return failure_set(ret_failure, FAILURE_LIMIT_REACHED,
				   "The account has %u keys already, and may have %u. Revoke %u "
				   "first; expired keys count until they are revoked.",
				   count, registry->keys_per_account,
				   count - registry->keys_per_account + 1);

	key_id_make(record.id);
	key_make(registry->key_word, text);
	key_prefix(text, record.prefix);
	key_hash(registry->pepper, text, &record.digest);
	err = add(registry, &record, ret_failure);
	if (!err) {
		refresh(registry, &record);
		*ret_record = record;
		memcpy(ret_text, text, sizeof(text));
	}
	sodium_memzero(text, sizeof(text));
	return err;
}

static int get(struct registry *registry, const char *id, struct key_record *ret_record,
	       struct failure *ret_failure)
{
	int err = key_id_check(id) ? store_get(registry->store, id, ret_record) : -ENOENT;

	return err ? fail_store(ret_failure, err) : 0;
}

int registry_edit(struct registry *registry, const char *id, const struct key_change *change,
		  struct key_record *ret_record, struct failure *ret_failure)
{
	struct key_record former, record;
	const char *refusal;
	int err;

	err = get(registry, id, &former, ret_failure);
	if (err)
		return err;
	if (former.status == KEY_REVOKED)
		return failure_set(ret_failure, FAILURE_CONFLICT,
				   "The key is revoked and can no longer be changed.");
	if (!change->label && !change->per_minute && !change->per_day)
		return fail_invalid(ret_failure,
				    "Nothing to change: give label, perMinute or perDay.");
	record = former;
	refusal = apply(&record, change->label, change->per_minute, change->per_day);
	if (refusal)
		return fail_invalid(ret_failure, refusal);

	err = store_update(registry->store, &record);
	if (err)
		return fail_store(ret_failure, err);
	err = sync_change(registry->sync, &record);
	if (err) {
		if (store_update(registry->store, &former))
			return fail_both(ret_failure, id,
					 "it is changed in the store, in force from the next start "
					 "on; change it again");
		return fail_sync(ret_failure, err);
	}
	refresh(registry, &record);
	*ret_record = record;
	return 0;
}

static bool in_force(const struct registry *registry, const struct key_record *record)
{
	struct key_record live = *record;

	sync_peek(registry->sync, &live);
	return live.slot != KEY_NO_SLOT;
}

int registry_revoke(struct registry *registry, const char *id, struct key_record *ret_record,
		    struct failure *ret_failure)
{
	struct key_record record;
	bool settled;
	int err;

	err = get(registry, id, &record, ret_failure);
	if (err)
		return err;
	settled = record.status == KEY_REVOKED && !in_force(registry, &record);
	if (record.status != KEY_REVOKED) {
		sync_peek(registry->sync, &record);
		err = store_revoke(registry->store, &record);
		if (err)
			return fail_store(ret_failure, err);
		record.status = KEY_REVOKED;
	}

	/* Also where it was revoked before: that time the kernel side may have failed. */
	err = sync_remove(registry->sync, &record);
	if (err)
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The key is marked as revoked, but the kernel side failed (%s): "
				   "it may still be accepted. This is tried again every second.",
				   strerror(-err));
	record.slot = KEY_NO_SLOT;
	refresh(registry, &record);
	*ret_record = record;
	return settled;
}

int registry_get(struct registry *registry, const char *id, struct key_record *ret_record,
		 struct failure *ret_failure)
{
	struct key_record record;
	int err;

	err = get(registry, id, &record, ret_failure);
	if (err)
		return err;
	refresh(registry, &record);
	*ret_record = record;
	return 0;
}

int registry_list(struct registry *registry, const char *account, struct key_record **ret_records,
		  size_t *ret_count, struct failure *ret_failure)
{
	const char *refusal = account ? key_check_account(account) : NULL;
	struct key_record *records;
	size_t count;
	int err;

	if (refusal)
		return fail_invalid(ret_failure, refusal);
	err = store_list(registry->store, account, &records, &count);
	if (err)
		return fail_store(ret_failure, err);
	for (size_t i = 0; i < count; i++)
		refresh(registry, &records[i]);
	*ret_records = records;
	*ret_count = count;
	return 0;
}

int registry_count(struct registry *registry, struct store_counts *ret_counts,
		   struct failure *ret_failure)
{
	int err = store_count(registry->store, ret_counts);

	return err ? fail_store(ret_failure, err) : 0;
}
