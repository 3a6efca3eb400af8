/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's care for the relay. The gate holds without one, so that a relay that cannot be
 * started is told of in the log, once, and tried again.
 */
#ifndef SLUICE_RELAY_KEEP_H
#define SLUICE_RELAY_KEEP_H

#include <stdbool.h>

struct relay_keep {
	const char *pin_folder;
	const char *state_folder;
	bool replaces; /* a relay that a former daemon started goes on, in the place of ours */
	int result;    /* of the last attempt */
	/* Seconds between the last attempt and the next, doubled with each failure; and what is left. */
	unsigned pause;
	unsigned wait;
};

/* At the start: put a relay of this version in place. The folders' names are to outlive keep. */
void relay_keep_start(struct relay_keep *keep, const char *pin_folder, const char *state_folder);

/* Each second: see to it that there is one, and of this version. */
void relay_keep_tick(struct relay_keep *keep);

#endif
