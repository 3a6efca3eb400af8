// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>

#include "log.h"
#include "relay.h"
#include "relay_keep.h"

/* Seconds between attempts at most: each may hold the daemon up for as long as a relay starts. */
#define PAUSE_MAX 60

static void note(struct relay_keep *keep, int result, const char *why)
{
	if (result < 0 && result != keep->result)
		log_warning("%s The application is woken for refused requests.", why);
	if (result >= 0)
		keep->pause = 0;
	else if (keep->pause)
		keep->pause = keep->pause < PAUSE_MAX / 2 ? 2 * keep->pause : PAUSE_MAX;
	else
		keep->pause = 1;
	keep->wait = keep->pause;
	keep->result = result;
}

void relay_keep_start(struct relay_keep *keep, const char *pin_folder, const char *state_folder)
{
	char why[256];

	note(keep, relay_replace(pin_folder, state_folder, why, sizeof(why)), why);
}

void relay_keep_tick(struct relay_keep *keep, const char *pin_folder)
{
	char why[256];
	int r;

	if (keep->wait && --keep->wait)
		return;
	r = relay_ensure(pin_folder, why, sizeof(why));
	if (r > 0 && keep->result < 0)
		log_notice("The relay has started.");
	else if (r > 0)
		log_notice("The relay was gone; there is a new one.");
	note(keep, r, why);
}
