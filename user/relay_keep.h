/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's care for the relay. The gate holds without one, so that a relay that cannot be
 * started is told of in the log, once, and tried again.
 */
#ifndef SLUICE_RELAY_KEEP_H
#define SLUICE_RELAY_KEEP_H

/* All zeros at first. */
struct relay_keep {
	int result; /* of the last attempt */
	unsigned
		pause; /* seconds between the last attempt and the next; doubled with each failure */
	unsigned wait; /* of these, left */
};

/* At the start: put a relay of this version in place. */
void relay_keep_start(struct relay_keep *keep, const char *pin_folder, const char *state_folder);

/* Each second: see to it that there is one. */
void relay_keep_tick(struct relay_keep *keep, const char *pin_folder);

#endif
