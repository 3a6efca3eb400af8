/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Networks and sources as text and as bits. IPv4 ones are IPv4-mapped, struct source in bpf/abi.h. */
#ifndef SLUICE_NETWORK_H
#define SLUICE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/abi.h"

#define NETWORK_BITS	  128
#define NETWORK_IPV4_BITS 32
#define NETWORK_TEXT_SIZE (46 + 4) /* INET6_ADDRSTRLEN and a prefix */

/*
 * Read "192.0.2.0/24", "2001:db8::/32", or an address, which is a network of its own.
 *
 * Returns 0; -EINVAL where the text is none of these; -ERANGE where there are bits behind the prefix.
 */
int network_read(const char *text, struct network *ret_network);

/* Write it as it is read; a prefix that is the whole address is left out. */
void network_format(const struct network *network, char ret_text[NETWORK_TEXT_SIZE]);

/* Whether it is one of IPv4. */
bool network_is_ipv4(const struct network *network);

/* Whether an address is in both. */
bool networks_overlap(const struct network *a, const struct network *b);

/* Keep the first bits of an address, and make those behind them 0. */
void network_cut(uint32_t words[4], uint32_t prefix);

#endif
