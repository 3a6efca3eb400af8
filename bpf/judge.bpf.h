/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The judgement of what comes from a client: the same for a buffer as TCP delivers it (gate.bpf.c)
 * and for bytes that the relay had kept (inject.bpf.c).
 */
#ifndef SLUICE_JUDGE_BPF_H
#define SLUICE_JUDGE_BPF_H

#include "decide.h"
#include "follow.bpf.h"
#include "guesses.bpf.h"
#include "handoff.bpf.h"
#include "identity.bpf.h"
#include "maps.bpf.h"
#include "read.bpf.h"
#include "refusals.bpf.h"
#include "scan.bpf.h"

/* A refused request's body is eaten up to here; beyond, closing costs less than reading on. */
#define DISCARD_MAX (1024 * 1024)

/* Bytes that most heads have, and that are looked at first: to have more in one piece is to copy them. */
#define HEAD_MOSTLY 4096

#define EMPTY_LINE 2 /* bytes that may come before a head */
#define TOO_LARGE  1 /* byte behind the largest head, which tells it from a larger one */

/* What is to be done with the bytes that were judged. */
enum step {
	STEP_PASS,   /* to the application */
	STEP_EAT,    /* they end here */
	STEP_ANSWER, /* likewise, and what is owed goes to the client */
	STEP_END,    /* likewise, and the connection ends without an answer */
	/* They were not judged, and nothing has changed: */
	STEP_MORE, /* a head goes on behind them */
	STEP_WAIT, /* an earlier answer is not out yet, or there is no memory */
	STEP_PART, /* they are more than can be judged at once, which judgement.taken is */
};

/* Bytes under judgement: all of an skb's, or none where that cannot be. */
struct judgement {
	struct __sk_buff *skb;
	struct conn *conn;
	struct tcp_sock *tcp; /* the connection's */
	__u64 cookie;
	__u32 taken; /* bytes that were judged, or can be */
	__u32 extent; /* enum scan: the body goes on behind these bytes, ends with `taken`, or is bad */
	struct decision decision;
};

/* --- bodies ---------------------------------------------------------------------------------- */

/*
 * See how far a body reaches from offset at on, and set judged->taken and judged->extent. Counts off
 * in body what it takes: where the bytes may yet be left for later, it is to be a copy.
 */
static __noinline void measure(struct judgement *judged, struct body *body, __u32 at)
{
	__u32 length = judged->skb->len, end = length;

	judged->taken = length;
	if (body->chunked) {
		judged->extent = scan_chunks(judged->skb, &body->chunk, at, &end);
		judged->taken = end;
		return;
	}
	if (body->left > length - at) {
		body->left -= length - at;
		judged->extent = SCAN_MORE;
		return;
	}
	judged->taken = at + body->left;
	body->left = 0;
	judged->extent = SCAN_END;
}

/*
 * Have the chunks that are looked at be those that the application will read. A client on this machine
 * may have sent pages that it can still write to: sendfile(2), vmsplice(2).
 */
static __always_inline bool hold_still(struct judgement *judged)
{
	return !bpf_skb_pull_data(judged->skb, judged->skb->len);
}

/* Whether there are bytes behind what can be judged. */
static __always_inline bool is_part(const struct judgement *judged)
{
	return judged->taken < judged->skb->len;
}

/* --- refusals -------------------------------------------------------------------------------- */

/* Count a request that its key's limits refuse, in the key's total. */
static __always_inline void count_limited(const struct judgement *judged)
{
	struct key_usage *used = bpf_map_lookup_elem(&usage, &judged->conn->grant.slot);

	if (used)
		limit_count_refused(used);
}

/* Note what is owed to the client. With that a request is refused for good, and counted. */
static __always_inline void owe(struct judgement *judged, enum reply_connection connection)
{
	const struct decision *decision = &judged->decision;
	struct owed *owed = &judged->conn->owed;

	judged->conn->turns++;
	owed->reply = decision->reply * REPLY_CONNECTIONS + connection;
	owed->head_only = judged->conn->head.is_head_method;
	owed->reset_minute = decision->reset_ms / LIMIT_MINUTE_MS;
	_Static_assert(COUNTER_REFUSED_VERSION - COUNTER_REFUSED_NO_KEY ==
			       REPLY_VERSION - REPLY_NO_KEY,
		       "a counter for each reply, in their order");
	count(COUNTER_REFUSED_NO_KEY + (decision->reply - REPLY_NO_KEY));
	if (decision->reply == REPLY_RATE_LIMITED)
		count_limited(judged);
	if (decision->reply == REPLY_INVALID_KEY)
		count_guess(judged->tcp);
	count_refusal(judged->tcp);
}

