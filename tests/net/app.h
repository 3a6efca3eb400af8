/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the applications that stand behind the gate share. Each is one file and this. */
#ifndef SLUICE_TESTS_NET_APP_H
#define SLUICE_TESTS_NET_APP_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* False, with errno set, where not all could be sent. */
static inline bool send_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		data += sent;
		size -= sent;
	}
	return true;
}

static inline bool send_text(int fd, const char *text)
{
	return send_all(fd, text, strlen(text));
}

/* Listen, or end the process. At IPv6's any address it is IPv4's, too. */
static inline int listen_at(const void *address, socklen_t length)
{
	const struct sockaddr *generic = address;
	int fd = socket(generic->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1, no = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (generic->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (fd < 0 || bind(fd, generic, length) || listen(fd, 1024)) {
		perror("listen");
		exit(EXIT_FAILURE);
	}
	return fd;
}

/* The same at 127.0.0.1. */
static inline int listen_on(int port)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(port),
					     .sin_addr = { htonl(INADDR_LOOPBACK) } };

	return listen_at(&address, sizeof(address));
}

#endif
