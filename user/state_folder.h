/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The folder that holds the store and the pepper. */
#ifndef SLUICE_STATE_FOLDER_H
#define SLUICE_STATE_FOLDER_H

#include <stddef.h>

#define STATE_STORE  "sluice.db"
#define STATE_PEPPER "pepper"

/*
 * Make the folder, mode 0700, or see that the one that is there is ours and closed to others.
 *
 * On failure why (why_size bytes) says what is wrong and what to do: -EPERM it is not ours alone,
 * -ENOTDIR it is no folder.
 */
int state_folder_open(const char *path, char *why, size_t why_size);

/*
 * Hold the folder for as long as ret_folder is open: two daemons that write one store would each
 * enforce half of it.
 *
 * On failure why as above. -EBUSY: another sluiced holds it.
 */
int state_folder_lock(const char *path, int *ret_folder, char *why, size_t why_size);

#endif