/*
 * Answer, and end the connection. STEP_WAIT, here and below: the client does not read its answers, and
 * there is no room for another.
 *
 * linger	more of what is not read any more may be under way
 */
static __noinline enum step refuse_and_close(struct judgement *judged, bool linger)
{
	struct conn *conn = judged->conn;

	if (!will_fit(judged->tcp))
		return STEP_WAIT;
	owe(judged, REPLY_CLOSE);
	conn->ingress = INGRESS_CLOSED;
	conn->closing = CLOSING_DUE;
	conn->linger = linger;
	return STEP_ANSWER;
}

static __noinline enum step refuse_as_bad(struct judgement *judged)
{
	decide_refuse(&judged->decision, REPLY_BAD_REQUEST);
	return refuse_and_close(judged, true);
}

/* The gate itself is at fault, or nothing can be said any more: neither pass nor answer. */
static __noinline enum step end(struct judgement *judged)
{
	judged->conn->ingress = INGRESS_CLOSED;
	judged->conn->closing = CLOSING_SENT;
	count(COUNTER_DISCARDED);
	return STEP_END;
}

/* Refuse a request, eat its body, and go on with the connection. */
static __noinline enum step refuse(struct judgement *judged)
{
	struct conn *conn = judged->conn;
	struct body *body = &conn->body;
	bool goes_on = judged->extent == SCAN_MORE;

	if (!conn->head.persistent || (goes_on && !body->chunked && body->left > DISCARD_MAX))
		return refuse_and_close(judged, goes_on);
	if (!will_fit(judged->tcp))
		return STEP_WAIT;
	owe(judged, conn->head.minor ? REPLY_IMPLICIT : REPLY_KEEP_ALIVE);
	if (body->chunked)
		body->left = DISCARD_MAX;
	body->refused = true;
	conn->ingress = goes_on ? INGRESS_BODY : INGRESS_HEAD;
	return STEP_ANSWER;
}

/* --- requests -------------------------------------------------------------------------------- */

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
	/* One takes the other's place: there is little stack. */
	union {
		struct token token;
		struct key_digest digest;
	} key = {};
	__u64 now_ms;

	if (!set)
		return unable(decision);
	if (length - 1 >= sizeof(key.token.text) - 1)
		return decide_refuse(decision, REPLY_INVALID_KEY);
	if (load_bytes(judged->skb, credential->at, key.token.text, length,
		       sizeof(key.token.text) - 1))
		return unable(decision);
	now_ms = realtime_ms(set);
	if (!decide_again(&key.token, set, bpf_map_lookup_elem(&usage, &grant->slot), now_ms,
			  grant) &&
	    (!decide_token(&key.token, length, set, &key.digest, decision) ||
	     !decide_key(bpf_map_lookup_elem(&keys, &key.digest), &key.digest, now_ms, grant,
			 decision)))
		return false;
	return decide_usage(bpf_map_lookup_elem(&usage, &grant->slot), grant, now_ms, decision);
}

/*
 * What comes behind this request: another; or nothing, RFC 9112 9.6. An application that closes would
 * not execute what was counted.
 */
static __always_inline enum ingress behind(const struct conn *conn)
{
	return conn->head.persistent || conn->head.upgrade ? INGRESS_HEAD : INGRESS_CLOSED;
}

/* Counted, and passed with what the application may see. */
static __noinline enum step admit(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	if (write_identity(judged->skb, conn))
		return end(judged);
	conn->turns++;
	conn->ingress = judged->extent == SCAN_MORE ? INGRESS_BODY : behind(conn);
	conn->remaining = judged->decision.remaining;
	conn->reset_ms = judged->decision.reset_ms;
	response_begin(&conn->response, conn->head.is_head_method);
	conn->answering = ANSWERING_NOT;
	conn->answer_due = 1;
	count(COUNTER_ADMITTED);
	return STEP_PASS;
}

