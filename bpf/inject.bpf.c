// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The relay's way back in: each datagram on its injector is bytes of a connection, or a struct
 * injection. Bytes are judged here as the verdict program would judge them. What is to be passed comes
 * out at the injector's other end, and the relay sends it on its deliverer, whose program gives it to
 * the application. What is refused turns into an answer. The gate's answers to what the verdict program
 * refused are sent on the deliverer, too, and go out to the client.
 *
 * The injector's program runs when the relay sends, without the connection's lock: see conn.bpf.h.
 *
 * Why twice: a datagram that is redirected to a connection is left to the kernel's worker, which queues
 * it and wakes the application without the socket's lock. An application that comes by between reads it,
 * sleeps in recv() again, and is woken for nothing: a blocking recv() is told EAGAIN then. And before
 * Linux 6.16 that worker reckons the socket's memory without the lock, too. What a TCP socket redirects
 * is queued under it (bpf_tcp_ingress()).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "handoff.bpf.h"
#include "judge.bpf.h"
#include "record.bpf.h"

/* Bytes left of a datagram that is sent out of a socket, in one piece; none of them leaves it. */
#define STUB 1

/* Tell the relay what becomes of the datagram, and the kernel the verdict. */
static __always_inline int report(struct injecting *to, enum injected result, __u32 number,
				  int verdict)
{
	to->result = result;
	to->number = number;
	return verdict;
}

/* Send a buffer out of the connection, where the message program replaces or refuses it. */
static __always_inline int send_stub(struct judgement *judged)
{
	if (bpf_skb_change_tail(judged->skb, STUB, 0))
		return SK_DROP;
	return bpf_sk_redirect_hash(judged->skb, &socks, &judged->cookie, 0);
}

static __always_inline int send_answer(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	if (conn->ingress == INGRESS_BODY)
		tell_end(conn, judged->cookie, DISCARD_QUIET_MS);
	conn->answering = ANSWERING_BUFFER;
	return send_stub(judged);
}

/*
 * Whether bytes cannot be delivered now: the application has so much to read that the kernel would take no
 * more from the client; or there is something with the kernel's worker, which may be bytes that were passed
 * before; or the application is at its socket this moment, and the relay, which is all connections', would
 * wait for it. Here they count as not judged, of which the guard lets only so much in.
 */
static __always_inline bool is_full(struct tcp_sock *tcp)
{
	struct sock *sk = (struct sock *)tcp;

	return sk->sk_backlog.rmem_alloc.counter > sk->sk_rcvbuf || is_underway(tcp) ||
	       sk->sk_lock.owned;
}

/* Out at the injector's other end, to be sent on the deliverer: that many bytes, for that connection. */
static __always_inline int pass(const struct judgement *judged, struct injecting *to)
{
	__u32 zero = 0;
	struct delivering *delivery = bpf_map_lookup_elem(&delivering, &zero);

	if (!delivery)
		return SK_DROP;
	delivery->cookie = judged->cookie;
	delivery->left = judged->skb->len;
	return report(to, INJECTED_PASS, 0, SK_PASS);
}

static __noinline int inject_bytes(struct judgement *judged, struct injecting *to)
{
	struct conn *conn = judged->conn;
	__u32 length, turns = conn->turns;
	enum step step;

	if (!are_eaten(conn) && is_full(judged->tcp))
		return report(to, INJECTED_WAIT, 0, SK_DROP);
	step = judge(judged);
	length = judged->skb->len; /* it has not changed */
	switch (step) {
	case STEP_MORE:
		conn->begun = to->bytes.number;
		return report(to, INJECTED_MORE, conn->gate.head_limit, SK_DROP);
	case STEP_WAIT:
		return report(to, INJECTED_WAIT, 0, SK_DROP);
	case STEP_PART:
		return report(to, INJECTED_PART, judged->taken, SK_DROP);
	case STEP_END:
		tell_end(conn, judged->cookie, 0);
		return report(to, INJECTED_GONE, 0, SK_DROP);
	case STEP_PASS:
		conn->judged += length;
		if (conn->turns != turns)
			count(COUNTER_ADMITTED_SLOW);
		return pass(judged, to);
	default: /* STEP_EAT, STEP_ANSWER */
		conn->judged += length;
		conn->eaten += length;
		return report(to, INJECTED_TAKEN, 0,
			      step == STEP_ANSWER ? send_answer(judged) : SK_DROP);
	}
}

