// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Networks as text and as bits. */
#include "network.h"

#include <errno.h>

#include "check.h"
#include "util.h"

static void test_read(void **state)
{
	static const struct {
		const char *text, *formatted;
		uint32_t prefix;
	} rows[] = {
		{ "203.0.113.7", "203.0.113.7", 128 },
		{ "203.0.113.0/24", "203.0.113.0/24", 120 },
		{ "0.0.0.0/0", "0.0.0.0/0", 96 },
		{ "::ffff:203.0.113.7", "203.0.113.7", 128 },
		{ "::", "::", 128 },
		{ "::/0", "::/0", 0 },
		{ "2001:db8::/32", "2001:db8::/32", 32 },
		{ "2001:DB8:0::1", "2001:db8::1", 128 },
		{ "fe80::/10", "fe80::/10", 10 },
		{ "2001:db8:0:8000::/48", NULL, 0 },
		{ "2001:db8:8000::/33", "2001:db8:8000::/33", 33 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct network network;
		char text[NETWORK_TEXT_SIZE];
		int r = network_read(rows[i].text, &network);

		assert_int_equal(r, rows[i].formatted ? 0 : -ERANGE);
		if (r)
			continue;
		assert_int_equal(network.prefix, rows[i].prefix);
		network_format(&network, text);
		assert_string_equal(text, rows[i].formatted);
	}
}

static void test_wrong(void **state)
{
	static const char *const texts[] = { "",
					     "/8",
					     "10.0.0.0/33",
					     "10.0.0/8",
					     "10.0.0.0/",
					     "10.0.0.0/-1",
					     "10.0.0.0/8/8",
					     "2001:db8::/129",
					     "me",
					     "10.0.0.0 /8",
					     "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17." };
	static const char *const ranges[] = { "10.0.0.1/31", "10.0.0.1/0", "::1/127", "::1/0" };
	struct network network;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(network_read(texts[i], &network), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		assert_int_equal(network_read(ranges[i], &network), -ERANGE);
}

static void test_overlap(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.0.0.0/8", "0.0.0.0/0", true },
		{ "2001:db8::/64", "2001:db8::5", true },
		{ "2001:db8::/64", "2001:db8:0:1::5", false },
		{ "::/0", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.0", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct network a, b;

		assert_int_equal(network_read(rows[i].a, &a), 0);
		assert_int_equal(network_read(rows[i].b, &b), 0);
		assert_int_equal(networks_overlap(&a, &b), rows[i].overlap);
		assert_int_equal(networks_overlap(&b, &a), rows[i].overlap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "a network is read, and written as it was read", test_read, NULL, NULL, NULL },
		{ "what is no network is refused", test_wrong, NULL, NULL, NULL },
		{ "networks overlap where one holds the other", test_overlap, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
