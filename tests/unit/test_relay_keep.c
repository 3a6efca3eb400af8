/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The daemon's care for the relay: how often it tries to start one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "relay.h"
#include "relay_keep.h"

/* In the place of user/relay_start.c. */
static int result, attempts, replacements;

int relay_ensure(const char *pin_folder, char *why, size_t why_size)
{
	assert_string_equal(pin_folder, "/fake/pin");
	attempts++;
	snprintf(why, why_size, "No.");
	return result;
}

int relay_replace(const char *pin_folder, const char *state_folder, char *why, size_t why_size)
{
	assert_string_equal(state_folder, "/fake/state");
	replacements++;
	return relay_ensure(pin_folder, why, why_size);
}

static struct relay_keep keep;

static int start(void **state)
{
	(void)state;
	result = 1;
	attempts = replacements = 0;
	relay_keep_start(&keep, "/fake/pin", "/fake/state");
	attempts = 0;
	return 0;
}

/* Let seconds go by. Returns how many attempts were made. */
static int tick(int seconds)
{
	int before = attempts;

	for (int i = 0; i < seconds; i++)
		relay_keep_tick(&keep);
	return attempts - before;
}

static void test_replaced(void **state)
{
	(void)state;
	assert_int_equal(replacements, 1);
	result = 0;
	tick(100);
	assert_int_equal(replacements, 1);
}

/* The one that goes on in its place is of another version. */
static void test_replaced_later(void **state)
{
	(void)state;
	result = -EBUSY;
	relay_keep_start(&keep, "/fake/pin", "/fake/state");
	assert_int_equal(tick(3), 2);
	assert_int_equal(replacements, 4);
	result = -ECHILD; /* it has ended, and ours does not start */
	assert_int_equal(tick(4), 1);
	assert_int_equal(replacements, 5);
	result = 1;
	assert_int_equal(tick(8), 1);
	tick(100);
	assert_int_equal(replacements, 5);
}

static void test_each_second(void **state)
{
	(void)state;
	result = 0;
	assert_int_equal(tick(10), 10);
	result = 1;
	assert_int_equal(tick(10), 10);
}

static void test_pauses(void **state)
{
	static const int pauses[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };

	(void)state;
	result = -ECHILD;
	assert_int_equal(tick(1), 1);
	for (size_t i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
		assert_int_equal(tick(pauses[i] - 1), 0);
		assert_int_equal(tick(1), 1);
	}
	result = 1;
	assert_int_equal(tick(60), 1);
	assert_int_equal(tick(10), 10);
	result = -ECHILD;
	assert_int_equal(tick(2), 2);
}

#define STARTED(name, function)                                                                    \
	{                                                                                          \
		name, function, start, NULL, NULL                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STARTED("a daemon's start replaces the relay, its ticks do not", test_replaced),
		STARTED("one that did not end is replaced as soon as it does", test_replaced_later),
		STARTED("a relay that is gone is missed within the second", test_each_second),
		STARTED("a relay that cannot start is tried less and less, each minute at last",
			test_pauses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("relay_keep", tests, NULL, NULL);
}
