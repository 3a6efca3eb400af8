/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses of a connection's ends, in network byte order, IPv4 ones IPv4-mapped (RFC 4291 2.5.5.2). */
#ifndef SLUICE_ADDRESS_BPF_H
#define SLUICE_ADDRESS_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "kernel.bpf.h"

#define AF_INET	      2 /* linux/socket.h does not have it */
#define ADDRESS_WORDS 4

/* Returns false where the connection is one of IPv6. */
static __always_inline bool put_mapped(const struct sock_common *sk, __u32 ipv4, __u32 *ret_words)
{
	if (sk->skc_family != AF_INET)
		return false;
	ret_words[0] = ret_words[1] = 0;
	ret_words[2] = bpf_htonl(0xffff);
	ret_words[3] = ipv4;
	return true;
}

static __always_inline void read_client(const struct sock_common *sk, __u32 *ret_words)
{
	if (!put_mapped(sk, sk->skc_daddr, ret_words))
		bpf_core_read(ret_words, ADDRESS_WORDS * sizeof(__u32), &sk->skc_v6_daddr);
}

static __always_inline void read_server(const struct sock_common *sk, __u32 *ret_words)
{
	if (!put_mapped(sk, sk->skc_rcv_saddr, ret_words))
		bpf_core_read(ret_words, ADDRESS_WORDS * sizeof(__u32), &sk->skc_v6_rcv_saddr);
}

#endif
