/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A backup: a folder with a copy of the store, one file without a journal, and of the pepper that
 * belongs to it. It is whole once its sluice.db has that name.
 */
#ifndef SLUICE_BACKUP_H
#define SLUICE_BACKUP_H

#include <stddef.h>

/*
 * Back up a state folder, whether or not a daemon uses it.
 *
 * folder	where to: made, with mode 0700; one that is there must be empty
 *
 * On failure why (why_size bytes) says what is wrong and what to do, and nothing of the backup is
 * left. Returns 0, or a negative errno: -ENOTEMPTY, -EKEYREJECTED the pepper is not the store's, or
 * what the store, the pepper or the system says.
 */
int backup_make(const char *state, const char *folder, char *why, size_t why_size);

/*
 * Copy a store's file as it is at one moment, with what its journal has, to a file that is not there
 * yet. Both are seen to be sound. On failure there is no copy. Errors as above.
 */
int backup_copy(const char *from, const char *to, char *why, size_t why_size);

/* Copy a pepper to a file that is not there yet. */
int backup_copy_pepper(const char *from, const char *to, char *why, size_t why_size);

/* See that a store's file is sound and the pepper in that other file belongs to it. */
int backup_verify(const char *store, const char *pepper, char *why, size_t why_size);

#endif
