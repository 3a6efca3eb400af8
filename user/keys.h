/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a key is: its text, its digest, the rules for what belongs to it, and the installation's
 * pepper. No store and no maps here. sodium_init() comes before everything else.
 */
#ifndef SLUICE_KEYS_H
#define SLUICE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi.h"

#define KEY_ID_LENGTH		16 /* "key_" and 12 of a-z2-7 */
#define KEY_ACCOUNT_MAX		36
#define KEY_LABEL_MAX		64 /* code points; four bytes each at most */
#define KEY_PREFIX_RANDOM	6  /* characters of the secret that a list shows */
#define KEY_PREFIX_MAX		(KEY_WORD_MAX + 1 + KEY_PREFIX_RANDOM)
#define KEY_WORD_DEFAULT	"gx"
#define KEY_PER_MINUTE_MAX	10000
#define KEY_PER_DAY_MAX		100000
#define KEY_PER_MINUTE_DEFAULT	60
#define KEY_PER_DAY_DEFAULT	1000
#define KEY_PER_ACCOUNT_DEFAULT 10
#define KEY_NO_SLOT		UINT32_MAX

enum key_status {
	KEY_ACTIVE,
	KEY_EXPIRED,
	KEY_REVOKED,
};

/* A key as the daemon knows it. Times are milliseconds since the epoch. */
struct key_record {
	int64_t number; /* the store's own; 0: it is not there */
	char id[KEY_ID_LENGTH + 1];
	char account[KEY_ACCOUNT_MAX + 1];
	char label[KEY_LABEL_MAX * 4 + 1];
	char prefix[KEY_PREFIX_MAX + 1];
	struct key_digest digest;
	enum key_status status;
	uint32_t per_minute;
	uint32_t per_day;
	uint64_t expires_ms; /* 0: never */
	uint64_t created_ms;
	/* usage: live where the key is in force, as last saved elsewhere */
	uint64_t windows;      /* packed, limit.h */
	uint64_t last_used_ms; /* 0: never */
	uint64_t admitted;
	uint64_t refused;
	uint32_t used_minute; /* of the current minute and day; set by the registry */
	uint32_t used_day;
	uint32_t slot; /* in the kernel's usage table, KEY_NO_SLOT: not in force; set by sync */
};

/* "active", "expired" or "revoked". */
const char *key_status_name(enum key_status status);

/* Make the text of a new key: word, '_', 43 random base62 characters and the checksum. */
void key_make(const char *word, char ret_text[KEY_TEXT_MAX + 1]);

/* The visible start of a key's text: the word, '_' and 6 characters. */
void key_prefix(const char *text, char ret_prefix[KEY_PREFIX_MAX + 1]);

/* The digest the store and the kernel know a key by: BLAKE2b-128 of pepper and text. */
void key_hash(const uint8_t pepper[PEPPER_SIZE], const char *text, struct key_digest *ret_digest);

/* Make a new random id. */
void key_id_make(char ret_id[KEY_ID_LENGTH + 1]);

/* True where text has the shape of an id. */
bool key_id_check(const char *text);

/* Write the header line the application sees in the place of the secret, padded with spaces. */
void key_identity(const struct key_record *record, char ret_line[IDENTITY_SIZE]);

/*
 * Rules for what an operator says of a key. Each returns NULL where the value is allowed, or a
 * sentence that names the value as the API does ("perMinute must be from 1 to 10000.").
 */
const char *key_check_account(const char *account);
const char *key_check_label(const char *label);
const char *key_check_per_minute(int64_t per_minute);
const char *key_check_per_day(int64_t per_day);
const char *key_check_word(const char *word); /* 1–8 of a-z0-9, a letter first */

/*
 * The pepper: 32 random bytes in a file of their own, owner's mode 0600.
 *
 * pepper_load() returns -ENOENT where there is no such file, and refuses one that is not a regular
 * file of exactly that size, owner and mode (-EPERM). pepper_save() makes a new file, complete on
 * disk or not there at all; -EEXIST where there is one. On failure why says what is wrong and what
 * to do. Wipe ret_pepper with sodium_memzero() when it is no longer needed.
 */
int pepper_load(const char *path, uint8_t ret_pepper[PEPPER_SIZE], char *why, size_t why_size);
int pepper_save(const char *path, const uint8_t pepper[PEPPER_SIZE], char *why, size_t why_size);

#endif
