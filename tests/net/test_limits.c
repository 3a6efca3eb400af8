// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Limits are exact, whatever the number of connections, cores and processes. */
#include <string.h>

#include "harness.h"
#include "http_client.h"

#define MINUTE_MS 60000ull

/* Remaining 59 to 0 over 60 requests, on answers of 200, 404 and 500 alike. */
static void countdown(void **state)
{
	static const struct {
		const char *target;
		int status;
	} answers[] = { { "/", 200 }, { "/missing", 404 }, { "/broken", 500 } };
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(60, 1000);
	struct response response;

	need_window_ms(5000);
	for (int i = 0; i < 60; i++) {
		client_ask(client, "GET", answers[i % 3].target, key.text, "", &response);
		expect_admitted(&response, answers[i % 3].status);
		assert_int_equal(header_number(&response, "X-RateLimit-Remaining"), 59 - i);
	}
	assert_int_equal(client_ask(client, "GET", "/", key.text, "", &response), 429);
	expect_refusal(&response, 429, NULL);
}

/* A day's limit below the minute's: it binds, and its reset is midnight. */
static void day_limit(void **state)
{
	const struct application *application = *state;
	struct client *client = client_open(application->port);
	struct key key = key_limited(100, 5);
	struct response response;
	int64_t midnight;

	need_window_ms(3000);
	midnight = (now_ms() / (1440 * MINUTE_MS) + 1) * 1440 * MINUTE_MS;
	for (int i = 0; i < 8; i++) {
		client_ask(client, "GET", "/", key.text, "", &response);
		assert_int_equal(response.status, i < 5 ? 200 : 429);
		assert_int_equal(header_number(&response, "X-RateLimit-Remaining"),
				 i < 5 ? 4 - i : 0);
		assert_int_equal(header_number(&response, "X-RateLimit-Reset"), midnight);
	}
}

static void patch_limits(const struct key *key, unsigned int per_minute)
{
	char target[64], body[64], text[1024];

	snprintf(target, sizeof(target), "/v1/keys/%s", key->id);
	snprintf(body, sizeof(body), "{\"perMinute\":%u}", per_minute);
	assert_int_equal(api("PATCH", target, body, text, sizeof(text)), 200);
}

static void changed_limit(void **state)
{
	struct client *client = client_open(applications[NGINX].port);
	struct key key = key_limited(3, 1000);
	struct response response;

	(void)state;
	need_window_ms(5000);
	for (int i = 0; i < 4; i++)
		assert_int_equal(client_get(client, "/", key.text), i < 3 ? 200 : 429);
	patch_limits(&key, 5);
	client_ask(client, "GET", "/", key.text, "", &response);
	expect_admitted(&response, 200);
	assert_int_equal(header_number(&response, "X-RateLimit-Remaining"), 1);
	patch_limits(&key, 2);
	assert_int_equal(client_get(client, "/", key.text), 429);
}

/* Raised step by step while it is used up: what was admitted in all is the last limit. */
static void raised_under_load(void **state)
{
	struct hammer hammer = { .port = applications[NGINX].port,
				 .target = "/raised",
				 .key_count = 1,
				 .processes = 2,
				 .connections = 8 };
	struct key key = key_limited(100, 100000);
	const char *text = key.text;
	uint64_t end_ms;

	(void)state;
	hammer.keys = &text;
	need_window_ms(20000);
	hammer_start(&hammer);
	for (unsigned int limit = 200; limit <= 3000; limit += 100)
		patch_limits(&key, limit);
	end_ms = monotonic_ms() + PATIENCE_MS;
	while (hammer.tally->admitted < 3000 && monotonic_ms() < end_ms)
		breathe();
	hammer_stop(&hammer);
	assert_string_equal(hammer.tally->first_wrong, "");
	assert_int_equal(hammer.tally->admitted, 3000);
	expect_seen(&applications[NGINX], "/raised", 3000);
}

/* Keys that come and go take each other's place in the kernel's tables, but not what was used. */
static void fresh_keys(void **state)
{
	struct client *client = client_open(applications[NGINX].port);
	struct response response;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct key key = key_limited(3, 1000);

		need_window_ms(1000);
		for (int i = 0; i < 3; i++) {
			client_ask(client, "GET", "/", key.text, "", &response);
			expect_admitted(&response, 200);
			assert_int_equal(header_number(&response, "X-RateLimit-Remaining"), 2 - i);
		}
		assert_int_equal(client_get(client, "/", key.text), 429);
		key_revoke(&key);
	}
}

