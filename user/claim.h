/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A port is protected by one daemon only, whatever pin folder each has: two gates on one socket
 * would shut each other out.
 */
#ifndef SLUICE_CLAIM_H
#define SLUICE_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLAIMS_MAX 256

/* The ports that this process has claimed. All zeros at first. */
struct claims {
	struct {
		uint16_t port;
		int fd; /* open for as long as the claim holds */
	} held[CLAIMS_MAX];
	size_t count;
};

/*
 * Claim a port of this process' network namespace, until claim_drop() or the process' end; nothing
 * to do where it is claimed already.
 *
 * On failure why (why_size bytes) says what is wrong. -EADDRINUSE: another daemon has it.
 */
int claim_port(struct claims *claims, uint16_t port, char *why, size_t why_size);

/* To be called each second: make room for those who ask whose a claim is. */
void claims_tick(const struct claims *claims);

bool claim_holds(const struct claims *claims, uint16_t port);
void claim_drop(struct claims *claims, uint16_t port);

#endif
