// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Hours like any other: mixed traffic on every application, limits that are reached, strangers, keys that
 * are made, changed and revoked; in every fourth round the daemon is restarted, killed and reloaded meanwhile.
 * After each round all totals are exact, on both sides, and nothing has grown. TESTS_FULL=1: one hour.
 *
 * The daemon and the relay are the release builds here, for the figures.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cost.h"
#include "harness.h"
#include "http_client.h"
#include "traffic.h"

#define ROUNDS		4
#define ROUND_MS	3000
#define ROUNDS_FULL	80
#define ROUND_FULL_MS	45000 /* less than an application waits for a request that is let in */
#define RESTART_MS	500
#define RESTART_FULL_MS 10000
#define GROWTH_MAX_KIB	1024 /* of daemon and relay, in one round, behind the first of their lives */

/* What goes on in one round. */
struct round {
	struct application *application;
	struct traffic traffic;
	struct hammer strangers, limited;
	struct key keys[3]; /* of `limited`; the last has a limit that is soon used up */
	const char *texts[3];
	uint32_t slots[3];
	uint64_t seen;
};

struct totals {
	uint64_t admitted, limited, refused, changes, restarts;
};

static void begin_round(struct round *round, struct application *application)
{
	*round = (struct round){ .application = application,
				 .traffic = { .application = application } };
	round->seen = requests_seen(application, "/limited");
	for (size_t i = 0; i < ARRAY_SIZE(round->keys); i++) {
		round->keys[i] = key_limited(i == 2 ? 100 : 10000, 100000);
		round->texts[i] = round->keys[i].text;
		round->slots[i] = usage_slot(&round->keys[i]);
	}
	round->limited = (struct hammer){ .port = application->port,
					  .target = "/limited",
					  .keys = round->texts,
					  .key_count = ARRAY_SIZE(round->texts),
					  .processes = 2,
					  .connections = 3,
					  .pause_us = 20000,
					  .split = true };
	hammer_start(&round->limited);
	strangers_start(&round->strangers, application);
	traffic_start(&round->traffic);
}

/* Every byte that the application was sent: a gigabyte a round, and the stage is in memory. */
static void forget_received(const struct application *application)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/received.log", application->folder);
	assert_true(!truncate(path, 0) || errno == ENOENT);
}

static void end_round(struct round *round, struct totals *totals)
{
	const struct tally *tally;
	uint64_t admitted = 0, limited = 0;

	hammer_stop(&round->limited);
	tally = round->limited.tally;
	assert_string_equal(tally->first_wrong, "");
	assert_int_equal(tally->wrong + tally->closed + tally->unauthorized, 0);
	assert_int_equal(tally->sent, tally->admitted + tally->limited);
	for (size_t i = 0; i < ARRAY_SIZE(round->slots); i++) {
		admitted += usage_admitted(round->slots[i]);
		limited += usage_refused(round->slots[i]);
	}
	assert_int_equal(admitted, tally->admitted);
	assert_int_equal(limited, tally->limited);
	expect_seen(round->application, "/limited", round->seen + admitted);
	strangers_stop(&round->strangers, round->application);
	totals->admitted += admitted + round->traffic.tally->admitted;
	totals->limited += limited;
	totals->refused += round->strangers.tally->unauthorized + round->traffic.tally->refused;
	traffic_stop(&round->traffic);
	expect_no_connections();
	forget_received(round->application);
}

/* One key's life; each step is in force at once. */
static void change_keys(const struct application *application)
{
	struct key key = key_limited(1, 100);
	char target[64], text[1024];
	struct client client;

	need_window_ms(2000);
	assert_int_equal(client_connect(&client, application->port), 0);
	assert_int_equal(client_get(&client, "/changed", key.text), 200);
	assert_int_equal(client_get(&client, "/changed", key.text), 429);
	snprintf(target, sizeof(target), "/v1/keys/%s", key.id);
	assert_int_equal(api("PATCH", target, "{\"perMinute\":2}", text, sizeof(text)), 200);
	assert_int_equal(client_get(&client, "/changed", key.text), 200);
	key_revoke(&key);
	assert_int_equal(client_get(&client, "/changed", key.text), 401);
	client_close(&client);
}

static void restart(unsigned int number)
{
	char text[4096];

	switch (number % 3) {
	case 0:
		daemon_stop();
		daemon_start();
		break;
	case 1:
		daemon_kill();
		daemon_start();
		break;
	case 2:
		assert_int_equal(api("POST", "/v1/reload", NULL, text, sizeof(text)), 200);
		break;
	}
}

static void expect_no_growth(const struct cost *before)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	struct cost after = cost_of_gate();

	printf("# figure: a round without restarts: daemon and relay %+lld KiB, kernel %+lld KiB, "
	       "%llu ms of processors' time\n",
	       (long long)(after.rss_kib - before->rss_kib),
	       (long long)(after.slab_kib - before->slab_kib),
	       (unsigned long long)(after.cpu_ms - before->cpu_ms));
	assert_in_range(after.rss_kib, 0, before->rss_kib + GROWTH_MAX_KIB);
	/* The connection by which the status was asked for may be open yet. */
	while (after.files > before->files) {
		assert_true(monotonic_ms() < end_ms);
		breathe();
		after = cost_of_gate();
	}
}

static void hours_like_any_other(void **state)
{
	unsigned int rounds = full_run() ? ROUNDS_FULL : ROUNDS;
	uint64_t round_ms = full_run() ? ROUND_FULL_MS : ROUND_MS;
	uint64_t restart_ms = full_run() ? RESTART_FULL_MS : RESTART_MS;
	struct totals totals = { 0 };
	static struct round round;

	(void)state;
	daemon_start();
	usage_open();
	for (unsigned int i = 0; i < rounds; i++) {
		struct application *application = &applications[(i + i / 4) % APPLICATIONS];
		bool restarts = i % 4 == 3;
		uint64_t end_ms, next_ms;
		struct cost before;

		if (application->missing)
			continue;
		begin_round(&round, application);
		/* What grows once, with the first of its kind, has. */
		change_keys(application);
		traffic_more(&round.traffic, 100);
		before = cost_of_gate();
		end_ms = monotonic_ms() + round_ms;
		next_ms = monotonic_ms() + restart_ms;
		while (monotonic_ms() < end_ms) {
			change_keys(application);
			totals.changes += 3;
			traffic_more(&round.traffic, 10);
			if (restarts && monotonic_ms() >= next_ms) {
				restart(totals.restarts++);
				next_ms = monotonic_ms() + restart_ms;
			}
		}
		end_round(&round, &totals);
		if (!restarts)
			expect_no_growth(&before);
	}
	usage_close();
	assert_int_equal(status_number("counts.connectionsOpened"),
			 status_number("counts.connectionsClosed"));
	printf("# figure: %lu admitted, %lu over their limits, %lu without a valid key; %lu "
	       "changes "
	       "of keys; %lu restarts and reloads\n",
	       totals.admitted, totals.limited, totals.refused, totals.changes, totals.restarts);
}

static const struct promise promises[] = {
	{ "mixed traffic, changes of keys and restarts: totals are exact, and nothing grows",
	  hours_like_any_other, ONCE },
};

int main(void)
{
	daemon_release = true;
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
