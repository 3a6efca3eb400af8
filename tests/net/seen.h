/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What app_log was given on each connection: a file that it and the test program map. A client that
 * wants to find its record connects from the address 127.0.0.0 + its number.
 */
#ifndef SLUICE_TESTS_NET_SEEN_H
#define SLUICE_TESTS_NET_SEEN_H

#include <stddef.h>
#include <stdint.h>

/* The body of the answer that goes on until the end of the connection. */
#define UNTIL_CLOSE_BODY "until the end"

#define SEEN_FILE "seen"
#define SEEN_MAX  (1 << 21) /* connections; the number is in the low bits of the address */

/* One connection's record, final once the client has seen the end of the connection. */
struct seen {
	uint64_t digest;     /* over the requests executed, in order */
	uint32_t accepted;   /* 1 from accept() on */
	uint32_t heads;	     /* request heads that came to their end */
	uint32_t executed;   /* requests that came to their end */
	uint32_t rejected;   /* 1: there were bytes that are not a request */
	uint32_t unfinished; /* bytes of a request that did not come to its end */
	uint32_t error;	     /* errno of the call that failed, if any */
	uint32_t leaked;     /* heads with an Authorization, or not with exactly one X-Key-Id */
	uint32_t reserved;
};

struct seen_table {
	uint32_t hold; /* while it is 1, no connection is accepted */
	uint32_t reserved[15];
	struct seen connections[SEEN_MAX];
};

#define DIGEST_START 0xcbf29ce484222325ULL

/* FNV-1a, 64 bits. */
static inline uint64_t digest_add(uint64_t digest, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		digest = (digest ^ bytes[i]) * 0x100000001b3ULL;
	return digest;
}

#endif
