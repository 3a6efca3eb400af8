/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TCP sockets of this network namespace, through the kernel's socket diagnosis (sock_diag(7)). */
#ifndef SLUICE_SOCKETS_H
#define SLUICE_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reset every established TCP connection whose local port is port (host byte order), IPv4 and
 * IPv6 alike, walking anew until none is found, a few times at most. Listening sockets stay.
 *
 * Returns how many were reset, or a negative errno: -EOPNOTSUPP where the kernel was built without
 * CONFIG_INET_DIAG_DESTROY.
 */
int sockets_reset(uint16_t port);

/* As sockets_reset(), those whose socket cookies are listed; puts these into ascending order. */
int sockets_reset_some(uint64_t *cookies, size_t count);

/* Likewise, but only those that the map `marks`, an open descriptor, marks as MARK_UNGATED. */
int sockets_reset_ungated(uint16_t port, int marks);

/*
 * Find those whose cookies are listed, of all connections that TCP has not forgotten.
 *
 * cookies	put into ascending order
 * ret_found	for each of these, whether there is one
 *
 * Returns 0 or a negative errno: -EAGAIN where so many came and went meanwhile that some may have been
 * passed over.
 */
int sockets_find(uint64_t *cookies, size_t count, bool *ret_found);

#endif
