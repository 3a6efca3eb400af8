// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One version of the daemon takes over from another, back and forth, in the midst of traffic. */
#include <signal.h>
#include <string.h>

#include "harness.h"
#include "http_client.h"
#include "traffic.h"

#define TAKEOVERS 20

/* The release build and the sanitized one are two versions for that purpose: not a byte is the same. */
static void use_build(bool release, bool kill_former)
{
	if (kill_former)
		daemon_kill();
	else
		daemon_stop();
	daemon_release = release;
	daemon_start();
}

static bool is_built(void)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/build/sluiced", stage.root);
	return !access(path, X_OK);
}

static void back_and_forth(void **state)
{
	const struct application *application = *state;
	const char *unknown[] = { unknown_key() };
	struct traffic traffic = { .application = application };
	struct hammer refused = { .port = application->port,
				  .target = "/never",
				  .keys = unknown,
				  .key_count = 1,
				  .processes = 1,
				  .connections = 2,
				  .pause_us = 1000 };

	if (!is_built())
		fail_msg("build/sluiced is not there; run make all");
	traffic_start(&traffic);
	hammer_start(&refused);
	for (int i = 0; i < TAKEOVERS; i++) {
		use_build(!daemon_release, i % 4 == 3);
		traffic_more(&traffic, 40);
	}
	hammer_stop(&refused);
	traffic_stop(&traffic);
	use_build(false, false);
	assert_int_equal(refused.tally->wrong + refused.tally->closed, 0);
	assert_int_equal(refused.tally->admitted, 0);
	assert_true(refused.tally->unauthorized > 100);
	expect_seen(application, "/never", 0);
}

static const struct promise promises[] = {
	{ "20 takeovers between two builds: no gap, no lost byte, each request counted once",
	  back_and_forth, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
