/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Segments that are made here and sent beside a client's own TCP, as if it or a network had sent them. */
#ifndef SLUICE_TESTS_NET_SEGMENT_H
#define SLUICE_TESTS_NET_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_client.h"

#define SEGMENT_MAX 4096 /* bytes of payload */

struct segment {
	const char *bytes;
	size_t length;
	int32_t at; /* its first byte, counted from the next that the client's TCP will send */
	bool fin;
	bool damaged;
};

/*
 * Send a segment of the client's connection, with a wide open window. Fails the running test where it
 * cannot.
 */
void send_segment(const struct client *client, const struct segment *segment);

#endif
