// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who is shed, for how long, and who never is. */
#include "shed.h"

#include <arpa/inet.h>

#include "captured_log.h"
#include "check.h"
#include "fake_gates.h"
#include "network.h"
#include "temp_folder.h"
#include "util.h"

#define SECOND 250 /* ticks of the fake kernel's */

static struct config_shed config;
static struct shed shed;
static char why[256];

static int set_up(void **state)
{
	(void)state;
	memset(&fake_shed, 0, sizeof(fake_shed));
	fake_shed.ticks = 1000 * SECOND;
	config = (struct config_shed){
		.interfaces = { .names = { "eth0" }, .count = 1 },
		.refusals = 10,
		.seconds = 1,
		.first = 2,
		.cap = 10,
		.ipv4_prefix = 32,
		.ipv6_prefix = 64,
	};
	shed = (struct shed){ .config = &config };
	if (temp_folder_make())
		return -1;
	return shed_put(&shed, &config, why, sizeof(why));
}

static int tear_down(void **state)
{
	(void)state;
	return temp_folder_remove();
}

static struct source source_of(const char *text)
{
	struct network network;
	struct source source;
	uint32_t prefix;

	assert_int_equal(network_read(text, &network), 0);
	assert_int_equal(shed_source_of(&shed, &network, &source, &prefix), 0);
	return source;
}

static int add(const char *text, uint32_t seconds)
{
	struct source source = source_of(text);

	return shed_add(&shed, &source, seconds);
}

static struct shed_source *row_of(const char *text)
{
	struct source source = source_of(text);

	return fake_shed_find(&source);
}

static void exempt(const char *text)
{
	assert_int_equal(network_read(text, &config.exempt.rows[config.exempt.count++]), 0);
}

static void test_in_and_out(void **state)
{
	struct source source = source_of("203.0.113.7");
	struct shed_source was;

	(void)state;
	assert_int_equal(shed_remove(&shed, &source, &was), -ENOENT);
	assert_int_equal(add("203.0.113.7", 60), 0);
	assert_int_equal(shed_left_ms(&shed, row_of("203.0.113.7")), 60000);
	assert_int_equal(shed_remove(&shed, &source, &was), 0);
	assert_int_equal(was.seconds, 60);
	assert_null(row_of("203.0.113.7"));
}

/* Told once, and forgotten later. */
static void test_sweep(void **state)
{
	const char *log;

	(void)state;
	assert_int_equal(add("203.0.113.7", 60), 0);
	shed_tick(&shed);
	fake_shed.ticks += 60 * SECOND;
	row_of("203.0.113.7")->dropped = 12;
	log_capture();
	shed_tick(&shed);
	shed_tick(&shed);
	log = log_captured();
	assert_non_null(strstr(log, "203.0.113.7 is not shed any more; 12 packets"));
	assert_null(strstr(strstr(log, "not shed") + 1, "not shed"));
	assert_non_null(row_of("203.0.113.7"));
	fake_shed.ticks += config.cap * SECOND;
	shed_tick(&shed);
	assert_null(row_of("203.0.113.7"));
}

static void test_exempt(void **state)
{
	static const char *const never[] = { "127.0.0.1", "127.255.0.1", "::1", "198.51.100.1",
					     "2001:db8:1:1::1" };

	(void)state;
	exempt("198.51.100.0/24");
	exempt("2001:db8:1::/48");
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		assert_int_equal(add(never[i], 60), -EPERM);
	assert_int_equal(add("198.51.101.1", 60), 0);
	/* A source that holds more than what is exempt of it is not shed either. */
	exempt("2001:db8:2:2::9");
	assert_int_equal(add("2001:db8:2:2::1", 60), -EPERM);
	assert_int_equal(add("2001:db8:2:3::1", 60), 0);
}

