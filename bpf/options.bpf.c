// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP_ZEROCOPY_RECEIVE is denied on gated sockets: it takes bytes that came before accept(), for which
 * no verdict was asked yet.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>

#include "handoff.bpf.h"
#include "maps.bpf.h"

#define OPTION_PASS 1
#define OPTION_DENY 0

/*
 * Whether bytes were taken already: the program runs behind what it judges. The application is told
 * that none were, and what it would read behind them is no request any more. A shorter struct stands
 * for zeros behind it.
 */
static __always_inline bool has_taken(const struct bpf_sockopt *option)
{
	const struct tcp_zerocopy_receive *taken = option->optval;
	const void *end = option->optval_end;

	if (option->retval)
		return false;
	if ((void *)(&taken->length + 1) <= end && taken->length)
		return true;
	return (void *)(&taken->copybuf_len + 1) <= end && taken->copybuf_len;
}

SEC("cgroup/getsockopt")
int sluice_options(struct bpf_sockopt *option)
{
	struct socket_mark *mark;
	struct conn *conn;

	if (option->level != IPPROTO_TCP || option->optname != TCP_ZEROCOPY_RECEIVE) {
		/* Larger than what a program gets to see: nothing of it was changed here. */
		if (option->optlen > option->optval_end - option->optval)
			option->optlen = 0;
		return OPTION_PASS;
	}
	mark = option->sk ? bpf_sk_storage_get(&marks, option->sk, 0, 0) : NULL;
	if (!mark || mark->state != MARK_ENROLLED)
		return OPTION_PASS;
	conn = bpf_map_lookup_elem(&conns, &mark->cookie);
	if (conn && has_taken(option)) {
		conn->ingress = INGRESS_CLOSED;
		conn->closing = CLOSING_SENT;
		count(COUNTER_READ_UNJUDGED);
		tell_end(conn, mark->cookie, 0);
	}
	/* As from a kernel that does not have the option: applications go on without it. */
	bpf_set_retval(-ENOPROTOOPT);
	return OPTION_DENY;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
