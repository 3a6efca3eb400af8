/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * To the relay (user/relay.c): bytes that cannot be judged yet, and what is to be done behind the
 * application's back.
 *
 * After a verdict the kernel wakes whoever waits for the socket, although nothing is there to read.
 * One that polls looks, and goes on waiting: lost time. One that sleeps in recv() on a blocking
 * socket is told EAGAIN, which servers that use threads take for the end: they close, and may take
 * the answer with them. The one verdict that wakes nobody is a redirect that fails. So a buffer that
 * the application is not to see is redirected to the sink, a socket that nothing can be sent on, and
 * the relay sends the answer. Where there is no relay, the application is woken.
 */
#ifndef SLUICE_HANDOFF_BPF_H
#define SLUICE_HANDOFF_BPF_H

#include <bpf/bpf_core_read.h>

#include "conn.bpf.h"
#include "kernel.bpf.h"
#include "bytes.bpf.h"
#include "maps.bpf.h"

/*
 * Bytes in the ring buffer beyond which the relay is taken for stopped, where it is not needed. One
 * that has ended has no sink any more.
 */
#define RELAY_BACKLOG (1024 * 1024)

/* --- eating a buffer --------------------------------------------------------------------------- */

/* Whether somebody sleeps in recv() on the socket, or polls it. */
static __always_inline bool somebody_waits(struct tcp_sock *tcp)
{
	struct list_head *head = &((struct sock *)tcp)->sk_wq->wait.head;

	return head->next != head;
}

/* To be read by bpf_core_read() alone: it is gone when the socket is closed. */
static __always_inline const struct sk_psock *psock_of(const struct tcp_sock *tcp)
{
	unsigned long psock = (unsigned long)((const struct sock *)tcp)->sk_user_data;

	return (const struct sk_psock *)(psock & SK_USER_DATA_PTRMASK);
}

/*
 * Whether a buffer that was redirected to the connection is still with the kernel's worker. What is
 * passed meanwhile queues behind it, but the application is woken at once; what is delivered would come
 * before it (bpf/inject.bpf.c).
 */
static __always_inline bool is_underway(struct tcp_sock *tcp)
{
	__u32 buffers = 0;

	bpf_core_read(&buffers, sizeof(buffers), &psock_of(tcp)->ingress_skb.qlen);
	return buffers;
}

/*
 * Whether this buffer can and should be eaten in silence: somebody sleeps in recv() on the socket or
 * polls it, and this is the last buffer of its queue. A redirect that fails ends the kernel's round
 * through the queue, and what is behind would lie there unjudged until more arrives. The socket is
 * locked, so that nobody begins to sleep meanwhile.
 */
static __always_inline bool should_be_quiet(struct tcp_sock *tcp)
{
	return !((struct sock *)tcp)->sk_receive_queue.qlen && somebody_waits(tcp);
}

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

/* --- records ----------------------------------------------------------------------------------- */

/*
 * Give the relay a record that was reserved. Waking it costs more than all else that is done here: one that
 * is awake is not woken. It clears `awake` before it looks for the last time, and sees what is reserved by
 * then; `awake` is read behind the reservation, by an operation that nothing is moved across.
 */
static __always_inline void hand_in(void *record)
{
	__u32 zero = 0;
	struct injecting *relay = bpf_map_lookup_elem(&injecting, &zero);
	bool awake = relay && __sync_fetch_and_add(&relay->awake, 0);

	bpf_ringbuf_submit(record, awake ? BPF_RB_NO_WAKEUP : 0);
}

/*
 * Tell the relay something that goes without bytes. Returns false where it could not be told. A function of
 * its own, with what it needs of the stack: Linux 6.1 gives a program and what it calls 512 bytes in all.
 *
 * backlog	bytes that may be in the ring buffer already
 */
core_function bool tell_relay(const struct handoff *record, __u64 backlog)
{
	struct handoff *to;

	if (bpf_ringbuf_query(&handoff, BPF_RB_AVAIL_DATA) > backlog)
		return false;
	to = bpf_ringbuf_reserve(&handoff, sizeof(*to), 0);
	if (!to)
		return false;
	*to = *record;
	hand_in(to);
	return true;
}

/*
 * Hand the relay bytes of a buffer, behind a record of which all but the length is set.
 *
 * room		bytes that the record has room for: a constant, length or more
 *
 * Returns false where the relay does not get them.
 */
static __always_inline bool tell_bytes(const struct handoff *record, struct __sk_buff *skb,
				       __u32 at, __u32 length, const __u32 room)
{
	struct handoff *to = bpf_ringbuf_reserve(&handoff, sizeof(*to) + room, 0);

	if (!to)
		return false;
	*to = *record;
	to->length = length;
	if (load_bytes(skb, at, to + 1, length, room)) {
		bpf_ringbuf_discard(to, 0);
		return false;
	}
	hand_in(to);
	return true;
}

/*
 * Have the relay send conn->owed. It is under way from here on: the record's position is that behind the
 * answer. Returns false where the relay does not get to know.
 */
static __always_inline bool tell_reply(struct conn *conn, const struct tcp_sock *tcp, __u64 cookie)
{
	__u32 length = answer_length(&conn->owed);
	struct {
		struct handoff record;
		struct owed owed;
	} * to;

	if (!length || bpf_ringbuf_query(&handoff, BPF_RB_AVAIL_DATA) > RELAY_BACKLOG)
		return false;
	to = bpf_ringbuf_reserve(&handoff, sizeof(*to), 0);
	if (!to)
		return false;
	to->record = (struct handoff){ .cookie = cookie,
				       .kind = HANDOFF_REPLY,
				       .length = sizeof(to->owed),
				       .number = conn->turns };
	to->owed = conn->owed;
	conn->written = 1;
	core_store(conn->egress_seq, tcp->write_seq + length);
	core_barrier();
	core_store(conn->answering, ANSWERING_RELAY);
	hand_in(to);
	return true;
}

/* End the connection once nothing has come for quiet_ms milliseconds. */
static __always_inline bool tell_end(const struct conn *conn, __u64 cookie, __u32 quiet_ms)
{
	const struct handoff record = {
		.cookie = cookie,
		.kind = HANDOFF_END,
		.number = conn->turns,
		.quiet_ms = quiet_ms,
		.eaten = conn->eaten,
	};

	return tell_relay(&record, ~0ULL);
}

/* The answer is out: what had to wait for it can be judged. The relay tries by itself, too. */
static __always_inline void tell_turn(const struct conn *conn, __u64 cookie)
{
	const struct handoff record = { .cookie = cookie, .kind = HANDOFF_TURN };

	if (conn->handed & HANDED_UP)
		tell_relay(&record, ~0ULL);
}

#endif
