// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pin_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "util.h"

/*
 * A bpffs is often open to all users, who may then make a folder of the name that the daemon looks
 * for, or a link by that name, and so hand it programs and maps of their own.
 */
static int judge(int fd)
{
	struct statfs filesystem;
	struct stat status;

	if (fstatfs(fd, &filesystem) || fstat(fd, &status))
		return -errno;
	if (filesystem.f_type != BPF_FS_MAGIC)
		return -ENOTSUP;
	return status.st_uid != geteuid() || status.st_mode & (S_IWGRP | S_IWOTH) ? -EPERM : 0;
}

int pin_folder_lock(const char *path, int *ret_fd)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = judge(fd);
	if (r)
		return r;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static void explain_owner(const char *path, char *why, size_t size)
{
	struct stat status;

	if (!stat(path, &status) && status.st_uid != geteuid())
		snprintf(why, size,
			 "The pin folder %s belongs to uid %u, who could put a gate of their own "
			 "there; remove it or name another with --pin.",
			 path, status.st_uid);
	else
		snprintf(why, size,
			 "The pin folder %s can be written by other users; run: chmod 700 %s, or "
			 "name another with --pin.",
			 path, path);
}

static void explain(int r, const char *path, char *why, size_t size)
{
	switch (r) {
	case -EBUSY:
		snprintf(why, size,
			 "Another sluiced holds the pin folder %s. Stop it, or give this one a "
			 "folder of its own with --pin.",
			 path);
		break;
	case -ENOTSUP:
		snprintf(why, size,
			 "The pin folder %s is not on a bpffs, so the gate could not outlive the "
			 "daemon. Mount one there (mount -t bpf bpf /sys/fs/bpf) or name another "
			 "with --pin.",
			 path);
		break;
	case -EPERM:
		explain_owner(path, why, size);
		break;
	default:
		snprintf(why, size, "Cannot open the pin folder %s: %s.", path, strerror(-r));
	}
}

int pin_folder_open(const char *path, int *ret_fd, char *why, size_t why_size)
{
	bool made = !mkdir(path, 0700);
	int r = made || errno == EEXIST ? 0 : -errno;

	if (r) {
		snprintf(why, why_size,
			 "Cannot make the pin folder %s: %s. Sluice needs root and a bpffs; try: "
			 "mount -t bpf bpf /sys/fs/bpf",
			 path, strerror(-r));
		return r;
	}
	r = pin_folder_lock(path, ret_fd);
	if (r)
		explain(r, path, why, why_size);
	if (r && made)
		rmdir(path);
	return r;
}
