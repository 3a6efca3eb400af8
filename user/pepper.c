// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The installation's pepper in its file. */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util.h"

/* A pepper others can read, or could have put there, protects nothing: refuse it. */
static int check_file(int file, const char *path, char *why, size_t why_size)
{
	struct stat status;

	if (fstat(file, &status) < 0) {
		snprintf(why, why_size, "Cannot examine the pepper %s: %s.", path, strerror(errno));
		return -errno;
	}
	if (!S_ISREG(status.st_mode)) {
		snprintf(why, why_size, "The pepper %s is not a regular file.", path);
		return -EPERM;
	}
	if (status.st_uid != geteuid()) {
		snprintf(why, why_size,
			 "The pepper %s belongs to user %u, not to user %u as whom this runs.",
			 path, status.st_uid, geteuid());
		return -EPERM;
	}
	if ((status.st_mode & 07777) != 0600) {
		snprintf(why, why_size,
			 "The pepper %s has mode %04o, must be 0600. If nobody else can have read "
			 "it, run: chmod 600 %s",
			 path, status.st_mode & 07777, path);
		return -EPERM;
	}
	if (status.st_size != PEPPER_SIZE) {
		snprintf(why, why_size,
			 "The pepper %s has %lld bytes, must have %d. Restore it from a backup.",
			 path, (long long)status.st_size, PEPPER_SIZE);
		return -EPERM;
	}
	return 0;
}

int pepper_load(const char *path, uint8_t ret_pepper[PEPPER_SIZE], char *why, size_t why_size)
{
	_cleanup_close_ int file = -1;
	uint8_t pepper[PEPPER_SIZE];
	ssize_t count;
	int err;

	/* O_NONBLOCK: a FIFO in its place is refused rather than waited for. */
	file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file < 0) {
		err = -errno;
		snprintf(why, why_size, "Cannot open the pepper %s: %s.", path, strerror(-err));
		return err;
	}
	err = check_file(file, path, why, why_size);
	if (err)
		return err;

	count = read(file, pepper, sizeof(pepper));
	if (count != sizeof(pepper)) {
		err = count < 0 ? -errno : -EIO;
		snprintf(why, why_size, "Cannot read the pepper %s: %s.", path, strerror(-err));
	} else {
		memcpy(ret_pepper, pepper, sizeof(pepper));
	}
	sodium_memzero(pepper, sizeof(pepper));
	return err;
}

/*
 * The file gets its name only once its content is on disk: no crash leaves half a pepper, and a
 * name that is taken is never replaced. Where it fails there is no file of it.
 */
static int write_pepper(const char *path, const uint8_t pepper[PEPPER_SIZE])
{
	_cleanup_close_ int folder = -1, file = -1;
	char name[PATH_MAX], unnamed[64];
	ssize_t count;
	int err;

	if ((size_t)snprintf(name, sizeof(name), "%s", path) >= sizeof(name))
		return -ENAMETOOLONG;
	folder = open(dirname(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	file = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;

	/* Whatever the umask took away is given back here. */
	if (fchmod(file, 0600) < 0)
		return -errno;
	count = write(file, pepper, PEPPER_SIZE);
	if (count != PEPPER_SIZE)
		return count < 0 ? -errno : -EIO;
	if (fsync(file) < 0)
		return -errno;

	snprintf(unnamed, sizeof(unnamed), "/proc/self/fd/%d", file);
	if (linkat(AT_FDCWD, unnamed, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	if (fsync(folder) == 0)
		return 0;
	err = -errno;
	unlink(path);
	return err;
}

int pepper_save(const char *path, const uint8_t pepper[PEPPER_SIZE], char *why, size_t why_size)
{
	int err = write_pepper(path, pepper);

	if (err)
		snprintf(why, why_size, "Cannot write the pepper %s: %s.", path, strerror(-err));
	return err;
}
