/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who sends keys that are none: counted by source, as far as the table reaches. */
#ifndef SLUICE_GUESSES_BPF_H
#define SLUICE_GUESSES_BPF_H

#include "address.bpf.h"
#include "maps.bpf.h"

/* An IPv6 address as its /64, which is what one host or site has (RFC 4291 2.5.4). */
static __always_inline void read_source(const struct tcp_sock *tcp, struct source *ret_source)
{
	__u32 *words = ret_source->words;

	read_client(&((const struct sock *)tcp)->__sk_common, words);
	if (words[0] || words[1] || words[2] != bpf_htonl(0xffff))
		words[2] = words[3] = 0;
}

static __noinline void count_guess(struct tcp_sock *tcp)
{
	const struct guesses first = {};
	struct source source = {};
	const struct settings *set;
	struct guesses *made;
	__u32 zero = 0;

	read_source(tcp, &source);
	made = find_or_make(&guesses, &source, &first);
	set = bpf_map_lookup_elem(&settings, &zero);
	if (!made || !set)
		return;
	__sync_fetch_and_add(&made->count, 1);
	core_store(made->last_ms, realtime_ms(set));
}

#endif