/*
 * Back to the fast path, unless more was handed up meanwhile, or an answer is still with the kernel's
 * worker, so that the next buffer would be handed up again.
 */
static __always_inline int release(struct judgement *judged, __u32 handed, struct injecting *to)
{
	bool released = !is_underway(judged->tcp) &&
			core_swap(&judged->conn->handed, HANDED_UP | handed, 0);

	return report(to, released ? INJECTED_TAKEN : INJECTED_WAIT, 0, SK_DROP);
}

/*
 * End the connection: what the message program is sent, it refuses, and the kernel hands the socket
 * an error. Not while the kernel has not taken all of an answer; nor for a body that goes on, nor
 * where a client still sends and may not have read its answer. A function of its own for its frame, as
 * there is little stack: see sluice_inject().
 */
static __noinline int end_quiet(struct judgement *judged, const struct injection *injection,
				struct injecting *to)
{
	struct conn *conn = judged->conn;
	bool unread = conn->ingress == INGRESS_CLOSED ||
		      (conn->ingress == INGRESS_BODY && conn->body.refused);
	__u32 eaten = conn->eaten;

	if (!injection->force && !conn->closing && (conn->turns != injection->number || !unread))
		return report(to, INJECTED_TAKEN, 0, SK_DROP);
	if (is_unread(conn, judged->tcp) || is_answering(conn, judged->tcp) ||
	    (!injection->force && eaten != injection->eaten))
		return report(to, INJECTED_WAIT, eaten, SK_DROP);
	conn->closing = CLOSING_SENT;
	return report(to, INJECTED_TAKEN, 0, send_stub(judged));
}

/* The answer that ends the connection goes out, unless a relay before this one has seen to that. */
static __always_inline int send_last(struct judgement *judged, struct injecting *to)
{
	return report(to, INJECTED_TAKEN, 0,
		      judged->conn->answering == ANSWERING_BUFFER ? send_stub(judged) : SK_DROP);
}

/*
 * The relay could not send an answer: the message program does. Of one that was begun a part may be out,
 * behind which nothing can follow. Nothing else is written meanwhile.
 */
static __always_inline int lose(struct judgement *judged, const struct injection *injection,
				struct injecting *to)
{
	struct conn *conn = judged->conn;

	if (conn->turns != injection->number)
		return report(to, INJECTED_TAKEN, 0, SK_DROP);
	if (conn->answering == ANSWERING_RELAY) {
		conn->answering = ANSWERING_BACK;
	} else if (conn->answering == ANSWERING_SENT && is_unread(conn, judged->tcp)) {
		conn->egress_seq = judged->tcp->write_seq;
		conn->answering = ANSWERING_NOT;
		end(judged);
	} else {
		return report(to, INJECTED_TAKEN, 0, SK_DROP);
	}
	return report(to, INJECTED_TAKEN, 0, send_stub(judged));
}

static __always_inline int inject(struct judgement *judged, enum injection_kind kind,
				  struct injecting *to)
{
	const struct injection *injection = &to->bytes;

	switch (kind) {
	case INJECT_ANSWER:
		return send_last(judged, to);
	case INJECT_LOST:
		return lose(judged, injection, to);
	case INJECT_BYTES:
		return inject_bytes(judged, to);
	case INJECT_MORE:
		judged->conn->begun = injection->number;
		return report(to, INJECTED_TAKEN, 0, SK_DROP);
	case INJECT_RELEASE:
		return release(judged, injection->number, to);
	case INJECT_END:
		return end_quiet(judged, injection, to);
	default:
		return SK_DROP;
	}
}