static void test_lifted(void **state)
{
	(void)state;
	assert_int_equal(add("198.51.100.1", 60), 0);
	assert_int_equal(add("203.0.113.7", 60), 0);
	exempt("198.51.100.0/24");
	log_capture();
	assert_int_equal(shed_put(&shed, &config, why, sizeof(why)), 0);
	assert_non_null(strstr(log_captured(), "198.51.100.1 is not shed any more: it is exempt."));
	assert_null(row_of("198.51.100.1"));
	assert_non_null(row_of("203.0.113.7"));
	/* Loopback, of both kinds, and what is configured. */
	assert_int_equal(fake_shed.exempt_count, 3);
}

static void offend(const char *text, uint64_t ago)
{
	const struct offender offender = { source_of(text), fake_shed.ticks - ago };

	shed_offender(&shed, &offender);
}

/* Twice as long each time, up to the cap, until it is forgotten. */
static void test_doubling(void **state)
{
	static const uint32_t seconds[] = { 2, 4, 8, 10, 10 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		log_capture();
		offend("203.0.113.7", 0);
		assert_non_null(strstr(log_captured(), "203.0.113.7 is shed for "));
		assert_int_equal(row_of("203.0.113.7")->seconds, seconds[i]);
		assert_int_equal(row_of("203.0.113.7")->times, i + 1);
		/* While it is shed there is nothing to add. */
		offend("203.0.113.7", 0);
		assert_int_equal(row_of("203.0.113.7")->times, i + 1);
		fake_shed.ticks += seconds[i] * SECOND;
		shed_tick(&shed);
	}
	fake_shed.ticks += config.cap * SECOND;
	shed_tick(&shed);
	offend("203.0.113.7", 0);
	assert_int_equal(row_of("203.0.113.7")->seconds, 2);
}

static void test_not_shed(void **state)
{
	(void)state;
	exempt("198.51.100.0/24");
	offend("127.0.0.1", 0);
	offend("198.51.100.1", 0);
	/* Told to a daemon that was not there. */
	offend("203.0.113.7", 2 * config.seconds * SECOND);
	config.interfaces.count = 0;
	offend("203.0.113.7", 0);
	assert_int_equal(fake_shed.count, 0);
	/* Nor is anything counted while it is off. */
	assert_int_equal(fake_shed.policy.refusals, config.refusals);
	assert_int_equal(shed_put(&shed, &config, why, sizeof(why)), 0);
	assert_int_equal(fake_shed.policy.refusals, 0);
}

static void test_full(void **state)
{
	char text[32];

	(void)state;
	for (int i = 0; i < FAKE_SHED_ROOM; i++) {
		snprintf(text, sizeof(text), "203.0.113.%d", i);
		assert_int_equal(add(text, 60), 0);
	}
	assert_int_equal(add("198.51.100.1", 60), -E2BIG);
	assert_int_equal(fake_shed.added[COUNTER_SHED_FULL], 1);
	/* One that is out gives way: the one that has been out for longest. */
	row_of("203.0.113.3")->until = 2;
	row_of("203.0.113.5")->until = 1;
	assert_int_equal(add("198.51.100.1", 60), 0);
	assert_null(row_of("203.0.113.5"));
	assert_non_null(row_of("203.0.113.3"));
	assert_int_equal(fake_shed.added[COUNTER_SHED_FULL], 1);
}

static void test_missing(void **state)
{
	(void)state;
	assert_int_equal(add("203.0.113.7", 60), 0);
	strcpy(fake_shed.missing, "eth0");
	exempt("203.0.113.0/24");
	assert_int_equal(shed_put(&shed, &config, why, sizeof(why)), -ENODEV);
	assert_string_equal(why, "There is no network interface eth0.");
	assert_non_null(row_of("203.0.113.7"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("a source is shed until it is let in", test_in_and_out),
		ROW("one that is out is told once, and forgotten later", test_sweep),
		ROW("loopback and exempt networks are never shed", test_exempt),
		ROW("what becomes exempt is let in", test_lifted),
		ROW("who offends again is shed for twice as long", test_doubling),
		ROW("who is exempt, or was told too late, is not shed", test_not_shed),
		ROW("a full table counts, and takes the place of who is out", test_full),
		ROW("a missing network interface changes nothing", test_missing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("shed", tests, NULL, NULL);
}
