// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * That no socket of a protected port gets a byte that is not gated.
 *
 * Lets no payload reach a connection that was not enrolled (enrol.bpf.c), whatever the reason, and turns
 * away at the handshake what could not be enrolled afterwards.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "follow.bpf.h"
#include "handoff.bpf.h"
#include "kernel.bpf.h"
#include "maps.bpf.h"

#define GUARD_PASS 1
#define GUARD_DROP 0

/* Connections that are let in; the tables have room for CONNECTIONS_RESERVE more. */
const volatile __u32 max_connections = 1;

#define IPV6_EXTENSIONS_MAX 4

#define TCP_OPTION_END	 0
#define TCP_OPTION_NOP	 1
#define TCP_OPTION_MPTCP 30
#define TCP_OPTIONS_SIZE 40 /* bytes, at most */

/*
 * Times a client's FIN is kept back once the application has accepted, each twice as long as the one
 * before: six seconds in all.
 */
#define HELD_MAX 5

/* Bytes of a connection that wait to be judged, above which no more are let in. */
#define AHEAD_MAX (1024 * 1024)
/* Bytes in the ring buffer, likewise. */
#define HANDOFF_CROWDED (1024 * 1024)

/* How long no data is taken with a handshake, once a connection could not be enrolled. */
#define DISTRUST_NS (600ULL * 1000000000)

/* Offset of the TCP header, negative where it is not found. */
static __always_inline int tcp_offset(struct __sk_buff *skb)
{
	struct ipv6hdr ip6;
	struct iphdr ip;
	int offset = sizeof(ip6);
	__u8 next, extension[2];

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return -1;
	if (ip.version == 4)
		return ip.ihl * 4;
	if (bpf_skb_load_bytes(skb, 0, &ip6, sizeof(ip6)))
		return -1;
	next = ip6.nexthdr;
	for (int i = 0; i < IPV6_EXTENSIONS_MAX && next != IPPROTO_TCP; i++) {
		if (bpf_skb_load_bytes(skb, offset, extension, sizeof(extension)))
			return -1;
		next = extension[0];
		offset += (extension[1] + 1) * 8;
	}
	return next == IPPROTO_TCP ? offset : -1;
}

/* What the guard has to know of a packet. */
struct packet {
	__u32 tcp_at; /* offset of the TCP header */
	__u32 seq;
	__u32 options_at; /* offset of the TCP options */
	__u32 options_length;
	bool payload;
	bool syn;
	bool fin;
};

/* What can't be read counts as payload. */
static __always_inline struct packet read_packet(struct __sk_buff *skb)
{
	struct packet packet = { .payload = true };
	int offset = tcp_offset(skb);
	struct tcphdr tcp;

	if (offset < 0 || bpf_skb_load_bytes(skb, offset, &tcp, sizeof(tcp)))
		return packet;
	packet.tcp_at = offset;
	packet.seq = bpf_ntohl(tcp.seq);
	packet.syn = tcp.syn;
	packet.fin = tcp.fin;
	packet.options_at = offset + sizeof(tcp);
	packet.options_length = tcp.doff * 4 - sizeof(tcp);
	packet.payload = skb->len > packet.options_at + packet.options_length;
	return packet;
}

/* Whether a packet speaks MPTCP (RFC 8684 3). Options that can't be read count as if it did. */
static __noinline bool has_mptcp(struct __sk_buff *skb, const struct packet *packet)
{
	__u8 kind, length;
	__u32 at = 0;

	for (int i = 0; i < TCP_OPTIONS_SIZE; i++) {
		if (at >= packet->options_length)
			return false;
		if (bpf_skb_load_bytes(skb, packet->options_at + at, &kind, sizeof(kind)))
			return true;
		at++;
		if (kind == TCP_OPTION_END)
			return false;
		if (kind == TCP_OPTION_MPTCP)
			return true;
		if (kind == TCP_OPTION_NOP)
			continue;
		if (bpf_skb_load_bytes(skb, packet->options_at + at, &length, sizeof(length)))
			return true;
		at += length > 2 ? length - 1 : 1;
	}
	return false;
}

static __always_inline int turn_away(enum counter why)
{
	count(why);
	return GUARD_DROP;
}

/*
 * Whether a connection could not be enrolled lately: the next may not be, either. What another agent
 * or a protocol on the socket, or memory that is short, will do to it cannot be foreseen.
 */
static __always_inline bool is_distrusted(const struct enrolment *goes)
{
	__u64 failed_ns = core_load(goes->failed_ns);

	return failed_ns && bpf_ktime_get_ns() - failed_ns < DISTRUST_NS;
}

