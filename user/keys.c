// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a key is: its text, its digest, and the rules for what belongs to it. */
#include "keys.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

const char *key_status_name(enum key_status status)
{
	switch (status) {
	case KEY_ACTIVE:
		return "active";
	case KEY_EXPIRED:
		return "expired";
	case KEY_REVOKED:
		break;
	}
	return "revoked";
}

/* The CRC-32 of what precedes it, base62, most significant digit first, zero-padded. */
static void write_checksum(const char *text, size_t length, char *ret_digits)
{
	unsigned long sum = crc32(0, (const unsigned char *)text, (unsigned int)length);

	for (int i = KEY_CHECK_SIZE - 1; i >= 0; i--) {
		ret_digits[i] = base62[sum % 62];
		sum /= 62;
	}
}

void key_make(const char *word, char ret_text[KEY_TEXT_MAX + 1])
{
	size_t length = (size_t)snprintf(ret_text, KEY_TEXT_MAX + 1, "%.*s_", KEY_WORD_MAX, word);

	for (int i = 0; i < KEY_RANDOM_SIZE; i++)
		ret_text[length++] = base62[randombytes_uniform(62)];
	write_checksum(ret_text, length, ret_text + length);
	ret_text[length + KEY_CHECK_SIZE] = '\0';
}

void key_prefix(const char *text, char ret_prefix[KEY_PREFIX_MAX + 1])
{
	snprintf(ret_prefix, KEY_PREFIX_MAX + 1, "%.*s",
		 (int)strcspn(text, "_") + 1 + KEY_PREFIX_RANDOM, text);
}

void key_hash(const uint8_t pepper[PEPPER_SIZE], const char *text, struct key_digest *ret_digest)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, DIGEST_SIZE);
	crypto_generichash_update(&state, pepper, PEPPER_SIZE);
	crypto_generichash_update(&state, (const unsigned char *)text, strlen(text));
	crypto_generichash_final(&state, ret_digest->bytes, DIGEST_SIZE);
	sodium_memzero(&state, sizeof(state));
}

void key_id_make(char ret_id[KEY_ID_LENGTH + 1])
{
	memcpy(ret_id, "key_", 4);
	for (int i = 4; i < KEY_ID_LENGTH; i++)
		ret_id[i] = base32[randombytes_uniform(32)];
	ret_id[KEY_ID_LENGTH] = '\0';
}

bool key_id_check(const char *text)
{
	return strlen(text) == KEY_ID_LENGTH && strncmp(text, "key_", 4) == 0 &&
	       strspn(text + 4, base32) == KEY_ID_LENGTH - 4;
}

void key_identity(const struct key_record *record, char ret_line[IDENTITY_SIZE])
{
	char line[IDENTITY_SIZE + 1];

	snprintf(line, sizeof(line), "X-Key-Id: %s; account=%s", record->id, record->account);
	memset(ret_line, ' ', IDENTITY_SIZE);
	memcpy(ret_line, line, strlen(line));
}

const char *key_check_account(const char *account)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._@:-";
	size_t length = strlen(account);

	if (length < 1 || length > KEY_ACCOUNT_MAX || strspn(account, allowed) != length)
		return "account must be 1 to 36 characters of A-Z a-z 0-9 . _ @ : and -.";
	return NULL;
}

/*
 * Read one UTF-8 character (RFC 3629 section 4: shortest form, no surrogates, at most U+10FFFF).
 * Returns its number of bytes, 0 where there is none.
 */
static size_t read_utf8(const unsigned char *text, uint32_t *ret_character)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t character;
	size_t length;

	if (text[0] < 0x80) {
		*ret_character = text[0];
		return 1;
	}
	if (text[0] < 0xc0 || text[0] > 0xf7)
		return 0;
	length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	character = text[0] & (0x7f >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (text[i] & 0x3f);
	}
	if (character < smallest[length] || character > 0x10ffff ||
	    (character >= 0xd800 && character <= 0xdfff))
		return 0;
	*ret_character = character;
	return length;
}

const char *key_check_label(const char *label)
{
	const unsigned char *text = (const unsigned char *)label;
	uint32_t character;
	int characters = 0;
	size_t length;

	for (; *text; text += length) {
		length = read_utf8(text, &character);
		if (!length)
			return "label must be valid UTF-8.";
		if (character < 0x20 || (character >= 0x7f && character <= 0x9f))
			return "label must not contain control characters.";
		if (++characters > KEY_LABEL_MAX)
			break;
	}
	if (characters < 1 || characters > KEY_LABEL_MAX)
		return "label must be 1 to 64 characters.";
	return NULL;
}

const char *key_check_per_minute(int64_t per_minute)
{
	if (per_minute < 1 || per_minute > KEY_PER_MINUTE_MAX)
		return "perMinute must be from 1 to 10000.";
	return NULL;
}

const char *key_check_per_day(int64_t per_day)
{
	if (per_day < 1 || per_day > KEY_PER_DAY_MAX)
		return "perDay must be from 1 to 100000.";
	return NULL;
}

const char *key_check_word(const char *word)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t length = strlen(word);

	if (length < 1 || length > KEY_WORD_MAX || strspn(word, allowed) != length || word[0] < 'a')
		return "The key word must be 1 to 8 characters of a-z 0-9, a letter first.";
	return NULL;
}
