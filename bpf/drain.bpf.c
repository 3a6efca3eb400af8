// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which connections that are to end (is_draining()) are at rest, so that ending them cuts nothing off.
 *
 * The daemon reads it from an iterator. It is asked under each socket's lock, and as the guard keeps
 * new requests from a connection that is idle (guard.bpf.c), one that is found idle stays so, but for a
 * packet that passed the guard before.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "follow.bpf.h"
#include "maps.bpf.h"

/* Whether there are bytes that no verdict was asked for, or that the client does not have yet. */
static __always_inline bool has_waiting(struct tcp_sock *tcp)
{
	return ((struct sock *)tcp)->sk_receive_queue.qlen ||
	       ((struct sock *)tcp)->sk_backlog.len || tcp->snd_una != tcp->write_seq;
}

SEC("iter/tcp")
int sluice_drain(struct bpf_iter__tcp *walk)
{
	struct sock_common *common = walk->sk_common;
	struct gate_key key = {};
	struct drained drained = {};
	struct tcp_sock *tcp;
	struct conn *conn;

	tcp = common ? bpf_skc_to_tcp_sock(common) : NULL;
	if (!tcp)
		return 0;
	key.port = common->skc_num;
	key.netns_cookie = common->skc_net.net->net_cookie;
	if (!is_draining(bpf_map_lookup_elem(&gates, &key)))
		return 0;
	drained.cookie = bpf_get_socket_cookie(tcp);
	conn = bpf_map_lookup_elem(&conns, &drained.cookie);
	if (!conn)
		return 0;
	drained.port = key.port;
	drained.turns = conn->turns;
	drained.idle = is_idle(conn, tcp) && !has_waiting(tcp);
	bpf_seq_write(walk->meta->seq, &drained, sizeof(drained));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
