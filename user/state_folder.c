/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Nobody but the owner may look into the state folder. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state_folder.h"

static int explain(int r, const char *path, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "The state folder %s cannot be %s: %s.", path, what, strerror(-r));
	return r;
}

int state_folder_open(const char *path, char *why, size_t why_size)
{
	struct stat status;

	if (mkdir(path, 0700) && errno != EEXIST)
		return explain(-errno, path, "made", why, why_size);
	if (stat(path, &status))
		return explain(-errno, path, "read", why, why_size);
	if (!S_ISDIR(status.st_mode)) {
		snprintf(why, why_size, "The state folder %s is no folder.", path);
		return -ENOTDIR;
	}
	if (status.st_uid != geteuid()) {
		snprintf(why, why_size, "The state folder %s belongs to another user.", path);
		return -EPERM;
	}
	if (status.st_mode & 077) {
		snprintf(why, why_size,
			 "The state folder %s is open to other users; run: chmod 700 %s", path,
			 path);
		return -EPERM;
	}
	return 0;
}
