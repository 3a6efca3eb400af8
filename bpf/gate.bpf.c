// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What comes in on a gated socket: each buffer is passed to the application, answered, or eaten.
 *
 * A buffer is judged as a whole and keeps its length, because the kernel counts it as read by the
 * length the program leaves it with. A refused one is sent back out of its own socket, where the
 * message program (answer.bpf.c) puts the answer in its place.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "decide.h"
#include "follow.bpf.h"
#include "maps.bpf.h"
#include "quiet.bpf.h"
#include "read.bpf.h"

/* A refused request's body is eaten up to here; beyond, closing costs less than reading on. */
#define DISCARD_MAX (1024 * 1024)

#define EMPTY_LINE  2 /* bytes that may come before a head */
#define TOO_LARGE   1 /* byte behind the largest head, which tells it from a larger one */
#define BLANKS_SIZE 64

static const char blanks[BLANKS_SIZE] = "                                "
					"                                ";
/* Takes the place of a client's own X-Key-Id, which is as long. */
static const char foreign_name[] = "X-Unused";
#define FOREIGN_NAME_LENGTH (sizeof(foreign_name) - 1)

/* The largest buffer that surely goes out as one message: 17 fragments of one page or more. */
#define MESSAGE_MAX 65536

/* One buffer under judgement. */
struct judgement {
	struct __sk_buff *skb;
	struct conn *conn;
	struct tcp_sock *tcp;
	__u64 cookie;
	struct decision decision;
};

/* --- ends of a verdict ----------------------------------------------------------------------- */

/* Eat the buffer. Nothing after it can be judged, so nothing after it is passed. */
static __always_inline int discard(struct judgement *judged)
{
	judged->conn->ingress = INGRESS_CLOSED;
	count(COUNTER_DISCARDED);
	return eat(judged->skb, judged->tcp);
}

/* Note what is owed to the client. */
static __always_inline void owe(struct judgement *judged, enum reply_connection connection)
{
	const struct decision *decision = &judged->decision;
	struct owed *owed = &judged->conn->owed;

	owed->reply = decision->reply * REPLY_CONNECTIONS + connection;
	owed->head_only = judged->conn->head.is_head_method;
	owed->reset_minute = decision->reset_ms / LIMIT_MINUTE_MS;
}

/*
 * Answer, and end the connection; behind the application's answer where one is running. Where an
 * answer of the gate's own is on its way, that one ends it.
 */
static __noinline int refuse_and_close(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	conn->ingress = INGRESS_CLOSED;
	conn->closing = CLOSING_DUE;
	if (conn->answering) {
		conn->owed.reply += REPLY_CLOSE - conn->owed.reply % REPLY_CONNECTIONS;
		return eat(judged->skb, judged->tcp);
	}
	owe(judged, REPLY_CLOSE);
	if (answer_running(conn, judged->tcp))
		return eat(judged->skb, judged->tcp);
	conn->answering = 1;
	if (eat_for_relay(judged->skb, judged->tcp, judged->cookie))
		return SK_PASS;
	/* In fragments, the first is answered and ends the connection; what follows is dropped. */
	return bpf_sk_redirect_hash(judged->skb, &socks, &judged->cookie, 0);
}

/* Answer with what is owed, and go on with the connection; end it where that cannot be done. */
static __noinline int answer(struct judgement *judged)
{
	struct __sk_buff *skb = judged->skb;
	struct conn *conn = judged->conn;
	int verdict = SK_PASS;

	if (!eat_for_relay(skb, judged->tcp, judged->cookie)) {
		/* Each fragment would be sent as a message of its own, so there must be but one. */
		if (skb->len > MESSAGE_MAX || bpf_skb_pull_data(skb, skb->len))
			return refuse_and_close(judged);
		verdict = bpf_sk_redirect_hash(skb, &socks, &judged->cookie, 0);
	}
	conn->ingress = INGRESS_HEAD;
	conn->answering = 1;
	return verdict;
}

/*
 * Refuse a request, and go on with the connection. Its answer goes out behind the last byte of its
 * body: a client that has both sends its next request, which then cannot share a buffer with what is
 * to be eaten.
 */
