/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The listening Unix socket behind control.c. */
#ifndef SLUICE_CONTROL_SOCKET_H
#define SLUICE_CONTROL_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Listen at path, with that mode and group ((gid_t)-1: the process' own). At no time may anybody
 * connect who may not in the end. A folder that is absent is made with mode 0755; a socket that nobody
 * answers at is replaced.
 *
 * ret_fd is non-blocking and the caller's, as is the socket's name. On failure why says what is
 * wrong and what to do. -EADDRINUSE: another process answers there.
 */
int control_socket_open(const char *path, gid_t group, mode_t mode, int *ret_fd, char *why,
			size_t why_size);

#endif
