/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What can be done with keys: the verbs behind the control API. Each checks what it is given,
 * makes the change durable in the store and puts it in force in the kernel before it returns, or
 * changes nothing and says why.
 *
 * One thread. Every verb returns 0 where not said otherwise, or a negative errno with ret_failure
 * set.
 */
#ifndef SLUICE_REGISTRY_H
#define SLUICE_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "keys.h"
#include "store.h"
#include "sync.h"

struct registry;

/* Why a call failed, as the control API says it. */
struct failure {
	int status;	  /* of HTTP */
	const char *code; /* "INVALID_ARGUMENT" … */
	char message[1280];
};

enum failure_kind {
	FAILURE_INVALID_ARGUMENT, /* 400 */
	FAILURE_NOT_FOUND,	  /* 404 */
	FAILURE_CONFLICT,	  /* 409, what is there, or configured, stands against it */
	FAILURE_LIMIT_REACHED,	  /* 409, too many keys */
	FAILURE_UNAVAILABLE,	  /* 503, store or kernel side fail */
};

/* Set all members of a failure. Returns the negative errno that goes with the kind. */
int failure_set(struct failure *ret_failure, enum failure_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct registry_options {
	uint32_t keys_per_account; /* that are not revoked; KEY_PER_ACCOUNT_DEFAULT by default */
	const char *key_word;	   /* KEY_WORD_DEFAULT by default */
	uint8_t pepper[PEPPER_SIZE];
};

/* What a new key shall be. Account and label must be there; NULL elsewhere takes the default. */
struct key_request {
	const char *account;
	const char *label;
	const int64_t *per_minute;
	const int64_t *per_day;
	const uint64_t *expires_ms; /* must be in the future; NULL: never */
};

/* What shall change; NULL leaves it. At least one must be there. */
struct key_change {
	const char *label;
	const int64_t *per_minute;
	const int64_t *per_day;
};

/* options are copied. store and sync must outlive the registry. -ENOMEM, -EINVAL: key_word. */
int registry_open(const struct registry_options *options, struct store *store, struct sync *sync,
		  struct registry **ret_registry);

/* Change what holds for keys that are made from now on. key_word is copied and must be well formed. */
void registry_set(struct registry *registry, uint32_t keys_per_account, const char *key_word);

/* Wipes the pepper. NULL is allowed. */
void registry_close(struct registry *registry);

/*
 * Create a key. ret_text is the secret, told this once: wipe it with sodium_memzero() once it is
 * sent.
 */
int registry_create(struct registry *registry, const struct key_request *request,
		    struct key_record *ret_record, char ret_text[KEY_TEXT_MAX + 1],
		    struct failure *ret_failure);

/* Change label or limits. New limits keep what is already used. */
int registry_edit(struct registry *registry, const char *id, const struct key_change *change,
		  struct key_record *ret_record, struct failure *ret_failure);

/* Revoke a key. Returns 1 where it was revoked and out of force already. */
int registry_revoke(struct registry *registry, const char *id, struct key_record *ret_record,
		    struct failure *ret_failure);

/* Records with live usage. */
int registry_get(struct registry *registry, const char *id, struct key_record *ret_record,
		 struct failure *ret_failure);

/* As store_list(): NULL for all accounts, ret_records freed by the caller. */
int registry_list(struct registry *registry, const char *account, struct key_record **ret_records,
		  size_t *ret_count, struct failure *ret_failure);

/* Number of keys of each status. */
int registry_count(struct registry *registry, struct store_counts *ret_counts,
		   struct failure *ret_failure);

#endif
