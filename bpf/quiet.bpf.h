/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Eat a buffer without waking a reader that sleeps.
 *
 * After a verdict the kernel wakes whoever waits for the socket, although nothing is there to read.
 * One that polls looks and goes on waiting. One that sleeps in recv() on a blocking socket is told
 * EAGAIN, which servers that use threads take for the end: they close, and may take the answer with
 * them. The one verdict that wakes nobody is a redirect that fails. So such a buffer is redirected
 * to the sink, a socket of the daemon's that nothing can be sent on, and its answer comes back
 * through the daemon. With the daemon gone there is no sink, and the reader is woken.
 */
#ifndef SLUICE_QUIET_BPF_H
#define SLUICE_QUIET_BPF_H

#include <bpf/bpf_core_read.h>

#include "conn.bpf.h"
#include "kernel.bpf.h"
#include "maps.bpf.h"

/* Entries of a socket's wait queue that are looked at: its readers and writers, and pollers. */
#define WAITERS_MAX 8

/* How those who sleep in recv() are woken; pollers have functions of their own. */
extern const void woken_wake_function __ksym;

/* Whether somebody sleeps in recv() or send(). Under the socket's lock nobody begins to. */
static __noinline bool somebody_sleeps(struct tcp_sock *tcp)
{
	struct sock *sk = (struct sock *)tcp;
	struct list_head *head, *next;
	struct wait_queue_entry *waiter;

	if (!sk)
		return false;
	head = &sk->sk_wq->wait.head;
	next = BPF_CORE_READ(head, next);
	for (int i = 0; i < WAITERS_MAX && next && next != head; i++) {
		waiter = (void *)next - bpf_core_field_offset(struct wait_queue_entry, entry);
		if (BPF_CORE_READ(waiter, func) == &woken_wake_function)
			return true;
		next = BPF_CORE_READ(next, next);
	}
	return false;
}

static __always_inline bool sink_takes(struct __sk_buff *skb)
{
	__u64 zero = 0;

	return bpf_sk_redirect_hash(skb, &sink, &zero, 0) == SK_PASS;
}

/* The verdict that eats a buffer. */
static __always_inline int eat(struct __sk_buff *skb, struct tcp_sock *tcp)
{
	return somebody_sleeps(tcp) && sink_takes(skb) ? SK_PASS : SK_DROP;
}

/* Eat a buffer and have the ticket come back through the daemon. False where that cannot be. */
static __always_inline bool eat_for_ticket(struct __sk_buff *skb, struct tcp_sock *tcp,
					   __u64 cookie, const struct ticket *ticket)
{
	struct handoff *record;

	if (!somebody_sleeps(tcp))
		return false;
	record = bpf_ringbuf_reserve(&handoff, sizeof(*record), 0);
	if (!record)
		return false;
	__builtin_memcpy(record->ticket, ticket, sizeof(record->ticket));
	record->cookie = cookie;
	if (!sink_takes(skb)) {
		bpf_ringbuf_discard(record, 0);
		return false;
	}
	bpf_ringbuf_submit(record, 0);
	return true;
}

#endif
