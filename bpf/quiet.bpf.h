/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Eat a buffer without waking the application.
 *
 * After a verdict the kernel wakes whoever waits for the socket, although nothing is there to read.
 * One that polls looks, and goes on waiting: lost time. One that sleeps in recv() on a blocking
 * socket is told EAGAIN, which servers that use threads take for the end: they close, and may take
 * the answer with them. The one verdict that wakes nobody is a redirect that fails. So the buffer is
 * redirected to the sink, a socket that nothing can be sent on, and the relay (user/relay.c) is told
 * to send another in its place. Where there is no relay, the application is woken.
 */
#ifndef SLUICE_QUIET_BPF_H
#define SLUICE_QUIET_BPF_H

#include "conn.bpf.h"
#include "kernel.bpf.h"
#include "maps.bpf.h"

/*
 * Whether this buffer can and should be eaten in silence: somebody sleeps in recv() on the socket or
 * polls it, and this is the last buffer of its queue. A redirect that fails ends the kernel's round
 * through the queue, and what is behind would lie there unjudged until more arrives. The socket is
 * locked, so that nobody begins to sleep meanwhile.
 */
static __always_inline bool should_be_quiet(struct tcp_sock *tcp)
{
	struct sock *sk = (struct sock *)tcp;
	struct list_head *head = &sk->sk_wq->wait.head;

	return !sk->sk_receive_queue.qlen && head->next != head;
}

/*
 * Bytes in the ring buffer beyond which the relay is taken for stopped: 64 records that it has not
 * read, each with a header of 8 bytes.
 */
#define RELAY_BACKLOG (64 * (8 + sizeof(struct handoff)))

static __always_inline bool sink_takes(struct __sk_buff *skb)
{
	__u64 zero = 0;

	return bpf_sk_redirect_hash(skb, &sink, &zero, 0) == SK_PASS;
}

/* The verdict that eats a buffer. */
static __always_inline int eat(struct __sk_buff *skb, struct tcp_sock *tcp)
{
	return should_be_quiet(tcp) && sink_takes(skb) ? SK_PASS : SK_DROP;
}

/* Eat a buffer and have the relay send one in its place. Returns false where that cannot be. */
static __always_inline bool eat_for_relay(struct __sk_buff *skb, struct tcp_sock *tcp, __u64 cookie)
{
	struct handoff *record;

	if (!should_be_quiet(tcp) || bpf_ringbuf_query(&handoff, BPF_RB_AVAIL_DATA) > RELAY_BACKLOG)
		return false;
	record = bpf_ringbuf_reserve(&handoff, sizeof(*record), 0);
	if (!record)
		return false;
	record->cookie = cookie;
	if (!sink_takes(skb)) {
		bpf_ringbuf_discard(record, 0);
		return false;
	}
	bpf_ringbuf_submit(record, 0);
	return true;
}

#endif
