// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs at the gate's places that look at nothing: what is left is what the kernel takes for its own
 * part.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define CONNECTIONS 1024

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, CONNECTIONS);
	__type(key, __u64); /* cookie */
	__type(value, __u64);
} empty_socks SEC(".maps");

SEC("sk_skb/stream_verdict")
int empty_verdict(struct __sk_buff *skb)
{
	return SK_PASS;
}

SEC("sk_msg")
int empty_message(struct sk_msg_md *msg)
{
	return SK_PASS;
}

SEC("cgroup_skb/ingress")
int empty_guard(struct __sk_buff *skb)
{
	return SK_PASS;
}

SEC("sockops")
int empty_enrol(struct bpf_sock_ops *ops)
{
	__u64 cookie = bpf_get_socket_cookie(ops);

	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		bpf_sock_hash_update(ops, &empty_socks, &cookie, BPF_NOEXIST);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
