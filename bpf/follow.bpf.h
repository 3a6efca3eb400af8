/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a connection's answers stand in its TCP stream.
 *
 * Messages cannot simply be counted: the kernel may send a part of one and have the application
 * write the rest again, and it does not run the message program for what is written next. So the
 * record holds the sequence number up to which answers were looked at, and is brought up to date
 * with the socket's own before it is used.
 */
#ifndef SLUICE_FOLLOW_BPF_H
#define SLUICE_FOLLOW_BPF_H

#include "conn.bpf.h"
#include "core.h"
#include "kernel.bpf.h"

#define TCP_OPTIONS_MAX 40   /* bytes */
#define WINDOW_SMALL	536  /* bytes: TCP_MSS_DEFAULT */
#define BUFFER_BYTES	4096 /* a buffer holds at least, if it may: its parts are pages */
#define BUFFER_OVERHEAD 2048 /* bytes at most that count as queued besides the buffer's own */

/*
 * Bytes were written that no program saw. Within a body they count as body; anywhere else it is no
 * longer known where the answer ends, so that nothing can follow it on this connection.
 */
static __always_inline void follow_unseen(struct conn *conn, __u64 bytes)
{
	struct response *response = &conn->response;

	if (!conn->answer_due) {
		conn->closing = CLOSING_SENT;
		return;
	}
	if (bytes < response->skip) {
		if (response->skip != ~0ULL)
			response->skip -= bytes;
		return;
	}
	if (bytes == response->skip) {
		response->skip = 0;
		if (response_skipped(response) == RESPONSE_END)
			conn->answer_due = 0;
		return;
	}
	response->skip = ~0ULL;
}

/*
 * Bring the record up to the socket's position.
 *
 * Returns the bytes from write_seq on that were looked at already and will be written again; 0
 * where the record and the stream agree.
 */
static __always_inline __u32 follow_stream(struct conn *conn, __u32 write_seq)
{
	__s32 ahead = conn->egress_seq - write_seq;

	if (!conn->written) {
		conn->written = 1;
		conn->egress_seq = write_seq;
		return 0;
	}
	if (ahead >= 0)
		return ahead;
	/* First: whoever looks without the lock sees by it that the rest changes. */
	core_store(conn->egress_seq, write_seq);
	core_barrier();
	follow_unseen(conn, -(__s64)ahead);
	return 0;
}

/*
 * Whether the kernel has not taken all of an answer yet. Until it has, it asks the message program
 * nothing: a buffer sent back out would leave as it is.
 */
static __always_inline bool is_unread(const struct conn *conn, const struct tcp_sock *tcp)
{
	return conn->written && (__s32)(conn->egress_seq - tcp->write_seq) > 0;
}

/* Whether the gate's own answer is under way. */
static __always_inline bool is_answering(const struct conn *conn, const struct tcp_sock *tcp)
{
	__u32 answering = core_load(conn->answering);

	core_barrier();
	return answering == ANSWERING_BUFFER || (answering && is_unread(conn, tcp));
}

/*
 * Whether a part of the application's answer is out, and its end is not. Asked under the socket's lock,
 * since it may have begun after a request was judged without.
 */
static __always_inline bool is_amid(const struct conn *conn, const struct tcp_sock *tcp)
{
	return is_unread(conn, tcp) || (conn->answer_due && response_has_begun(&conn->response));
}

/* Who may change what the record says of the answers (conn.bpf.h). */
enum turn {
	TURN_INGRESS, /* no answer is due or under way: the next request can be judged */
	TURN_PASSED, /* likewise, but the record lacks the end of a body that the kernel took unasked */
	TURN_EGRESS, /* one is */
	TURN_LOST,   /* the application has written what nobody asked for */
};

/*
 * Asked without the socket's lock, too.
 *
 * The message program says what it passes before it says that this was the end, and before the kernel
 * takes it. So it is read the other way round.
 */
core_function enum turn see_turn(const struct conn *conn, const struct tcp_sock *tcp)
{
	const struct response *response = &conn->response;
	bool due = core_load(conn->answer_due);
	bool answering = core_load(conn->answering) == ANSWERING_BUFFER;
	__u32 write_seq, egress_seq;
	__s32 unseen;
	__u64 skip;

	core_barrier();
	write_seq = core_load(tcp->write_seq);
	core_barrier();
	egress_seq = core_load(conn->egress_seq);
	unseen = write_seq - egress_seq;
	if (answering || (conn->written && unseen < 0))
		return TURN_EGRESS;
	if (!conn->written || !unseen)
		return due ? TURN_EGRESS : TURN_INGRESS;
	if (!due)
		return TURN_LOST;
	skip = core_load(response->skip);
	core_barrier();
	if ((__u32)unseen != skip || response->state != RESPONSE_IN_BODY ||
	    core_load(conn->egress_seq) != egress_seq)
		return TURN_EGRESS;
	return TURN_PASSED;
}