SEC("sk_skb")
int sluice_inject(struct __sk_buff *skb)
{
	struct judgement judged = { .skb = skb };
	struct injecting *to;
	enum injection_kind kind;
	struct bpf_sock *sk;
	int verdict = SK_DROP;
	__u32 zero = 0;

	to = bpf_map_lookup_elem(&injecting, &zero);
	if (!to)
		return SK_DROP;
	/* No copy of it, as there is little stack: Linux 6.1 counts each frame as 32 bytes and more. */
	if (!to->bytes.kind && bpf_skb_load_bytes(skb, 0, &to->bytes, sizeof(to->bytes)))
		return SK_DROP;
	judged.cookie = to->bytes.cookie;
	kind = to->bytes.kind;
	/* It is about this datagram, not about the next. */
	to->bytes.kind = 0;
	if (kind == INJECT_SINK)
		return bpf_sk_redirect_hash(skb, &sink, &judged.cookie, 0);
	judged.conn = enter_record(&judged.cookie);
	sk = bpf_map_lookup_elem(&socks, &judged.cookie);
	if (sk) {
		judged.tcp = bpf_skc_to_tcp_sock(sk);
		if (judged.conn && judged.tcp)
			verdict = inject(&judged, kind, to);
		bpf_sk_release(sk);
	}
	leave_record(&judged.cookie);
	return verdict;
}

/*
 * Whether a system call has the socket that the message is redirected to. It may sleep amid that, for a
 * page of its memory or for its share of a processor, and the relay, which is all connections', with it.
 */
static __always_inline bool is_held_up(struct sk_msg_md *msg)
{
	struct sock *sk = NULL;
	int owned = 1;

	bpf_core_read(&sk, sizeof(sk), &((struct sk_msg *)msg)->sk_redir);
	bpf_core_read(&owned, sizeof(owned), &sk->sk_lock.owned);
	return owned;
}

/*
 * The relay's answer goes out of the connection that is owed it. In one piece: a second would be a segment
 * of its own, which waits until the client has acknowledged the first (RFC 1122 4.2.3.4). Sent twice, by a
 * relay that was killed and by the next one, the second answer goes nowhere.
 */
static __always_inline bool send_reply(struct sk_msg_md *msg, const struct injecting *relay)
{
	__u64 cookie = relay->reply_to;
	struct conn *conn = enter_record(&cookie);
	bool sent = conn && !conn->closing && conn->answering == ANSWERING_RELAY &&
		    conn->turns == relay->reply_turns && msg->size == answer_length(&conn->owed) &&
		    !bpf_msg_pull_data(msg, 0, msg->size, 0) &&
		    bpf_msg_redirect_hash(msg, &socks, &cookie, 0) == SK_PASS && !is_held_up(msg);

	if (sent)
		conn->answering = ANSWERING_SENT;
	leave_record(&cookie);
	return sent;
}

/* As many bytes as were judged last, for that application. They may come in several messages. */
static __always_inline bool deliver(struct sk_msg_md *msg)
{
	__u32 zero = 0, size = msg->size;
	struct delivering *delivery = bpf_map_lookup_elem(&delivering, &zero);

	if (!delivery || size > delivery->left)
		return false;
	delivery->left -= size;
	return bpf_msg_redirect_hash(msg, &socks, &delivery->cookie, BPF_F_INGRESS) == SK_PASS;
}

/*
 * What the relay sends on its deliverer. There is nobody to give anything else to.
 *
 * A message for a connection that has ended must fail by itself. Once one was dropped, the kernel drops
 * all that is sent on that socket from then on; what the sink does not take fails with EPIPE, alone.
 */
SEC("sk_msg")
int sluice_deliver(struct sk_msg_md *msg)
{
	__u32 zero = 0;
	struct injecting *relay = bpf_map_lookup_elem(&injecting, &zero);
	__u64 the_sink = 0;

	if (relay && (relay->reply_to ? send_reply(msg, relay) : deliver(msg)))
		return SK_PASS;
	return bpf_msg_redirect_hash(msg, &sink, &the_sink, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
