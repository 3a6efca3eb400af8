/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The listening Unix socket behind control.c. */
#ifndef SLUICE_CONTROL_SOCKET_H
#define SLUICE_CONTROL_SOCKET_H

#include <stddef.h>

/*
 * Listen at path, mode 0660. A folder that is absent is made with mode 0755; a socket that nobody
 * answers at is replaced.
 *
 * ret_fd is non-blocking and the caller's, as is the socket's name. On failure why says what is
 * wrong and what to do. -EADDRINUSE: another process answers there.
 */
int control_socket_open(const char *path, int *ret_fd, char *why, size_t why_size);

#endif
