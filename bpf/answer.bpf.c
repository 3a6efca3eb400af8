// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What leaves a gated socket: the gate's own answers take the place of the requests that were
 * refused, and the application's answers get their headers.
 *
 * A message may only grow where what it grows by is certain to be sent at once. Otherwise the kernel
 * would send a part, and the application, told how much of *its* bytes went out, would write some of
 * them twice.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "follow.bpf.h"
#include "handoff.bpf.h"
#include "maps.bpf.h"
#include "reply.bpf.h"
#include "response_swift.h"

/*
 * What an answer gets, with fixed-width places for the numbers: spaces before a value mean nothing
 * (RFC 9110 5.5). Four digits are enough, since the most that can be left is 9,999.
 */
#define HEADERS		"X-RateLimit-Remaining:     0\r\nX-RateLimit-Reset: 0000000000000\r\n"
#define HEADERS_LENGTH	(sizeof(HEADERS) - 1)
#define REMAINING_AT	24
#define REMAINING_WIDTH 4
#define RESET_AT	49

/* Bytes that are copied at once, and the largest message that costs less to copy than a page does. */
#define COPY_SIZE 128
#define COPY_MAX  1024

/* poll() says that a send buffer can be written once a third of it is free; some of that is overhead. */
#define WRITABLE_PART 8

/* One pass over a message. */
struct walk {
	struct sk_msg_md *msg;
	struct conn *conn;
	struct tcp_sock *tcp;
	__u64 cookie;
	__u32 offset; /* of the next byte to look at */
	__u32 window; /* offset of msg->data within the message */
	__u32 length; /* bytes of the window */
	__u32 failed;
	__u32 over;    /* the answer ends with this message, or in it */
	__u32 certain; /* bytes that the kernel will take at once for certain */
};

/* Whether the kernel sends, and not the application: buffers sent back out of their own socket. */
static __always_inline bool sent_by_kernel(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->flags & PF_KTHREAD;
}

/* Nothing more can be sent that is right. The kernel drops all that follows, too. */
static __always_inline int give_up(struct conn *conn)
{
	conn->closing = CLOSING_SENT;
	count(COUNTER_DISCARDED);
	return SK_DROP;
}

/* Pieces that the first `bytes` bytes of a message are in, at most: the kernel fills pages one by one. */
static __always_inline __u32 pieces(__u32 bytes)
{
	return bytes ? bytes / BUFFER_BYTES + 2 : 0;
}

/*
 * The connection ends with this answer, which goes out behind the first `at` bytes of the message.
 *
 * One byte is left behind it. The kernel runs the program again for that byte, is refused, and hands
 * the socket an error: the application closes it, and the client gets the whole answer and then a
 * clean end-of-file. Nobody but the application can close its socket in that way.
 *
 * Where a client may still be sending, a socket that is closed resets the connection, and the client
 * loses the answer. Then the relay ends it, when the client has fallen silent.
 */
static __noinline int answer_and_close(struct walk *walk, __u32 at)
{
	struct sk_msg_md *msg = walk->msg;
	struct conn *conn = walk->conn;
	const struct owed *owed = &conn->owed;
	__u32 length = answer_length(owed);
	bool at_once;

	conn->closing = CLOSING_SENT;
	conn->answering = ANSWERING_NOT;
	if (!length || !fits(walk->tcp, at + length, pieces(at) + 1, 0))
		/* The application's own bytes are not lost for it. */
		return at ? SK_PASS : SK_DROP;
	at_once = !conn->linger || !tell_end(conn, walk->cookie, LINGER_MS);
	if (resize(msg, at + length) ||
	    !write_answer(msg, owed->reply, at, length, owed->reset_minute))
		return SK_DROP;
	/*
	 * The byte is a piece of its own. Were it one with the answer, TCP would be told that more
	 * follows, and keep the answer for the application's close, which a reset may be.
	 */
	if (at_once && bpf_msg_push_data(msg, at + length, 1, 0))
		return SK_DROP;
	conn->written = 1;
	conn->egress_seq = walk->tcp->write_seq + at + length;
	if (at_once)
		bpf_msg_apply_bytes(msg, at + length);
	return SK_PASS;
}

