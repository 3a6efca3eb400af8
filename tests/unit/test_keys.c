// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a key is, the rules for what belongs to it, and the pepper's file. */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "check.h"
#include "temp_folder.h"
#include "util.h"

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void a_key_has_the_shape_of_the_contract(void **state)
{
	char text[KEY_TEXT_MAX + 1];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		key_make("gx", text);
		assert_int_equal(strlen(text), 52);
		assert_memory_equal(text, "gx_", 3);
		assert_int_equal(strspn(text + 3, base62), 49);
	}
}

static void a_key_ends_in_the_crc_of_what_precedes_it(void **state)
{
	char text[KEY_TEXT_MAX + 1];
	unsigned long sum = 0;

	(void)state;
	key_make("gx", text);
	for (const char *c = text + 46; *c; c++)
		sum = sum * 62 + (unsigned long)(strchr(base62, *c) - base62);
	assert_int_equal(sum, crc32(0, (const unsigned char *)text, 46));
}

static void no_two_keys_are_alike(void **state)
{
	char first[KEY_TEXT_MAX + 1], second[KEY_TEXT_MAX + 1];

	(void)state;
	key_make("gx", first);
	key_make("gx", second);
	assert_string_not_equal(first, second);
}

static void the_longest_word_fits(void **state)
{
	char text[KEY_TEXT_MAX + 1], prefix[KEY_PREFIX_MAX + 1];

	(void)state;
	key_make("abcdefgh", text);
	assert_int_equal(strlen(text), KEY_TEXT_MAX);
	assert_memory_equal(text, "abcdefgh_", 9);
	key_prefix(text, prefix);
	assert_int_equal(strlen(prefix), KEY_PREFIX_MAX);
}

static void the_prefix_shows_six_characters(void **state)
{
	char prefix[KEY_PREFIX_MAX + 1];

	(void)state;
	key_prefix("gx_ABCDEFGHIJKL", prefix);
	assert_string_equal(prefix, "gx_ABCDEF");
}

static void the_digest_is_blake2b_of_pepper_and_key(void **state)
{
	uint8_t pepper[PEPPER_SIZE], whole[PEPPER_SIZE + 5], expected[DIGEST_SIZE];
	struct key_digest digest, other;

	(void)state;
	randombytes_buf(pepper, sizeof(pepper));
	memcpy(whole, pepper, sizeof(pepper));
	memcpy(whole + sizeof(pepper), "gx_ab", 5);
	crypto_generichash(expected, sizeof(expected), whole, sizeof(whole), NULL, 0);
	key_hash(pepper, "gx_ab", &digest);
	assert_memory_equal(digest.bytes, expected, sizeof(expected));

	pepper[0] ^= 1;
	key_hash(pepper, "gx_ab", &other);
	assert_memory_not_equal(digest.bytes, other.bytes, DIGEST_SIZE);
}

static void an_id_has_the_shape_of_the_contract(void **state)
{
	char id[KEY_ID_LENGTH + 1];

	(void)state;
	for (int i = 0; i < 100; i++) {
		key_id_make(id);
		assert_int_equal(strlen(id), 16);
		assert_memory_equal(id, "key_", 4);
		assert_int_equal(strspn(id + 4, "abcdefghijklmnopqrstuvwxyz234567"), 12);
		assert_true(key_id_check(id));
	}
	assert_false(key_id_check("key_abcdefghijk"));
	assert_false(key_id_check("key_abcdefghijklm"));
	assert_false(key_id_check("key_abcdefghijk1"));
	assert_false(key_id_check("key-abcdefghijkl"));
	assert_false(key_id_check(""));
}

static void the_identity_line_is_padded_to_its_size(void **state)
{
	struct key_record record = { .id = "key_abcdefghijkl", .account = "acme" };
	char line[IDENTITY_SIZE], expected[IDENTITY_SIZE + 1];

	(void)state;
	key_identity(&record, line);
	snprintf(expected, sizeof(expected), "%-72s", "X-Key-Id: key_abcdefghijkl; account=acme");
	assert_memory_equal(line, expected, IDENTITY_SIZE);
}

static void the_longest_identity_fills_its_line(void **state)
{
	struct key_record record = { .id = "key_abcdefghijkl",
				     .account = "123456789012345678901234567890123456" };
	char line[IDENTITY_SIZE];

	(void)state;
	key_identity(&record, line);
	assert_memory_equal(
		line, "X-Key-Id: key_abcdefghijkl; account=123456789012345678901234567890123456",
		IDENTITY_SIZE);
}

