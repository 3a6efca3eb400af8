/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What makes a source of an address: settings, written by the daemon before it loads. */
#ifndef SLUICE_SOURCE_BPF_H
#define SLUICE_SOURCE_BPF_H

#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

/* Bits of an address that count, in network byte order. */
const volatile __u32 ipv4_mask __weak = 0;
const volatile __u32 ipv6_mask[4] __weak = { 0 };

/* The source that an address is of. */
static __always_inline void mask_source(const __u32 *words, struct source *ret_source)
{
	bool mapped = !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);

	for (int i = 0; i < 4; i++)
		ret_source->words[i] = mapped ? words[i] : words[i] & ipv6_mask[i];
	if (mapped)
		ret_source->words[3] = words[3] & ipv4_mask;
}

#endif