static __noinline int refuse(struct judgement *judged)
{
	struct conn *conn = judged->conn;
	__u64 body_left = conn->head.length + conn->head.content_length - judged->skb->len;

	if (!conn->head.persistent || body_left > DISCARD_MAX)
		return refuse_and_close(judged);
	owe(judged, conn->head.minor ? REPLY_IMPLICIT : REPLY_KEEP_ALIVE);
	if (!body_left)
		return answer(judged);
	conn->ingress_left = body_left;
	conn->ingress = INGRESS_DISCARD;
	return eat(judged->skb, judged->tcp);
}

/* More of a refused request's body. */
static __noinline int discard_body(struct judgement *judged)
{
	struct conn *conn = judged->conn;
	__u32 length = judged->skb->len;

	judged->decision.reply = conn->owed.reply / REPLY_CONNECTIONS;
	judged->decision.reset_ms = conn->owed.reset_minute * LIMIT_MINUTE_MS;
	/* A next request in the same buffer came before its turn. */
	if (length > conn->ingress_left)
		return refuse_and_close(judged);
	conn->ingress_left -= length;
	return conn->ingress_left ? eat(judged->skb, judged->tcp) : answer(judged);
}

/* --- what the application is to see ------------------------------------------------------------ */

struct blanking {
	struct __sk_buff *skb;
	__u32 at;
	__u32 end;
	long error;
};

/* Blank up to BLANKS_SIZE bytes; a callback of bpf_loop(). */
static long blank_some(__u32 index, struct blanking *blanking)
{
	__u32 at = blanking->at, left = 0;

	if (at < blanking->end)
		left = blanking->end - at;
	if (left > BLANKS_SIZE)
		left = BLANKS_SIZE;
	/* The compiler knows where left can be 0; the verifier has to see it. */
	asm volatile("" : "+r"(left));
	if (!left)
		return 1;
	blanking->error = bpf_skb_store_bytes(blanking->skb, at, blanks, left, 0);
	blanking->at += left;
	return blanking->error != 0;
}

/* Write spaces from at up to end. Returns 0 or an error. */
static __noinline long blank(struct __sk_buff *skb, __u32 at, __u32 end)
{
	struct blanking blanking = { .skb = skb, .at = at, .end = end };

	bpf_loop(READ_HEAD_MAX / BLANKS_SIZE, blank_some, &blanking, 0);
	return blanking.error;
}

/*
 * Put who the client is in the place of the secret, at equal length, and take away what the client
 * itself said of it. The buffer is the connection's own and writable since it was pulled into one
 * piece, so that none of this fails; if it did, nothing may be passed.
 */
static __noinline long write_identity(struct __sk_buff *skb, struct conn *conn)
{
	const struct http_head *head = &conn->head;
	__u32 at = head->authorization.at;

	for (int i = 0; i < HTTP_FOREIGN_MAX && i < head->foreign_identities; i++) {
		const struct http_span *line = &head->foreign_identity[i];

		if (bpf_skb_store_bytes(skb, line->at, foreign_name, FOREIGN_NAME_LENGTH, 0) ||
		    blank(skb, line->at + FOREIGN_NAME_LENGTH + 1, line->at + line->length))
			return -1;
	}
	if (conn->gate.keep_identity)
		return 0;
	if (head->authorization.length < IDENTITY_SIZE)
		return -1;
	if (bpf_skb_store_bytes(skb, at, conn->grant.identity, IDENTITY_SIZE, 0))
		return -1;
	return blank(skb, at + IDENTITY_SIZE, at + head->authorization.length);
}

/* --- the verdict ----------------------------------------------------------------------------- */

/* The gate itself is at fault: neither pass nor blame the client. */
static __always_inline bool unable(struct decision *decision)
{
	decision->busy = true;
	return false;
}

/* Judge the credential and count the request. Returns whether it is admitted. */
static __noinline bool judge_key(struct judgement *judged)
{
	const struct http_span *credential = &judged->conn->head.credential;
	struct decision *decision = &judged->decision;
	struct grant *grant = &judged->conn->grant;
	__u32 zero = 0, length = credential->length;
	const struct settings *set = bpf_map_lookup_elem(&settings, &zero);
	struct key_digest digest;
	struct token token = {};
	__u64 now_ms;

	if (!set)
		return unable(decision);
	if (length - 1 >= sizeof(token.text) - 1)
		return decide_refuse(decision, REPLY_INVALID_KEY);
	if (bpf_skb_load_bytes(judged->skb, credential->at, token.text, length))
		return unable(decision);
	if (!decide_token(&token, length, set, &digest, decision))
		return false;
	now_ms = realtime_ms(set);
	if (!decide_key(bpf_map_lookup_elem(&keys, &digest), &digest, now_ms, grant, decision))
		return false;
	return decide_usage(bpf_map_lookup_elem(&usage, &grant->slot), grant, now_ms, decision);
}

