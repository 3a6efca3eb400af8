/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where cgroup v2 is mounted. */
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

/* True where fd is an open folder of a cgroup-v2 tree. */
bool cgroup_is_v2(int fd);

#endif
