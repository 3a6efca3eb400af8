/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Making the control socket without taking it from anybody who uses it. */
#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control_socket.h"
#include "util.h"

#define BACKLOG 64

static int explain(int r, const char *path, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "The control socket %s cannot be made: %s: %s.", path, what,
		 strerror(-r));
	return r;
}

/* Make the folder of path where there is none. The mode is 0755 whatever the umask. */
static int make_folder(const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *folder;

	memcpy(copy, path, strlen(path) + 1);
	folder = dirname(copy);
	if (mkdir(folder, 0755))
		return errno == EEXIST ? 0 : -errno;
	return chmod(folder, 0755) ? -errno : 0;
}

/* True where a process answers at address, or keeps so busy that it may be there. */
static bool is_answered(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return true;
	return !connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	       errno != ECONNREFUSED;
}

/* Remove what a daemon that is gone left at address. */
static int clear_stale(const struct sockaddr_un *address, char *why, size_t why_size)
{
	const char *path = address->sun_path;
	struct stat status;

	if (lstat(path, &status))
		return errno == ENOENT ? 0 : explain(-errno, path, "lstat", why, why_size);
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(why, why_size,
			 "There is something at %s that is no socket; move it or give --socket.",
			 path);
		return -EEXIST;
	}
	if (is_answered(address)) {
		snprintf(why, why_size,
			 "Another process answers at the control socket %s; stop it or give "
			 "--socket another path.",
			 path);
		return -EADDRINUSE;
	}
	return unlink(path) ? explain(-errno, path, "unlink", why, why_size) : 0;
}

/* Bind with a mode that lets nobody in but the owner, whatever the umask. */
static int bind_privately(int fd, const struct sockaddr_un *address)
{
	mode_t umask_before = umask(0177);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;

	umask(umask_before);
	return r;
}

/* The group first: with the mode first, another group would have what this one is to have. */
static int let_in(const char *path, gid_t group, mode_t mode, char *why, size_t why_size)
{
	if (group != (gid_t)-1 && lchown(path, -1, group)) {
		int r = -errno;

		snprintf(why, why_size,
			 "The control socket %s cannot be given to group %u: %s. The daemon's user "
			 "must be in that group, or root.",
			 path, (unsigned)group, strerror(-r));
		return r;
	}
	return chmod(path, mode) ? explain(-errno, path, "chmod", why, why_size) : 0;
}

int control_socket_open(const char *path, gid_t group, mode_t mode, int *ret_fd, char *why,
			size_t why_size)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	if (fd < 0)
		return explain(-errno, path, "socket", why, why_size);
	if (strlen(path) >= sizeof(address.sun_path))
		return explain(-ENAMETOOLONG, path, "path", why, why_size);
	strcpy(address.sun_path, path);
	r = make_folder(path);
	if (r)
		return explain(r, path, "its folder", why, why_size);
	r = clear_stale(&address, why, why_size);
	if (r)
		return r;
	r = bind_privately(fd, &address);
	if (r)
		return explain(r, path, "bind", why, why_size);
	r = let_in(path, group, mode, why, why_size);
	if (!r && listen(fd, BACKLOG))
		r = explain(-errno, path, "listen", why, why_size);
	if (r) {
		unlink(path);
		return r;
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}
