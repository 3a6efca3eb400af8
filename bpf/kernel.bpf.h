/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few fields of the kernel's own structs that programs read. Declared by hand and relocated at
 * load time against the running kernel's BTF, so that no generated header is needed.
 *
 * They give what no helper gives on all kernels, or not to all programs: where the next byte of an answer
 * will stand in the TCP stream, whether it will fit, who waits for a socket, its cookie, in which network
 * namespace it is, which of its bytes a buffer holds, what of them the application has read, whose
 * connection it is, and whether the kernel itself sends.
 */
#ifndef SLUICE_KERNEL_BPF_H
#define SLUICE_KERNEL_BPF_H

#include <linux/in6.h>
#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct netns_ipv4 {
	unsigned int sysctl_tcp_notsent_lowat;
};

struct net {
	__u64 net_cookie;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	__u32 skc_daddr; /* addresses and the peer's port are in network byte order */
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num; /* the own port, in host byte order */
	unsigned short skc_family;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

struct list_head {
	struct list_head *next;
};

struct wait_queue_head {
	struct list_head head;
};

struct wait_queue_entry {
	void *private; /* the task that sleeps; NULL: epoll(7) */
	struct list_head entry;
};

struct socket_wq {
	struct wait_queue_head wait;
};

struct sk_buff {
	char cb[48];		 /* TCP's: struct tcp_skb_cb */
	unsigned long _sk_redir; /* where a verdict redirects it to, and flags in its lowest bits */
};

struct sk_buff_head {
	struct sk_buff *next; /* the first */
	__u32 qlen;	      /* buffers */
};

/* What a sockhash adds to a socket. */
struct sk_psock {
	struct sk_buff_head ingress_skb; /* on their way to or out of it, by the kernel's worker */
	struct list_head ingress_msg;	 /* passed, and not read yet */
};

struct sock {
	void *sk_user_data; /* struct sk_psock, with flags in its lowest bits */
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue; /* what no verdict was asked for yet */
	struct {
		struct {
			int counter;
		} rmem_alloc; /* bytes of memory that what was received takes until it is read */
		int len;      /* bytes that TCP has not seen yet */
		struct sk_buff *tail; /* the last of them */
	} sk_backlog;
	struct {
		int owned; /* a system call has it */
	} sk_lock;
	struct socket_wq *sk_wq;
	int sk_rcvbuf;	       /* of rmem_alloc, at most */
	int sk_wmem_queued;    /* bytes */
	int sk_sndbuf;	       /* bytes */
	__u16 sk_gso_max_segs; /* that a device takes at once */
	__u32 sk_gso_max_size; /* bytes, likewise */
};

struct tcp_sock {
	__u32 rcv_nxt;	  /* sequence number of the next byte from the peer */
	__u32 copied_seq; /* likewise, of the first that counts as unread */
	__u32 write_seq;  /* sequence number after the last byte the application wrote */
	__u32 snd_nxt;	  /* sequence number after the last byte handed to the network */
	__u32 snd_una;	  /* sequence number of the first byte that is not acknowledged */
	__u32 notsent_lowat;
	__u32 mss_cache;  /* bytes that a segment holds */
	__u32 max_window; /* bytes: the largest that the peer has told of */
	bool is_mptcp;	  /* a part of a multipath connection, or listens for such */
};

/* A message that is sent. */
struct sk_msg {
	struct sock *sk_redir; /* the socket that it is redirected to */
};

struct tcp_skb_cb {
	__u32 seq;     /* sequence number of the first byte */
	__u32 end_seq; /* and behind the last */
};

struct task_struct {
	unsigned int flags; /* PF_KTHREAD among them */
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

/* The context of a program that walks through all TCP sockets. */
struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

#pragma clang attribute pop

#define PF_KTHREAD 0x00200000

#define SK_USER_DATA_PTRMASK (~7UL)

#endif
