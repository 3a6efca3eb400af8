// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "relay_change.h"

#include <stdbool.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../bpf/conn.bpf.h"
#include "util.h"

void relay_hand_over(const struct streams *streams, const int sink[2], const char *pin_folder)
{
	struct relay_hand hand = { relay_hand_memory(), { sink[0], sink[1] } };

	if (hand.state < 0)
		return;
	/* One that could not be written is not sound, and the sink still goes. */
	streams_hand_over(streams, hand.state);
	relay_hand_send(pin_folder, &hand);
	close(hand.state);
}

void relay_take_over(struct streams *streams, struct relay_hand *former)
{
	if (former->state >= 0)
		streams_take_over(streams, former->state, monotonic_us());
	relay_hand_close(former);
}

/*
 * A connection that may be from the time of another relay, that is gone and did not hand it over. What
 * became of bytes that it had is not known. Where it was to end the connection, it may have taken that
 * along.
 */
static void adopt(struct streams *streams, __u64 cookie, const struct conn *conn)
{
	const struct handoff end = {
		.cookie = cookie,
		.kind = HANDOFF_END,
		.number = conn->turns,
		.quiet_ms = conn->closing ? LINGER_MS : DISCARD_QUIET_MS,
		.eaten = conn->eaten,
	};

	if (streams_know(streams, cookie))
		return;
	if (conn->handed & HANDED_UP)
		streams_end_unknown(streams, cookie, monotonic_us());
	else if (conn->closing == CLOSING_SENT ||
		 (conn->ingress == INGRESS_BODY && conn->body.refused))
		streams_take(streams, &end, monotonic_us());
}

void relay_adopt(struct streams *streams, int conns)
{
	__u64 cookie, *last = NULL;
	struct conn conn;

	while (!bpf_map_get_next_key(conns, last, &cookie)) {
		last = &cookie;
		if (!bpf_map_lookup_elem(conns, &cookie, &conn))
			adopt(streams, cookie, &conn);
	}
}