/* The answer takes the message's place, and the connection goes on. */
static __noinline int answer_and_go_on(struct walk *walk)
{
	struct sk_msg_md *msg = walk->msg;
	struct conn *conn = walk->conn;
	struct tcp_sock *tcp = walk->tcp;
	const struct owed *owed = &conn->owed;
	__u32 length = answer_length(owed);

	/*
	 * Sent back unreplaced, the client would get its own request. Dropped, the kernel ends the
	 * connection: worse than an answer, better than a wrong one.
	 */
	if (!length || !fits(tcp, length, 1, 0) || resize(msg, length) ||
	    !write_answer(msg, owed->reply, 0, length, owed->reset_minute))
		return give_up(conn);
	conn->written = 1;
	core_store(conn->egress_seq, tcp->write_seq + length);
	core_barrier();
	core_store(conn->answering, ANSWERING_NOT);
	tell_turn(conn, walk->cookie);
	return SK_PASS;
}

/*
 * The last byte behind an answer that ends the connection. What fails here becomes the socket's
 * error: through the sink EPIPE, as if the client were gone, which servers expect.
 */
static __always_inline int break_connection(struct sk_msg_md *msg)
{
	__u64 zero = 0;

	return bpf_msg_redirect_hash(msg, &sink, &zero, 0);
}

/* A refused buffer on its way out. It never leaves as it is: that would be the client's own bytes. */
static __always_inline int replace_buffer(struct walk *walk)
{
	struct conn *conn = walk->conn;

	if (conn->closing == CLOSING_SENT)
		return break_connection(walk->msg);
	/* The record's position is behind this answer already. */
	if (conn->answering == ANSWERING_BACK)
		return answer_and_go_on(walk);
	if (conn->answering != ANSWERING_BUFFER || is_amid(conn, walk->tcp))
		return give_up(conn);
	return conn->closing == CLOSING_DUE ? answer_and_close(walk, 0) : answer_and_go_on(walk);
}

/*
 * Write the two headers into their place in the message, from one `at` its msg->data on. Returns nonzero
 * where that is not of their size.
 */
core_global int write_headers(struct sk_msg_md *msg, __u32 at, __u32 remaining, __u64 reset_ms)
{
	__u8 *p = place(msg, at, HEADERS_LENGTH);

	if (!p)
		return 1;
	for (__u32 i = 0; i < HEADERS_LENGTH / 8; i++)
		put_word(p + i * 8, core_word(&HEADERS[i * 8]));
	put_word(p + HEADERS_LENGTH - 8, core_word(&HEADERS[HEADERS_LENGTH - 8]));
	reply_put_number(p + REMAINING_AT, REMAINING_WIDTH, remaining, ' ');
	reply_put_reset(p + RESET_AT, reset_ms);
	return 0;
}

struct copying {
	struct sk_msg_md *msg;
	__u64 from; /* an address */
	__u32 to;   /* offset in msg->data */
	__u32 size; /* COPY_SIZE or more */
	__u32 failed;
};

/* Copy some bytes; the last ones may have been copied before. A callback of bpf_loop(). */
static long copy_some(__u32 index, struct copying *copying)
{
	__u32 at = index * COPY_SIZE, last = copying->size - COPY_SIZE;
	__u64 words[COPY_SIZE / 8];
	__u8 *p;

	if (at > last)
		at = last;
	p = place(copying->msg, copying->to + at, COPY_SIZE);
	if (!p || bpf_probe_read_kernel(words, sizeof(words), (void *)(copying->from + at))) {
		copying->failed = 1;
		return 1;
	}
	for (int i = 0; i < COPY_SIZE / 8; i++)
		put_word(p + i * 8, words[i]);
	return 0;
}

/*
 * Write a message anew, with room for the headers behind its first bytes, which are no more than theirs:
 * bpf_msg_push_data() there and bpf_msg_pull_data() would take a page each.
 *
 * Returns nonzero where that failed: 1 where nothing has changed.
 */
static __noinline int write_anew(struct sk_msg_md *msg)
{
	__u32 size = msg->size;
	struct copying copying = { .msg = msg, .from = (long)msg->data, .size = size };

	if (bpf_msg_push_data(msg, 0, size + HEADERS_LENGTH, 0))
		return 1;
	copy_some(0, &copying);
	copying.to = HEADERS_LENGTH;
	bpf_loop((size - 1) / COPY_SIZE + 1, copy_some, &copying, 0);
	return copying.failed || bpf_msg_pop_data(msg, size + HEADERS_LENGTH, size, 0) ? 2 : 0;
}

/*
 * Insert the two headers at walk->offset, behind the answer's status line. They and all before them must
 * be sent at once: where the kernel stops behind them, it tells the application rightly how many of its
 * bytes went out.
 */
