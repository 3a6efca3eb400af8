// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The clock is set, both ways: windows and expiry follow it, and what a window has counted stays counted.
 * There is one clock for all of a machine, so these run where the machine is the tests' own.
 */
#include <sys/timex.h>
#include <time.h>

#include "harness.h"
#include "http_client.h"

#define SECOND_MS 1000ull
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MS	  (1440 * MINUTE_MS)
#define LIMIT	  5

static void set_clock(uint64_t now_ms)
{
	struct timespec time = { .tv_sec = now_ms / 1000, .tv_nsec = now_ms % 1000 * 1000000 };

	assert_int_equal(clock_settime(CLOCK_REALTIME, &time), 0);
}

/* The first millisecond of the next day, which no test has counted in yet. */
static uint64_t fresh_day(void)
{
	return (now_ms() / DAY_MS + 1) * DAY_MS;
}

/* Ask until a limit is used up. Returns how many requests were admitted. */
static unsigned int use_up(struct client *client, const struct key *key)
{
	struct response response;
	unsigned int admitted = 0;

	while (client_ask(client, "GET", "/", key->text, "", &response) == 200)
		admitted++;
	expect_refusal(&response, 429, NULL);
	return admitted;
}

/* When the window that binds ends, as the answer to one more request says. */
static int64_t reset_ms(struct client *client, const struct key *key)
{
	struct response response;

	client_ask(client, "GET", "/", key->text, "", &response);
	return header_number(&response, "X-RateLimit-Reset");
}

static void forward(void **state)
{
	struct client *client = client_open(applications[NGINX].port);
	struct key key = key_limited(LIMIT, 2 * LIMIT + 1);
	uint64_t day = fresh_day();

	(void)state;
	set_clock(day);
	assert_int_equal(use_up(client, &key), LIMIT);
	assert_int_equal(reset_ms(client, &key), day + MINUTE_MS);
	set_clock(day + 2 * MINUTE_MS);
	assert_int_equal(use_up(client, &key), LIMIT);
	assert_int_equal(reset_ms(client, &key), day + 3 * MINUTE_MS);
	set_clock(day + 600 * MINUTE_MS);
	assert_int_equal(use_up(client, &key), 1);
	assert_int_equal(reset_ms(client, &key), day + DAY_MS);
	set_clock(day + DAY_MS);
	assert_int_equal(use_up(client, &key), LIMIT);
}

/* Set back by so much: nothing more is admitted until the clock has passed what was counted. */
static void back(void **state)
{
	static const uint64_t steps_ms[] = { SECOND_MS, 30 * SECOND_MS, 2 * MINUTE_MS, DAY_MS,
					     400 * DAY_MS };
	struct client *client = client_open(applications[NGINX].port);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps_ms); i++) {
		struct key key = key_limited(LIMIT, 1000);
		uint64_t then = fresh_day() + 40 * SECOND_MS;

		set_clock(then);
		assert_int_equal(use_up(client, &key), LIMIT);
		set_clock(then - steps_ms[i]);
		assert_int_equal(use_up(client, &key), 0);
		assert_int_equal(reset_ms(client, &key), then + 20 * SECOND_MS);
		set_clock(then + SECOND_MS);
		assert_int_equal(use_up(client, &key), 0);
		set_clock(then + 20 * SECOND_MS);
		assert_int_equal(use_up(client, &key), LIMIT);
	}
}

/* Windows end by the clock alone, whoever set it. */
static void midnight(void **state)
{
	struct client *client = client_open(applications[NGINX].port);
	struct key key = key_limited(LIMIT, LIMIT);
	uint64_t day = fresh_day();

	(void)state;
	set_clock(day - 2 * SECOND_MS);
	assert_int_equal(use_up(client, &key), LIMIT);
	assert_int_equal(reset_ms(client, &key), day);
	sleep_until_ms(day);
	assert_int_equal(use_up(client, &key), LIMIT);
	assert_int_equal(reset_ms(client, &key), day + DAY_MS);
}

static void expiry(void **state)
{
	struct client *client = client_open(applications[NGINX].port);
	uint64_t then = now_ms() + DAY_MS;
	struct key key = key_create(&(struct key_options){ .expires_ms = then });

	(void)state;
	set_clock(then - 5 * SECOND_MS);
	assert_int_equal(client_get(client, "/", key.text), 200);
	set_clock(then);
	assert_int_equal(client_get(client, "/", key.text), 401);
}

static void set_tai_offset(int seconds)
{
	struct timex clock = { .modes = ADJ_TAI, .constant = seconds };

	assert_true(adjtimex(&clock) >= 0);
}

/*
 * The kernel's programs read TAI, and the daemon tells them how far it is ahead. A leap second, and whoever
 * sets the offset at boot, change that.
 */
static void leap_seconds(void **state)
{
	static const int offsets[] = { 37, 38, 0 };
	struct client *client = client_open(applications[NGINX].port);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct key key = key_limited(LIMIT, 1000);
		uint64_t day = fresh_day();

		set_tai_offset(offsets[i]);
		set_clock(day + 30 * SECOND_MS);
		/* One of the two is told to the daemon first; then it is in force. */
		for (int n = 0; n < 10; n++)
			breathe();
		assert_int_equal(use_up(client, &key), LIMIT);
		assert_int_equal(reset_ms(client, &key), day + MINUTE_MS);
	}
}

/* The clock is set while nobody is there to notice. */
static void without_daemon(void **state)
{
	struct client *client = client_open(applications[NGINX].port);
	struct key key = key_limited(LIMIT, 1000);
	uint64_t then = fresh_day() + 30 * SECOND_MS;

	(void)state;
	set_clock(then);
	assert_int_equal(use_up(client, &key), LIMIT);
	daemon_kill();
	set_clock(then - 10 * MINUTE_MS);
	assert_int_equal(use_up(client, &key), 0);
	daemon_start();
	assert_int_equal(use_up(client, &key), 0);
	set_clock(then + 30 * SECOND_MS);
	assert_int_equal(use_up(client, &key), LIMIT);
}

static const struct promise promises[] = {
	{ "set forward: the next windows begin, and end when they should", forward, OWN_MACHINE },
	{ "set back: no window that has counted is filled again", back, OWN_MACHINE },
	{ "midnight ends the day's window", midnight, OWN_MACHINE },
	{ "a key expires when the clock is set past its time", expiry, OWN_MACHINE },
	{ "leap seconds, and an offset of TAI that is set late, move no window", leap_seconds,
	  OWN_MACHINE },
	{ "set back while the daemon is down: nothing is filled again", without_daemon,
	  OWN_MACHINE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
