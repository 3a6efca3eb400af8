/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The folder on a bpffs where the gate is pinned, and the lock on it: one daemon a folder. */
#ifndef SLUICE_PIN_FOLDER_H
#define SLUICE_PIN_FOLDER_H

#include <stddef.h>

/*
 * Make the folder unless it is there, and lock it for as long as ret_fd is open. On failure a
 * folder that was made is removed again.
 *
 * why	on failure, a sentence for the user: what is wrong and what to do
 *
 * Errors: -EBUSY another daemon holds it, -ENOTSUP it is not on a bpffs, -EPERM others than this
 * process' user can change what is in it, or what a system call returned.
 */
int pin_folder_open(const char *path, int *ret_fd, char *why, size_t why_size);

/*
 * Lock a folder that is there, for kernel_remove().
 *
 * Returns 0, or a negative errno: -ENOENT there is none, the others as above.
 */
int pin_folder_lock(const char *path, int *ret_fd);

#endif