/* The bytes begin with a request head. */
static __noinline enum step judge_request(struct judgement *judged)
{
	struct __sk_buff *skb = judged->skb;
	struct conn *conn = judged->conn;
	struct http_head *head = &conn->head;
	struct decision *decision = &judged->decision;
	__u32 head_max = conn->gate.head_limit + EMPTY_LINE + TOO_LARGE;
	enum turn turn = take_turn(conn, judged->tcp);
	enum http_result result;
	struct body *body = &conn->body; /* nothing is left of the one before */
	bool has_key;

	if (turn == TURN_LOST)
		return end(judged);
	if (turn == TURN_EGRESS)
		return STEP_WAIT;
	if (bpf_skb_pull_data(skb, skb->len < HEAD_MOSTLY ? skb->len : HEAD_MOSTLY))
		return end(judged);
	http_head_begin(head, conn->gate.head_limit);
	result = read_head(skb, head);
	if (result == HTTP_MORE && skb->len > HEAD_MOSTLY) {
		if (bpf_skb_pull_data(skb, skb->len < head_max ? skb->len : head_max))
			return end(judged);
		result = read_head(skb, head);
	}
	if (result == HTTP_MORE)
		return STEP_MORE;
	has_key = decide_head(result, head, decision);
	if (result != HTTP_DONE)
		return refuse_and_close(judged, true);
	if (head->chunked && !hold_still(judged))
		return STEP_WAIT;
	body->left = head->content_length;
	body->chunked = head->chunked;
	body->refused = false;
	chunk_begin(&body->chunk, conn->gate.pass_trailers);
	measure(judged, body, head->length);
	if (judged->extent == SCAN_BAD)
		return refuse_as_bad(judged);
	if (is_part(judged))
		return STEP_PART;
	if (has_key && judge_key(judged))
		return admit(judged);
	return decision->busy ? end(judged) : refuse(judged);
}

/* --- what follows a head --------------------------------------------------------------------- */

/* The request is answered, but its body cannot be eaten to its end: nothing can follow. */
static __always_inline enum step leave_body(struct judgement *judged)
{
	judged->conn->ingress = INGRESS_CLOSED;
	tell_end(judged->conn, judged->cookie, LINGER_MS);
	return STEP_EAT;
}

/*
 * A body that is not one. The application waits for its rest, and may have begun to answer: then
 * there is nothing left to say.
 */
static __noinline enum step judge_bad_body(struct judgement *judged)
{
	struct conn *conn = judged->conn;
	bool begun = conn->answer_due && response_has_begun(&conn->response);

	if (conn->body.refused)
		return leave_body(judged);
	if (begun || (conn->written && conn->egress_seq != judged->tcp->write_seq))
		return end(judged);
	return refuse_as_bad(judged);
}

/* More of a body. */
static __noinline enum step judge_body(struct judgement *judged)
{
	struct conn *conn = judged->conn;
	struct body body = conn->body;

	if (body.chunked && !hold_still(judged))
		return STEP_WAIT;
	measure(judged, &body, 0);
	if (judged->extent == SCAN_BAD)
		return judge_bad_body(judged);
	if (is_part(judged))
		return STEP_PART;
	if (body.refused && body.chunked) {
		if (judged->taken > body.left)
			return leave_body(judged);
		body.left -= judged->taken;
	}
	conn->body = body;
	if (judged->extent == SCAN_END)
		conn->ingress = behind(conn);
	return body.refused ? STEP_EAT : STEP_PASS;
}

/* Whether what comes next from the client is eaten: the application gets none of it. */
static __always_inline bool are_eaten(const struct conn *conn)
{
	return conn->closing || conn->ingress == INGRESS_CLOSED ||
	       (conn->ingress == INGRESS_BODY && conn->body.refused);
}

/* Judge bytes from the client. */
static __always_inline enum step judge(struct judgement *judged)
{
	struct conn *conn = judged->conn;

	if (conn->closing)
		return STEP_EAT;
	if (conn->switched)
		return STEP_PASS;
	if (conn->ingress == INGRESS_CLOSED)
		return STEP_EAT;
	return conn->ingress == INGRESS_BODY ? judge_body(judged) : judge_request(judged);
}

#endif
