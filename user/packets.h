/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that are sent to this host in a client's name.
 *
 * When data and the end of the stream come in one packet, the application learns of the end before
 * the gate knows what to do with the data. So the guard keeps such packets back, and they are let in
 * again without the FIN, which the client repeats when it is not acknowledged (RFC 9293 3.8.1).
 *
 * Programs of the gate that run when a packet leaves a connection may have to run when none would:
 * a probe makes TCP send one (bpf/gate.bpf.c).
 */
#ifndef SLUICE_PACKETS_H
#define SLUICE_PACKETS_H

#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi.h"

struct packets {
	int ip4; /* raw sockets */
	int ip6;
};

#define PACKETS_NONE ((struct packets){ .ip4 = -1, .ip6 = -1 })

/* Open the sockets; IPv6 may be missing. Returns 0 or a negative errno. */
int packets_open(struct packets *ret_packets);
void packets_close(struct packets *packets);

/*
 * Send a packet to this host without its FIN.
 *
 * packet	from its IP header on
 * length	bytes of it
 * tcp_at	offset of the TCP header
 *
 * Returns 0; -EINVAL where this is no such packet; -EBADMSG where its checksum is wrong; or a negative
 * errno.
 */
int packets_resend(const struct packets *packets, const uint8_t *packet, size_t length,
		   size_t tcp_at);

/* Send the segment that a HANDOFF_PROBE asks for. Returns 0 or a negative errno. */
int packets_probe(const struct packets *packets, const struct probe *probe);

#endif