/*
 * Likewise, for the one that goes on to judge: the record is brought up to date. All that changes is what
 * no program does any more.
 */
static __always_inline enum turn take_turn(struct conn *conn, const struct tcp_sock *tcp)
{
	enum turn turn = see_turn(conn, tcp);

	if (turn != TURN_PASSED)
		return turn;
	conn->egress_seq += conn->response.skip;
	response_skipped(&conn->response);
	conn->answer_due = 0;
	return TURN_INGRESS;
}

/*
 * Whether nothing is under way on a connection: no request that has begun, and no answer to one. To be
 * asked as see_turn().
 */
static __always_inline bool is_idle(const struct conn *conn, const struct tcp_sock *tcp)
{
	return conn->ingress == INGRESS_HEAD && !(core_load(conn->handed) & HANDED_UP) &&
	       !conn->switched && !conn->closing && see_turn(conn, tcp) <= TURN_PASSED;
}

/* Bytes that a segment holds, at least. */
static __always_inline __u32 segment_bytes(const struct tcp_sock *tcp)
{
	/* An acknowledgement of what came in disorder takes some. */
	return tcp->mss_cache > TCP_OPTIONS_MAX ? tcp->mss_cache - TCP_OPTIONS_MAX : 1;
}

/*
 * Bytes that the kernel puts into one buffer of its queue, at least: as many whole segments as half of the
 * client's largest window holds, or all of a small one, and as the device takes at once
 * (tcp_xmit_size_goal(), tcp_bound_to_half_wnd()).
 */
static __always_inline __u32 buffer_bytes(const struct tcp_sock *tcp)
{
	__u32 window = tcp->max_window, segment = segment_bytes(tcp);
	__u32 bytes = window > WINDOW_SMALL ? window / 2 : window;
	__u32 together = ((const struct sock *)tcp)->sk_gso_max_segs * segment;

	if (bytes > ((const struct sock *)tcp)->sk_gso_max_size)
		bytes = ((const struct sock *)tcp)->sk_gso_max_size;
	if (bytes > BUFFER_BYTES)
		bytes = BUFFER_BYTES;
	bytes = bytes > tcp->mss_cache + segment ? bytes - tcp->mss_cache : segment;
	return bytes < together ? bytes : together ?: segment;
}

/* The most that may wait in the queue unsent, tcp(7). */
static __always_inline __u32 unsent_max(const struct tcp_sock *tcp)
{
	const struct sock *sk = (const struct sock *)tcp;

	return tcp->notsent_lowat ?: sk->__sk_common.skc_net.net->ipv4.sysctl_tcp_notsent_lowat;
}

/*
 * Whether the kernel takes so many bytes at once, in so many pieces of a message or less, if it were to
 * allocate `reserve` bytes besides.
 *
 * It puts them behind what is in the last buffer of its queue, and the rest into new ones; before each
 * of these it asks whether the queue is full (tcp_sendmsg_locked(); before 6.5, tcp_build_frag()). Any
 * piece may begin with a new one, since the one before may be sent already.
 */
static __always_inline bool fits(const struct tcp_sock *tcp, __u32 bytes, __u32 pieces,
				 __u64 reserve)
{
	const struct sock *sk = (const struct sock *)tcp;
	/* New buffers before the last. */
	__u64 more = (bytes - 1) / buffer_bytes(tcp) + pieces - 1;

	if ((__u64)(tcp->write_seq - tcp->snd_nxt) + bytes >= unsent_max(tcp))
		return false;
	return (__u64)sk->sk_wmem_queued + bytes + more * BUFFER_OVERHEAD + reserve <
	       (__u64)sk->sk_sndbuf;
}

/*
 * Whether one of the gate's answers will fit when it is sent. Until then TCP may cut all that is queued
 * into segments, each of which becomes a buffer of its own.
 */
static __always_inline bool will_fit(const struct tcp_sock *tcp)
{
	__u64 queued = tcp->write_seq - tcp->snd_una;

	return fits(tcp, REPLY_SIZE, 1, queued / segment_bytes(tcp) * BUFFER_OVERHEAD);
}

#endif
