// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which sockets are gated: each connection to a protected port is put into the sockhash as it is
 * established, and forgotten when it ends.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "handoff.bpf.h"
#include "kernel.bpf.h"
#include "maps.bpf.h"
#include "record.bpf.h"

/* asm-generic/socket.h; linux/socket.h does not have them. */
#define SOL_SOCKET  1
#define SO_RCVLOWAT 18

/* What the gate is called for; other programs on the socket may be called for more. */
#define CALLS (BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG)

/* What a record is when its connection is made: zero. */
static const struct conn fresh_conn;

/* What the sockhash says no with: sock_map_link() and sk_psock_init() in the kernel. */
static __always_inline enum counter reason(long error)
{
	switch (error) {
	case -E2BIG:
		return COUNTER_UNGATED_ROOM;
	case -EBUSY:
		return COUNTER_UNGATED_AGENT;
	case -EINVAL:
	case -EOPNOTSUPP:
		return COUNTER_UNGATED_PROTOCOL;
	default:
		return COUNTER_UNGATED_MEMORY;
	}
}

/* The guard keeps every byte from it that comes from now on, and the daemon resets it. */
static __noinline void leave_ungated(struct bpf_sock_ops *ops, long error)
{
	struct socket_mark mark = { .state = MARK_UNGATED };
	struct enrolment *goes = how_it_goes();
	struct bpf_sock *sk = ops->sk;

	if (sk)
		bpf_sk_storage_get(&marks, sk, &mark, BPF_SK_STORAGE_GET_F_CREATE);
	if (goes)
		core_store(goes->failed_ns, bpf_ktime_get_ns());
	count(reason(error));
}

/* Returns 0 or a negative errno. */
static __always_inline long enrol(struct bpf_sock_ops *ops, const struct gate *gate)
{
	__u64 cookie = bpf_get_socket_cookie(ops);
	struct socket_mark fresh = {}, *mark;
	__u32 calls = ops->bpf_sock_ops_cb_flags;
	struct bpf_sock *sk = ops->sk;
	struct conn *conn;
	long error;

	error = bpf_map_update_elem(&conns, &cookie, &fresh_conn, BPF_NOEXIST);
	if (error)
		return error;
	conn = bpf_map_lookup_elem(&conns, &cookie);
	if (!conn || !sk)
		return -ENOMEM;
	conn->gate = *gate;
	conn->next_seq = ops->rcv_nxt;
	error = bpf_sock_ops_cb_flags_set(ops, calls | CALLS);
	if (!error)
		error = bpf_sock_hash_update(ops, &socks, &cookie, BPF_NOEXIST);
	mark = error ? NULL : bpf_sk_storage_get(&marks, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (!mark) {
		bpf_map_delete_elem(&conns, &cookie);
		return error ?: -ENOMEM;
	}
	mark->cookie = cookie;
	mark->others_calls = calls;
	/* The mark is what the guard looks for, so it comes last. */
	core_barrier();
	core_store(mark->state, MARK_ENROLLED);
	count_open(1);
	count(COUNTER_CONNECTIONS_OPENED);
	return 0;
}

/* Whether there is anything that the application has not read, or that no verdict was asked for. */
static __always_inline bool has_unread(struct tcp_sock *tcp)
{
	const struct sk_psock *psock = psock_of(tcp);
	struct list_head *message = NULL;
	struct sk_buff *buffer = NULL;
	unsigned long redirect = 0;

	if (((struct sock *)tcp)->sk_receive_queue.qlen)
		return true;
	bpf_core_read(&message, sizeof(message), &psock->ingress_msg.next);
	if (message && message != &psock->ingress_msg)
		return true;
	if (!is_underway(tcp))
		return false;
	/* What the kernel's worker sends out of the connection does not count. */
	bpf_core_read(&buffer, sizeof(buffer), &psock->ingress_skb.next);
	bpf_core_read(&redirect, sizeof(redirect), &buffer->_sk_redir);
	return redirect & BPF_F_INGRESS;
}

/*
 * A packet is about to leave a connection.
 *
 * Bytes that came before accept() are judged when the application first reads. The kernel notes then
 * where it began to read as where it has come to (tcp_bpf_recvmsg_parser()), and takes what the
 * verdict ate for unread until the connection ends: poll() would never stop telling the application
 * to read. SO_RCVLOWAT is how many unread bytes it takes for that.
 */
static __noinline void hide_eaten(struct bpf_sock_ops *ops, struct tcp_sock *tcp,
				  const struct socket_mark *mark)
{
	int lowat = tcp->rcv_nxt - tcp->copied_seq + 1;

	if (has_unread(tcp))
		return;
	if (lowat > 1)
		bpf_setsockopt(ops, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat));
	/* That was its first recv(): it has answered. An acknowledgement may be sent amid one. */
	if (ops->skb_len)
		bpf_sock_ops_cb_flags_set(ops, (ops->bpf_sock_ops_cb_flags &
						~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG) |
						       mark->others_calls);
}

SEC("sockops")
int sluice_enrol(struct bpf_sock_ops *ops)
{
	struct socket_mark not_ours = { .state = MARK_NOT_OURS };
	struct gate_key key = { .port = ops->local_port };
	struct bpf_sock *sk = ops->sk;
	const struct gate *gate;
	struct socket_mark *mark;
	struct tcp_sock *tcp;
	long error;

	if (ops->op == BPF_SOCK_OPS_STATE_CB) {
		if (ops->args[1] == BPF_TCP_CLOSE)
			close_record(bpf_get_socket_cookie(ops));
		return 1;
	}
	if (ops->op == BPF_SOCK_OPS_HDR_OPT_LEN_CB) {
		tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
		mark = sk ? bpf_sk_storage_get(&marks, sk, 0, 0) : NULL;
		if (tcp && mark && mark->state == MARK_ENROLLED)
			hide_eaten(ops, tcp, mark);
		return 1;
	}
	if (ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB &&
	    ops->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		return 1;
	key.netns_cookie = bpf_get_netns_cookie(ops);
	gate = bpf_map_lookup_elem(&gates, &key);
	if (!gate || !sk)
		return 1;
	if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) {
		bpf_sk_storage_get(&marks, sk, &not_ours, BPF_SK_STORAGE_GET_F_CREATE);
		return 1;
	}
	error = enrol(ops, gate);
	if (error)
		leave_ungated(ops, error);
	return 1;
}

/*
 * Forget a connection that is in the sockhash no more, though nobody was told of its end: another program
 * on the socket can have us not called. The daemon finds such (user/kernel_lost.c).
 */
SEC("syscall")
int sluice_forget(struct forgetting *which)
{
	close_record(which->cookie);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
