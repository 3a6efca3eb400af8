// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A key's text: what has its shape, and what it is known by. */
#include <sodium.h>
#include <string.h>

#include "check.h"
#include "token.h"

#define RANDOM "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
#define CHECK  "HIJKLM"

static bool has_shape(const char *text, const char *word)
{
	size_t length = strlen(text);
	struct token token = { 0 };

	memcpy(token.text, text, length < sizeof(token.text) ? length : sizeof(token.text));
	struct settings settings = { 0 };

	memcpy(settings.key_word, word, strnlen(word, KEY_WORD_MAX));
	return token_shape(&token, length, settings.key_word_bits);
}

static void a_key_is_word_underscore_and_49_characters_of_base62(void **state)
{
	(void)state;
	assert_int_equal(strlen(RANDOM CHECK), 49);
	assert_true(has_shape("gx_" RANDOM CHECK, "gx"));
	assert_true(has_shape("a_" RANDOM CHECK, "a"));
	assert_true(has_shape("abcdefgh_" RANDOM CHECK, "abcdefgh"));
}

static void another_word_or_length_is_no_key(void **state)
{
	static const char *const cases[] = {
		"",
		"gx_",
		"g_" RANDOM CHECK,
		"Gx_" RANDOM CHECK,
		"gX_" RANDOM CHECK,
		"gy_" RANDOM CHECK,
		"gx-" RANDOM CHECK,
		"gx0" RANDOM CHECK,
		"gx_" RANDOM "HIJKL",
		"gx_" RANDOM CHECK "N",
		"gx__" RANDOM "HIJKL",
		RANDOM CHECK "gx_",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_false(has_shape(cases[i], "gx"));
	assert_false(has_shape("_" RANDOM CHECK, ""));
	assert_false(has_shape("abcdefghi_" RANDOM CHECK, "abcdefghi"));
}

static void a_tag_is_siphash_of_the_whole_text(void **state)
{
	unsigned char key[crypto_shorthash_KEYBYTES], tag[crypto_shorthash_BYTES];
	struct token token = { 0 };
	__u64 words[2], found;

	(void)state;
	memcpy(token.text, "gx_" RANDOM CHECK, 52);
	for (int i = 0; i < 100; i++) {
		randombytes_buf(key, sizeof(key));
		memcpy(words, key, sizeof(words));
		token.text[randombytes_uniform(sizeof(token.text))] ^= 1;
		crypto_shorthash(tag, token.text, sizeof(token.text), key);
		found = token_tag(&token, words);
		assert_memory_equal(&found, tag, sizeof(tag));
	}
}

static void every_character_behind_the_word_is_base62(void **state)
{
	static const char good[] = "gx_" RANDOM CHECK;
	const struct settings settings = { .key_word = "gx" };
	struct token token = { 0 };

	(void)state;
	for (size_t at = 3; at < sizeof(good) - 1; at++) {
		for (int byte = 0; byte < 256; byte++) {
			bool base62 = (byte >= '0' && byte <= '9') ||
				      (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');

			memcpy(token.text, good, sizeof(good));
			token.text[at] = byte;
			assert_int_equal(token_shape(&token, sizeof(good) - 1,
						     settings.key_word_bits),
					 base62);
		}
	}
}

static void the_digest_is_libsodiums_of_pepper_and_text(void **state)
{
	static const char text[] = "gx_" RANDOM CHECK;
	__u64 pepper[PEPPER_SIZE / 8];
	unsigned char input[PEPPER_SIZE + sizeof(text) - 1], expected[DIGEST_SIZE];
	struct token token = { 0 };
	struct key_digest digest;

	(void)state;
	randombytes_buf(pepper, sizeof(pepper));
	memcpy(input, pepper, sizeof(pepper));
	memcpy(input + sizeof(pepper), text, sizeof(text) - 1);
	crypto_generichash(expected, sizeof(expected), input, sizeof(input), NULL, 0);
	memcpy(token.text, text, sizeof(text) - 1);
	token_digest(&digest, (const __u8 *)pepper, &token, sizeof(text) - 1);
	assert_memory_equal(digest.bytes, expected, sizeof(expected));
}

static void digests_are_equal_only_in_all_bits(void **state)
{
	struct key_digest a, b;

	(void)state;
	randombytes_buf(&a, sizeof(a));
	for (int bit = 0; bit < DIGEST_SIZE * 8; bit++) {
		b = a;
		assert_true(digest_equals(&a, &b));
		b.bytes[bit / 8] ^= 1 << bit % 8;
		assert_false(digest_equals(&a, &b));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_word_underscore_and_49_characters_of_base62),
		cmocka_unit_test(another_word_or_length_is_no_key),
		cmocka_unit_test(every_character_behind_the_word_is_base62),
		cmocka_unit_test(a_tag_is_siphash_of_the_whole_text),
		cmocka_unit_test(the_digest_is_libsodiums_of_pepper_and_text),
		cmocka_unit_test(digests_are_equal_only_in_all_bits),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
