// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The verdict program: each buffer that reaches a gated socket is passed to the application,
 * answered, eaten, or handed to the relay.
 *
 * A buffer is judged as a whole and keeps its length, because the kernel counts it as read by the
 * length the program leaves it with. A refused one is eaten, and the relay sends the answer; where the
 * application does not wait for it, it is sent back out of its own socket, and the message program
 * (answer.bpf.c) puts the answer in its place. One that holds less than a request's head, or more than
 * one request, goes to the relay, and what comes behind it follows, until the relay has given back all of
 * it (inject.bpf.c).
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "address.bpf.h"
#include "core.h"
#include "handoff.bpf.h"
#include "judge.bpf.h"

/* A buffer up to here is copied into one piece to be sent back out; a larger one goes to the relay. */
#define TURN_ROUND_MAX 16384

#define CUT_MAX 4095 /* bytes that bpf_skb_adjust_room() takes at once */

/* --- ends of a verdict --------------------------------------------------------------------------- */

static __always_inline int eat_all(struct judgement *judged)
{
	judged->conn->eaten += judged->skb->len;
	return eat(judged->skb, judged->tcp);
}

/*
 * End the connection, without an answer: by the relay, or else by this buffer, which the message
 * program refuses.
 */
static __noinline int end_connection(struct judgement *judged)
{
	if (tell_end(judged->conn, judged->cookie, 0) || is_unread(judged->conn, judged->tcp))
		return eat_all(judged);
	return bpf_sk_redirect_hash(judged->skb, &socks, &judged->cookie, 0);
}

/* --- bytes that came before ---------------------------------------------------------------------- */

struct cutting {
	struct __sk_buff *skb;
	__u32 left;
};

/* Cut off some bytes in front; a callback of bpf_loop(). */
static long cut_some(__u32 index, struct cutting *cutting)
{
	__u32 some = cutting->left < CUT_MAX ? cutting->left : CUT_MAX;

	if (!some || bpf_skb_adjust_room(cutting->skb, -(__s32)some, 0, 0))
		return 1;
	cutting->left -= some;
	return 0;
}

/*
 * A client that sends again may join what came before with what is new, in one segment. TCP queues
 * that as it is, and skips what was read when the application reads; a verdict program gets all of it,
 * and would have a request executed twice. Cut off what came before.
 *
 * Returns false where that fails; or where bytes are missing before the buffer: the application has
 * read them without a verdict, and what follows would be judged as what it is not.
 *
 * ret_next	sequence number behind the buffer, or where more was judged already, behind that
 */
static __noinline bool cut_repeated(struct __sk_buff *skb, const struct conn *conn, __u32 *ret_next)
{
	const struct tcp_skb_cb *control = (void *)((struct sk_buff *)skb)->cb;
	struct cutting cutting = { .skb = skb };
	__u32 seq, length = skb->len;
	__s32 repeated;

	if (bpf_probe_read_kernel(&seq, sizeof(seq), &control->seq))
		return false;
	repeated = conn->next_seq - seq;
	if ((__s32)(seq + length - conn->next_seq) > 0)
		*ret_next = seq + length;
	if (repeated < 0)
		count(COUNTER_READ_UNJUDGED);
	if (repeated <= 0)
		return !repeated;
	cutting.left = (__u32)repeated < length ? repeated : length;
	bpf_loop(cutting.left / CUT_MAX + 1, cut_some, &cutting, 0);
	return !cutting.left;
}

/* --- to the relay ------------------------------------------------------------------------------ */

struct handing {
	struct __sk_buff *skb;
	__u64 cookie;
	__u32 first; /* number of the buffer's first byte */
	__u32 at;
	__u32 length; /* of the buffer */
	__u32 failed;
};

/* Hand up some of the buffer; a callback of bpf_loop(). */
static long hand_some(__u32 index, struct handing *handing)
{
	struct handoff record = { .cookie = handing->cookie, .kind = HANDOFF_BYTES };
	__u32 left = handing->length - handing->at;
	bool done;

	record.number = handing->first + handing->at;
	if (left <= HANDOFF_SMALL)
		done = tell_bytes(&record, handing->skb, handing->at, left, HANDOFF_SMALL);
	else
		done = tell_bytes(&record, handing->skb, handing->at,
				  left < HANDOFF_LARGE ? left : HANDOFF_LARGE, HANDOFF_LARGE);
	handing->failed = !done;
	handing->at += left < HANDOFF_LARGE ? left : HANDOFF_LARGE;
	return !done || handing->at >= handing->length;
}

/*
 * Hand a buffer's bytes to the relay.
 *
 * first	how many were handed up before
 *
 * Returns false where the relay does not have them all, and never will.
 */
static __noinline bool hand_bytes(struct __sk_buff *skb, __u64 cookie, __u32 first)
{
	struct handing handing = {
		.skb = skb, .cookie = cookie, .first = first, .length = skb->len
	};

	bpf_loop(handing.length / HANDOFF_LARGE + 2, hand_some, &handing, 0);
	return !handing.failed && handing.at >= handing.length;
}

/* Hand the buffer to the relay. What is not judged is not passed, whatever happens to it there. */
static __noinline int hand_up(struct judgement *judged, __u32 first)
{
	count(COUNTER_HANDED_UP);
	if (hand_bytes(judged->skb, judged->cookie, first))
		return eat(judged->skb, judged->tcp);
	end(judged);
	return end_connection(judged);
}

