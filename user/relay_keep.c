// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>

#include "log.h"
#include "relay.h"
#include "relay_keep.h"

/* Seconds between attempts at most: each may hold the daemon up for as long as a relay starts. */
#define PAUSE_MAX 60

/* What became of an attempt. A lasting failure is told once. */
static void note(struct relay_keep *keep, int result, const char *why)
{
	if (result < 0 && result != keep->result)
		log_warning("%s", why);
	if (result > 0 && keep->result < 0)
		log_notice("The relay has started.");
	else if (result > 0 && !keep->replaces)
		log_notice("The relay was gone; there is a new one.");
	keep->replaces = result == -EBUSY;
	if (result >= 0)
		keep->pause = 0;
	else if (keep->pause)
		keep->pause = keep->pause < PAUSE_MAX / 2 ? 2 * keep->pause : PAUSE_MAX;
	else
		keep->pause = 1;
	keep->wait = keep->pause;
	keep->result = result;
}

static void attempt(struct relay_keep *keep)
{
	char why[256];
	int r = keep->replaces
			? relay_replace(keep->pin_folder, keep->state_folder, why, sizeof(why))
			: relay_ensure(keep->pin_folder, why, sizeof(why));

	note(keep, r, why);
}

void relay_keep_start(struct relay_keep *keep, const char *pin_folder, const char *state_folder)
{
	*keep = (struct relay_keep){
		.pin_folder = pin_folder,
		.state_folder = state_folder,
		.replaces = true,
	};
	attempt(keep);
}

void relay_keep_tick(struct relay_keep *keep)
{
	if (keep->wait && --keep->wait)
		return;
	attempt(keep);
}
