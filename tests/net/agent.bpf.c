// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Another agent that has itself called for what happens to the connections of a cgroup: test_agents.c. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Times that agent_calls was called for what it asked for. */
__u64 called;

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

char LICENSE[] SEC("license") = "Dual BSD/GPL";