/*
 * While bytes are with the relay, all that follow go there, too. Returns false where none are: they
 * may have been given back this moment.
 */
static __always_inline bool follows(struct judgement *judged, __u32 *ret_first)
{
	struct conn *conn = judged->conn;
	__u64 handed = core_load(conn->handed);

	if (!(handed & HANDED_UP))
		return false;
	*ret_first = handed;
	return core_swap(&conn->handed, handed,
			 HANDED_UP | (__u32)((__u32)handed + judged->skb->len));
}

/*
 * What cannot be judged yet, and maybe nothing to send: should the application be in its first recv(), the
 * socket would stay as hide_eaten() must not leave it (enrol.bpf.c), for as long as that takes. Have TCP
 * send an acknowledgement, once that recv() is over.
 */
static __noinline void provoke(struct judgement *judged)
{
	const struct sock_common *sk = &((struct sock *)judged->tcp)->__sk_common;
	struct {
		struct handoff record;
		struct probe probe;
	} * to;

	if (judged->conn->turns || !((struct sock *)judged->tcp)->sk_lock.owned)
		return;
	to = bpf_ringbuf_reserve(&handoff, sizeof(*to), 0);
	if (!to)
		return;
	to->record = (struct handoff){ .cookie = judged->cookie,
				       .kind = HANDOFF_PROBE,
				       .length = sizeof(to->probe) };
	read_client(sk, to->probe.client);
	read_server(sk, to->probe.server);
	to->probe.client_port = sk->skc_dport;
	to->probe.server_port = bpf_htons(sk->skc_num);
	/* Before the first byte: whether or not the rest was acknowledged, this is old. */
	to->probe.seq = judged->conn->next_seq - 1;
	to->probe.ack = judged->tcp->snd_nxt;
	hand_in(to);
}

static __noinline int begin_handing_up(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	provoke(judged);
	conn->judged = 0;
	conn->begun = 0;
	core_store(conn->handed, HANDED_UP | judged->skb->len);
	return hand_up(judged, 0);
}

/* --- answers ------------------------------------------------------------------------------------- */

/* Send what is owed in the place of this buffer, by the relay where that can be. */
static __noinline int answer(struct judgement *judged)
{
	struct __sk_buff *skb = judged->skb;
	struct conn *conn = judged->conn;
	const struct handoff record = { .cookie = judged->cookie, .kind = HANDOFF_ANSWER };
	bool large = skb->len > TURN_ROUND_MAX, quiet = large || should_be_quiet(judged->tcp);

	conn->answering = ANSWERING_BUFFER;
	if (quiet && sink_takes(skb) &&
	    (conn->closing ? tell_relay(&record, RELAY_BACKLOG)
			   : tell_reply(conn, judged->tcp, judged->cookie)))
		return eat(skb, judged->tcp);
	/* Each fragment would be sent as a message of its own, so there must be but one. */
	if (!large && !bpf_skb_pull_data(skb, skb->len))
		return bpf_sk_redirect_hash(skb, &socks, &judged->cookie, 0);
	conn->answering = ANSWERING_NOT;
	end(judged);
	return end_connection(judged);
}

/* The answer goes out now; a body that never comes must not hold the connection for ever. */
static __noinline int answer_refused(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	conn->eaten += judged->skb->len;
	if (conn->ingress == INGRESS_BODY)
		tell_end(conn, judged->cookie, DISCARD_QUIET_MS);
	return answer(judged);
}

/* The bytes are new: what becomes of them. */
static __always_inline int judge_buffer(struct judgement *judged)
{
	__u32 first = 0;

	if (follows(judged, &first))
		return hand_up(judged, first);
	if (is_underway(judged->tcp) && !are_eaten(judged->conn))
		return begin_handing_up(judged);
	switch (judge(judged)) {
	case STEP_PASS:
		return SK_PASS;
	case STEP_EAT:
		return eat_all(judged);
	case STEP_ANSWER:
		return answer_refused(judged);
	case STEP_END:
		return end_connection(judged);
	default: /* STEP_MORE, STEP_WAIT, STEP_PART */
		return begin_handing_up(judged);
	}
}

SEC("sk_skb")
int sluice_verdict(struct __sk_buff *skb)
{
	struct judgement judged = { .skb = skb, .cookie = bpf_get_socket_cookie(skb) };
	struct bpf_sock *sk = skb->sk;
	__u32 next;
	int verdict;

	judged.conn = bpf_map_lookup_elem(&conns, &judged.cookie);
	judged.tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	/* Its record is gone: the socket is closing, and nobody will read this. */
	if (!judged.conn || !judged.tcp)
		return SK_DROP;
	next = judged.conn->next_seq;
	if (!cut_repeated(skb, judged.conn, &next)) {
		end(&judged);
		return end_connection(&judged);
	}
	/* The end of the client's stream. */
	if (!skb->len)
		return SK_PASS;
	verdict = judge_buffer(&judged);
	/* Last: the guard takes what is before it for judged, and looks without the socket's lock. */
	core_barrier();
	core_store(judged.conn->next_seq, next);
	return verdict;
}

/* Attached to the sockhash and copied into every socket; what it calls can be replaced. */
SEC("sk_skb")
int sluice_ingress(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &verdict_program, 0);
	/* No program to judge with: what is not judged is not passed. */
	return SK_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
