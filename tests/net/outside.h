/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Clients that come over a network: a second network namespace, joined to the stage's by a pair of veth,
 * OUTSIDE_INTERFACE being the stage's end. It has addresses of two ranges of IPv4 and two networks of IPv6.
 */
#ifndef SLUICE_TESTS_NET_OUTSIDE_H
#define SLUICE_TESTS_NET_OUTSIDE_H

#include <stddef.h>
#include <stdint.h>

#include "http_client.h"

#define OUTSIDE_INTERFACE "sluice0"
#define OUTSIDE_SERVER	  "10.77.0.1" /* the stage's own addresses */
#define OUTSIDE_SERVER6	  "2001:db8:77::1"

/* Addresses of clients; others from 10.77.0.2 to 10.77.0.9 can be used, too. */
#define OUTSIDE_BAD	"10.77.0.2"
#define OUTSIDE_GOOD	"10.77.0.3"
#define OUTSIDE_BAD6	"2001:db8:78::2"
#define OUTSIDE_BESIDE6 "2001:db8:78::3" /* the same /64 */
#define OUTSIDE_GOOD6	"2001:db8:79::2" /* another */

/* Make it, once for all tests. Its end goes with the test program. */
void outside_make(void);

/* Go there, for what the calling process makes from then on, and back. */
void outside_enter(void);
void outside_leave(void);

/* A connection from an address there to a port of the stage; NULL where none comes about within ms. */
struct client *outside_connect(const char *address, uint16_t port, unsigned int ms);

/* Begin one, on a socket that does not block. Returns its descriptor. */
int outside_begin(const char *address, uint16_t port);

/* Put a frame on the wire as it is, towards the stage. */
void outside_send_frame(const void *frame, size_t size);

#endif
