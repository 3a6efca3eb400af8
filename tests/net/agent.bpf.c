// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Other agents that are called for what happens to the connections of a cgroup. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Times that agent_calls was called for what it asked for. */
__u64 called;

/* Rounds that agent_slow makes for each connection. */
__u32 rounds = 1 << 20;

static long spin(__u32 index, void *context)
{
	return 0;
}

/* Asks to be called for each round trip, and for nothing else: it does not care who asked before. */
SEC("sockops")
int agent_calls(struct bpf_sock_ops *ops)
{
	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_RTT_CB_FLAG);
	else if (ops->op == BPF_SOCK_OPS_RTT_CB)
		__sync_fetch_and_add(&called, 1);
	return 1;
}

/* Takes its time over each connection before it is established. */
SEC("sockops")
int agent_slow(struct bpf_sock_ops *ops)
{
	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		bpf_loop(rounds, spin, NULL, 0);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