static __noinline long insert_headers(struct walk *walk)
{
	struct sk_msg_md *msg = walk->msg;
	__u32 at = walk->offset, end = at + HEADERS_LENGTH;
	/* Each piece of a message is a TCP segment of its own: all in one while it is small. */
	bool small = msg->size + HEADERS_LENGTH <= WINDOW_SIZE, first = end <= WINDOW_SIZE;
	bool anew = !walk->window && walk->length == msg->size && msg->size <= COPY_MAX &&
		    msg->size >= COPY_SIZE && at <= HEADERS_LENGTH;
	__u32 begin = first ? 0 : at;
	int r = 1;

	if (fits(walk->tcp, end, first ? 1 : pieces(at) + 1, 0))
		r = anew ? write_anew(msg) : !!bpf_msg_push_data(msg, at, HEADERS_LENGTH, 0);
	if (r == 1) {
		count(COUNTER_ANSWERS_PLAIN);
		return 0;
	}
	walk->failed = 1;
	if (r || (!anew && bpf_msg_pull_data(msg, begin, small ? msg->size : end, 0)) ||
	    write_headers(msg, at - begin, walk->conn->remaining, walk->conn->reset_ms))
		return 1;
	walk->failed = 0;
	walk->length = 0;
	walk->certain = end;
	walk->offset = end;
	return 0;
}

/* What follows from what was just read of an answer. Returns nonzero where the pass is over. */
static __always_inline long on_event(struct walk *walk, enum response_event event)
{
	struct conn *conn = walk->conn;

	switch (event) {
	case RESPONSE_STATUS:
		return insert_headers(walk);
	case RESPONSE_END:
		walk->over = 1;
		return 1;
	case RESPONSE_SWITCHED:
		/* What nobody asked for does not go out: the client would take it for HTTP. */
		walk->failed = !conn->head.upgrade;
		conn->switched = conn->head.upgrade;
		conn->response.skip = ~0ULL;
		tell_turn(conn, walk->cookie);
		return 1;
	case RESPONSE_UNTIL_CLOSE:
		conn->response.skip = ~0ULL;
		return 1;
	default:
		return 0;
	}
}

/* Make the next bytes of the message, `left` at most, those that can be looked at. */
static __always_inline long open_window(struct walk *walk, __u32 left)
{
	walk->window = walk->offset;
	walk->length = left < WINDOW_SIZE ? left : WINDOW_SIZE;
	return bpf_msg_pull_data(walk->msg, walk->window, walk->window + walk->length, 0);
}

/*
 * Look at some bytes of a message, from one `at` its msg->data on.
 *
 * ret_taken	how many
 *
 * Returns an enum response_event.
 */
core_global int look_at_bytes(struct sk_msg_md *msg, struct response *response, __u32 at,
			      __u32 *ret_taken)
{
	__u8 *p = place(msg, at, 1);

	if (!p || !response || !ret_taken)
		return RESPONSE_UNTIL_CLOSE;
	return response_bytes(response, p, (void *)(long)msg->data_end, ret_taken);
}

/*
 * Look at some bytes of the message, or skip a body; a callback of bpf_loop(). Returns nonzero where the
 * pass is over.
 */
static long look_at_some(__u32 index, struct walk *walk)
{
	struct sk_msg_md *msg = walk->msg;
	struct response *response = &walk->conn->response;
	__u32 left = msg->size - walk->offset, taken = 0;
	enum response_event event;

	if (walk->offset >= msg->size)
		return 1;
	if (response->skip > left) {
		if (response->skip != ~0ULL)
			response->skip -= left;
		walk->offset = msg->size;
		return 1;
	}
	if (response->skip) {
		walk->offset += response->skip;
		return on_event(walk, response_skipped(response));
	}
	if (walk->offset - walk->window >= walk->length && open_window(walk, left))
		return 1;
	event = look_at_bytes(msg, response, walk->offset - walk->window, &taken);
	walk->offset += taken;
	return on_event(walk, event);
}

/*
 * Follow the answer that is due through the message. Returns how far that came; beyond it are bytes
 * that no request asked for.
 */
static __always_inline __u32 follow_answer(struct walk *walk)
{
	struct conn *conn = walk->conn;

	if (!conn->answer_due)
		return walk->offset;
	bpf_loop(walk->msg->size, look_at_some, walk, 0);
	if (walk->over || walk->failed)
		return walk->offset;
	/* Whatever was not looked at, it belongs to this answer, whose end is not known then. */
	if (walk->offset < walk->msg->size)
		conn->response.skip = ~0ULL;
	return walk->msg->size;
}