static void an_account_is_1_to_36_characters_of_its_set(void **state)
{
	(void)state;
	assert_null(key_check_account("a"));
	assert_null(key_check_account("A.z_0@9:-"));
	assert_null(key_check_account("3f2504e0-4f89-41d3-9a0c-0305e82c3301"));
	assert_non_null(key_check_account(""));
	assert_non_null(key_check_account("3f2504e0-4f89-41d3-9a0c-0305e82c3301x"));
	assert_non_null(key_check_account("a b"));
	assert_non_null(key_check_account("a;b"));
	assert_non_null(key_check_account("a\r\n"));
	assert_non_null(key_check_account("\xc3\xa4"));
}

static void a_label_is_1_to_64_characters_of_utf8(void **state)
{
	char text[KEY_LABEL_MAX * 4 + 5] = "";

	(void)state;
	assert_null(key_check_label("a"));
	assert_null(key_check_label("Stage \xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x91"));
	assert_non_null(key_check_label(""));
	for (int i = 0; i < KEY_LABEL_MAX; i++)
		strcat(text, "\xf0\x9f\x94\x91");
	assert_null(key_check_label(text));
	strcat(text, "a");
	assert_string_equal(key_check_label(text), "label must be 1 to 64 characters.");
}

static void a_label_has_no_control_characters(void **state)
{
	static const char *const cases[] = { "\x01", "a\nb",	 "a\tb",     "\x1f",
					     "\x7f", "\xc2\x80", "\xc2\x85", "\xc2\x9f" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(key_check_label(cases[i]),
				    "label must not contain control characters.");
	assert_null(key_check_label("\xc2\xa0"));
}

static void a_label_that_is_not_utf8_is_refused(void **state)
{
	static const char *const cases[] = {
		"\x80",
		"a\xff",
		"\xc3",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xe0\x80\xaf",
		"\xe2\x82",
		"\xed\xa0\x80", /* a surrogate */
		"\xf0\x80\x80\xaf",
		"\xf4\x90\x80\x80", /* above U+10FFFF */
		"\xf8\x88\x80\x80\x80",
		"\xe2\x28\xa1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(key_check_label(cases[i]), "label must be valid UTF-8.");
}

static void limits_have_their_ranges(void **state)
{
	(void)state;
	assert_null(key_check_per_minute(1));
	assert_null(key_check_per_minute(10000));
	assert_string_equal(key_check_per_minute(0), "perMinute must be from 1 to 10000.");
	assert_string_equal(key_check_per_minute(10001), "perMinute must be from 1 to 10000.");
	assert_non_null(key_check_per_minute(-1));
	assert_non_null(key_check_per_minute(4294967297));
	assert_null(key_check_per_day(1));
	assert_null(key_check_per_day(100000));
	assert_string_equal(key_check_per_day(0), "perDay must be from 1 to 100000.");
	assert_non_null(key_check_per_day(100001));
}

static void a_key_word_is_short_and_plain(void **state)
{
	(void)state;
	assert_null(key_check_word("gx"));
	assert_null(key_check_word("a1234567"));
	assert_non_null(key_check_word(""));
	assert_non_null(key_check_word("abcdefghi"));
	assert_non_null(key_check_word("1a"));
	assert_non_null(key_check_word("A"));
	assert_non_null(key_check_word("a_"));
}

/* --- the pepper -------------------------------------------------------------------------------- */

static int make_folder(void **state)
{
	(void)state;
	return temp_folder_make();
}

static int remove_folder(void **state)
{
	(void)state;
	return temp_folder_remove();
}

static int make_pepper(const char *path, uint8_t ret_pepper[PEPPER_SIZE], char *why, size_t size)
{
	randombytes_buf(ret_pepper, PEPPER_SIZE);
	return pepper_save(path, ret_pepper, why, size);
}

static void a_pepper_is_made_once_and_read_as_it_was_made(void **state)
{
	uint8_t made[PEPPER_SIZE], read_back[PEPPER_SIZE];
	struct stat status;
	char why[256];

	(void)state;
	assert_int_equal(pepper_load(temp_path("pepper"), made, why, sizeof(why)), -ENOENT);
	assert_int_equal(make_pepper(temp_path("pepper"), made, why, sizeof(why)), 0);
	assert_int_equal(stat(temp_path("pepper"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(pepper_load(temp_path("pepper"), read_back, why, sizeof(why)), 0);
	assert_memory_equal(made, read_back, PEPPER_SIZE);
}

static void a_pepper_is_never_replaced(void **state)
{
	uint8_t made[PEPPER_SIZE], other[PEPPER_SIZE], read_back[PEPPER_SIZE];
	char why[256];

	(void)state;
	assert_int_equal(make_pepper(temp_path("pepper"), made, why, sizeof(why)), 0);
	assert_int_equal(make_pepper(temp_path("pepper"), other, why, sizeof(why)), -EEXIST);
	assert_int_equal(pepper_load(temp_path("pepper"), read_back, why, sizeof(why)), 0);
	assert_memory_equal(made, read_back, PEPPER_SIZE);
}

static void a_pepper_has_its_mode_whatever_the_umask(void **state)
{
	uint8_t pepper[PEPPER_SIZE];
	mode_t former = umask(0277);
	struct stat status;
	char why[256];
	int err;

	(void)state;
	err = make_pepper(temp_path("pepper"), pepper, why, sizeof(why));
	umask(former);
	assert_int_equal(err, 0);
	assert_int_equal(stat(temp_path("pepper"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void a_pepper_of_another_mode_is_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0700, 0400, 0000, 01600, 02600, 04600 };
	uint8_t pepper[PEPPER_SIZE];
	char why[256], wanted[64];

	(void)state;
	assert_int_equal(make_pepper(temp_path("pepper"), pepper, why, sizeof(why)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(temp_path("pepper"), modes[i]), 0);
		assert_int_equal(pepper_load(temp_path("pepper"), pepper, why, sizeof(why)),
				 -EPERM);
		snprintf(wanted, sizeof(wanted), "mode %04o, must be 0600", modes[i]);
		assert_non_null(strstr(why, wanted));
	}
}

static void a_pepper_of_another_owner_is_refused(void **state)
{
	uint8_t pepper[PEPPER_SIZE];
	char why[256];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(make_pepper(temp_path("pepper"), pepper, why, sizeof(why)), 0);
	assert_int_equal(chown(temp_path("pepper"), 65534, 65534), 0);
	assert_int_equal(pepper_load(temp_path("pepper"), pepper, why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "belongs to user 65534"));
}

static void a_pepper_of_another_size_is_refused(void **state)
{
	uint8_t pepper[PEPPER_SIZE];
	char why[256];

	(void)state;
	assert_int_equal(make_pepper(temp_path("pepper"), pepper, why, sizeof(why)), 0);
	assert_int_equal(truncate(temp_path("pepper"), 31), 0);
	assert_int_equal(pepper_load(temp_path("pepper"), pepper, why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "31 bytes"));
	assert_int_equal(truncate(temp_path("pepper"), 33), 0);
	assert_int_equal(pepper_load(temp_path("pepper"), pepper, why, sizeof(why)), -EPERM);
}

static void a_pepper_that_is_no_plain_file_is_refused(void **state)
{
	uint8_t pepper[PEPPER_SIZE];
	char why[256];

	(void)state;
	assert_int_equal(make_pepper(temp_path("real"), pepper, why, sizeof(why)), 0);
	assert_int_equal(symlink("real", temp_path("pepper")), 0);
	assert_int_equal(pepper_load(temp_path("pepper"), pepper, why, sizeof(why)), -ELOOP);
	assert_int_equal(unlink(temp_path("pepper")), 0);
	assert_int_equal(mkfifo(temp_path("pepper"), 0600), 0);
	assert_int_equal(pepper_load(temp_path("pepper"), pepper, why, sizeof(why)), -EPERM);
	assert_int_equal(pepper_load(temp_folder, pepper, why, sizeof(why)), -EPERM);
}

static void a_pepper_without_its_folder_is_not_made(void **state)
{
	uint8_t pepper[PEPPER_SIZE];
	char why[256];

	(void)state;
	assert_int_equal(make_pepper(temp_path("none/pepper"), pepper, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "none/pepper"));
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_has_the_shape_of_the_contract),
		cmocka_unit_test(a_key_ends_in_the_crc_of_what_precedes_it),
		cmocka_unit_test(no_two_keys_are_alike),
		cmocka_unit_test(the_longest_word_fits),
		cmocka_unit_test(the_prefix_shows_six_characters),
		cmocka_unit_test(the_digest_is_blake2b_of_pepper_and_key),
		cmocka_unit_test(an_id_has_the_shape_of_the_contract),
		cmocka_unit_test(the_identity_line_is_padded_to_its_size),
		cmocka_unit_test(the_longest_identity_fills_its_line),
		cmocka_unit_test(an_account_is_1_to_36_characters_of_its_set),
		cmocka_unit_test(a_label_is_1_to_64_characters_of_utf8),
		cmocka_unit_test(a_label_has_no_control_characters),
		cmocka_unit_test(a_label_that_is_not_utf8_is_refused),
		cmocka_unit_test(limits_have_their_ranges),
		cmocka_unit_test(a_key_word_is_short_and_plain),
		with_folder(a_pepper_is_made_once_and_read_as_it_was_made),
		with_folder(a_pepper_is_never_replaced),
		with_folder(a_pepper_has_its_mode_whatever_the_umask),
		with_folder(a_pepper_of_another_mode_is_refused),
		with_folder(a_pepper_of_another_owner_is_refused),
		with_folder(a_pepper_of_another_size_is_refused),
		with_folder(a_pepper_that_is_no_plain_file_is_refused),
		with_folder(a_pepper_without_its_folder_is_not_made),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
