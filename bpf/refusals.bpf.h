/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who collects refusals: counted by source and window of time where the shed is on, as far as the table
 * reaches. The daemon is told of a source once for each window in which it has too many.
 */
#ifndef SLUICE_REFUSALS_BPF_H
#define SLUICE_REFUSALS_BPF_H

#include "address.bpf.h"
#include "maps.bpf.h"
#include "source.bpf.h"

/* One more, in a window that is the source's own. Returns how many that makes. */
static __always_inline __u32 count_in_window(struct refusals *made, __u64 now, __u64 window)
{
	__u64 begin = core_load(made->begin);

	/* One processor alone begins a window; what others count meanwhile may be lost. */
	if (now - begin >= window && core_swap(&made->begin, begin, now))
		core_store(made->count, 0);
	return __sync_fetch_and_add(&made->count, 1) + 1;
}

/* Where there is no room the daemon does not read: the source is told in its next window. */
static __always_inline void tell_offender(const struct source *source, __u64 now)
{
	struct offender *offender = bpf_ringbuf_reserve(&offenders, sizeof(*offender), 0);

	if (!offender)
		return;
	offender->source = *source;
	offender->at = now;
	bpf_ringbuf_submit(offender, 0);
}

/* A request of this connection is refused, for whatever reason. */
static __noinline void count_refusal(struct tcp_sock *tcp)
{
	struct network client = { .prefix = 8 * sizeof(struct source) };
	struct source source = {};
	const struct shed_policy *policy;
	const struct refusals none = {};
	struct refusals *made;
	__u32 zero = 0;
	__u64 now;

	policy = bpf_map_lookup_elem(&shed_policy, &zero);
	if (!policy || !policy->refusals)
		return;
	read_client(&((const struct sock *)tcp)->__sk_common, client.words);
	mask_source(client.words, &source);
	made = find_or_make(&refusals, &source, &none);
	if (!made)
		return;
	now = bpf_jiffies64();
	if (count_in_window(made, now, policy->window) != policy->refusals)
		return;
	/* The window is over with that: who goes on once its time is up is told again. */
	core_store(made->begin, 0);
	if (!bpf_map_lookup_elem(&exempt, &client))
		tell_offender(&source, now);
}

#endif
