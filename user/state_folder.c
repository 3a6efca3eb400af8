/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Nobody but the owner may look into the state folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "state_folder.h"
#include "util.h"

static int explain(int r, const char *path, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "The folder %s cannot be %s: %s.", path, what, strerror(-r));
	return r;
}

static void explain_owner(const char *path, uid_t uid, char *why, size_t why_size)
{
	char owner[USER_TEXT_SIZE], us[USER_TEXT_SIZE], way[CONFIG_PATH_SIZE + 64];

	user_format(uid, owner);
	user_format(geteuid(), us);
	if (uid)
		snprintf(way, sizeof(way),
			 "Start it as that user, as the service is (systemctl "
			 "start sluiced)");
	else /* root has tried it, and it is to be a service now */
		snprintf(way, sizeof(way), "As root, run: chown -R %u %s", geteuid(), path);
	snprintf(why, why_size,
		 "The folder %s belongs to %s, and this daemon runs as %s. %s; or name another "
		 "folder with --state.",
		 path, owner, us, way);
}

int state_folder_open(const char *path, char *why, size_t why_size)
{
	struct stat status;

	if (mkdir(path, 0700) && errno != EEXIST)
		return explain(-errno, path, "made", why, why_size);
	if (stat(path, &status))
		return explain(-errno, path, "read", why, why_size);
	if (!S_ISDIR(status.st_mode)) {
		snprintf(why, why_size, "The folder %s is no folder.", path);
		return -ENOTDIR;
	}
	if (status.st_uid != geteuid()) {
		explain_owner(path, status.st_uid, why, why_size);
		return -EPERM;
	}
	if (status.st_mode & 077) {
		snprintf(why, why_size, "The folder %s is open to other users; run: chmod 700 %s",
			 path, path);
		return -EPERM;
	}
	return 0;
}

int state_folder_lock(const char *path, int *ret_folder, char *why, size_t why_size)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (folder < 0)
		return explain(-errno, path, "opened", why, why_size);
	if (flock(folder, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		if (err == -EBUSY)
			snprintf(why, why_size,
				 "The folder %s is held: another sluiced uses it. Stop that "
				 "one first.",
				 path);
		else
			explain(err, path, "locked", why, why_size);
		close(folder);
		return err;
	}
	*ret_folder = folder;
	return 0;
}
