/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A port is protected by one daemon only, whatever pin folder each has: two gates on one socket
 * would shut each other out.
 */
#ifndef SLUICE_CLAIM_H
#define SLUICE_CLAIM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Claim a port of this process' network namespace for as long as ret_fd is open.
 *
 * On failure why (why_size bytes) says what is wrong. -EADDRINUSE: another daemon has it.
 */
int claim_port(uint16_t port, int *ret_fd, char *why, size_t why_size);

#endif