/*
 * The first `bytes` bytes of the message were looked at, and go out. Where they end the answer, the
 * turn is the client's; nobody may find that before he can find that they are not out yet.
 */
static __always_inline void note_passed(struct walk *walk, __u32 bytes)
{
	struct conn *conn = walk->conn;

	core_store(conn->egress_seq, walk->tcp->write_seq + bytes);
	if (walk->over) {
		core_barrier();
		core_store(conn->answer_due, 0);
		tell_turn(conn, walk->cookie);
	}
}

/* Send the first `bytes` bytes of the message, and look at the rest as a message of its own. */
static __always_inline int pass_some(struct walk *walk, __u32 bytes)
{
	bpf_msg_apply_bytes(walk->msg, bytes);
	note_passed(walk, bytes);
	return SK_PASS;
}

/* Bytes that there is room for, at least, where poll() says that a socket can be written. */
static __always_inline __u32 writable_bytes(const struct tcp_sock *tcp)
{
	__u32 all = ((const struct sock *)tcp)->sk_sndbuf, unsent = unsent_max(tcp);

	return (all < unsent ? all : unsent) / WRITABLE_PART;
}

/*
 * Pass the message, all of which was looked at.
 *
 * Where the kernel takes a part of what it was to take, it takes as many bytes next time, and asks no
 * question about them (tcp_bpf_send_verdict()): the rest, and what the application has joined to that. The
 * end of a chunked answer could be in these, and would not be found. So the kernel is to take no more than
 * half of the message, and as much as there is room for when the application comes again, and asks then.
 */
static __noinline int pass(struct walk *walk)
{
	struct sk_msg_md *msg = walk->msg;
	const struct conn *conn = walk->conn;
	__u32 bytes = (msg->size + 1) / 2, room = writable_bytes(walk->tcp);

	if (!conn->answer_due || conn->response.state == RESPONSE_IN_BODY ||
	    fits(walk->tcp, msg->size, pieces(msg->size), 0))
		return SK_PASS;
	if (bytes > room && room)
		bytes = room;
	bpf_msg_apply_bytes(msg, bytes > walk->certain ? bytes : walk->certain);
	return SK_PASS;
}

/* The application writes: follow its answer, and give it its headers. */
static __always_inline int application_writes(struct walk *walk)
{
	struct sk_msg_md *msg = walk->msg;
	struct conn *conn = walk->conn;
	struct tcp_sock *tcp = walk->tcp;
	__u32 again = follow_stream(conn, tcp->write_seq);
	__u32 end;

	if (conn->closing == CLOSING_SENT)
		return SK_DROP;
	/* It writes by itself, while an answer that ends the connection is on its way. */
	if (conn->closing == CLOSING_DUE)
		return is_amid(conn, tcp) ? give_up(conn) : answer_and_close(walk, 0);
	/* What is to come is the gate's answer, by the relay. */
	if (again && conn->answering)
		return give_up(conn);
	if (again >= msg->size)
		return pass(walk);
	walk->offset = again;
	end = follow_answer(walk);
	if (walk->failed) /* it has grown by bytes that nobody wrote */
		return give_up(conn);
	/* An answer to no request that was counted does not go out. */
	if (end < msg->size)
		return end ? pass_some(walk, end) : give_up(conn);
	note_passed(walk, msg->size);
	return pass(walk);
}

SEC("sk_msg")
int sluice_message(struct sk_msg_md *msg)
{
	struct walk walk = { .msg = msg };
	struct bpf_sock *sk = msg->sk;

	/* What an earlier run over this message asked for sticks. */
	bpf_msg_apply_bytes(msg, 0);
	walk.tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	if (!walk.tcp)
		return SK_DROP;
	walk.cookie = ((struct sock *)walk.tcp)->__sk_common.skc_cookie.counter;
	walk.conn = bpf_map_lookup_elem(&conns, &walk.cookie);
	/* Its record is gone, so it was reset: nobody is left to read this. */
	if (!walk.conn)
		return SK_DROP;
	return sent_by_kernel() ? replace_buffer(&walk) : application_writes(&walk);
}

/* Attached to the sockhash and copied into every socket; what it calls can be replaced. */
SEC("sk_msg")
int sluice_egress(struct sk_msg_md *msg)
{
	bpf_tail_call(msg, &message_program, 0);
	/* No program to follow the answer with: what would come after it could not be judged. */
	return SK_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
