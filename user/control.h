/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The control socket: carries the API over HTTP/1.1 on a Unix socket, from within the loop. */
#ifndef SLUICE_CONTROL_H
#define SLUICE_CONTROL_H

#include <stddef.h>

#include "api.h"
#include "loop.h"

struct control;

/*
 * Listen at path, with the mode and group of the service's configuration, and serve from the loop. The
 * path's folder is made where it is absent.
 *
 * service and loop must outlive ret_control. On failure why (why_size bytes) says what is wrong
 * and what to do; -EADDRINUSE: another process answers at path.
 */
int control_start(struct loop *loop, const struct service *service, const char *path,
		  struct control **ret_control, char *why, size_t why_size);

/* Stop serving and remove the socket. NULL is allowed. */
void control_stop(struct control *control);

#endif
