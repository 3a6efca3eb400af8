// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "util.h"

/* What the line of cgroup v2 in /proc/self/cgroup begins with, cgroups(7); the path is behind it. */
#define LINE_V2 "0::"

int cgroup_find_root(char **ret_path)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;
	int r = -ENOENT;

	if (!mounts)
		return -errno;
	while ((mount = getmntent(mounts))) {
		if (strcmp(mount->mnt_type, "cgroup2"))
			continue;
		*ret_path = strdup(mount->mnt_dir);
		r = *ret_path ? 0 : -ENOMEM;
		break;
	}
	endmntent(mounts);
	return r;
}

static int open_folder(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Open the folder below the root that /proc/self/cgroup names. Returns -1 where there is none. */
static int open_named(const char *root)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX], path[2 * PATH_MAX];
	int fd = -1;

	while (file && fd < 0 && fgets(line, sizeof(line), file)) {
		if (strncmp(line, LINE_V2, strlen(LINE_V2)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(path, sizeof(path), "%s%s", root, line + strlen(LINE_V2));
		fd = open_folder(path);
	}
	if (fd >= 0 && !cgroup_is_v2(fd)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int cgroup_open_own(int *ret_fd)
{
	_cleanup_free_ char *root = NULL;
	int fd, r = cgroup_find_root(&root);

	if (r)
		return r;
	fd = open_named(root);
	if (fd < 0)
		fd = open_folder(root);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

bool cgroup_is_v2(int fd)
{
	struct statfs filesystem;

	return !fstatfs(fd, &filesystem) && filesystem.f_type == CGROUP2_SUPER_MAGIC;
}
