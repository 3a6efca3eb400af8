// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Instants as text, and the clean-ups. */
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "check.h"

static void an_instant_is_written_in_utc_with_milliseconds(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ 1767323045678, "2026-01-02T03:04:05.678Z" },
		{ 1709164799999, "2024-02-28T23:59:59.999Z" },
		{ 1709164800000, "2024-02-29T00:00:00.000Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
		{ UINT64_MAX, "9999-12-31T23:59:59.999Z" },
	};
	char text[RFC3339_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		rfc3339_format(cases[i].ms, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void every_form_of_an_instant_is_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-01-02T03:04:05.678Z", 1767323045678 },
		{ "2026-01-02T03:04:05Z", 1767323045000 },
		{ "2026-01-02t03:04:05z", 1767323045000 },
		{ "2026-01-02T03:04:05.6Z", 1767323045600 },
		{ "2026-01-02T03:04:05.67899999999999999999Z", 1767323045678 },
		{ "2026-01-02T05:04:05+02:00", 1767323045000 },
		{ "2026-01-01T21:34:05-05:30", 1767323045000 },
		{ "2024-02-29T00:00:00Z", 1709164800000 },
		{ "2000-02-29T00:00:00Z", 951782400000 },
		{ "9999-12-31T23:59:59.999Z", 253402300799999 },
	};
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(rfc3339_parse(cases[i].text, &ms), 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void what_is_not_an_instant_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"2026",
		"2026-01-02",
		"2026-01-02T03:04Z",
		"2026-01-02T03:04:05",
		"2026-01-02 03:04:05Z",
		" 2026-01-02T03:04:05Z",
		"2026-01-02T03:04:05Z ",
		"2026-01-02T03:04:05ZZ",
		"2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05,5Z",
		"2026-1-02T03:04:05Z",
		"26-01-02T03:04:05Z",
		"+2026-01-02T03:04:05Z",
		"2026-00-02T03:04:05Z",
		"2026-13-02T03:04:05Z",
		"2026-01-00T03:04:05Z",
		"2026-01-32T03:04:05Z",
		"2026-02-29T03:04:05Z",
		"2100-02-29T03:04:05Z",
		"2026-04-31T03:04:05Z",
		"2026-01-02T24:00:00Z",
		"2026-01-02T03:60:05Z",
		"2026-01-02T03:04:60Z",
		"2026-01-02T03:04:05+2:00",
		"2026-01-02T03:04:05+0200",
		"2026-01-02T03:04:05+24:00",
		"2026-01-02T03:04:05+02:60",
	};
	uint64_t ms = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(rfc3339_parse(cases[i], &ms), -EINVAL);
		assert_int_equal(ms, 7);
	}
}

static void an_instant_before_the_epoch_is_out_of_range(void **state)
{
	uint64_t ms;

	(void)state;
	assert_int_equal(rfc3339_parse("1969-12-31T23:59:59Z", &ms), -ERANGE);
	assert_int_equal(rfc3339_parse("1970-01-01T00:00:00+00:01", &ms), -ERANGE);
	assert_int_equal(rfc3339_parse("0000-01-01T00:00:00Z", &ms), -ERANGE);
}

static void a_written_instant_reads_as_itself(void **state)
{
	char text[RFC3339_SIZE];
	uint64_t ms, now = now_ms();

	(void)state;
	assert_true(now > 1700000000000);
	for (uint64_t at = now; at < now + 400 * 86400000ULL; at += 86399999) {
		rfc3339_format(at, text);
		assert_int_equal(rfc3339_parse(text, &ms), 0);
		assert_int_equal(ms, at);
	}
}

static void a_descriptor_is_closed_at_the_end_of_its_scope(void **state)
{
	int number;

	(void)state;
	{
		_cleanup_close_ int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

		assert_true(file >= 0);
		number = file;
	}
	assert_int_equal(fcntl(number, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
}

static void a_taken_pointer_is_not_freed(void **state)
{
	char *kept;

	(void)state;
	{
		_cleanup_free_ char *text = strdup("kept");

		kept = take_pointer(text);
		assert_null(text);
	}
	assert_string_equal(kept, "kept");
	free(kept);
}

static void a_path_is_joined_whole_or_refused(void **state)
{
	char path[16];

	(void)state;
	assert_int_equal(path_join(path, sizeof(path), "/a/folder", "names"), 0);
	assert_string_equal(path, "/a/folder/names");
	assert_int_equal(path_join(path, sizeof(path), "/a/folder", "longer"), -ENAMETOOLONG);
}

static void a_sentence_gives_its_error_back(void **state)
{
	char why[8];

	(void)state;
	assert_int_equal(say_why(-EIO, why, sizeof(why), "%d and %s", 12, "more"), -EIO);
	assert_string_equal(why, "12 and ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_instant_is_written_in_utc_with_milliseconds),
		cmocka_unit_test(every_form_of_an_instant_is_read),
		cmocka_unit_test(what_is_not_an_instant_is_refused),
		cmocka_unit_test(an_instant_before_the_epoch_is_out_of_range),
		cmocka_unit_test(a_written_instant_reads_as_itself),
		cmocka_unit_test(a_descriptor_is_closed_at_the_end_of_its_scope),
		cmocka_unit_test(a_taken_pointer_is_not_freed),
		cmocka_unit_test(a_path_is_joined_whole_or_refused),
		cmocka_unit_test(a_sentence_gives_its_error_back),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
