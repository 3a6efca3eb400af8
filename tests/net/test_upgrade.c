// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One version of the daemon takes over from another, back and forth, in the midst of traffic.
 * TESTS_FULL=1: 20 times for each application.
 */
#include <signal.h>
#include <string.h>

#include "harness.h"
#include "http_client.h"
#include "traffic.h"

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
	struct traffic traffic = { .application = application };
	struct hammer strangers;
	/* A start takes seconds where processors are emulated, and the application notes all it is sent. */
	int takeovers = full_run() ? 20 : emulated() ? 4 : 8;

	if (!is_built())
		fail_msg("build/sluiced is not there; run make all");
	traffic_start(&traffic);
	strangers_start(&strangers, application);
	for (int i = 0; i < takeovers; i++) {
		use_build(!daemon_release, i % 4 == 3);
		traffic_more(&traffic, 40);
	}
	strangers_stop(&strangers, application);
	traffic_stop(&traffic);
	use_build(false, false);
}

static const struct promise promises[] = {
	{ "takeovers between two builds: no gap, no lost byte, each request counted once",
	  back_and_forth, EACH_APPLICATION },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
