// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The relay's way back in: each datagram on its injector is bytes of a connection, where there are
 * any, and a struct injection. Bytes are judged here as the verdict program would judge them, and go
 * on to the application, or turn into an answer; the relay is told how many are dealt with.
 *
 * It runs when the relay sends, without the connection's lock: see conn.bpf.h.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "handoff.bpf.h"
#include "judge.bpf.h"

/* Bytes of a refused request that are left to be sent back out; none of them is. */
#define STUB 1

static __always_inline int report(enum injected_result result, __u32 number, int verdict)
{
	__u32 zero = 0;
	struct injected *to = bpf_map_lookup_elem(&injected, &zero);

	if (to)
		*to = (struct injected){ result, number };
	return verdict;
}

/* Redirect the first `length` bytes of the datagram. A connection that has ended is not found. */
static __always_inline int redirect(struct __sk_buff *skb, __u64 cookie, __u32 length, __u64 flags)
{
	if (skb->len != length && bpf_skb_change_tail(skb, length, 0))
		return SK_DROP;
	return bpf_sk_redirect_hash(skb, &socks, &cookie, flags);
}

/* Have the message program send what is owed. */
static __always_inline int send_answer(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	if (conn->ingress == INGRESS_BODY)
		tell_end(conn, judged->cookie, DISCARD_QUIET_MS);
	conn->answering = 1;
	return redirect(judged->skb, judged->cookie, STUB, 0);
}

static __noinline int inject_bytes(struct judgement *judged, __u32 number)
{
	struct conn *conn = judged->conn;
	__u32 turns = conn->turns;
	enum step step = judge(judged);
	__u32 taken = judged->taken;

	switch (step) {
	case STEP_MORE:
		conn->begun = number;
		return report(INJECTED_MORE, conn->gate.head_limit, SK_DROP);
	case STEP_END:
		tell_end(conn, judged->cookie, 0);
		return report(INJECTED_GONE, 0, SK_DROP);
	case STEP_PASS:
		conn->judged += taken;
		if (conn->turns != turns)
			count(COUNTER_ADMITTED_SLOW);
		return report(INJECTED_TAKEN, taken,
			      redirect(judged->skb, judged->cookie, taken, BPF_F_INGRESS));
	case STEP_EAT:
		conn->judged += taken;
		conn->eaten += taken;
		return report(INJECTED_TAKEN, taken, SK_DROP);
	case STEP_ANSWER:
		conn->judged += taken;
		conn->eaten += taken;
		return report(INJECTED_TAKEN, taken, send_answer(judged));
	default: /* STEP_WAIT; STEP_PART does not come */
		return report(INJECTED_WAIT, 0, SK_DROP);
	}
}

/*
 * Back to the fast path, unless more was handed up meanwhile. All that the relay had is queued on
 * the connection by now, and what the verdict program passes queues behind it.
 */
static __always_inline int release(struct conn *conn, __u32 handed)
{
	bool released = core_swap(&conn->handed, HANDED_UP | handed, 0);

	return report(released ? INJECTED_DONE : INJECTED_WAIT, 0, SK_DROP);
}

/*
 * End the connection: what the message program is sent, it refuses, and the kernel hands the socket
 * an error. Not while the kernel has not taken all of an answer; nor for a body that goes on, nor
 * where a client still sends and may not have read its answer.
 */
static __always_inline int end_quiet(struct judgement *judged, const struct injection *injection)
{
	struct conn *conn = judged->conn;
	bool refused_body = conn->ingress == INGRESS_BODY && conn->body.refused;
	__u32 eaten = conn->eaten;

	if (!injection->force && !conn->closing &&
	    (conn->turns != injection->number || !refused_body))
		return report(INJECTED_DONE, 0, SK_DROP);
	if (is_unread(conn, judged->tcp) || conn->answering ||
	    (!injection->force && eaten != injection->eaten))
		return report(INJECTED_WAIT, eaten, SK_DROP);
	conn->closing = CLOSING_SENT;
	return report(INJECTED_DONE, 0, redirect(judged->skb, judged->cookie, STUB, 0));
}

static __always_inline int inject(struct judgement *judged, const struct injection *injection)
{
	switch (injection->kind) {
	case INJECT_ANSWER:
		return redirect(judged->skb, judged->cookie, STUB, 0);
	case INJECT_BYTES:
		return inject_bytes(judged, injection->number);
	case INJECT_MORE:
		judged->conn->begun = injection->number;
		return report(INJECTED_DONE, 0, SK_DROP);
	case INJECT_RELEASE:
		return release(judged->conn, injection->number);
	case INJECT_END:
		return end_quiet(judged, injection);
	default:
		return SK_DROP;
	}
}

SEC("sk_skb")
int sluice_inject(struct __sk_buff *skb)
{
	struct judgement judged = { .skb = skb };
	struct injection injection;
	struct bpf_sock *sk;
	__u32 length = skb->len - sizeof(injection);
	int verdict = SK_DROP;

	report(INJECTED_GONE, 0, SK_DROP);
	if (skb->len <= sizeof(injection) ||
	    bpf_skb_load_bytes(skb, length, &injection, sizeof(injection)) ||
	    bpf_skb_change_tail(skb, length, 0))
		return SK_DROP;
	judged.cookie = injection.cookie;
	if (injection.kind == INJECT_SINK)
		return bpf_sk_redirect_hash(skb, &sink, &judged.cookie, 0);
	judged.conn = bpf_map_lookup_elem(&conns, &judged.cookie);
	sk = bpf_map_lookup_elem(&socks, &judged.cookie);
	if (!sk)
		return SK_DROP;
	judged.tcp = bpf_skc_to_tcp_sock(sk);
	if (judged.conn && judged.tcp)
		verdict = inject(&judged, &injection);
	bpf_sk_release(sk);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
