/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything at once, while something else happens to the gate: large bodies up and down, heads in two
 * halves, pipelines with requests to be refused in them, and requests one by one. Each connection is a
 * process that keeps it for as long as it can, and checks every answer, byte for byte.
 */
#ifndef SLUICE_TESTS_NET_TRAFFIC_H
#define SLUICE_TESTS_NET_TRAFFIC_H

#include <stdint.h>
#include <sys/types.h>

#include "harness.h"
#include "http_client.h"

#define TRAFFIC_CONNECTIONS 12

/* What all of them saw, in memory that they share. */
struct traffic_tally {
	uint64_t ready;
	uint64_t admitted; /* answers of the application, right and whole */
	uint64_t refused;  /* 401 where one was due */
	uint64_t wrong;	   /* anything else, the end of a connection included */
	char first_wrong[256];
	uint64_t stop;
};

struct traffic {
	const struct application *application;
	struct key keys[TRAFFIC_CONNECTIONS]; /* one each, so that no limit is reached */
	struct traffic_tally *tally;
	pid_t pids[TRAFFIC_CONNECTIONS];
	uint64_t large_digest; /* of what /large is */
	uint64_t seen;	       /* by the application, before */
};

/* Make the keys and start, returning when each connection has had an answer. */
void traffic_start(struct traffic *traffic);

/* Wait until so many more requests were answered. */
void traffic_more(const struct traffic *traffic, uint64_t count);

/* Stop, and check that all was right, and each request counted once and executed once. */
void traffic_stop(struct traffic *traffic);

/*
 * Beside it, requests for /never with a key that was never issued. At the stop it is checked that each
 * was refused, and that the application was given none.
 */
void strangers_start(struct hammer *ret_hammer, const struct application *application);
void strangers_stop(struct hammer *hammer, const struct application *application);

/* Kill what a test that failed left running. */
void traffic_kill(void);

#endif