/*
 * A packet for a listening socket: data in it reaches the new connection without passing here
 * again. So what could not be enrolled is turned away now; the client tries again, without MPTCP.
 */
static __always_inline int guard_handshake(struct __sk_buff *skb, struct tcp_sock *listener,
					   const struct gate *gate)
{
	struct packet packet = read_packet(skb);
	bool mptcp = bpf_core_field_exists(listener->is_mptcp) && listener->is_mptcp;
	const struct enrolment *goes = how_it_goes();

	if (!goes || goes->open >= max_connections)
		return turn_away(COUNTER_TURNED_AWAY_ROOM);
	if (gate->draining)
		return turn_away(COUNTER_TURNED_AWAY_LEAVING);
	/* Data in a SYN (TCP Fast Open) is in the receive queue before any verdict. */
	if (packet.syn && packet.payload)
		return turn_away(COUNTER_TURNED_AWAY_FAST_OPEN);
	/* The sockhash takes no part of a multipath connection. */
	if (mptcp && has_mptcp(skb, &packet))
		return turn_away(COUNTER_TURNED_AWAY_MPTCP);
	/* Where the socket cannot be enrolled, the application would read this. */
	if (packet.payload && is_distrusted(goes))
		return turn_away(COUNTER_TURNED_AWAY_DATA);
	return GUARD_PASS;
}

/* Whether there are bytes that no verdict was asked for: the application has not accepted yet. */
static __always_inline bool is_unasked(struct tcp_sock *tcp)
{
	return ((struct sock *)tcp)->sk_receive_queue.qlen;
}

/*
 * Whether bytes of the connection before that sequence number may still turn into a request, or into an
 * answer of the gate's. A verdict may be at work on another processor: what it leaves to be done is
 * looked for behind what it says last, and what the relay does next likewise.
 */
static __always_inline bool is_undecided(const struct conn *conn, const struct tcp_sock *tcp,
					 __u32 seq)
{
	__u64 handed;

	if ((__s32)(seq - core_load(conn->next_seq)) > 0)
		return true;
	core_barrier();
	handed = core_load(conn->handed);
	if (handed & HANDED_UP && (__u32)handed != core_load(conn->begun))
		return true;
	core_barrier();
	return is_answering(conn, tcp);
}

/* Whether the rest of the ring buffer is for connections of which nothing was handed up yet. */
static __always_inline bool is_crowded(void)
{
	return bpf_ringbuf_query(&handoff, BPF_RB_AVAIL_DATA) > HANDOFF_CROWDED;
}

/*
 * Have the relay send a packet again, without its FIN; where the relay cannot be told, the client
 * sends it again by itself. Returns false where it is to be let in as it is: it is too large, or
 * could miss the socket and be answered with a reset.
 */
static __noinline bool send_without_fin(struct __sk_buff *skb, const struct bpf_sock *sk,
					const struct packet *packet, __u64 cookie)
{
	const struct handoff record = { .cookie = cookie,
					.kind = HANDOFF_PACKET,
					.number = packet->tcp_at };
	__u32 length = skb->len;

	if (sk->bound_dev_if || length > HANDOFF_HUGE)
		return false;
	if (is_crowded())
		return true;
	if (length <= HANDOFF_LARGE)
		tell_bytes(&record, skb, 0, length, HANDOFF_LARGE);
	else
		tell_bytes(&record, skb, 0, length, HANDOFF_HUGE);
	return true;
}

/*
 * Whether a client is so far ahead of its answers that its bytes are to be kept back. Then those
 * behind them are, too: what fills a gap later comes with all that lay behind it, and the application
 * could not be kept from waking for it (handoff.bpf.h).
 */
static __always_inline bool is_ahead(struct conn *conn, const struct tcp_sock *tcp,
				     const struct packet *packet)
{
	if (conn->handed & HANDED_UP &&
	    ((__u32)conn->handed - conn->judged > AHEAD_MAX || is_crowded()))
		conn->gap = true;
	else if (conn->gap && (__s32)(packet->seq - tcp->rcv_nxt) <= 0)
		conn->gap = false;
	return conn->gap;
}

/* Whether epoll(7) watches the socket. Who waits in it looks, and where nothing is there waits on. */
static __always_inline bool is_watched(struct tcp_sock *tcp)
{
	const struct list_head *head = &((struct sock *)tcp)->sk_wq->wait.head;
	const struct list_head *first = head->next;
	const struct wait_queue_entry *waiter =
		(void *)first - bpf_core_field_offset(struct wait_queue_entry, entry);
	void *sleeper = NULL;

	return first != head && !bpf_core_read(&sleeper, sizeof(sleeper), &waiter->private) &&
	       !sleeper;
}

