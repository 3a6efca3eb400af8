// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The relay's way back in: each datagram on its injector is a struct handoff. It is sent out of the
 * connection it names, where the message program puts the answer in its place, in order with what
 * else leaves that socket.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"

SEC("sk_skb")
int sluice_inject(struct __sk_buff *skb)
{
	__u64 cookie;

	if (skb->len != sizeof(struct handoff) ||
	    bpf_skb_load_bytes(skb, 0, &cookie, sizeof(cookie)))
		return SK_DROP;
	if (cookie == HANDOFF_SINK)
		return bpf_sk_redirect_hash(skb, &sink, &cookie, 0);
	/* A connection that has ended meanwhile is not found, and nobody is left to answer. */
	return bpf_sk_redirect_hash(skb, &socks, &cookie, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
