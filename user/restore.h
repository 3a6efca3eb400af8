/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Putting a backup in the place of a state folder's store and pepper, whole or not at all: a copy is
 * made and tried in the folder `restore.partial`, which then becomes `restore`. From that moment on it
 * is the store: whoever opens the state folder next moves it to its place. What was there before is
 * kept in a folder beside it.
 */
#ifndef SLUICE_RESTORE_H
#define SLUICE_RESTORE_H

#include <stddef.h>

/*
 * Restore the backup in folder; no daemon may use the state folder, which is made where there is
 * none. Usage that the store has counted since the backup is kept, where it can still be read: no
 * limit refills. What the keys' owners will notice is logged.
 *
 * On failure why (why_size bytes) says what is wrong and what to do, and the store is what it was.
 * Returns 0, or a negative errno: -EBUSY a daemon runs, or what backup_verify() or the system says.
 */
int restore_run(const char *state, const char *folder, char *why, size_t why_size);

/*
 * Finish a restore that was cut short behind its decision. Nothing to do where there was none.
 *
 * state_fd	the state folder, locked
 */
int restore_finish(const char *state, int state_fd, char *why, size_t why_size);

#endif
