/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What --expires takes, and how tables print. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arguments.h"
#include "client.h"
#include "table.h"

#define NOW 1767323045678ull /* 2026-01-02T03:04:05.678Z */

struct instant_row {
	const char *text;
	const char *instant; /* NULL: refused */
	int error;
};

static const struct instant_row instant_rows[] = {
	{ "2027-01-31T18:00:00Z", "2027-01-31T18:00:00.000Z", 0 },
	{ "2027-01-31t18:00:00.1239z", "2027-01-31T18:00:00.123Z", 0 },
	{ "2027-01-31T18:00:00-05:30", "2027-01-31T23:30:00.000Z", 0 },
	{ "2027-01-31", "2027-01-31T00:00:00.000Z", 0 },
	{ "2028-02-29", "2028-02-29T00:00:00.000Z", 0 },
	{ "30m", "2026-01-02T03:34:05.678Z", 0 },
	{ "12h", "2026-01-02T15:04:05.678Z", 0 },
	{ "90d", "2026-04-02T03:04:05.678Z", 0 },
	{ "36500d", "2125-12-09T03:04:05.678Z", 0 },
	{ "", NULL, -EINVAL },
	{ "d", NULL, -EINVAL },
	{ "-1d", NULL, -EINVAL },
	{ "1.5d", NULL, -EINVAL },
	{ "90", NULL, -EINVAL },
	{ "90s", NULL, -EINVAL },
	{ "90d ", NULL, -EINVAL },
	{ " 90d", NULL, -EINVAL },
	{ "1d12h", NULL, -EINVAL },
	{ "36501d", NULL, -ERANGE },
	{ "52560001m", NULL, -ERANGE },
	{ "99999999999999999999d", NULL, -ERANGE },
	{ "0d", NULL, -ETIME },
	{ "2026-01-02", NULL, -ETIME },
	{ "2026-01-02T03:04:05.678Z", NULL, -ETIME },
	{ "2026-01-02T03:04:05.679Z", "2026-01-02T03:04:05.679Z", 0 },
	{ "2027-1-31", NULL, -EINVAL },
	{ "2027-02-29", NULL, -EINVAL },
	{ "2027-13-01", NULL, -EINVAL },
	{ "20270131", NULL, -EINVAL },
	{ "2027-01-3x", NULL, -EINVAL },
	{ "2027-01-31T18:00:00", NULL, -EINVAL },
	{ "2027-01-31T24:00:00Z", NULL, -EINVAL },
	{ "2027-01-31T18:00:00Z ", NULL, -EINVAL },
	{ "1969-12-31", NULL, -ERANGE },
};

static void test_instants(void **state)
{
	char instant[RFC3339_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(instant_rows); i++) {
		const struct instant_row *row = &instant_rows[i];
		int error = arguments_instant(row->text, NOW, instant);

		if (error != row->error)
			fail_msg("\"%s\": %d", row->text, error);
		if (row->instant)
			assert_string_equal(instant, row->instant);
	}
}

static void test_numbers(void **state)
{
	char number[TABLE_NUMBER_SIZE];

	(void)state;
	assert_string_equal(table_number(0, number), "0");
	assert_string_equal(table_number(999, number), "999");
	assert_string_equal(table_number(1000, number), "1,000");
	assert_string_equal(table_number(123456, number), "123,456");
	assert_string_equal(table_number(UINT64_MAX, number), "18,446,744,073,709,551,615");
}

static void test_columns(void **state)
{
	static const struct table_column columns[] = { { "NAME", false },
						       { "N", true },
						       { "REST", false } };
	const char *const rows[][3] = { { "a", "1", "x" },
					{ "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "100", "" } };
	struct table *table = table_new(columns, 3);
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	(void)state;
	table_add(table, TABLE_BAD, rows[0]);
	table_add(table, TABLE_PLAIN, rows[1]);
	assert_int_equal(table_print(table, file), 0);
	fclose(file);
	table_free(table);
	assert_string_equal(text, "NAME     N  REST\n"
				  "a        1  x\n"
				  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9  100\n");
	free(text);
}

static void test_escape(void **state)
{
	char *escaped = client_escape("aZ9-._~ /?#&=%+\xc3\xa9\r\n");

	(void)state;
	assert_string_equal(escaped, "aZ9-._~%20%2F%3F%23%26%3D%25%2B%C3%A9%0D%0A");
	free(escaped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "--expires takes instants, dates and spans, and nothing else", test_instants,
		  NULL, NULL, NULL },
		{ "numbers have a comma between thousands", test_numbers, NULL, NULL, NULL },
		{ "columns are as wide as their widest text, in characters", test_columns, NULL,
		  NULL, NULL },
		{ "nothing in a text can leave its place in a URL", test_escape, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("command line", tests, NULL, NULL);
}