/*
 * Whether this buffer holds exactly what the fast path can judge: one request whose head is whole,
 * and no byte of a next one.
 */
static __always_inline bool is_regular(const struct __sk_buff *skb, const struct http_head *head)
{
	return !head->chunked && !head->expect_continue && !head->upgrade &&
	       skb->len <= head->length + head->content_length;
}

/* Counted, and passed with what the application may see. */
static __always_inline int admit(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	if (write_identity(judged->skb, conn))
		return discard(judged);
	conn->ingress_left = conn->head.length + conn->head.content_length - judged->skb->len;
	conn->ingress = conn->ingress_left ? INGRESS_BODY : INGRESS_HEAD;
	conn->answer_due = 1;
	conn->remaining = judged->decision.remaining;
	conn->reset_ms = judged->decision.reset_ms;
	response_begin(&conn->response, conn->head.is_head_method);
	count(COUNTER_ADMITTED);
	return SK_PASS;
}

static __always_inline enum counter refusal_counter(enum reply reply)
{
	return COUNTER_REFUSED_NO_KEY + (reply - REPLY_NO_KEY);
}

/* A request head begins with this buffer. */
static __always_inline int judge_request(struct judgement *judged)
{
	struct __sk_buff *skb = judged->skb;
	struct conn *conn = judged->conn;
	struct http_head *head = &conn->head;
	struct decision *decision = &judged->decision;
	__u32 head_max = conn->gate.head_limit + EMPTY_LINE + TOO_LARGE;

	if (bpf_skb_pull_data(skb, skb->len < head_max ? skb->len : head_max))
		return discard(judged);
	http_head_begin(head, conn->gate.head_limit);
	/* The application may have written what nobody asked for: then nothing can follow. */
	if (answer_running(conn, judged->tcp) || conn->answering ||
	    conn->ingress == INGRESS_CLOSED) {
		/* One request at a time: what comes before the answer is out is not judged. */
		decide_refuse(decision, REPLY_BAD_REQUEST);
		goto out_close;
	}
	if (!decide_head(read_head(skb, head), head, decision)) {
		if (decision->reply != REPLY_NO_KEY && decision->reply != REPLY_INVALID_KEY)
			goto out_close;
		if (is_regular(skb, head))
			goto out_refuse;
	}
	if (!is_regular(skb, head)) {
		decide_refuse(decision, REPLY_BAD_REQUEST);
		goto out_close;
	}
	if (judge_key(judged))
		return admit(judged);
	if (decision->busy)
		return discard(judged);
out_refuse:
	count(refusal_counter(decision->reply));
	return refuse(judged);
out_close:
	count(refusal_counter(decision->reply));
	return refuse_and_close(judged);
}

/* More of an admitted request's body. */
static __always_inline int pass_body(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	/* A next request in the same buffer came before its turn, and cannot be taken out of it. */
	if (judged->skb->len > conn->ingress_left) {
		decide_refuse(&judged->decision, REPLY_BAD_REQUEST);
		count(COUNTER_REFUSED_BAD_REQUEST);
		return refuse_and_close(judged);
	}
	conn->ingress_left -= judged->skb->len;
	if (!conn->ingress_left)
		conn->ingress = INGRESS_HEAD;
	return SK_PASS;
}

SEC("sk_skb")
int sluice_verdict(struct __sk_buff *skb)
{
	struct judgement judged = { .skb = skb, .cookie = bpf_get_socket_cookie(skb) };
	struct bpf_sock *sk = skb->sk;

	judged.conn = bpf_map_lookup_elem(&conns, &judged.cookie);
	judged.tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	/* Its record is gone: the socket is closing, and nobody will read this. */
	if (!judged.conn || !judged.tcp)
		return SK_DROP;
	/* The end of the client's stream. */
	if (!skb->len)
		return SK_PASS;
	switch (judged.conn->ingress) {
	case INGRESS_HEAD:
		return judge_request(&judged);
	case INGRESS_BODY:
		return pass_body(&judged);
	case INGRESS_DISCARD:
		return discard_body(&judged);
	default:
		return discard(&judged);
	}
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
