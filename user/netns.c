// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "netns.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int netns_cookie(uint64_t *ret_cookie)
{
	socklen_t length = sizeof(*ret_cookie);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &length))
		r = -errno;
	close(fd);
	return r;
}
