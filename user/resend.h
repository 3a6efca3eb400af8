/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Send a client's packet once more, without its FIN.
 *
 * When data and the end of the stream come in one packet, the application learns of the end before
 * the gate knows what to do with the data. So the guard keeps such packets back, and they are let in
 * again without the FIN, which the client repeats when it is not acknowledged (RFC 9293 3.8.1).
 */
#ifndef SLUICE_RESEND_H
#define SLUICE_RESEND_H

#include <stddef.h>
#include <stdint.h>

struct resend {
	int ip4; /* raw sockets */
	int ip6;
};

#define RESEND_NONE ((struct resend){ .ip4 = -1, .ip6 = -1 })

/* Open the sockets; IPv6 may be missing. Returns 0 or a negative errno. */
int resend_open(struct resend *ret_resend);
void resend_close(struct resend *resend);

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
int resend_without_fin(const struct resend *resend, const uint8_t *packet, size_t length,
		       size_t tcp_at);

#endif