/* Many keys at once, each with a limit of its own: none lends to another. */
static void keys_apart(void **state)
{
	enum { KEYS = 16, LIMIT = 100 };
	const struct application *application = *state;
	struct hammer hammer = { .port = application->port,
				 .target = "/apart",
				 .key_count = KEYS,
				 .processes = 2,
				 .connections = 32 };
	struct key keys[KEYS];
	const char *texts[KEYS];
	uint64_t end_ms;

	for (int i = 0; i < KEYS; i++) {
		keys[i] = key_limited(LIMIT, 1000);
		texts[i] = keys[i].text;
	}
	hammer.keys = texts;
	need_window_ms(20000);
	end_ms = monotonic_ms() + PATIENCE_MS;
	hammer_start(&hammer);
	while (hammer.tally->admitted < KEYS * LIMIT && monotonic_ms() < end_ms)
		breathe();
	/* As many refusals again, which none may slip through. */
	while (hammer.tally->limited < 2 * KEYS * LIMIT && monotonic_ms() < end_ms)
		breathe();
	hammer_stop(&hammer);
	assert_string_equal(hammer.tally->first_wrong, "");
	assert_int_equal(hammer.tally->closed, 0);
	assert_int_equal(hammer.tally->admitted, KEYS * LIMIT);
	expect_seen(application, "/apart", KEYS * LIMIT);
	for (int i = 0; i < KEYS; i++) {
		unsigned int minute, day;

		key_used(&keys[i], &minute, &day);
		assert_int_equal(minute, LIMIT);
		assert_int_equal(day, LIMIT);
	}
}

/* Wait until the hammer was admitted that often and refused often thereafter, or an instant. */
static void hammer_until(const struct hammer *hammer, uint64_t admitted, uint64_t instant_ms)
{
	uint64_t limited = 0;

	while (hammer->tally->admitted < admitted && now_ms() < instant_ms)
		breathe();
	limited = hammer->tally->limited;
	while (hammer->tally->limited < limited + 5000 && now_ms() < instant_ms)
		breathe();
}

/*
 * 1,000 a minute and 1,500 a day, across two minutes: exactly 1,000, then exactly 500. Starts some
 * seconds before the minute ends, enough to use the first window up.
 */
static void two_minutes(void **state)
{
	const struct application *application = &applications[NGINX];
	struct hammer hammer = { .port = application->port,
				 .target = "/two-minutes",
				 .key_count = 1,
				 .processes = 4,
				 .connections = 16 };
	struct key key = key_limited(1000, 1500);
	const char *text = key.text;
	uint64_t boundary_ms;

	(void)state;
	hammer.keys = &text;
	need_window_ms(5000);
	boundary_ms = (now_ms() / MINUTE_MS + 1) * MINUTE_MS;
	sleep_until_ms(boundary_ms - 5000);
	/* Midnight would give the day's limit anew: let it pass. */
	if (boundary_ms % (1440 * MINUTE_MS) == 0) {
		boundary_ms += MINUTE_MS;
		sleep_until_ms(boundary_ms - 5000);
	}
	hammer_start(&hammer);
	hammer_until(&hammer, 1000, boundary_ms - 1000);
	assert_int_equal(hammer.tally->admitted, 1000);
	/* Amid this load, the application's log may take a tenth of a second to read. */
	expect_seen(application, "/two-minutes", 1000);
	sleep_until_ms(boundary_ms - 100);
	assert_int_equal(hammer.tally->admitted, 1000);
	sleep_until_ms(boundary_ms + 1);
	hammer_until(&hammer, 1500, boundary_ms + PATIENCE_MS);
	hammer_stop(&hammer);
	assert_string_equal(hammer.tally->first_wrong, "");
	assert_int_equal(hammer.tally->admitted, 1500);
	assert_int_equal(hammer.tally->admitted + hammer.tally->limited, hammer.tally->sent);
	assert_int_equal(hammer.tally->closed, 0);
	expect_seen(application, "/two-minutes", 1500);
	printf("# %lu requests, %lu admitted, %lu refused, %lu connections closed\n",
	       hammer.tally->sent, hammer.tally->admitted, hammer.tally->limited,
	       hammer.tally->closed);
}

static const struct promise promises[] = {
	{ "a limit of 60: Remaining counts 59 to 0 over 200, 404 and 500", countdown,
	  EACH_APPLICATION },
	{ "the day's limit binds where it is the smaller", day_limit, EACH_APPLICATION },
	{ "a changed limit is in force at once and keeps what is used", changed_limit, ONCE },
	{ "a limit raised under load: as many as the last limit says", raised_under_load, ONCE },
	{ "a new key starts unused in a revoked one's place", fresh_keys, ONCE },
	{ "16 keys on 64 connections: each exactly its limit", keys_apart, EACH_APPLICATION },
	{ "1,000 a minute and 1,500 a day over two minutes: 1,000, then 500", two_minutes, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
