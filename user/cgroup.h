/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where cgroup v2 is mounted, and where in it this process is. */
#ifndef SLUICE_CGROUP_H
#define SLUICE_CGROUP_H

#include <stdbool.h>

/*
 * Find the root of cgroup v2, wherever it is mounted (/proc/self/mounts).
 *
 * ret_path	the folder, freed by the caller
 *
 * Returns 0, -ENOENT where there is no such mount, or another negative errno.
 */
int cgroup_find_root(char **ret_path);

/*
 * Open the folder of the cgroup that this process is in.
 *
 * Where the mount shows another part of the tree than /proc/self/cgroup speaks of, as in some
 * containers, that is taken for the root of the mount.
 *
 * Returns 0 and a descriptor, or a negative errno as cgroup_find_root() does.
 */
int cgroup_open_own(int *ret_fd);

/* True where fd is an open folder of a cgroup-v2 tree. */
bool cgroup_is_v2(int fd);

#endif