/* Whether a packet begins behind all that has come; what TCP has not seen yet included, as far as known. */
static __always_inline bool is_ahead_of_all(struct tcp_sock *tcp, __u32 seq)
{
	const struct sock *sk = (const struct sock *)tcp;
	struct sk_buff *tail = sk->sk_backlog.tail;
	__u32 end = 0;

	if ((__s32)(seq - tcp->rcv_nxt) <= 0)
		return false;
	if (!sk->sk_backlog.len)
		return true;
	return tail &&
	       !bpf_core_read(&end, sizeof(end),
			      &((struct tcp_skb_cb *)(void *)tail->cb)->end_seq) &&
	       (__s32)(seq - end) > 0;
}

/*
 * Whether a packet came before one that it should have come behind, and may not be passed. What fills
 * the hole later comes together with it, as two buffers at once: the first cannot be eaten in silence
 * (handoff.bpf.h), and who sleeps in recv() is told EAGAIN.
 */
static __always_inline bool is_out_of_turn(const struct conn *conn, struct tcp_sock *tcp,
					   const struct packet *packet)
{
	bool passed = conn->switched || (conn->ingress == INGRESS_BODY && !conn->body.refused);

	if (passed && !(conn->handed & HANDED_UP))
		return false;
	return is_ahead_of_all(tcp, packet->seq) && !is_watched(tcp);
}

/* The client sends it again: RFC 9293 3.8.1. */
static __always_inline int keep_back(void)
{
	count(COUNTER_KEPT_BACK);
	return GUARD_DROP;
}

/*
 * A packet for an enrolled connection.
 *
 * The end of the client's stream makes the application close, and would take along an answer of the
 * gate's that is on its way, or bytes that are still to be judged. Kept back, it is sent again a
 * moment later. Where it comes with bytes, nobody knows yet what these are: they are let in without
 * it. So is kept back what comes from a client far ahead of its answers, which is all that bounds
 * the bytes that the relay keeps for a connection.
 */
static __always_inline int guard_enrolled(struct __sk_buff *skb, const struct bpf_sock *sk,
					  struct tcp_sock *tcp, const struct socket_mark *mark,
					  bool draining)
{
	struct conn *conn = bpf_map_lookup_elem(&conns, &mark->cookie);
	struct packet packet = read_packet(skb);

	if (!conn)
		return GUARD_PASS;
	if (packet.payload && (is_ahead(conn, tcp, &packet) || is_out_of_turn(conn, tcp, &packet) ||
			       (draining && is_idle(conn, tcp))))
		return keep_back();
	if (!packet.fin)
		return GUARD_PASS;
	if (!packet.payload && is_unasked(tcp))
		return keep_back();
	if (conn->held >= HELD_MAX)
		return GUARD_PASS;
	if (packet.payload ? !send_without_fin(skb, sk, &packet, mark->cookie)
			   : !is_undecided(conn, tcp, packet.seq))
		return GUARD_PASS;
	conn->held++;
	return keep_back();
}

SEC("cgroup_skb/ingress")
int sluice_guard(struct __sk_buff *skb)
{
	struct socket_mark ungated = { .state = MARK_UNGATED };
	struct bpf_sock *sk = skb->sk;
	struct gate_key key = {};
	const struct gate *gate;
	struct socket_mark *mark;
	struct tcp_sock *tcp;

	if (!sk)
		return GUARD_PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != IPPROTO_TCP)
		return GUARD_PASS;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return GUARD_PASS;
	key.port = sk->src_port;
	key.netns_cookie = ((struct sock *)tcp)->__sk_common.skc_net.net->net_cookie;
	gate = bpf_map_lookup_elem(&gates, &key);
	if (sk->state == BPF_TCP_LISTEN)
		return gate ? guard_handshake(skb, tcp, gate) : GUARD_PASS;
	/* One that is enrolled is gated for as long as it lives, whatever becomes of its port. */
	mark = bpf_sk_storage_get(&marks, sk, 0, 0);
	if (mark && !mark->state)
		mark = NULL;
	if (mark && mark->state != MARK_UNGATED)
		return guard_enrolled(skb, sk, tcp, mark, is_draining(gate));
	if (!gate || !read_packet(skb).payload)
		return GUARD_PASS;
	/* Another processor is about to enrol it; the client sends again. */
	if (!mark && sk->state == BPF_TCP_SYN_RECV)
		return keep_back();
	if (!mark && bpf_sk_storage_get(&marks, sk, &ungated, BPF_SK_STORAGE_GET_F_CREATE))
		count(COUNTER_UNGATED_BEFORE);
	count(COUNTER_GUARD_DROPPED);
	return GUARD_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
