/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections that are to end whole, to the stand-in: what the tests of ports that leave and of gates that
 * go share. Functions fail the running test where they cannot do what they say.
 */
#ifndef SLUICE_TESTS_NET_DRAINED_H
#define SLUICE_TESTS_NET_DRAINED_H

#include <stdbool.h>
#include <stdint.h>

#include "harness.h"
#include "http_client.h"

/* A connection that has had an answer, and one that waits for its own, of which the head is out. */
struct stand {
	struct client *idle, *busy;
	struct key key;
	uint16_t port;
	int server;
};

struct stand prepare(void);

/* A request, whose answer is still to be read. */
void ask(struct client *client, const struct key *key);

/* Wait until the connection has ended, by whatever means, without another byte. */
void expect_ended(struct client *client);

/* Whether a handshake with the port succeeds at once. */
bool lets_in(uint16_t port);

/* The busy one's answer comes, in pieces. */
void finish_answer(const struct stand *stand);

/* All applications' ports in the configuration but one, 0 for none; and the daemon with them all. */
void configure_without(uint16_t port);
void start_configured(void);

bool is_gated(uint16_t port);

#endif
